//! The members that wait for something, with the wakers by which they are told to give up.
//!
//! A member that ends in its first poll is never in here, and neither is one that has not had it:
//! they look at the group's word before they begin, so that nobody has to tell them.
//!
//! They are found by where they are in memory, which is theirs alone while they wait, so that a
//! member has no number to remember, and no links. (A list of places with numbers was here before;
//! the number made the smallest members too large for the slot that they would have alone.)
//!
//! As this is under the group's lock, nothing in it takes long, however many they are: the table
//! grows and shrinks by one bucket at a time (linear hashing, Litwin 1980). With `n` buckets, those
//! from the highest power of two up to `n` have taken their share of the one that is as far from
//! the beginning as they are from that power; the rest of the first half is still to be split. A
//! std `HashMap` was here before, which moves all that it has when it grows: some tens of
//! milliseconds for a million.
#![forbid(unsafe_code)]

use std::task::Waker;

/// Where a member is, by which it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(usize);

impl Place {
    /// That of something which stays where it is, and belongs to one member.
    #[inline]
    pub(super) fn of<T>(what: &T) -> Self {
        Self(std::ptr::from_ref(what).addr())
    }

    /// Neighbours are far apart in this, and all bits of the address in its lowest.
    fn hash(self) -> usize {
        // A multiplication by the golden ratio (Knuth) carries all bits to the top; the fold brings
        // them down again. Addresses need no defence against who chooses them badly.
        let spread = (self.0 as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (spread ^ (spread >> 32)) as usize
    }
}

/// So many a bucket, on the average, and there is one more. A guess: all of it is two or three
/// cache lines.
const FULL: usize = 8;

/// So few, and there is one less; far from the other, so that nothing goes to and fro.
const SPARSE: usize = 2;

/// How many buckets lie together. What is copied when the list of these grows is so much less than
/// what they hold that even for a hundred million members it is some ten thousand words.
const SHELF: usize = 256;

type Bucket = Vec<(Place, Waker)>;

#[derive(Debug, Default)]
pub(super) struct Members {
    /// All but the last are full, and none is empty.
    shelves: Vec<Vec<Bucket>>,
    buckets: usize,
    len: usize,
}

impl Members {
    pub(super) fn enter(&mut self, place: Place, waker: Waker) {
        if self.len >= FULL * self.buckets {
            self.grow();
        }
        self.len += 1;
        let bucket = self.bucket(self.index(place));
        debug_assert!(bucket.iter().all(|entry| entry.0 != place));
        bucket.push((place, waker));
    }

    /// The member has ended; its waker is to be dropped after the lock. `None` if it has been told
    /// to give up.
    pub(super) fn ended(&mut self, place: Place) -> Option<Waker> {
        if self.len == 0 {
            return None;
        }
        let bucket = self.bucket(self.index(place));
        let at = bucket.iter().position(|entry| entry.0 == place)?;
        let (_, waker) = bucket.swap_remove(at);
        self.len -= 1;
        if self.len < SPARSE * (self.buckets - 1) {
            self.shrink();
        }
        Some(waker)
    }

    /// Wakes all. To be taken out of the group for that, and woken after the lock.
    pub(super) fn wake(self) {
        let buckets = self.shelves.into_iter().flatten();
        buckets.flatten().for_each(|(_, waker)| waker.wake());
    }

    /// The bucket for a place: by as many bits as name a bucket that there is.
    fn index(&self, place: Place) -> usize {
        let hash = place.hash();
        let buckets = self.buckets.next_power_of_two();
        match hash % buckets {
            index if index < self.buckets => index,
            index => index - buckets / 2,
        }
    }

    fn bucket(&mut self, index: usize) -> &mut Bucket {
        &mut self.shelves[index / SHELF][index % SHELF]
    }

