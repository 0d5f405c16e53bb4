//! ⚠ A copy of the process in which code may run that must have no effect: `fork`, with nothing
//! left that reaches out of its memory.
//!
//! The copy has one thread, the one that called, and the memory of all as it was at one moment: the
//! system stops each other thread of the process at its first write from then on until the copy is
//! made. What the copy does to its memory nobody else sees. Before any foreign code runs there,
//!
//! - all signals are blocked, and were before the copy was made;
//! - memory that is shared with other processes is made inaccessible;
//! - a seccomp filter (`filter.rs`) lets through what manages private memory, what waits, ends, or
//!   tells the time, and writes to the one pipe that leads to the parent. Every other system call
//!   does nothing and says that it succeeded, so that destructors which close, delete or say
//!   goodbye go on to their end; those that would make a thread or a process fail.
//!
//! Whatever goes wrong there, such as a lock that some other thread held at the moment of the copy,
//! or a crash, is the end of the copy alone: the parent waits with a deadline, and kills it. The
//! copy dies with the thread that made it, too.
//!
//! What others may notice: a SIGCHLD, and that descriptors which are closed meanwhile stay open
//! until the copy has gone.

use std::fs::{self, File};
use std::io::{self, Read};
use std::mem;
use std::ops::Range;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::time::{Duration, Instant};

use super::filter::filter;

/// Proof that the code runs in a copy that is cut off.
#[derive(Debug)]
pub(crate) struct Inside(());

/// A copy that runs.
pub(super) struct Copy {
    id: libc::pid_t,
    told: File,
    /// The pipe has ended, and it is the only one that has the other end: it is gone, and its
    /// number may soon be another's.
    gone: bool,
}

/// Makes a copy, and runs `prepare` there, which may still read files, and then, cut off, `act`.
/// What they write [`Copy::hear`] hears.
///
/// # Errors
///
/// If the system refuses a process or a pipe.
pub(super) fn copy<P>(
    prepare: impl FnOnce(&File) -> io::Result<P>,
    act: impl FnOnce(P, &File, &Inside),
) -> io::Result<Copy> {
    let (told, tell) = pipe()?;
    let before = block_signals()?;
    // SAFETY: the child has this thread only. It calls what a forked child of a program with
    // threads strictly may not, the allocator and std, but the C library's `fork` leaves the
    // allocator in order, and other locks that are held now make it hang, no worse.
    let id = unsafe { libc::fork() };
    if id == 0 {
        let _ = catch_unwind(AssertUnwindSafe(|| perform(tell, prepare, act)));
        // SAFETY: ends the copy without running anything of it.
        unsafe { libc::_exit(0) };
    }
    let error = io::Error::last_os_error();
    restore_signals(&before);
    if id < 0 {
        return Err(error);
    }
    Ok(Copy {
        id,
        told,
        gone: false,
    })
}

/// The life of the copy.
fn perform<P>(
    tell: File,
    prepare: impl FnOnce(&File) -> io::Result<P>,
    act: impl FnOnce(P, &File, &Inside),
) {
    // The panic hook stays what it is: some thread may be using it just now, which would have it
    // locked here for ever.
    let prepared = prepare(&tell).and_then(|prepared| {
        close_shared_memory()?;
        cut_off(&tell)?;
        Ok(prepared)
    });
    if let Ok(prepared) = prepared {
        act(prepared, &tell, &Inside(()));
    }
}

impl Copy {
    /// Passes on what it says until it ends by itself, or has been silent for so long and is given
    /// up: `false`.
    pub(super) fn hear(
        mut self,
        patience: Duration,
        mut listen: impl FnMut(&[u8]),
    ) -> io::Result<bool> {
        let mut piece = vec![0; 64 * 1024];
        while !self.gone && self.speaks(Instant::now() + patience)? {
            match self.told.read(&mut piece)? {
                0 => self.gone = true,
                n => listen(&piece[..n]),
            }
        }
        Ok(self.gone)
    }

    /// Waits until there is something to read, or the end; `false`: the deadline has passed.
    fn speaks(&self, deadline: Instant) -> io::Result<bool> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            // Rounded up, so that it does not spin at the end.
            let left = left.saturating_add(Duration::from_micros(999)).as_millis();
            let left = libc::c_int::try_from(left).unwrap_or(libc::c_int::MAX);
            let mut entry = libc::pollfd {
                fd: self.told.as_raw_fd(),
                events: libc::POLLIN,
                revents: 0,
            };
            // SAFETY: one entry, which outlives the call.
            match unsafe { libc::poll(&mut entry, 1, left) } {
                0 => {}
                1.. => return Ok(true),
                _ => {
                    let error = io::Error::last_os_error();
                    if error.kind() != io::ErrorKind::Interrupted {
                        return Err(error);
                    }
                }
            }
        }
    }
}

