//! The word through which other threads give a chunk's slots back.
//!
//! ```text
//!   63..49      48      47..32     31..16    15..0
//!  ┌────────┬─────────┬──────────┬─────────┬────────┐
//!  │ unused │ABANDONED│ WANTED   │ COUNT   │ HEAD   │
//!  └────────┴─────────┴──────────┴─────────┴────────┘
//! ```
//!
//! While the chunk has an owner, HEAD and COUNT are a stack of returned slots: HEAD the offset of
//! the topmost in units of 16 bytes, 0 for none, and COUNT how many there are, so that the owner
//! learns in one step how many came and need not walk them. Others push one slot at a time; only
//! the owner takes, and always all, so that no slot can come back under a pusher's hands (no ABA).
//!
//! WANTED is the owner's request to be called: the pusher that would bring COUNT to WANTED first
//! clears WANTED and puts the chunk on its owner's queue, and *then* pushes its slot. In this order
//! a chunk that lies on the queue, or is about to, always has a slot out, or has been queued
//! completely; the owner, which frees a chunk only when all slots are back, therefore never pulls
//! it from under a pusher. The other order, push first and queue afterwards, would need a reference
//! count. 0 means that nobody wants a call.
//!
//! With ABANDONED set there is no owner and no stack any more; COUNT is the number of slots still
//! out, and who brings it to 0 frees the chunk. During the change the abandoner holds a [`BIAS`] in
//! it, as long as it counts.
#![forbid(unsafe_code)]

use crate::primitive::atomic::AtomicU64;
use crate::primitive::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release};
use crate::primitive::guess;

const FIELD: u64 = 0xffff;
const HEAD: u64 = FIELD;
const COUNT: u64 = FIELD << COUNT_SHIFT;
const COUNT_SHIFT: u32 = 16;
const ONE: u64 = 1 << COUNT_SHIFT;
const WANTED: u64 = FIELD << WANTED_SHIFT;
const WANTED_SHIFT: u32 = 32;
/// Set once, by [`Returns::abandon`].
const ABANDONED: u64 = 1 << 48;

/// More than a chunk has slots (2,045), and little enough to leave room for them above it in COUNT.
const BIAS: u64 = 0x4000;

/// The word; see the module's story.
#[derive(Debug)]
pub(super) struct Returns(AtomicU64);

/// The word as a pusher last saw it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen(u64);

/// What a pusher has to do next, by what it saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Link the slot to the one at this offset (0: none) and [`push`](Returns::push) it.
    Push(u32),
    /// [`Claim`](Returns::claim) the call of the owner, make it, and look again.
    Call,
    /// There is no owner: [`count_down`](Returns::count_down).
    CountDown,
}

/// The answer to [`Returns::ask`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Asked {
    /// The owner will be called.
    Yes,
    /// No need: so many slots are there already.
    There,
    /// The call that was asked for before is on its way; ask again when it came.
    Called,
}

impl Returns {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// What a pusher starts from.
    pub(super) fn look(&self) -> Seen {
        // Relaxed: every step but a push of offsets acts by a CAS of its own.
        Seen(guess!(self.0, 0))
    }

    /// Pushes the slot at `offset`, in units of 16 bytes; `false` says to look at `seen` again.
    /// After `true` the chunk may be gone.
    ///
    /// *Memory ordering*: Release pairs with the Acquire of `take`, `count` and `abandon`: the
    /// link, and all the pusher did in this chunk, happens before what the owner does with the
    /// slots. Later pushes and `ask` are RMWs and keep that release sequence up.
    pub(super) fn push(&self, seen: &mut Seen, offset: u32) -> bool {
        let next = (seen.0 & !HEAD) + ONE + u64::from(offset);
        self.swing(seen, next, Release)
    }

    /// Takes over the duty to queue the chunk with its owner; `false` says to look at `seen` again.
    ///
    /// *Memory ordering*: Acquire pairs with the Release of `ask`: the owner is through with the
    /// chunk's queue link.
    pub(super) fn claim(&self, seen: &mut Seen) -> bool {
        let next = seen.0 & !WANTED;
        self.swing(seen, next, Acquire)
    }

