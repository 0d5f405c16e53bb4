//! What a run costs: time, CPU, context switches, memory.
//!
//! One of the few files here with unsafe code: `getrusage`.

use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

/// Runs from the first spawn to the end of the work.
pub(crate) struct Meter {
    usage: Usage,
    start: Instant,
}

/// What one run measured.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    /// Wall time.
    pub(crate) wall: Duration,
    /// How many operations that was.
    pub(crate) ops: usize,
    /// Figures that replace or accompany the time.
    pub(crate) extra: Map<String, Value>,
    usage: Usage,
}

impl Meter {
    /// Starts.
    pub(crate) fn start() -> Meter {
        Meter {
            usage: Usage::now(),
            start: Instant::now(),
        }
    }

    /// Time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Ends with so many operations done.
    pub(crate) fn stop(self, ops: usize) -> Sample {
        let wall = self.start.elapsed();
        let now = Usage::now();
        Sample {
            wall,
            ops,
            extra: Map::new(),
            usage: Usage {
                cpu: now.cpu.saturating_sub(self.usage.cpu),
                voluntary: now.voluntary - self.usage.voluntary,
                involuntary: now.involuntary - self.usage.involuntary,
            },
        }
    }
}

impl Sample {
    /// Adds a figure.
    pub(crate) fn with(mut self, key: &str, value: impl Into<Value>) -> Sample {
        self.extra.insert(key.to_owned(), value.into());
        self
    }

    /// The line that a child prints.
    pub(crate) fn to_json(&self) -> Value {
        let mut line = json!({
            "wall_ns": self.wall.as_nanos() as u64,
            "ops": self.ops,
            "cpu_s": self.usage.cpu.as_secs_f64(),
            "vcsw": self.usage.voluntary,
            "ivcsw": self.usage.involuntary,
            "peak_kb": peak_kb(),
        });
        let fields = line.as_object_mut().expect("an object");
        fields.extend(self.extra.clone());
        line
    }
}

/// CPU time and context switches of this process until now.
#[derive(Debug, Clone, Copy)]
struct Usage {
    cpu: Duration,
    voluntary: i64,
    involuntary: i64,
}

impl Usage {
    fn now() -> Usage {
        let usage = rusage();
        Usage {
            cpu: duration(usage.ru_utime) + duration(usage.ru_stime),
            voluntary: usage.ru_nvcsw,
            involuntary: usage.ru_nivcsw,
        }
    }
}

/// Resident memory of this process, in bytes.
pub(crate) fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("/proc is there");
    pages(&statm) * 4096
}

/// The second field of a `statm`.
pub(crate) fn pages(statm: &str) -> usize {
    statm
        .split_whitespace()
        .nth(1)
        .and_then(|field| field.parse().ok())
        .expect("a statm")
}

/// Not `ru_maxrss`, which a child inherits from its parent.
fn peak_kb() -> Option<i64> {
    high_water(&std::fs::read_to_string("/proc/self/status").ok()?)
}

/// The most resident memory in a `status`, in kB.
pub(crate) fn high_water(status: &str) -> Option<i64> {
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn rusage() -> libc::rusage {
    // SAFETY: a `rusage` is plain integers, for which all zeroes is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live `rusage`, which the call only writes.
    let result = unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) };
    assert_eq!(result, 0, "getrusage cannot fail with RUSAGE_SELF");
    usage
}

fn duration(time: libc::timeval) -> Duration {
    Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
}
