//! The channels, behind one small trait. Messages are one machine word.
//!
//! A crate without a rendezvous channel runs capacity 0 as capacity 1, which the report marks with
//! `~`; that flatters it. Select over futures is `tokio::select!` for every crate that brings no
//! select of its own: it polls in random order and needs no Tokio runtime.
#![forbid(unsafe_code)]

pub(crate) mod peers;
pub(crate) mod weftline;

use std::future::Future;

/// What a workload asks of a channel.
pub(crate) trait Chan: 'static {
    /// The sending end.
    type Tx: Clone + Send + Sync + 'static;
    /// The receiving end.
    type Rx: Send + Sync + 'static;

    /// Several tasks may receive.
    const MPMC: bool = true;

    /// A channel that holds so many messages.
    fn bounded(capacity: usize) -> (Self::Tx, Self::Rx);

    /// Another receiver on the same channel.
    fn clone_rx(rx: &Self::Rx) -> Self::Rx;

    /// Sends; false when the channel is closed.
    fn send(tx: &Self::Tx, value: usize) -> impl Future<Output = bool> + Send;

    /// Receives; nothing when the channel is closed and drained.
    fn recv(rx: &mut Self::Rx) -> impl Future<Output = Option<usize>> + Send;

    /// Receives from whichever of two channels is ready.
    fn select2(rx: &mut [Self::Rx; 2]) -> impl Future<Output = Option<usize>> + Send {
        async {
            let [a, b] = rx;
            tokio::select! {
                v = Self::recv(a) => v,
                v = Self::recv(b) => v,
            }
        }
    }

    /// Receives from whichever of eight channels is ready.
    fn select8(rx: &mut [Self::Rx; 8]) -> impl Future<Output = Option<usize>> + Send {
        async {
            let [a, b, c, d, e, f, g, h] = rx;
            tokio::select! {
                v = Self::recv(a) => v,
                v = Self::recv(b) => v,
                v = Self::recv(c) => v,
                v = Self::recv(d) => v,
                v = Self::recv(e) => v,
                v = Self::recv(f) => v,
                v = Self::recv(g) => v,
                v = Self::recv(h) => v,
            }
        }
    }

    /// Sends or receives, whichever is ready first; an arm whose flag is off takes no part.
    fn select_send(
        tx: &Self::Tx,
        value: usize,
        may_send: bool,
        rx: &mut Self::Rx,
        may_recv: bool,
    ) -> impl Future<Output = Arm> + Send {
        async move {
            tokio::select! {
                sent = Self::send(tx, value), if may_send => Arm::Sent(sent),
                v = Self::recv(rx), if may_recv => Arm::Received(v),
            }
        }
    }
}

/// Which arm of [`Chan::select_send`] took effect.
pub(crate) enum Arm {
    /// The value was sent, or the channel was closed.
    Sent(bool),
    /// A value was received, or the channel was closed.
    Received(Option<usize>),
}
