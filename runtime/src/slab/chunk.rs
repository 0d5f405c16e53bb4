//! ⚠ A chunk: a block of [`CHUNK`] bytes that starts with a header and is cut into slots of one
//! size.
//!
//! Since a chunk is aligned to its size, masking a slot's address finds the header, and there
//! everything that belongs to the slot: the cookie, the arena, the word through which others return
//! it.
//!
//! A slot is *uncarved* (never used, its page perhaps not resident), *vacant* (in the owner's list
//! or among the returned), or *out*. Its first word is the caller's: 0 unless the caller made it
//! otherwise, readable by anyone at any time from carving on. The second word is the link of the
//! list that a vacant slot is in. The rest is nobody's while it is vacant.
//!
//! Invariants:
//! 1. A header's first fields never change; its `Cell`s belong to the owner of the chunk's arena,
//!    or where it says so to the holder of the registry's lock; all else is atomic or handed over
//!    by an atomic.
//! 2. `used` counts the slots that are out or among the returned. When it equals the number of
//!    returned ones nobody but the owner has business with the chunk, and it may be freed.
//! 3. A slot is carved, with a zero in its first word, before `carved` says so.
//! 4. A [`Chunk`] is only held where the chunk is mapped: by who has one of its slots out, by its
//!    owner until it releases it, by a visitor of the registry until it leaves.

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use super::bins::Bins;
use super::pages::CHUNK;
use super::returns::{Asked, Returns, Step};
use super::size_class::slot_size;
use super::{Arena, Shared};
use crate::primitive::UnsafeCell;
use crate::primitive::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::primitive::atomic::{AtomicU32, AtomicU64};

/// Slots are carved in batches of about this many bytes, so that the common allocation finds one in
/// the list. Half a page: it makes at most one more page resident than is needed.
const CARVE_BYTES: u32 = 2048;

/// What of the chunk has to come back before the owner of a full one is called: a sixteenth. Each
/// call leads to so many allocations at least, at the price of that part of the memory lying idle
/// at worst. A guess.
const CALL_FRACTION: u32 = 16;

/// What both states of a slot share; see the module's story.
#[repr(C)]
struct Slot {
    state: AtomicU64,
    next: UnsafeCell<*mut Slot>,
}

/// Where a chunk stands with its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Its bin allocates from it.
    Current,
    /// In its bin's list of chunks that have, or will soon have, a vacant slot.
    Listed,
    /// In no list: all slots are used. It comes back by a free of the owner or by a call.
    Full,
}

/// What a chunk starts with.
#[repr(C, align(64))]
struct Head<C> {
    // Read by all.
    cookie: C,
    shared: NonNull<Shared<C>>,
    arena: NonNull<Arena<C>>,
    bins: NonNull<Bins<C>>,
    index: u32,
    size: u32,
    capacity: u32,
    // Owner only. Up to here it is one cache line.
    used: Cell<u32>,
    free: Cell<*mut Slot>,
    class: u8,
    standing: Cell<Standing>,
    /// The owner has asked for a call and did not get it yet.
    asked: Cell<bool>,

    /// Neighbours in the bin's list. Owner only.
    previous: Cell<Option<Chunk<C>>>,
    next: Cell<Option<Chunk<C>>>,
    /// Written by the owner, read by visitors.
    carved: AtomicU32,
    /// Place in the registry. Under its lock.
    position: Cell<usize>,
    /// What the chunk keeps alive. Written by the abandoner before it settles, taken by who frees
    /// the chunk.
    keep: UnsafeCell<Option<Arc<dyn Any + Send + Sync>>>,

    remote: Remote<C>,
}

/// The line that other threads write.
#[repr(align(64))]
struct Remote<C> {
    returns: Returns,
    /// Link of the owner's queue. Written by who claimed the call, read by the owner when it took
    /// the queue.
    queued: UnsafeCell<Option<Chunk<C>>>,
}

/// A chunk, by its address.
pub(super) struct Chunk<C>(NonNull<Head<C>>);

impl<C> Clone for Chunk<C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C> Copy for Chunk<C> {}

impl<C> PartialEq for Chunk<C> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<C> fmt::Debug for Chunk<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chunk({:p})", self.0)
    }
}

