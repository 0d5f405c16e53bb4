//! Deadlines as Go has them.

mod support;

use std::io;
use std::time::Duration;

use net::{TcpListener, TcpStream, is_deadline};
use runtime::Runtime;
use runtime::time::{Instant, sleep};
use support::{pair, run, run_on, watched};

/// Long enough to never be reached here.
const FAR: Duration = Duration::from_secs(3600);
const SOON: Duration = Duration::from_millis(20);

fn past() -> Instant {
    Instant::now() - Duration::from_nanos(1)
}

#[test]
fn a_deadline_ends_a_pending_read_and_not_early() {
    for workers in [1, 4] {
        run_on(workers, async {
            let (client, _server) = pair().await?;
            let deadline = Instant::now() + SOON;
            client.set_read_deadline(deadline)?;
            let error = client.read(&mut [0; 8]).await.unwrap_err();
            assert!(Instant::now() >= deadline);
            assert!(is_deadline(&error), "{error}");
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            let text = "i/o timeout: the deadline has passed, and holds until another one is set";
            assert_eq!(error.to_string(), text);
            // Writes have no deadline.
            client.write_all(b"x").await
        });
    }
}

#[test]
fn a_deadline_ends_a_write_that_waits() {
    run(async {
        let (client, _server) = pair().await?;
        client.set_write_deadline(Instant::now() + SOON)?;
        let error = client.write_all(&vec![0; 64 << 20]).await.unwrap_err();
        assert!(is_deadline(&error), "{error}");
        Ok(())
    });
}

#[test]
fn a_past_deadline_ends_a_read_at_once() {
    run(async {
        let (client, _server) = pair().await?;
        let reader = client.clone();
        let reading = runtime::spawn(async move { reader.read(&mut [0; 8]).await });
        runtime::yield_now().await;
        client.set_deadline(past())?;
        assert!(is_deadline(&reading.await.unwrap().unwrap_err()));
        assert!(is_deadline(&client.readable().await.unwrap_err()));
        Ok(())
    });
}

#[test]
fn a_deadline_that_has_passed_beats_data_until_it_is_lifted() {
    run(async {
        let (client, server) = pair().await?;
        server.write_all(b"data").await?;
        client.readable().await?;
        client.set_deadline(past())?;
        for _ in 0..3 {
            assert!(is_deadline(&client.read(&mut [0; 4]).await.unwrap_err()));
            assert!(is_deadline(&client.try_read(&mut [0; 4]).unwrap_err()));
            assert!(is_deadline(&client.write(b"x").await.unwrap_err()));
        }
        client.set_deadline(None)?;
        client.read_exact(&mut [0; 4]).await?;
        client.set_deadline(past())?;
        client.set_deadline(Instant::now() + FAR)?;
        client.write_all(b"x").await
    });
}

#[test]
fn a_deadline_that_is_put_off_does_not_end_what_is_in_time() {
    run(async {
        // A try says nothing unless the deadline was put off in time; then the next one has more.
        for attempt in 1.. {
            let (client, server) = pair().await?;
            let deadline = Instant::now() + attempt * SOON;
            client.set_read_deadline(deadline)?;
            let reader = client.clone();
            let reading = runtime::spawn(async move { reader.read(&mut [0; 8]).await });
            runtime::yield_now().await;
            client.set_read_deadline(Instant::now() + FAR)?;
            if Instant::now() >= deadline {
                continue;
            }
            sleep(attempt * SOON * 3).await;
            server.write_all(b"late").await?;
            assert_eq!(reading.await.unwrap()?, 4);
            return Ok(());
        }
        unreachable!()
    });
}

#[test]
fn a_deadline_that_is_put_off_a_little_still_comes() {
    run(async {
        let (client, _server) = pair().await?;
        let mut deadline = Instant::now();
        for _ in 0..20 {
            deadline = Instant::now() + SOON;
            client.set_read_deadline(deadline)?;
            sleep(Duration::from_millis(1)).await;
        }
        assert!(is_deadline(&client.read(&mut [0; 8]).await.unwrap_err()));
        assert!(Instant::now() >= deadline);
        Ok(())
    });
}

