//! What sharing costs on more cores than this machine has: a calculation, no measurement.
//!
//! Every core repeats an operation. Most of it is done alone; now and then it visits a place that
//! only one core can be at: a lock, or a cache line that is written. Whoever comes second waits.
//! That is a closed queueing network with one customer a core, of which mean value analysis gives
//! the throughput (Reiser and Lavenberg, 1980):
//!
//! ```text
//! wait at place i with n cores   =  demand i × (1 + how many are there with n − 1 cores)
//! throughput with n cores        =  n ÷ (time alone + Σ waits)
//! how many are at place i        =  throughput × wait i
//! ```
//!
//! A visit costs the transfer of the line from the core that wrote it last, and what is done while
//! it is held. Lines that another core has written and that are only read cost the transfer, and
//! nobody waits. What a transfer costs is assumed ([`TRANSFER`]), and so are the visits, which are
//! counted in the code by hand; times alone are those of this project's own measurements, rounded.
//! The result is good for the question "which place is full first, and roughly when", and for
//! nothing finer.
#![forbid(unsafe_code)]

use std::fmt::Write;

use crate::measure::short;

/// Nanoseconds for fetching a line that another core wrote, by the number of cores: neighbours that
/// share a cache; one socket; and one large socket or two. Middling figures of what is published
/// for current server processors.
const TRANSFER: &[(usize, f64)] = &[(1, 0.0), (8, 50.0), (32, 80.0), (64, 120.0)];

/// A place that cores visit one at a time.
struct Place {
    name: &'static str,
    /// Visits an operation.
    visits: f64,
    /// Lines that a visit fetches.
    lines: f64,
    /// Nanoseconds of work while it is held.
    held: f64,
}

/// What every core does, again and again.
struct Operation {
    name: &'static str,
    /// Nanoseconds that it takes alone, on one core, all visits included.
    alone: f64,
    places: &'static [Place],
    /// Lines an operation that another core has written, and that nobody waits for.
    reads: f64,
}

const fn place(name: &'static str, visits: f64, lines: f64, held: f64) -> Place {
    Place {
        name,
        visits,
        lines,
        held,
    }
}

/// The shared lines of `Idle`: a sleep and a wake-up change the counts five times, and the set of
/// sleepers twice.
const COUNTS: Place = place("Idle counts", 5.0, 1.0, 5.0);
const SLEEPERS: Place = place("Idle sleepers", 2.0, 1.0, 5.0);

/// From `runtime/src/{scheduler,slab,time,io}` and `sync/src/channel`, as they are.
const OPERATIONS: &[Operation] = &[
    Operation {
        name: "spawn, run and end a task; every core its own",
        alone: 100.0,
        // A block of 256 ids; a chunk of some 300 tasks.
        places: &[
            place("id blocks", 1.0 / 256.0, 1.0, 1.0),
            place("slab registry", 1.0 / 300.0, 2.0, 50.0),
        ],
        reads: 0.0,
    },
    Operation {
        name: "the same, more than a ring holds at a time",
        alone: 110.0,
        // 128 tasks go and come back under one lock each.
        places: &[
            place("id blocks", 1.0 / 256.0, 1.0, 1.0),
            place("slab registry", 1.0 / 300.0, 2.0, 50.0),
            place("injector", 2.0 / 128.0, 3.0, 60.0),
        ],
        reads: 0.2,
    },
    Operation {
        name: "one core spawns, all others run, 100 ns of work each",
        alone: 250.0,
        // The slot goes back by way of its chunk's word; half a ring is stolen at a time.
        places: &[
            place("the spawning core", 1.0, 0.0, 80.0),
            place("the chunk's returns", 1.0, 1.0, 5.0),
            place("the ring's head", 1.0 / 64.0, 1.0, 30.0),
        ],
        reads: 3.0,
    },
    Operation {
        name: "the same, 10 µs of work each",
        alone: 10_150.0,
        places: &[
            place("the spawning core", 1.0, 0.0, 80.0),
            place("the chunk's returns", 1.0, 1.0, 5.0),
            place("the ring's head", 1.0 / 64.0, 1.0, 30.0),
        ],
        reads: 3.0,
    },
    Operation {
        name: "yield, or a message between tasks of one core",
        alone: 15.0,
        // The shared queue's length is looked at every 61 polls.
        places: &[],
        reads: 1.0 / 610.0,
    },
    Operation {
        name: "a limit in time, armed and cancelled",
        alone: 40.0,
        places: &[],
        reads: 0.0,
    },
    Operation {
        name: "one channel that all cores send to",
        alone: 20.0,
        places: &[place("the channel", 1.0, 2.0, 15.0)],
        reads: 0.0,
    },
    Operation {
        name: "a channel that two cores share, work of 1 µs between messages",
        alone: 1_020.0,
        // Every pair has its own: seen by one pair the others are not there.
        places: &[],
        reads: 3.0,
    },
    Operation {
        name: "a worker sleeps and is woken, 5 µs, for each message",
        alone: 5_000.0,
        places: &[COUNTS, SLEEPERS, place("wake-ups counted", 1.0, 1.0, 1.0)],
        reads: 3.0,
    },
    Operation {
        name: "a request over a socket, 8 µs, woken by the reactor",
        alone: 8_000.0,
        // One worker at a time takes events in: 200 ns each, the kernel's part included.
        places: &[
            place("the reactor's turn", 1.0, 0.0, 200.0),
            place("tries for the turn", 8.0 / 50.0, 1.0, 1.0),
            place("injector", 2.0 / 128.0, 3.0, 60.0),
        ],
        reads: 6.0,
    },
    Operation {
        name: "a connection: accept, one request, close, 30 µs",
        alone: 30_000.0,
        places: &[
            place("the reactor's turn", 2.0, 0.0, 200.0),
            place("numbers of records", 2.0, 2.0, 30.0),
            place("a page's references", 2.0, 1.0, 1.0),
        ],
        reads: 8.0,
    },
];

