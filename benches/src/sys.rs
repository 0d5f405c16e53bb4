//! The system calls that std does not have: epoll, connecting without blocking, a long backlog,
//! splicing.
//!
//! One of the few files here with unsafe code. Every descriptor is owned by a std type as soon as
//! it exists.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// An epoll instance.
#[derive(Debug)]
pub(crate) struct Epoll {
    fd: OwnedFd,
}

/// One readiness event.
pub(crate) type Event = libc::epoll_event;

/// Readable, or closed.
pub(crate) const READABLE: u32 = libc::EPOLLIN as u32;
/// Writable.
pub(crate) const WRITABLE: u32 = libc::EPOLLOUT as u32;
/// Told once for each change, in place of as long as it is so.
pub(crate) const EDGE: u32 = libc::EPOLLET as u32;

impl Epoll {
    /// A new instance.
    pub(crate) fn new() -> io::Result<Epoll> {
        // SAFETY: the call takes no pointer.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: the descriptor was made just now, and nobody else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Epoll { fd })
    }

    /// Watches a descriptor, level-triggered without [`EDGE`], until it is closed.
    pub(crate) fn add(&self, fd: &impl AsRawFd, token: usize, interest: u32) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, token, interest)
    }

    /// Watches it for something else.
    pub(crate) fn modify(&self, fd: &impl AsRawFd, token: usize, interest: u32) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, token, interest)
    }

    fn control(&self, op: i32, fd: &impl AsRawFd, token: usize, interest: u32) -> io::Result<()> {
        let mut event = Event {
            events: interest,
            u64: token as u64,
        };
        // SAFETY: the pointer is to a live event, which the call only reads.
        check(unsafe { libc::epoll_ctl(self.fd.as_raw_fd(), op, fd.as_raw_fd(), &raw mut event) })?;
        Ok(())
    }

    /// Waits for events, at most so many milliseconds; the number of events at the front of
    /// `events`.
    pub(crate) fn wait(&self, events: &mut [Event], timeout_ms: i32) -> io::Result<usize> {
        // SAFETY: the pointer and the length describe a live slice, which the call only writes.
        let result = check(unsafe {
            libc::epoll_wait(
                self.fd.as_raw_fd(),
                events.as_mut_ptr(),
                events.len() as i32,
                timeout_ms,
            )
        });
        match result {
            Ok(n) => Ok(n as usize),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(0),
            Err(e) => Err(e),
        }
    }
}

/// Room for so many events.
pub(crate) fn events(n: usize) -> Vec<Event> {
    vec![Event { events: 0, u64: 0 }; n]
}

/// Starts to connect to a port of this machine; writable when done.
pub(crate) fn connect(port: u16) -> io::Result<TcpStream> {
    let fd = socket(libc::SOCK_NONBLOCK)?;
    let address = sockaddr(port);
    // SAFETY: the pointer and the length describe a live address.
    let result = check(unsafe {
        libc::connect(
            fd.as_raw_fd(),
            (&raw const address).cast(),
            size_of_val(&address) as libc::socklen_t,
        )
    });
    match result {
        Err(e) if e.raw_os_error() != Some(libc::EINPROGRESS) => Err(e),
        _ => Ok(fd.into()),
    }
}

/// Listens on a port of this machine, or on any for 0, with the longest backlog that the system
/// allows.
pub(crate) fn listen(port: u16, shared: bool) -> io::Result<TcpListener> {
    let fd = socket(0)?;
    if shared {
        option(&fd, libc::SOL_SOCKET, libc::SO_REUSEPORT, &1_i32)?;
    }
    let address = sockaddr(port);
    // SAFETY: the pointer and the length describe a live address.
    check(unsafe {
        libc::bind(
            fd.as_raw_fd(),
            (&raw const address).cast(),
            size_of_val(&address) as libc::socklen_t,
        )
    })?;
    let listener = TcpListener::from(fd);
    lengthen_backlog(&listener)?;
    Ok(listener)
}

/// std's backlog is 128, which stalls fast connects for a second; this sets the longest one.
pub(crate) fn lengthen_backlog(listener: &impl AsRawFd) -> io::Result<()> {
    // SAFETY: the call takes no pointer.
    check(unsafe { libc::listen(listener.as_raw_fd(), i32::from(i16::MAX)) })?;
    Ok(())
}

/// Makes close send a reset, so that no port lingers in TIME_WAIT.
pub(crate) fn reset_on_close(stream: &TcpStream) -> io::Result<()> {
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    option(stream, libc::SOL_SOCKET, libc::SO_LINGER, &linger)
}

/// Turns Nagle's algorithm off, on a connection, or on a listener for all that it will accept.
pub(crate) fn send_at_once(socket: &impl AsRawFd) -> io::Result<()> {
    option(socket, libc::IPPROTO_TCP, libc::TCP_NODELAY, &1_i32)
}

/// A pipe that does not block and holds so many bytes: the end to read from, and the end to write
/// to.
pub(crate) fn pipe(capacity: i32) -> io::Result<[OwnedFd; 2]> {
    let mut ends = [0; 2];
    // SAFETY: the pointer is to a live array of two, which the call only writes.
    check(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_NONBLOCK | libc::O_CLOEXEC) })?;
    // SAFETY: both descriptors were made just now, and nobody else owns them.
    let ends = ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) });
    // SAFETY: the call takes no pointer.
    check(unsafe { libc::fcntl(ends[1].as_raw_fd(), libc::F_SETPIPE_SZ, capacity) })?;
    Ok(ends)
}

/// Moves up to so many bytes, of which one end is a pipe, without blocking.
pub(crate) fn splice(from: &impl AsRawFd, to: &impl AsRawFd, most: usize) -> io::Result<usize> {
    let none = std::ptr::null_mut();
    let flags = libc::SPLICE_F_MOVE | libc::SPLICE_F_NONBLOCK;
    // SAFETY: without offsets the call touches no memory of ours.
    let n = unsafe { libc::splice(from.as_raw_fd(), none, to.as_raw_fd(), none, most, flags) };
    usize::try_from(n).map_err(|_| io::Error::last_os_error())
}

/// Lets this process open as many files as the system lets it.
pub(crate) fn raise_file_limit() {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the pointer is to a live `rlimit`, which the call only writes.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } == 0 {
        limit.rlim_cur = limit.rlim_max.min(20_000);
        // SAFETY: the pointer is to a live `rlimit`, which the call only reads.
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    }
}

fn socket(flags: i32) -> io::Result<OwnedFd> {
    // SAFETY: the call takes no pointer.
    let fd = check(unsafe {
        libc::socket(
            libc::AF_INET,
            libc::SOCK_STREAM | libc::SOCK_CLOEXEC | flags,
            0,
        )
    })?;
    // SAFETY: the descriptor was made just now, and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn option<T>(fd: &impl AsRawFd, level: i32, name: i32, value: &T) -> io::Result<()> {
    // SAFETY: the pointer and the length describe a live value, which the call only reads; callers
    // pass the type the option wants.
    check(unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            name,
            (&raw const *value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    })?;
    Ok(())
}

fn sockaddr(port: u16) -> libc::sockaddr_in {
    let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from(*address.ip()).to_be(),
        },
        sin_zero: [0; 8],
    }
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}