impl<C: Copy> Chunk<C> {
    /// Makes a block a chunk of `class` that has no slots yet.
    ///
    /// # Safety
    ///
    /// `block` is from `pages::map`, and the caller's alone. The pointers stay good as long as the
    /// chunk.
    pub(super) unsafe fn init(
        block: NonNull<u8>,
        class: usize,
        cookie: C,
        index: u32,
        shared: NonNull<Shared<C>>,
        arena: NonNull<Arena<C>>,
        bins: NonNull<Bins<C>>,
    ) -> Self {
        let size = slot_size(class);
        let head = Head {
            cookie,
            shared,
            arena,
            bins,
            index,
            size,
            capacity: (CHUNK - size_of::<Head<C>>()) as u32 / size,
            used: Cell::new(0),
            free: Cell::new(ptr::null_mut()),
            class: class as u8,
            standing: Cell::new(Standing::Full),
            asked: Cell::new(false),
            previous: Cell::new(None),
            next: Cell::new(None),
            carved: AtomicU32::new(0),
            position: Cell::new(0),
            keep: UnsafeCell::new(None),
            remote: Remote {
                returns: Returns::new(),
                queued: UnsafeCell::new(None),
            },
        };
        assert!(
            head.capacity > 0,
            "a slot of {size} bytes does not fit in a chunk"
        );
        let chunk = block.cast::<Head<C>>();
        // SAFETY: the block is ours, aligned to more than the header, and larger.
        unsafe { chunk.write(head) };
        Self(chunk)
    }

    /// The chunk of a slot.
    ///
    /// # Safety
    ///
    /// `slot` is from an allocation of a `Slab<C>` and not freed yet.
    #[inline]
    pub(super) unsafe fn of(slot: NonNull<u8>) -> Self {
        let head = slot.as_ptr().map_addr(|address| address & !(CHUNK - 1));
        // SAFETY: a chunk begins at this address, which is not 0. The pointer may reach it, having
        // been made from the block's.
        Self(unsafe { NonNull::new_unchecked(head.cast()) })
    }

    /// The address, for an atomic.
    pub(super) fn to_raw(self) -> *mut () {
        self.0.as_ptr().cast()
    }

    /// # Safety
    ///
    /// `raw` is null or from [`to_raw`](Self::to_raw), and the chunk is mapped.
    pub(super) unsafe fn from_raw(raw: *mut ()) -> Option<Self> {
        NonNull::new(raw.cast()).map(Self)
    }

    /// The header. The reference must not be used after a step that lets another thread free the
    /// chunk; see [`give_back`](Self::give_back).
    #[inline]
    fn head(&self) -> &Head<C> {
        // SAFETY: the chunk is mapped (invariant 4), and nobody makes a unique reference to its
        // header.
        unsafe { self.0.as_ref() }
    }

    #[inline]
    pub(super) fn cookie(self) -> C {
        self.head().cookie
    }

    #[cfg(all(test, not(loom)))]
    pub(super) fn index(self) -> u32 {
        self.head().index
    }

    pub(super) fn shared(self) -> NonNull<Shared<C>> {
        self.head().shared
    }

    #[inline]
    pub(super) fn arena(self) -> NonNull<Arena<C>> {
        self.head().arena
    }

    #[inline]
    pub(super) fn bins(self) -> NonNull<Bins<C>> {
        self.head().bins
    }

    pub(super) fn class(self) -> usize {
        self.head().class.into()
    }

    /// The memory, to be given back.
    pub(super) fn block(self) -> NonNull<u8> {
        self.0.cast()
    }

    /// Place in the registry. Under its lock.
    pub(super) fn position(self) -> usize {
        self.head().position.get()
    }

    /// Under the registry's lock.
    pub(super) fn set_position(self, position: usize) {
        self.head().position.set(position);
    }

    /// Calls `f` with every slot carved so far.
    pub(super) fn visit(self, f: &mut dyn FnMut(NonNull<u8>)) {
        // Acquire pairs with the Release of `carve`.
        for n in 0..self.head().carved.load(Acquire) {
            f(self.slot(n));
        }
    }

