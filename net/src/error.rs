//! What was attempted, on which address, and what would help: the context that setting up a socket
//! adds to a system error.
//!
//! Reads and writes pass the system's error on unchanged: they are on the hot path, and their
//! caller knows the stream.
#![forbid(unsafe_code)]

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;

/// The context of a failed `bind`, `listen`, `connect`, `accept` or `lookup`; found in the
/// `io::Error` that those return.
///
/// Its text reads like
/// `bind 127.0.0.1:80: Permission denied (os error 13); ports below 1024 need …`. The `io::Error`
/// around it has the kind of the system's error, which is the [`source`](Error::source);
/// [`os_error`] digs out the number.
///
/// ```
/// # runtime::block_on(async {
/// let taken = net::TcpListener::bind("127.0.0.1:0").await?;
/// let address = taken.local_addr()?;
///
/// let error = net::TcpListener::bind(address).await.unwrap_err();
/// assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
/// let context = error.get_ref().and_then(|e| e.downcast_ref::<net::OpError>()).unwrap();
/// assert_eq!(context.operation(), "bind");
/// assert_eq!(context.address(), address.to_string());
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// **Go:** `*net.OpError`.
pub struct OpError {
    operation: &'static str,
    address: String,
    cure: Option<&'static str>,
    source: io::Error,
}

impl OpError {
    /// What was attempted: `bind`, `listen`, `connect`, `accept`, `lookup`.
    ///
    /// ```
    /// use net::OpError;
    ///
    /// # runtime::block_on(async {
    /// let error = net::TcpListener::bind("127.0.0.1").await.unwrap_err(); // no port
    /// let context = error.get_ref().and_then(|e| e.downcast_ref::<OpError>()).unwrap();
    /// assert_eq!(context.operation(), "lookup");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `OpError.Op`.
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// The address or name that it was attempted on.
    ///
    /// ```
    /// use net::OpError;
    ///
    /// # runtime::block_on(async {
    /// let error = net::TcpListener::bind("127.0.0.1").await.unwrap_err(); // no port
    /// let context = error.get_ref().and_then(|e| e.downcast_ref::<OpError>()).unwrap();
    /// assert_eq!(context.address(), "127.0.0.1");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `OpError.Addr`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What the system said.
    ///
    /// ```
    /// use net::OpError;
    ///
    /// # runtime::block_on(async {
    /// let error = net::TcpListener::bind("127.0.0.1").await.unwrap_err(); // no port
    /// let context = error.get_ref().and_then(|e| e.downcast_ref::<OpError>()).unwrap();
    /// assert_eq!(context.io_error().kind(), std::io::ErrorKind::InvalidInput);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `OpError.Err`.
    pub fn io_error(&self) -> &io::Error {
        &self.source
    }
}

impl fmt::Display for OpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.operation, self.address, self.source)?;
        match self.cure {
            Some(cure) => write!(f, "; {cure}"),
            None => Ok(()),
        }
    }
}

/// The text in quotes, since this is what a `main` that returns the error prints.
impl fmt::Debug for OpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OpError").field(&self.to_string()).finish()
    }
}

impl Error for OpError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

/// The system's number of an error, also where [`OpError`] stands between.
///
/// ```
/// # runtime::block_on(async {
/// let taken = net::TcpListener::bind("127.0.0.1:0").await?;
/// let error = net::TcpListener::bind(taken.local_addr()?).await.unwrap_err();
/// assert_eq!(net::os_error(&error), Some(libc::EADDRINUSE));
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// **Go:** `errors.As(err, &errno)` with a `syscall.Errno`.
pub fn os_error(error: &io::Error) -> Option<i32> {
    error.raw_os_error().or_else(|| {
        let context = error.get_ref()?.downcast_ref::<OpError>()?;
        os_error(&context.source)
    })
}

/// Whether an error comes from using a socket that this program has closed: kind
/// [`NotConnected`](io::ErrorKind::NotConnected), a text that begins with
/// `use of closed network connection`.
///
/// ```
/// # runtime::block_on(async {
/// let listener = net::TcpListener::bind("127.0.0.1:0").await?;
/// listener.close()?;
/// assert!(net::is_closed(&listener.accept().await.unwrap_err()));
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// **Go:** `errors.Is(err, net.ErrClosed)`.
pub fn is_closed(error: &io::Error) -> bool {
    runtime::io::is_closed(error)
}

/// Whether an error says that a deadline set on the socket has passed: kind
/// [`TimedOut`](io::ErrorKind::TimedOut), text beginning with `i/o timeout`. A connection that the
/// system gave up because its peer was silent has the same kind, and is none.
///
/// ```
/// use runtime::time::Instant;
///
/// # runtime::block_on(async {
/// let (a, b) = net::UnixStream::pair()?;
/// a.set_read_deadline(Instant::now())?;
/// assert!(net::is_deadline(&a.read(&mut [0]).await.unwrap_err()));
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// **Go:** `errors.Is(err, os.ErrDeadlineExceeded)`.
pub fn is_deadline(error: &io::Error) -> bool {
    runtime::io::is_deadline(error)
}

