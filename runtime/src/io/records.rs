//! Where the records live: pages that never move, found by number without a lock.
//!
//! A page holds [`PAGE`] records. The pages hang in a directory of buckets, each twice as large as
//! the one before, so that the directory grows without ever moving and the poller follows a token
//! with three loads. A registration holds its page alive and reaches its record directly; the page
//! knows the driver only weakly, so that a socket which outlives its runtime keeps a page of memory
//! and no descriptor.
//!
//! The lock here is held for handing out and taking back numbers, and by nobody who waits. Numbers
//! are reused last in, first out: the record of the connection that has just gone is warm.
//!
//! *Rejected.* Records in the sockets' own allocations (the token a pointer): an event under way
//! could then name freed memory, so that freeing has to wait for the poller. Growing a vector of
//! records: they would move under the poller's feet.
#![forbid(unsafe_code)]

use std::array;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};
use std::task::Waker;

use super::driver::Shared;
use super::readiness::Record;
use super::state::{GENERATION_BITS, Ready, Stop};

/// Records a page: 4 KiB of them. A runtime with a few sockets pays for one page.
const PAGE: usize = 64;

/// Buckets of the directory: 2²⁶ pages, more records than a process may have descriptors.
const BUCKETS: usize = 26;

/// Bits of a token that number the record.
const INDEX_BITS: u32 = usize::BITS - GENERATION_BITS;

/// The records of one driver.
pub(super) struct Records {
    numbers: Mutex<Numbers>,
    /// Records with a user: written under the lock. Relaxed: it is a hint to whoever reads it
    /// alone.
    used: AtomicUsize,
    directory: [OnceLock<Bucket>; BUCKETS],
}

type Bucket = Box<[OnceLock<Arc<Page>>]>;

/// Under the lock.
#[derive(Debug, Default)]
struct Numbers {
    /// Records without a user. Its capacity is that of all records: giving one back never
    /// allocates.
    free: Vec<u32>,
    pages: usize,
    shutdown: bool,
}

impl Numbers {
    fn used(&self) -> usize {
        self.pages * PAGE - self.free.len()
    }
}

/// A block of records, and the way back to their driver.
pub(super) struct Page {
    driver: Weak<Shared>,
    records: [Record; PAGE],
}

impl Page {
    pub(super) fn driver(&self) -> Option<Arc<Shared>> {
        self.driver.upgrade()
    }

    #[inline]
    pub(super) fn record(&self, token: Token) -> &Record {
        &self.records[token.index() % PAGE]
    }
}

/// Names a record and its user, in what the kernel carries for us: a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token(usize);

impl Token {
    fn new(index: usize, generation: u64) -> Self {
        Self((generation as usize) << INDEX_BITS | index)
    }

    const fn index(self) -> usize {
        self.0 & ((1 << INDEX_BITS) - 1)
    }

    pub(super) const fn generation(self) -> u64 {
        (self.0 >> INDEX_BITS) as u64
    }
}

impl From<mio::Token> for Token {
    fn from(token: mio::Token) -> Self {
        Self(token.0)
    }
}

impl From<Token> for mio::Token {
    fn from(token: Token) -> Self {
        Self(token.0)
    }
}

impl Records {
    pub(super) fn new() -> Self {
        Self {
            numbers: Mutex::default(),
            used: AtomicUsize::new(0),
            directory: [const { OnceLock::new() }; BUCKETS],
        }
    }

    /// Hands out a record with this readiness to start with.
    pub(super) fn open(
        &self,
        driver: &Arc<Shared>,
        ready: Ready,
    ) -> io::Result<(Arc<Page>, Token)> {
        let mut numbers = self.numbers();
        if numbers.shutdown {
            return Err(super::error::stopped(Stop::Shutdown));
        }
        if numbers.free.is_empty() {
            self.grow(&mut numbers, driver)?;
        }
        let index = numbers.free.pop().expect("a new page has free records") as usize;
        let page = self.page(index).expect("a free record has a page");
        // Under the lock, so that `stop_all` finds the record open or the caller finds the
        // shutdown.
        let generation = page.records[index % PAGE].open(ready);
        self.used.store(numbers.used(), Ordering::Relaxed);
        Ok((Arc::clone(page), Token::new(index, generation)))
    }

