//! The threads of the process, as the system counts them.
//!
//! The deadlock check has to know that nobody else could act: neither a thread that this crate did
//! not start, nor a signal handler. All of it is read from `/proc`; where that is not there, the
//! answers are "unknown", and the check stays silent.
//!
//! Threads go by the numbers under which `/proc/self/task` lists them, which need not be those of
//! `gettid`: the mount may belong to another namespace. A thread therefore learns its own from
//! `/proc/thread-self`.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard};

/// Where the system tells. Under Miri nowhere: what it would tell is of the interpreter's threads,
/// not of the program's.
pub(super) const PROC: &str = if cfg!(miri) { "/none" } else { "/proc" };

/// The number of a thread.
pub(crate) type ThreadNumber = u32;

thread_local! {
    /// `None`: not asked yet.
    static NUMBER: Cell<Option<Option<ThreadNumber>>> = const { Cell::new(None) };
}

/// The calling thread's number.
pub(crate) fn current() -> Option<ThreadNumber> {
    let number = NUMBER.get().unwrap_or_else(|| {
        let link = fs::read_link(format!("{PROC}/thread-self")).ok()?;
        link.file_name()?.to_str()?.parse().ok()
    });
    NUMBER.set(Some(number));
    number
}

/// The numbers of all threads of the process; `None` if the list is not to be trusted.
pub(crate) fn all() -> Option<Vec<ThreadNumber>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(format!("{PROC}/self/task")).ok()? {
        numbers.push(entry.ok()?.file_name().to_str()?.parse().ok()?);
    }
    // The kernel may skip a thread in a listing when another one ends at that moment; then the
    // count disagrees.
    (count()? == numbers.len()).then_some(numbers)
}

/// How many threads the process has; `None`: unknown.
pub(crate) fn count() -> Option<usize> {
    status_field("Threads:")?.parse().ok()
}

/// The number of the thread that the process began with; `None`: unknown.
pub(crate) fn first() -> Option<ThreadNumber> {
    let link = fs::read_link(format!("{PROC}/self")).ok()?;
    link.file_name()?.to_str()?.parse().ok()
}

/// Whether a thread waits for something else than a CPU, at this moment; `None`: unknown. Some ten
/// microseconds.
pub(crate) fn waits(thread: ThreadNumber) -> Option<bool> {
    let stat = fs::read_to_string(format!("{PROC}/self/task/{thread}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    let state = after_name.trim_start().chars().next()?;
    // `R`: it runs, or would if there were a CPU.
    Some(state != 'R')
}

/// Signals whose handlers wake nobody: those that std installs to report a stack overflow, and two
/// of libc's own.
const HARMLESS: u64 = bit(libc::SIGSEGV) | bit(libc::SIGBUS) | bit(32) | bit(33);

/// Signals for which this crate has installed such handlers.
static OWN: AtomicU64 = AtomicU64::new(0);

/// Notes a handler of this crate's that wakes no task.
pub(crate) fn handler_wakes_nobody(signal: i32) {
    OWN.fetch_or(bit(signal), Relaxed);
}

/// Whether a signal might make something happen in this process; `None`: unknown.
pub(crate) fn awaits_signal() -> Option<bool> {
    Some(caught()? & !(HARMLESS | OWN.load(Relaxed)) != 0)
}

/// Whether the process has a handler for this signal; `None`: unknown.
pub(crate) fn catches(signal: i32) -> Option<bool> {
    Some(caught()? & bit(signal) != 0)
}

fn caught() -> Option<u64> {
    u64::from_str_radix(&status_field("SigCgt:")?, 16).ok()
}

/// Threads of this crate that belong to no runtime and wake no task.
static HELPERS: Mutex<Vec<ThreadNumber>> = Mutex::new(Vec::new());

/// The calling thread is one of them, and will be as long as the process.
pub(crate) fn become_helper() {
    let number = current();
    helpers_lock().extend(number);
}

pub(crate) fn helpers() -> Vec<ThreadNumber> {
    helpers_lock().clone()
}

fn helpers_lock() -> MutexGuard<'static, Vec<ThreadNumber>> {
    HELPERS
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

const fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

fn status_field(name: &str) -> Option<String> {
    let status = fs::read_to_string(format!("{PROC}/self/status")).ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(value.trim().to_owned())
}

#[cfg(all(test, target_os = "linux", not(any(loom, miri))))]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;

    #[test]
    fn a_thread_finds_itself_in_the_list() {
        let (leave, stay) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        let thread = thread::spawn(move || {
            tell.send(current().unwrap()).unwrap();
            let _ = stay.recv();
        });
        let other = told.recv().unwrap();
        let me = current().unwrap();
        assert_ne!(me, other);
        // Other tests' threads come and go, and may spoil one listing.
        let all = std::iter::repeat_with(all).flatten().next().unwrap();
        assert!(all.contains(&me) && all.contains(&other), "{all:?}");
        assert!(all.contains(&first().unwrap()), "the harness is there");
        drop(leave);
        thread.join().unwrap();
    }

    #[test]
    fn the_signals_of_std_are_harmless() {
        assert_eq!(awaits_signal(), Some(false));
    }
}
