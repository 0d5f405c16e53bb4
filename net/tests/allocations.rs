//! A steady exchange allocates nothing. A program of its own: the allocator counts for the whole process.
//!
//! For the whole process, so that the reactor's and the scheduler's part counts too. Then it also counts what has nothing to do with the
//! exchange: on a busy machine a worker may lose its core in the middle of a poll for so long that the monitor starts another thread. So
//! the slice is longer than any such pause, and the exchange is counted in spans, of which one without an allocation is asked for: what an
//! exchange allocates would be in all of them.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use net::{TcpListener, TcpStream};

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

#[test]
fn a_steady_exchange_allocates_nothing() {
    let runtime = runtime::Builder::new()
        .max_procs(1)
        .time_slice(Duration::from_secs(3_600))
        .build()
        .unwrap();
    let least: io::Result<usize> = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let client = TcpStream::connect(listener.local_addr()?).await?;
        let (server, _) = listener.accept().await?;
        runtime::spawn(async move {
            let mut buf = [0; 64];
            loop {
                let n = server.read(&mut buf).await?;
                if n == 0 {
                    return io::Result::Ok(());
                }
                server.write_all(&buf[..n]).await?;
            }
        });
        let exchange = async |rounds: u32| {
            let mut answer = [0; 64];
            for _ in 0..rounds {
                client.write_all(&[1; 64]).await?;
                client.read_exact(&mut answer).await?;
            }
            io::Result::Ok(())
        };
        exchange(1_000).await?;
        let mut least = usize::MAX;
        for _ in 0..10 {
            let before = ALLOCATIONS.load(Ordering::Relaxed);
            exchange(1_000).await?;
            least = least.min(ALLOCATIONS.load(Ordering::Relaxed) - before);
        }
        Ok(least)
    });
    assert_eq!(least.unwrap(), 0);
}
