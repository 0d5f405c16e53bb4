//! probe
mod support;
use net::*;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::AsRawFd;
use std::time::Duration;

async fn within<F: Future>(what: &str, f: F) -> F::Output {
    match runtime::time::timeout(Duration::from_secs(10), f).await {
        Ok(o) => o,
        Err(_) => panic!("{what} hangs"),
    }
}
async fn tcp() -> (TcpStream, TcpStream) {
    let l = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let a = TcpStream::connect(l.local_addr().unwrap()).await.unwrap();
    let (b, _) = l.accept().await.unwrap();
    (a, b)
}

#[test]
fn read_vectored_many() {
    runtime::block_on(async {
        let (a, b) = tcp().await;
        a.write_all(&[7; 3000]).await.unwrap();
        b.readable().await.unwrap();
        runtime::time::sleep(Duration::from_millis(100)).await;
        let mut total = 0;
        while total < 3000 {
            let mut space = vec![0u8; 1500];
            let mut bufs: Vec<_> = space.chunks_mut(1).map(IoSliceMut::new).collect();
            let n = within("read_vectored", b.read_vectored(&mut bufs))
                .await
                .unwrap();
            println!("{n}");
            assert!(n > 0);
            total += n;
        }
    });
}

#[test]
fn vectored_empties_first() {
    runtime::block_on(async {
        let (a, b) = tcp().await;
        let mut bufs = vec![IoSlice::new(&[]); 1500];
        bufs.push(IoSlice::new(b"hello"));
        let n = within("w", a.write_vectored(&bufs)).await.unwrap();
        assert_eq!(n, 5);
        let mut space = [0u8; 5];
        let mut none: Vec<[u8; 0]> = vec![[]; 1500];
        let mut bufs: Vec<_> = none.iter_mut().map(|b| IoSliceMut::new(b)).collect();
        bufs.push(IoSliceMut::new(&mut space));
        let n = within("r", b.read_vectored(&mut bufs)).await.unwrap();
        assert_eq!(n, 5);
    });
}

fn send_with_fd(to: i32, byte: u8, fd: i32) {
    unsafe {
        let mut b = byte;
        let mut iov = libc::iovec {
            iov_base: (&raw mut b).cast(),
            iov_len: 1,
        };
        let mut control = [0u64; 8];
        let mut m: libc::msghdr = std::mem::zeroed();
        m.msg_iov = &mut iov;
        m.msg_iovlen = 1;
        m.msg_control = control.as_mut_ptr().cast();
        m.msg_controllen = libc::CMSG_SPACE(4) as _;
        let c = libc::CMSG_FIRSTHDR(&m);
        (*c).cmsg_level = libc::SOL_SOCKET;
        (*c).cmsg_type = libc::SCM_RIGHTS;
        (*c).cmsg_len = libc::CMSG_LEN(4) as _;
        std::ptr::write_unaligned(libc::CMSG_DATA(c).cast(), fd);
        assert_eq!(libc::sendmsg(to, &m, 0), 1);
    }
}

#[test]
fn passed_descriptors() {
    runtime::block_on(async {
        let (a, b) = UnixStream::pair().unwrap();
        a.control(|fd| {
            let fd = fd.as_raw_fd();
            send_with_fd(fd, 1, fd);
            send_with_fd(fd, 2, fd);
            send_with_fd(fd, 3, fd);
            Ok(())
        })
        .unwrap();
        let mut got = vec![];
        while got.len() < 3 {
            let mut buf = [0; 100];
            let n = within("read", b.read(&mut buf)).await.unwrap();
            got.extend_from_slice(&buf[..n]);
            println!("{got:?}");
        }
    });
}

#[test]
fn urgent() {
    runtime::block_on(async {
        let (a, b) = tcp().await;
        a.control(|fd| {
            let fd = fd.as_raw_fd();
            unsafe {
                assert_eq!(libc::send(fd, b"abc".as_ptr().cast(), 3, 0), 3);
                assert_eq!(libc::send(fd, b"x".as_ptr().cast(), 1, libc::MSG_OOB), 1);
                assert_eq!(libc::send(fd, b"def".as_ptr().cast(), 3, 0), 3);
            }
            Ok(())
        })
        .unwrap();
        runtime::time::sleep(Duration::from_millis(100)).await;
        let mut got = vec![];
        while got.len() < 6 {
            let mut buf = [0; 100];
            let n = within("read", b.read(&mut buf)).await.unwrap();
            got.extend_from_slice(&buf[..n]);
            println!("{got:?}");
        }
    });
}
fn _x() -> io::Result<()> {
    Ok(())
}
