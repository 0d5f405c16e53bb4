//! Weftline measured beside Go, Tokio, smol, may and the channel crates: `cargo run --release -p benches`.
//!
//! The program starts itself. The parent ([`parent`]) picks workloads and peers, runs each pair in a fresh child process, all peers of a
//! workload in turn, several times over, and prints a table with medians, spread, and the ratio to the best peer. A child ([`child`])
//! runs one workload on one runtime, after a warm-up of a tenth, and prints one line of JSON.
//!
//! What is where: [`suite`] lists the workloads and who takes part; [`work`] has the workloads, written once over the traits in [`rt`]
//! and [`chan`]; [`may`] has May's, with closures; `go/main.go` has Go's; [`meter`] reads what a run cost.
//! For the socket workloads the child is the load generator ([`socket::load`]), and starts the server as a process beside it.

mod chan;
mod child;
mod gate;
mod locks;
mod may;
mod meter;
mod options;
mod parent;
mod report;
mod rt;
mod socket;
mod suite;
mod sys;
mod work;

use options::Mode;

fn main() {
    let result = match options::parse(std::env::args().skip(1)) {
        Ok(Mode::Compare(options)) => parent::compare(&options),
        Ok(Mode::Child(order)) => child::obey(&order),
        Ok(Mode::Serve(kind, peer, workers)) => socket::serve::serve(&kind, &peer, workers),
        Ok(Mode::List) => {
            suite::list();
            Ok(())
        }
        Err(mistake) => Err(mistake),
    };
    if let Err(message) = result {
        eprintln!("benches: {message}");
        std::process::exit(1);
    }
}