    /// One bucket more, which takes its share.
    fn grow(&mut self) {
        let index = self.buckets;
        self.buckets += 1;
        let moved = partner(index).map(|from| self.split(from));
        if index % SHELF == 0 {
            self.shelves.push(Vec::new());
        }
        let last = self.shelves.last_mut().expect("there is one with room");
        last.push(moved.unwrap_or_default());
    }

    /// Takes from a bucket those that are not its own any more.
    fn split(&mut self, from: usize) -> Bucket {
        let (mut stay, mut moved) = (std::mem::take(self.bucket(from)), Bucket::new());
        let mut at = 0;
        while at < stay.len() {
            if self.index(stay[at].0) == from {
                at += 1;
            } else {
                moved.push(stay.swap_remove(at));
            }
        }
        *self.bucket(from) = stay;
        moved
    }

    /// One bucket less, which gives back its share.
    fn shrink(&mut self) {
        let index = self.buckets - 1;
        let Some(into) = partner(index) else {
            return;
        };
        let last = self.shelves.last_mut().and_then(Vec::pop);
        if index % SHELF == 0 {
            self.shelves.pop();
        }
        self.buckets = index;
        self.bucket(into).append(&mut last.unwrap_or_default());
    }
}

/// The bucket of which this one has a share; the first has all.
fn partner(index: usize) -> Option<usize> {
    Some(index - (1 << index.checked_ilog2()?))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::collections::HashSet;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::task::Wake;

    use super::*;

    /// As slots of a slab are.
    fn place(n: usize) -> Place {
        Place(0x7F00_0000_1000 + 96 * n)
    }

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    const MANY: usize = if cfg!(miri) { 600 } else { 50_000 };

    #[test]
    fn neighbours_are_spread_over_the_table() {
        // A table of 1024 has as many of its buckets hit as at random, about 63 of 100.
        let low: HashSet<_> = (0..1024).map(|n| place(n).hash() % 1024).collect();
        assert!(low.len() > 550, "{} hit", low.len());
    }

    #[test]
    fn every_one_is_found_while_it_grows_and_while_it_shrinks() {
        let (count, mut members) = (Arc::new(Count::default()), Members::default());
        let waker = Waker::from(count.clone());
        assert!(members.ended(place(0)).is_none());
        for n in 0..MANY {
            members.enter(place(n), waker.clone());
            // An old one comes and goes.
            let old = place(n / 2);
            assert!(members.ended(old).is_some(), "{n}");
            assert!(members.ended(old).is_none(), "{n}");
            members.enter(old, waker.clone());
        }
        let most = members.buckets;
        assert!((MANY / FULL..=MANY / FULL + 1).contains(&most));
        for n in 0..MANY {
            let n = if n % 2 == 0 { n / 2 } else { MANY - 1 - n / 2 };
            assert!(members.ended(place(n)).is_some(), "{n}");
            assert!(
                members.buckets <= 1 + (members.len / SPARSE).max(1),
                "{members:?}"
            );
        }
        assert_eq!(
            (members.len, members.buckets, Arc::strong_count(&count)),
            (0, 1, 2)
        );
    }

    #[test]
    fn none_is_moved_but_those_of_one_bucket() {
        let mut members = Members::default();
        let longest = (0..MANY).map(|n| {
            members.enter(place(n), Waker::noop().clone());
            let last = members.buckets - 1;
            members.bucket(last).len()
        });
        // At random eight on the average, and hardly ever four times as many.
        assert!(longest.max() < Some(6 * FULL));
    }

    #[test]
    fn all_are_woken_once() {
        let (count, mut members) = (Arc::new(Count::default()), Members::default());
        for n in 0..MANY {
            members.enter(place(n), Waker::from(count.clone()));
        }
        let taken = std::mem::take(&mut members);
        assert!(members.ended(place(7)).is_none());
        taken.wake();
        assert_eq!(count.0.load(Relaxed), MANY);
        assert_eq!(Arc::strong_count(&count), 1);
    }
}
