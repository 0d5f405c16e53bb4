//! Channels, `select!`, `WaitGroup`.

pub(crate) mod primitive;

mod channel;
mod select;

pub use channel::{
    Receiver, Recv, Send, SendError, SendFrom, Sender, TryRecvError, TrySendError, channel, never,
};
#[doc(hidden)]
pub use select::__private;
