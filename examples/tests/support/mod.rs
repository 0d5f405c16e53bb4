//! Runs an example as a program of its own, and ends it if it hangs.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// So generous that only a hang takes longer.
const WATCHDOG: Duration = Duration::from_secs(300);

/// An example that runs.
pub(crate) struct Running {
    pub(crate) child: Child,
    stdout: JoinHandle<String>,
    stderr: JoinHandle<String>,
}

/// An example that has ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The path of an example that `cargo test` has built beside this test.
pub(crate) fn example(name: &str) -> PathBuf {
    let mut path = std::env::current_exe().expect("this test has a path");
    path.pop();
    path.pop();
    path.push("examples");
    path.push(name);
    assert!(
        path.exists(),
        "{} is missing: build it with `cargo build --examples`, or run all tests of the package",
        path.display()
    );
    path
}

pub(crate) fn run(name: &str, args: &[&str]) -> Ended {
    start(Command::new(example(name)).args(args)).end()
}

pub(crate) fn start(command: &mut Command) -> Running {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the example starts");
    let stdout = collect(child.stdout.take().expect("piped"));
    let stderr = collect(child.stderr.take().expect("piped"));
    Running {
        child,
        stdout,
        stderr,
    }
}

impl Running {
    /// Waits for the end; a program that hangs is killed, and the test fails.
    pub(crate) fn end(mut self) -> Ended {
        let deadline = Instant::now() + WATCHDOG;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                break status;
            }
            if Instant::now() > deadline {
                self.child.kill().expect("it is our child");
                let (stdout, stderr) = (self.stdout.join(), self.stderr.join());
                panic!("hangs; so far it said:\n{stdout:?}\n{stderr:?}");
            }
            thread::sleep(Duration::from_millis(5));
        };
        Ended {
            status,
            stdout: self.stdout.join().expect("stdout is text"),
            stderr: self.stderr.join().expect("stderr is text"),
        }
    }
}

impl Ended {
    /// The lines of stdout, after making sure that the program ended well.
    #[track_caller]
    pub(crate) fn lines(&self) -> Vec<&str> {
        assert!(
            self.status.success(),
            "{}\n{}\n{}",
            self.status,
            self.stdout,
            self.stderr
        );
        self.stdout.lines().collect()
    }
}

fn collect(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut text = String::new();
        pipe.read_to_string(&mut text).expect("the output is text");
        text
    })
}
