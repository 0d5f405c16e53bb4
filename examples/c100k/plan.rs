//! How many processes it takes, and what each of them does.
//!
//! Each connection is an open file at either end. Where a process may open fewer than that, the
//! connections are spread over the fewest processes that can hold them. Clients take equal shares.
//! Servers cannot choose: they share a port, and the kernel picks one of them for each connection
//! by a hash of its addresses. So a server needs room for what chance may add to its equal share.
#![forbid(unsafe_code)]

use std::net::{IpAddr, SocketAddr};

use crate::limits;
use crate::options::{ClientJob, Options, ServerJob, Sides};

/// How many standard deviations of chance a server process has room for. Six: once in some hundred
/// million runs it is more.
const DEVIATIONS: f64 = 6.0;

/// Connections from one source address: well below the 28,000 ports that a system usually has for
/// each, and few enough that the search for a free one is short.
const PER_SOURCE: usize = 1_000;

/// More server processes than this are refused: then the limit of open files is what needs a
/// change. More are not started if asked for, either: each is a process with threads of its own.
const MOST_PROCESSES: usize = 64;

#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) servers: usize,
    pub(crate) clients: usize,
    pub(crate) per_source: usize,
    in_flight: usize,
    connections: usize,
}

impl Plan {
    /// Fits what was asked into `open_files` for each process; the error is a line that says what
    /// to do.
    pub(crate) fn new(options: &Options, open_files: usize) -> Result<Self, String> {
        let capacity = limits::connections_per_process(open_files);
        if capacity == 0 {
            return Err(format!(
                "a process may open only {open_files} files, which is not enough for a single connection: raise it with \
                 `ulimit -Hn` or in /etc/security/limits.conf"
            ));
        }
        let n = options.connections;
        if fewest_servers(n, capacity) > MOST_PROCESSES {
            return Err(format!(
                "{n} connections would take more than {MOST_PROCESSES} server processes, as each may open only {open_files} files: \
                 raise the hard limit (ulimit -Hn), or ask for fewer with --connections"
            ));
        }
        if let Some(asked) = options.processes.filter(|asked| *asked > MOST_PROCESSES) {
            return Err(format!(
                "--processes {asked} is more than the {MOST_PROCESSES} that can be of use"
            ));
        }
        let servers = at_least("server", options, fewest_servers(n, capacity), open_files)?;
        let clients = at_least("client", options, n.div_ceil(capacity), open_files)?.min(n);
        Ok(Self {
            servers: if options.sides == Sides::Client {
                0
            } else {
                servers
            },
            clients: if options.sides == Sides::Server {
                0
            } else {
                clients
            },
            per_source: per_source(options)?,
            in_flight: options.in_flight,
            connections: n,
        })
    }

    pub(crate) fn server_job(&self, address: SocketAddr) -> ServerJob {
        ServerJob {
            address,
            shared: self.servers > 1,
        }
    }

    /// The work of client process number `index`: an equal share, the first ones taking what does
    /// not divide.
    pub(crate) fn client_job(&self, index: usize, address: SocketAddr) -> ClientJob {
        let first = share_start(self.connections, self.clients, index);
        let end = share_start(self.connections, self.clients, index + 1);
        ClientJob {
            address,
            first,
            count: end - first,
            in_flight: (self.in_flight / self.clients).max(1),
            per_source: self.per_source,
        }
    }

    /// Connections that are busy at once, over all clients.
    pub(crate) fn busy(&self) -> usize {
        match self.clients {
            0 => 0,
            clients => ((self.in_flight / clients).max(1) * clients).min(self.connections),
        }
    }
}

/// The number of processes: what is needed, or what was asked for if that is not less.
fn at_least(
    what: &str,
    options: &Options,
    need: usize,
    open_files: usize,
) -> Result<usize, String> {
    match options.processes {
        Some(asked) if asked < need => Err(format!(
            "{} connections need at least {need} {what} processes, as each may open {open_files} files: give --processes {need} or \
             leave it out, or raise the hard limit (ulimit -Hn)",
            options.connections
        )),
        Some(asked) => Ok(asked),
        None => Ok(need),
    }
}

fn fewest_servers(connections: usize, capacity: usize) -> usize {
    if connections <= capacity {
        return 1;
    }
    let fits = |servers: &usize| {
        let share = connections as f64 / *servers as f64;
        share + DEVIATIONS * share.sqrt() <= capacity as f64
    };
    // With a process for each connection there is no chance left that one is too small.
    (2..connections).find(fits).unwrap_or(connections)
}

/// How many connections share a source address, 0 for the system's own choice of the address.
fn per_source(options: &Options) -> Result<usize, String> {
    let ports = limits::ephemeral_ports();
    let spread = matches!(options.address.ip(), IpAddr::V4(ip) if ip.is_loopback());
    if spread {
        return Ok(ports.map_or(PER_SOURCE, |ports| (ports / 2).clamp(1, PER_SOURCE)));
    }
    match ports {
        Some(ports) if ports < options.connections && options.sides != Sides::Server => {
            Err(format!(
                "from one source address there are {ports} ports to {}: ask for fewer with --connections, or widen them with \
             sysctl -w net.ipv4.ip_local_port_range='1024 65000'",
                options.address.ip()
            ))
        }
        _ => Ok(0),
    }
}

fn share_start(total: usize, parts: usize, index: usize) -> usize {
    total / parts * index + index.min(total % parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(connections: usize, open_files: usize) -> Plan {
        let options = Options {
            connections,
            ..Options::default()
        };
        Plan::new(&options, open_files).unwrap()
    }

    #[test]
    fn one_server_as_long_as_one_can_hold_them() {
        assert_eq!(plan(15_000, 20_000).servers, 1);
        assert_eq!(plan(19_936, 20_000).servers, 1);
        assert_eq!(plan(19_937, 20_000).servers, 2);
        assert_eq!(plan(100_000, 20_000).servers, 6);
        assert_eq!(plan(100_000, 1_000_000).servers, 1);
    }

    #[test]
    fn servers_have_room_for_chance() {
        // Six would hold 119,616 if the kernel dealt them out evenly.
        assert_eq!(plan(119_000, 20_000).servers, 7);
        assert_eq!(plan(119_000, 20_000).clients, 6);
    }

    #[test]
    fn client_shares_are_even_and_cover_everything() {
        let plan = plan(100_000, 20_000);
        let address = "127.0.0.1:1".parse().unwrap();
        let jobs: Vec<_> = (0..plan.clients)
            .map(|n| plan.client_job(n, address))
            .collect();
        let mut next = 0;
        for job in &jobs {
            assert_eq!(job.first, next);
            next += job.count;
            assert!((16_666..=16_667).contains(&job.count));
        }
        assert_eq!(next, 100_000);
        assert_eq!(plan.busy(), 252);
    }

    #[test]
    fn too_few_processes_are_refused_with_the_number_that_is_needed() {
        let options = Options {
            processes: Some(2),
            ..Options::default()
        };
        let refusal = Plan::new(&options, 20_000).unwrap_err();
        assert!(refusal.contains("--processes 6"), "{refusal}");
        assert!(Plan::new(&options, 10).unwrap_err().contains("ulimit -Hn"));
        assert!(
            Plan::new(&Options::default(), 200)
                .unwrap_err()
                .contains("more than 64")
        );
        let crowd = Options {
            processes: Some(65),
            ..Options::default()
        };
        let refusal = Plan::new(&crowd, 20_000).unwrap_err();
        assert!(refusal.contains("--processes 65"), "{refusal}");
    }
}
