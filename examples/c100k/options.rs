//! The command line: what a person may ask, and what the parent asks of its children.
//!
//! A child is this same program with a first argument that `--help` does not mention. Parsed by
//! hand: a parser crate would take longer to build than the whole program.
#![forbid(unsafe_code)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

pub(crate) const HELP: &str = "\
c100k: hold many TCP connections to an echo server, measure and check them.

Usage: cargo run --release --example c100k -- [OPTIONS]

  --connections N     how many connections to open and hold          [100000]
  --rounds N          messages on each connection, one a round, besides the
                      one that is sent as soon as it is open               [5]
  --idle SECONDS      how long all of them rest before the rounds          [5]
  --in-flight N       connections that are busy at once, over all        [256]
                      client processes; the others rest meanwhile
  --processes N       server processes, and as many client processes
                      [the fewest whose open files can hold the number]
  --json FILE         also write the result as JSON; the keys are explained
                      in examples/c100k/json.rs
  --server            only the server, until Ctrl-C
  --client            only the load, against the server at --address
  --address IP:PORT   where the server listens             [127.0.0.1:0, which
                      means a free port; --client needs to be told]
  --time-limit SECONDS
                      give up after so long; 0 means never
                      [120; with --server alone: never]
  --help              this text

How latency is measured: a client takes the time just before it writes a
message, and again when it has read the last of the 64 bytes that come back.
Each connection has one message under way, and --in-flight connections are busy
at once: the figures are those of a loaded server. A connection's wait for its
turn, before the write, is not in them.

CPU: the processes share the CPUs evenly, unless RUNTIME_MAXPROCS says how many
workers each of them shall have.

Exit status: 0 if every connection was held to the end and every byte was right;
1 if not; 2 if the options or the limits of this machine do not allow a start.";

/// What this process is to do.
#[derive(Debug)]
pub(crate) enum Command {
    Help,
    Run(Options),
    Server(ServerJob),
    Client(ClientJob),
}

/// What a person asked for.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) connections: usize,
    pub(crate) rounds: u64,
    pub(crate) idle: Duration,
    pub(crate) in_flight: usize,
    pub(crate) processes: Option<usize>,
    pub(crate) json: Option<PathBuf>,
    pub(crate) sides: Sides,
    pub(crate) address: SocketAddr,
    pub(crate) time_limit: Option<Duration>,
}

/// Which ends of the connections are ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sides {
    Both,
    Server,
    Client,
}

/// The work of one server process.
#[derive(Debug)]
pub(crate) struct ServerJob {
    pub(crate) address: SocketAddr,
    /// Whether other processes listen on the same port.
    pub(crate) shared: bool,
}

/// The work of one client process: connections `first..first + count` of the whole run.
#[derive(Debug)]
pub(crate) struct ClientJob {
    pub(crate) address: SocketAddr,
    pub(crate) first: usize,
    pub(crate) count: usize,
    pub(crate) in_flight: usize,
    /// How many connections come from one source address; 0 leaves the choice of the address to the
    /// system.
    pub(crate) per_source: usize,
}

impl Options {
    pub(crate) fn from_args(args: impl Iterator<Item = String>) -> Result<Command, String> {
        let mut args = args.peekable();
        match args.peek().map(String::as_str) {
            Some("child-server") => return ServerJob::parse(args.skip(1)).map(Command::Server),
            Some("child-client") => return ClientJob::parse(args.skip(1)).map(Command::Client),
            _ => {}
        }
        let mut options = Self::default();
        let mut time_limit = None;
        while let Some(arg) = args.next() {
            // `--name=value` is the same as `--name value`.
            let (name, glued) = match arg.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (arg.as_str(), None),
            };
            let mut value = || glued.clone().or_else(|| args.next());
            match name {
                "--help" | "-h" => return Ok(Command::Help),
                "--connections" => options.connections = at_least_one(name, value())?,
                "--rounds" => options.rounds = parse(name, value())?,
                "--idle" => options.idle = seconds(name, value())?,
                "--in-flight" => options.in_flight = at_least_one(name, value())?,
                "--processes" => options.processes = Some(at_least_one(name, value())?),
                "--json" => options.json = Some(parse(name, value())?),
                "--address" => options.address = parse(name, value())?,
                "--time-limit" => time_limit = Some(seconds(name, value())?),
                "--server" => options.take_side(Sides::Server)?,
                "--client" => options.take_side(Sides::Client)?,
                _ => return Err(format!("there is no option `{arg}`")),
            }
        }
        options.settle(time_limit)?;
        Ok(Command::Run(options))
    }

    fn take_side(&mut self, side: Sides) -> Result<(), String> {
        if self.sides != Sides::Both && self.sides != side {
            return Err(
                "without --server and --client both ends run; give one of them, or none".to_owned(),
            );
        }
        self.sides = side;
        Ok(())
    }

    fn settle(&mut self, time_limit: Option<Duration>) -> Result<(), String> {
        if self.sides == Sides::Client && self.address.port() == 0 {
            return Err(
                "--client needs --address IP:PORT of a server; start one with --server".to_owned(),
            );
        }
        if let Some(limit) = time_limit {
            self.time_limit = (!limit.is_zero()).then_some(limit);
        } else if self.sides == Sides::Server {
            self.time_limit = None;
        }
        Ok(())
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connections: 100_000,
            rounds: 5,
            idle: Duration::from_secs(5),
            in_flight: 256,
            processes: None,
            json: None,
            sides: Sides::Both,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            time_limit: Some(Duration::from_secs(120)),
        }
    }
}

