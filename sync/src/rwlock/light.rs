//! The light mode of a readers-writer lock: readers of one that is only read write no cache line
//! that others write, and do no atomic operation.
//!
//! ```text
//!                 read so many times in a row, nobody writes
//!   counted ─────────────────────────────────────────────────► light
//!   readers count in the word  ◄────────────────────────────── each notes itself in its own place
//!                 the first who has to be alone
//! ```
//!
//! In the counted mode readers do two atomic operations on one word, and where several cores read,
//! its cache line goes from one to the other for each. In the light mode a reader notes the lock's
//! number in a [slot](super::slots) of its thread's, looks again whether the lock is still light,
//! and is in. Whoever wants to be alone ends the mode by writing `now`, pays for the
//! [barrier](runtime::asymmetric) that the readers have gone without, and then looks at all slots.
//! So either it finds the reader's note, or the reader finds that the mode has ended, takes its
//! note back, and counts. When a reader leaves it is the same the other way round: it takes its
//! note back and looks at `now`; either the newcomer finds the slot free, or the reader finds that
//! somebody waits for it, and [sees to that](RawRwLock::leave_late).
//!
//! To the word all light readers together are *one* reader: it is counted when the mode begins, and
//! leaves when the mode has ended and no slot has the lock's number any more. So nothing of what
//! the [word](super::raw) decides has to know of them, and who finds the lock light without
//! looking for it finds that it is being read.
//!
//! The barrier takes some microseconds, and the look at the slots a cache miss for each thread that
//! has ever read. So the way into the light mode takes a thousand reads without a writer, and twice
//! as many each time, up to a million: then both are nothing beside the reads, and a configuration
//! that is read all the time and written once a minute is light again within the same second.
//!
//! Invariants, beside those of [`raw`](super::raw):
//!
//! 5. `now` and [`Era`] change only under the lock of the readers' queue.
//! 6. While `now` is not zero, or `draining`, the word counts one reader for all that are noted.
//! 7. While `now` is not zero, nobody waits: QUEUED is not set; and not `draining`.
//!
//! What it is worth: a lock that one task reads takes 0.56 of the time, one that two threads read
//! a twentieth. What it costs: where there are writers, a hundredth; and as often as the mode ends
//! while others read, they fight over the word until the scheduler has them make way.
//!
//! *Rejected*: a fence in the reader, which takes as long as the atomic operation that it saves; a
//! counter for each core in each lock, which are as many cache lines as there are cores, times
//! locks. A number for each time that the lock is light would tell a reader of an earlier time from
//! one of this, but by (6) there is none.
#![forbid(unsafe_code)]

use std::mem;
use std::num::NonZeroU32;

use runtime::asymmetric;

use super::raw::{QUEUED, Queue, READER, RawRwLock, Side};
use super::slots::{self, Slot};
use crate::primitive::PATIENCE;
use crate::primitive::atomic::{AtomicU32, Ordering};

/// What `now` is where readers count in the word.
const COUNTED: u32 = 0;

/// The patience does not grow any more: some milliseconds of reads, beside which barrier and look
/// are nothing even on a large machine.
const LONGEST: u32 = 1 << 20;

