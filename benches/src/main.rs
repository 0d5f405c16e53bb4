//! Weftline measured beside Go, Tokio, smol, may and the channel crates:
//! `cargo run --release -p benches`.
//!
//! The program starts itself. The parent ([`parent`]) picks workloads and peers, runs each pair in
//! a fresh child process, all peers of a workload in turn, several times over. A child ([`child`])
//! runs one workload on one runtime, after a warm-up of a tenth, and prints one line of JSON. All
//! lines together are the [`results`], of which [`tables`], [`charts`] and the [`document`] are
//! made.
//!
//! What is where: [`suite`] lists the workloads and who takes part; [`work`] has the workloads,
//! written once over the traits in [`rt`] and [`chan`]; [`may`] has May's, with closures;
//! `go/main.go` has Go's; [`meter`] and [`counter`] read what a run cost. For the socket workloads
//! the child is the load generator ([`socket::load`]), and starts the server as a process beside
//! it. [`model`] calculates what sharing costs on machines with more cores than this one;
//! [`monitor_cost`] measures what the monitor costs.

mod chan;
mod charts;
mod child;
mod counter;
mod document;
mod gate;
mod locks;
mod machine;
mod may;
mod measure;
mod meter;
mod mmsg;
mod model;
mod monitor_cost;
mod options;
mod parent;
mod results;
mod rt;
mod socket;
mod suite;
mod svg;
mod sys;
mod tables;
mod work;

use options::Mode;

fn main() {
    let result = match options::parse(std::env::args().skip(1)) {
        Ok(Mode::Help) => {
            println!("{}", options::HELP);
            Ok(())
        }
        Ok(Mode::Compare(options)) => parent::compare(&options),
        Ok(Mode::Child(order)) => child::obey(&order),
        Ok(Mode::Serve(kind, peer, workers)) => socket::serve::serve(&kind, &peer, workers),
        Ok(Mode::List) => {
            suite::list();
            Ok(())
        }
        Ok(Mode::Model) => {
            print!("{}", model::markdown());
            Ok(())
        }
        Ok(Mode::MonitorCost(cost)) => monitor_cost::measure(&cost),
        Err(mistake) => Err(mistake),
    };
    if let Err(message) = result {
        eprintln!("benches: {message}");
        std::process::exit(1);
    }
}
