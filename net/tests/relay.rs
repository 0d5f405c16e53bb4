//! Copies between sockets, which change between buffers and splicing: every byte, in its order,
//! whatever becomes of the ends.

mod support;

use std::fs::File;
use std::io::{self, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::time::Duration;

use net::{Stream, StreamKind, Tcp, TcpStream, UnixStream, copy, copy_bidirectional, is_deadline};
use runtime::JoinHandle;
use runtime::time::Instant;
use support::{
    Random, descriptors, in_child, limit_descriptors, pair, run, run_on_one_alone, waits,
};

/// Sends so many bytes in pieces of any size, with pauses, and ends.
async fn feed<K: StreamKind>(to: Stream<K>, mut random: Random, total: usize) -> io::Result<()> {
    let mut bytes = random.fork();
    let mut buf = vec![0; 300_000];
    let mut left = total;
    while left > 0 {
        // Small pieces and large ones in long runs, so that a copy changes its way.
        let most = if random.below(10) < 7 {
            buf.len()
        } else {
            1000
        };
        for _ in 0..random.below(20) {
            let n = left.min(1 + random.below(most));
            // In whole words, so that the reader can make the same bytes.
            let n = if n == left {
                n
            } else {
                n.next_multiple_of(8).min(left)
            };
            let n = if n == left { n } else { n / 8 * 8 };
            bytes.fill(&mut buf[..n]);
            to.write_all(&buf[..n]).await?;
            left -= n;
            if left == 0 {
                break;
            }
            if random.below(4) == 0 {
                runtime::yield_now().await;
            }
        }
    }
    to.shutdown(Shutdown::Write)
}

/// Reads to the end, and looks at each byte.
async fn check<K: StreamKind>(
    from: Stream<K>,
    mut random: Random,
    total: usize,
    mut pace: Random,
) -> io::Result<()> {
    let mut expected = vec![0; total];
    random.fork().fill(&mut expected);
    let mut at = 0;
    let mut buf = vec![0; 200_000];
    loop {
        let most = 1 + pace.below(buf.len());
        let n = from.read(&mut buf[..most]).await?;
        if n == 0 {
            assert_eq!(at, total);
            return Ok(());
        }
        assert!(buf[..n] == expected[at..at + n], "other bytes after {at}");
        at += n;
        if pace.below(8) == 0 {
            runtime::yield_now().await;
        }
    }
}

fn shrink<K: StreamKind>(stream: &Stream<K>, random: &mut Random) -> io::Result<()> {
    if random.below(2) == 0 {
        return Ok(());
    }
    stream.control(|descriptor| {
        // Not the receiver's: TCP crawls when that holds less than a segment, which is 64 KiB here.
        socket2::SockRef::from(&descriptor).set_send_buffer_size(4096 << random.below(6))
    })
}

/// A client and a server with a proxy between them; each sends something to the other.
async fn converse<A: StreamKind, B: StreamKind>(
    mut random: Random,
    (client, mut near): (Stream<A>, Stream<A>),
    (mut far, server): (Stream<B>, Stream<B>),
) -> io::Result<()> {
    shrink(&client, &mut random)?;
    shrink(&near, &mut random)?;
    shrink(&far, &mut random)?;
    shrink(&server, &mut random)?;
    let totals = [0; 2].map(|_| match random.below(4) {
        0 => random.below(1000),
        _ => random.below(4_000_000),
    });
    let there = random.next();
    let back = random.next();
    let seeds = |seed| [0; 2].map(|_| Random::from_seed(seed));
    let ([feed_there, check_there], [feed_back, check_back]) = (seeds(there), seeds(back));
    let proxy = runtime::spawn(async move { copy_bidirectional(&mut near, &mut far).await });
    let tasks = [
        runtime::spawn(feed(client.clone(), feed_there, totals[0])),
        runtime::spawn(check(server.clone(), check_there, totals[0], random.fork())),
        runtime::spawn(feed(server, feed_back, totals[1])),
        runtime::spawn(check(client, check_back, totals[1], random.fork())),
    ];
    for task in tasks {
        task.await.unwrap()?;
    }
    assert_eq!(proxy.await.unwrap()?, totals.map(|n| n as u64).into());
    Ok(())
}

#[test]
fn every_byte_passes_in_its_order_between_all_kinds_of_sockets() {
    let mut random = Random::new();
    run(async move {
        for _ in 0..6 {
            converse(random.fork(), pair().await?, pair().await?).await?;
            converse(random.fork(), pair().await?, UnixStream::pair()?).await?;
            converse(random.fork(), UnixStream::pair()?, pair().await?).await?;
            converse(random.fork(), UnixStream::pair()?, UnixStream::pair()?).await?;
        }
        Ok(())
    });
}

/// Makes the system refuse to splice into the socket, or to send files to it.
fn refuse_splicing(stream: &TcpStream) -> io::Result<()> {
    stream.control(|descriptor| {
        let flags = libc::O_NONBLOCK | libc::O_APPEND;
        // SAFETY: a plain system call on a descriptor that is open.
        match unsafe { libc::fcntl(descriptor.as_raw_fd(), libc::F_SETFL, flags) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    })
}

#[test]
fn bytes_that_are_in_a_pipe_which_the_receiver_refuses_are_not_lost() {
    let mut random = Random::new();
    run(async move {
        let (client, near) = pair().await?;
        let (far, server) = pair().await?;
        refuse_splicing(&far)?;
        let seed = random.next();
        let copying = runtime::spawn(async move {
            let copied = copy(&mut &near, &mut &far).await;
            far.shutdown(Shutdown::Write)?;
            copied
        });
        let total = 8_000_000;
        let feeding = runtime::spawn(feed(client, Random::from_seed(seed), total));
        check(server, Random::from_seed(seed), total, random.fork()).await?;
        feeding.await.unwrap()?;
        assert_eq!(copying.await.unwrap()?, total as u64);
        Ok(())
    });
}

#[test]
fn without_a_descriptor_for_a_pipe_the_buffer_does() {
    if !in_child("without_a_descriptor_for_a_pipe_the_buffer_does") {
        return;
    }
    run(async {
        let (client, near) = pair().await?;
        let (far, server) = pair().await?;
        // The lowest free number is beyond the limit: nothing can be opened any more.
        limit_descriptors(3);
        assert!(File::open("/dev/null").is_err());
        let copying = runtime::spawn(async move {
            let copied = copy(&mut &near, &mut &far).await;
            far.shutdown(Shutdown::Write)?;
            copied
        });
        let seed = Random::new().next();
        let feeding = runtime::spawn(feed(client, Random::from_seed(seed), 3_000_000));
        check(server, Random::from_seed(seed), 3_000_000, Random::new()).await?;
        feeding.await.unwrap()?;
        assert_eq!(copying.await.unwrap()?, 3_000_000);
        Ok(())
    });
}

/// Both ends of a relay that splices, for so much has passed through it, and the relay.
async fn splicing() -> io::Result<(TcpStream, JoinHandle<io::Result<(u64, u64)>>, TcpStream)> {
    let (client, mut near) = pair().await?;
    let (mut far, server) = pair().await?;
    let copying = runtime::spawn(async move { copy_bidirectional(&mut near, &mut far).await });
    until_spliced(&client, &server).await?;
    Ok((client, copying, server))
}

/// Until much has passed, so that the copy splices.
async fn until_spliced(from: &TcpStream, to: &TcpStream) -> io::Result<()> {
    let sender = from.clone();
    let sending = runtime::spawn(async move { sender.write_all(&[7; 2_000_000]).await });
    let mut buf = vec![0; 100_000];
    let mut received = 0;
    while received < 2_000_000 {
        received += to.read(&mut buf).await?;
    }
    sending.await.unwrap()
}

#[test]
fn a_reset_in_mid_splice_ends_the_copy_and_leaves_nothing_behind() {
    if !in_child("a_reset_in_mid_splice_ends_the_copy_and_leaves_nothing_behind") {
        return;
    }
    run(async {
        let before = descriptors();
        for _ in 0..50 {
            let (client, copying, server) = splicing().await?;
            let sender = client.clone();
            let sending = runtime::spawn(async move { sender.write_all(&vec![0; 64 << 20]).await });
            // Bytes are everywhere now: in both sockets, and in the pipe.
            server.read_exact(&mut vec![0; 300_000]).await?;
            server.set_linger(Some(Duration::ZERO))?;
            drop(server);
            let error = copying.await.unwrap().unwrap_err();
            let kind = error.kind();
            let expected = [io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe];
            assert!(expected.contains(&kind), "{error}");
            assert!(sending.await.unwrap().is_err());
        }
        assert_eq!(descriptors(), before);
        Ok(())
    });
}

#[test]
fn an_abort_in_mid_splice_leaves_nothing_behind() {
    if !in_child("an_abort_in_mid_splice_leaves_nothing_behind") {
        return;
    }
    run(async {
        let before = descriptors();
        for _ in 0..50 {
            let (client, copying, server) = splicing().await?;
            // Nobody reads: the pipe fills, and stays full.
            while client.try_write(&[0; 65_536]).is_ok() {
                runtime::yield_now().await;
            }
            copying.abort();
            assert!(copying.await.is_err());
            drop((client, server));
        }
        assert_eq!(descriptors(), before);
        Ok(())
    });
}

#[test]
fn a_peer_that_never_reads_stops_its_sender() {
    run(async {
        let (client, _copying, server) = splicing().await?;
        let mut sent = 0;
        loop {
            match client.try_write(&[0; 65_536]) {
                Ok(n) => sent += n,
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                    let room = Box::pin(client.writable());
                    if runtime::time::timeout(Duration::from_millis(300), room)
                        .await
                        .is_err()
                    {
                        break;
                    }
                }
            }
            assert!(sent < 256 << 20, "the kernel bounds what it holds");
        }
        // And goes on when it reads again.
        let mut buf = vec![0; 1 << 20];
        while sent > 0 {
            sent -= server.read(&mut buf).await?;
        }
        Ok(())
    });
}

#[test]
fn copies_that_wait_hold_no_pipes() {
    if !in_child("copies_that_wait_hold_no_pipes") {
        return;
    }
    run(async {
        let before = descriptors();
        let mut ends = Vec::new();
        let mut copies = Vec::new();
        for _ in 0..50 {
            let (client, mut near) = pair().await?;
            let (mut far, server) = pair().await?;
            copies.push(runtime::spawn(async move {
                copy_bidirectional(&mut near, &mut far).await
            }));
            until_spliced(&client, &server).await?;
            ends.push((client, server));
        }
        // The last ones may be about to give theirs back.
        while descriptors() - before - 4 * ends.len() > 2 * 16 {
            runtime::yield_now().await;
        }
        drop(ends);
        for copy in copies {
            copy.await.unwrap()?;
        }
        assert_eq!(descriptors(), before);
        Ok(())
    });
}

#[test]
fn a_copy_that_always_finds_bytes_lets_others_run() {
    run_on_one_alone(async {
        let (client, near) = pair().await?;
        let (far, server) = pair().await?;
        runtime::spawn(async move { client.write_all(&vec![1; 256 << 20]).await });
        let copying = runtime::spawn(async move { copy(&mut &near, &mut &far).await });
        let draining =
            runtime::spawn(async move { copy(&mut &server, &mut futures_util::io::sink()).await });
        for _ in 0..1000 {
            runtime::spawn(async {}).await.unwrap();
        }
        copying.abort();
        draining.await.unwrap()?;
        Ok(())
    });
}

/// A file of random bytes, removed with the value.
struct Temporary(PathBuf, File);

impl Temporary {
    fn new(name: &str, bytes: &[u8]) -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("net-{name}-{}", std::process::id()));
        File::create(&path)?.write_all(bytes)?;
        let file = File::open(&path)?;
        Ok(Self(path, file))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

async fn read_all(from: Stream<Tcp>) -> io::Result<Vec<u8>> {
    let mut all = futures_util::io::Cursor::new(Vec::new());
    copy(&mut &from, &mut all).await?;
    Ok(all.into_inner())
}

#[test]
fn a_file_is_sent_in_whole_and_in_parts_by_either_way() {
    let mut random = Random::new();
    run(async move {
        let mut bytes = vec![0; 1_500_000];
        random.fill(&mut bytes);
        let file = Temporary::new("send-file", &bytes)?;
        for plain in [false, true] {
            let (from, to) = pair().await?;
            if plain {
                refuse_splicing(&from)?;
            }
            let received = runtime::spawn(read_all(to));
            let mut expected = bytes.clone();
            assert_eq!(from.send_file(&file.1, ..).await?, 1_500_000);
            for _ in 0..20 {
                let (a, b) = (random.below(1_600_000), random.below(1_600_000));
                let (start, end) = (a.min(b), a.max(b));
                let sent = from.send_file(&file.1, start as u64..end as u64).await?;
                let (start, end) = (start.min(bytes.len()), end.min(bytes.len()));
                assert_eq!(sent, (end - start) as u64);
                expected.extend_from_slice(&bytes[start..end]);
            }
            assert_eq!(from.send_file(&file.1, 5..5).await?, 0);
            assert_eq!(from.send_file(&file.1, 7..=7).await?, 1);
            assert_eq!(from.send_file(&file.1, 2_000_000..).await?, 0);
            expected.push(bytes[7]);
            drop(from);
            assert!(received.await.unwrap()? == expected);
        }
        Ok(())
    });
}

#[test]
fn files_that_cannot_be_sent_say_why() {
    run(async {
        let (from, to) = pair().await?;
        let file = Temporary::new("write-only", b"secret")?;
        let write_only = std::fs::OpenOptions::new().write(true).open(&file.0)?;
        let error = from.send_file(&write_only, ..).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EBADF));
        #[allow(clippy::reversed_empty_ranges, reason = "that is the mistake")]
        let error = from.send_file(&file.1, 5..3).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        // Files that are made while they are read.
        let status = File::open("/proc/self/status")?;
        assert!(from.send_file(&status, ..).await? > 100);
        drop(from);
        let text = read_all(to).await?;
        assert!(text.starts_with(b"Name:"));
        Ok(())
    });
}

#[test]
fn a_deadline_ends_sending_a_file_to_a_peer_that_does_not_read() {
    run(async {
        let file = Temporary::new("deadline", &vec![1; 64 << 20])?;
        let (from, _to) = pair().await?;
        from.set_write_deadline(Instant::now() + Duration::from_millis(50))?;
        let error = from.send_file(&file.1, ..).await.unwrap_err();
        assert!(is_deadline(&error), "{error}");
        Ok(())
    });
}

#[test]
fn a_copy_says_where_it_waits_and_can_be_sent_to_other_threads() {
    run(async {
        let (_client, mut near) = pair().await?;
        let (mut far, _server) = pair().await?;
        let mut copying = Box::pin(copy_bidirectional(&mut near, &mut far));
        assert!(waits(&mut copying));
        let line = line!() + 2;
        let (_a, b) = pair().await?;
        let task = runtime::spawn(async move { copy(&mut &b, &mut &b).await });
        let place = format!("net/tests/relay.rs:{line}");
        let handle = runtime::Handle::current();
        while !handle.dump().to_string().contains(&place) {
            runtime::yield_now().await;
        }
        task.abort();
        Ok(())
    });
}
