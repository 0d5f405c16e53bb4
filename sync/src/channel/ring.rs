//! ⚠ The ring of a buffered channel: values in the order of their sending, in slots that are
//! allocated when they are first needed.
//!
//! ```text
//!   slots   │ . │ . │ a │ b │ c │ . │      head = 2, tail = 5, len = 3, slots = 6
//!                     head        tail     taken from head, put at tail, both go round
//! ```
//!
//! It belongs to one channel and is touched under that channel's lock alone; nothing here is
//! shared. The hot path asks one question only, whether `len` is below `limit`, to which "the slots
//! are full", "there are no slots yet" and "the channel is closed" all say no.
//!
//! Invariants:
//! 1. `memory` has room for `slots` values; `slots` is 0 until the first allocation, and never
//!    shrinks.
//! 2. `head` and `tail` are below `slots`, or 0; `len` is at most `slots`. The `len` slots from
//!    `head` on, going round, hold values, the others do not; `tail` comes after them.
//! 3. `limit` is `slots`, or 0 once the ring is shut.
//!
//! Rejected: `VecDeque`, which checks its room twice for a push and keeps more words than it needs
//! to go round; and a power of two of slots, whose mask saves an instruction and up to half of the
//! memory is lost for it.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::marker::PhantomData;
use std::ptr::NonNull;

/// How many slots the first allocation makes at most. Larger rings double, so that a channel with a
/// generous capacity costs what it holds.
const FIRST_ALLOCATION: u32 = 1024;

/// How many bytes the first allocation takes at most, unless a single value is larger: values of
/// megabytes are not many at a time, whatever the capacity allows.
const FIRST_BYTES: usize = 1 << 20;

/// How many slots the first allocation makes, with this capacity.
fn first_slots<T>(capacity: u32) -> u32 {
    let fit = match size_of::<T>() {
        0 => FIRST_ALLOCATION,
        size => u32::try_from(FIRST_BYTES / size).unwrap_or(u32::MAX),
    };
    capacity.min(FIRST_ALLOCATION).min(fit.max(1))
}

/// See the module.
pub(super) struct Ring<T> {
    memory: NonNull<T>,
    slots: u32,
    limit: u32,
    head: u32,
    tail: u32,
    len: u32,
    /// The most slots there will ever be.
    capacity: u32,
    owns: PhantomData<T>,
}

impl<T> Ring<T> {
    pub(super) const fn new(capacity: u32) -> Self {
        Self {
            memory: NonNull::dangling(),
            slots: 0,
            limit: 0,
            head: 0,
            tail: 0,
            len: 0,
            capacity,
            owns: PhantomData,
        }
    }

    #[inline(always)]
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    #[inline(always)]
    pub(super) fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Whether it holds as many values as it ever will.
    #[inline(always)]
    pub(super) fn is_full(&self) -> bool {
        self.len >= self.capacity
    }

    /// Whether [`Ring::push`] would find a slot. If not, it may be full, want to
    /// [`grow`](Ring::grow), or be shut.
    #[inline(always)]
    pub(super) fn has_slot(&self) -> bool {
        self.len < self.limit
    }

    /// Appends what `take` yields, or does not call it if there is no slot.
    #[inline(always)]
    pub(super) fn push(&mut self, take: impl FnOnce() -> T) -> bool {
        if !self.has_slot() {
            return false;
        }
        let value = take();
        // SAFETY: `len < limit <= slots` by invariant 3.
        unsafe { self.put(value) };
        true
    }

    /// Appends a value in the place of one that was just taken, also when the ring is shut.
    ///
    /// # Panics
    ///
    /// If nothing was taken.
    #[inline]
    pub(super) fn replace(&mut self, value: T) {
        assert!(self.len < self.slots, "a slot was just left");
        // SAFETY: just checked.
        unsafe { self.put(value) };
    }

