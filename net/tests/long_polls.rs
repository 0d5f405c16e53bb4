//! A worker that goes to sleep just when somebody else looks at the reactor for it must not leave the reactor to nobody.

mod support;

use std::hint::black_box;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
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

/// The figures are printed; the bounds only tell a hang, or that one waited for the other.
#[test]
fn a_hundred_blocking_tasks_do_not_hold_an_echo_up() {
    run_on(2, async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        runtime::spawn(support::serve(listener));
        let start = Instant::now();
        let blocked: Vec<_> = (0..100)
            .map(|_| runtime::spawn(async { std::thread::sleep(Duration::from_secs(1)) }))
            .collect();
        let done = Arc::new(AtomicBool::new(false));
        let is_done = done.clone();
        let peer = std::thread::spawn(move || {
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            let mut latencies = Vec::new();
            while !is_done.load(SeqCst) {
                let begin = Instant::now();
                stream.write_all(&[7; 64]).unwrap();
                stream.read_exact(&mut [0; 64]).unwrap();
                latencies.push(begin.elapsed());
                std::thread::sleep(Duration::from_millis(1));
            }
            latencies.sort_unstable();
            latencies
        });
        for task in blocked {
            task.await.unwrap();
        }
        let took = start.elapsed();
        done.store(true, SeqCst);
        let latencies = runtime::spawn_blocking(move || peer.join().unwrap())
            .await
            .unwrap();
        let (p99, worst) = (
            latencies[latencies.len() * 99 / 100],
            latencies[latencies.len() - 1],
        );
        println!(
            "100 tasks blocked for 1 s each in {took:.2?}; {} echoes meanwhile, p99 {p99:.2?}, max {worst:.2?}",
            latencies.len()
        );
        // One after the other on two workers they would take fifty seconds.
        assert!(took < Duration::from_secs(20), "{took:?}");
        assert!(latencies.len() > 10, "{}", latencies.len());
        Ok(())
    });
}
