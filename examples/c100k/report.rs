//! The outcome of a run, and its summary for people. What was not measured is `None` and is shown
//! as `n/a`.
#![forbid(unsafe_code)]

use std::fmt;
use std::time::Duration;

use crate::latency::Latency;

/// Width of the names in front of lines.
pub(crate) const NAME: usize = 13;

#[derive(Default)]
pub(crate) struct Report {
    pub(crate) asked: u64,
    pub(crate) rounds: u64,
    pub(crate) in_flight: u64,
    pub(crate) server_processes: u64,
    pub(crate) client_processes: u64,
    /// How many files, and so connections, each process may have open.
    pub(crate) open_files: u64,
    /// Connections from one source address; 0 if the system chose the address.
    pub(crate) per_source: u64,
    /// Opened, accepted by the server, and answered once.
    pub(crate) held: u64,
    /// Not opened, lost, or answered wrongly, at any time.
    pub(crate) failed: u64,
    pub(crate) echoed: u64,
    pub(crate) wrong: u64,
    /// Of the messages in the rounds.
    pub(crate) latency: Option<Latency>,
    /// What the servers' memory has grown by, in bytes a connection.
    pub(crate) server_resident: Option<f64>,
    pub(crate) server_private: Option<f64>,
    /// The kernel's, for both ends of a connection.
    pub(crate) kernel: Option<f64>,
    /// While all connections were idle, all servers together.
    pub(crate) idle_cpu: Option<Duration>,
    pub(crate) idle_wakeups: Option<u64>,
    /// The most connections that a single server process held.
    pub(crate) fullest_server: Option<u64>,
    pub(crate) time: Times,
    /// Errors of connections, the most frequent first, with what to do about them.
    pub(crate) errors: Vec<String>,
    /// Why the run was cut short, if it was.
    pub(crate) trouble: Option<String>,
}

/// How long each phase took.
#[derive(Default)]
pub(crate) struct Times {
    pub(crate) start: Option<Duration>,
    pub(crate) connect: Option<Duration>,
    pub(crate) idle: Option<Duration>,
    pub(crate) rounds: Vec<Duration>,
    pub(crate) close: Option<Duration>,
    pub(crate) total: Duration,
}

impl Report {
    pub(crate) fn good(&self) -> bool {
        self.trouble.is_none() && self.failed == 0 && self.wrong == 0 && self.held == self.asked
    }

    /// Connections that are open: those held, less those that failed since.
    pub(crate) fn open(&self) -> u64 {
        self.asked.saturating_sub(self.failed)
    }

    /// Connections opened, accepted and answered in a second.
    pub(crate) fn accept_rate(&self) -> Option<f64> {
        Some(rate(self.held, self.time.connect?))
    }

    /// Messages there and back in a second, in the rounds.
    pub(crate) fn message_rate(&self) -> Option<f64> {
        let rounds: Duration = self.time.rounds.iter().sum();
        (!rounds.is_zero()).then(|| rate(self.echoed - self.held, rounds))
    }

    pub(crate) fn percentile(&self, permille: u64) -> Option<Duration> {
        self.latency.as_ref()?.permille(permille)
    }

    pub(crate) fn slowest(&self) -> Option<Duration> {
        self.latency.as_ref()?.max()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, text) in self.lines() {
            writeln!(f, "{name:<NAME$}{text}")?;
        }
        Ok(())
    }
}

