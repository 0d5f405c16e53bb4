//! How many workers there are if nobody says: as many as the process has CPUs.
//!
//! The environment's `RUNTIME_MAXPROCS` comes first. Else it is the smaller of two numbers: the
//! CPUs on which the thread that builds the runtime may run ([`affinity`]), and the CPU time that
//! the process' cgroups grant it, in CPUs ([`cgroup`]), rounded up, since rounding down would leave
//! granted time unused.
//!
//! As in Go, the second is looked at again while the program runs, for a container can be given
//! more or less: once a second at the most, by the monitor, and only while it is awake anyway.
//! Whoever sets the number, by the environment, the builder or `set_max_procs`, has set it for
//! good.
//!
//! *Unlike Go*, where a quota below two CPUs counts as two: there the second serves the garbage
//! collector.

mod affinity;
mod cgroup;

use std::io;
use std::num::NonZeroUsize;
use std::path::Path;
use std::thread;

use cgroup::Quotas;

/// A bound against slips of the finger; Go's own is gone, but nobody has more CPUs.
pub(crate) const MAX_MAX_PROCS: usize = 4096;

/// What limits the CPUs of this process.
#[derive(Clone, Debug)]
pub(crate) struct CpuLimits {
    quotas: Quotas,
}

impl CpuLimits {
    /// Looks where the limits are to be found: its cgroups, as they are now.
    pub(crate) fn find() -> Self {
        Self::find_in(Path::new("/"))
    }

    fn find_in(root: &Path) -> Self {
        Self {
            quotas: Quotas::find(root),
        }
    }

    /// How many CPUs they leave: 1 or more. Reads some small files.
    pub(crate) fn cpus(&self) -> usize {
        let allowed = affinity::cpus().or_else(|| thread::available_parallelism().ok());
        smallest(allowed, self.quotas.cpus())
    }
}

fn smallest(allowed: Option<NonZeroUsize>, granted: Option<NonZeroUsize>) -> usize {
    let cpus = allowed.into_iter().chain(granted).min();
    cpus.map_or(1, NonZeroUsize::get).min(MAX_MAX_PROCS)
}

/// The number that the environment asks for, of the variable's value. An empty one asks for
/// nothing: so service managers and container files say "not set".
///
/// # Errors
///
/// If it is no such number; the message names the variable.
pub(crate) fn from_env(value: Option<&str>) -> io::Result<Option<usize>> {
    let Some(text) = value.filter(|text| !text.trim().is_empty()) else {
        return Ok(None);
    };
    match text.trim().parse() {
        Ok(n) if (1..=MAX_MAX_PROCS).contains(&n) => Ok(Some(n)),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!(
                "RUNTIME_MAXPROCS={text:?}: give a number from 1 to {MAX_MAX_PROCS}, or unset it"
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_overrides_the_number_of_cpus() {
        assert_eq!(from_env(Some(" 3 ")).unwrap(), Some(3));
        assert_eq!(from_env(None).unwrap(), None);
    }

    #[test]
    fn an_empty_variable_counts_as_none() {
        assert_eq!(from_env(Some("")).unwrap(), None);
        assert_eq!(from_env(Some(" ")).unwrap(), None);
    }

    #[test]
    fn nonsense_in_the_environment_is_an_error_that_names_it() {
        for text in ["0", "-1", "many", "4097"] {
            let error = from_env(Some(text)).unwrap_err().to_string();
            assert!(error.contains("RUNTIME_MAXPROCS"), "{error}");
        }
    }

    #[test]
    fn the_smaller_of_affinity_and_quota_counts() {
        let n = NonZeroUsize::new;
        assert_eq!(smallest(n(8), n(3)), 3);
        assert_eq!(smallest(n(2), n(3)), 2);
        assert_eq!(smallest(n(8), None), 8);
        assert_eq!(smallest(None, n(3)), 3);
        assert_eq!(smallest(None, None), 1);
        assert_eq!(smallest(n(10_000), None), MAX_MAX_PROCS);
    }

    /// The quota is that of a directory tree; the affinity, which is that of the machine, must not
    /// be smaller.
    #[cfg(not(loom))]
    #[test]
    fn a_runtime_follows_its_limits_until_somebody_sets_the_number() {
        use crate::Builder;
        use std::time::{Duration, Instant};
        use std::{env, fs, process};

        let root = env::temp_dir().join(format!("weftline-limits-{}", process::id()));
        let write = |file: &str, text: &str| {
            let file = root.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        write("proc/self/cgroup", "0::/\n");
        write(
            "proc/self/mountinfo",
            "30 23 0:26 / /cg rw - cgroup2 none rw\n",
        );
        write("cg/cpu.max", "max 100000\n");
        let limits = CpuLimits::find_in(&root);
        let all = limits.cpus();
        let rt = Builder::new().max_procs(7).build().unwrap();
        let handle = rt.handle();
        handle.scheduler().set_limits(limits);
        // The monitor looks only while something runs.
        let wait_for = |expected: usize| {
            let start = Instant::now();
            while handle.max_procs() != expected {
                assert!(start.elapsed() < Duration::from_secs(300));
                rt.block_on(rt.spawn(crate::yield_now())).unwrap();
            }
        };
        wait_for(all);
        write("cg/cpu.max", "1000 100000\n");
        wait_for(1);
        write("cg/cpu.max", "max 100000\n");
        wait_for(all);
        handle.set_max_procs(5);
        write("cg/cpu.max", "1000 100000\n");
        let later = Instant::now() + Duration::from_millis(2500);
        while Instant::now() < later {
            rt.block_on(rt.spawn(crate::yield_now())).unwrap();
            assert_eq!(handle.max_procs(), 5);
        }
        let _ = fs::remove_dir_all(&root);
    }

    #[test]
    fn there_is_a_cpu_to_run_on() {
        assert!((1..=MAX_MAX_PROCS).contains(&CpuLimits::find().cpus()));
    }
}
