//! ⚠ What runs inside a signal handler, and how it is installed.
//!
//! A handler interrupts a thread anywhere, also inside the allocator or with a lock in its hands:
//! it may not allocate, lock or panic. What is called there is [`Bell::ring`] (an atomic operation
//! and one `write`) and [`unheard`] (an atomic load, `sigaction`, `raise`). The registry below us
//! puts `errno` back.
//!
//! *Invariants.*
//! 1. [`LISTENERS`] of a signal is raised before the listener's action is installed and lowered
//!    after it is gone: while an action is there, the signal is not taken for unheard.
//! 2. A bell's descriptors outlive its action: the action holds a count on the bell, and the
//!    registry drops an action only when no handler runs any more.

use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::process;
use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use mio::unix::pipe;
use signal_hook_registry::{FORBIDDEN, SigId};

use super::SignalKind;
use super::pending::Pending;
use crate::scheduler::threads;
use crate::sigquit;

/// Signals have numbers from 1 to 64, so that a word holds a bit for each.
const MOST: usize = 64;

/// The bit of the highest: after it, it is the lowest's turn.
pub(super) const HIGHEST: u32 = MOST as u32 - 1;

/// Listeners of each signal, by its number. SeqCst: an installed action and this count are read
/// together by [`unheard`].
static LISTENERS: [AtomicUsize; MOST + 1] = [const { AtomicUsize::new(0) }; MOST + 1];

/// Signals, as bits, that [`unheard`] looks after or that need no looking after: set once for each.
static PREPARED: Mutex<u64> = Mutex::new(0);

/// The process that they are counted for; 0: none yet. A child that was made by `fork` has the
/// counts of its parent, and none of the listeners.
static PROCESS: AtomicU32 = AtomicU32::new(0);

/// Whether somebody listens for the signal now, in this process.
pub(crate) fn has_listener(signal: libc::c_int) -> bool {
    let count = usize::try_from(signal)
        .ok()
        .and_then(|at| LISTENERS.get(at));
    count.is_some_and(|count| count.load(Ordering::SeqCst) > 0)
        && PROCESS.load(Ordering::SeqCst) == process::id()
}

/// What handlers ring and a listener hears.
#[derive(Debug)]
pub(super) struct Bell {
    pending: Pending,
    /// Non-blocking. When it is full there is a byte to wake by, and another one is not needed.
    sender: pipe::Sender,
}

impl Bell {
    /// A bell, and the end of its pipe that becomes readable when it rings.
    pub(super) fn new() -> io::Result<(Self, pipe::Receiver)> {
        let (sender, receiver) = pipe::new()?;
        let pending = Pending::new();
        Ok((Self { pending, sender }, receiver))
    }

    /// Called by handlers.
    fn ring(&self, bit: u64) {
        if self.pending.add(bit) {
            let _ = (&self.sender).write(&[0]);
        }
    }

    /// Takes one of the signals that have come: the one whose turn it is after `last`, which is
    /// then the one taken.
    pub(super) fn take(&self, last: &mut u32) -> Option<SignalKind> {
        *last = self.pending.take_after(*last)?;
        Some(SignalKind::from_raw(*last as libc::c_int + 1))
    }
}

/// Reads what rings have written.
pub(super) fn silence(receiver: &pipe::Receiver) -> io::Result<()> {
    let mut receiver = receiver;
    receiver.read(&mut [0; 128]).map(drop)
}

/// A bell that hangs at a signal until this is dropped.
#[derive(Debug)]
pub(super) struct Hung {
    kind: SignalKind,
    id: SigId,
    /// In which it counts.
    process: u32,
}

impl Hung {
    /// Has the bell rung whenever the signal comes.
    pub(super) fn new(kind: SignalKind, bell: &Arc<Bell>) -> io::Result<Self> {
        let signal = kind.as_raw();
        let bit = bit_of(kind)?;
        prepare(signal, bit)?;
        count(signal).fetch_add(1, Ordering::SeqCst);
        let bell = Arc::clone(bell);
        // SAFETY: `ring` does what a handler may do: see the story of this file.
        match unsafe { signal_hook_registry::register(signal, move || bell.ring(bit)) } {
            Ok(id) => Ok(Self {
                kind,
                id,
                process: process::id(),
            }),
            Err(error) => {
                count(signal).fetch_sub(1, Ordering::SeqCst);
                Err(error)
            }
        }
    }

