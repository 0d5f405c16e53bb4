//! The parent's side of the talk with its children, such that every wait in it ends.
//!
//! A child that dies closes its pipe, one that hangs lets a deadline pass, and the whole run has a
//! time limit. Whatever it is, it comes out as [`Trouble`]: a line for a person, with which the run
//! is cut short.
#![forbid(unsafe_code)]

use std::io;
use std::time::{Duration, Instant};

use crate::fleet::{Event, Fleet, workers_each};
use crate::limits;

/// No child may be silent for so long while it is at work. Longer than a client's patience with a
/// single connection.
pub(crate) const STALL: Duration = Duration::from_secs(20);

/// How long to sleep at a time where there is nothing to wait for but the children.
const LONG: Duration = Duration::from_secs(3600);

/// Why a run was cut short.
pub(crate) enum Trouble {
    /// It could not begin.
    Refused(String),
    /// It had begun.
    Broken(String),
    /// Its time is up.
    TimeUp(Duration),
    /// Somebody has pressed Ctrl-C.
    Interrupted,
}

/// All children, and how long they may take.
pub(crate) struct Talk {
    fleet: Fleet,
    /// When the run must be through, and how long it had.
    limit: Option<(Instant, Duration)>,
}

impl Talk {
    pub(crate) fn new(time_limit: Option<Duration>) -> Self {
        let limit = time_limit.map(|limit| (Instant::now() + limit, limit));
        Self {
            fleet: Fleet::new(),
            limit,
        }
    }

    /// Starts a child that is one of `siblings` alike; the number by which it is known.
    pub(crate) fn start(
        &mut self,
        name: String,
        args: &[String],
        siblings: usize,
    ) -> Result<usize, Trouble> {
        self.fleet
            .start(name, args, workers_each(siblings))
            .map_err(|error| Trouble::refused("starting a process", &error))
    }

    /// Lets all children end in good order. A talk that is dropped instead ends them at once.
    pub(crate) fn end(self) {
        self.fleet.end();
    }

    pub(crate) fn tell(&mut self, id: usize, order: &str) {
        self.fleet.tell(id, order);
    }

    pub(crate) fn pid(&self, id: usize) -> u32 {
        self.fleet.pid(id)
    }

    /// The next line of any child; `None` at `until`.
    pub(crate) fn hear(
        &mut self,
        until: Option<Instant>,
    ) -> Result<Option<(usize, String)>, Trouble> {
        loop {
            let limit = self.limit.map(|(limit, _)| limit);
            let deadline = until.into_iter().chain(limit).min();
            match self
                .fleet
                .hear(deadline.unwrap_or_else(|| Instant::now() + LONG))
            {
                Some((id, Event::Line(line))) => match line.strip_prefix("fatal ") {
                    Some(rest) => return Err(self.fatal(id, rest)),
                    None => return Ok(Some((id, line))),
                },
                Some((id, Event::Gone)) => return Err(self.gone(id)),
                Some((_, Event::Interrupted)) => return Err(Trouble::Interrupted),
                None => {}
            }
            let now = Instant::now();
            match self.limit {
                Some((limit, had)) if now >= limit => return Err(Trouble::TimeUp(had)),
                _ if until.is_some_and(|until| now >= until) => return Ok(None),
                _ => {}
            }
        }
    }

    /// Waits until `id` says a line that starts with `word`, and returns the rest of it.
    pub(crate) fn answer(&mut self, id: usize, word: &str) -> Result<String, Trouble> {
        match self.hear(Some(Instant::now() + STALL))? {
            Some((from, line)) => match line.strip_prefix(word) {
                Some(rest) if from == id => Ok(rest.trim().to_owned()),
                _ => Err(self.senseless(from, &line)),
            },
            None => Err(Trouble::Broken(format!(
                "{} does not answer",
                self.fleet.name(id)
            ))),
        }
    }

    /// What to say of a line that does not belong where it came.
    pub(crate) fn senseless(&self, id: usize, line: &str) -> Trouble {
        let name = self.fleet.name(id);
        Trouble::Broken(format!("{name} said `{line}`, which makes no sense here"))
    }

    fn gone(&mut self, id: usize) -> Trouble {
        let fate = self.fleet.fate(id);
        Trouble::Broken(format!("{} ended too early: {fate}", self.fleet.name(id)))
    }

    fn fatal(&self, id: usize, rest: &str) -> Trouble {
        let (errno, text) = rest.split_once(' ').unwrap_or(("0", rest));
        let text = format!("{}: {text}", self.fleet.name(id));
        Trouble::Broken(limits::with_cure(errno.parse().unwrap_or(0), &text))
    }
}

impl Trouble {
    pub(crate) fn refused(what: &str, error: &io::Error) -> Self {
        let text = format!("{what}: {error}");
        Self::Refused(limits::with_cure(error.raw_os_error().unwrap_or(0), &text))
    }
}
