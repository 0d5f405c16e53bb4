//! Many datagrams, where there is no system call for them: one by one.
#![forbid(unsafe_code)]

use std::io;
use std::os::fd::BorrowedFd;

pub(crate) use crate::udp_batch::one_by_one::{recv_batch, send_batch};

/// There are no trains here.
pub(crate) fn set_gro(_: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    match on {
        true => Err(io::ErrorKind::Unsupported.into()),
        false => Ok(()),
    }
}