    /// Takes the first value.
    #[inline(always)]
    pub(super) fn pop(&mut self) -> Option<T> {
        if self.len == 0 {
            return None;
        }
        // SAFETY: the ring is not empty, so that `head` is the slot of a value (invariant 2), which
        // is empty from now on.
        let value = unsafe { self.memory.add(self.head as usize).read() };
        self.head = self.after(self.head);
        self.len -= 1;
        Some(value)
    }

    /// Refuses every further [`push`](Ring::push); what is inside can still be taken.
    pub(super) fn shut(&mut self) {
        self.limit = 0;
    }

    /// Makes room for more values, if the capacity allows. For a ring that is not shut.
    ///
    /// # Panics
    ///
    /// If the values would take more bytes than there are addresses.
    #[cold]
    #[inline(never)]
    pub(super) fn grow(&mut self) -> bool {
        if self.slots == self.capacity {
            return false;
        }
        let slots = match self.slots {
            0 => first_slots::<T>(self.capacity),
            slots => self.capacity.min(slots.saturating_mul(2)),
        };
        let memory = allocate(slots);
        let before_the_end = self.len.min(self.slots - self.head);
        // SAFETY: by invariant 2 the values lie in `len` slots from `head` on, those after the end
        // at the start; the new memory has room for more than all of them, and does not overlap.
        unsafe {
            let head = self.memory.add(self.head as usize);
            memory.copy_from_nonoverlapping(head, before_the_end as usize);
            memory
                .add(before_the_end as usize)
                .copy_from_nonoverlapping(self.memory, (self.len - before_the_end) as usize);
        }
        self.release();
        self.memory = memory;
        self.slots = slots;
        self.limit = slots;
        self.head = 0;
        // Below `slots`, because the ring has become larger than what it held.
        self.tail = self.len;
        true
    }

    /// # Safety
    ///
    /// `len < slots`.
    #[inline(always)]
    unsafe fn put(&mut self, value: T) {
        // SAFETY: a slot is free, so that by invariant 2 `tail` is one, and allocated.
        unsafe { self.memory.add(self.tail as usize).write(value) };
        self.tail = self.after(self.tail);
        self.len += 1;
    }

    #[inline(always)]
    fn after(&self, slot: u32) -> u32 {
        let next = slot + 1;
        if next == self.slots { 0 } else { next }
    }

    /// Gives the memory back; the values have been moved out of it.
    fn release(&mut self) {
        let layout = layout::<T>(self.slots);
        if layout.size() != 0 {
            // SAFETY: invariant 1: `allocate` made it with this very layout.
            unsafe { dealloc(self.memory.as_ptr().cast(), layout) };
        }
    }
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        // Its own destructor does the rest when that of a value panics.
        let rest = Rest(self);
        while let Some(value) = rest.0.pop() {
            drop(value);
        }
    }
}

/// A ring that is being dropped.
struct Rest<'a, T>(&'a mut Ring<T>);

impl<T> Drop for Rest<'_, T> {
    fn drop(&mut self) {
        while let Some(value) = self.0.pop() {
            drop(value);
        }
        self.0.release();
    }
}

// SAFETY: it owns its values and shares nothing.
unsafe impl<T: Send> Send for Ring<T> {}

fn layout<T>(slots: u32) -> Layout {
    match Layout::array::<T>(slots as usize) {
        Ok(layout) => layout,
        Err(_) => panic!("capacity overflow: the values of a channel do not fit into memory"),
    }
}

