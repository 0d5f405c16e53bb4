//! The bodies of HTTP/2's requests, and how long one may take to come.
//!
//! *What is known.* [`Heads`](super::heads::Heads) reads what the client sends before hyper does.
//! It makes an [`Upload`] for each request whose head does not end it, and notes when the rest is
//! there. It hands hyper one such head at a time, so that the handler which is called next is that
//! request's: there [`Uploads::take`] finds it.
//!
//! *What is done.* When a request is not there in time, its handler's read fails, as in HTTP/1, if
//! the handler has been given a body of ours ([`RequestBody`](super::RequestBody)). Many have not:
//! hyper gives bodies of a type of its own, which nobody else can make fail, and which says to
//! nobody but its owner whether it is complete. Then the handler is dropped, and the client is told
//! so: 408, if there is no answer yet (`reply.rs`), and otherwise a reset of the stream
//! (`streams.rs`).
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use runtime::time::Instant;

/// A request whose body is on its way.
#[derive(Debug)]
pub(super) struct Upload {
    by: Instant,
    complete: AtomicBool,
    /// The handler has hyper's body, and cannot be told.
    ends_stream: AtomicBool,
}

impl Upload {
    #[cfg(feature = "http2")]
    pub(super) fn new(by: Instant) -> Arc<Self> {
        Arc::new(Self {
            by,
            complete: AtomicBool::new(false),
            ends_stream: AtomicBool::new(false),
        })
    }

    /// The last of it has been handed to hyper.
    #[cfg(feature = "http2")]
    pub(super) fn finish(&self) {
        // Release: pairs with the Acquire in `due`.
        self.complete.store(true, Ordering::Release);
    }

    /// When the rest has to be there; `None` once it is.
    pub(super) fn due(&self) -> Option<Instant> {
        // Acquire: pairs with the Release in `finish`; who finds it complete finds the bytes in
        // hyper's hands.
        let complete = self.complete.load(Ordering::Acquire);
        (!complete).then_some(self.by)
    }

    /// There is nobody who could be told that it is late: the stream has to end.
    pub(super) fn end_stream(&self) {
        // Relaxed: the task that calls the handler reads it after that.
        self.ends_stream.store(true, Ordering::Relaxed);
    }

    /// When the stream has to end, if the rest is not there.
    pub(super) fn stream_due(&self) -> Option<Instant> {
        // Relaxed: see `end_stream`.
        let ends = self.ends_stream.load(Ordering::Relaxed);
        self.due().filter(|_| ends)
    }

    pub(super) fn is_late(&self) -> bool {
        self.due().is_some_and(|by| Instant::now() >= by)
    }
}

/// The way of an upload from where its head is seen to where its handler is called. Both are in the
/// connection's task; the lock is there for the compiler.
#[derive(Debug, Default)]
pub(super) struct Uploads(Mutex<Option<Arc<Upload>>>);

impl Uploads {
    /// The head that hyper gets next is this one's; or it has had the head, and has not called
    /// anybody.
    #[cfg(feature = "http2")]
    pub(super) fn announce(&self, upload: Option<Arc<Upload>>) {
        let before = {
            let mut announced = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *announced, upload)
        };
        drop(before);
    }

    /// That of the request whose handler is being called.
    pub(super) fn take(&self) -> Option<Arc<Upload>> {
        let mut announced = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        announced.take()
    }
}