impl ServerJob {
    pub(crate) fn to_args(&self) -> Vec<String> {
        vec![
            "child-server".to_owned(),
            self.address.to_string(),
            self.shared.to_string(),
        ]
    }

    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        Ok(Self {
            address: parse("address", args.next())?,
            shared: parse("shared", args.next())?,
        })
    }
}

impl ClientJob {
    pub(crate) fn to_args(&self) -> Vec<String> {
        vec![
            "child-client".to_owned(),
            self.address.to_string(),
            self.first.to_string(),
            self.count.to_string(),
            self.in_flight.to_string(),
            self.per_source.to_string(),
        ]
    }

    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        Ok(Self {
            address: parse("address", args.next())?,
            first: parse("first", args.next())?,
            count: parse("count", args.next())?,
            in_flight: parse("in-flight", args.next())?,
            per_source: parse("per-source", args.next())?,
        })
    }
}

fn parse<T: FromStr>(name: &str, value: Option<String>) -> Result<T, String> {
    let value = value.ok_or_else(|| format!("`{name}` needs a value"))?;
    value
        .parse()
        .map_err(|_| format!("`{name}` cannot be `{value}`"))
}

fn at_least_one(name: &str, value: Option<String>) -> Result<usize, String> {
    match parse(name, value)? {
        0 => Err(format!("`{name}` must be at least 1")),
        n => Ok(n),
    }
}

fn seconds(name: &str, value: Option<String>) -> Result<Duration, String> {
    let seconds: f64 = parse(name, value)?;
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| format!("`{name}` cannot be {seconds} seconds"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &str) -> Result<Options, String> {
        match Options::from_args(line.split_whitespace().map(str::to_owned))? {
            Command::Run(options) => Ok(options),
            other => panic!("not a run: {other:?}"),
        }
    }

    #[test]
    fn the_value_may_follow_or_be_glued_on() {
        let options = options("--connections 12 --rounds=3 --idle 0.5").unwrap();
        assert_eq!(
            (options.connections, options.rounds, options.idle),
            (12, 3, Duration::from_millis(500))
        );
    }

    #[test]
    fn a_wrong_option_is_named() {
        assert_eq!(
            options("--conections 3").unwrap_err(),
            "there is no option `--conections`"
        );
        assert_eq!(
            options("--rounds x").unwrap_err(),
            "`--rounds` cannot be `x`"
        );
        assert_eq!(options("--rounds").unwrap_err(), "`--rounds` needs a value");
        assert_eq!(
            options("--connections 0").unwrap_err(),
            "`--connections` must be at least 1"
        );
        assert!(options("--idle -1").is_err());
        assert!(options("--server --client").is_err());
        assert!(options("--client").unwrap_err().contains("--address"));
    }

    #[test]
    fn a_server_alone_has_no_time_limit_unless_told() {
        assert_eq!(options("--server").unwrap().time_limit, None);
        assert_eq!(
            options("--server --time-limit 9").unwrap().time_limit,
            Some(Duration::from_secs(9))
        );
        assert_eq!(options("--time-limit 0").unwrap().time_limit, None);
    }

    #[test]
    fn a_job_survives_the_way_to_the_child() {
        let job = ClientJob {
            address: "127.0.0.1:80".parse().unwrap(),
            first: 7,
            count: 8,
            in_flight: 9,
            per_source: 10,
        };
        match Options::from_args(job.to_args().into_iter()).unwrap() {
            Command::Client(got) => assert_eq!(format!("{got:?}"), format!("{job:?}")),
            other => panic!("not a client: {other:?}"),
        }
    }
}