/// Adds the context to a failed set-up call.
pub(crate) trait During<T> {
    fn during(self, operation: &'static str, address: impl fmt::Display) -> io::Result<T>;
}

impl<T> During<T> for io::Result<T> {
    fn during(self, operation: &'static str, address: impl fmt::Display) -> io::Result<T> {
        self.map_err(|source| named(operation, address, source))
    }
}

/// The error with its context.
pub(crate) fn named(
    operation: &'static str,
    address: impl fmt::Display,
    source: io::Error,
) -> io::Error {
    let context = OpError {
        operation,
        address: address.to_string(),
        cure: cure(operation, &source),
        source,
    };
    io::Error::new(context.source.kind(), context)
}

/// What a dial does first if it has a local address; found as the source of a `connect`.
pub(crate) const LOCAL: &str = "bind the local address";

/// What to do about it, where that is known.
fn cure(operation: &str, error: &io::Error) -> Option<&'static str> {
    match error.raw_os_error() {
        Some(number) => cure_of_number(operation, number),
        None => cure_of_kind(operation, error.kind()),
    }
}

/// For what is found out before the system is asked, or without it.
fn cure_of_kind(operation: &str, kind: io::ErrorKind) -> Option<&'static str> {
    use io::ErrorKind::{InvalidInput, NotFound, TimedOut};
    let cure = match (operation, kind) {
        ("connect", TimedOut) => "it did not answer within Dialer::timeout",
        ("lookup", TimedOut) => "the name servers did not answer within Dialer::timeout",
        // These say it all.
        ("lookup", InvalidInput | NotFound) => return None,
        ("lookup", _) => "check the name, and the name servers in /etc/resolv.conf",
        ("bind unix" | "connect unix", InvalidInput) => {
            "the path of a socket has 107 bytes at most, and no zero among them"
        }
        _ => return None,
    };
    Some(cure)
}

fn cure_of_number(operation: &str, number: i32) -> Option<&'static str> {
    let cure = match (operation, number) {
        (_, libc::EMFILE) => {
            "this process has as many files open as it may: raise the limit (`ulimit -n`) or close some"
        }
        (_, libc::ENFILE) => "the system has as many files open as it may: raise fs.file-max",
        ("bind" | "listen", libc::EADDRINUSE) => {
            "another socket has this port: stop its owner, choose another port (0 picks a free one), \
             or, for TCP, set ListenConfig::reuse_port on both"
        }
        (LOCAL | "connect", libc::EADDRINUSE) => {
            "another socket has this local port: port 0 leaves the choice to the system"
        }
        ("bind unix", libc::EADDRINUSE) => {
            "a file is in the way: remove it if no server uses it any more"
        }
        ("bind unix", libc::ENOENT) => "its directory does not exist",
        ("bind unix", libc::EACCES | libc::EROFS) => "its directory cannot be written to",
        ("connect unix", libc::ENOENT | libc::ECONNREFUSED) => "no server listens there",
        ("connect unix", libc::EACCES) => "this user may not write to the file",
        ("bind" | LOCAL, libc::EACCES) => {
            "ports below 1024 need root or CAP_NET_BIND_SERVICE: choose a higher one"
        }
        ("bind" | LOCAL, libc::EADDRNOTAVAIL) => "no interface of this machine has the address",
        ("connect", libc::EADDRNOTAVAIL) => {
            "no local port is free for this destination: widen net.ipv4.ip_local_port_range, \
             or spread over several local addresses with Dialer::local_addr"
        }
        ("connect", libc::ECONNREFUSED) => "nothing listens there",
        ("connect", libc::ETIMEDOUT) => {
            "it does not answer: the host is down, or a firewall drops what is sent to it"
        }
        ("connect", libc::EHOSTUNREACH | libc::ENETUNREACH | libc::EHOSTDOWN | libc::ENETDOWN) => {
            "no way leads there: check the address, and this machine's network"
        }
        ("connect", libc::EACCES | libc::EPERM) => {
            "this machine forbids it: a firewall does, or it is a broadcast address"
        }
        _ => return None,
    };
    Some(cure)
}

/// The error of connecting or binding to a name that has no address.
pub(crate) fn no_address() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the name has no address")
}

/// For messages about several addresses.
pub(crate) fn list(addresses: &[SocketAddr]) -> String {
    let texts: Vec<_> = addresses.iter().map(SocketAddr::to_string).collect();
    texts.join(", ")
}
