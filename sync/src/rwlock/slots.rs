//! Where the readers of [light](super::light) locks are noted: each thread has a table of slots,
//! and a reader puts the number of its lock into a slot of its thread's.
//!
//! ```text
//!   FIRST ──► table of thread A ──► table of B ──► table that nobody has ──► …
//!             ┌───┬───┬───┬───┐
//!             │ 0 │ 7 │ 0 │ 9 │ …   locks 7 and 9 are being read
//!             └───┴───┴───┴───┘
//! ```
//!
//! A table is a cache line that one thread writes, but for guards that go to other threads. A
//! writer, who comes rarely, reads them all. Tables are never freed: when a thread ends, its table
//! goes to the next that comes, with what is still in it. So there are as many as there were
//! threads that read at once, and a look at one needs no lock and no care.
//!
//! A lock has a number that no other lock has or had, and not its address: a guard that is
//! forgotten leaves its slot occupied for ever, and a new lock at the same address would look as if
//! it were read for ever. So it costs one slot.
//!
//! Invariants:
//!
//! 1. Only the thread that has the table makes a slot of it occupied, and only if it is free.
//! 2. Only whoever holds the guard that stands for an occupied slot makes it free, on whatever
//!    thread that is by then.
//!
//! Source: Dice and Kogan, "BRAVO: Biased Locking for Reader-Writer Locks", 2019, with one table
//! for all threads, hashed by thread and lock. *Rejected*: that: two threads that meet in a slot,
//! or in a line of it, are back where they were.
#![forbid(unsafe_code)]

use std::num::NonZeroU32;

use crate::primitive::LIGHT_SLOTS;
use crate::primitive::atomic::{AtomicU32, Ordering};

/// Nobody reads here. No lock has this number.
const FREE: u32 = 0;

/// The number of a lock that is read by who holds this, or [`FREE`].
#[derive(Debug)]
pub(super) struct Slot(AtomicU32);

#[derive(Debug)]
#[repr(align(64))]
struct Table([Slot; LIGHT_SLOTS]);

/// Notes that the calling thread reads the lock with this number. `None` if it has no slot free.
#[inline(always)]
pub(super) fn enter(number: u32) -> Option<&'static Slot> {
    if let Some(Table(slots)) = registry::mine() {
        // Where locks are few, each has its own.
        let slot = &slots[number as usize % LIGHT_SLOTS];
        if slot.occupy(number) {
            return Some(slot);
        }
    }
    enter_elsewhere(number)
}

/// Another lock is there, or this is the thread's first.
#[cold]
fn enter_elsewhere(number: u32) -> Option<&'static Slot> {
    registry::mine_or_new()?.any_free(number)
}

/// Whether a reader of the lock with this number is noted anywhere.
///
/// # Memory ordering
///
/// If not, what those who were did before they left is visible.
pub(super) fn is_noted(number: u32) -> bool {
    // Acquire: pairs with the `Release` in `leave`, also where the slot has been occupied anew.
    registry::all()
        .any(|table| (table.0.iter()).any(|Slot(slot)| slot.load(Ordering::Acquire) == number))
}

/// A number that no lock has or had. `None` when there are none left.
pub(super) fn new_number() -> Option<NonZeroU32> {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    /// Relaxed, and no part of a model: it only has to be another one each time.
    static LAST: AtomicU32 = AtomicU32::new(FREE);

    let last = LAST.fetch_update(Relaxed, Relaxed, |last| last.checked_add(1));
    NonZeroU32::new(last.ok()? + 1)
}

impl Table {
    /// A slot that is now occupied.
    fn any_free(&self, number: u32) -> Option<&Slot> {
        self.0.iter().find(|slot| slot.occupy(number))
    }
}

impl Slot {
    /// Makes it occupied if it is free. The calling thread has the table (1).
    #[inline(always)]
    fn occupy(&self, number: u32) -> bool {
        // Acquire and Release: whoever sees the new number comes after the one who left, as if it
        // had seen that one's `FREE`.
        if self.0.load(Ordering::Acquire) != FREE {
            return false;
        }
        self.0.store(number, Ordering::Release);
        true
    }

