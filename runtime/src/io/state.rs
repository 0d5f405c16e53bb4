//! The packed word of one registration: what is ready, how often that was reported, and whose it
//! is.
//!
//! ```text
//!  63            40 39        24 23         8   7     6      5        4      3     2     1     0
//! ┌────────────────┬────────────┬────────────┬─────┬─────┬────────┬──────┬─────┬─────┬─────┬─────┐
//! │   generation   │ write tick │ read tick  │w-exp│r-exp│shutdown│closed│w-hup│r-hup│ wr. │ rd. │
//! └────────────────┴────────────┴────────────┴─────┴─────┴────────┴──────┴─────┴─────┴─────┴─────┘
//! ```
//!
//! - A *ready* bit means: a system call in this direction may succeed. It is set by events, and
//!   optimistically when the record is opened; it is cleared by whoever learns from a system call
//!   that the descriptor is drained.
//! - A *hang-up* bit means: a call in this direction ends at once, with the rest of the data, the
//!   end of the stream or an error. It keeps a short read from clearing readiness, because the end
//!   of the stream comes without another event. The kernel has the last word: a call that would
//!   block clears it too (an error on a connected datagram socket goes away when it has been read).
//!   Urgent data sets it as well: a read stops before the urgent byte, with less than there is.
//! - The *tick* of a direction counts its events. Clearing names the tick seen **before** the
//!   system call, and does nothing when an event came in between: the event may be about bytes that
//!   the call did not see.
//! - *Closed* and *shutdown* are set once and end with the generation.
//! - *Expired* means: the deadline of a direction has passed; it is cleared when another one is
//!   set.
//! - The *generation* counts the users of the record. An event whose token has another one is about
//!   a descriptor that is gone.
//!
//! Sixteen bits of tick: for a wrong clear, exactly 65,536 events of one descriptor would have to
//! be delivered while one thread is between reading the word and its compare-exchange; an
//! edge-triggered descriptor reports once a turn of the poller.
#![forbid(unsafe_code)]

/// Which half of a descriptor an operation is about.
///
/// ```
/// use runtime::io::Direction;
///
/// assert_ne!(Direction::Read, Direction::Write);
/// ```
///
/// **Go:** the `mode` of `runtime_pollWait`: `'r'` or `'w'`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Receiving: read, accept, recv.
    Read,
    /// Sending: write, connect, send.
    Write,
}

impl Direction {
    /// Both, for loops.
    pub(crate) const BOTH: [Self; 2] = [Self::Read, Self::Write];

    /// Position in an array of two.
    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    const fn ready_bit(self) -> u64 {
        READABLE << self.index()
    }

    const fn hang_up_bit(self) -> u64 {
        READ_HANG_UP << self.index()
    }

    const fn expired_bit(self) -> u64 {
        READ_EXPIRED << self.index()
    }

    const fn tick_shift(self) -> u32 {
        READ_TICK_SHIFT + TICK_BITS * self.index() as u32
    }
}

/// Set by an event or optimistically, cleared by a drained call; bit 1 is the same for writing.
const READABLE: u64 = 1 << 0;
/// Set by an event, cleared only by a call that would block; bit 3 is the same for writing.
const READ_HANG_UP: u64 = 1 << 2;
/// Set by `close`, never cleared within a generation.
const CLOSED: u64 = 1 << 4;
/// Set when the driver shuts down, never cleared within a generation.
const SHUTDOWN: u64 = 1 << 5;

/// Set when the deadline passes, cleared when another is set, both under the record's lock; bit 7
/// is the same for writing.
const READ_EXPIRED: u64 = 1 << 6;

const TICK_BITS: u32 = 16;
const TICK_MASK: u64 = (1 << TICK_BITS) - 1;
const READ_TICK_SHIFT: u32 = 8;
const GENERATION_SHIFT: u32 = 40;

/// Bits of a generation. A stale event is harmless anyway (a wake-up for nothing), so that wrapping
/// costs nothing but that.
pub(crate) const GENERATION_BITS: u32 = if usize::BITS == 64 { 24 } else { 12 };
const GENERATION_MASK: u64 = (1 << GENERATION_BITS) - 1;

/// Why no operation can wait on a registration any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// `close` was called.
    Closed,
    /// The runtime has shut down.
    Shutdown,
    /// The deadline has passed.
    Expired,
}

/// What an event says, as bits of the state word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ready(u64);

impl Ready {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const BOTH: Self = Self(READABLE | READABLE << 1);

    /// Ready in one direction.
    #[cfg(test)]
    pub(crate) const fn one(direction: Direction) -> Self {
        Self(direction.ready_bit())
    }

    /// Translates an event. An error concerns both directions: whoever calls next is told of it.
    pub(crate) fn of(event: &mio::event::Event) -> Self {
        let mut bits = 0;
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            bits |= READABLE;
        }
        if event.is_writable() || event.is_write_closed() || event.is_error() {
            bits |= READABLE << 1;
        }
        if event.is_read_closed() || event.is_priority() {
            bits |= READ_HANG_UP;
        }
        if event.is_write_closed() {
            bits |= READ_HANG_UP << 1;
        }
        Self(bits)
    }

    /// Whether a waiter for this direction is to be woken.
    pub(crate) const fn contains(self, direction: Direction) -> bool {
        self.0 & (direction.ready_bit() | direction.hang_up_bit()) != 0
    }
}