/// The table.
pub(crate) fn markdown() -> String {
    let cores: Vec<usize> = (TRANSFER.iter().map(|(cores, _)| *cores))
        .filter(|cores| *cores > 1)
        .collect();
    let mut text = "| every core does this | alone, ns |".to_owned();
    for cores in &cores {
        let _ = write!(text, " {cores} cores |");
    }
    let columns = "---|".repeat(cores.len());
    let _ = writeln!(
        text,
        " most a second, 64 cores | full first |\n|---|---|{columns}---|---|"
    );
    for operation in OPERATIONS {
        let _ = write!(text, "| {} | {} |", operation.name, short(operation.alone));
        for &cores in &cores {
            let rate = operation.throughput(cores);
            let share = rate * operation.alone / cores as f64;
            let _ = write!(text, " {:.0} % |", share * 100.0);
        }
        let most = operation.throughput(64) * 1e9;
        let first = operation
            .fullest(64)
            .map_or("–".to_owned(), |(place, used)| {
                format!("{} ({:.0} %)", place.name, used * 100.0)
            });
        let _ = writeln!(text, " {} | {first} |", short(most));
    }
    text += "\nA percentage is the part of so many times one core's speed that is left. `full first`: the place that is visited for the \
             largest part of the time, and that part, with 64 cores.\n";
    text
}

impl Operation {
    /// Operations a nanosecond of all cores together.
    fn throughput(&self, cores: usize) -> f64 {
        let transfer = transfer(cores);
        let demands: Vec<f64> = (self.places.iter())
            .map(|place| place.demand(transfer))
            .collect();
        let held: f64 = self.places.iter().map(|place| place.demand(0.0)).sum();
        let alone = (self.alone - held).max(0.0) + self.reads * transfer;
        let mut there = vec![0.0; demands.len()];
        let mut rate = 0.0;
        for n in 1..=cores {
            let waits: Vec<f64> = (demands.iter().zip(&there))
                .map(|(demand, there)| demand * (1.0 + there))
                .collect();
            rate = n as f64 / (alone + waits.iter().sum::<f64>());
            there = waits.iter().map(|wait| rate * wait).collect();
        }
        rate
    }

    /// The place that is in use for the largest part of the time.
    fn fullest(&self, cores: usize) -> Option<(&Place, f64)> {
        let rate = self.throughput(cores);
        let used = |place: &Place| rate * place.demand(transfer(cores));
        let all = self.places.iter().map(|place| (place, used(place)));
        all.max_by(|a, b| a.1.total_cmp(&b.1))
    }
}

impl Place {
    /// Nanoseconds that an operation is here.
    fn demand(&self, transfer: f64) -> f64 {
        self.visits * (self.lines * transfer + self.held)
    }
}

/// What a transfer costs among so many cores: of the next larger number in the table.
fn transfer(cores: usize) -> f64 {
    let row = TRANSFER.iter().find(|(up_to, _)| cores <= *up_to);
    row.or(TRANSFER.last()).map_or(0.0, |(_, ns)| *ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_core_is_as_fast_as_measured() {
        for operation in OPERATIONS {
            let alone = 1.0 / operation.throughput(1);
            let off = (alone - operation.alone).abs();
            assert!(off < 0.01 * operation.alone, "{}: {alone}", operation.name);
        }
    }

    #[test]
    fn more_cores_never_do_more_than_their_number_or_than_the_fullest_place() {
        for operation in OPERATIONS {
            for cores in [2, 8, 32, 64] {
                let rate = operation.throughput(cores);
                assert!(rate <= 1.0001 * cores as f64 / operation.alone);
                for place in operation.places {
                    assert!(
                        rate * place.demand(transfer(cores)) <= 1.0001,
                        "{}",
                        place.name
                    );
                }
            }
        }
    }

    #[test]
    fn one_place_gives_the_known_answer() {
        // Two customers, as long alone as at the place: a core waits for the other one in a third
        // of all cases.
        const BUSY: &[Place] = &[place("lock", 1.0, 0.0, 1.0)];
        let operation = Operation {
            name: "half and half",
            alone: 2.0,
            places: BUSY,
            reads: 0.0,
        };
        assert!((operation.throughput(2) - 0.8).abs() < 1e-9);
    }
}
