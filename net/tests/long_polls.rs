//! A worker that goes to sleep just when somebody else looks at the reactor for it must not leave the reactor to nobody.

mod support;

use std::hint::black_box;
use std::io::{Read, Write};
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
