//! The parent's end: starts the children, reads what they say, and makes sure that none outlives
//! it.
//!
//! Each child has a thread that turns its lines into events on one queue, so that the parent waits
//! in one place. A child that dies shows as the end of its lines. Children end when their stdin
//! closes, which the system sees to however the parent goes; those that do not, or that are at work
//! when the run is cut short, are killed.
#![forbid(unsafe_code)]

use std::io::{self, BufRead, BufReader, Write};
use std::num::NonZero;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use crate::interrupt;

/// How long children may take to end in good order; a little longer than they give themselves.
const GRACE: Duration = Duration::from_secs(2);

/// All children of this run.
#[derive(Debug)]
pub(crate) struct Fleet {
    members: Vec<Member>,
    events: Receiver<(usize, Event)>,
    sender: Sender<(usize, Event)>,
}

#[derive(Debug)]
struct Member {
    name: String,
    process: Child,
    /// Taken away to tell the child that it may end.
    stdin: Option<ChildStdin>,
}

/// What is heard of a child.
#[derive(Debug)]
pub(crate) enum Event {
    Line(String),
    /// Its last line was said: it is ending, or dead.
    Gone,
    /// Ctrl-C, which is the parent's to hear: of no child.
    Interrupted,
}

impl Fleet {
    pub(crate) fn new() -> Self {
        let (sender, events) = mpsc::channel();
        let interrupted = sender.clone();
        // Without it Ctrl-C ends the parent, and that the children: no summary, and no harm.
        let _ = interrupt::on_ctrl_c(move || {
            let _ = interrupted.send((0, Event::Interrupted));
        });
        Self {
            members: Vec::new(),
            events,
            sender,
        }
    }

    /// Starts this program anew as a child; returns its number, by which it is known from here on.
    pub(crate) fn start(
        &mut self,
        name: String,
        args: &[String],
        workers: usize,
    ) -> io::Result<usize> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Out of the terminal's reach: Ctrl-C is sent to the parent alone, which ends the
            // children and says how far they were.
            .process_group(0);
        if std::env::var_os("RUNTIME_MAXPROCS").is_none() {
            command.env("RUNTIME_MAXPROCS", workers.to_string());
        }
        let mut process = command.spawn()?;
        let stdin = process.stdin.take();
        let stdout = process.stdout.take().expect("stdout is piped");

        let id = self.members.len();
        let events = self.sender.clone();
        thread::Builder::new().spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if events.send((id, Event::Line(line))).is_err() {
                    return;
                }
            }
            let _ = events.send((id, Event::Gone));
        })?;
        self.members.push(Member {
            name,
            process,
            stdin,
        });
        Ok(id)
    }

    /// Sends an order. A child that cannot hear it is dead, and its `Gone` is on the way.
    pub(crate) fn tell(&mut self, id: usize, order: &str) {
        if let Some(stdin) = &mut self.members[id].stdin {
            let _ = writeln!(stdin, "{order}").and_then(|()| stdin.flush());
        }
    }

    /// The next thing that a child says; `None` if there is none by `deadline`.
    pub(crate) fn hear(&self, deadline: Instant) -> Option<(usize, Event)> {
        match self
            .events
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => unreachable!("the fleet holds a sender"),
        }
    }

    pub(crate) fn name(&self, id: usize) -> String {
        format!(
            "{} (process {})",
            self.members[id].name,
            self.members[id].process.id()
        )
    }

    pub(crate) fn pid(&self, id: usize) -> u32 {
        self.members[id].process.id()
    }

    /// Lets all children end in good order.
    pub(crate) fn end(mut self) {
        for member in &mut self.members {
            member.stdin = None;
        }
        let deadline = Instant::now() + GRACE;
        for member in &mut self.members {
            wait(&mut member.process, deadline);
        }
    }

    /// How a child ended that is `Gone`.
    pub(crate) fn fate(&mut self, id: usize) -> String {
        let deadline = Instant::now() + GRACE;
        let member = &mut self.members[id];
        match wait(&mut member.process, deadline) {
            Some(status) => status.to_string(),
            None => "output closed".to_owned(),
        }
    }
}

impl Drop for Fleet {
    /// Kills what has not ended: after [`end`](Fleet::end) nothing as a rule, and everything when
    /// the run was cut short.
    fn drop(&mut self) {
        for member in &mut self.members {
            let _ = member.process.kill();
            let _ = member.process.wait();
        }
    }
}

/// The workers that each of so many processes should have, for an even share of the CPUs.
pub(crate) fn workers_each(processes: usize) -> usize {
    let cpus = thread::available_parallelism().map_or(1, NonZero::get);
    cpus.div_ceil(processes.max(1))
}

fn wait(process: &mut Child, deadline: Instant) -> Option<std::process::ExitStatus> {
    loop {
        match process.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(5)),
            _ => return None,
        }
    }
}
