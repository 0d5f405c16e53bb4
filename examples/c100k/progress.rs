//! How far the current phase is: a bar that moves on a terminal, a line now and then elsewhere. All
//! on stderr; stdout has the summary.
#![forbid(unsafe_code)]

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::report::{NAME, duration, grouped};

/// Cells of a full bar.
const WIDTH: u64 = 28;

/// How often a bar is drawn anew.
const FRAME: Duration = Duration::from_millis(100);

/// How often a line is printed where there is no terminal.
const LINE: Duration = Duration::from_secs(2);

/// The unit of a phase that waits.
pub(crate) const SECONDS: &str = "seconds";

pub(crate) struct Progress {
    name: String,
    unit: &'static str,
    total: u64,
    start: Instant,
    drawn: Instant,
    terminal: bool,
}

impl Progress {
    pub(crate) fn start(name: impl Into<String>, unit: &'static str, total: u64) -> Self {
        let now = Instant::now();
        let progress = Self {
            name: name.into(),
            unit,
            total,
            start: now,
            drawn: now,
            terminal: io::stderr().is_terminal(),
        };
        if progress.terminal {
            progress.draw(0);
        }
        progress
    }

    /// When `show` should be called next, also if nothing has happened.
    pub(crate) fn next_frame(&self) -> Instant {
        self.drawn + if self.terminal { FRAME } else { LINE }
    }

    /// Shows that `done` of the total are through, unless that was shown just now.
    pub(crate) fn show(&mut self, done: u64) {
        if Instant::now() < self.next_frame() {
            return;
        }
        self.drawn = Instant::now();
        if self.terminal {
            self.draw(done);
        } else {
            say(&format!(
                "{:<NAME$}{} of {} {}",
                self.name,
                grouped(done),
                grouped(self.total),
                self.unit
            ));
        }
    }

    /// Ends the phase with what came of it.
    pub(crate) fn finish(self, outcome: &str) -> Duration {
        let took = self.start.elapsed();
        let clear = if self.terminal { "\r\x1b[K" } else { "" };
        say(&format!(
            "{clear}{:<NAME$}{outcome} in {}",
            self.name,
            duration(took)
        ));
        took
    }

    fn draw(&self, done: u64) {
        let full = (done.min(self.total) * WIDTH)
            .checked_div(self.total)
            .unwrap_or(WIDTH);
        let bar = "█".repeat(full as usize) + &"░".repeat((WIDTH - full) as usize);
        let mut err = io::stderr().lock();
        let _ = write!(
            err,
            "\r\x1b[K{:<NAME$}{bar}  {} of {} {}{}",
            self.name,
            grouped(done),
            grouped(self.total),
            self.unit,
            self.rate(done)
        );
        let _ = err.flush();
    }
}

impl Progress {
    /// How fast it goes, once there is something to tell. Seconds pass at a rate that is known.
    fn rate(&self, done: u64) -> String {
        if done == 0 || self.unit == SECONDS {
            return String::new();
        }
        let rate = done as f64 / self.start.elapsed().as_secs_f64().max(1e-3);
        format!(", {} a second", grouped(rate as u64))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        // A phase that was cut short leaves its bar behind; whatever is said next starts on a line
        // of its own. After `finish` the cursor is at the start of a line, and this changes
        // nothing.
        if self.terminal {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

/// A line on stderr with a name in front, in a column with the phases.
pub(crate) fn say_named(name: &str, text: &str) {
    say(&format!("{name:<NAME$}{text}"));
}

/// One line on stderr.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
