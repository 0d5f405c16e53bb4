//! System calls that fail now and then: interrupted, or for want of something for a moment.
//!
//! This program has functions of the C library's names, which the linker prefers to the library's:
//! each fails when it is its turn, and makes the call otherwise. A filter in the kernel
//! (`faults.rs`) can only make a call fail always.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod support;

use std::ffi::{c_int, c_void};
use std::io;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use libc::{epoll_event, iovec, mmsghdr, msghdr, off64_t, size_t, sockaddr, socklen_t, ssize_t};
use net::{
    Batch, Stream, StreamKind, TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener,
    UnixStream,
};
use support::{Random, alone, echo, pair, run};

/// When a call fails, and with what.
struct Turn {
    /// 0: never.
    every: AtomicU32,
    error: AtomicI32,
    calls: AtomicU32,
    /// In all of the tests that have been.
    failed: AtomicU32,
}

impl Turn {
    const fn never() -> Self {
        Self {
            every: AtomicU32::new(0),
            error: AtomicI32::new(0),
            calls: AtomicU32::new(0),
            failed: AtomicU32::new(0),
        }
    }

    fn set(&self, every: u32, error: i32) {
        self.error.store(error, Ordering::SeqCst);
        self.calls.store(0, Ordering::SeqCst);
        self.every.store(every, Ordering::SeqCst);
    }

    fn is_over(&self) -> bool {
        let every = self.every.load(Ordering::SeqCst);
        if every == 0 || self.calls.fetch_add(1, Ordering::SeqCst) % every != every - 1 {
            return false;
        }
        self.failed.fetch_add(1, Ordering::SeqCst);
        // SAFETY: it is this thread's.
        unsafe { *libc::__errno_location() = self.error.load(Ordering::SeqCst) };
        true
    }
}

macro_rules! interpose {
    ($($turn:ident $call:ident = $number:ident($($arg:ident: $type:ty),*) $(+ $more:expr)* => $result:ty;)*) => {$(
        static $turn: Turn = Turn::never();

        /// # Safety
        ///
        /// As for the C library's.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $call($($arg: $type),*) -> $result {
            if $turn.is_over() {
                return -1;
            }
            // SAFETY: the same call, with the same arguments.
            unsafe { libc::syscall(libc::$number, $($arg,)* $($more),*) as $result }
        }
    )*};
}

const NOTHING: usize = 0;

interpose! {
    ACCEPT accept4 = SYS_accept4(fd: c_int, address: *mut sockaddr, length: *mut socklen_t, flags: c_int) => c_int;
    RECV recv = SYS_recvfrom(fd: c_int, buf: *mut c_void, n: size_t, flags: c_int) + NOTHING + NOTHING => ssize_t;
    RECV_FROM recvfrom = SYS_recvfrom(fd: c_int, buf: *mut c_void, n: size_t, flags: c_int, address: *mut sockaddr, length: *mut socklen_t) => ssize_t;
    RECV_MSG recvmsg = SYS_recvmsg(fd: c_int, message: *mut msghdr, flags: c_int) => ssize_t;
    RECV_MANY recvmmsg = SYS_recvmmsg(fd: c_int, messages: *mut mmsghdr, n: libc::c_uint, flags: c_int, timeout: *mut libc::timespec) => c_int;
    READ_VECTORED readv = SYS_readv(fd: c_int, bufs: *const iovec, n: c_int) => ssize_t;
    SEND send = SYS_sendto(fd: c_int, buf: *const c_void, n: size_t, flags: c_int) + NOTHING + NOTHING => ssize_t;
    SEND_TO sendto = SYS_sendto(fd: c_int, buf: *const c_void, n: size_t, flags: c_int, address: *const sockaddr, length: socklen_t) => ssize_t;
    SEND_MSG sendmsg = SYS_sendmsg(fd: c_int, message: *const msghdr, flags: c_int) => ssize_t;
    SEND_MANY sendmmsg = SYS_sendmmsg(fd: c_int, messages: *mut mmsghdr, n: libc::c_uint, flags: c_int) => c_int;
    SPLICE splice = SYS_splice(from: c_int, from_at: *mut off64_t, to: c_int, to_at: *mut off64_t, n: size_t, flags: libc::c_uint) => ssize_t;
    SEND_FILE sendfile64 = SYS_sendfile(to: c_int, from: c_int, at: *mut off64_t, n: size_t) => ssize_t;
    EPOLL_WAIT epoll_wait = SYS_epoll_wait(epoll: c_int, events: *mut epoll_event, n: c_int, timeout: c_int) => c_int;
    EPOLL_CTL epoll_ctl = SYS_epoll_ctl(epoll: c_int, operation: c_int, fd: c_int, event: *mut epoll_event) => c_int;
}

