//! Sending files: from the system's cache of the disk to the socket, without passing through this
//! process.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io;
use std::ops::{Bound, Range, RangeBounds};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::panic::Location;

use runtime::io::Direction;

use crate::kind::StreamKind;
use crate::socket::Blocks;
use crate::stream::Stream;
use crate::sys;

/// Bytes a call, so that one which has to wait for the disk keeps its worker for some milliseconds
/// at most.
const CHUNK: u64 = 256 * 1024;

/// Bytes read at a time where the system cannot send the file itself.
const BUFFER: u64 = 64 * 1024;

impl<K: StreamKind> Stream<K> {
    /// Sends a part of a file, or all of it (`..`), and returns the number of bytes. It ends where
    /// the file ends, also if the range is longer.
    ///
    /// The bytes go from the system's cache to the socket without passing through this process
    /// (`sendfile`), where the system can do that; elsewhere, and for files of which it cannot,
    /// they are read on a thread for blocking jobs. Where the file is read next by other means does
    /// not change.
    ///
    /// # Errors
    ///
    /// As for [`write`](Self::write); what the system says about reading the file;
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the range ends before it begins.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: how much has been sent is forgotten.
    ///
    /// ```
    /// # let path = std::env::temp_dir().join(format!("net-send-file-{}", std::process::id()));
    /// # runtime::block_on(async {
    /// # std::fs::write(&path, "hello, world")?;
    /// let (a, b) = net::UnixStream::pair()?;
    /// let file = std::fs::File::open(&path)?;
    /// assert_eq!(a.send_file(&file, ..5).await?, 5);
    /// let mut buf = [0; 16];
    /// assert_eq!(b.read(&mut buf).await?, 5);
    /// assert_eq!(&buf[..5], b"hello");
    /// # std::fs::remove_file(&path)?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `io.Copy(conn, file)`, which begins where the file is read next.
    #[track_caller]
    pub fn send_file<'a>(
        &'a self,
        file: &'a File,
        range: impl RangeBounds<u64>,
    ) -> impl Future<Output = io::Result<u64>> + Send + 'a {
        let place = Location::caller();
        let range = bounds(&range);
        async move {
            let range = range?;
            if sys::broken_pipes_kill() {
                return self.send_read(file, range, place).await;
            }
            let mut at = range.start;
            while at < range.end {
                let most = CHUNK.min(range.end - at) as usize;
                let sent = self
                    .inner
                    .io(Direction::Write, place, Blocks::Perhaps, |socket, _| {
                        sys::send_file(file.as_fd(), at, socket.as_fd(), most)
                    });
                match sent.await {
                    Ok(0) => break,
                    Ok(n) => at += n as u64,
                    Err(error) if sys::is_refused(&error) => {
                        at += self.send_read(file, at..range.end, place).await?;
                        break;
                    }
                    Err(error) => return Err(error),
                }
            }
            Ok(at - range.start)
        }
    }

    /// The plain way: reads and writes by turns.
    async fn send_read(
        &self,
        file: &File,
        range: Range<u64>,
        place: &'static Location<'static>,
    ) -> io::Result<u64> {
        let mut buffer = vec![0; BUFFER as usize];
        let mut at = range.start;
        while at < range.end {
            let file = file.try_clone()?;
            let most = BUFFER.min(range.end - at) as usize;
            let reading = runtime::spawn_blocking(move || {
                let n = loop {
                    match file.read_at(&mut buffer[..most], at) {
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        read => break read?,
                    }
                };
                io::Result::Ok((buffer, n))
            });
            let n;
            (buffer, n) = reading.await.map_err(io::Error::other)??;
            if n == 0 {
                break;
            }
            self.inner.write_all(place, &buffer[..n]).await?;
            at += n as u64;
        }
        Ok(at - range.start)
    }
}

fn bounds(range: &impl RangeBounds<u64>) -> io::Result<Range<u64>> {
    let start = match range.start_bound() {
        Bound::Included(&start) => start,
        Bound::Excluded(&before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(&last) => last.saturating_add(1),
        Bound::Excluded(&end) => end,
        Bound::Unbounded => u64::MAX,
    };
    match start <= end {
        true => Ok(start..end),
        false => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the range ends before it begins: give it as start..end",
        )),
    }
}
