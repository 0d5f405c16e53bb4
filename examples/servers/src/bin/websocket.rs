//! A room over WebSockets: what one says, all hear, whoever has said it too.
//!
//! tungstenite speaks the protocol (handshake, pings, fragments, the closing handshake) over this
//! project's streams, which have the traits of `futures_io`; a connection is one task. The room is
//! a `sync::broadcast` channel: nobody is waited for, and who falls behind is told how much was
//! missed. A client has five seconds for its handshake, and to take a message; what is longer than
//! 64 KiB is refused.
//!
//! Go: gorilla/websocket or nhooyr.io/websocket with a goroutine for each direction.
//!
//! Run: `cargo run --release -p weftline-servers --bin websocket -- 127.0.0.1:9001`, then
//! `python3 -m websockets ws://127.0.0.1:9001/`, or `new WebSocket("ws://127.0.0.1:9001/")` in a
//! browser.
#![forbid(unsafe_code)]

use std::io;
use std::time::Duration;

use async_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use async_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use async_tungstenite::tungstenite::{Error, Message};
use async_tungstenite::{WebSocketStream, accept_async_with_config};
use futures_util::StreamExt;
use net::{Stopping, TcpListener, TcpStream};
use runtime::time::timeout;
use sync::broadcast::{RecvError, Sender};
use sync::select;

/// For a handshake, a message to be taken, and a farewell.
const PATIENCE: Duration = Duration::from_secs(5);

/// Messages that are kept for those who are behind. A guess: some seconds of a lively room.
const KEPT: usize = 256;

/// The longest message.
const LONGEST: usize = 64 * 1024;

// cookbook: websocket
async fn member(stream: TcpStream, room: Sender<Message>, stopping: Stopping) -> Result<(), Error> {
    // Before the handshake ends: from then on nothing is missed.
    let mut said = room.subscribe();
    let settings = WebSocketConfig::default()
        .max_message_size(Some(LONGEST))
        .max_frame_size(Some(LONGEST));
    let handshake = accept_async_with_config(stream, Some(settings));
    let mut socket = in_time(handshake).await?;
    loop {
        select! {
            message = socket.next() => match message {
                Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => _ = room.send(message),
                // tungstenite answers these.
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error),
                None => return Ok(()),
            },
            message = said.recv() => match message {
                Ok(message) => in_time(socket.send(message)).await?,
                Err(RecvError::Lagged(missed)) => {
                    let text = format!("* you have missed {missed} messages");
                    in_time(socket.send(Message::text(text))).await?;
                }
                Err(RecvError::Closed) => return Ok(()),
            },
            _ = stopping.requested() => return in_time(farewell(&mut socket)).await,
        }
    }
}

/// Says why it ends, and waits until the client has heard it.
async fn farewell(socket: &mut WebSocketStream<TcpStream>) -> Result<(), Error> {
    let frame = CloseFrame {
        code: CloseCode::Away,
        reason: "the room is closing".into(),
    };
    socket.close(Some(frame)).await?;
    while let Some(Ok(_)) = socket.next().await {}
    Ok(())
}

async fn in_time<T>(step: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    timeout(PATIENCE, step).await.map_err(io::Error::from)?
}
// cookbook: end

#[runtime::main]
async fn main() -> io::Result<()> {
    let stop = servers::until_asked_to_stop()?;
    let listener = TcpListener::bind(servers::address()).await?;
    servers::announce(listener.local_addr()?);
    let (room, _) = sync::broadcast::channel(KEPT);

    net::serve(listener, move |stream, _peer, stopping| {
        let member = member(stream, room.clone(), stopping);
        async {
            match member.await {
                Err(Error::ConnectionClosed) => Ok(()),
                ended => ended,
            }
        }
    })
    .on_error(servers::report)
    .max_connections(10_000)
    .shutdown_on(async move { stop.done().await })
    .drain(Duration::from_secs(10))
    .await
}