impl Drop for Copy {
    /// It is of no use any more, whatever it does.
    fn drop(&mut self) {
        // SAFETY: our child, which exists as long as the pipe has not ended.
        if !self.gone && unsafe { libc::kill(self.id, libc::SIGKILL) } != 0 {
            return;
        }
        // SAFETY: nothing is written to. Whoever waits for any child may have been faster, which is
        // as well.
        while unsafe { libc::waitpid(self.id, ptr::null_mut(), 0) } < 0
            && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
        {}
    }
}

fn pipe() -> io::Result<(File, File)> {
    let mut ends = [0; 2];
    // SAFETY: room for two descriptors, which are ours from then on.
    unsafe {
        if libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) != 0 {
            return Err(io::Error::last_os_error());
        }
        let [read, write] = ends.map(|end| File::from(OwnedFd::from_raw_fd(end)));
        Ok((read, write))
    }
}

fn block_signals() -> io::Result<libc::sigset_t> {
    // SAFETY: both sets outlive the calls that fill them.
    unsafe {
        let (mut all, mut before) = (mem::zeroed(), mem::zeroed());
        libc::sigfillset(&mut all);
        match libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before) {
            0 => Ok(before),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }
}

fn restore_signals(before: &libc::sigset_t) {
    // SAFETY: a set that `block_signals` filled.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before, ptr::null_mut()) };
}

/// The contents of some stretches of this process' memory, initialised or not: it is the system
/// that reads them. `goes_on` is called before each.
///
/// # Errors
///
/// If the system refuses.
pub(super) fn read_memory(
    stretches: impl Iterator<Item = Range<usize>>,
    mut goes_on: impl FnMut(),
) -> io::Result<Vec<Box<[u8]>>> {
    let memory = File::open("/proc/self/mem")?;
    let read = |stretch: Range<usize>| {
        goes_on();
        let mut bytes = vec![0; stretch.len()].into_boxed_slice();
        memory.read_exact_at(&mut bytes, stretch.start as u64)?;
        Ok(bytes)
    };
    stretches.map(read).collect()
}

/// What other processes, or a device, would see.
fn close_shared_memory() -> io::Result<()> {
    for line in fs::read_to_string("/proc/self/maps")?.lines() {
        if let Some(range) = shared(line) {
            // SAFETY: whoever touches it in the copy crashes, and that is meant.
            unsafe {
                let start = ptr::without_provenance_mut(range.start);
                if libc::mprotect(start, range.len(), libc::PROT_NONE) != 0 {
                    return Err(io::Error::last_os_error());
                }
            }
        }
    }
    Ok(())
}

/// The range of a line of `maps` that is shared and can be written.
fn shared(line: &str) -> Option<Range<usize>> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let rights = fields.next()?.as_bytes();
    let address = |text| usize::from_str_radix(text, 16).ok();
    (rights.get(1) == Some(&b'w') && rights.get(3) == Some(&b's'))
        .then_some(address(start)?..address(end)?)
}

/// From here on nothing but memory, and the pipe.
fn cut_off(tell: &File) -> io::Result<()> {
    let filter = filter(tell.as_raw_fd());
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).map_err(io::Error::other)?,
        filter: filter.as_ptr().cast_mut(),
    };
    let none: libc::c_ulong = 0;
    let limit = |most| libc::rlimit {
        rlim_cur: most,
        rlim_max: most,
    };
    let checked = |result: libc::c_int| match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    };
    // SAFETY: system calls on this process alone; the program outlives the call that copies it.
    unsafe {
        checked(libc::prctl(
            libc::PR_SET_PDEATHSIG,
            libc::SIGKILL as libc::c_ulong,
        ))?;
        // A crash is no event: neither a core file nor a report of one.
        checked(libc::prctl(libc::PR_SET_DUMPABLE, none))?;
        checked(libc::setrlimit(libc::RLIMIT_CORE, &limit(0)))?;
        checked(libc::setrlimit(libc::RLIMIT_CPU, &limit(CPU_SECONDS)))?;
        checked(libc::prctl(
            libc::PR_SET_NO_NEW_PRIVS,
            1 as libc::c_ulong,
            none,
            none,
            none,
        ))?;
        checked(libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER as libc::c_ulong,
            &raw const program,
        ))
    }
}

/// Should the parent die without a word.
const CPU_SECONDS: libc::rlim_t = 60;