    pub(super) fn kind(&self) -> SignalKind {
        self.kind
    }
}

impl Drop for Hung {
    fn drop(&mut self) {
        // Returns when no handler runs that might still ring the bell.
        signal_hook_registry::unregister(self.id);
        if PROCESS.load(Ordering::SeqCst) == self.process {
            count(self.kind.as_raw()).fetch_sub(1, Ordering::SeqCst);
        }
    }
}

fn count(signal: libc::c_int) -> &'static AtomicUsize {
    &LISTENERS[signal as usize]
}

/// The signal's bit, if it can be listened to.
fn bit_of(kind: SignalKind) -> io::Result<u64> {
    let signal = kind.as_raw();
    let exists = (1..=MOST as libc::c_int).contains(&signal);
    if !exists || FORBIDDEN.contains(&signal) {
        let why = if exists {
            "cannot be listened to"
        } else {
            "does not exist"
        };
        let text = format!("{kind} {why}");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    Ok(1 << (signal - 1))
}

/// Before the first listener of a signal: sees what it does without one, and has that done when
/// there is none.
fn prepare(signal: libc::c_int, bit: u64) -> io::Result<()> {
    let mut prepared = PREPARED.lock().unwrap_or_else(PoisonError::into_inner);
    let process = process::id();
    if PROCESS.load(Ordering::SeqCst) != process {
        for count in &LISTENERS {
            count.store(0, Ordering::SeqCst);
        }
        PROCESS.store(process, Ordering::SeqCst);
    }
    if *prepared & bit != 0 {
        return Ok(());
    }
    // A handler that was there before may wake a task; what this crate installs wakes only whoever
    // waits at a bell.
    if threads::catches(signal) == Some(false) {
        threads::handler_wakes_nobody(signal);
    }
    if disposition(signal)? == libc::SIG_DFL {
        // SAFETY: `unheard` does what a handler may do: see the story of this file.
        unsafe { signal_hook_registry::register(signal, move || unheard(signal)) }?;
    }
    *prepared |= bit;
    Ok(())
}

/// What the system does when the signal comes.
fn disposition(signal: libc::c_int) -> io::Result<libc::sighandler_t> {
    let mut old = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: the kernel reads nothing and writes one live sigaction.
    let result = unsafe { libc::sigaction(signal, ptr::null(), old.as_mut_ptr()) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, and has written it.
    Ok(unsafe { old.assume_init() }.sa_sigaction)
}

/// Called by handlers: does what the signal does without a handler, if nobody listens for it.
fn unheard(signal: libc::c_int) {
    let dumps = signal == libc::SIGQUIT && sigquit::is_installed();
    if !has_listener(signal) && !dumps {
        act_by_default(signal);
    }
}

/// Called by handlers: does what the signal does where nobody handles it.
pub(crate) fn act_by_default(signal: libc::c_int) {
    if HARMLESS.contains(&signal) {
        return;
    }
    if [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU].contains(&signal) {
        // SAFETY: a plain system call, allowed in a handler.
        unsafe { libc::raise(libc::SIGSTOP) };
        return;
    }
    // SAFETY: a sigaction of zeros is the default action with an empty mask; the kernel reads one
    // live sigaction. Both calls are allowed in a handler. The signal is blocked while its handler
    // runs, and ends the process when that returns.
    unsafe {
        let default = MaybeUninit::<libc::sigaction>::zeroed();
        libc::sigaction(signal, default.as_ptr(), ptr::null_mut());
        libc::raise(signal);
    }
}

/// Signals that do nothing where nobody handles them.
#[cfg(any(target_os = "linux", target_os = "android"))]
const HARMLESS: &[libc::c_int] = &[libc::SIGCHLD, libc::SIGCONT, libc::SIGURG, libc::SIGWINCH];

/// Signals that do nothing where nobody handles them.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const HARMLESS: &[libc::c_int] = &[
    libc::SIGCHLD,
    libc::SIGCONT,
    libc::SIGIO,
    libc::SIGURG,
    libc::SIGWINCH,
];
