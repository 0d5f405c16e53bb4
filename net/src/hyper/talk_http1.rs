//! What is spoken on a connection: HTTP/1. (With feature `http2`, `talk_both.rs` stands in the
//! place of this file.)
//!
//! Both files have [`Protocols`] with `new`, `limit`, `http1` and `talk`.
#![forbid(unsafe_code)]

use std::sync::Arc;

use ::hyper::rt::{Read, Write};
use ::hyper::server::conn::http1;

use super::connection::{Caller, converse_http1};
use super::limits::{Limits, Progress};
use super::timed::Timed;
use super::{Answer, BoxError, Timer};
use crate::serve::crowd::Member;

/// How to speak to clients.
#[derive(Clone, Debug)]
pub(super) struct Protocols {
    http1: http1::Builder,
}

impl Protocols {
    pub(super) fn new() -> Self {
        let mut http1 = http1::Builder::new();
        // As in Go: who has sent a request and ends sending is not gone, and gets the answer.
        http1.timer(Timer).half_close(true);
        Self { http1 }
    }

    /// hyper is told that there is a limit; which one it is, is `limits.rs`' business.
    pub(super) fn limit(&mut self, limits: Limits) {
        self.http1.header_read_timeout(limits.for_hyper());
        // Or hyper would read ahead while the handler is at work, and be told that the request is
        // late.
        if limits.read.is_some() {
            self.http1.half_close(true);
        }
    }

    pub(super) fn http1(&mut self) -> &mut http1::Builder {
        &mut self.http1
    }

    /// Speaks until one side ends it.
    pub(super) async fn talk<T, S, P, Kind>(
        &self,
        stream: Timed<T>,
        caller: Caller<S, P, Kind>,
        member: Member,
        progress: &Arc<Progress>,
    ) -> Result<(), BoxError>
    where
        T: Read + Write + Unpin + Send + 'static,
        S: Answer<Kind>,
        P: Clone + Send + Sync + 'static,
        Kind: 'static,
    {
        converse_http1(self.http1.clone(), stream, caller, member, progress).await
    }
}