static CONNECT: Turn = Turn::never();

/// # Safety
///
/// As for the C library's.
#[unsafe(no_mangle)]
unsafe extern "C" fn connect(fd: c_int, address: *const sockaddr, length: socklen_t) -> c_int {
    let make = || {
        // SAFETY: the same call, with the same arguments.
        unsafe { libc::syscall(libc::SYS_connect, fd, address, length) as c_int }
    };
    if !CONNECT.is_over() {
        return make();
    }
    // SAFETY: the caller's address is there to be read.
    if c_int::from(unsafe { (*address).sa_family }) != libc::AF_UNIX {
        // Interrupted, TCP goes on connecting.
        make();
        // SAFETY: it is this thread's.
        unsafe { *libc::__errno_location() = CONNECT.error.load(Ordering::SeqCst) };
    }
    -1
}

static ALL: [&Turn; 15] = [
    &ACCEPT,
    &CONNECT,
    &RECV,
    &RECV_FROM,
    &RECV_MSG,
    &RECV_MANY,
    &READ_VECTORED,
    &SEND,
    &SEND_TO,
    &SEND_MSG,
    &SEND_MANY,
    &SPLICE,
    &SEND_FILE,
    &EPOLL_WAIT,
    &EPOLL_CTL,
];

/// For as long as it lives these calls fail, each so many-th time.
struct Failing<const N: usize>([&'static Turn; N]);

impl<const N: usize> Failing<N> {
    fn now(calls: [&'static Turn; N], every: u32, error: i32) -> Self {
        calls.iter().for_each(|call| call.set(every, error));
        Self(calls)
    }
}

impl<const N: usize> Drop for Failing<N> {
    fn drop(&mut self) {
        self.0
            .iter()
            .for_each(|call| call.every.store(0, Ordering::SeqCst));
    }
}

fn bytes(random: &mut Random, n: usize) -> Vec<u8> {
    let mut bytes = vec![0; n];
    random.fill(&mut bytes);
    bytes
}

/// What a signal may interrupt, if not on each system and each kind of socket: all but the last.
fn interruptible() -> [&'static Turn; ALL.len() - 1] {
    *ALL.first_chunk().expect("it is one shorter")
}

#[test]
fn interrupted_calls_are_made_again_and_no_byte_is_lost() {
    let _alone = alone();
    for every in [2, 3, 7] {
        run(async move {
            let _failing = Failing::now(interruptible(), every, libc::EINTR);
            let mut random = Random::new();
            streams(&mut random).await?;
            files_and_relays(&mut random).await?;
            datagrams(&mut random).await
        });
    }
    for call in [
        &RECV,
        &SEND,
        &ACCEPT,
        &SEND_TO,
        &RECV_FROM,
        &SEND_FILE,
        &CONNECT,
        &EPOLL_WAIT,
    ] {
        assert_ne!(call.failed.load(Ordering::SeqCst), 0);
    }
}

async fn streams(random: &mut Random) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = runtime::spawn(support::serve(listener.clone()));
    let path = format!("@weftline-interposed-{}", std::process::id());
    let unix = UnixListener::bind(&path)?;
    let unix_server = unix.clone();
    runtime::spawn(async move {
        while let Ok((stream, _)) = unix_server.accept().await {
            runtime::spawn(async move {
                let mut buf = [0; 4096];
                loop {
                    match stream.read(&mut buf).await? {
                        0 => return io::Result::Ok(()),
                        n => stream.write_all(&buf[..n]).await?,
                    }
                }
            });
        }
    });
    for _ in 0..8 {
        let sent = bytes(random, 300_000);
        echo_in_pieces(TcpStream::connect(address).await?, &sent).await?;
        echo_in_pieces(UnixStream::connect(&path).await?, &sent).await?;
    }
    unix.close()?;
    listener.close()?;
    server.await.unwrap();
    Ok(())
}

/// There and back, the beginning of it by several buffers at once.
async fn echo_in_pieces<K: StreamKind>(stream: Stream<K>, sent: &[u8]) -> io::Result<()> {
    let (sender, data) = (stream.clone(), sent.to_vec());
    let sending = runtime::spawn(async move {
        let (first, second) = data.split_at(1000);
        let bufs = [io::IoSlice::new(first), io::IoSlice::new(second)];
        let n = sender.write_vectored(&bufs).await?;
        sender.write_all(&data[n..]).await
    });
    let mut back = vec![0; sent.len()];
    let (first, second) = back.split_at_mut(1000);
    let mut bufs = [io::IoSliceMut::new(first), io::IoSliceMut::new(second)];
    let n = stream.read_vectored(&mut bufs).await?;
    stream.read_exact(&mut back[n..]).await?;
    sending.await.unwrap()?;
    assert!(back == sent);
    Ok(())
}

async fn files_and_relays(random: &mut Random) -> io::Result<()> {
    // A file into one connection, from whose other end it is relayed into the next, and echoed.
    let sent = bytes(random, 1 << 20);
    let path = std::env::temp_dir().join(format!("net-interposed-{}", std::process::id()));
    std::fs::write(&path, &sent)?;
    let (a, b) = pair().await?;
    let (c, d) = pair().await?;
    let relay = runtime::spawn(async move { net::copy_bidirectional(&mut &b, &mut &c).await });
    let echo = runtime::spawn(echo(d));
    let (sender, file) = (a.clone(), std::fs::File::open(&path)?);
    let sending = runtime::spawn(async move {
        let n = sender.send_file(&file, ..).await?;
        sender.shutdown(std::net::Shutdown::Write)?;
        io::Result::Ok(n)
    });
    let mut back = vec![0; sent.len()];
    a.read_exact(&mut back).await?;
    assert_eq!(a.read(&mut [0]).await?, 0);
    assert!(back == sent);
    assert_eq!(sending.await.unwrap()?, sent.len() as u64);
    assert_eq!(
        relay.await.unwrap()?,
        (sent.len() as u64, sent.len() as u64)
    );
    echo.await.unwrap()?;
    std::fs::remove_file(path)
}

async fn datagrams(random: &mut Random) -> io::Result<()> {
    let (a, b) = (
        UdpSocket::bind("127.0.0.1:0").await?,
        UdpSocket::bind("127.0.0.1:0").await?,
    );
    let (c, d) = UnixDatagram::pair()?;
    let mut buf = [0; 2048];
    for _ in 0..50 {
        let n = 1 + random.below(1000);
        let sent = bytes(random, n);
        assert_eq!(a.send_to(&sent, b.local_addr()?).await?, n);
        assert_eq!(b.peek_from(&mut buf).await?.0, n);
        let (n, from) = b.recv_from(&mut buf).await?;
        assert!(buf[..n] == sent && from == a.local_addr()?);
        c.send(&sent).await?;
        let n = d.recv(&mut buf).await?;
        assert!(buf[..n] == sent);
    }
    a.connect(b.local_addr()?).await?;
    let mut out = Batch::new(16, 100);
    for i in 0..16 {
        out.push(&[i; 100], None);
    }
    a.send_batch(&out).await?;
    let (mut received, mut batch) = (0, Batch::new(5, 100));
    while received < 16 {
        b.recv_batch(&mut batch).await?;
        for (datagram, _) in batch.iter() {
            assert_eq!(datagram, [received; 100]);
            received += 1;
        }
    }
    Ok(())
}

#[test]
fn an_accept_that_fails_now_and_then_accepts_everybody() {
    let _alone = alone();
    let shortages = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];
    let others = [
        libc::ECONNABORTED,
        libc::EPROTO,
        libc::ENETDOWN,
        libc::EHOSTUNREACH,
    ];
    for error in shortages.into_iter().chain(others) {
        run(async move {
            let _failing = Failing::now([&ACCEPT], 2, error);
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let path = format!("@weftline-accept-{}-{error}", std::process::id());
            let unix = UnixListener::bind(&path)?;
            for i in 0..6 {
                let client = TcpStream::connect(listener.local_addr()?).await?;
                let (server, peer) = listener.accept().await?;
                assert_eq!(peer, client.local_addr()?);
                server.write_all(&[i]).await?;
                client.read_exact(&mut [0]).await?;
                let client = UnixStream::connect(&path).await?;
                let (server, _) = unix.accept().await?;
                server.write_all(&[i]).await?;
                client.read_exact(&mut [0]).await?;
            }
            let paused = listener.shortages() + unix.shortages();
            assert_eq!(paused > 0, shortages.contains(&error), "{error}");
            Ok(())
        });
    }
}

#[test]
fn a_poller_without_room_is_told_by_who_opens_and_waited_out_by_who_accepts() {
    let _alone = alone();
    for error in [libc::ENOSPC, libc::ENOMEM] {
        run(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let address = listener.local_addr()?;
            let told = |result: io::Result<()>| match result {
                Ok(()) => false,
                Err(failed) => {
                    assert_eq!(net::os_error(&failed), Some(error), "{failed}");
                    true
                }
            };
            let mut failures = 0;
            {
                let _failing = Failing::now([&EPOLL_CTL], 2, error);
                for _ in 0..4 {
                    failures += u32::from(told(UdpSocket::bind("127.0.0.1:0").await.map(drop)));
                    failures += u32::from(told(TcpListener::bind("127.0.0.1:0").await.map(drop)));
                    failures += u32::from(told(UnixStream::pair().map(drop)));
                    failures += u32::from(told(UnixDatagram::pair().map(drop)));
                    failures += u32::from(told(TcpStream::connect(address).await.map(drop)));
                }
                assert!(failures > 4);
            }
            // Those that came meanwhile, and were never closed by us, are there; then a client that
            // comes while every second one cannot be registered.
            let accepting = listener.clone();
            let server = runtime::spawn(async move {
                let mut accepted = 0;
                while let Ok((stream, _)) = accepting.accept().await {
                    accepted += 1;
                    drop(stream);
                }
                accepted
            });
            for _ in 0..4 {
                let client = std::net::TcpStream::connect(address)?;
                let client = loop {
                    let again = client.try_clone()?;
                    if let Ok(client) = TcpStream::from_std(again) {
                        break client;
                    }
                };
                let _failing = Failing::now([&EPOLL_CTL], 2, error);
                // Served or dropped; but told.
                assert_eq!(client.read(&mut [0]).await.unwrap_or(0), 0);
            }
            listener.close()?;
            server.await.unwrap();
            Ok(())
        });
    }
}

