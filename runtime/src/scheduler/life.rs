//! ⚠ [`Life`]: whether a runtime runs, in a word that the system wipes in a copy of the process.
//!
//! ```text
//!   WIPED ◄──fork, in the child── RUNS ──stop──► STOPS ──fork, in the child──► WIPED
//! ```
//!
//! A child that `fork` makes has the thread that called and no other: no worker of the parent's, no
//! monitor. What is queued there is never run, what sleeps is never woken; and the reactor is the
//! parent's own, so that whoever polled it in the child would take the parent's events away. So a
//! child must not use a runtime that it has inherited, and is told so as soon as it tries, instead
//! of hanging: see [`Scheduler::forbid_in_child`]. A worker that finds itself in a child after a
//! poll ends the child. A runtime that is built in the child is as good as any.
//!
//! Nobody on a hot path asks for it. A worker asks before each task whether the runtime stops, and
//! that is this word: wiped it says so, too.
//!
//! The words lie in pages that are marked `MADV_WIPEONFORK` (Linux, from 4.14). Where that is not
//! to be had the number of the process tells, for whoever is slow enough to ask the system.
//!
//! *Rejected*: `pthread_atfork`, whose handlers run in every child that is made only to be replaced
//! by another program, and can never be taken back by a library that is unloaded.
//!
//! Invariant: a word is used by one runtime at a time, and never goes away.

use std::panic::Location;
use std::process;
use std::sync::atomic::{
    AtomicBool, AtomicU32,
    Ordering::{Relaxed, SeqCst},
};
use std::sync::{Mutex, PoisonError};

use super::Scheduler;

/// What the system writes.
const WIPED: u32 = 0;
const RUNS: u32 = 1;
const STOPS: u32 = 2;

/// Words without a runtime.
static FREE: Mutex<Vec<Word>> = Mutex::new(Vec::new());

/// This process is a copy in which nothing is to have any effect, and none is to be missed.
static REHEARSAL: AtomicBool = AtomicBool::new(false);

#[derive(Clone, Copy, Debug)]
struct Word {
    state: &'static AtomicU32,
    /// Whether the system wipes it.
    wiped: bool,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Life {
    word: Word,
    /// The process that it began in.
    process: u32,
}

impl Life {
    pub(crate) fn new() -> Self {
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        // In a child none of the parent's are left, but those that were free.
        let word = free.pop().unwrap_or_else(|| {
            free.extend(pages::new_page());
            free.pop().expect("a page has room for many words")
        });
        word.state.store(RUNS, SeqCst);
        Self {
            word,
            process: process::id(),
        }
    }

    /// Whether nothing is to be begun any more.
    #[inline]
    pub(crate) fn is_over(&self) -> bool {
        self.word.state.load(Relaxed) != RUNS
    }

    pub(crate) fn stop(&self) {
        self.word.state.store(STOPS, SeqCst);
    }

    /// Whether this process is a child of the one that the runtime runs in.
    pub(crate) fn is_in_child(&self) -> bool {
        let wiped = match self.word.wiped {
            true => self.word.state.load(Relaxed) == WIPED,
            false => self.process != process::id(),
        };
        wiped && !REHEARSAL.load(Relaxed)
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        free.push(self.word);
    }
}

/// What a child does with the runtimes that it has inherited has no effect, and need not be told.
pub(crate) fn rehearse() {
    REHEARSAL.store(true, Relaxed);
}

/// What a child is told.
const IN_CHILD: &str = "this process was made by fork() after the runtime had been started, and none of the runtime's threads is in it: \
     nothing would ever run here; fork before the runtime starts, start programs by std::process::Command, \
     or build a new Runtime in the child";

impl Scheduler {
    /// Whether this process is a child of the one that the runtime runs in.
    pub(crate) fn is_in_child(&self) -> bool {
        self.life.is_in_child()
    }

    /// Panics in a child of the process that the runtime runs in.
    #[track_caller]
    pub(crate) fn forbid_in_child(&self) {
        if self.life.is_in_child() {
            panic!("{IN_CHILD}");
        }
    }

    /// The same for whoever has noted the caller's line.
    pub(super) fn forbid_spawning_in_child(&self, place: &Location<'_>) {
        if self.life.is_in_child() {
            panic!("spawn at {place}: {IN_CHILD}");
        }
    }

    /// The same for whoever cannot panic: ends the child.
    pub(super) fn end_child(&self) {
        if self.life.is_in_child() {
            crate::stderr::say(format_args!(
                "a task has called fork(), and goes on in the child: {IN_CHILD}"
            ));
            process::abort();
        }
    }
}

#[cfg(all(target_os = "linux", not(any(miri, loom))))]
mod pages {
    use std::ptr::{self, NonNull};
    use std::sync::atomic::AtomicU32;

    use super::Word;

    /// What one call of the system brings: a page, of the smallest size there is.
    const SIZE: usize = 4096;

    /// Fresh words.
    pub(super) fn new_page() -> impl Iterator<Item = Word> {
        // SAFETY: an anonymous mapping at an address of the kernel's choice touches nothing that
        // exists; the second call concerns this mapping alone.
        let (page, wiped) = unsafe {
            let page = libc::mmap(
                ptr::null_mut(),
                SIZE,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            );
            let made = page != libc::MAP_FAILED;
            let wiped = made && libc::madvise(page, SIZE, libc::MADV_WIPEONFORK) == 0;
            (made.then_some(page).and_then(NonNull::new), wiped)
        };
        let words: &'static [AtomicU32] = match page {
            // SAFETY: the page is mapped, of zeros, aligned, and never given back; only these
            // references lead there.
            Some(page) => unsafe {
                std::slice::from_raw_parts(page.as_ptr().cast(), SIZE / size_of::<AtomicU32>())
            },
            // There is no memory; somebody else will say so.
            None => Box::leak(Box::new([AtomicU32::new(0)])),
        };
        words.iter().map(move |state| Word { state, wiped })
    }
}

#[cfg(not(all(target_os = "linux", not(any(miri, loom)))))]
mod pages {
    use std::sync::atomic::AtomicU32;

    use super::Word;

    /// A fresh word.
    pub(super) fn new_page() -> impl Iterator<Item = Word> {
        let state: &'static AtomicU32 = Box::leak(Box::new(AtomicU32::new(0)));
        std::iter::once(Word {
            state,
            wiped: false,
        })
    }
}
