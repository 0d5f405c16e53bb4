//! Arm × put off × change waker × cancel × drop × fire × shutdown of a timer: the code of
//! `time::{entry, timers, wheel}` itself.
//!
//! Checked in each: a timer that was not cancelled wakes its task exactly once, the task that
//! polled last, and not before its time; a timer that was cancelled does not; no waker leaks; and
//! nobody touches a node after it was given back (its drop claims the waker's cell).

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Wake, Waker};

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use crate::time::Timers;
use crate::time::for_models::{Alert, Entry, NotArmed, State};

const TICK: u64 = 1 << 15;

struct Count(AtomicUsize);

impl Count {
    fn new() -> (Arc<Self>, Waker) {
        let count = Arc::new(Self(AtomicUsize::new(0)));
        (count.clone(), Waker::from(count))
    }

    fn woken(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Makes loom try the orders in which a thread that fires is through before the owner looks.
///
/// Loom remembers one last access of each atomic when it looks for orders to try, so that the
/// firing thread's own load hides the owner's before it. The hint is relaxed: it makes an order
/// likely and synchronises nothing.
#[derive(Clone)]
struct Hint(Arc<AtomicUsize>);

impl Hint {
    fn new() -> Self {
        Self(Arc::new(AtomicUsize::new(0)))
    }

    /// Fires in another thread.
    fn fire(&self, timers: &'static Timers, now: u64) -> thread::JoinHandle<usize> {
        let hint = self.clone();
        thread::spawn(move || {
            let fired = timers.fire(now, 32);
            hint.0.store(1, Ordering::Relaxed);
            fired
        })
    }

    fn look(&self) {
        let _ = self.0.load(Ordering::Relaxed);
    }
}

/// Runs the model on fresh timers, and frees them after each execution, which real ones never are.
fn with_timers(model: impl Fn(&'static Timers) + Sync + Send + 'static) {
    loom::model(move || {
        let timers = Timers::leak();
        model(timers);
        // SAFETY: leaked just now; the model has joined its threads and dropped its entries.
        drop(unsafe { Box::from_raw(std::ptr::from_ref(timers).cast_mut()) });
    });
}

fn armed(at: u64, waker: &Waker, timers: &'static Timers) -> Pin<Box<Entry>> {
    let mut entry = Box::pin(Entry::new());
    assert!(arm(&mut entry, at, waker, timers).is_ok());
    entry
}

fn arm(
    entry: &mut Pin<Box<Entry>>,
    at: u64,
    waker: &Waker,
    timers: &'static Timers,
) -> Result<(), NotArmed> {
    let alert: Alert = entry.as_mut().arm(at, 0, waker.clone(), timers, false)?;
    alert.ring();
    Ok(())
}

#[test]
fn drop_against_fire() {
    with_timers(|timers| {
        let (count, waker) = Count::new();
        let entry = armed(TICK, &waker, timers);
        let hint = Hint::new();
        let firing = hint.fire(timers, TICK);
        hint.look();
        drop(entry);
        let fired = firing.join().unwrap();
        assert_eq!(count.woken(), fired);
        assert_eq!(timers.next_deadline(), u64::MAX);
        drop(waker);
        assert_eq!(Arc::strong_count(&count), 1);
    });
}

#[test]
fn cancel_against_two_who_fire() {
    with_timers(|timers| {
        let (count, waker) = Count::new();
        let mut entry = armed(TICK, &waker, timers);
        let hint = Hint::new();
        let firing = hint.fire(timers, TICK);
        let also_firing = thread::spawn(move || timers.fire(TICK, 32));
        hint.look();
        let cancelled = entry.as_mut().cancel().is_some();
        let fired = firing.join().unwrap() + also_firing.join().unwrap();
        assert_eq!(fired, usize::from(!cancelled));
        assert_eq!(count.woken(), fired);
    });
}

#[test]
fn arm_against_fire() {
    with_timers(|timers| {
        let (count, waker) = Count::new();
        // Somebody else's timer, so that the wheel moves on before or after ours comes.
        let other = armed(TICK, &waker, timers);
        let hint = Hint::new();
        let firing = hint.fire(timers, 2 * TICK);
        hint.look();
        let mut entry = Box::pin(Entry::new());
        let refused = arm(&mut entry, 2 * TICK, &waker, timers).is_err();
        let mut fired = firing.join().unwrap();
        fired += timers.fire(2 * TICK, 32);
        assert_eq!(fired, if refused { 1 } else { 2 });
        assert_eq!(count.woken(), fired);
        assert_eq!(entry.state(), State::Fired);
        drop((entry, other));
    });
}

#[test]
fn put_off_against_fire() {
    with_timers(|timers| {
        let (count, waker) = Count::new();
        let mut entry = armed(TICK, &waker, timers);
        let hint = Hint::new();
        let firing = hint.fire(timers, TICK);
        hint.look();
        let put_off = entry.as_mut().postpone(3 * TICK);
        let fired = firing.join().unwrap();
        assert_eq!(fired, usize::from(!put_off));
        assert_eq!(count.woken(), fired);
        if put_off {
            assert_eq!(entry.state(), State::Armed);
            assert_eq!(timers.fire(3 * TICK - 1, 32), 0);
            assert_eq!(timers.fire(3 * TICK, 32), 1);
        }
        assert_eq!((count.woken(), entry.state()), (1, State::Fired));
    });
}

#[test]
fn another_waker_against_fire() {
    with_timers(|timers| {
        let (old, old_waker) = Count::new();
        let (new, new_waker) = Count::new();
        let mut entry = armed(TICK, &old_waker, timers);
        let hint = Hint::new();
        let firing = hint.fire(timers, TICK);
        hint.look();
        // What a poll by another task does: if this says `Armed` it returns `Pending`, and the new
        // waker has to be woken.
        let state = entry.as_mut().refresh(&new_waker);
        assert_eq!(firing.join().unwrap(), 1);
        assert_eq!(old.woken() + new.woken(), 1);
        if state == State::Armed {
            assert_eq!(new.woken(), 1);
        }
        drop((entry, old_waker, new_waker));
        assert_eq!((Arc::strong_count(&old), Arc::strong_count(&new)), (1, 1));
    });
}

#[test]
fn a_task_that_sees_its_timer_fired_may_arm_it_again_at_once() {
    with_timers(|timers| {
        let (count, waker) = Count::new();
        let mut entry = armed(TICK, &waker, timers);
        let hint = Hint::new();
        let firing = hint.fire(timers, TICK);
        hint.look();
        if entry.as_mut().refresh(&waker) == State::Fired {
            entry.as_mut().acknowledge();
            assert!(arm(&mut entry, 2 * TICK, &waker, timers).is_ok());
        }
        let mut fired = firing.join().unwrap();
        fired += timers.fire(2 * TICK, 32);
        assert_eq!(count.woken(), fired);
        assert_eq!(entry.state(), State::Fired);
    });
}

#[test]
fn shutdown_against_arm_and_drop() {
    with_timers(|timers| {
        let (count, waker) = Count::new();
        let dropped = armed(TICK, &waker, timers);
        let hint = Hint::new();
        let closing = {
            let hint = hint.clone();
            thread::spawn(move || {
                timers.close();
                hint.0.store(1, Ordering::Relaxed);
            })
        };
        hint.look();
        let mut entry = Box::pin(Entry::new());
        let refused = arm(&mut entry, TICK, &waker, timers).is_err();
        drop(dropped);
        closing.join().unwrap();
        // Either way it is in no wheel now, and its task was woken if it had been.
        assert_eq!(entry.state(), State::Idle);
        assert!(count.woken() >= usize::from(!refused));
        drop((entry, waker));
        assert_eq!(Arc::strong_count(&count), 1);
    });
}

#[test]
fn an_owner_about_to_sleep_learns_of_an_earlier_deadline() {
    with_timers(|timers| {
        let (interrupts, interrupt) = Count::new();
        timers.set_interrupt(interrupt);
        let (_, waker) = Count::new();
        let sleeper = {
            let interrupts = interrupts.clone();
            // What the owner does before it sleeps: reads the deadline; an interrupt that came
            // before would not let it sleep.
            thread::spawn(move || (timers.next_deadline(), interrupts.woken()))
        };
        let entry = armed(TICK, &waker, timers);
        let (deadline, _) = sleeper.join().unwrap();
        assert!(deadline == TICK || interrupts.woken() == 1);
        drop(entry);
    });
}
