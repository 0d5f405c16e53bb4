//! What the connections cost, read from `/proc` without asking the processes that are measured.
//!
//! What cannot be read is `None`, and is shown as `n/a`; nothing is guessed.
#![forbid(unsafe_code)]

use std::fs;
use std::ops::AddAssign;
use std::path::Path;
use std::time::Duration;

use crate::limits::{meminfo, page_size};

/// Memory of processes in user space, in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Memory {
    /// Everything that is in memory.
    pub(crate) resident: u64,
    /// The part that no other process shares: what would be free if the process ended.
    pub(crate) private: u64,
}

impl Memory {
    pub(crate) fn of(pids: &[u32]) -> Option<Self> {
        sum(pids, |pid| {
            let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
            let field = |name| kilobytes(&text, name);
            Some(Self {
                resident: field("Rss:")?,
                private: field("Private_Clean:")? + field("Private_Dirty:")?,
            })
        })
    }
}

impl AddAssign for Memory {
    fn add_assign(&mut self, other: Self) {
        self.resident += other.resident;
        self.private += other.private;
    }
}

/// Memory of the kernel that grows with connections, in bytes: its objects (`Slab`), and the
/// buffers of TCP. Of the whole system, so other programs' sockets are in it too.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kernel(pub(crate) u64);

impl Kernel {
    pub(crate) fn now() -> Option<Self> {
        let sockets = fs::read_to_string("/proc/net/sockstat").ok()?;
        let tcp = sockets.lines().find(|line| line.starts_with("TCP:"))?;
        let pages: u64 = tcp.rsplit_once("mem ")?.1.trim().parse().ok()?;
        Some(Self(meminfo("Slab")? + pages * page_size()))
    }
}

/// CPU time and how often a thread went to sleep, since the start of the processes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Work {
    pub(crate) cpu: Duration,
    /// Each sleep ends with a wake-up, so this counts those.
    pub(crate) sleeps: u64,
}

impl Work {
    pub(crate) fn of(pids: &[u32]) -> Option<Self> {
        sum(pids, |pid| {
            let mut all = Self::default();
            for thread in fs::read_dir(format!("/proc/{pid}/task")).ok()? {
                all += Self::of_thread(&thread.ok()?.path())?;
            }
            Some(all)
        })
    }

    fn of_thread(thread: &Path) -> Option<Self> {
        // Nanoseconds; the better-known `stat` counts in hundredths of a second.
        let schedstat = fs::read_to_string(thread.join("schedstat")).ok()?;
        let status = fs::read_to_string(thread.join("status")).ok()?;
        let sleeps = status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        Some(Self {
            cpu: Duration::from_nanos(schedstat.split_whitespace().next()?.parse().ok()?),
            sleeps: sleeps.trim().parse().ok()?,
        })
    }

    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(earlier.cpu),
            sleeps: self.sleeps.saturating_sub(earlier.sleeps),
        }
    }
}

impl AddAssign for Work {
    fn add_assign(&mut self, other: Self) {
        self.cpu += other.cpu;
        self.sleeps += other.sleeps;
    }
}

fn sum<T: Default + AddAssign>(pids: &[u32], of: impl Fn(u32) -> Option<T>) -> Option<T> {
    let mut all = T::default();
    for pid in pids {
        all += of(*pid)?;
    }
    (!pids.is_empty()).then_some(all)
}

fn kilobytes(text: &str, field: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}
