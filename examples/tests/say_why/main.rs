//! Which programs are told that they hang for ever, and which are not; and what SIGQUIT makes a
//! program say.
//!
//! Whether a program hangs depends on every thread of its process, so that each case is a process
//! of its own: this program, started again with the name of the case. No test harness, which has
//! threads too.
//!
//! `cargo test -p weftline-examples --test say_why [part of a name]`

#[path = "../support/mod.rs"]
mod support;

mod said;
mod silent;
mod told;

use std::env;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitCode};
use std::thread;
use std::time::Duration;

use support::{Ended, start};

/// Many times as long as the check needs to make up its mind.
const LATER: Duration = Duration::from_millis(1500);

/// For cases in which the monitor has something to say within this time, also when it gets to run
/// only now and then.
const LONG: Duration = Duration::from_secs(8);

/// A case: what runs in a process of its own, and what has to become of it.
struct Case {
    name: &'static str,
    run: fn(),
    ends: Ends,
}

enum Ends {
    /// By the report, which has these parts.
    Told(&'static [&'static str]),
    /// Well.
    Well,
    /// Well, having said this on stderr. The first text is its `RUNTIME_DEBUG`.
    WellSaying(&'static str, &'static [&'static str]),
    /// Well, having said this on stderr, and only once.
    WellSayingOnce(&'static str),
    /// Well, because the parent connects to it and writes a byte when it has waited for a while.
    WellWhenWrittenTo,
    /// Well, because the parent sends this signal when it has waited for a while.
    WellWhenSignalled(libc::c_int),
    /// By the parent's SIGQUIT, which has no handler. The text is its `RUNTIME_DEBUG`.
    ByTheParentOnly(&'static str),
    /// By the parent's SIGQUIT, having said this on stderr.
    SayingToTheEnd(&'static [&'static str]),
    /// By the parent's SIGQUIT, which makes it print these parts.
    Dumping(&'static [&'static str]),
}

fn main() -> ExitCode {
    let argument = env::args().nth(1).unwrap_or_default();
    if let Some(case) = argument.strip_prefix("case:") {
        let case = all().find(|known| known.name == case);
        (case.expect("a known case").run)();
        return ExitCode::SUCCESS;
    }
    if !cfg!(target_os = "linux") {
        println!("only Linux tells enough of a process' threads");
        return ExitCode::SUCCESS;
    }
    let wanted = |case: &&Case| argument.starts_with('-') || case.name.contains(&argument);
    let running: Vec<_> = all().filter(wanted).map(begin).collect();
    let failed = running.into_iter().map(|(case, end)| judge(case, end()));
    match failed.filter(|well| !well).count() {
        0 => ExitCode::SUCCESS,
        n => {
            println!("{n} failed");
            ExitCode::FAILURE
        }
    }
}

fn all() -> impl Iterator<Item = &'static Case> {
    [told::CASES, silent::CASES, said::CASES]
        .into_iter()
        .flatten()
}

/// Tells the parent that the signal may come.
fn ready() {
    TcpStream::connect(parent()).expect("the parent listens");
}

/// Where the parent listens.
fn parent() -> SocketAddr {
    env::args()
        .nth(2)
        .expect("an address")
        .parse()
        .expect("an address")
}

/// Starts a case; the function that comes back waits for its end.
fn begin(case: &'static Case) -> (&'static Case, Box<dyn FnOnce() -> Ended>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let mut command = Command::new(env::current_exe().expect("this test has a path"));
    command
        .arg(format!("case:{}", case.name))
        .arg(address.to_string());
    command.env_remove("RUNTIME_DEBUG");
    if let Ends::ByTheParentOnly(debug) | Ends::WellSaying(debug, _) = case.ends {
        command.env("RUNTIME_DEBUG", debug);
    }
    let running = start(&mut command);
    match case.ends {
        Ends::Told(_) | Ends::Well | Ends::WellSaying(..) | Ends::WellSayingOnce(_) => {}
        Ends::WellWhenWrittenTo => write_later(listener),
        Ends::WellWhenSignalled(signal) => signal_later(listener, &running.child, signal, LATER),
        Ends::ByTheParentOnly(_) | Ends::Dumping(_) => {
            signal_later(listener, &running.child, libc::SIGQUIT, LATER);
        }
        Ends::SayingToTheEnd(_) => {
            signal_later(listener, &running.child, libc::SIGQUIT, LONG);
        }
    }
    (case, Box::new(move || running.end()))
}

/// As `#[runtime::test]` runs it.
fn as_a_test(body: impl Future<Output = ()> + Send + 'static) {
    runtime::__private::AsTask.run(runtime::__private::Entry::test(), body);
}

fn write_later(listener: TcpListener) {
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("the case connects");
        thread::sleep(LATER);
        stream.write_all(&[1]).expect("the case reads");
    });
}

fn signal_later(listener: TcpListener, child: &Child, signal: libc::c_int, wait: Duration) {
    let id = libc::pid_t::try_from(child.id()).expect("a process number");
    thread::spawn(move || {
        listener.accept().expect("the case is ready");
        thread::sleep(wait);
        // SAFETY: a plain system call. The child waits for nothing else, so the number is still its
        // own.
        unsafe { libc::kill(id, signal) };
    });
}

fn judge(case: &Case, ended: Ended) -> bool {
    let told = ended.stderr.contains("all tasks are asleep - deadlock!");
    let said = |parts: &[&str]| parts.iter().all(|part| ended.stderr.contains(part));
    let well = match case.ends {
        Ends::Told(parts) => told && ended.status.code() == Some(101) && said(parts),
        Ends::WellSaying(_, parts) => ended.status.success() && said(parts),
        Ends::WellSayingOnce(part) => {
            ended.status.success() && ended.stderr.matches(part).count() == 1
        }
        Ends::Dumping(parts) => ended.status.code() == Some(2) && said(parts),
        Ends::ByTheParentOnly(_) => !told && ended.status.signal() == Some(libc::SIGQUIT),
        Ends::SayingToTheEnd(parts) => ended.status.signal() == Some(libc::SIGQUIT) && said(parts),
        Ends::Well | Ends::WellWhenWrittenTo | Ends::WellWhenSignalled(_) => {
            !told && ended.status.success()
        }
    };
    println!("{} {}", if well { "ok    " } else { "FAILED" }, case.name);
    if !well {
        println!("{}\n{}{}", ended.status, ended.stdout, ended.stderr);
    }
    well
}
