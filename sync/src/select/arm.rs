//! The arms of a select, as [`select!`](macro@crate::select) builds them: a list of typed arms,
//! seen by the protocol as a slice.
//!
//! An arm is a channel operation or any other future; which of the two is decided by its type, when
//! the program is compiled ([`tag`]). The end of a context counts as a channel operation, as in Go.
//! An arm whose guard is false is empty.
#![forbid(unsafe_code)]

use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::case::Case;
use crate::channel::gate::Gate;

/// An arm as the protocol sees it.
pub enum Arm<'a> {
    /// Its guard is false.
    Off,
    /// A channel operation.
    #[doc(hidden)]
    Channel(ChannelCase<'a>),
    /// Any other future.
    Future(Pin<&'a mut dyn PollArm>),
}

/// A channel operation: what it asks of the channel, and the channel's gate, through which the arms
/// of a select are locked and looked at without a call for each.
#[derive(Clone, Copy)]
pub struct ChannelCase<'a> {
    pub(crate) gate: &'a Gate,
    /// The one that is set there when an attempt may succeed.
    pub(crate) flag: u8,
    pub(crate) case: Pin<&'a dyn Case>,
}

impl ChannelCase<'_> {
    /// Whether an attempt may succeed: exact with the lock, and as far as one can tell without it.
    #[inline]
    pub(crate) fn maybe_ready(&self) -> bool {
        self.gate.is(self.flag)
    }
}

impl fmt::Debug for Arm<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "Off",
            Self::Channel(_) => "Channel",
            Self::Future(_) => "Future",
        })
    }
}

impl fmt::Debug for ChannelCase<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChannelCase")
    }
}

/// A channel operation that a select can complete atomically. Only this crate can implement it,
/// since only it has a case to return.
pub trait ChannelOperation {
    /// What comes of it.
    type Output;

    /// The operation, for the protocol.
    fn case(self: Pin<&Self>) -> ChannelCase<'_>;

    /// What came of it, once the arm has been chosen.
    fn outcome(self: Pin<&mut Self>) -> Self::Output;
}

/// What a select takes for a channel operation: one, or what stands for one. Only this crate can
/// implement it, as above.
pub trait IntoOperation {
    /// The operation.
    type Operation: ChannelOperation;

    /// The operation, if it can ever be completed.
    fn into_operation(self) -> Option<Self::Operation>;
}

impl<O: ChannelOperation> IntoOperation for O {
    type Operation = O;

    #[inline]
    fn into_operation(self) -> Option<O> {
        Some(self)
    }
}

/// Polls an ordinary future of a select.
pub trait PollArm {
    /// True once its output is there.
    fn poll_arm(self: Pin<&mut Self>, cx: &mut Context<'_>) -> bool;
}

/// One arm with its type.
pub trait SelectArm {
    /// What the arm's pattern is bound to.
    type Output;

    /// The arm, for the protocol.
    fn arm(self: Pin<&mut Self>) -> Arm<'_>;

    /// The output, once the arm has been chosen.
    fn output(self: Pin<&mut Self>) -> Self::Output;
}

pin_project! {
    /// A receive or send arm.
    #[derive(Debug)]
    pub struct ChannelArm<O> {
        #[pin]
        operation: Option<O>,
    }
}

impl<O: ChannelOperation> SelectArm for ChannelArm<O> {
    type Output = O::Output;

    #[inline]
    fn arm(self: Pin<&mut Self>) -> Arm<'_> {
        match self.into_ref().project_ref().operation.as_pin_ref() {
            Some(operation) => Arm::Channel(operation.case()),
            None => Arm::Off,
        }
    }

    #[inline]
    fn output(self: Pin<&mut Self>) -> O::Output {
        let operation = self.project().operation.as_pin_mut();
        operation
            .expect("an arm that is off is never chosen")
            .outcome()
    }
}

pin_project! {
    /// An arm with any other future.
    ///
    /// It knows how to poll by a pointer instead of a bound on `F`, so that an expression which is
    /// no future is one error, at that expression ([`candidate`]), and not ten.
    pub struct FutureArm<F, O> {
        #[pin]
        future: Option<F>,
        poll: PollFn<F, O>,
        output: Option<O>,
    }
}

/// `Future::poll` of a type.
type PollFn<F, O> = fn(Pin<&mut F>, &mut Context<'_>) -> Poll<O>;

impl<F, O> fmt::Debug for FutureArm<F, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FutureArm")
            .field("on", &self.future.is_some())
            .finish_non_exhaustive()
    }
}

impl<F, O> PollArm for FutureArm<F, O> {
    fn poll_arm(self: Pin<&mut Self>, cx: &mut Context<'_>) -> bool {
        let this = self.project();
        match this
            .future
            .as_pin_mut()
            .map(|future| (this.poll)(future, cx))
        {
            Some(Poll::Ready(output)) => {
                *this.output = Some(output);
                true
            }
            _ => false,
        }
    }
}

impl<F, O> SelectArm for FutureArm<F, O> {
    type Output = O;

