//! The command line.
#![forbid(unsafe_code)]

use std::path::PathBuf;

/// What the process is to do.
pub(crate) enum Mode {
    /// Compare peers.
    Compare(Options),
    /// Run one workload on one runtime.
    Child(Order),
    /// Serve: kind, peer, workers.
    Serve(String, String, usize),
    /// Print the workloads.
    List,
}

/// How to compare.
#[derive(Debug)]
pub(crate) struct Options {
    /// Workloads; all when empty. A name that ends in `*` is a prefix.
    pub(crate) only: Vec<String>,
    /// Peers; all when empty.
    pub(crate) peers: Vec<String>,
    /// Runs of each.
    pub(crate) runs: usize,
    /// Workers of each runtime.
    pub(crate) workers: usize,
    /// Fraction of the sizes.
    pub(crate) scale: f64,
    /// Seconds that a child may take.
    pub(crate) limit: u64,
    /// Where the raw figures go.
    pub(crate) json: Option<PathBuf>,
}

/// One run.
#[derive(Debug)]
pub(crate) struct Order {
    /// The workload's name.
    pub(crate) workload: String,
    /// The peer's name.
    pub(crate) peer: String,
    /// Workers.
    pub(crate) workers: usize,
    /// Fraction of the size.
    pub(crate) scale: f64,
}

const USAGE: &str = "usage: benches [--only a,b*] [--peers x,y] [--runs N] [--workers N] [--scale F] \
                     [--limit SECONDS] [--json FILE] [--list]";

/// Reads the arguments.
pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> Result<Mode, String> {
    let mut options = Options {
        only: Vec::new(),
        peers: Vec::new(),
        runs: 5,
        workers: 2,
        scale: 1.0,
        limit: 60,
        json: None,
    };
    while let Some(arg) = args.next() {
        let mut value = || {
            args.next()
                .ok_or_else(|| format!("{arg} wants a value\n{USAGE}"))
        };
        match arg.as_str() {
            "--only" => options.only = list(&value()?),
            "--peers" => options.peers = list(&value()?),
            "--runs" => options.runs = number(&value()?)?,
            "--workers" => options.workers = number(&value()?)?,
            "--scale" => options.scale = number(&value()?)?,
            "--limit" => options.limit = number(&value()?)?,
            "--json" => options.json = Some(value()?.into()),
            "--list" => return Ok(Mode::List),
            "--serve" => return Ok(Mode::Serve(value()?, value()?, number(&value()?)?)),
            "--child" => {
                return Ok(Mode::Child(Order {
                    workload: value()?,
                    peer: value()?,
                    workers: number(&value()?)?,
                    scale: number(&value()?)?,
                }));
            }
            _ => return Err(format!("{arg}?\n{USAGE}")),
        }
    }
    Ok(Mode::Compare(options))
}

fn list(value: &str) -> Vec<String> {
    value.split(',').map(str::to_owned).collect()
}

fn number<N: std::str::FromStr>(value: &str) -> Result<N, String> {
    value.parse().map_err(|_| format!("{value} is no number"))
}
