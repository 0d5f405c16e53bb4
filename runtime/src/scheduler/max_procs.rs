//! How many workers run at a time: what somebody has set, or what the limits of the process allow.
#![forbid(unsafe_code)]

use std::sync::MutexGuard;
use std::sync::atomic::Ordering::Acquire;

use super::Scheduler;
use crate::procs::CpuLimits;

impl Scheduler {
    /// Changes the number of workers that run at a time; missing ones are started by the monitor,
    /// surplus ones step down by themselves.
    pub(crate) fn set_max_procs(&self, n: usize) -> usize {
        let mut limits = self.limits();
        *limits = None;
        self.change_max_procs(n)
    }

    /// Lets it follow the limits of the process, unless somebody has set it. Reads some small
    /// files.
    pub(super) fn follow_limits(&self) {
        let limits = self.limits();
        if let Some(limits) = &*limits {
            let cpus = limits.cpus();
            if cpus != self.max_procs() {
                self.change_max_procs(cpus);
            }
        }
    }

    /// Lets it follow limits that a test controls.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn set_limits(&self, limits: CpuLimits) {
        *self.limits() = Some(limits);
    }

    fn change_max_procs(&self, n: usize) -> usize {
        let before = self.idle.set_max_procs(n);
        self.monitor.hurry();
        if n < before {
            self.unpark_surplus();
        }
        before
    }

    fn limits(&self) -> MutexGuard<'_, Option<CpuLimits>> {
        self.limits
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Lets those that sleep without need notice that they may be surplus.
    pub(super) fn unpark_surplus(&self) {
        let started = self.started.load(Acquire);
        (self.max_procs()..started).for_each(|index| self.unpark(index));
    }
}
