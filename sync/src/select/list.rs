//! ⚠ [`Select`]: a select over operations that are known only while the program runs. Same protocol
//! as [`select!`](macro@crate::select), with the arms in boxes.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomPinned;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use runtime::task::{coop, waiting};

use super::arm::{Arm, IsChannel, IsFuture, SelectArm, candidate};
use super::claim::Claim;
use super::protocol::{self, Choice, Policy, Scratch};
use super::selecting::reason;
use crate::context::{self, ContextError};
use crate::{Receiver, SendError, Sender};

/// Up to so many arms a poll finds room on the stack; with more it allocates.
const INLINE: usize = 16;

/// A select over a list of operations that is made up while the program runs.
///
/// Each operation comes with a closure that makes the result from its outcome, so that channels of
/// different types mix. [`wait`](Self::wait) completes exactly one of them, with all that
/// [`select!`](macro@crate::select) promises; ready ones are chosen uniformly, unless
/// [`biased`](Self::biased). For a number of arms that is known when writing, `select!` is the
/// better choice: it allocates nothing.
///
/// ```
/// # runtime::block_on(async {
/// use sync::{Select, channel};
///
/// let shards: Vec<_> = (0..5).map(|_| channel(1)).collect();
/// shards[3].0.send("hello").await.unwrap();
///
/// let mut select = Select::new();
/// for (number, (_, rx)) in shards.iter().enumerate() {
///     select.recv(rx, move |message| (number, message));
/// }
/// assert_eq!(select.wait().await, (3, Some("hello")));
/// # });
/// ```
///
/// **Go:** `reflect.Select`.
#[must_use = "a list of operations does nothing until it is waited for"]
pub struct Select<'a, R> {
    arms: Vec<BoxedArm<'a, R>>,
    biased: bool,
}

impl<'a, R> Select<'a, R> {
    /// A select without operations; waiting for it would take for ever.
    ///
    /// ```
    /// let select = sync::Select::<()>::new();
    /// assert!(select.is_empty());
    /// ```
    ///
    /// **Go:** an empty `[]reflect.SelectCase`.
    pub fn new() -> Self {
        Self {
            arms: Vec::new(),
            biased: false,
        }
    }

    /// From now on the first of several ready operations is chosen, in the order in which they were
    /// added.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let mut select = sync::Select::new().biased();
    /// select.future(async {}, |()| "first").future(async {}, |()| "second");
    /// assert_eq!(select.wait().await, "first");
    /// # });
    /// ```
    ///
    /// **Go:** none; its choice is always random.
    pub fn biased(mut self) -> Self {
        self.biased = true;
        self
    }

