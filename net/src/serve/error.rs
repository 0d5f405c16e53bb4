//! What went wrong with one connection of a server, or with accepting: what `on_error` is told.
#![forbid(unsafe_code)]

use std::error::Error;
use std::fmt;
use std::io;
use std::iter;
use std::net::SocketAddr;

/// An error that did not end the server: of one connection, or of accepting, which pauses and goes
/// on.
///
/// Its text says whose connection it was, and has the texts of all errors below it:
/// `203.0.113.7:4711: handshake: …`, or `accept 0.0.0.0:443: Too many open files …`. `P` is what
/// the listener knows its peers by.
///
/// ```
/// /// What most servers want to know: all but clients that hung up.
/// fn report(error: net::ServeError) {
///     let kind = error.io_error().map(std::io::Error::kind);
///     if kind != Some(std::io::ErrorKind::ConnectionReset) {
///         eprintln!("{error}");
///     }
/// }
///
/// # runtime::block_on(async {
/// let listener = net::TcpListener::bind("127.0.0.1:0").await?;
/// let server = net::serve(listener, |stream, _peer, _stopping| async move {
///     net::copy(&mut &stream, &mut &stream).await
/// });
/// server.on_error(report).shutdown_on(async {}).await?; // at once, here
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// **Go:** a line of `http.Server.ErrorLog`.
pub struct ServeError<P = SocketAddr> {
    stage: Stage<P>,
    source: Box<dyn Error + Send + Sync>,
}

/// Where it happened.
enum Stage<P> {
    Accept,
    #[cfg(feature = "hyper")]
    Handshake(P),
    Connection(P),
}

impl<P> ServeError<P> {
    /// The error says itself that it is about accepting.
    pub(crate) fn accept(shortage: io::Error) -> Self {
        Self {
            stage: Stage::Accept,
            source: shortage.into(),
        }
    }

    #[cfg(feature = "hyper")]
    pub(crate) fn handshake(peer: P, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            stage: Stage::Handshake(peer),
            source: source.into(),
        }
    }

    pub(crate) fn connection(peer: P, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            stage: Stage::Connection(peer),
            source: source.into(),
        }
    }

    /// Whose connection it was; `None` if it is about accepting.
    ///
    /// ```
    /// use std::net::IpAddr;
    ///
    /// /// For a list of those who are no longer served.
    /// fn offender(error: &net::ServeError) -> Option<IpAddr> {
    ///     error.peer().map(|peer| peer.ip())
    /// }
    /// ```
    ///
    /// **Go:** the address in the line.
    pub fn peer(&self) -> Option<&P> {
        match &self.stage {
            Stage::Accept => None,
            #[cfg(feature = "hyper")]
            Stage::Handshake(peer) => Some(peer),
            Stage::Connection(peer) => Some(peer),
        }
    }

    /// The system's error, if one is the reason: of what the connection ended with, the first
    /// `io::Error` from the top.
    ///
    /// ```
    /// fn hung_up(error: &net::ServeError) -> bool {
    ///     error.io_error().is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset)
    /// }
    /// ```
    ///
    /// **Go:** `errors.As` with a `*net.OpError`.
    pub fn io_error(&self) -> Option<&io::Error> {
        self.chain().find_map(|error| error.downcast_ref())
    }

    /// What the handler returned, what the handshake failed with, or what accepting failed with; to
    /// be downcast.
    ///
    /// ```
    /// fn is_mine(error: net::ServeError) -> bool {
    ///     error.into_source().downcast::<std::num::ParseIntError>().is_ok()
    /// }
    /// ```
    ///
    /// **Go:** `errors.As`.
    pub fn into_source(self) -> Box<dyn Error + Send + Sync> {
        self.source
    }

    fn chain(&self) -> impl Iterator<Item = &(dyn Error + 'static)> {
        let first: &(dyn Error + 'static) = &*self.source;
        iter::successors(Some(first), |&error| error.source())
    }
}

/// Each error of the chain, unless the one above has said the same: some texts have those below in
/// them, others, such as hyper's, have not.
impl<P: fmt::Debug> fmt::Display for ServeError<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.stage {
            Stage::Accept => {}
            #[cfg(feature = "hyper")]
            Stage::Handshake(peer) => write!(f, "{peer:?}: handshake: ")?,
            Stage::Connection(peer) => write!(f, "{peer:?}: ")?,
        }
        let mut said = String::new();
        for error in self.chain() {
            let text = error.to_string();
            if said.contains(&text) {
                continue;
            }
            if !said.is_empty() {
                f.write_str(": ")?;
            }
            f.write_str(&text)?;
            said = text;
        }
        Ok(())
    }
}

/// The text in quotes, as [`OpError`](crate::OpError) does.
impl<P: fmt::Debug> fmt::Debug for ServeError<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.to_string();
        f.debug_tuple("ServeError").field(&text).finish()
    }
}

impl<P: fmt::Debug> Error for ServeError<P> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says nothing of what is below, as hyper does.
    #[derive(Debug)]
    struct Silent(io::Error);

    impl fmt::Display for Silent {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the service failed")
        }
    }

    impl Error for Silent {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    fn peer() -> SocketAddr {
        "127.0.0.1:7".parse().unwrap()
    }

    #[test]
    fn the_text_names_the_peer_and_every_cause_once() {
        let error = ServeError::connection(peer(), Silent(io::Error::other("out of tea")));
        let text = "127.0.0.1:7: the service failed: out of tea";
        assert_eq!(error.to_string(), text);
        assert_eq!(format!("{error:?}"), format!("ServeError({text:?})"));
        assert_eq!(error.peer(), Some(&peer()));
        assert_eq!(error.io_error().unwrap().to_string(), "out of tea");
        assert!(error.into_source().is::<Silent>());
    }

    #[test]
    fn accepting_has_no_peer_and_its_text_no_repetition() {
        use crate::error::During;
        let shortage = io::Error::from_raw_os_error(libc::EMFILE);
        let named = Err::<(), _>(shortage).during("accept", peer()).unwrap_err();
        let error = ServeError::<SocketAddr>::accept(named);
        assert_eq!(error.peer(), None);
        let text = error.to_string();
        assert!(text.starts_with("accept 127.0.0.1:7: "), "{text}");
        assert_eq!(text.matches("os error 24").count(), 1, "{text}");
    }

    #[test]
    fn a_plain_text_is_an_error_too() {
        let error = ServeError::connection(peer(), "no such room");
        assert_eq!(error.to_string(), "127.0.0.1:7: no such room");
        assert!(error.io_error().is_none());
    }
}