/// What a reader has of the lock, and [gives back](RawRwLock::unlock_read).
#[derive(Clone, Copy, Debug, Default)]
#[must_use = "the lock stays read for ever"]
pub(super) struct Share(Option<&'static Slot>);

impl Share {
    /// One that the word counts.
    pub(super) const COUNTED: Self = Self(None);
}

/// The mode of a lock, for those who do not hold the lock of its queue.
#[derive(Debug)]
pub(super) struct Mode {
    /// The lock's number while it is light, else `COUNTED`. Changes under the readers' queue (5).
    now: AtomicU32,
    /// How many times more it has to be read without a writer to become light. Counted by plain
    /// loads and stores, so that a count may be lost.
    quiet: AtomicU32,
    /// Where `quiet` starts from. Changes under the readers' queue.
    patience: AtomicU32,
}

impl Mode {
    constant! {
        pub(super) const fn new() -> Self {
            Self {
                now: AtomicU32::new(COUNTED),
                quiet: AtomicU32::new(PATIENCE),
                patience: AtomicU32::new(PATIENCE),
            }
        }
    }

    /// Whether it looks as if readers need not be counted. Relaxed: something to be looked at again
    /// under the queue's lock.
    #[inline]
    pub(super) fn is_light(&self) -> bool {
        self.now.load(Ordering::Relaxed) != COUNTED
    }

    /// A writer has been here, or the mode has changed: the row begins anew.
    #[inline]
    pub(super) fn count_anew(&self) {
        // Relaxed, as all counting.
        let patience = self.patience.load(Ordering::Relaxed);
        self.quiet.store(patience, Ordering::Relaxed);
    }

    /// It was light for nothing, or for long: next time it takes more.
    fn lose_patience(&self) {
        let patience = self.patience.load(Ordering::Relaxed);
        let next = LONGEST.min(patience.saturating_mul(2));
        self.patience.store(next, Ordering::Relaxed);
        self.count_anew();
    }
}

/// The rest of it, in the readers' queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Era {
    /// The lock's number, from the first time on that it becomes light.
    number: Option<NonZeroU32>,
    /// Whether the mode has ended, and some have not left.
    draining: bool,
}

impl Era {
    pub(super) const fn new() -> Self {
        Self {
            number: None,
            draining: false,
        }
    }
}

/// The readers.
impl RawRwLock {
    /// Takes the lock for a reader, if no writer has it and nobody waits.
    #[inline(always)]
    pub(super) fn try_read(&self) -> Option<Share> {
        // Relaxed: `try_read_light` looks again.
        let number = self.mode.now.load(Ordering::Relaxed);
        if number != COUNTED {
            if let Some(slot) = self.try_read_light(number) {
                return Some(Share(Some(slot)));
            }
        }
        self.try_read_counted().then_some(Share::COUNTED)
    }

    #[inline(always)]
    fn try_read_light(&self, number: u32) -> Option<&'static Slot> {
        let slot = slots::enter(number)?;
        // Pairs with `heavy` in `end_light`: if that one did not see the slot, we see its `now`.
        asymmetric::light();
        // Acquire: pairs with the `Release` in `become_light`, whose caller came after all writers.
        if self.mode.now.load(Ordering::Acquire) == number {
            return Some(slot);
        }
        // Somebody may have taken us for one that is in.
        self.leave(slot);
        None
    }

    #[inline(always)]
    fn try_read_counted(&self) -> bool {
        self.try_lock(Side::Read) && {
            self.count();
            true
        }
    }

    /// One more read in a row.
    #[inline(always)]
    fn count(&self) {
        // Relaxed, and not one operation: it is no matter whether others count at the same time.
        match self.mode.quiet.load(Ordering::Relaxed) {
            0 | 1 => self.become_light(),
            quiet => self.mode.quiet.store(quiet - 1, Ordering::Relaxed),
        }
    }

    /// Gives back what a reader has of the lock.
    #[inline(always)]
    pub(super) fn unlock_read(&self, share: Share) {
        match share.0 {
            Some(slot) => self.leave(slot),
            None => self.unlock(Side::Read),
        }
    }

    #[inline(always)]
    fn leave(&self, slot: &Slot) {
        slot.leave();
        // Pairs with `heavy` in `end_light`: if that one did not see that we left, we see its
        // `now`. If the lock is light again since, nobody waits for us any more (7).
        asymmetric::light();
        if self.mode.now.load(Ordering::Relaxed) == COUNTED {
            self.leave_late();
        }
    }

    /// The mode has ended while we were in: who was last lets the others in.
    #[cold]
    fn leave_late(&self) {
        let mut readers = self.readers.lock();
        let Some(number) = readers.number.filter(|_| readers.draining) else {
            return;
        };
        if slots::is_noted(number.get()) {
            return;
        }
        readers.draining = false;
        drop(readers);
        // The one that the word counts for all (6).
        self.unlock(Side::Read);
    }
}