    /// Adds a receive; `outcome` gets what [`Receiver::recv`] would have returned.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (tx, rx) = sync::channel(1);
    /// tx.send(20).await.unwrap();
    /// let mut select = sync::Select::new();
    /// select.recv(&rx, |n| n.unwrap() + 1);
    /// assert_eq!(select.wait().await, 21);
    /// # });
    /// ```
    ///
    /// **Go:** a `reflect.SelectCase` with `Dir: reflect.SelectRecv`.
    #[track_caller]
    pub fn recv<T, F>(&mut self, receiver: &'a Receiver<T>, outcome: F) -> &mut Self
    where
        T: std::marker::Send,
        F: FnOnce(Option<T>) -> R + std::marker::Send + 'a,
    {
        self.push(IsChannel.arm(Some(candidate(receiver.recv()))), outcome)
    }

    /// Adds a send; `outcome` gets what [`Sender::send`] would have returned. The value of a send
    /// that is not chosen is dropped; with [`send_from`](Self::send_from) it is not.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (tx, rx) = sync::channel(1);
    /// let mut select = sync::Select::new();
    /// select.send(&tx, 5, |sent| sent.unwrap());
    /// select.wait().await;
    /// assert_eq!(rx.recv().await, Some(5));
    /// # });
    /// ```
    ///
    /// **Go:** a `reflect.SelectCase` with `Dir: reflect.SelectSend`.
    #[track_caller]
    pub fn send<T, F>(&mut self, sender: &'a Sender<T>, value: T, outcome: F) -> &mut Self
    where
        T: std::marker::Send + 'a,
        F: FnOnce(Result<(), SendError<T>>) -> R + std::marker::Send + 'a,
    {
        self.push(IsChannel.arm(Some(candidate(sender.send(value)))), outcome)
    }

    /// Adds a send that leaves its value in the option unless it is chosen; see
    /// [`Sender::send_from`].
    ///
    /// # Panics
    ///
    /// If the option is `None`.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (tx, _rx) = sync::channel(0);
    /// let mut value = Some(5);
    /// let mut select = sync::Select::new();
    /// select.send_from(&tx, &mut value, |_| ());
    /// assert_eq!(select.try_wait().await, None);
    /// assert_eq!(value, Some(5));
    /// # });
    /// ```
    ///
    /// **Go:** a `reflect.SelectCase` with `Dir: reflect.SelectSend`.
    #[track_caller]
    pub fn send_from<T, F>(
        &mut self,
        sender: &'a Sender<T>,
        value: &'a mut Option<T>,
        outcome: F,
    ) -> &mut Self
    where
        T: std::marker::Send,
        F: FnOnce(Result<(), SendError<T>>) -> R + std::marker::Send + 'a,
    {
        self.push(
            IsChannel.arm(Some(candidate(sender.send_from(value)))),
            outcome,
        )
    }

    /// Adds the end of a context; `outcome` gets how it ended. Unlike with
    /// [`future`](Self::future), a context that ends while the select waits decides it: nobody
    /// completes another operation afterwards.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// use sync::context::{Context, ContextError};
    ///
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// let (_tx, rx) = sync::channel::<u32>(0);
    /// cancel.cancel();
    /// let mut select = sync::Select::new();
    /// select.recv(&rx, |_| None).done(&ctx, Some);
    /// assert_eq!(select.wait().await, Some(ContextError::Canceled));
    /// # });
    /// ```
    ///
    /// **Go:** a `reflect.SelectCase` with `Chan: reflect.ValueOf(ctx.Done())`.
    #[track_caller]
    pub fn done<F>(&mut self, context: &'a context::Context, outcome: F) -> &mut Self
    where
        F: FnOnce(ContextError) -> R + std::marker::Send + 'a,
    {
        self.push(IsChannel.arm(Some(candidate(context.done()))), outcome)
    }

    /// Adds any other future: a timer, the end of a task. It is dropped if another operation is
    /// chosen.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (_tx, rx) = sync::channel::<u32>(0);
    /// let mut select = sync::Select::new();
    /// select.recv(&rx, |_| "message").future(async { 3 }, |_| "future");
    /// assert_eq!(select.wait().await, "future");
    /// # });
    /// ```
    ///
    /// **Go:** everything one can wait for is a channel.
    pub fn future<U, F>(&mut self, future: U, outcome: F) -> &mut Self
    where
        U: IntoFuture,
        U::IntoFuture: std::marker::Send + 'a,
        U::Output: std::marker::Send + 'a,
        F: FnOnce(U::Output) -> R + std::marker::Send + 'a,
    {
        self.push(IsFuture.arm(Some(candidate(future))), outcome)
    }

    /// How many operations there are.
    ///
    /// ```
    /// let mut select = sync::Select::new();
    /// select.future(async {}, |()| ());
    /// assert_eq!(select.len(), 1);
    /// ```
    ///
    /// **Go:** `len(cases)`.
    pub fn len(&self) -> usize {
        self.arms.len()
    }

    /// Whether there are no operations.
    ///
    /// ```
    /// assert!(sync::Select::<()>::new().is_empty());
    /// ```
    ///
    /// **Go:** `len(cases) == 0`.
    pub fn is_empty(&self) -> bool {
        self.arms.is_empty()
    }

    /// Waits until one operation has taken effect, and returns what its closure makes of the
    /// outcome.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no value, as for [`select!`](macro@crate::select).
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (tx, rx) = sync::channel::<u32>(0);
    /// drop(tx);
    /// let mut select = sync::Select::new();
    /// select.recv(&rx, |n| n);
    /// assert_eq!(select.wait().await, None);
    /// # });
    /// ```
    ///
    /// **Go:** `reflect.Select(cases)`.
    #[track_caller]
    pub fn wait(self) -> impl Future<Output = R> + use<'a, R> {
        let waiting = self.selecting(false);
        async move {
            match waiting.await {
                Some(result) => result,
                None => unreachable!("without a default one operation takes effect"),
            }
        }
    }

    /// Completes one operation if one is ready; `None` if none is.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no value, as for [`select!`](macro@crate::select).
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (_tx, rx) = sync::channel::<u32>(0);
    /// let mut select = sync::Select::new();
    /// select.recv(&rx, |n| n);
    /// assert_eq!(select.try_wait().await, None);
    /// # });
    /// ```
    ///
    /// **Go:** `reflect.Select(cases)` with a case of `Dir: reflect.SelectDefault`.
    #[track_caller]
    pub fn try_wait(self) -> impl Future<Output = Option<R>> + use<'a, R> {
        self.selecting(true)
    }

    fn push<A, F>(&mut self, arm: A, outcome: F) -> &mut Self
    where
        A: SelectArm + std::marker::Send + 'a,
        F: FnOnce(A::Output) -> R + std::marker::Send + 'a,
    {
        assert!(
            self.arms.len() < usize::from(u16::MAX) - 8,
            "a select has at most 65,527 operations"
        );
        self.arms.push(Box::pin(Mapped {
            arm,
            outcome: Some(outcome),
        }));
        self
    }

    #[track_caller]
    fn selecting(self, default: bool) -> ListSelecting<'a, R> {
        ListSelecting {
            arms: self.arms,
            over: false,
            claim: Claim::new(),
            policy: Policy {
                biased: self.biased,
                default,
            },
            place: Location::caller(),
            _pinned: PhantomPinned,
        }
    }
}

