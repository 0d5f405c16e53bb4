//! The main job: 100,000 TCP connections on one machine, held, measured and checked.
//!
//! ```text
//! cargo run --release --example c100k
//! cargo run --release --example c100k -- --connections 15000 --rounds 10 --json result.json
//! cargo run --release --example c100k -- --help
//! ```
//!
//! It opens the connections over loopback to an echo server written as anyone would write it: an
//! accept loop and one task for each connection (`server`). It keeps them all open, lets them rest,
//! then sends a 64-byte message with a sequence number on each of them, round after round, and
//! compares every byte that comes back (`client`, `message`). It ends by itself, with a summary.
//!
//! The modules in the order of a run:
//!
//! 1. `options`: what was asked. `limits`: what the machine allows. `plan`: how many processes that
//!    takes, and which source addresses.
//! 2. `conductor` leads the run: starts servers, then clients, and takes them through the phases
//!    connect, idle, rounds, close. `phase` is one of these, `progress` shows how far it is.
//! 3. `fleet` holds the processes, `talk` is the parent's end of the talk with them, in lines over
//!    pipes, and `control` the child's. When the parent goes, whatever the reason, the pipes close
//!    and each child ends. `interrupt` is Ctrl-C.
//! 4. `usage` reads from `/proc` what that costs; `latency` counts how long messages took.
//! 5. `report` is the outcome and its summary for people; `json` the same for programs.
//!
//! The parent runs no task: it measures, and has to stay out of the way.

mod client;
mod conductor;
mod control;
mod fleet;
mod interrupt;
mod json;
mod latency;
mod limits;
mod message;
mod options;
mod phase;
mod plan;
mod progress;
mod report;
mod server;
mod talk;
mod usage;

use std::process::ExitCode;

use options::{Command, Options};

fn main() -> ExitCode {
    match Options::from_args(std::env::args().skip(1)) {
        Ok(Command::Help) => {
            println!("{}", options::HELP);
            ExitCode::SUCCESS
        }
        Ok(Command::Run(options)) => conductor::run(&options),
        Ok(Command::Server(job)) => server::run(job),
        Ok(Command::Client(job)) => client::run(job),
        Err(fault) => {
            eprintln!("c100k: {fault}; see --help");
            ExitCode::from(conductor::REFUSED)
        }
    }
}
