//! A steady exchange allocates nothing. A program of its own: the allocator counts for the whole process.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

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
    let runtime = runtime::Builder::new().max_procs(1).build().unwrap();
    let counted: io::Result<usize> = runtime.block_on(async {
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
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        exchange(10_000).await?;
        Ok(ALLOCATIONS.load(Ordering::Relaxed) - before)
    });
    assert_eq!(counted.unwrap(), 0);
}
