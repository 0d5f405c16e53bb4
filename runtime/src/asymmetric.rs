//! ⚠ A barrier in two halves of unequal price: one that the processor never sees, for those who
//! come a million times, and one that costs a system call, for those who come once in a while.
//!
//! Two threads that each write one variable and then read the other's, as in Dekker's algorithm,
//! may both read what was there before, unless there is a full barrier in between on both sides.
//! With `membarrier(2)` one of them can pay for both: [`heavy`] has every running thread of the
//! process pass through a full barrier, wherever it happens to be; threads that do not run have
//! passed through one when they were taken off their core. So of a thread that comes to [`light`],
//! which only keeps the compiler from moving things across, what was written before it is seen by
//! whoever comes out of `heavy`, or else what was written before `heavy` is seen by what it reads
//! after.
//!
//! The system has to be told beforehand, which can take it milliseconds once there are several
//! threads. The first runtime's monitor does it, whom nobody waits for; until then, and where the
//! system has no such call, [`is_there`] is `false`, and whoever would like to use `light` has to
//! do with an atomic operation.
//!
//! Hidden, for the crate `sync`. In models both halves are ordinary fences.
//!
//! Source: the same is in the kernel's `Documentation/scheduler/membarrier.rst` and, as
//! `asymmetric_thread_fence`, in Folly and in the C++ proposal P1202.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// What [`register`] has found out. Relaxed: it says that a later call will work, and guards
/// nothing.
static THERE: AtomicBool = AtomicBool::new(false);

/// Asks the system for its half, once for the process. Whoever comes while somebody else asks does
/// not wait for the answer: in a child that was forked at this moment it never comes.
pub(crate) fn register() {
    static ASKED: AtomicBool = AtomicBool::new(false);
    if !ASKED.swap(true, Relaxed) {
        THERE.store(system::register(), Relaxed);
    }
}

/// Whether [`heavy`] may be called: one relaxed load.
///
/// ```
/// // On Linux, a moment after the first runtime of the process has started.
/// let _ = runtime::asymmetric::is_there();
/// ```
///
/// **Go:** none.
#[inline]
pub fn is_there() -> bool {
    // A model starts no monitor.
    cfg!(loom) || THERE.load(Relaxed)
}

/// The half that costs nothing: what the thread wrote before is in memory when it reads what comes
/// after, as far as somebody in [`heavy`] can tell.
///
/// ```
/// runtime::asymmetric::light();
/// ```
///
/// # Memory ordering
///
/// A sequentially consistent fence, towards those who come through [`heavy`]; towards all others
/// nothing at all.
///
/// **Go:** none.
#[inline(always)]
pub fn light() {
    system::light();
}

/// The half that pays for both: some microseconds, and a short interruption of every thread of the
/// process that runs just now.
///
/// ```
/// if runtime::asymmetric::is_there() {
///     runtime::asymmetric::heavy();
/// }
/// ```
///
/// # Memory ordering
///
/// A sequentially consistent fence, towards all others and those who come through [`light`].
///
/// # Panics
///
/// If the system refuses what it had granted, as it does when a filter of system calls is put in
/// place later on that does not know the call.
///
/// **Go:** none.
#[cold]
pub fn heavy() {
    debug_assert!(is_there(), "heavy barrier without registration");
    if let Err(error) = system::heavy() {
        panic!(
            "membarrier(2) worked when the runtime started and fails now ({error}): \
             allow it in the filter of system calls (seccomp), or put the filter in place before \
             the runtime starts"
        );
    }
}

#[cfg(all(target_os = "linux", not(miri), not(loom)))]
mod system {
    use std::io;
    use std::sync::atomic::{Ordering::SeqCst, compiler_fence};

    /// `MEMBARRIER_CMD_PRIVATE_EXPEDITED`: all running threads of this process, at once.
    const BARRIER: libc::c_int = 1 << 3;
    /// `MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED`.
    const REGISTER: libc::c_int = 1 << 4;

    pub(super) fn register() -> bool {
        call(REGISTER).and_then(|()| heavy()).is_ok()
    }

    #[inline(always)]
    pub(super) fn light() {
        compiler_fence(SeqCst);
    }

    pub(super) fn heavy() -> io::Result<()> {
        call(BARRIER)
    }

    fn call(command: libc::c_int) -> io::Result<()> {
        let no_flags: libc::c_uint = 0;
        let any_cpu: libc::c_int = 0;
        // SAFETY: the call takes three numbers and touches no memory of ours.
        let done = unsafe { libc::syscall(libc::SYS_membarrier, command, no_flags, any_cpu) };
        match done {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// Other systems, and Miri, have no such call.
#[cfg(all(any(not(target_os = "linux"), miri), not(loom)))]
mod system {
    use std::io;
    use std::sync::atomic::{Ordering::SeqCst, compiler_fence};

    pub(super) fn register() -> bool {
        false
    }

    #[inline(always)]
    pub(super) fn light() {
        compiler_fence(SeqCst);
    }

    pub(super) fn heavy() -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// In models both halves are fences.
#[cfg(loom)]
mod system {
    use std::io;

    use loom::sync::atomic::{Ordering::SeqCst, fence};

    pub(super) fn register() -> bool {
        true
    }

    pub(super) fn light() {
        fence(SeqCst);
    }

    pub(super) fn heavy() -> io::Result<()> {
        fence(SeqCst);
        Ok(())
    }
}

#[cfg(all(test, target_os = "linux", not(miri), not(loom)))]
mod tests {
    use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
    use std::thread;

    use super::*;

    /// One side writes and reads, over and over; the other writes once, and reads. What the first
    /// wrote before a read that did not see the other's, the other must see. Without `heavy` it
    /// does not, within a few rounds.
    #[test]
    fn who_is_not_seen_sees() {
        const ROUNDS: u32 = 2_000;
        // Not `register`, which does not wait where another test's runtime asks.
        if system::register() {
            THERE.store(true, Relaxed);
        } else {
            eprintln!("skipped: this system has no membarrier(2)");
            return;
        }
        let (count, round) = (AtomicU64::new(0), AtomicU32::new(0));
        // The count of the read that first saw the round, for the other side to look at.
        let seen_at: Vec<_> = (0..=ROUNDS).map(|_| AtomicU64::new(0)).collect();
        let mut missed = Vec::new();
        thread::scope(|scope| {
            scope.spawn(|| {
                for (wanted, seen_at) in seen_at.iter().enumerate().skip(1) {
                    loop {
                        let next = count.load(Relaxed) + 1;
                        count.store(next, Relaxed);
                        light();
                        if round.load(Relaxed) == wanted as u32 {
                            seen_at.store(next, SeqCst);
                            break;
                        }
                    }
                }
            });
            for now in 1..=ROUNDS {
                round.store(now, Relaxed);
                heavy();
                let counted = count.load(Relaxed);
                while seen_at[now as usize].load(SeqCst) == 0 {
                    thread::yield_now();
                }
                let unseen = seen_at[now as usize].load(SeqCst) - 1;
                // Said at the end, since the other side goes on until then.
                if counted < unseen {
                    missed.push((now, unseen, counted));
                }
            }
        });
        assert_eq!(missed, [], "(round, not seen at, saw)");
    }
}