#[test]
fn a_writer_that_cannot_be_watched_is_told_and_goes_on_where_it_was() {
    let _alone = alone();
    run(async {
        let (a, b) = UnixStream::pair()?;
        let sent = bytes(&mut Random::new(), 1 << 20);
        let mut written = 0;
        {
            let _failing = Failing::now([&EPOLL_CTL], 1, libc::ENOMEM);
            loop {
                match a.write(&sent[written..]).await {
                    Ok(n) => written += n,
                    Err(error) => break assert_eq!(error.raw_os_error(), Some(libc::ENOMEM)),
                }
            }
        }
        assert!(0 < written && written < sent.len());
        let (writer, rest) = (a.clone(), sent[written..].to_vec());
        let writing = runtime::spawn(async move { writer.write_all(&rest).await });
        let mut back = vec![0; sent.len()];
        b.read_exact(&mut back).await?;
        writing.await.unwrap()?;
        assert!(back == sent);
        Ok(())
    });
}

#[test]
fn what_the_system_has_no_room_for_is_told_and_may_be_sent_again() {
    let _alone = alone();
    for error in [libc::ENOBUFS, libc::ENOMEM] {
        run(async move {
            let told = |result: io::Result<usize>, all: usize| match result {
                Ok(n) => n == all,
                Err(failed) => {
                    assert_eq!(net::os_error(&failed), Some(error), "{failed}");
                    false
                }
            };
            let (a, b) = (
                UdpSocket::bind("127.0.0.1:0").await?,
                UdpSocket::bind("127.0.0.1:0").await?,
            );
            let (c, d) = pair().await?;
            let (e, f) = UnixDatagram::pair()?;
            let sends = [&SEND, &SEND_TO, &SEND_MSG, &SEND_MANY];
            let _failing = Failing::now(sends, 2, error);
            let mut buf = [0; 16];
            for i in 0..20u8 {
                while !told(a.send_to(&[i], b.local_addr()?).await, 1) {}
                assert_eq!((b.recv(&mut buf).await?, buf[0]), (1, i));
                while !told(c.write(&[i]).await, 1) {}
                assert_eq!((d.read(&mut buf).await?, buf[0]), (1, i));
                while !told(e.send(&[i]).await, 1) {}
                assert_eq!((f.recv(&mut buf).await?, buf[0]), (1, i));
            }
            Ok(())
        });
    }
}

#[test]
fn every_call_is_interposed() {
    // Without this the tests above would pass where they test nothing.
    let _alone = alone();
    run(async {
        let _failing = Failing::now(ALL, u32::MAX, 0);
        let mut random = Random::from_seed(1);
        streams(&mut random).await?;
        files_and_relays(&mut random).await?;
        datagrams(&mut random).await?;
        let unused: Vec<_> = (0..ALL.len())
            .filter(|i| ALL[*i].calls.load(Ordering::SeqCst) == 0)
            .collect();
        assert!(unused.is_empty(), "{unused:?}");
        Ok(())
    });
}
