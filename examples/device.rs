//! A device of one's own in the reactor: the output of a child process, read line by line without a
//! thread that waits for it.
//!
//! Whatever the system can poll becomes a `runtime::io::Source`: a pipe as here, a serial port,
//! inotify. `from_fd` makes it non-blocking. All that reads it goes through the source, which tries
//! first and waits when there is nothing. Meanwhile other tasks run.
//!
//! Go: `bufio.NewScanner(cmd.StdoutPipe())`.
//!
//! Run: `cargo run --release --example device`
//!
//! Prints `child: line 1` to `child: line 3`, and `the child has ended, and 3 lines have come`.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use runtime::io::{Fd, Source};

const CHILD: &str = "for i in 1 2 3; do echo line $i; sleep 0.1; done";

/// Lines from a device.
struct Lines {
    device: Source<Fd<File>>,
    /// What has been read, and not been given out.
    rest: Vec<u8>,
}

impl Lines {
    async fn next(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(end) = self.rest.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return Ok(Some(String::from_utf8_lossy(&line[..end]).into_owned()));
            }
            let mut buffer = [0; 1024];
            // `Read` is implemented for `&File`, and so for `&Fd<File>`. A call that would block is
            // repeated when there is something.
            let n = self
                .device
                .read_with(|mut pipe| pipe.read(&mut buffer))
                .await?;
            if n == 0 {
                return Ok(None);
            }
            self.rest.extend_from_slice(&buffer[..n]);
        }
    }
}

#[runtime::main]
async fn main() -> io::Result<()> {
    let mut child = Command::new("sh")
        .args(["-c", CHILD])
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let mut lines = Lines {
        // Non-blocking from now on, or its reads would block the thread.
        device: Source::from_fd(File::from(OwnedFd::from(stdout)))?,
        rest: Vec::new(),
    };
    let mut count = 0;
    while let Some(line) = lines.next().await? {
        println!("child: {line}");
        count += 1;
    }
    // It has closed its output: it ends now, and waiting for that is short.
    runtime::block_in_place(|| child.wait())?;
    println!("the child has ended, and {count} lines have come");
    Ok(())
}
