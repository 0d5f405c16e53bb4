//! Accepting connections of this machine. What is skipped and what is waited out: `accept.rs`.
#![forbid(unsafe_code)]

use std::fmt;
use std::fs;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::SocketAddr;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use runtime::io::{Attempt, Direction};
use runtime::time::Instant;
use socket2::{Domain, Type};

use super::{UnixStream, abstract_name, address};
use crate::accept::{accept, set_deadline, skip_gone};
use crate::error::{During, named};
use crate::socket::Socket;
use crate::sys;
use crate::tcp::system_backlog;

/// A Unix socket that accepts connections.
///
/// Clones share one socket. It stops listening, and removes its file, when it is
/// [closed](Self::close) or the last clone is dropped.
///
/// ```
/// # runtime::block_on(async {
/// # let path = std::env::temp_dir().join(format!("net-doc-{}", std::process::id()));
/// let listener = net::UnixListener::bind(&path)?;
/// let client = net::UnixStream::connect(&path).await?;
/// let (server, _) = listener.accept().await?;
/// client.write_all(b"hello").await?;
/// server.read_exact(&mut [0; 5]).await?;
/// drop(listener);
/// assert!(!path.exists());
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// **Go:** `*net.UnixListener`.
#[derive(Clone)]
pub struct UnixListener {
    inner: Arc<Inner>,
}

struct Inner {
    socket: Socket<mio::net::UnixListener>,
    shortages: AtomicU64,
    /// The file, unless the name is abstract.
    file: Option<Mark>,
    /// Whether the file is to be removed. Relaxed: swapped to false by whoever removes it, and
    /// nothing else rides on it.
    unlink: AtomicBool,
}

impl UnixListener {
    /// Listens on a path, which a file will mark; or on an abstract name, given as `@name` (Linux).
    ///
    /// # Errors
    ///
    /// An [`OpError`](crate::OpError) for `bind unix`: a file of that name is there
    /// ([`AddrInUse`](io::ErrorKind::AddrInUse)), also that of a server which has died; the path is
    /// longer than about 100 bytes; the directory does not allow it.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// # let path = std::env::temp_dir().join(format!("weftline-doc-{}", std::process::id()));
    /// let listener = net::UnixListener::bind(&path)?;
    /// println!("listening on {:?}", listener.local_addr()?);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `net.Listen("unix", path)`.
    #[track_caller]
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        let listener = listen(path).during("bind unix", path.display())?;
        let inner = Inner {
            socket: Socket::new(listener).during("bind unix", path.display())?,
            shortages: AtomicU64::new(0),
            file: abstract_name(path).is_none().then(|| Mark::of(path)),
            unlink: AtomicBool::new(true),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Accepts a connection, waiting until there is one.
    ///
    /// Shortages of descriptors and memory are waited out, as by
    /// [`TcpListener::accept`](crate::TcpListener::accept).
    ///
    /// # Errors
    ///
    /// An [`OpError`](crate::OpError) for `accept`; each is about the listener itself. After
    /// [`close`](Self::close) it is one that [`is_closed`](crate::is_closed) knows.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a connection is accepted only when the future is ready.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// # let path = std::env::temp_dir().join(format!("weftline-doc-{}", std::process::id()));
    /// let listener = net::UnixListener::bind(&path)?;
    /// # let client = net::UnixStream::connect(&path).await?;
    /// let (stream, _) = listener.accept().await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `ln.Accept()`.
    #[track_caller]
    pub fn accept(&self) -> impl Future<Output = io::Result<(UnixStream, SocketAddr)>> + Send + '_ {
        self.accepting(|_| {}, Location::caller())
    }

    /// Says of each pause why.
    #[track_caller]
    pub(crate) fn accept_telling(
        &self,
        paused: &(impl Fn(io::Error) + Sync),
    ) -> impl Future<Output = io::Result<(UnixStream, SocketAddr)>> + Send {
        let named = move |error| paused(named("accept", self.inner.name(), error));
        self.accepting(named, Location::caller())
    }

    async fn accepting(
        &self,
        paused: impl Fn(io::Error) + Send,
        place: &'static Location<'static>,
    ) -> io::Result<(UnixStream, SocketAddr)> {
        let Inner {
            socket, shortages, ..
        } = &*self.inner;
        let paused = |error| {
            // Relaxed: a count and nothing more.
            shortages.fetch_add(1, Ordering::Relaxed);
            paused(error);
        };
        accept(socket, paused, place, once, register)
            .await
            .during("accept", self.inner.name())
    }

