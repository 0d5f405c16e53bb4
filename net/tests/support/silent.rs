//! An address of this machine that does not answer, as one behind a firewall. For Linux, where a
//! backlog says how full it is.

use std::io;
use std::os::fd::AsRawFd;

use net::{ListenConfig, TcpListener, TcpStream};

/// An address that does not answer, as long as what is returned lives: the backlog is full, so that
/// the next SYN is dropped.
pub(crate) async fn silent(localhost: &str) -> io::Result<(TcpListener, Vec<TcpStream>)> {
    let listener = ListenConfig::new().backlog(0).listen(localhost).await?;
    let mut waiting = Vec::new();
    loop {
        waiting.push(TcpStream::connect(listener.local_addr()?).await?);
        // Connected, for the client, comes a moment before queued, for the server.
        while queued(&listener)?.0 < waiting.len() {
            runtime::yield_now().await;
        }
        let (queued, room) = queued(&listener)?;
        if queued > room {
            return Ok((listener, waiting));
        }
    }
}

/// How many connections wait to be accepted, and the backlog: it is full when there is one more.
fn queued(listener: &TcpListener) -> io::Result<(usize, usize)> {
    listener.control(|descriptor| {
        // SAFETY: a tcp_info is plain integers: zero is a value of it.
        let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
        let mut size = size_of::<libc::tcp_info>() as libc::socklen_t;
        // SAFETY: the kernel writes at most `size` bytes of one live tcp_info.
        let result = unsafe {
            libc::getsockopt(
                descriptor.as_raw_fd(),
                libc::IPPROTO_TCP,
                libc::TCP_INFO,
                (&raw mut info).cast(),
                &mut size,
            )
        };
        match result {
            0 => Ok((info.tcpi_unacked as usize, info.tcpi_sacked as usize)),
            _ => Err(io::Error::last_os_error()),
        }
    })
}