    #[inline]
    fn arm(self: Pin<&mut Self>) -> Arm<'_> {
        if self.future.is_some() {
            Arm::Future(self)
        } else {
            Arm::Off
        }
    }

    #[inline]
    fn output(self: Pin<&mut Self>) -> O {
        self.project()
            .output
            .take()
            .expect("a chosen arm has its output")
    }
}

/// A list of arms with all their types.
pub trait ArmList {
    /// Fills the slice, which is as long as the list.
    fn collect<'a>(self: Pin<&'a mut Self>, arms: &mut [Arm<'a>]);
}

/// The empty list.
#[derive(Clone, Copy, Debug)]
pub struct Nil;

impl ArmList for Nil {
    fn collect<'a>(self: Pin<&'a mut Self>, _: &mut [Arm<'a>]) {}
}

pin_project! {
    /// An arm, and the rest of the list.
    #[derive(Debug)]
    pub struct Cons<A, L> {
        #[pin]
        head: A,
        #[pin]
        tail: L,
    }
}

impl<A, L> Cons<A, L> {
    /// Puts an arm in front of a list.
    #[inline]
    pub fn new(head: A, tail: L) -> Self {
        Self { head, tail }
    }

    /// The first arm.
    #[inline]
    pub fn head(self: Pin<&mut Self>) -> Pin<&mut A> {
        self.project().head
    }

    /// The others.
    #[inline]
    pub fn tail(self: Pin<&mut Self>) -> Pin<&mut L> {
        self.project().tail
    }
}

impl<A: SelectArm, L: ArmList> ArmList for Cons<A, L> {
    #[inline]
    fn collect<'a>(self: Pin<&'a mut Self>, arms: &mut [Arm<'a>]) {
        let this = self.project();
        let (first, rest) = arms.split_first_mut().expect("one place an arm");
        *first = this.head.arm();
        this.tail.collect(rest);
    }
}

/// The future of an arm, before its kind is known.
pub struct Candidate<F, O> {
    future: F,
    poll: PollFn<F, O>,
}

impl<F, O> fmt::Debug for Candidate<F, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Candidate")
    }
}

/// What an arm waits for: whatever `.await` takes. A trait of its own, so that who forgot what is
/// to be done is told what there is.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a future, which an arm of `select!` waits for",
    label = "not a future: say what is to be done with it",
    note = "for instance `msg = rx.recv() => …`, `sent = tx.send(value) => …`, `_ = ctx.done() => …`, `() = wg.wait() => …`, `_ = time::sleep(d) => …`"
)]
pub trait Awaited {}

#[diagnostic::do_not_recommend]
impl<F: IntoFuture> Awaited for F {}

/// Takes the expression of an arm, if it is one.
#[inline]
pub fn awaited<F: Awaited>(future: F) -> Expression<F> {
    Expression(future)
}

/// The expression of an arm. A method turns it into a candidate, and not a function, so that for
/// one that is no future the compiler does not go on to what would come of it.
#[derive(Debug)]
pub struct Expression<F>(F);

impl<F: IntoFuture> Expression<F> {
    /// Takes it as an `.await` would.
    #[inline]
    pub fn candidate(self) -> Candidate<F::IntoFuture, F::Output> {
        candidate(self.0)
    }
}

/// The same by a function.
#[inline]
pub(super) fn candidate<F: IntoFuture>(future: F) -> Candidate<F::IntoFuture, F::Output> {
    Candidate {
        future: future.into_future(),
        poll: Future::poll,
    }
}

/// The type of an arm's future, from which the compiler finds its kind:
/// `(&tag(&candidate)).kind().arm(off, candidate)`.
#[derive(Debug)]
pub struct Tag<F>(PhantomData<F>);

/// Names the type of a future.
#[inline]
pub fn tag<F, O>(_: &Option<Candidate<F, O>>) -> Tag<F> {
    Tag(PhantomData)
}

/// Found first, for channel operations.
pub trait ChannelKind {
    /// It is one.
    #[inline]
    fn kind(&self) -> IsChannel {
        IsChannel
    }
}

impl<O: IntoOperation> ChannelKind for Tag<O> {}

/// Found otherwise, one reference further away.
pub trait FutureKind {
    /// It is not one.
    #[inline]
    fn kind(&self) -> IsFuture {
        IsFuture
    }
}

impl<F> FutureKind for &Tag<F> {}

/// The arm is a channel operation.
#[derive(Clone, Copy, Debug)]
pub struct IsChannel;

impl IsChannel {
    /// Makes the arm.
    #[inline]
    pub fn arm<F, O>(self, candidate: Option<Candidate<F, O>>) -> ChannelArm<F::Operation>
    where
        F: IntoOperation,
    {
        ChannelArm {
            operation: candidate.and_then(|candidate| candidate.future.into_operation()),
        }
    }
}

/// The arm is any other future.
#[derive(Clone, Copy, Debug)]
pub struct IsFuture;

impl IsFuture {
    /// Makes the arm.
    #[inline]
    pub fn arm<F, O>(self, candidate: Option<Candidate<F, O>>) -> FutureArm<F, O> {
        let (future, poll): (_, PollFn<F, O>) = match candidate {
            Some(Candidate { future, poll }) => (Some(future), poll),
            None => (None, |_, _| Poll::Pending),
        };
        FutureArm {
            future,
            poll,
            output: None,
        }
    }
}
