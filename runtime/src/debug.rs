//! `RUNTIME_DEBUG`: what the environment asks of a runtime, as `GODEBUG` does for a Go program.
//!
//! A list of `name=value`, with commas between. Unknown names are ignored, since a program may be
//! older than the page that somebody has read; a value that makes no sense is an error, since
//! silence would look like success.
#![forbid(unsafe_code)]

use std::env;
use std::io;
use std::time::Duration;

/// What was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DebugOptions {
    /// `schedtrace=1000`: a line on stderr every so many milliseconds.
    pub(crate) schedtrace: Option<Duration>,
    /// `deadlock=0`: deadlocks are not looked for.
    pub(crate) deadlock: Option<bool>,
    /// `sigquit=0`: SIGQUIT is left to the system.
    pub(crate) sigquit: Option<bool>,
    /// `monitor=0`: nobody watches the workers. For measuring what that costs; a task that holds
    /// its worker up then stalls others, and whatever else the monitor does is left undone.
    pub(crate) monitor: Option<bool>,
}

impl DebugOptions {
    /// # Errors
    ///
    /// If a value makes no sense; the message names it.
    pub(crate) fn from_env() -> io::Result<Self> {
        match env::var("RUNTIME_DEBUG") {
            Ok(text) => Self::parse(&text),
            Err(_) => Ok(Self::default()),
        }
    }

    fn parse(text: &str) -> io::Result<Self> {
        let mut options = Self::default();
        for part in text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            match name {
                "schedtrace" => options.schedtrace = milliseconds(part, value)?,
                "deadlock" => options.deadlock = Some(switch(part, value)?),
                "sigquit" => options.sigquit = Some(switch(part, value)?),
                "monitor" => options.monitor = Some(switch(part, value)?),
                _ => {}
            }
        }
        Ok(options)
    }
}

/// 0 is "off", as in Go.
fn milliseconds(part: &str, value: &str) -> io::Result<Option<Duration>> {
    match value.parse() {
        Ok(0) => Ok(None),
        Ok(n) => Ok(Some(Duration::from_millis(n))),
        Err(_) => Err(invalid(part, "give a number of milliseconds")),
    }
}

fn switch(part: &str, value: &str) -> io::Result<bool> {
    match value {
        "0" => Ok(false),
        "1" => Ok(true),
        _ => Err(invalid(part, "give 0 or 1")),
    }
}

fn invalid(part: &str, cure: &str) -> io::Error {
    let message = format!("RUNTIME_DEBUG: {part:?}: {cure}, or unset it");
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_options_are_read_and_unknown_ones_ignored() {
        let options =
            DebugOptions::parse("schedtrace=250, gctrace=1,deadlock=0,sigquit=1,monitor=0,")
                .unwrap();
        let expected = DebugOptions {
            schedtrace: Some(Duration::from_millis(250)),
            deadlock: Some(false),
            sigquit: Some(true),
            monitor: Some(false),
        };
        assert_eq!(options, expected);
        assert_eq!(
            DebugOptions::parse("schedtrace=0").unwrap(),
            DebugOptions::default()
        );
    }

    #[test]
    fn nonsense_is_an_error_that_names_it() {
        for text in ["schedtrace", "schedtrace=often", "deadlock=2", "sigquit="] {
            let error = DebugOptions::parse(text).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
    }
}