    fn slot(self, n: u32) -> NonNull<u8> {
        let offset = size_of::<Head<C>>() + (n * self.head().size) as usize;
        // SAFETY: slot `n` is one of those that the chunk has room for.
        unsafe { self.block().add(offset) }
    }
}

/// The owner's side.
impl<C: Copy> Chunk<C> {
    /// Takes a vacant slot from the owner's list.
    #[inline]
    pub(super) fn pop(self) -> Option<NonNull<u8>> {
        let head = self.head();
        let slot = NonNull::new(head.free.get())?;
        // SAFETY: a slot in the list is vacant, so that its link is the owner's.
        let next = unsafe { slot.as_ref().next.with(|next| *next) };
        head.free.set(next);
        head.used.set(head.used.get() + 1);
        Some(slot.cast())
    }

    /// Puts a slot into the owner's list. `true`: [`Bins::attend`] to the chunk.
    ///
    /// # Safety
    ///
    /// `slot` was out of this chunk, and is not used any more.
    #[inline]
    pub(super) unsafe fn put(self, slot: NonNull<u8>) -> bool {
        let head = self.head();
        let slot = slot.cast::<Slot>();
        // SAFETY: by contract.
        unsafe { link(slot, head.free.get()) };
        head.free.set(slot.as_ptr());
        head.used.set(head.used.get() - 1);
        match head.standing.get() {
            Standing::Current => false,
            Standing::Listed => self.is_idle(),
            Standing::Full => true,
        }
    }

    /// Cuts some more slots. `false`: none are left. Only when the owner's list is empty.
    pub(super) fn carve(self) -> bool {
        let head = self.head();
        // Relaxed: our own.
        let carved = head.carved.load(Relaxed);
        let more = (CARVE_BYTES / head.size).max(1).min(head.capacity - carved);
        let mut next = head.free.get();
        for n in (carved..carved + more).rev() {
            let slot = self.slot(n).cast::<Slot>();
            // SAFETY: an uncarved slot is the owner's.
            unsafe {
                slot.write(Slot {
                    state: AtomicU64::new(0),
                    next: UnsafeCell::new(next),
                })
            };
            next = slot.as_ptr();
        }
        head.free.set(next);
        // Release pairs with the Acquire of `visit`: invariant 3.
        head.carved.store(carved + more, Release);
        more != 0
    }

    /// Moves the returned slots into the owner's list, which is empty. `false`: there are none.
    pub(super) fn absorb(self) -> bool {
        let head = self.head();
        debug_assert!(
            head.free.get().is_null(),
            "only an empty list takes over the returned slots"
        );
        let (top, count) = head.remote.returns.take();
        head.free.set(self.at(top));
        head.used.set(head.used.get() - count);
        count != 0
    }

    /// Whether no slot is out.
    pub(super) fn is_idle(self) -> bool {
        self.head().used.get() == self.head().remote.returns.count()
    }

    /// Whether the owner's list has a slot.
    pub(super) fn has_free(self) -> bool {
        !self.head().free.get().is_null()
    }

    /// Whether the chunk is on its owner's queue. Only of one that [is idle](Self::is_idle): of
    /// others a call may be on its way.
    pub(super) fn is_queued(self) -> bool {
        self.head().asked.get() && !self.head().remote.returns.is_wanted()
    }

    /// Asks for a call when enough slots of a full chunk have come back.
    pub(super) fn ask_for_some(self) -> Asked {
        self.ask((self.head().capacity / CALL_FRACTION).max(1))
    }

    /// Asks for a call when all slots have come back.
    pub(super) fn ask_for_all(self) -> Asked {
        self.ask(self.head().used.get())
    }

    fn ask(self, wanted: u32) -> Asked {
        let head = self.head();
        let answer = head.remote.returns.ask(wanted, head.asked.get());
        if answer == Asked::Yes {
            head.asked.set(true);
        }
        answer
    }

    /// Takes note of the call; returns what was queued before this chunk. Only when just taken from
    /// the queue.
    pub(super) fn called(self) -> Option<Self> {
        self.head().asked.set(false);
        // SAFETY: who queued the chunk wrote this before, and nobody does again before the owner
        // has asked again.
        self.head().remote.queued.with(|before| unsafe { *before })
    }

    pub(super) fn standing(self) -> Standing {
        self.head().standing.get()
    }

