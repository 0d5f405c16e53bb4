//! `select!` itself: the documentation users read. The arms are read by the procedural macro in
//! `macros`, and decided by [`protocol`](super::protocol).

/// Waits for several operations, and runs the body of the one that takes effect: exactly one.
///
/// ```
/// # runtime::block_on(async {
/// use sync::{channel, select};
///
/// let (tx, rx) = channel::<u32>(0);
/// let (results, _collected) = channel(1);
/// let (_quit, quitting) = channel::<()>(0);
/// # runtime::spawn(async move { tx.send(7).await });
/// select! {
///     msg = rx.recv() => match msg {
///         Some(n) => println!("received {n}"),
///         None => println!("all senders are gone"),
///     },
///     _ = quitting.recv() => println!("told to stop"),
/// }
/// select! {
///     sent = results.send(1) => sent.unwrap(),
///     default => println!("nobody would take it now"),
/// }
/// # });
/// ```
///
/// # Arms
///
/// An arm is `pattern = future => body`, or with a guard `pattern = future, if condition => body`.
/// Bodies that are blocks need no comma after them, as in a `match`; all bodies have the type of
/// the whole `select!`. They are code of the enclosing function, in which `.await`, `?`, `return`,
/// `break` and `continue` mean what they always do.
///
/// - **Channel operations**, `rx.recv()`, `tx.send(value)` and `tx.send_from(&mut option)`, are
///   recognised by their type and take part atomically: an arm that lost has received nothing and
///   has sent nothing, also when its peer is in a `select!` too, or when one channel is named
///   several times. A `select!` never receives what it sends. So does the end of a context,
///   `ctx.done()`: when `cancel()` returns, no `select!` that waited for it can be completed by
///   another arm.
/// - **Any other future** takes part by being polled: a timer, a
///   [`JoinHandle`](runtime::JoinHandle), an `async` block. Those that lost are dropped, wherever
///   they had got to, before the body runs.
/// - **A guard** that is false switches its arm off for this round; its future is not even made. It
///   is Go's nil channel; so is [`never`](crate::never).
/// - **`default => body`** is taken if no other arm is ready, so that the `select!` never waits. It
///   looks at all channels at one instant: `default` is never taken while at every instant some arm
///   was ready.
/// - **`biased;`** before the first arm: of several ready arms the topmost is taken. Otherwise each
///   ready arm is equally likely.
///
/// Guards and futures are evaluated once, from top to bottom, before anything is chosen. The
/// pattern must match whatever comes: take `msg = rx.recv()` and match in the body.
///
/// A `select!` whose arms are all switched off, or `select! {}`, waits for ever, and a dump says
/// so: `select (no cases)`.
///
/// # Cancel safety
///
/// A `select!` that is dropped while it waits loses nothing of its channel arms, just as an arm
/// that lost: a value it had been handed goes to the next receiver, in front, and a send has
/// happened once or not at all. For other futures it is as safe as they are.
///
/// # The tempting wrong ways
///
/// **The value of a send that lost is dropped**, as every argument of a future that is not run to
/// its end. Where it is needed again, leave it in an `Option`:
///
/// ```
/// # runtime::block_on(async {
/// # use sync::{channel, select};
/// # let (tx, rx) = channel(0);
/// # let (ticks, tick) = channel(1);
/// # ticks.send(()).await.unwrap();
/// # runtime::spawn(async move { while let Some(job) = rx.recv().await { drop::<String>(job) } });
/// let mut job = Some(String::from("precious"));
/// while job.is_some() {
///     select! {
///         // Not `tx.send(job.take().unwrap())`: when the tick wins, the job would be gone.
///         sent = tx.send_from(&mut job) => sent.unwrap(),
///         _ = tick.recv() => println!("still trying"),
///     }
/// }
/// # });
/// ```
///
/// **A future made in the loop starts anew in each round.** A timer meant for the whole loop is
/// made before it:
///
/// ```
/// # runtime::block_on(async {
/// # use std::{pin::pin, time::Duration};
/// # use sync::{channel, select};
/// # let (tx, rx) = channel::<u32>(1);
/// # tx.send(1).await.unwrap();
/// let mut deadline = pin!(runtime::time::sleep(Duration::from_millis(20)));
/// loop {
///     select! {
///         msg = rx.recv() => println!("{msg:?}"),
///         // Not `_ = sleep(…)`: every message would put it off.
///         () = deadline.as_mut() => break,
///     }
/// }
/// # drop(tx);
/// # });
/// ```
///
/// **A closed channel is always ready.** In a loop its arm would win again and again; switch it
/// off:
///
/// ```
/// # runtime::block_on(async {
/// # use sync::{channel, select};
/// # let (a, rx_a) = channel(1); let (b, rx_b) = channel(1);
/// # a.send(1).await.unwrap(); b.send(2).await.unwrap(); drop((a, b));
/// # let mut sum = 0;
/// let (mut a_open, mut b_open) = (true, true);
/// while a_open || b_open {
///     select! {
///         n = rx_a.recv(), if a_open => match n {
///             Some(n) => sum += n,
///             None => a_open = false,
///         },
///         n = rx_b.recv(), if b_open => match n {
///             Some(n) => sum += n,
///             None => b_open = false,
///         },
///     }
/// }
/// # assert_eq!(sum, 3);
/// # });
/// ```
///
/// **A channel operation inside another future is not an arm.** In `timeout(limit, tx.send(v))`, or
/// an `async` block, the `select!` sees a future like any other: when that arm loses, its send may
/// just have happened. Make the operation one arm and the timer another.
///
/// **Go:** `select { case msg := <-rx: … case tx <- v: … default: … }`. Guards, `biased;` and other
/// futures have no counterpart.
#[macro_export]
macro_rules! select {
    ($($arms:tt)*) => {
        $crate::__private::select!(($crate) $($arms)*)
    };
}
