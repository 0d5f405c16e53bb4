//! A worker that goes to sleep just when somebody else looks at the reactor for it must not leave
//! the reactor to nobody.

mod support;

use std::hint::black_box;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, RwLock, mpsc};
use std::time::{Duration, Instant};

use net::TcpListener;
use support::run_on;

#[test]
fn the_reactor_has_somebody_after_a_long_poll() {
    run_on(1, async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let peer = std::thread::spawn(move || {
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            let mut byte = [0];
            while stream.read(&mut byte).unwrap() > 0 {
                // The answer comes when the worker sleeps, most times; nothing depends on it.
                std::thread::sleep(Duration::from_micros(200));
                stream.write_all(&byte).unwrap();
            }
        });
        let (stream, _) = listener.accept().await?;
        let start = Instant::now();
        let mut round = 0u64;
        while start.elapsed() < Duration::from_secs(2) {
            round = round
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            // Past the slice, by a different time each round.
            let spin = Duration::from_micros(5_000 + (round >> 33) % 10_000);
            let begin = Instant::now();
            while begin.elapsed() < spin {
                black_box(round);
            }
            stream.write_all(b"?").await?;
            stream.read_exact(&mut [0]).await?;
        }
        drop(stream);
        peer.join().unwrap();
        Ok(())
    });
}

/// The figures are printed. What decides is that the blocked tasks are let go by the last echo: if
/// it waited for them, it would for ever.
#[test]
fn a_hundred_blocking_tasks_do_not_hold_an_echo_up() {
    const ECHOES: usize = 200;
    run_on(2, async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        runtime::spawn(support::serve(listener));
        let gate = Arc::new(RwLock::new(()));
        let (shut, (open, opened)) = (Arc::clone(&gate), mpsc::channel::<()>());
        // A thread's, since a guard is nothing to carry from thread to thread.
        let (shuts, is_shut) = mpsc::channel();
        let keeper = std::thread::spawn(move || {
            let _guard = shut.write();
            shuts.send(()).unwrap();
            let _ = opened.recv();
        });
        is_shut.recv().unwrap();
        let blocks = Arc::new(AtomicUsize::new(0));
        let blocked: Vec<_> = (0..100)
            .map(|_| {
                let (gate, blocks) = (Arc::clone(&gate), Arc::clone(&blocks));
                runtime::spawn(async move {
                    blocks.fetch_add(1, SeqCst);
                    drop(gate.read());
                })
            })
            .collect();
        let start = Instant::now();
        while blocks.load(SeqCst) < 100 {
            runtime::time::sleep(Duration::from_millis(1)).await;
        }
        let took = start.elapsed();
        let peer = std::thread::spawn(move || {
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            let mut latencies = Vec::new();
            for _ in 0..ECHOES {
                let begin = Instant::now();
                stream.write_all(&[7; 64]).unwrap();
                stream.read_exact(&mut [0; 64]).unwrap();
                latencies.push(begin.elapsed());
            }
            latencies.sort_unstable();
            latencies
        });
        let latencies = runtime::spawn_blocking(move || peer.join().unwrap())
            .await
            .unwrap();
        drop(open);
        keeper.join().unwrap();
        for task in blocked {
            task.await.unwrap();
        }
        let (p99, worst) = (latencies[ECHOES * 99 / 100], latencies[ECHOES - 1]);
        println!(
            "100 tasks blocked after {took:.2?}; {ECHOES} echoes, p99 {p99:.2?}, max {worst:.2?}"
        );
        Ok(())
    });
}
