//! What was counted before: `baseline.txt`, a line an operation.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::process::Command;

/// Counts by name, and the compiler whose code was counted.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Baseline {
    /// Another compiler writes other code, so that the counts bind one version only.
    pub(crate) compiler: String,
    counts: BTreeMap<String, f64>,
}

/// How a count compares.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing to compare with.
    New,
    /// Within what is tolerated.
    Same,
    /// Less by more than that.
    Better,
    /// More by more than that.
    Worse,
}

/// A twentieth: what hash seeds, the monitor and addresses make is below a hundredth, on one
/// machine.
pub(crate) const TOLERANCE: f64 = 0.05;

/// One instruction more of twelve is no twentieth, and may still be chance.
const LEAST: f64 = 2.0;

impl Baseline {
    /// An empty one of this compiler.
    pub(crate) fn here() -> Baseline {
        let output = Command::new("rustc").arg("--version").output().ok();
        let text = output.and_then(|output| String::from_utf8(output.stdout).ok());
        let version = text.and_then(|text| Some(text.split_whitespace().nth(1)?.to_owned()));
        Baseline {
            compiler: version.unwrap_or_else(|| "unknown".to_owned()),
            counts: BTreeMap::new(),
        }
    }

    /// Reads the file; without one there is nothing to compare with.
    pub(crate) fn read(path: &Path) -> Result<Baseline, String> {
        match std::fs::read_to_string(path) {
            Ok(text) => Baseline::parse(&text).map_err(|why| format!("{}: {why}", path.display())),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Baseline::default()),
            Err(e) => Err(format!("cannot read {}: {e}", path.display())),
        }
    }

    fn parse(text: &str) -> Result<Baseline, String> {
        let mut baseline = Baseline::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            match line.split_whitespace().collect::<Vec<_>>()[..] {
                ["rustc", version] => version.clone_into(&mut baseline.compiler),
                [name, count] => {
                    let count = count.parse().map_err(|_| format!("{count} is no count"))?;
                    baseline.put(name, count);
                }
                [] => {}
                _ => return Err(format!("not a name and a count: {line}")),
            }
        }
        Ok(baseline)
    }

    /// Writes the file.
    pub(crate) fn write(&self, path: &Path) -> Result<(), String> {
        std::fs::write(path, self.to_string())
            .map_err(|e| format!("cannot write {}: {e}", path.display()))
    }

    /// What was counted.
    pub(crate) fn count(&self, name: &str) -> Option<f64> {
        self.counts.get(name).copied()
    }

    /// Adds a count, as precise as the file is.
    pub(crate) fn put(&mut self, name: &str, count: f64) {
        let tenths = (count * 10.0).round() / 10.0;
        self.counts.insert(name.to_owned(), tenths);
    }
}

impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "# Instructions an operation, one worker. Made by: cargo run --release -p instructions -- --write"
        )?;
        writeln!(f, "rustc {}", self.compiler)?;
        for (name, count) in &self.counts {
            writeln!(f, "{name} {count:.1}")?;
        }
        Ok(())
    }
}

impl Verdict {
    /// Compares; `tolerance` is a fraction of what it was before.
    pub(crate) fn of(count: f64, before: Option<f64>, tolerance: f64) -> Verdict {
        let Some(before) = before else {
            return Verdict::New;
        };
        let within = (before * tolerance).max(LEAST);
        if count > before + within {
            Verdict::Worse
        } else if count < before - within {
            Verdict::Better
        } else {
            Verdict::Same
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Verdict::New => "new",
            Verdict::Same => "",
            Verdict::Better => "better",
            Verdict::Worse => "WORSE",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_gives_back_what_was_written() {
        let mut baseline = Baseline {
            compiler: "1.95.0".to_owned(),
            ..Baseline::default()
        };
        baseline.put("yield", 52.349);
        baseline.put("channel", 7.0);
        let again = Baseline::parse(&baseline.to_string()).expect("well formed");
        assert_eq!(again, baseline);
        assert_eq!(again.count("yield"), Some(52.3));
        assert_eq!(again.count("nothing"), None);
    }

    #[test]
    fn a_line_that_is_no_count_is_refused() {
        assert!(Baseline::parse("yield many\n").is_err());
        assert!(Baseline::parse("yield 1 2\n").is_err());
    }

    #[test]
    fn only_more_than_a_twentieth_above_is_worse() {
        assert_eq!(Verdict::of(106.0, Some(100.0), TOLERANCE), Verdict::Worse);
        assert_eq!(Verdict::of(104.9, Some(100.0), TOLERANCE), Verdict::Same);
        assert_eq!(Verdict::of(94.0, Some(100.0), TOLERANCE), Verdict::Better);
        assert_eq!(Verdict::of(13.0, Some(12.0), TOLERANCE), Verdict::Same);
        assert_eq!(Verdict::of(15.0, Some(12.0), TOLERANCE), Verdict::Worse);
        assert_eq!(Verdict::of(15.0, None, TOLERANCE), Verdict::New);
        assert_eq!(Verdict::of(106.0, Some(100.0), 0.25), Verdict::Same);
    }
}
