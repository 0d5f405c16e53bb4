//! ⚠ What the scheduler asks of the kernel's: how much CPU time a thread has had, and how long one
//! may run before another takes over.
//!
//! **CPU time** tells a thread that computes from one that blocks: the clock of one that waits for
//! a lock, a descriptor or a sleep stands. So does that of a thread which waits for a CPU; the two
//! are told apart by its state, see [`threads`](super::threads::waits).
//!
//! **Slices.** A spare that takes the place of a stuck worker needs a CPU, and where the stuck one
//! spins there may be none: with more spinning threads than CPUs each waits for the others' slices,
//! some milliseconds each, and so do the timers. Linux (from 6.12) lets a thread that wakes run at
//! once if its slice is shorter than that of the one that runs, within what is its fair share. So
//! the monitor gives stuck workers the longest slice there is, which they keep in the order of a
//! hundred milliseconds anyway, and itself the shortest.
//!
//! No thread gets more time by it, none loses any, and no privilege is needed. Older kernels ignore
//! the value; other systems, and Miri, have no such call. Nothing here depends on its success.
//!
//! *Rejected*: a lower priority (`nice`), which an ordinary user cannot take back when the poll has
//! returned; short slices for all workers, which would cost switches where nobody is stuck.

/// A thread, as the kernel's scheduler knows it. Only for threads that are known to be alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KernelThread(libc::pid_t);

/// For how long a thread may run where others wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slice {
    /// The shortest: for whoever looks, and sleeps again.
    Shortest,
    /// The system's own.
    Default,
    /// The longest: for whoever computes, and would not notice.
    Longest,
}

pub(crate) use system::{cpu_time, set_slice};

#[cfg(all(target_os = "linux", not(miri)))]
mod system {
    use std::time::Duration;

    use super::{KernelThread, Slice};

    /// `struct sched_attr` of `sched_setattr(2)`, in its first version.
    #[repr(C)]
    #[derive(Default)]
    struct Attributes {
        size: u32,
        policy: u32,
        flags: u64,
        nice: i32,
        priority: u32,
        /// For ordinary threads: the slice.
        runtime: u64,
        deadline: u64,
        period: u64,
    }

    const SIZE: u32 = size_of::<Attributes>() as u32;

    impl Slice {
        /// In nanoseconds, with the kernel's own bounds; 0 is its default.
        fn nanos(self) -> u64 {
            match self {
                Self::Shortest => 100_000,
                Self::Default => 0,
                Self::Longest => 20_000_000,
            }
        }
    }

    impl KernelThread {
        /// The calling thread.
        pub(crate) fn current() -> Self {
            // SAFETY: it has no arguments and cannot fail.
            Self(unsafe { libc::gettid() })
        }
    }

    /// The CPU time that a thread of this process has had, in nanoseconds. Some hundred nanoseconds
    /// of system call.
    pub(crate) fn cpu_time(thread: KernelThread) -> Option<u64> {
        // What `pthread_getcpuclockid` returns: the number, inverted, and that it is one thread's
        // (4) whole time on a CPU (2).
        let clock = (!thread.0 << 3) | 4 | 2;
        let mut time = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: the kernel writes one `timespec`, which lives longer than the call; a clock that
        // is not there is an error.
        let got = unsafe { libc::clock_gettime(clock, &raw mut time) };
        let time = Duration::new(time.tv_sec as u64, time.tv_nsec as u32);
        (got == 0).then_some(time.as_nanos() as u64)
    }

    /// Asks for a slice for a thread of this process that is alive. Whatever else was set for it
    /// stays; a thread with a real-time policy is left alone.
    pub(crate) fn set_slice(thread: KernelThread, slice: Slice) {
        let mut attributes = Attributes::default();
        // SAFETY: the kernel writes at most `SIZE` bytes to the structure, which is plain data and
        // lives longer than the call.
        let got = unsafe {
            libc::syscall(
                libc::SYS_sched_getattr,
                thread.0,
                &raw mut attributes,
                SIZE,
                0,
            )
        };
        let ordinary = [libc::SCHED_OTHER, libc::SCHED_BATCH].map(|policy| policy as u32);
        if got != 0 || !ordinary.contains(&attributes.policy) {
            return;
        }
        attributes.size = SIZE;
        attributes.runtime = slice.nanos();
        // SAFETY: the kernel reads `size` bytes of the structure, which is as long.
        unsafe { libc::syscall(libc::SYS_sched_setattr, thread.0, &raw const attributes, 0) };
    }

    #[cfg(all(test, not(loom)))]
    pub(super) fn slice_of(thread: KernelThread) -> Option<u64> {
        let mut attributes = Attributes::default();
        // SAFETY: as in `set_slice`.
        let got = unsafe {
            libc::syscall(
                libc::SYS_sched_getattr,
                thread.0,
                &raw mut attributes,
                SIZE,
                0,
            )
        };
        (got == 0).then_some(attributes.runtime)
    }
}

#[cfg(not(all(target_os = "linux", not(miri))))]
mod system {
    use super::{KernelThread, Slice};

    impl KernelThread {
        pub(crate) fn current() -> Self {
            Self(0)
        }
    }

    pub(crate) fn set_slice(_: KernelThread, _: Slice) {}

    pub(crate) fn cpu_time(_: KernelThread) -> Option<u64> {
        None
    }
}

#[cfg(all(test, target_os = "linux", not(any(loom, miri))))]
mod tests {
    use super::*;

    #[test]
    fn the_clock_of_a_thread_goes_on_while_it_computes_and_only_then() {
        let me = KernelThread::current();
        let time = || cpu_time(me).unwrap();
        let before = time();
        while time() < before + 5_000_000 {
            std::hint::spin_loop();
        }
        let before = time();
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert!(time() - before < 25_000_000);
        assert_eq!(cpu_time(KernelThread(libc::pid_t::MAX - 1)), None);
    }

    #[test]
    fn a_slice_is_set_and_taken_back() {
        let me = KernelThread::current();
        let before = system::slice_of(me);
        set_slice(me, Slice::Longest);
        let longest = system::slice_of(me);
        set_slice(me, Slice::Default);
        // An older kernel says 0 each time, and one without the call nothing.
        if before.is_some_and(|slice| slice > 0) {
            assert_eq!(longest, Some(20_000_000));
            assert_eq!(system::slice_of(me), before);
        }
    }
}