    /// Notes a slot of an abandoned chunk as freed. `Some(true)`: it was the last one, and the
    /// caller frees the chunk. `Some(false)`: it was not, and the chunk may be gone. `None` says to
    /// look at `seen` again.
    ///
    /// *Memory ordering*: Release pairs with the Acquire of the last one to count down, so that all
    /// others are through with the chunk; Acquire pairs with `abandon` too, for what the abandoner
    /// left in the chunk.
    pub(super) fn count_down(&self, seen: &mut Seen) -> Option<bool> {
        let next = seen.0 - ONE;
        self.swing(seen, next, AcqRel).then_some(next & COUNT == 0)
    }

    fn swing(&self, seen: &mut Seen, next: u64, success: Ordering) -> bool {
        // Acquire on failure is for `ask` alone, which may conclude `There` from what it then sees.
        match self.0.compare_exchange_weak(seen.0, next, success, Acquire) {
            Ok(_) => {
                seen.0 = next;
                true
            }
            Err(now) => {
                seen.0 = now;
                false
            }
        }
    }

    /// How many slots lie here. Owner only.
    ///
    /// *Memory ordering*: Acquire, see `push`.
    pub(super) fn count(&self) -> u32 {
        field(self.0.load(Acquire), COUNT_SHIFT)
    }

    /// Whether a call is wanted and nobody claimed it. Owner only.
    pub(super) fn is_wanted(&self) -> bool {
        // Relaxed: asked after an Acquire that saw all slots back, or as a hint.
        self.0.load(Relaxed) & WANTED != 0
    }

    /// Takes all slots: the offset of the topmost and how many. Owner only.
    ///
    /// *Memory ordering*: Acquire, see `push`.
    pub(super) fn take(&self) -> (u32, u32) {
        let old = self.0.fetch_and(!(HEAD | COUNT), Acquire);
        (field(old, 0), field(old, COUNT_SHIFT))
    }

    /// Asks to be called when `wanted` slots lie here. `pending` says that the owner has asked
    /// before and was not called yet. Owner only.
    ///
    /// *Memory ordering*: Release pairs with `claim`. Acquire is for `There`, upon which the owner
    /// may free the chunk.
    pub(super) fn ask(&self, wanted: u32, pending: bool) -> Asked {
        let mut seen = Seen(self.0.load(Acquire));
        loop {
            if pending && seen.0 & WANTED == 0 {
                return Asked::Called;
            }
            if field(seen.0, COUNT_SHIFT) >= wanted {
                return Asked::There;
            }
            let next = seen.0 & !WANTED | u64::from(wanted) << WANTED_SHIFT;
            if self.swing(&mut seen, next, Release) {
                return Asked::Yes;
            }
        }
    }

    /// Ends the stack: from now on slots are counted down. Returns how many had come back. Once,
    /// when there is no owner any more.
    ///
    /// *Memory ordering*: Acquire, see `push`; Release pairs with `count_down`.
    pub(super) fn abandon(&self) -> u32 {
        let old = self.0.swap(ABANDONED | BIAS << COUNT_SHIFT, AcqRel);
        debug_assert_eq!(old & ABANDONED, 0, "a chunk is abandoned once");
        field(old, COUNT_SHIFT)
    }

    /// Says how many slots were out at [`abandon`](Self::abandon). `true`: all are back, and the
    /// caller frees the chunk.
    ///
    /// *Memory ordering*: as `count_down`.
    pub(super) fn settle(&self, out: u32) -> bool {
        let surplus = (BIAS - u64::from(out)) << COUNT_SHIFT;
        let old = self.0.fetch_sub(surplus, AcqRel);
        old & COUNT == surplus
    }
}

impl Seen {
    /// What to do about this state.
    pub(super) fn step(self) -> Step {
        if self.0 & ABANDONED != 0 {
            return Step::CountDown;
        }
        let wanted = field(self.0, WANTED_SHIFT);
        if wanted != 0 && field(self.0, COUNT_SHIFT) + 1 >= wanted {
            return Step::Call;
        }
        Step::Push(field(self.0, 0))
    }
}

fn field(word: u64, shift: u32) -> u32 {
    (word >> shift & FIELD) as u32
}