    /// Makes it free. The caller is whom it stands for (2).
    #[inline(always)]
    pub(super) fn leave(&self) {
        // Release: pairs with the `Acquire` in `is_noted`, and in `occupy`.
        self.0.store(FREE, Ordering::Release);
    }
}

/// Whose tables there are.
#[cfg(not(loom))]
mod registry {
    use std::cell::Cell;
    use std::iter;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::{FREE, LIGHT_SLOTS, Slot, Table};
    use crate::primitive::atomic::AtomicU32;

    /// A table on the list. The two lines of it are fetched together on some machines, and the
    /// second is hardly ever written.
    #[derive(Debug)]
    #[repr(align(128))]
    struct Node {
        table: Table,
        /// Whether a thread has it.
        taken: AtomicBool,
        next: OnceLock<&'static Node>,
    }

    /// All that there are, in the order in which they were needed.
    static FIRST: OnceLock<&'static Node> = OnceLock::new();

    thread_local! {
        /// Beside [`OWNED`], since this one is there for as long as the thread is, and may be
        /// looked at without asking.
        static TABLE: Cell<Option<&'static Table>> = const { Cell::new(None) };
        static OWNED: Owned = const { Owned(Cell::new(None)) };
    }

    /// The calling thread's table, if it has one.
    #[inline(always)]
    pub(super) fn mine() -> Option<&'static Table> {
        TABLE.get()
    }

    /// The same, and now it has one. `None` in a thread that is about to end and has given it back.
    pub(super) fn mine_or_new() -> Option<&'static Table> {
        OWNED.try_with(Owned::table).ok()
    }

    /// All tables.
    pub(super) fn all() -> impl Iterator<Item = &'static Table> {
        nodes().map(|node| &node.table)
    }

    fn nodes() -> impl Iterator<Item = &'static Node> {
        iter::successors(FIRST.get().copied(), |node| node.next.get().copied())
    }

    /// The thread's share of the list.
    struct Owned(Cell<Option<&'static Node>>);

    impl Owned {
        fn table(&self) -> &'static Table {
            let node = self.0.get().unwrap_or_else(|| {
                let node = nodes().find(|node| node.take()).unwrap_or_else(add);
                self.0.set(Some(node));
                TABLE.set(Some(&node.table));
                node
            });
            &node.table
        }
    }

    impl Drop for Owned {
        fn drop(&mut self) {
            TABLE.set(None);
            if let Some(node) = self.0.take() {
                // Release: pairs with the `Acquire` in `take`, so that the next who has it sees
                // which slots are occupied.
                node.taken.store(false, Ordering::Release);
            }
        }
    }

    impl Node {
        fn take(&self) -> bool {
            // Acquire: pairs with the `Release` when the last thread gave it back.
            (self.taken)
                .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
        }
    }

    /// Another one, which the calling thread has, at the end of the list.
    fn add() -> &'static Node {
        let node: &Node = Box::leak(Box::new(Node {
            table: Table([const { Slot(AtomicU32::new(FREE)) }; LIGHT_SLOTS]),
            taken: AtomicBool::new(true),
            next: OnceLock::new(),
        }));
        let mut end = &FIRST;
        while end.set(node).is_err() {
            end = &end.get().expect("somebody else was faster").next;
        }
        node
    }
}

/// The same for a model: as many tables as it has threads.
#[cfg(loom)]
mod registry {
    use std::array;

    use super::{FREE, Slot, Table};
    use crate::primitive::atomic::{AtomicBool, AtomicU32, Ordering};

    struct Node {
        table: Table,
        taken: AtomicBool,
    }

    impl Node {
        fn new() -> Self {
            Self {
                table: Table(array::from_fn(|_| Slot(AtomicU32::new(FREE)))),
                taken: AtomicBool::new(false),
            }
        }
    }

