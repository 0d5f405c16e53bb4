//! What is spoken on a connection: HTTP/1. (With feature `http2`, `talk_both.rs` stands in the place of this file.)
//!
//! Both files have [`Protocols`] with `new`, `header_timeout`, `http1` and `talk`.
#![forbid(unsafe_code)]

use std::time::Duration;

use ::hyper::rt::{Read, Write};
use ::hyper::server::conn::http1;

use super::connection::{Caller, converse};
use super::crowd::Member;
use super::{Answer, BoxError, Timer};

/// How to speak to clients.
#[derive(Clone, Debug)]
pub(super) struct Protocols {
    http1: http1::Builder,
}

impl Protocols {
    pub(super) fn new() -> Self {
        let mut http1 = http1::Builder::new();
        http1.timer(Timer);
        Self { http1 }
    }

    pub(super) fn header_timeout(&mut self, limit: Option<Duration>) {
        self.http1.header_read_timeout(limit);
    }

    pub(super) fn http1(&mut self) -> &mut http1::Builder {
        &mut self.http1
    }

    /// Speaks until one side ends it. The limit of time is for the beginning, and hyper's own business here.
    pub(super) async fn talk<T, S, P, Kind>(
        &self,
        stream: T,
        caller: Caller<S, P, Kind>,
        member: Member,
        _limit: Option<Duration>,
    ) -> Result<(), BoxError>
    where
        T: Read + Write + Unpin + Send + 'static,
        S: Answer<Kind>,
        P: Clone + Send + Sync + 'static,
        Kind: 'static,
    {
        let connection = self.http1.serve_connection(stream, caller).with_upgrades();
        converse(connection, member).await
    }
}
