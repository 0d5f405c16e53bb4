//! A chat room by lines, for thousands: what one says, all others read.
//!
//! Each member has a channel of lines that wait to be sent; a line is shared, not copied. Whoever
//! reads so slowly that the channel is full is shown out, as otherwise one stalled terminal would
//! hold up the room, or fill the memory. A member is two tasks, one reads and one writes; when
//! either ends, the other does.
//!
//! Go: a goroutine for each direction, a `chan string` a member, `select` with `default` to see who
//! is slow.
//!
//! Run: `cargo run --release -p weftline-servers --bin chat -- 127.0.0.1:7000`, then
//! `nc 127.0.0.1 7000` in several terminals: the first line is the name.
#![forbid(unsafe_code)]

mod lines;
mod room;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use lines::Lines;
use net::{Stopping, TcpListener, TcpStream};
use room::Room;
use runtime::time::{Instant, timeout};
use sync::{Receiver, select};

/// How long a newcomer may take to say a name, and a line to be taken.
const PATIENCE: Duration = Duration::from_secs(5);

// cookbook: chat
async fn member(stream: TcpStream, room: Arc<Room>, stopping: Stopping) -> io::Result<()> {
    let mut lines = Lines::new(&stream);
    let Ok(name) = timeout(PATIENCE, lines.next()).await else {
        return send(&stream, "you have not said who you are\n").await;
    };
    let Some(name) = name? else {
        return Ok(());
    };
    let (seat, inbox) = room.enter(&name);
    select! {
        ended = listen(&mut lines, &name, &seat) => ended,
        ended = speak(&stream, inbox) => ended,
        _ = stopping.requested() => send(&stream, "* the room is closing\n").await,
    }
}

/// What this member says goes to all others.
async fn listen(lines: &mut Lines<'_>, name: &str, seat: &room::Seat) -> io::Result<()> {
    while let Some(line) = lines.next().await? {
        seat.say(format!("{name}: {line}\n"));
    }
    Ok(())
}

/// What the others say goes to this member, as much at a time as has come.
async fn speak(stream: &TcpStream, inbox: Receiver<Arc<str>>) -> io::Result<()> {
    let mut text = String::new();
    while let Some(line) = inbox.recv().await {
        text.push_str(&line);
        while let Ok(line) = inbox.try_recv() {
            text.push_str(&line);
        }
        send(stream, &text).await?;
        text.clear();
    }
    send(stream, "* you read too slowly\n").await
}

/// A deadline stays until another one is set: each write sets its own.
async fn send(stream: &TcpStream, text: &str) -> io::Result<()> {
    stream.set_write_deadline(Instant::now() + PATIENCE)?;
    stream.write_all(text.as_bytes()).await
}
// cookbook: end

#[runtime::main]
async fn main() -> io::Result<()> {
    let stop = servers::until_asked_to_stop()?;
    let listener = TcpListener::bind(servers::address()).await?;
    servers::announce(listener.local_addr()?);
    let room = Arc::new(Room::new(stop.clone()));

    net::serve(listener, move |stream, _peer, stopping| {
        member(stream, room.clone(), stopping)
    })
    .on_error(servers::report)
    .max_connections(10_000)
    .shutdown_on(async move { stop.done().await })
    .drain(Duration::from_secs(10))
    .await
}
