//! The channel crates: Tokio's mpsc, async-channel, flume, kanal, crossfire.
#![forbid(unsafe_code)]

use super::Chan;

/// Tokio's bounded mpsc.
pub(crate) struct TokioMpsc;

impl Chan for TokioMpsc {
    type Tx = tokio::sync::mpsc::Sender<usize>;
    type Rx = tokio::sync::mpsc::Receiver<usize>;

    const MPMC: bool = false;

    fn bounded(capacity: usize) -> (Self::Tx, Self::Rx) {
        tokio::sync::mpsc::channel(capacity.max(1))
    }

    fn clone_rx(_: &Self::Rx) -> Self::Rx {
        panic!("Tokio's mpsc has one receiver")
    }

    async fn send(tx: &Self::Tx, value: usize) -> bool {
        tx.send(value).await.is_ok()
    }

    async fn recv(rx: &mut Self::Rx) -> Option<usize> {
        rx.recv().await
    }
}

/// smol's channel.
pub(crate) struct AsyncChannel;

impl Chan for AsyncChannel {
    type Tx = async_channel::Sender<usize>;
    type Rx = async_channel::Receiver<usize>;

    fn bounded(capacity: usize) -> (Self::Tx, Self::Rx) {
        async_channel::bounded(capacity.max(1))
    }

    fn clone_rx(rx: &Self::Rx) -> Self::Rx {
        rx.clone()
    }

    async fn send(tx: &Self::Tx, value: usize) -> bool {
        tx.send(value).await.is_ok()
    }

    async fn recv(rx: &mut Self::Rx) -> Option<usize> {
        rx.recv().await.ok()
    }
}

/// flume.
pub(crate) struct Flume;

impl Chan for Flume {
    type Tx = flume::Sender<usize>;
    type Rx = flume::Receiver<usize>;

    fn bounded(capacity: usize) -> (Self::Tx, Self::Rx) {
        flume::bounded(capacity)
    }

    fn clone_rx(rx: &Self::Rx) -> Self::Rx {
        rx.clone()
    }

    async fn send(tx: &Self::Tx, value: usize) -> bool {
        tx.send_async(value).await.is_ok()
    }

    async fn recv(rx: &mut Self::Rx) -> Option<usize> {
        rx.recv_async().await.ok()
    }
}

/// kanal.
pub(crate) struct Kanal;

impl Chan for Kanal {
    type Tx = kanal::AsyncSender<usize>;
    type Rx = kanal::AsyncReceiver<usize>;

    fn bounded(capacity: usize) -> (Self::Tx, Self::Rx) {
        kanal::bounded_async(capacity)
    }

    fn clone_rx(rx: &Self::Rx) -> Self::Rx {
        rx.clone()
    }

    async fn send(tx: &Self::Tx, value: usize) -> bool {
        tx.send(value).await.is_ok()
    }

    async fn recv(rx: &mut Self::Rx) -> Option<usize> {
        rx.recv().await.ok()
    }
}

/// crossfire, with many senders and many receivers.
pub(crate) struct Crossfire;

impl Chan for Crossfire {
    type Tx = crossfire::MAsyncTx<crossfire::mpmc::Array<usize>>;
    type Rx = crossfire::MAsyncRx<crossfire::mpmc::Array<usize>>;

    fn bounded(capacity: usize) -> (Self::Tx, Self::Rx) {
        crossfire::mpmc::bounded_async(capacity.max(1))
    }

    fn clone_rx(rx: &Self::Rx) -> Self::Rx {
        rx.clone()
    }

    async fn send(tx: &Self::Tx, value: usize) -> bool {
        tx.send(value).await.is_ok()
    }

    async fn recv(rx: &mut Self::Rx) -> Option<usize> {
        rx.recv().await.ok()
    }
}
