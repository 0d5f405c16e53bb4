//! A steady exchange allocates nothing. A program of its own: the allocator counts for the whole
//! process.
//!
//! For the whole process, so that the reactor's and the scheduler's part counts too. Then it also
//! counts what has nothing to do with the exchange: on a busy machine a worker may lose its core in
//! the middle of a poll for so long that the monitor starts another thread. So the slice is longer
//! than any such pause, and the exchange is counted in spans, of which one without an allocation is
//! asked for: what an exchange allocates would be in all of them.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use net::{Stream, StreamKind, TcpListener, TcpStream, UdpSocket, UnixStream};
use runtime::time::Instant;

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is passed on to the system's allocator as it comes.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `alloc` above, that is from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The least that a thousand exchanges allocate, of ten spans.
async fn least(mut exchange: impl AsyncFnMut() -> io::Result<()>) -> io::Result<usize> {
    let mut least = usize::MAX;
    for _ in 0..11 {
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        for _ in 0..1_000 {
            exchange().await?;
        }
        // The first span makes what is then kept.
        least = least.min(ALLOCATIONS.load(Ordering::Relaxed) - before);
    }
    Ok(least)
}

/// On one worker, for which nobody steps in.
fn run(test: impl Future<Output = io::Result<()>>) {
    let runtime = runtime::Builder::new()
        .max_procs(1)
        .time_slice(Duration::from_secs(3_600))
        .build()
        .unwrap();
    runtime.block_on(test).unwrap();
}

/// Two tasks, so that each waits for the other, on streams of either kind, and with a deadline for
/// each message.
async fn stream_exchange<K: StreamKind>(client: Stream<K>, server: Stream<K>) -> io::Result<usize> {
    runtime::spawn(async move {
        let mut buf = [0; 64];
        loop {
            server.set_deadline(Instant::now() + Duration::from_secs(3_600))?;
            let n = server.read(&mut buf).await?;
            if n == 0 {
                return io::Result::Ok(());
            }
            server.write_all(&buf[..n]).await?;
        }
    });
    let mut answer = [0; 64];
    least(async || {
        client.write_all(&[1; 64]).await?;
        client.read_exact(&mut answer).await
    })
    .await
}

// One test: the others would be counted too.
#[test]
fn a_steady_exchange_allocates_nothing() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let client = TcpStream::connect(listener.local_addr()?).await?;
        let (server, _) = listener.accept().await?;
        assert_eq!(stream_exchange(client, server).await?, 0, "over TCP");

        let (client, server) = UnixStream::pair()?;
        assert_eq!(stream_exchange(client, server).await?, 0, "over Unix");

        let (client, server) = (
            UdpSocket::bind("127.0.0.1:0").await?,
            UdpSocket::bind("127.0.0.1:0").await?,
        );
        let to = server.local_addr()?;
        runtime::spawn(async move {
            let mut buf = [0; 64];
            loop {
                let (n, from) = server.recv_from(&mut buf).await?;
                server.send_to(&buf[..n], from).await?;
                if n == 0 {
                    return io::Result::Ok(());
                }
            }
        });
        let mut answer = [0; 64];
        // Nothing is lost between two sockets of which one waits for the other.
        let udp = least(async || {
            client.send_to(&[1; 64], to).await?;
            client.recv_from(&mut answer).await.map(drop)
        });
        assert_eq!(udp.await?, 0, "over UDP");
        client.send_to(&[], to).await.map(drop)
    });
}
