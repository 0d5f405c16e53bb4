//! The poller: one `mio::Poll`, used by at most one thread at a time.
//!
//! *How it moves.* A worker that has nothing else to do takes the [`Turn`] and waits in it. An
//! event's token names a record and the generation of its user; the record gets the event and gives
//! up its waiters; when the whole batch has been entered the wakers are called. Whoever wants the
//! waiting worker back calls [`Driver::wake`].
//!
//! *Invariants.*
//! 1. Nobody blocks on the turn: it is only ever tried. So a waker may be called by its holder.
//! 2. Registering takes no lock that the holder of the turn keeps while it waits: the registry is a
//!    second handle to the same epoll.
//! 3. A wake that finds another one on its way may rely on it ([`Woken`]).
//! 4. An edge is told once. So a batch is entered whole before anything that might panic is called.
//!
//! *The end.* A handle or a waker may outlive its runtime, and the driver with it; its descriptors
//! do not ([`Driver::close`]). They are behind locks that are taken only where a system call
//! follows, which costs many times as much.
#![forbid(unsafe_code)]

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, TryLockError, Weak};
use std::task::Waker;
use std::thread;
use std::time::Duration;

use super::error::stopped;
use super::records::{Page, Records, Token};
use super::state::{Ready, Stop};
use super::wait;
use super::woken::Woken;
use crate::scheduler::Scheduler;
use crate::scheduler::life::Life;
use crate::task::call_waker;

/// Events a turn takes in at most; what is left is reported by the next one, in the order in which
/// it became ready. Half a worker's ring: with more, tasks spill into the shared queue, where those
/// that came first would wait for those that come later. Another call for each 128 events is
/// nothing.
const EVENTS: usize = 128;

/// How often the end of a driver tries to have the turn. A guess: whoever has it then has it for
/// some nanoseconds.
const PATIENCE: usize = 1000;

/// The token of the eventfd. No record has it: numbers end far below.
const WAKE: mio::Token = mio::Token(usize::MAX);

/// The reactor of one runtime.
pub(crate) struct Driver {
    /// `None` once closed, as the two below.
    poller: Mutex<Option<Poller>>,
    waker: Mutex<Option<mio::Waker>>,
    /// See invariant 3.
    woken: Woken,
    /// Whoever has the turn waits, and delivers nothing.
    waiting: AtomicBool,
    /// Events taken in. Written by the holder of the turn.
    events: AtomicU64,
    shared: Arc<Shared>,
}

/// Held by whoever has the turn.
struct Poller {
    poll: mio::Poll,
    events: mio::Events,
    /// Wakers of the current batch; empty between turns.
    wakers: Vec<Waker>,
}

/// What registrations need of the driver, and find gone once the driver has been dropped.
#[derive(Debug)]
pub(super) struct Shared {
    registry: RwLock<Option<mio::Registry>>,
    records: Records,
    /// A child that was made by `fork` has the parent's poller: what it changed there would be
    /// changed for the parent.
    life: Life,
    /// Whose this is; in some tests nobody's.
    home: OnceLock<Weak<Scheduler>>,
}

impl Driver {
    /// A new reactor: three descriptors (epoll, its second handle, an eventfd).
    pub(crate) fn new() -> io::Result<Self> {
        let poll = mio::Poll::new()?;
        let waker = mio::Waker::new(poll.registry(), WAKE)?;
        let registry = poll.registry().try_clone()?;
        Ok(Self {
            poller: Mutex::new(Some(Poller {
                poll,
                events: mio::Events::with_capacity(EVENTS),
                wakers: Vec::new(),
            })),
            waker: Mutex::new(Some(waker)),
            woken: Woken::new(),
            waiting: AtomicBool::new(false),
            events: AtomicU64::new(0),
            shared: Arc::new(Shared {
                registry: RwLock::new(Some(registry)),
                records: Records::new(),
                life: Life::new(),
                home: OnceLock::new(),
            }),
        })
    }

    /// Says whose it is, once.
    pub(crate) fn belong_to(&self, scheduler: &Arc<Scheduler>) {
        self.shared.home.get_or_init(|| Arc::downgrade(scheduler));
    }

    /// The right to poll, if nobody has it now, and the driver is not closed. Never blocks.
    pub(crate) fn try_turn(&self) -> Option<Turn<'_>> {
        let poller = match self.poller.try_lock() {
            Ok(poller) => poller,
            // A turn ends whole or not at all: foreign panics are caught in it.
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        poller.is_some().then_some(Turn {
            driver: self,
            poller,
        })
    }

    /// Makes the present or the next [`Turn::wait`] return. What the caller did before is seen by
    /// whoever has waited.
    pub(crate) fn wake(&self) {
        if !self.woken.raise() {
            return;
        }
        let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody waits at a driver that is closed.
        if waker.as_ref().is_some_and(|waker| waker.wake().is_err()) {
            // mio has emptied and refilled the eventfd where that was the trouble.
            self.woken.give_up();
        }
    }

    /// Ends all waiting: every waiter is woken and told that the runtime has shut down. Nothing can
    /// be registered from now on.
    pub(crate) fn shutdown(&self) {
        let mut wakers = Vec::new();
        self.shared.records.stop_all(&mut wakers);
        wake_all(&mut wakers);
        self.wake();
    }

