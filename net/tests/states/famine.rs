//! Descriptors run out and come back at random, under servers and clients: who dials is told what
//! it is, who accepts is never told, whoever got a connection gets his bytes back, and in the end
//! everything is there again.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use net::{OpError, TcpListener, TcpStream, UdpSocket, UnixStream, os_error};
use runtime::time::{Instant, sleep, timeout};

use super::support::{Random, alone, descriptors, echo, in_child, limit_descriptors, run};

const CLIENTS: usize = 16;

/// For all of it.
const TIME: Duration = Duration::from_secs(4);

/// For one echo, when all is well: only a hang lasts as long.
const HANG: Duration = Duration::from_secs(120);

/// Whether that is what this test is about; anything else would be a failure.
fn is_hunger(error: &io::Error) -> bool {
    matches!(os_error(error), Some(libc::EMFILE | libc::ENFILE))
}

#[derive(Default)]
struct Books {
    echoed: AtomicUsize,
    refused: AtomicUsize,
    over: AtomicBool,
}

/// Dials, says something, hears it, and goes; or is told that there is no descriptor.
async fn client(address: std::net::SocketAddr, mut random: Random, books: Arc<Books>) {
    while !books.over.load(SeqCst) {
        let stream = match TcpStream::connect(address).await {
            Ok(stream) => stream,
            Err(error) => {
                assert!(is_hunger(&error), "{error:?}");
                let context = error.get_ref().and_then(|it| it.downcast_ref::<OpError>());
                assert_eq!(context.unwrap().operation(), "connect");
                books.refused.fetch_add(1, SeqCst);
                sleep(Duration::from_micros(random.below(500) as u64)).await;
                continue;
            }
        };
        let mut word = vec![0; 1 + random.below(3000)];
        random.fill(&mut word);
        stream.write_all(&word).await.unwrap();
        let mut back = vec![0; word.len()];
        // The server accepts when there are descriptors again.
        timeout(HANG, stream.read_exact(&mut back))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(back, word);
        books.echoed.fetch_add(1, SeqCst);
    }
}

/// Sockets of other kinds, which come and go.
async fn others(mut random: Random, books: Arc<Books>) {
    while !books.over.load(SeqCst) {
        let made = match random.below(3) {
            0 => UnixStream::pair().map(drop),
            1 => UdpSocket::bind("127.0.0.1:0").await.map(drop),
            _ => TcpListener::bind("127.0.0.1:0").await.map(drop),
        };
        if let Err(error) = made {
            assert!(is_hunger(&error), "{error:?}");
        }
        sleep(Duration::from_micros(random.below(2000) as u64)).await;
    }
}

#[test]
fn descriptors_run_out_and_come_back_and_nobody_is_forgotten() {
    let _alone = alone();
    if !in_child("famine::descriptors_run_out_and_come_back_and_nobody_is_forgotten") {
        return;
    }
    run(async {
        let mut random = Random::new();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let server = listener.clone();
        let server = runtime::spawn(async move {
            loop {
                match server.accept().await {
                    Ok((stream, _)) => drop(runtime::spawn(echo(stream))),
                    Err(error) => return error,
                }
            }
        });
        // The dialling, the runtime's own, and what waits in the backlog.
        TcpStream::connect(address).await?;
        let before = loop {
            // Until both ends of that are gone.
            sleep(Duration::from_millis(1)).await;
            let now = descriptors();
            sleep(Duration::from_millis(20)).await;
            if descriptors() == now {
                break now;
            }
        };
        let books = Arc::new(Books::default());
        let mut tasks: Vec<_> = (0..CLIENTS)
            .map(|_| runtime::spawn(client(address, random.fork(), Arc::clone(&books))))
            .collect();
        tasks.push(runtime::spawn(others(random.fork(), Arc::clone(&books))));
        let end = Instant::now() + TIME;
        while Instant::now() < end {
            // Between less than there are and more than are wanted.
            limit_descriptors(before - 2 + random.below(CLIENTS * 3));
            sleep(Duration::from_micros(random.below(30_000) as u64)).await;
        }
        limit_descriptors(1000);
        books.over.store(true, SeqCst);
        for task in tasks {
            task.await.unwrap();
        }
        let (echoed, refused) = (&books.echoed, &books.refused);
        println!("{echoed:?} echoed, {refused:?} refused");
        assert!(echoed.load(SeqCst) > 0 && refused.load(SeqCst) > 0);
        assert!(!server.is_finished(), "accepting has failed");
        listener.close()?;
        assert!(net::is_closed(&server.await.unwrap()));
        drop(listener);
        // The echoes end when they hear that their clients have gone.
        while runtime::num_tasks() > 1 {
            sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(descriptors(), before - 1);
        Ok(())
    });
}