/// From one mode to the other.
impl RawRwLock {
    /// From now on, if nobody waits (7). The caller has the lock on any side but the writer's.
    #[cold]
    fn become_light(&self) {
        let mut readers = self.readers.lock();
        self.mode.count_anew();
        // Relaxed: under the queue's lock QUEUED does not change.
        let queued = self.state.load(Ordering::Relaxed) & QUEUED != 0;
        if queued || readers.draining || self.mode.is_light() || !asymmetric::is_there() {
            return;
        }
        let Some(number) = readers.number.or_else(slots::new_number) else {
            return;
        };
        readers.number = Some(number);
        // Relaxed: the caller has the lock, so no writer comes before `end_light` takes it back.
        self.state.fetch_add(READER, Ordering::Relaxed);
        // Release: pairs with the `Acquire` in `try_read_light`, for all that writers did before.
        self.mode.now.store(number.get(), Ordering::Release);
    }

    /// Somebody wants to be alone, or to wait. After this readers are counted, and those who were
    /// not are gone, or count as one.
    pub(super) fn end_light(&self, readers: &mut Queue<'_>) {
        // Relaxed: under the queue's lock (5).
        let number = self.mode.now.load(Ordering::Relaxed);
        if number == COUNTED {
            return;
        }
        self.mode.now.store(COUNTED, Ordering::Relaxed);
        let again = Again(&self.mode, number);
        // Pairs with `light` in `try_read_light`, of those who come, and in `leave`.
        asymmetric::heavy();
        mem::forget(again);
        self.mode.lose_patience();
        readers.draining = slots::is_noted(number);
        if !readers.draining {
            // The one that the word counts for all (6). Nobody waits for it (7). Release: pairs
            // with the `Acquire` of the next writer, who comes after all that they read.
            self.state.fetch_sub(READER, Ordering::Release);
        }
    }
}

/// Without the barrier nobody knows who reads: should it panic, the lock is as light as before.
struct Again<'a>(&'a Mode, u32);

