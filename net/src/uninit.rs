//! Reading into memory that holds nothing yet, which is what hyper and Tokio hand out to be filled.
//!
//! The kernel writes straight into it: no zeroing first, no buffer in between. [`socket2`] passes
//! such memory to `recv`, so that all of this is safe code; only the word "so many bytes are there
//! now", said to hyper or Tokio, is not, and stands in the files that say it.
#![forbid(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::task::{Context, Poll};

use runtime::io::Direction;

use crate::bytes::settle;
use crate::kind::StreamDevice;
use crate::socket::Socket;

impl<S: StreamDevice> Socket<S> {
    /// Reads once. The first `n` bytes of the buffer are initialised when it returns `Ok(n)`, and
    /// `n` is at most its length.
    #[track_caller]
    pub(crate) fn poll_read_uninit(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [MaybeUninit<u8>],
    ) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(self.with(|_| Ok(0)));
        }
        self.poll_io(Direction::Read, cx, |stream, attempt| {
            let received = stream.recv_uninit(buf)?;
            Ok(settle(received, attempt, buf.len()))
        })
    }
}