impl<R> Default for Select<'_, R> {
    fn default() -> Self {
        Self::new()
    }
}

impl<R> fmt::Debug for Select<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Select")
            .field("operations", &self.arms.len())
            .field("biased", &self.biased)
            .finish()
    }
}

/// An arm of any type with the closure for its outcome.
trait ListArm<R> {
    fn arm(self: Pin<&mut Self>) -> Arm<'_>;

    fn result(self: Pin<&mut Self>) -> R;
}

/// An arm, in the box that waiters point into.
type BoxedArm<'a, R> = Pin<Box<dyn ListArm<R> + std::marker::Send + 'a>>;

pin_project! {
    struct Mapped<A, F> {
        #[pin]
        arm: A,
        outcome: Option<F>,
    }
}

impl<A, F, R> ListArm<R> for Mapped<A, F>
where
    A: SelectArm,
    F: FnOnce(A::Output) -> R,
{
    fn arm(self: Pin<&mut Self>) -> Arm<'_> {
        self.project().arm.arm()
    }

    fn result(self: Pin<&mut Self>) -> R {
        let this = self.project();
        let outcome = this.outcome.take().expect("one arm is chosen, once");
        outcome(this.arm.output())
    }
}

/// The future: `None` for the default.
///
/// The arms are in boxes, the claim is pinned with it. The arms are dropped first, because their
/// waiters point to the claim.
struct ListSelecting<'a, R> {
    arms: Vec<BoxedArm<'a, R>>,
    /// An arm has been chosen, or the default: there is nothing left to poll.
    over: bool,
    claim: Claim,
    policy: Policy,
    place: &'static Location<'static>,
    _pinned: PhantomPinned,
}

impl<R> Drop for ListSelecting<'_, R> {
    fn drop(&mut self) {
        // From here on nobody completes an arm; one that was completed before gives its value back
        // when it is dropped.
        self.claim.cancel();
    }
}

impl<R> Future for ListSelecting<'_, R> {
    type Output = Option<R>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<R>> {
        let proceed = ready!(coop::poll_proceed(cx));
        // SAFETY: nothing is moved out of it, and the boxes keep the arms where they are.
        let this = unsafe { self.get_unchecked_mut() };
        // An arm that has taken effect must not do so again: its value is gone.
        assert!(
            !this.over,
            "a select was polled again after it had completed; make a new `Select`"
        );
        let choice = if this.arms.len() <= INLINE {
            this.poll_inline(cx)
        } else {
            this.poll_boxed(cx)
        };
        match choice {
            Poll::Ready(choice) => {
                proceed.made_progress();
                Poll::Ready(this.conclude(choice))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<R> ListSelecting<'_, R> {
    /// The result. Those that lost go first, as in `select!`: a closure may well wait for what they
    /// hold.
    fn conclude(&mut self, choice: Choice) -> Option<R> {
        self.over = true;
        let mut arms = std::mem::take(&mut self.arms);
        let Choice::Arm(index) = choice else {
            return None;
        };
        let mut chosen = arms.swap_remove(usize::from(index));
        drop(arms);
        Some(chosen.as_mut().result())
    }

    fn poll_inline(&mut self, cx: &mut Context<'_>) -> Poll<Choice> {
        let n = self.arms.len();
        let mut arms = [const { Arm::Off }; INLINE];
        let (mut order, mut by_address, mut held) =
            ([0; INLINE], [0; INLINE], [const { None }; INLINE]);
        for (slot, arm) in arms.iter_mut().zip(&mut self.arms) {
            *slot = arm.as_mut().arm();
        }
        let scratch = Scratch {
            order: &mut order[..n],
            by_address: &mut by_address[..n],
            held: &mut held[..n],
        };
        // SAFETY: the claim is pinned, and the arms, which are always the same, are dropped before
        // it.
        let choice =
            unsafe { protocol::poll(&self.claim, &mut arms[..n], scratch, self.policy, cx) };
        if choice.is_pending() {
            waiting(reason(&arms[..n]), self.place);
        }
        choice
    }

    #[cold]
    fn poll_boxed(&mut self, cx: &mut Context<'_>) -> Poll<Choice> {
        let n = self.arms.len();
        let (mut order, mut by_address) = (vec![0; n], vec![0; n]);
        let mut held: Vec<_> = std::iter::repeat_with(|| None).take(n).collect();
        let mut arms: Vec<_> = self.arms.iter_mut().map(|arm| arm.as_mut().arm()).collect();
        let scratch = Scratch {
            order: &mut order,
            by_address: &mut by_address,
            held: &mut held,
        };
        // SAFETY: as above.
        let choice = unsafe { protocol::poll(&self.claim, &mut arms, scratch, self.policy, cx) };
        if choice.is_pending() {
            waiting(reason(&arms), self.place);
        }
        choice
    }
}