/// The word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State(pub(super) u64);

impl State {
    pub(crate) const fn generation(self) -> u64 {
        self.0 >> GENERATION_SHIFT & GENERATION_MASK
    }

    pub(crate) const fn is_ready(self, direction: Direction) -> bool {
        self.0 & (direction.ready_bit() | direction.hang_up_bit()) != 0
    }

    /// The reason that ends all waiting, if there is one. A close is the user's own doing and is
    /// named first.
    #[inline]
    pub(crate) const fn stop(self, direction: Direction) -> Option<Stop> {
        if self.0 & (CLOSED | SHUTDOWN | direction.expired_bit()) == 0 {
            None
        } else if self.0 & CLOSED != 0 {
            Some(Stop::Closed)
        } else if self.0 & SHUTDOWN != 0 {
            Some(Stop::Shutdown)
        } else {
            Some(Stop::Expired)
        }
    }

    /// The reason that refuses a call which need not wait. A shutdown does not.
    #[inline]
    pub(crate) const fn refusal(self, direction: Direction) -> Option<Stop> {
        Self(self.0 & !SHUTDOWN).stop(direction)
    }

    /// The word of the record's next user.
    #[must_use]
    pub(crate) const fn next_generation(self) -> Self {
        let generation = self.generation().wrapping_add(1) & GENERATION_MASK;
        Self(generation << GENERATION_SHIFT)
    }

    #[must_use]
    pub(crate) const fn with_ready(self, ready: Ready) -> Self {
        Self(self.0 | ready.0)
    }

    #[must_use]
    pub(crate) const fn closed(self) -> Self {
        Self(self.0 | CLOSED)
    }

    #[must_use]
    pub(crate) const fn shut_down(self) -> Self {
        Self(self.0 | SHUTDOWN)
    }

    #[must_use]
    pub(crate) const fn expired(self, direction: Direction, expired: bool) -> Self {
        match expired {
            true => Self(self.0 | direction.expired_bit()),
            false => Self(self.0 & !direction.expired_bit()),
        }
    }

    /// An event has been reported: its bits, and one more tick in each direction that it names.
    #[must_use]
    pub(crate) fn with_event(self, ready: Ready) -> Self {
        Direction::BOTH
            .into_iter()
            .filter(|&direction| ready.contains(direction))
            .fold(self.with_ready(ready), Self::ticked)
    }

    /// A call in this direction would have blocked. `None`: an event came in since `seen`, or there
    /// is another user.
    #[must_use]
    pub(crate) fn blocked(self, direction: Direction, seen: Self) -> Option<Self> {
        self.same_tick(direction, seen).then_some(Self(
            self.0 & !(direction.ready_bit() | direction.hang_up_bit()),
        ))
    }

    /// A call in this direction moved less than it was offered. `None`: an event came in since
    /// `seen`, or the direction has hung up.
    #[must_use]
    pub(crate) fn drained(self, direction: Direction, seen: Self) -> Option<Self> {
        let hung_up = self.0 & direction.hang_up_bit() != 0;
        (!hung_up && self.same_tick(direction, seen))
            .then_some(Self(self.0 & !direction.ready_bit()))
    }

    #[inline]
    pub(super) const fn tick(self, direction: Direction) -> u16 {
        (self.0 >> direction.tick_shift() & TICK_MASK) as u16
    }

    fn ticked(self, direction: Direction) -> Self {
        let shift = direction.tick_shift();
        let tick = u64::from(self.tick(direction).wrapping_add(1));
        Self(self.0 & !(TICK_MASK << shift) | tick << shift)
    }

    fn same_tick(self, direction: Direction, seen: Self) -> bool {
        self.tick(direction) == seen.tick(direction) && self.generation() == seen.generation()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: Direction = Direction::Read;
    const WRITE: Direction = Direction::Write;

    #[test]
    fn an_event_ticks_only_the_directions_it_names() {
        let start = State(0).with_ready(Ready::BOTH);
        let after = start.with_event(Ready::one(READ));
        assert_eq!(after.drained(READ, start), None);
        assert!(after.drained(WRITE, start).is_some());
    }

    #[test]
    fn ticks_wrap_without_touching_their_neighbours() {
        let start = State(0).next_generation();
        let mut state = start;
        for _ in 0..=TICK_MASK {
            state = state.with_event(Ready::one(READ));
        }
        assert_eq!(state.tick(READ), 0);
        assert_eq!(state.tick(WRITE), 0);
        assert_eq!(state.generation(), start.generation());
    }

    #[test]
    fn a_hang_up_survives_a_short_read_and_not_a_blocked_one() {
        let hung_up = State(0).with_event(Ready(READABLE | READ_HANG_UP));
        assert_eq!(hung_up.drained(READ, hung_up), None);
        assert!(!hung_up.blocked(READ, hung_up).unwrap().is_ready(READ));
    }

    #[test]
    fn another_user_of_the_record_is_never_cleared() {
        let old = State(0).with_ready(Ready::BOTH);
        let new = old.next_generation().with_ready(Ready::BOTH);
        assert_eq!(new.blocked(READ, old), None);
        assert_eq!(new.drained(WRITE, old), None);
    }

    #[test]
    fn generations_wrap() {
        let last = State(GENERATION_MASK << GENERATION_SHIFT);
        assert_eq!(last.next_generation().generation(), 0);
    }
}