    /// Accepts a connection if one waits.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if none waits; an [`OpError`](crate::OpError) for
    /// `accept`, also when descriptors have run out.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// # let path = std::env::temp_dir().join(format!("weftline-doc-{}", std::process::id()));
    /// let listener = net::UnixListener::bind(&path)?;
    /// let nobody = listener.try_accept().unwrap_err();
    /// assert_eq!(nobody.kind(), std::io::ErrorKind::WouldBlock);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** none.
    pub fn try_accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        match self.inner.socket.try_io(Direction::Read, once) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(error),
            accepted => accepted
                .and_then(register)
                .during("accept", self.inner.name()),
        }
    }

    /// How often [`accept`](Self::accept) has paused because descriptors or memory had run out.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// # let path = std::env::temp_dir().join(format!("weftline-doc-{}", std::process::id()));
    /// let listener = net::UnixListener::bind(&path)?;
    /// assert_eq!(listener.shortages(), 0);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** none.
    pub fn shortages(&self) -> u64 {
        self.inner.shortages.load(Ordering::Relaxed)
    }

    /// Whether the file is removed when the listener ends. It is, by default, unless another server
    /// has put its own in its place.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// # let path = std::env::temp_dir().join(format!("weftline-doc-{}", std::process::id()));
    /// let listener = net::UnixListener::bind(&path)?;
    /// listener.set_unlink_on_close(false);
    /// drop(listener);
    /// assert!(path.exists());
    /// # std::fs::remove_file(&path)?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `SetUnlinkOnClose`; there another server's file goes, too.
    pub fn set_unlink_on_close(&self, unlink: bool) {
        self.inner.unlink.store(unlink, Ordering::Relaxed);
    }

    /// The address that it listens on.
    ///
    /// # Errors
    ///
    /// It has been closed.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// # let path = std::env::temp_dir().join(format!("weftline-doc-{}", std::process::id()));
    /// let listener = net::UnixListener::bind(&path)?;
    /// assert_eq!(listener.local_addr()?.as_pathname(), Some(&*path));
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `ln.Addr()`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.socket.with(mio::net::UnixListener::local_addr)
    }

    /// Sets the time at which [`accept`](Self::accept) fails; see
    /// [`TcpStream::set_deadline`](crate::TcpStream::set_deadline).
    ///
    /// # Errors
    ///
    /// It has been closed.
    ///
    /// ```
    /// use runtime::time::Instant;
    ///
    /// # runtime::block_on(async {
    /// # let path = std::env::temp_dir().join(format!("weftline-doc-{}", std::process::id()));
    /// let listener = net::UnixListener::bind(&path)?;
    /// listener.set_deadline(Instant::now())?;
    /// assert!(net::is_deadline(&listener.accept().await.unwrap_err()));
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `SetDeadline`.
    #[track_caller]
    pub fn set_deadline(&self, at: impl Into<Option<Instant>>) -> io::Result<()> {
        set_deadline(&self.inner.socket, at.into())
    }

    /// Stops listening and removes the file; whoever waits in [`accept`](Self::accept), on any
    /// clone, is told.
    ///
    /// # Errors
    ///
    /// It was closed before.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// # let path = std::env::temp_dir().join(format!("weftline-doc-{}", std::process::id()));
    /// let listener = net::UnixListener::bind(&path)?;
    /// listener.close()?;
    /// assert!(net::is_closed(&listener.accept().await.unwrap_err()));
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `ln.Close()`.
    pub fn close(&self) -> io::Result<()> {
        self.inner.unlink();
        self.inner.socket.close()
    }

    /// Calls `f` with the descriptor, for settings that have no method here. It must not block. It
    /// may call [`close`](Self::close): the descriptor is then given back when it returns.
    ///
    /// # Errors
    ///
    /// It has been closed; what `f` returns.
    ///
    /// ```
    /// use std::os::fd::AsRawFd;
    ///
    /// # runtime::block_on(async {
    /// # let path = std::env::temp_dir().join(format!("weftline-doc-{}", std::process::id()));
    /// let listener = net::UnixListener::bind(&path)?;
    /// let descriptor = listener.control(|fd| Ok(fd.as_raw_fd()))?;
    /// assert!(descriptor > 2);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `SyscallConn().Control(f)`.
    pub fn control<R>(&self, f: impl FnOnce(BorrowedFd<'_>) -> io::Result<R>) -> io::Result<R> {
        self.inner.socket.control(f)
    }
}

impl Inner {
    /// For messages.
    fn name(&self) -> String {
        match &self.file {
            Some(file) => file.path.display().to_string(),
            None => "on an abstract name".to_owned(),
        }
    }

    /// Before the close, so that no client finds the file and nobody behind it for long.
    fn unlink(&self) {
        if let Some(file) = &self.file {
            if self.unlink.swap(false, Ordering::Relaxed) {
                file.remove();
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.unlink();
    }
}

/// The file that marks a listener.
struct Mark {
    path: PathBuf,
    /// Device and number. The socket holds on to it, so that nobody else is given the number before
    /// it is closed.
    identity: Option<(u64, u64)>,
}

impl Mark {
    /// The file has just been made.
    fn of(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            identity: identity(path),
        }
    }

    /// Removes it, unless somebody has done so, and has perhaps put another one there: that of the
    /// server which takes over.
    fn remove(&self) {
        if self.identity.is_some() && identity(&self.path) == self.identity {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let file = fs::symlink_metadata(path).ok()?;
    Some((file.dev(), file.ino()))
}

fn listen(path: &Path) -> io::Result<mio::net::UnixListener> {
    let socket = sys::socket(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&address(path)?)?;
    socket.listen(i32::try_from(system_backlog()).unwrap_or(i32::MAX))?;
    let listener = std::os::unix::net::UnixListener::from(OwnedFd::from(socket));
    Ok(mio::net::UnixListener::from_std(listener))
}

type Accepted = (mio::net::UnixStream, SocketAddr);

fn once(listener: &mio::net::UnixListener, _: &Attempt<'_>) -> io::Result<Accepted> {
    skip_gone(|| listener.accept())
}

fn register((stream, peer): Accepted) -> io::Result<(UnixStream, SocketAddr)> {
    Ok((UnixStream::register(stream)?, peer))
}

impl fmt::Debug for UnixListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.socket.describe("UnixListener", f)
    }
}
