//! An idle program does nothing: with tasks parked and connections open, no thread of it runs, the
//! monitor's included.
#![cfg(target_os = "linux")]

mod support;

use std::fs;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use net::{TcpListener, TcpStream};
use runtime::Builder;
use support::HANG;
use sync::{WaitGroup, channel};

/// Context switches of all threads of the process so far, of their own will or not.
fn switches() -> u64 {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let statuses =
        tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("status")).ok());
    statuses
        .map(|status| {
            let lines = status.lines().filter(|line| line.contains("ctxt_switches"));
            let numbers = lines.map(|line| line.rsplit('\t').next().unwrap());
            numbers.map(|n| n.parse::<u64>().unwrap()).sum::<u64>()
        })
        .sum()
}

/// Waits until a second brings no switch but those of this thread, which sleeps in between.
fn wait_for_calm(limit: Duration) {
    let start = Instant::now();
    loop {
        let before = switches();
        thread::sleep(Duration::from_secs(1));
        // Less: a thread has ended.
        if switches().checked_sub(before).is_some_and(|n| n <= 2) {
            return;
        }
        assert!(start.elapsed() < limit, "it never comes to rest");
    }
}

/// One test at a time: the switches and the descriptors are those of the process.
static ALONE: Mutex<()> = Mutex::new(());

/// Returns the switches in `time`, the one of the measuring thread's own sleep included.
fn idle(tasks: usize, connections: usize, time: Duration) -> u64 {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let rt = Builder::new().max_procs(2).build().unwrap();
    let (release, hold) = channel::<()>(0);
    let (measured, measurement) = channel(1);
    rt.block_on(async {
        let all = WaitGroup::new();
        for _ in 0..tasks {
            let hold = hold.clone();
            all.spawn(async move {
                hold.recv().await;
            });
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut clients = Vec::new();
        for _ in 0..connections {
            let client = TcpStream::connect(address).await.unwrap();
            let (server, _) = listener.accept().await.unwrap();
            all.spawn(async move {
                let _ = server.read(&mut [0; 16]).await;
            });
            client.write_all(b"").await.unwrap();
            clients.push(client);
        }
        let meter = thread::spawn(move || {
            wait_for_calm(HANG);
            let before = switches();
            thread::sleep(time);
            measured.try_send(switches() - before).unwrap();
        });
        let count = measurement.recv().await.unwrap();
        meter.join().unwrap();
        drop(release);
        drop(clients);
        all.wait().await;
        count
    })
}

#[test]
fn nothing_runs_where_all_wait() {
    let count = idle(20_000, 300, Duration::from_secs(3));
    println!("{count} context switches in 3 s");
    // What a look every 5 ms would be: six hundred.
    assert!(count <= 60, "{count} context switches in 3 s");
}

#[test]
#[ignore = "takes half a minute and 20,000 descriptors; `.ci/run storm` runs it"]
fn nothing_runs_where_a_million_tasks_and_ten_thousand_connections_wait() {
    // Both ends are here, and a process may have 20,000 descriptors.
    let count = idle(1_000_000, 9_900, Duration::from_secs(10));
    println!("{count} context switches in 10 s");
    assert!(count <= 10, "{count} context switches in 10 s");
}