    /// Gives the descriptors back: nobody polls any more. Whoever is at it all the same keeps them
    /// until the driver is dropped.
    pub(crate) fn close(&self) {
        // Nobody turns any more. Who only asks whether somebody does lets go at once; and where
        // this runs in a turn after all, in a waker that dropped its runtime, the poller goes with
        // the driver.
        let poller = (0..PATIENCE).find_map(|_| match self.try_turn() {
            Some(mut turn) => turn.poller.take(),
            None => {
                thread::yield_now();
                None
            }
        });
        let registry = {
            let registry = self.shared.registry.write();
            registry.unwrap_or_else(PoisonError::into_inner).take()
        };
        let waker = {
            let waker = self.waker.lock();
            waker.unwrap_or_else(PoisonError::into_inner).take()
        };
        drop((poller, registry, waker));
    }

    /// Tasks that wait for readiness now; exact when nothing moves.
    ///
    /// Counted by walking the records: whoever parks pays nothing for it.
    pub(crate) fn waiters(&self) -> usize {
        self.shared.records.waiters()
    }

    /// Whether some task waits for readiness.
    pub(crate) fn has_waiters(&self) -> bool {
        self.registered() > 0 && self.shared.records.has_waiters()
    }

    /// Whether the holder of the turn sleeps in it: not if it delivers events, nor if there is
    /// none.
    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::SeqCst)
    }

    /// Whether somebody has the turn and does not sleep in it: it may be delivering events.
    pub(crate) fn is_busy(&self) -> bool {
        // A turn that ends, or a sleep that begins, between the two looks is found by the second.
        !self.is_waiting() && self.try_turn().is_none() && !self.is_waiting()
    }

    /// Events ever delivered.
    pub(crate) fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }

    /// Descriptors registered now: one load, for whoever asks whether looking is worth a system
    /// call.
    pub(crate) fn registered(&self) -> usize {
        self.shared.records.len()
    }

    #[cfg(all(test, not(loom)))]
    pub(super) fn is_woken(&self) -> bool {
        self.woken.is_up()
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Shared {
    /// The runtime, if it is still there.
    pub(super) fn home(&self) -> Option<Arc<Scheduler>> {
        self.home.get()?.upgrade()
    }

    /// Opens a record and registers the source under its token, edge-triggered.
    pub(super) fn register<S>(
        self: &Arc<Self>,
        source: &mut S,
        ready: Ready,
        interest: mio::Interest,
    ) -> io::Result<(Arc<Page>, Token)>
    where
        S: mio::event::Source + ?Sized,
    {
        let (page, token) = self.records.open(self, ready)?;
        let registered = self.with_registry(|registry| {
            let registry = registry.ok_or_else(|| stopped(Stop::Shutdown))?;
            registry.register(source, token.into(), interest)
        });
        match registered {
            Ok(()) => Ok((page, token)),
            Err(error) => {
                page.record(token).release();
                self.records.close(token);
                Err(error)
            }
        }
    }

    /// Changes what is reported; what is ready at that moment is reported at once.
    pub(super) fn reregister<S>(
        &self,
        source: &mut S,
        token: Token,
        interest: mio::Interest,
    ) -> io::Result<()>
    where
        S: mio::event::Source + ?Sized,
    {
        // Nobody waits at a poller that is closed.
        self.with_registry(|registry| {
            registry.map_or(Ok(()), |it| it.reregister(source, token.into(), interest))
        })
    }

    pub(super) fn deregister<S>(&self, source: &mut S) -> io::Result<()>
    where
        S: mio::event::Source + ?Sized,
    {
        // The kernel has forgotten what was registered with a poller that is closed.
        self.with_registry(|registry| registry.map_or(Ok(()), |it| it.deregister(source)))
    }

    fn with_registry<R>(&self, f: impl FnOnce(Option<&mio::Registry>) -> R) -> R {
        if self.life.is_in_child() {
            return f(None);
        }
        let registry = self.registry.read();
        f(registry.unwrap_or_else(PoisonError::into_inner).as_ref())
    }

    /// Takes back a record that has been released.
    pub(super) fn close(&self, token: Token) {
        self.records.close(token);
    }
}

/// The right to poll; at most one exists.
pub(crate) struct Turn<'a> {
    driver: &'a Driver,
    /// Always there.
    poller: MutexGuard<'a, Option<Poller>>,
}

impl Turn<'_> {
    /// Waits for events, at most this long (`None`: until there is one; zero: just looks), delivers
    /// them, and returns how many wakers it called. Returns early, perhaps with zero, when
    /// [`Driver::wake`] is called.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<usize> {
        let Some(Poller {
            poll,
            events,
            wakers,
        }) = &mut *self.poller
        else {
            return Ok(0);
        };
        let waiting = &self.driver.waiting;
        // SeqCst, for the deadlock check: it must not see this up when wakers are being called
        // already.
        waiting.store(true, Ordering::SeqCst);
        let waited = wait::poll(poll, events, timeout);
        waiting.store(false, Ordering::SeqCst);
        waited?;
        let mut delivered = 0;
        for event in &*events {
            if event.token() == WAKE {
                self.driver.woken.lower();
            } else {
                delivered += 1;
                let records = &self.driver.shared.records;
                records.set_ready(event.token().into(), Ready::of(event), wakers);
            }
        }
        // Not an atomic addition: the turn is ours. Before the wakers: whoever they wake finds its
        // event counted.
        let counted = self.driver.events.load(Ordering::Relaxed);
        self.driver
            .events
            .store(counted + delivered, Ordering::Relaxed);
        Ok(wake_all(wakers))
    }
}

/// Calls the wakers and returns how many there were.
fn wake_all(wakers: &mut Vec<Waker>) -> usize {
    let count = wakers.len();
    wakers.drain(..).for_each(call_waker);
    count
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("registered", &self.registered())
            .field("waiters", &self.waiters())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Turn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn").finish_non_exhaustive()
    }
}