impl Report {
    /// The summary, a name and a text a line.
    fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = vec![
            ("result", self.verdict()),
            ("connections", self.connections()),
        ];
        lines.extend(self.layout());
        lines.push((
            "messages",
            format!(
                "{} echoed, {} wrong",
                grouped(self.echoed),
                grouped(self.wrong)
            ),
        ));
        lines.push(("latency", self.latencies()));
        lines.push((
            "speed",
            format!(
                "{} connections accepted a second, {} messages echoed a second",
                or_na(self.accept_rate(), whole),
                or_na(self.message_rate(), whole)
            ),
        ));
        lines.push(("memory", self.memory()));
        let rested = self.time.idle.is_some() || self.trouble.is_some();
        if self.server_processes > 0 && rested {
            lines.push((
                "idle",
                format!(
                    "{} of CPU and {} wake-ups in {}, all server processes together",
                    or_na(self.idle_cpu, duration),
                    or_na(self.idle_wakeups, grouped),
                    or_na(self.time.idle, duration)
                ),
            ));
        }
        lines.push(("time", self.times()));
        lines.extend(self.errors.iter().map(|error| ("failed", error.clone())));
        lines.extend(
            self.trouble
                .iter()
                .map(|trouble| ("cut short", trouble.clone())),
        );
        lines
    }

    fn verdict(&self) -> String {
        let text = if self.good() {
            "GOOD: every connection was held, and every byte that came back was right"
        } else if self.wrong > 0 {
            "BAD: wrong bytes came back"
        } else if self.failed > 0 {
            "BAD: connections failed"
        } else {
            "BAD: cut short"
        };
        text.to_owned()
    }

    fn connections(&self) -> String {
        format!(
            "{} asked, {} held, {} failed",
            grouped(self.asked),
            grouped(self.held),
            grouped(self.failed)
        )
    }

    /// Where the connections end: which processes, which addresses.
    pub(crate) fn layout(&self) -> Vec<(&'static str, String)> {
        let mut lines = Vec::new();
        if self.server_processes > 0 {
            let mut text = processes(self.server_processes);
            if self.server_processes > 1 {
                text += " sharing the port with reuse_port";
            }
            text += &format!(", each may open {} files", grouped(self.open_files));
            if let (Some(fullest), true) = (self.fullest_server, self.server_processes > 1) {
                text += &format!("; the fullest held {} connections", grouped(fullest));
            }
            lines.push(("server", text));
        }
        if self.client_processes > 0 {
            let sources = match self.per_source {
                0 => "the system's choice of source address".to_owned(),
                n => format!(
                    "{} connections from each of 127.1.0.1, 127.1.0.2, …",
                    grouped(n)
                ),
            };
            lines.push((
                "client",
                format!("{}, {sources}", processes(self.client_processes)),
            ));
        }
        lines
    }

    fn latencies(&self) -> String {
        format!(
            "p50 {}, p99 {}, p99.9 {}, max {}; {} connections busy at once",
            or_na(self.percentile(500), duration),
            or_na(self.percentile(990), duration),
            or_na(self.percentile(999), duration),
            or_na(self.slowest(), duration),
            grouped(self.in_flight)
        )
    }

    fn memory(&self) -> String {
        let kernel = or_na(self.kernel, whole);
        if self.server_processes == 0 {
            return format!("{kernel} bytes a connection in the kernel of this machine");
        }
        format!(
            "{} bytes a connection in the server ({} of them private), {kernel} in the kernel for both ends",
            or_na(self.server_resident, whole),
            or_na(self.server_private, whole)
        )
    }

    fn times(&self) -> String {
        let Times {
            start,
            connect,
            idle,
            rounds,
            close,
            total,
        } = &self.time;
        format!(
            "start {}, connect {}, idle {}, {} round{} {}, close {}; {} in all",
            or_na(*start, duration),
            or_na(*connect, duration),
            or_na(*idle, duration),
            rounds.len(),
            if rounds.len() == 1 { "" } else { "s" },
            duration(rounds.iter().sum()),
            or_na(*close, duration),
            duration(*total)
        )
    }
}

fn processes(n: u64) -> String {
    if n == 1 {
        "1 process".to_owned()
    } else {
        format!("{n} processes")
    }
}

fn rate(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64().max(1e-9)
}

fn or_na<T>(value: Option<T>, show: impl Fn(T) -> String) -> String {
    value.map_or_else(|| "n/a".to_owned(), show)
}

fn whole(value: f64) -> String {
    if value < 0.0 {
        "0".to_owned()
    } else {
        grouped(value.round() as u64)
    }
}

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A duration with three digits or so, in the unit that suits it.
pub(crate) fn duration(d: Duration) -> String {
    let seconds = d.as_secs_f64();
    let (value, unit) = match seconds {
        s if s >= 1.0 => (s, "s"),
        s if s >= 1e-3 || s == 0.0 => (s * 1e3, "ms"),
        s => (s * 1e6, "µs"),
    };
    let places = if value >= 100.0 || value == 0.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    format!("{value:.places$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_000), "1,000");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(duration(Duration::from_micros(1_500)), "1.50 ms");
        assert_eq!(duration(Duration::from_micros(15)), "15.0 µs");
        assert_eq!(duration(Duration::from_secs(125)), "125 s");
        assert_eq!(duration(Duration::ZERO), "0 ms");
    }

    #[test]
    fn a_run_is_good_only_if_every_connection_was_held_and_every_byte_right() {
        let good = || Report {
            asked: 2,
            held: 2,
            ..Report::default()
        };
        assert!(good().good());
        assert!(!Report { held: 1, ..good() }.good());
        assert!(
            !Report {
                failed: 1,
                ..good()
            }
            .good()
        );
        assert!(!Report { wrong: 1, ..good() }.good());
        assert!(
            !Report {
                trouble: Some("x".to_owned()),
                ..good()
            }
            .good()
        );
    }

    #[test]
    fn what_was_not_measured_is_not_made_up() {
        assert!(
            Report::default()
                .to_string()
                .contains("memory       n/a bytes a connection")
        );
    }
}
