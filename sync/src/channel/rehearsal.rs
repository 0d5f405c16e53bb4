//! What goes with a task's future when it is dropped in a trial ([`runtime::leaks`]): handles of
//! the channel, and those who wait in it.
//!
//! Nothing of it touches the channel: its counts stay what they were, and a lock that another
//! thread held when the copy was made is not waited for.
#![forbid(unsafe_code)]

use std::mem;

use runtime::leaks::trial::{self, On, Side};

use super::Channel;
use crate::primitive::Arc;

/// The two kinds of handles.
pub(super) const SENDERS: u8 = 0;
pub(super) const RECEIVERS: u8 = 1;

/// A handle of the channel goes.
#[cold]
pub(super) fn let_go<H, T>(handle: &H, channel: &Arc<Channel<T>>, side: u8) {
    let address = address(channel);
    let of = Side {
        primitive: address,
        side,
        sides: 2,
        handles: channel.handles(side == SENDERS),
    };
    trial::handle(handle, address, of);
    // Those who wait for the close alone do that elsewhere, and for the same handles: any of them
    // can close the channel.
    if let Some(gone) = channel.gone_in_trial() {
        let primitive = gone;
        trial::handle(handle, address, Side { primitive, ..of });
    }
    // So that no other channel gets this address.
    mem::forget(channel.clone());
}

/// What a waker in this channel was left with.
pub(super) fn on<T>(channel: &Channel<T>) -> On {
    match channel.is_never() {
        true => On::Never,
        false => On::At(address(channel)),
    }
}

fn address<T>(channel: &Channel<T>) -> usize {
    std::ptr::from_ref(channel).addr()
}
