//! What has arrived when a server is told to end, is answered.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use hyper::rt::{Read, ReadBufCursor, Write};
use net::TcpStream;
use net::hyper::serve;
use sync::oneshot;

use crate::support::{listen, run, start};
use crate::{hello, request, until};

/// A stream into which a test puts bytes without anybody being woken, as they lie in a socket until
/// its readiness is known.
#[derive(Clone, Debug, Default)]
struct Line(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    input: VecDeque<u8>,
    output: Vec<u8>,
    reader: Option<Waker>,
}

impl Line {
    /// Whether the server has looked, and found nothing.
    fn is_waited_for(&self) -> bool {
        self.0.lock().unwrap().reader.is_some()
    }

    fn put(&self, bytes: &[u8]) {
        let mut state = self.0.lock().unwrap();
        state.reader = None;
        state.input.extend(bytes);
    }

    fn is_answered(&self, text: &str) -> bool {
        self.0.lock().unwrap().output.ends_with(text.as_bytes())
    }
}

impl Read for Line {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.0.lock().unwrap();
        if state.input.is_empty() {
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let n = state.input.len().min(buf.remaining());
        let bytes: Vec<_> = state.input.drain(..n).collect();
        buf.put_slice(&bytes);
        Poll::Ready(Ok(()))
    }
}

impl Write for Line {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.lock().unwrap().output.extend(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A server whose one connection is a line, which has been asked so many times before.
async fn answers_at_the_end(before: usize) -> io::Result<()> {
    let (listener, address) = listen().await?;
    let (stop, stopped) = oneshot::channel::<()>();
    let line = Line::default();
    let end = line.clone();
    let server = serve(listener, hello)
        .through(move |_: TcpStream| {
            let end = end.clone();
            async move { Ok(end) }
        })
        .shutdown_on(stopped);
    let server = start(server);
    let _client = TcpStream::connect(address).await?;
    for round in 0..before {
        until(|| line.is_waited_for()).await;
        let reader = line.0.lock().unwrap().reader.take();
        line.put(request(&format!("/{round}"), false).as_bytes());
        reader.unwrap().wake();
        until(|| line.is_answered(&format!("hello from /{round}"))).await;
    }
    until(|| line.is_waited_for()).await;
    line.put(request("/last", false).as_bytes());
    drop(stop);
    server.await.unwrap()?;
    assert!(line.is_answered("hello from /last"), "{line:?}");
    Ok(())
}

#[test]
fn the_first_request_of_a_connection_is_answered_if_it_is_there() {
    run(answers_at_the_end(0));
}

#[test]
fn the_next_request_of_an_idle_connection_is_answered_if_it_is_there() {
    run(answers_at_the_end(2));
}