impl Drop for Again<'_> {
    fn drop(&mut self) {
        // Release: as in `become_light`.
        self.0.now.store(self.1, Ordering::Release);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll, Waker};

    use super::super::acquire::{Owner, RawAcquire, RawUpgrade, Upgradable, Write};
    use super::*;

    impl Owner for RawRwLock {
        fn raw(&self) -> &RawRwLock {
            self
        }
    }

    fn read(lock: &RawRwLock, times: u32) {
        for _ in 0..times {
            let share = lock.try_read().expect("nobody writes");
            lock.unlock_read(share);
        }
    }

    fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    /// A lock that is light, and the share of one who reads it. `None` if there is no such mode
    /// here: before the first runtime's monitor has asked the system there is none.
    fn light() -> Option<(RawRwLock, Share)> {
        let runtime = runtime::Runtime::new().unwrap();
        let begin = std::time::Instant::now();
        while cfg!(all(target_os = "linux", not(miri))) && !asymmetric::is_there() {
            if begin.elapsed() > std::time::Duration::from_secs(20) {
                break;
            }
            std::thread::yield_now();
        }
        drop(runtime);
        if !asymmetric::is_there() {
            eprintln!("skipped: this system has no membarrier(2)");
            return None;
        }
        let lock = RawRwLock::new();
        read(&lock, PATIENCE);
        let share = lock.try_read()?;
        assert!(lock.mode.is_light() && share.0.is_some());
        Some((lock, share))
    }

    #[test]
    fn a_lock_that_is_read_in_a_row_becomes_light_and_a_writer_ends_that_for_twice_as_long() {
        let Some((lock, share)) = light() else { return };
        lock.unlock_read(share);
        for round in 1..4 {
            assert!(lock.try_lock(Side::Write));
            assert!(!lock.mode.is_light());
            lock.unlock(Side::Write);
            read(&lock, (PATIENCE << round) - 1);
            assert!(!lock.mode.is_light(), "round {round}");
            read(&lock, 1);
            assert!(lock.mode.is_light(), "round {round}");
        }
    }

    #[test]
    fn a_writer_in_between_has_the_count_begin_anew() {
        let Some((lock, share)) = light() else { return };
        lock.unlock_read(share);
        for _ in 0..3 {
            assert!(lock.try_lock(Side::Write));
            lock.downgrade(Side::Write, Side::Read);
            lock.unlock(Side::Read);
            read(&lock, 2 * PATIENCE - 1);
            assert!(!lock.mode.is_light());
        }
    }

    /// The word counts one for them, and as long as it does the mode does not come back.
    #[test]
    fn readers_of_a_mode_that_has_ended_are_waited_for() {
        let Some((lock, first)) = light() else { return };
        let second = lock.try_read().unwrap();
        assert!(!lock.try_lock(Side::Write));
        read(&lock, 4 * PATIENCE);
        assert!(!lock.mode.is_light(), "some are still noted");
        let counted = lock.try_read().unwrap();
        assert!(counted.0.is_none());
        lock.unlock_read(counted);
        lock.unlock_read(first);
        assert!(!lock.try_lock(Side::Write));
        lock.unlock_read(second);
        assert_eq!(lock.state.load(Ordering::Relaxed), 0);
        assert!(lock.try_lock(Side::Write));
    }

    #[test]
    fn one_who_waits_and_gives_up_leaves_nothing_behind() {
        let Some((lock, share)) = light() else { return };
        let place = std::panic::Location::caller();
        {
            let mut writer = pin!(RawAcquire::<_, Write>::new(&lock, place));
            assert!(poll(writer.as_mut()).is_pending());
            assert!(lock.try_read().is_none(), "a writer waits");
        }
        read(&lock, 4 * PATIENCE);
        lock.unlock_read(share);
        assert_eq!(lock.state.load(Ordering::Relaxed), 0);
        read(&lock, 4 * PATIENCE);
        assert!(lock.mode.is_light());
    }

    #[test]
    fn the_upgradable_reader_reads_beside_light_ones_and_waits_for_them() {
        let Some((lock, share)) = light() else { return };
        let place = std::panic::Location::caller();
        assert!(lock.try_lock(Side::Upgradable));
        assert!(lock.mode.is_light(), "it only reads");
        {
            let mut upgrade = pin!(RawUpgrade::new(&lock, place));
            assert!(poll(upgrade.as_mut()).is_pending());
            assert!(lock.try_read().is_none(), "an upgrade waits");
            lock.unlock_read(share);
            assert!(poll(upgrade.as_mut()).is_ready());
        }
        lock.unlock(Side::Write);
        assert_eq!(lock.state.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn an_upgrade_beside_nobody_need_not_wait() {
        let Some((lock, share)) = light() else { return };
        lock.unlock_read(share);
        assert!(lock.try_lock(Side::Upgradable));
        assert!(lock.mode.is_light() && lock.try_upgrade());
        assert!(!lock.mode.is_light());
    }

    #[test]
    fn where_somebody_waits_nobody_is_light() {
        let Some((lock, share)) = light() else { return };
        let place = std::panic::Location::caller();
        assert!(lock.try_lock(Side::Upgradable));
        let mut second = pin!(RawAcquire::<_, Upgradable>::new(&lock, place));
        assert!(poll(second.as_mut()).is_pending());
        assert!(!lock.mode.is_light() && lock.try_read().is_none());
        lock.unlock_read(share);
        lock.unlock(Side::Upgradable);
        assert!(poll(second.as_mut()).is_ready());
        lock.unlock(Side::Upgradable);
        assert_eq!(lock.state.load(Ordering::Relaxed), 0);
    }
}
