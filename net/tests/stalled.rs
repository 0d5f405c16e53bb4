//! Nine thousand writers whose peers never read, and then vanish: what they hold meanwhile is
//! bounded, everyone is told, and nothing is left.
#![cfg(target_os = "linux")]

mod support;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use net::{ListenConfig, TcpStream};
use runtime::time::{Instant, sleep};
use runtime::{Handle, JoinHandle};
use socket2::SockRef;
use support::{descriptors, in_child, limit_descriptors, resident, run};

/// Both ends of each are in this process, which may open 20,000 files.
const CONNECTIONS: usize = 9_000;

/// For each, and more than the system takes for it.
const MESSAGE: usize = 1 << 20;

/// Of each socket, so that the system does not hold gigabytes.
const BUFFER: usize = 4096;

/// What a stalled connection may take of the process: both sockets, and the task with its call.
const EACH: usize = 3000;

/// Connections, and those who write on them for as long as the peers are there.
async fn stall(message: &Arc<Vec<u8>>) -> io::Result<(Vec<TcpStream>, Vec<JoinHandle<()>>)> {
    let mut config = ListenConfig::new();
    config.control(|fd| SockRef::from(&fd).set_recv_buffer_size(BUFFER));
    let listener = config.listen("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (mut peers, mut writers) = (Vec::new(), Vec::new());
    for i in 0..CONNECTIONS {
        let stream = TcpStream::connect(address).await?;
        stream.control(|fd| SockRef::from(&fd).set_send_buffer_size(BUFFER))?;
        peers.push(listener.accept().await?.0);
        if i % 2 == 0 {
            // A timer each, which never comes.
            stream.set_write_deadline(Instant::now() + Duration::from_secs(86_400))?;
        }
        let message = Arc::clone(message);
        writers.push(runtime::spawn(async move {
            let error = stream.write_all(&message).await.unwrap_err();
            let told = [io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe];
            assert!(told.contains(&error.kind()), "{error:?}");
        }));
    }
    // All have written what they can, and wait.
    while runtime::Handle::current().metrics().timers_armed < CONNECTIONS / 2 {
        sleep(Duration::from_millis(5)).await;
    }
    Ok((peers, writers))
}

async fn round(message: &Arc<Vec<u8>>) -> io::Result<usize> {
    let handle = Handle::current();
    let before = (descriptors(), resident());
    let (peers, writers) = stall(message).await?;
    assert!(writers.iter().all(|writer| !writer.is_finished()));
    let held = resident().saturating_sub(before.1);
    for peer in peers {
        peer.set_linger(Some(Duration::ZERO))?;
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(descriptors(), before.0);
    // A task is counted until a moment after its handle is ready.
    loop {
        let left = handle.metrics();
        assert_eq!(left.descriptors, 0);
        if (left.tasks, left.timers_armed) == (0, 0) {
            break;
        }
        sleep(Duration::from_millis(1)).await;
    }
    Ok(held)
}

#[test]
fn nine_thousand_writers_that_wait_hold_little_and_leave_nothing() {
    if !in_child("nine_thousand_writers_that_wait_hold_little_and_leave_nothing") {
        return;
    }
    limit_descriptors(20_000);
    run(async {
        let message = Arc::new(vec![7; MESSAGE]);
        let held = round(&message).await?;
        println!("{} bytes a connection", held / CONNECTIONS);
        assert!(held < CONNECTIONS * EACH, "{held} bytes");
        // What the allocator keeps serves the next ones: two more rounds take nothing.
        let after = resident();
        round(&message).await?;
        round(&message).await?;
        let more = resident().saturating_sub(after);
        assert!(more < CONNECTIONS * 100, "{more} bytes more");
        Ok(())
    });
}