/// Memory for so many values; none at all if that is no bytes.
fn allocate<T>(slots: u32) -> NonNull<T> {
    let layout = layout::<T>(slots);
    if layout.size() == 0 {
        return NonNull::dangling();
    }
    // SAFETY: the size is not zero.
    let memory = unsafe { alloc(layout) };
    NonNull::new(memory.cast()).unwrap_or_else(|| handle_alloc_error(layout))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::rc::Rc;

    fn put<T>(ring: &mut Ring<T>, value: T) -> bool {
        let mut value = Some(value);
        let mut push = |ring: &mut Ring<T>| ring.push(|| value.take().unwrap());
        push(ring) || (ring.grow() && push(ring))
    }

    #[test]
    fn it_does_what_a_queue_does_at_every_size_and_offset() {
        // Miri takes long, and finds the same at the smaller sizes.
        let capacities: &[u32] = if cfg!(miri) {
            &[0, 1, 3, 7, 130]
        } else {
            &[0, 1, 2, 3, 7, 1024, 1025, 3000]
        };
        let (steps, most) = if cfg!(miri) { (20, 150) } else { (200, 1500) };
        for &capacity in capacities {
            let (mut ring, mut queue) = (Ring::new(capacity), VecDeque::new());
            // Fills and empties by steps that do not divide the capacity, so that the ring goes
            // round and grows at any offset.
            let mut next = 0;
            for step in 1..steps {
                for _ in 0..step * 13 % most {
                    let pushed = put(&mut ring, Box::new(next));
                    assert_eq!(pushed, queue.len() < capacity as usize);
                    if pushed {
                        queue.push_back(Box::new(next));
                    }
                    next += 1;
                }
                assert_eq!(ring.is_full(), queue.len() == capacity as usize);
                for _ in 0..step * 7 % (most * 11 / 15) {
                    assert_eq!(ring.pop(), queue.pop_front());
                }
                assert_eq!(ring.len() as usize, queue.len());
            }
        }
    }

    #[test]
    fn it_drops_each_value_once() {
        let value = Rc::new(());
        let mut ring = Ring::new(5);
        for _ in 0..4 {
            assert!(put(&mut ring, value.clone()));
        }
        drop(ring.pop());
        drop(ring.pop());
        for _ in 0..3 {
            assert!(put(&mut ring, value.clone()));
        }
        assert_eq!(Rc::strong_count(&value), 6);
        drop(ring);
        assert_eq!(Rc::strong_count(&value), 1);
    }

    #[test]
    fn a_destructor_that_panics_keeps_no_other_from_running() {
        struct Loud {
            loud: bool,
            _counted: Rc<()>,
        }
        impl Drop for Loud {
            fn drop(&mut self) {
                assert!(!self.loud, "loud");
            }
        }
        let value = Rc::new(());
        let mut ring = Ring::new(3);
        for loud in [false, true, false] {
            let _counted = value.clone();
            assert!(put(&mut ring, Loud { loud, _counted }));
        }
        let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(ring)));
        assert!(dropped.is_err());
        assert_eq!(Rc::strong_count(&value), 1);
    }

    #[test]
    fn values_without_size_take_no_memory() {
        let mut ring = Ring::new(u32::MAX);
        for _ in 0..5000 {
            assert!(put(&mut ring, ()));
        }
        assert_eq!(ring.memory, NonNull::dangling());
        assert_eq!(std::iter::from_fn(|| ring.pop()).count(), 5000);
    }

    #[test]
    fn large_values_are_not_given_room_for_all_at_once() {
        type Large = [u8; 3 << 18];
        let mut ring = Ring::<Box<Large>>::new(5000);
        assert!(put(&mut ring, Box::new([1; 3 << 18])));
        assert_eq!(ring.slots, FIRST_ALLOCATION, "a box is small");
        assert_eq!(first_slots::<[u8; 3 << 10]>(5000), 341);
        assert_eq!(first_slots::<Large>(5000), 1);
        assert_eq!(first_slots::<[u8; 3 << 20]>(5000), 1);
        assert_eq!(first_slots::<[u8; 3 << 20]>(0), 0);
        assert_eq!(first_slots::<()>(5000), FIRST_ALLOCATION);
    }

    #[test]
    fn a_shut_ring_takes_nothing_but_a_replacement() {
        let mut ring = Ring::new(2);
        assert!(put(&mut ring, 1));
        assert!(put(&mut ring, 2));
        ring.shut();
        assert_eq!(ring.pop(), Some(1));
        assert!(!ring.push(|| unreachable!()));
        ring.replace(3);
        assert_eq!(
            (ring.pop(), ring.pop(), ring.pop()),
            (Some(2), Some(3), None)
        );
    }
}
