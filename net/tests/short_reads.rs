//! Reads that bring less than there is room for, and leave something behind all the same. A short
//! read otherwise shows that the next one would block, so that it is not even tried; here it would
//! wait for ever.
#![cfg(target_os = "linux")]

mod support;

use std::io::{self, IoSlice, IoSliceMut};
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::pin::Pin;

use futures_util::future::poll_fn;
use futures_util::io::AsyncRead;
use net::{TcpStream, UnixStream};
use socket2::SockRef;
use support::{pair, run};

/// More than the system takes in one call.
const MANY: usize = 1500;

#[test]
fn more_buffers_than_the_system_fills_at_once_are_filled_one_call_after_the_other() {
    run(async {
        let (client, server) = pair().await?;
        client.write_all(&[7; 3 * MANY]).await?;
        server.read_exact(&mut [0; 1]).await?;
        let mut read = 1;
        while read < 3 * MANY {
            let mut space = [0; MANY];
            let mut bufs: Vec<_> = space.chunks_mut(1).map(IoSliceMut::new).collect();
            let n = server.read_vectored(&mut bufs).await?;
            assert!(n > 0 && space[..n] == vec![7; n], "{n}");
            read += n;
        }
        Ok(())
    });
}

/// Zero bytes would be the end of the stream, and a writer that takes none has failed.
#[test]
fn empty_buffers_in_front_are_no_end() {
    run(async {
        let (client, server) = pair().await?;
        let (here, there) = UnixStream::pair()?;
        let mut bufs = vec![IoSlice::new(&[]); MANY];
        bufs.push(IoSlice::new(b"hello"));
        assert_eq!(client.write_vectored(&bufs).await?, 5);
        assert_eq!(here.try_write_vectored(&bufs)?, 5);
        for way in 0..2 {
            let (mut space, mut none) = ([0; 8], vec![[0; 0]; MANY]);
            let mut bufs: Vec<_> = none.iter_mut().map(|buf| IoSliceMut::new(buf)).collect();
            bufs.push(IoSliceMut::new(&mut space));
            let n = match way {
                0 => server.read_vectored(&mut bufs).await?,
                _ => poll_fn(|cx| Pin::new(&mut &there).poll_read_vectored(cx, &mut bufs)).await?,
            };
            assert_eq!(&space[..n], b"hello");
        }
        Ok(())
    });
}

/// The urgent byte is in none of it, as the system leaves it out.
#[test]
fn what_comes_after_urgent_data_is_read_too() {
    async fn read_all(server: &TcpStream) -> io::Result<()> {
        let mut got = Vec::new();
        while got.len() < 7 {
            let mut buf = [0; 100];
            let n = server.read(&mut buf).await?;
            got.extend_from_slice(&buf[..n]);
        }
        assert_eq!(got, b"0abcdef");
        // Nor is the end overlooked.
        assert_eq!(server.read(&mut [0; 100]).await?, 0);
        Ok(())
    }

    async fn send_all(client: TcpStream) -> io::Result<()> {
        client.write_all(b"0abc").await?;
        client.control(|socket| SockRef::from(&socket).send_out_of_band(b"!"))?;
        client.write_all(b"def").await
    }

    run(async {
        for round in 0..200 {
            let (client, server) = pair().await?;
            if round % 2 == 0 {
                // All is there before the first read.
                send_all(client).await?;
                read_all(&server).await?;
            } else {
                // It comes while it is read.
                let reading = runtime::spawn(async move { read_all(&server).await });
                send_all(client).await?;
                reading.await.unwrap()?;
            }
        }
        Ok(())
    });
}

/// Sends bytes with a descriptor, which nobody asked for.
fn send_with_descriptor(socket: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<()> {
    let mut bytes = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    let mut control = [0_u64; 8];
    // SAFETY: plain integers and pointers: zero is a value of it.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_iov = &raw mut bytes;
    header.msg_iovlen = 1;
    header.msg_control = control.as_mut_ptr().cast();
    // SAFETY: a message with one descriptor, for which there is more room than it takes; all that
    // is named is alive.
    let sent = unsafe {
        header.msg_controllen = libc::CMSG_SPACE(4) as _;
        let message = libc::CMSG_FIRSTHDR(&raw const header);
        (*message).cmsg_level = libc::SOL_SOCKET;
        (*message).cmsg_type = libc::SCM_RIGHTS;
        (*message).cmsg_len = libc::CMSG_LEN(4) as _;
        libc::CMSG_DATA(message)
            .cast::<libc::c_int>()
            .write_unaligned(socket.as_raw_fd());
        libc::sendmsg(socket.as_raw_fd(), &raw const header, 0)
    };
    match sent {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// The system stops behind each of these.
#[test]
fn bytes_behind_a_descriptor_that_came_with_others_are_read_too() {
    run(async {
        for way in 0..3 {
            let (client, server) = UnixStream::pair()?;
            for i in 0..5 {
                client.control(|socket| send_with_descriptor(socket, &[i; 3]))?;
            }
            let mut got = Vec::new();
            while got.len() < 15 {
                let mut buf = [0; 100];
                let n = match way {
                    0 => server.read(&mut buf).await?,
                    1 => {
                        let mut bufs = [IoSliceMut::new(&mut buf)];
                        server.read_vectored(&mut bufs).await?
                    }
                    _ => poll_fn(|cx| Pin::new(&mut &server).poll_read(cx, &mut buf)).await?,
                };
                got.extend_from_slice(&buf[..n]);
            }
            assert!((0..5).all(|i| got[3 * i..][..3] == [i as u8; 3]), "{got:?}");
            drop(client);
            assert_eq!(server.read(&mut [0; 100]).await?, 0);
        }
        Ok(())
    });
}

/// With the sender's credentials, which the system tells where it is asked to, each process' bytes
/// are apart, too.
#[test]
fn bytes_that_come_with_credentials_are_read_to_the_last() {
    run(async {
        let (client, server) = UnixStream::pair()?;
        server.control(|socket| SockRef::from(&socket).set_passcred(true))?;
        client.write_all(b"abc").await?;
        client.control(|socket| send_with_descriptor(socket, b"def"))?;
        client.write_all(b"ghi").await?;
        let mut got = Vec::new();
        while got.len() < 9 {
            let mut buf = [0; 100];
            let n = server.read(&mut buf).await?;
            got.extend_from_slice(&buf[..n]);
        }
        assert_eq!(got, b"abcdefghi");
        Ok(())
    });
}
