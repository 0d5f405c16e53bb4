//! Counts what a child executes.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::operations::Operation;

/// Valgrind's version, where it is.
pub(crate) fn valgrind() -> Option<String> {
    let output = Command::new("valgrind").arg("--version").output().ok()?;
    let version = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| version.trim().to_owned())
}

/// What the two runs of an operation executed, at the least: chance only adds, in either of them.
pub(crate) struct Counted {
    few: u64,
    many: u64,
}

impl Counted {
    pub(crate) fn new(operation: &Operation) -> Result<Counted, String> {
        Ok(Counted {
            few: total(operation, operation.times)?,
            many: total(operation, 3 * operation.times)?,
        })
    }

    /// Counts once more.
    pub(crate) fn again(self, operation: &Operation) -> Result<Counted, String> {
        let other = Counted::new(operation)?;
        Ok(Counted {
            few: self.few.min(other.few),
            many: self.many.min(other.many),
        })
    }

    /// Instructions for one operation.
    pub(crate) fn each(&self, operation: &Operation) -> f64 {
        self.many.saturating_sub(self.few) as f64 / (2 * operation.times) as f64
    }
}

fn total(operation: &Operation, times: usize) -> Result<u64, String> {
    let this = std::env::current_exe().map_err(|e| e.to_string())?;
    let out = Scratch::new(operation.name, times);
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet"])
        .arg(format!("--callgrind-out-file={}", out.0.display()))
        .arg(this)
        .args(["--child", operation.name, &times.to_string()])
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("valgrind does not start: {e}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("{} fails under valgrind: {said}", operation.name));
    }
    let text = std::fs::read_to_string(&out.0).map_err(|e| e.to_string())?;
    summary(&text).ok_or_else(|| format!("callgrind counted nothing for {}", operation.name))
}

/// The line `summary: 123456`, or `totals:` where a process ended in parts.
fn summary(text: &str) -> Option<u64> {
    let line = |key: &str| text.lines().find_map(|line| line.strip_prefix(key));
    line("totals:")
        .or_else(|| line("summary:"))?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

/// A file that is gone afterwards.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, times: usize) -> Scratch {
        let name = format!("instructions-{}-{name}-{times}.out", std::process::id());
        Scratch(Path::new(&std::env::temp_dir()).join(name))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_read_from_callgrind_s_file() {
        assert_eq!(summary("events: Ir\nsummary: 1200\n\nfn=(1)\n"), Some(1200));
        assert_eq!(summary("events: Ir\n\ntotals: 77\n"), Some(77));
        assert_eq!(summary("events: Ir\n"), None);
    }
}