    loom::lazy_static! {
        static ref NODES: [Node; 4] = array::from_fn(|_| Node::new());
    }

    loom::thread_local! {
        static OWNED: Owned = Owned::new();
    }

    struct Owned(&'static Node);

    impl Owned {
        fn new() -> Self {
            let free = |node: &&Node| {
                (node.taken)
                    .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
                    .is_ok()
            };
            Self(NODES.iter().find(free).expect("more threads than tables"))
        }
    }

    impl Drop for Owned {
        fn drop(&mut self) {
            self.0.taken.store(false, Ordering::Release);
        }
    }

    pub(super) fn mine() -> Option<&'static Table> {
        Some(OWNED.with(|owned| &owned.0.table))
    }

    pub(super) fn mine_or_new() -> Option<&'static Table> {
        mine()
    }

    pub(super) fn all() -> impl Iterator<Item = &'static Table> {
        NODES.iter().map(|node| &node.table)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::thread;

    use super::*;

    fn number() -> u32 {
        new_number().unwrap().get()
    }

    #[test]
    fn a_reader_is_noted_until_it_leaves_on_whatever_thread() {
        let number = number();
        assert!(!is_noted(number));
        let (one, two) = (enter(number).unwrap(), enter(number).unwrap());
        assert!(is_noted(number));
        one.leave();
        assert!(is_noted(number));
        thread::spawn(|| two.leave()).join().unwrap();
        assert!(!is_noted(number));
    }

    #[test]
    fn a_table_takes_so_many_and_no_more() {
        let table = Table([const { Slot(AtomicU32::new(FREE)) }; LIGHT_SLOTS]);
        // The same lock many times, and many: where the first look finds another it goes on.
        for same in [true, false] {
            let number = |n: usize| if same { 7 } else { 7 + n as u32 };
            let slots: Vec<_> = (0..).map_while(|n| table.any_free(number(n))).collect();
            assert_eq!(slots.len(), LIGHT_SLOTS);
            slots[3].leave();
            assert!(table.any_free(number(3)).is_some());
            assert!(table.any_free(number(3)).is_none());
            slots.into_iter().for_each(Slot::leave);
        }
    }

    #[test]
    fn what_outlives_its_thread_stays_noted_beside_what_the_next_one_notes() {
        let kept = number();
        let slot = thread::spawn(move || enter(kept).unwrap()).join().unwrap();
        for _ in 0..100 {
            thread::spawn(move || {
                let slots: Vec<_> = (0..LIGHT_SLOTS).map_while(|_| enter(number())).collect();
                assert!(is_noted(kept));
                slots.into_iter().for_each(Slot::leave);
            })
            .join()
            .unwrap();
        }
        assert!(is_noted(kept));
        slot.leave();
        assert!(!is_noted(kept));
    }

    /// As many as run at once, of all tests here; not as many as there have been.
    #[test]
    fn tables_go_from_thread_to_thread() {
        let rounds = if cfg!(miri) { 20 } else { 500 };
        for _ in 0..rounds {
            thread::spawn(|| enter(number()).unwrap().leave())
                .join()
                .unwrap();
        }
        let tables = registry::all().count();
        assert!(tables < rounds, "{tables} tables");
    }

    /// The table goes before other things of the thread do, which may still read.
    #[test]
    fn a_thread_that_has_given_its_table_back_gets_no_other() {
        struct AtTheEnd;

        impl Drop for AtTheEnd {
            fn drop(&mut self) {
                // Whether this one or the table goes first is up to the system.
                if let Some(slot) = enter(number()) {
                    slot.leave();
                }
            }
        }

        thread_local! {
            static FIRST: AtTheEnd = const { AtTheEnd };
            static LAST: AtTheEnd = const { AtTheEnd };
        }

        thread::spawn(|| {
            FIRST.with(|_| ());
            enter(number()).unwrap().leave();
            LAST.with(|_| ());
        })
        .join()
        .unwrap();
    }
}
