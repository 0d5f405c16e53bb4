//! Any descriptor as a device: `runtime::io::Fd`.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use runtime::io::{Direction, Fd, Source};

fn file(stream: UnixStream) -> File {
    File::from(OwnedFd::from(stream))
}

fn would_block<T>(done: io::Result<T>) -> bool {
    done.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

#[test]
fn a_blocking_descriptor_is_made_non_blocking_and_waits_in_the_reactor() {
    // One worker: a read that blocked it would be waited for by nobody.
    let runtime = runtime::Builder::new().max_procs(1).build().unwrap();
    runtime.block_on(async {
        let (one, other) = UnixStream::pair().unwrap();
        let (one, other) = (file(one), file(other));
        let (one, other) = (
            Source::from_fd(one).unwrap(),
            Source::from_fd(other).unwrap(),
        );
        assert!(would_block(
            one.try_io(Direction::Read, |mut it| it.read(&mut [0]))
        ));
        let echo = runtime::spawn(async move {
            let mut buf = [0; 8];
            let n = other.read_with(|mut it| it.read(&mut buf)).await?;
            other.write_with(|mut it| it.write(&buf[..n])).await
        });
        runtime::spawn(async move {
            one.write_with(|mut it| it.write(b"ping")).await?;
            let mut back = [0; 8];
            let n = one.read_with(|mut it| it.read(&mut back)).await?;
            assert_eq!(&back[..n], b"ping");
            io::Result::Ok(())
        })
        .await
        .unwrap()
        .unwrap();
        assert_eq!(echo.await.unwrap().unwrap(), 4);
    });
}

#[test]
fn writes_wait_until_there_is_room() {
    runtime::block_on(async {
        let (one, other) = UnixStream::pair().unwrap();
        let one = Source::from_fd(file(one)).unwrap();
        let chunk = [7; 4096];
        let mut sent = 0;
        while let Ok(n) = one.try_io(Direction::Write, |mut it| it.write(&chunk)) {
            sent += n;
        }
        let reader = runtime::spawn_blocking(move || {
            let mut all = Vec::new();
            (&other).read_to_end(&mut all).map(|n| (n, all))
        });
        sent += one.write_with(|mut it| it.write(&chunk)).await.unwrap();
        drop(one);
        let (n, all) = reader.await.unwrap().unwrap();
        assert_eq!(n, sent);
        assert!(all.iter().all(|&byte| byte == 7));
    });
}

// kqueue waits for files, too: there is nothing to refuse elsewhere.
#[cfg(target_os = "linux")]
#[test]
fn a_regular_file_is_refused_with_what_to_do() {
    runtime::block_on(async {
        let program = File::open(std::env::current_exe().unwrap()).unwrap();
        let error = Source::from_fd(program).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        assert!(
            error.to_string().ends_with("use it in spawn_blocking"),
            "{error}"
        );
    });
}

#[test]
fn what_is_lent_stays_open_and_may_be_registered_again() {
    runtime::block_on(async {
        let (one, other) = UnixStream::pair().unwrap();
        for _ in 0..3 {
            let lent = Source::from_fd(one.as_fd()).unwrap();
            lent.writable().await.unwrap();
            assert!(format!("{lent:?}").contains("Fd"));
        }
        let source = Source::new(Fd(one)).unwrap();
        let mut one = source.into_inner().unwrap();
        one.set_nonblocking(false).unwrap();
        (&other).write_all(b"x").unwrap();
        let mut byte = [0];
        one.read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"x");
    });
}
