//! What every connection is set to, dialled or accepted, unless its user says otherwise: Go's
//! defaults.
#![forbid(unsafe_code)]

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

/// Silence after which the kernel probes the peer, and the time between probes.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Probes without an answer after which the connection fails.
const PROBES: u32 = 9;

/// Options of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) nodelay: bool,
    pub(crate) keepalive: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nodelay: true,
            keepalive: Some(KEEPALIVE),
        }
    }
}

impl Options {
    /// Sets them on a connection, or on a listener: what it accepts inherits them, without a system
    /// call a connection.
    pub(crate) fn apply(self, socket: &SockRef<'_>) -> io::Result<()> {
        if self.nodelay {
            socket.set_tcp_nodelay(true)?;
        }
        if let Some(interval) = self.keepalive {
            set_keepalive(socket, Some(interval))?;
        }
        Ok(())
    }
}

pub(crate) fn set_keepalive(socket: &SockRef<'_>, interval: Option<Duration>) -> io::Result<()> {
    let Some(interval) = interval else {
        return socket.set_keepalive(false);
    };
    // The kernel counts whole seconds, and takes no zero.
    let interval = interval.max(Duration::from_secs(1));
    let keepalive = TcpKeepalive::new()
        .with_time(interval)
        .with_interval(interval)
        .with_retries(PROBES);
    socket.set_tcp_keepalive(&keepalive)
}
