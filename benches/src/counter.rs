//! Counts the system calls of another process.
//!
//! By the kernel's tracepoint `raw_syscalls:sys_enter`, where this process may use it: the calls
//! are counted as they happen, and the process is not stopped. Else with `strace -c`, which stops
//! it twice a call: the rates of that time mean nothing, and the count a message is a little lower
//! than in earnest, since more messages lie ready for each wait. Else not at all. Either way it is
//! a run of its own after the one that is timed, for even the tracepoint makes each call dearer.
//!
//! One of the few files here with unsafe code: `perf_event_open`, for which neither std nor libc
//! has a function.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::os::fd::FromRawFd;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A count that is running.
#[derive(Debug)]
pub(crate) enum Counter {
    /// One open event a thread; threads that they start are counted too.
    Tracepoint(Vec<File>),
    /// strace, and where it will write.
    Strace(Child, PathBuf),
}

impl Counter {
    /// Starts to count what the process does from now on.
    pub(crate) fn start(pid: u32) -> Result<Counter, String> {
        tracepoint(pid)
            .map(Counter::Tracepoint)
            .or_else(|first| strace(pid).map_err(|second| format!("{first}; {second}")))
    }

    /// How it counts.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Counter::Tracepoint(_) => "tracepoint",
            Counter::Strace(..) => "strace",
        }
    }

    /// The number of calls since the start.
    pub(crate) fn stop(self) -> Result<u64, String> {
        match self {
            Counter::Tracepoint(events) => {
                let mut sum = 0;
                for mut event in events {
                    let mut count = [0; 8];
                    event.read_exact(&mut count).map_err(|e| e.to_string())?;
                    sum += u64::from_ne_bytes(count);
                }
                Ok(sum)
            }
            Counter::Strace(mut strace, output) => {
                interrupt(&strace);
                strace.wait().map_err(|e| e.to_string())?;
                let table = fs::read_to_string(&output).map_err(|e| e.to_string())?;
                let _ = fs::remove_file(&output);
                total(&table).ok_or_else(|| format!("strace prints no total: {table}"))
            }
        }
    }
}

/// `perf_event_attr` as it was in its first version, which every kernel takes.
#[repr(C)]
#[derive(Default)]
struct Attributes {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_events: u32,
    breakpoint_type: u32,
    config1: u64,
}

fn tracepoint(pid: u32) -> Result<Vec<File>, String> {
    const TRACEPOINT: u32 = 2;
    // Threads that are started later are counted with the one that started them.
    const INHERIT: u64 = 1 << 1;
    let id = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"]
        .iter()
        .find_map(|dir| fs::read_to_string(format!("{dir}/events/raw_syscalls/sys_enter/id")).ok())
        .and_then(|id| id.trim().parse().ok())
        .ok_or("the tracepoint is not to be had")?;
    let attributes = Attributes {
        kind: TRACEPOINT,
        size: size_of::<Attributes>() as u32,
        config: id,
        flags: INHERIT,
        ..Attributes::default()
    };
    let threads = fs::read_dir(format!("/proc/{pid}/task")).map_err(|e| e.to_string())?;
    let mut events = Vec::new();
    for thread in threads {
        let thread = thread.map_err(|e| e.to_string())?.file_name();
        let thread: i32 = (thread.to_string_lossy().parse()).map_err(|_| "an odd thread")?;
        events.push(open(&attributes, thread)?);
    }
    Ok(events)
}

fn open(attributes: &Attributes, thread: i32) -> Result<File, String> {
    const ANY_CPU: i32 = -1;
    const NO_GROUP: i32 = -1;
    const CLOEXEC: u64 = 1 << 3;
    // SAFETY: the pointer is to live attributes of the size that they name, which the call only
    // reads; the other arguments are numbers.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            &raw const *attributes,
            thread,
            ANY_CPU,
            NO_GROUP,
            CLOEXEC,
        )
    };
    if fd < 0 {
        return Err(format!(
            "perf_event_open: {}",
            std::io::Error::last_os_error()
        ));
    }
    // SAFETY: the descriptor was made just now, and nobody else owns it.
    Ok(unsafe { File::from_raw_fd(fd as i32) })
}

fn strace(pid: u32) -> Result<Counter, String> {
    let output = std::env::temp_dir().join(format!("benches-strace-{pid}"));
    let mut strace = Command::new("strace")
        .args(["-c", "-f", "-o"])
        .arg(&output)
        .args(["-p", &pid.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("strace: {e}"))?;
    let said = strace.stderr.take().map(BufReader::new);
    let mut lines = said
        .into_iter()
        .flat_map(BufRead::lines)
        .map_while(Result::ok);
    // It says so once all threads that there are have been stopped and go on under its eyes.
    if !lines.any(|line| line.contains("attached")) {
        let _ = strace.wait();
        return Err("strace may not attach".to_owned());
    }
    Ok(Counter::Strace(strace, output))
}

fn interrupt(strace: &Child) {
    // SAFETY: the call takes no pointer; the process is a child that has not been waited for, so
    // that its id names no other.
    unsafe { libc::kill(strace.id() as i32, libc::SIGINT) };
}

/// The calls in the last line of `strace -c`: `100.00 0.000123 0 42 3 total`, with or without the
/// column of errors.
fn total(table: &str) -> Option<u64> {
    let line = table
        .lines()
        .find(|line| line.trim_end().ends_with("total"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_of_strace_is_read_with_and_without_errors() {
        let with = "  0.00 0.1 1 7 write\n------\n100.00    0.001371           2       642        60 total\n";
        assert_eq!(total(with), Some(642));
        assert_eq!(
            total("100.00    0.001371           2       642           total\n"),
            Some(642)
        );
        assert_eq!(total("nothing"), None);
    }

    #[test]
    fn what_another_process_calls_is_counted() {
        // Each line costs a read and a write, and nothing happens between lines.
        let mut cat = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("cat");
        let (mut to, from) = (
            cat.stdin.take().expect("in"),
            cat.stdout.take().expect("out"),
        );
        let mut from = BufReader::new(from);
        let mut exchange = || {
            std::io::Write::write_all(&mut to, b"x\n").expect("cat reads");
            from.read_line(&mut String::new()).expect("cat writes");
        };
        exchange();
        match Counter::start(cat.id()) {
            Ok(counter) => {
                (0..100).for_each(|_| exchange());
                let count = counter.stop().expect("a count");
                assert!((199..=210).contains(&count), "{count} calls for 100 lines");
            }
            Err(why) => eprintln!("not tested, since nothing can be counted here: {why}"),
        }
        drop(to);
        cat.wait().expect("cat ends with its input");
    }
}
