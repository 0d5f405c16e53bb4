//! Weftline's channel and its select.
#![forbid(unsafe_code)]

use super::{Arm, Chan};

/// `sync::channel`.
pub(crate) struct Weft;

impl Chan for Weft {
    type Tx = sync::Sender<usize>;
    type Rx = sync::Receiver<usize>;

    fn bounded(capacity: usize) -> (Self::Tx, Self::Rx) {
        sync::channel(capacity)
    }

    fn clone_rx(rx: &Self::Rx) -> Self::Rx {
        rx.clone()
    }

    async fn send(tx: &Self::Tx, value: usize) -> bool {
        tx.send(value).await.is_ok()
    }

    async fn recv(rx: &mut Self::Rx) -> Option<usize> {
        rx.recv().await
    }

    async fn select2(rx: &mut [Self::Rx; 2]) -> Option<usize> {
        let [a, b] = rx;
        sync::select! {
            v = a.recv() => v,
            v = b.recv() => v,
        }
    }

    async fn select8(rx: &mut [Self::Rx; 8]) -> Option<usize> {
        let [a, b, c, d, e, f, g, h] = rx;
        sync::select! {
            v = a.recv() => v,
            v = b.recv() => v,
            v = c.recv() => v,
            v = d.recv() => v,
            v = e.recv() => v,
            v = f.recv() => v,
            v = g.recv() => v,
            v = h.recv() => v,
        }
    }

    async fn select_send(
        tx: &Self::Tx,
        value: usize,
        may_send: bool,
        rx: &mut Self::Rx,
        may_recv: bool,
    ) -> Arm {
        sync::select! {
            sent = tx.send(value), if may_send => Arm::Sent(sent.is_ok()),
            v = rx.recv(), if may_recv => Arm::Received(v),
        }
    }
}
