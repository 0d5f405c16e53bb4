//! Moving bytes from one stream to another, and both ways between two.
//!
//! Between two sockets ([`relay`]) nothing is held while nothing moves: a chunk is read into a
//! buffer that belongs to the thread and written at once, and on Linux, where much moves, it does
//! not even pass through this process. Anything else ([`buffered`]) goes through one buffer a
//! direction. In both what has been read is written out before more is read, so that a slow
//! receiver holds its sender back and memory stays bounded.
//!
//! Which it is, is decided by the types of reader and writer when the call is made (`ours.rs`).
//! Wrappers, such as a buffered reader around a socket, are not looked into: they may hold bytes
//! that come first.
#![deny(unsafe_op_in_unsafe_fn)]

mod buffered;
mod file;
mod ours;
mod pipe;
mod relay;

use std::future::poll_fn;
use std::io;
use std::panic::Location;
use std::pin::Pin;
use std::task::Poll;

use futures_io::{AsyncRead, AsyncWrite};
use runtime::task::{WaitReason, waiting};

use self::buffered::{OneWay, Transfer};
use self::relay::Relay;

/// Copies everything from `reader` to `writer`, flushes, and returns the number of bytes.
///
/// The writer is not closed. Between two sockets (streams, references to them, halves) large
/// amounts are moved within the kernel (`splice`), where the system can do that.
///
/// # Errors
///
/// The first error of either; [`WriteZero`](io::ErrorKind::WriteZero) if the writer takes nothing
/// any more.
///
/// # Cancel safety
///
/// Not cancel safe: bytes that have been read and not written are lost.
///
/// ```
/// # runtime::block_on(async {
/// # let listener = net::TcpListener::bind("127.0.0.1:0").await?;
/// let client = net::TcpStream::connect(listener.local_addr()?).await?;
/// let (server, _) = listener.accept().await?;
/// client.write_all(b"hello").await?;
/// client.shutdown(std::net::Shutdown::Write)?;
/// // An echo server: reads and writes go through `&TcpStream`.
/// assert_eq!(net::copy(&mut &server, &mut &server).await?, 5);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// **Go:** `io.Copy(w, r)`, which hands the work to the kernel where it can, too.
#[track_caller]
pub fn copy<'a, R, W>(
    reader: &'a mut R,
    writer: &'a mut W,
) -> impl Future<Output = io::Result<u64>> + use<'a, R, W>
where
    R: AsyncRead + Unpin + ?Sized,
    W: AsyncWrite + Unpin + ?Sized,
{
    let place = Location::caller();
    async move {
        let ends = (ours::read_end(&*reader), ours::write_end(&*writer));
        if let (Some(from), Some(to)) = ends {
            let mut relay = Relay::new();
            return poll_fn(|cx| noted(relay.poll(cx, from, to), place)).await;
        }
        let mut transfer = Transfer::new();
        poll_fn(|cx| {
            let moved = transfer.poll(cx, Pin::new(&mut *reader), Pin::new(&mut *writer));
            noted(moved, place)
        })
        .await
    }
}

/// Copies both ways between `a` and `b` until both have finished sending. Returns the bytes from
/// `a` to `b`, and from `b` to `a`.
///
/// When one finishes sending, the other is told by a close of its sending side, and may go on.
/// Between two sockets an idle connection costs no buffer, and large amounts are moved within the
/// kernel; see [`copy`].
///
/// # Errors
///
/// The first error of either; the other direction ends with it.
///
/// # Cancel safety
///
/// Not cancel safe: bytes that have been read and not written are lost.
///
/// ```no_run
/// # async fn proxy() -> std::io::Result<()> {
/// let listener = net::TcpListener::bind("127.0.0.1:8080").await?;
/// loop {
///     let (mut client, _) = listener.accept().await?;
///     runtime::spawn(async move {
///         let mut server = net::TcpStream::connect("127.0.0.1:80").await?;
///         net::copy_bidirectional(&mut client, &mut server).await
///     });
/// }
/// # }
/// ```
///
/// **Go:** two goroutines with `io.Copy` and `CloseWrite`.
#[track_caller]
pub fn copy_bidirectional<'a, A, B>(
    a: &'a mut A,
    b: &'a mut B,
) -> impl Future<Output = io::Result<(u64, u64)>> + use<'a, A, B>
where
    A: AsyncRead + AsyncWrite + Unpin + ?Sized,
    B: AsyncRead + AsyncWrite + Unpin + ?Sized,
{
    let place = Location::caller();
    async move {
        // What can be read and written is a whole stream.
        let ends = (ours::read_end(&*a), ours::read_end(&*b));
        if let (Some(a), Some(b)) = ends {
            let (mut there, mut back) = (Relay::new(), Relay::new());
            return poll_fn(|cx| {
                // Both, whatever the first one says: each has to leave its waker.
                let to_b = there.poll_and_finish(cx, a, b)?;
                let to_a = back.poll_and_finish(cx, b, a)?;
                noted(both(to_b, to_a), place)
            })
            .await;
        }
        let (mut there, mut back) = (OneWay::new(), OneWay::new());
        poll_fn(|cx| {
            let to_b = there.poll(cx, Pin::new(&mut *a), Pin::new(&mut *b))?;
            let to_a = back.poll(cx, Pin::new(&mut *b), Pin::new(&mut *a))?;
            noted(both(to_b, to_a), place)
        })
        .await
    }
}

fn both(there: Poll<u64>, back: Poll<u64>) -> Poll<io::Result<(u64, u64)>> {
    match (there, back) {
        (Poll::Ready(there), Poll::Ready(back)) => Poll::Ready(Ok((there, back))),
        _ => Poll::Pending,
    }
}

/// Has a dump show the caller's line, and not one of these files.
fn noted<T>(polled: Poll<T>, place: &'static Location<'static>) -> Poll<T> {
    if polled.is_pending() {
        waiting(WaitReason::IoWait, place);
    }
    polled
}
