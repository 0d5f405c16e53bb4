//! An echo server beside tasks that block their threads, as a call of a library does that never
//! heard of tasks.
//!
//! The server may never answer, so that a plain thread is the client, with a limit to each wait.
#![forbid(unsafe_code)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::meter::{Meter, Sample};
use crate::socket::Net;
use crate::sys;

const TASKS: usize = 100;
const PAUSE: Duration = Duration::from_millis(1);

/// A hundred tasks block for a third of `time`; a client asks for an echo every millisecond for all
/// of it.
pub(crate) fn sleepers<N: Net>(workers: usize, time: Duration) -> Sample {
    let ended = Arc::new(AtomicUsize::new(0));
    let (ready, port) = mpsc::channel();
    let (start, started) = mpsc::channel();
    let count = ended.clone();
    std::thread::spawn(move || {
        N::run(workers, async move {
            let listener = sys::listen(0, false).expect("a port");
            let port = listener.local_addr().expect("an address").port();
            let listener = N::listener(listener).expect("a listener");
            ready.send(port).expect("the client waits");
            let mut stream = N::accept(&listener).await.expect("the client");
            for _ in 0..TASKS {
                let count = count.clone();
                N::detach(async move {
                    std::thread::sleep(time / 3);
                    count.fetch_add(1, SeqCst);
                });
            }
            start.send(()).expect("the client waits");
            let mut buffer = [0; 64];
            while let Ok(n @ 1..) = N::read(&mut stream, &mut buffer).await {
                N::write_all(&mut stream, &buffer[..n])
                    .await
                    .expect("the client");
            }
        });
    });
    let port = port.recv().expect("the server listens");
    let mut client = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    client.set_nodelay(true).expect("an option");
    started.recv().expect("the server accepts");
    let meter = Meter::start();
    let mut waits = Vec::new();
    let mut all = None;
    while meter.elapsed() < time {
        let left = time.saturating_sub(meter.elapsed()).max(PAUSE);
        client.set_read_timeout(Some(left)).expect("an option");
        let asked = Instant::now();
        client.write_all(&[1; 32]).expect("room");
        let answered = client.read_exact(&mut [0; 32]).is_ok();
        waits.push(asked.elapsed());
        if ended.load(SeqCst) == TASKS {
            all.get_or_insert(meter.elapsed());
        }
        if !answered {
            break;
        }
        std::thread::sleep(PAUSE);
    }
    waits.sort_unstable();
    let ms = |quantile: f64| {
        let index = ((waits.len() - 1) as f64 * quantile).ceil() as usize;
        waits[index].as_secs_f64() * 1e3
    };
    let (p50, p99, max) = (ms(0.5), ms(0.99), ms(1.0));
    let ticks = waits.len() - 1;
    let sample = meter
        .stop(1)
        .with("ticks", ticks)
        .with("p50_ms", p50)
        .with("p99_ms", p99)
        .with("max_ms", max);
    match all {
        Some(all) => sample.with("all_ms", all.as_secs_f64() * 1e3),
        None => sample,
    }
}