    pub(super) fn set_standing(self, standing: Standing) {
        self.head().standing.set(standing);
    }

    pub(super) fn next(&self) -> &Cell<Option<Self>> {
        &self.head().next
    }

    pub(super) fn previous(&self) -> &Cell<Option<Self>> {
        &self.head().previous
    }
}

/// The others' side.
impl<C: Copy> Chunk<C> {
    /// Gives a slot back from any thread. `true`: the chunk was abandoned and this was its last
    /// slot; the caller frees it.
    ///
    /// Otherwise the chunk may be gone when this returns: the slot is what kept it.
    ///
    /// # Safety
    ///
    /// `slot` was out of this chunk, and is not used any more.
    #[must_use]
    pub(super) unsafe fn give_back(self, slot: NonNull<u8>) -> bool {
        let returns = &self.head().remote.returns;
        let offset = slot.addr().get() - self.0.addr().get();
        let mut seen = returns.look();
        loop {
            match seen.step() {
                Step::Call => {
                    if returns.claim(&mut seen) {
                        self.call_owner();
                    }
                }
                Step::Push(top) => {
                    // SAFETY: by contract; until it is pushed the slot is ours.
                    unsafe { link(slot.cast(), self.at(top)) };
                    if returns.push(&mut seen, (offset / UNIT) as u32) {
                        return false;
                    }
                }
                Step::CountDown => {
                    if let Some(last) = returns.count_down(&mut seen) {
                        return last;
                    }
                }
            }
        }
    }

    #[cold]
    fn call_owner(self) {
        // SAFETY: the bins outlive the chunk, and we have one of its slots out.
        unsafe { self.bins().as_ref() }.call(self);
    }

    /// Notes what was queued before this chunk. Only by who claimed its call, until it is queued.
    pub(super) fn set_queued(self, before: Option<Self>) {
        // SAFETY: the claim makes the caller the only one to touch the link; `Returns::claim` says
        // why the owner is through with it.
        self.head()
            .remote
            .queued
            .with_mut(|link| unsafe { *link = before });
    }

    /// The slot at an offset that came out of [`Returns`].
    fn at(self, offset: u32) -> *mut Slot {
        if offset == 0 {
            return ptr::null_mut();
        }
        // SAFETY: the offset was computed from the address of a slot of this chunk.
        unsafe { self.block().add(offset as usize * UNIT) }
            .cast()
            .as_ptr()
    }
}

/// The end.
impl<C: Copy> Chunk<C> {
    /// Leaves the chunk to who frees its last slot. `true`: none is out, and the caller frees the
    /// chunk; else it may be gone already.
    ///
    /// # Safety
    ///
    /// The arena has no owner any more, and this happens once.
    #[must_use]
    pub(super) unsafe fn abandon(self, keep: Option<Arc<dyn Any + Send + Sync>>) -> bool {
        let head = self.head();
        // SAFETY: others look at it only after the count, which `settle` lets reach 0, did so.
        head.keep.with_mut(|place| unsafe { *place = keep });
        let used = head.used.get();
        let out = used - head.remote.returns.abandon();
        head.remote.returns.settle(out)
    }

    /// What the chunk kept alive. Only by who frees it.
    pub(super) fn take_keep(self) -> Option<Arc<dyn Any + Send + Sync>> {
        // SAFETY: the slots are all back: nobody else uses the chunk.
        self.head()
            .keep
            .with_mut(|place| unsafe { (*place).take() })
    }
}

/// Makes a slot vacant, with a link to the next.
///
/// # Safety
///
/// `slot` is a slot that the caller has for itself.
#[inline]
unsafe fn link(slot: NonNull<Slot>, next: *mut Slot) {
    let slot = slot.as_ptr();
    // SAFETY: by contract. The first word may be read by visitors meanwhile and is left alone.
    unsafe {
        debug_assert_eq!(
            (*slot).state.load(Relaxed),
            0,
            "the first word is 0 before a slot is freed"
        );
        (&raw mut (*slot).next).write(UnsafeCell::new(next));
    }
}

/// What offsets count: slots are multiples of it apart, so that 16 bits reach through a chunk.
const UNIT: usize = 16;
