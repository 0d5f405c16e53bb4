//! One phase of a run: an order to all clients, and what comes back until each of them is through.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::latency::Latency;
use crate::progress::Progress;
use crate::report::grouped;
use crate::talk::{STALL, Talk, Trouble};

/// What is ordered, and how it is shown.
pub(crate) struct Phase<'a> {
    pub(crate) order: &'a str,
    /// What is counted.
    pub(crate) unit: &'static str,
    /// How many of them there will be.
    pub(crate) total: u64,
}

/// What the clients report of a phase, all together.
pub(crate) struct Outcome {
    pub(crate) ok: u64,
    pub(crate) failed: u64,
    pub(crate) wrong: u64,
    pub(crate) latency: Latency,
    pub(crate) errors: Errors,
    pub(crate) took: Duration,
}

/// How often connections failed of what: by error number, 0 where there is none, and text.
pub(crate) type Errors = BTreeMap<(i32, String), u64>;

impl Phase<'_> {
    pub(crate) fn run(&self, talk: &mut Talk, clients: &[usize]) -> Result<Outcome, Trouble> {
        let mut progress = Progress::start(self.order, self.unit, self.total);
        let mut through: BTreeMap<usize, u64> = clients.iter().map(|id| (*id, 0)).collect();
        let mut busy = clients.len();
        let mut outcome = Outcome::nothing();
        let mut moved = Instant::now();
        for id in clients {
            talk.tell(*id, self.order);
        }
        while busy > 0 {
            let heard = talk.hear(Some(progress.next_frame()))?;
            progress.show(through.values().sum());
            if moved.elapsed() > STALL {
                let text = format!("{}: no progress in {} seconds", self.order, STALL.as_secs());
                return Err(Trouble::Broken(text));
            }
            let Some((id, line)) = heard else { continue };
            let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
            let understood = match word {
                "progress" => rest.parse().ok().map(|n| {
                    if through.insert(id, n) != Some(n) {
                        moved = Instant::now();
                    }
                }),
                "error" => outcome.note_error(rest),
                "latency" => {
                    Latency::from_line(rest).map(|latency| outcome.latency.merge(&latency))
                }
                "done" => outcome.add(rest).map(|()| busy -= 1),
                _ => None,
            };
            if understood.is_none() {
                return Err(talk.senseless(id, &line));
            }
        }
        outcome.took = progress.finish(&self.summary(&outcome));
        Ok(outcome)
    }

    fn summary(&self, outcome: &Outcome) -> String {
        let mut text = format!("{} {}", grouped(outcome.ok), self.unit);
        if outcome.failed > 0 {
            text += &format!(", {} failed,", grouped(outcome.failed));
        }
        text
    }
}

impl Outcome {
    fn nothing() -> Self {
        Self {
            ok: 0,
            failed: 0,
            wrong: 0,
            latency: Latency::new(),
            errors: Errors::new(),
            took: Duration::ZERO,
        }
    }

    /// Adds a client's `OK FAILED WRONG`.
    fn add(&mut self, line: &str) -> Option<()> {
        let mut numbers = line.split_whitespace().map(|word| word.parse::<u64>().ok());
        self.ok += numbers.next()??;
        self.failed += numbers.next()??;
        self.wrong += numbers.next()??;
        Some(())
    }

    /// Adds a client's `COUNT ERRNO TEXT`.
    fn note_error(&mut self, line: &str) -> Option<()> {
        let (count, rest) = line.split_once(' ')?;
        let (errno, text) = rest.split_once(' ')?;
        let kind = (errno.parse().ok()?, text.to_owned());
        *self.errors.entry(kind).or_default() += count.parse::<u64>().ok()?;
        Some(())
    }
}