#[test]
fn an_earlier_deadline_replaces_a_later_one() {
    run(async {
        let (client, _server) = pair().await?;
        client.set_read_deadline(Instant::now() + FAR)?;
        client.set_read_deadline(Instant::now() + SOON)?;
        assert!(is_deadline(&client.read(&mut [0; 8]).await.unwrap_err()));
        Ok(())
    });
}

#[test]
fn a_lifted_deadline_never_comes() {
    run(async {
        let (client, server) = pair().await?;
        client.set_deadline(Instant::now() + SOON)?;
        client.set_deadline(None)?;
        sleep(SOON * 2).await;
        server.write_all(b"x").await?;
        client.read_exact(&mut [0]).await
    });
}

#[test]
fn deadlines_of_all_lengths_end_reads() {
    for workers in [1, 4] {
        run_on(workers, async {
            for nanos in [1, 10, 1_000, 100_000, 1_000_000, 10_000_000, 50_000_000] {
                let (client, _server) = pair().await?;
                client.set_deadline(Instant::now() + Duration::from_nanos(nanos))?;
                assert!(is_deadline(&client.read(&mut [0; 8]).await.unwrap_err()));
            }
            Ok(())
        });
    }
}

#[test]
fn deadlines_may_be_set_by_many_at_once() {
    run(async {
        let (client, _server) = pair().await?;
        let setters: Vec<_> = (1..=8u32)
            .map(|setter| {
                let client = client.clone();
                runtime::spawn(async move {
                    for round in 0..500 {
                        let delay = FAR / (setter * 7 + round % 5);
                        client.set_deadline(Instant::now() + delay)?;
                        client.set_read_deadline((round % 3 == 0).then(past))?;
                    }
                    io::Result::Ok(())
                })
            })
            .collect();
        for setter in setters {
            setter.await.unwrap()?;
        }
        // Whoever was last: this one is now.
        client.set_deadline(Instant::now() + SOON)?;
        assert!(is_deadline(&client.read(&mut [0; 8]).await.unwrap_err()));
        Ok(())
    });
}

#[test]
fn a_deadline_of_a_closed_connection_does_not_reach_the_next() {
    run(async {
        for _ in 0..50 {
            let (client, _server) = pair().await?;
            client.set_deadline(Instant::now() + Duration::from_millis(1))?;
            drop(client);
            let (client, server) = pair().await?;
            sleep(Duration::from_millis(2)).await;
            server.write_all(b"x").await?;
            client.read_exact(&mut [0]).await?;
        }
        Ok(())
    });
}

#[test]
fn accept_has_a_deadline_too() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        listener.set_deadline(Instant::now() + SOON)?;
        assert!(is_deadline(&listener.accept().await.unwrap_err()));
        let _waiting = TcpStream::connect(listener.local_addr()?).await?;
        assert!(is_deadline(&listener.accept().await.unwrap_err()));
        listener.set_deadline(None)?;
        listener.accept().await.map(drop)
    });
}

#[test]
fn a_deadline_that_another_runtime_sets_outlives_that_one() {
    watched(|| {
        let (one, two) = (Runtime::new().unwrap(), Runtime::new().unwrap());
        let (client, _server) = one.block_on(pair()).unwrap();
        let deadline = Instant::now() + Duration::from_millis(200);
        let sets = client.clone();
        let set = two.spawn(async move { sets.set_read_deadline(deadline) });
        two.block_on(set).unwrap().unwrap();
        drop(two);
        let error = one.block_on(client.read(&mut [0; 8])).unwrap_err();
        assert!(is_deadline(&error), "{error}");
        assert!(Instant::now() >= deadline);
        // Where there is no runtime at all it is the same.
        let deadline = Instant::now() + SOON;
        client.set_read_deadline(deadline).unwrap();
        let error = one.block_on(client.read(&mut [0; 8])).unwrap_err();
        assert!(is_deadline(&error) && Instant::now() >= deadline, "{error}");
    });
}