    /// Takes back a record that its user has released.
    pub(super) fn close(&self, token: Token) {
        let mut numbers = self.numbers();
        numbers.free.push(token.index() as u32);
        self.used.store(numbers.used(), Ordering::Relaxed);
    }

    /// Reports an event; a stale token is ignored.
    pub(super) fn set_ready(&self, token: Token, ready: Ready, woken: &mut Vec<Waker>) {
        if let Some(page) = self.page(token.index()) {
            page.record(token)
                .set_ready(token.generation(), ready, woken);
        }
    }

    /// Hands out no more records, and stops those that there are.
    pub(super) fn stop_all(&self, woken: &mut Vec<Waker>) {
        self.numbers().shutdown = true;
        for record in self.all() {
            record.shut_down(woken);
        }
    }

    /// How many wait, on all records.
    pub(super) fn waiters(&self) -> usize {
        self.all().map(Record::waiters).sum()
    }

    /// Whether anybody waits, on any record.
    pub(super) fn has_waiters(&self) -> bool {
        self.all().any(|record| record.waiters() > 0)
    }

    /// How many records have a user.
    pub(super) fn len(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn all(&self) -> impl Iterator<Item = &Record> {
        let pages = self.numbers().pages;
        (0..pages)
            .filter_map(|number| self.page(number * PAGE))
            .flat_map(|page| &page.records)
    }

    /// The page of a record. Reads what `grow` has published: `OnceLock` pairs the two.
    fn page(&self, index: usize) -> Option<&Arc<Page>> {
        let (bucket, place) = position(index / PAGE);
        self.directory.get(bucket)?.get()?[place].get()
    }

    #[cold]
    fn grow(&self, numbers: &mut Numbers, driver: &Arc<Shared>) -> io::Result<()> {
        let (bucket, place) = position(numbers.pages);
        let first = numbers.pages * PAGE;
        if bucket >= BUCKETS || first + PAGE >= 1 << INDEX_BITS.min(u32::BITS) {
            return Err(io::Error::other("too many descriptors are registered"));
        }
        let bucket = self.directory[bucket]
            .get_or_init(|| (0..1usize << bucket).map(|_| OnceLock::new()).collect());
        bucket[place].get_or_init(|| {
            Arc::new(Page {
                driver: Arc::downgrade(driver),
                records: array::from_fn(|_| Record::new()),
            })
        });
        numbers.pages += 1;
        let all = numbers.pages * PAGE;
        let free = numbers.free.len();
        numbers.free.reserve(all - free);
        // The lowest number comes out first.
        numbers
            .free
            .extend((first..first + PAGE).rev().map(|index| index as u32));
        Ok(())
    }

    /// Nothing is half done where this lock could be poisoned: by an allocation that failed.
    fn numbers(&self) -> MutexGuard<'_, Numbers> {
        self.numbers
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Bucket of a page, and its place in it: buckets hold 1, 2, 4, … pages.
const fn position(page: usize) -> (usize, usize) {
    let bucket = (page + 1).ilog2();
    (bucket as usize, page + 1 - (1 << bucket))
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records")
            .field("numbers", &self.numbers)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_have_distinct_places() {
        let places: Vec<_> = (0..7).map(position).collect();
        assert_eq!(
            places,
            [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2), (2, 3)]
        );
    }

    #[test]
    fn a_token_gives_back_what_it_was_made_of() {
        let token = Token::new(123_456, 789);
        assert_eq!((token.index(), token.generation()), (123_456, 789));
    }
}
