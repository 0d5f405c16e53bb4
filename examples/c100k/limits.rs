//! What this machine allows, and what to do where that is not enough.
//!
//! Checked before anything is started, so that most limits are met here, in one line, and not by
//! the ninety-thousandth connection. Where one is met later all the same, [`with_cure`] says what
//! to do about the error.
//!
//! The one file of this program with unsafe code: std has no way to read or raise the limit of open
//! files.

use std::fs;
use std::io;

/// Descriptors of a process that are not connections: stdin, stdout, stderr, epoll, the waker, the
/// listener, and some to spare.
const OWN_FILES: usize = 64;

/// How much memory a connection takes, both ends and the kernel's part included, in bytes. The
/// kernel's, about 10 kB, is nearly all.
const MEMORY_PER_CONNECTION: u64 = 12_000;

/// Raises the soft limit of open files to the hard one, and returns it. Children inherit it.
pub(crate) fn raise_open_files() -> io::Result<usize> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the pointer is to a `rlimit` of ours, which the call fills.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: the pointer is to a `rlimit` of ours, which the call only reads.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(usize::try_from(limit.rlim_max).unwrap_or(usize::MAX))
}

/// How many connections one process can hold under a limit of open files.
pub(crate) fn connections_per_process(open_files: usize) -> usize {
    open_files.saturating_sub(OWN_FILES)
}

/// Bytes in a page of memory.
pub(crate) fn page_size() -> u64 {
    // SAFETY: `sysconf` takes and returns plain numbers.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(size).unwrap_or(4096)
}

/// How many ports the system may choose from for one source address.
pub(crate) fn ephemeral_ports() -> Option<usize> {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let mut ends = text.split_whitespace().map(str::parse::<usize>);
    let (low, high) = (ends.next()?.ok()?, ends.next()?.ok()?);
    Some(high.checked_sub(low)? + 1)
}

/// The first limit of the system that so many connections, both ends of `ends` here, would not fit
/// in; as a line that says what to do.
pub(crate) fn obstacle(connections: usize, ends: usize) -> Option<String> {
    let sockets = connections * ends;
    let too_little = |have: u64, need: usize| have < need as u64;

    if let Some(free) = meminfo("MemAvailable") {
        let need = connections as u64 * MEMORY_PER_CONNECTION * ends as u64 / 2;
        if free < need {
            return Some(format!(
                "{connections} connections take about {} MB of memory and {} MB are free: free some, or ask for fewer with \
                 --connections",
                need >> 20,
                free >> 20
            ));
        }
    }
    if let Some(files) = system_number("/proc/sys/fs/file-max") {
        if too_little(files, sockets) {
            return Some(format!(
                "{sockets} sockets do not fit in the system's {files} open files: sysctl -w fs.file-max={}",
                2 * sockets
            ));
        }
    }
    if let Some(watches) = system_number("/proc/sys/fs/epoll/max_user_watches") {
        if too_little(watches, sockets) {
            return Some(format!(
                "{sockets} sockets do not fit in the {watches} epoll watches of a user: sysctl -w fs.epoll.max_user_watches={}",
                2 * sockets
            ));
        }
    }
    // Only there where packets are tracked; then loopback's are too.
    if let Some(tracked) = system_number("/proc/sys/net/netfilter/nf_conntrack_max") {
        if too_little(tracked, connections) {
            return Some(format!(
                "the firewall tracks at most {tracked} connections: sysctl -w net.netfilter.nf_conntrack_max={}",
                2 * connections
            ));
        }
    }
    None
}

/// A field of `/proc/meminfo` in bytes.
pub(crate) fn meminfo(field: &str) -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

fn system_number(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// A line about an error, with what to do about it if that is known.
pub(crate) fn with_cure(errno: i32, text: &str) -> String {
    match cure(errno) {
        Some(cure) => format!("{text} — {cure}"),
        None => text.to_owned(),
    }
}

fn cure(errno: i32) -> Option<&'static str> {
    Some(match errno {
        libc::EMFILE => {
            "a process may not open more files: raise the hard limit (ulimit -Hn), or use more --processes"
        }
        libc::ENFILE => "the system may not open more files: sysctl -w fs.file-max=… higher",
        libc::EADDRINUSE => {
            "another program has this port: choose another with --address, or leave it out for a free one"
        }
        libc::EADDRNOTAVAIL => {
            "no free port at the source address, or the address is not of this machine: \
             sysctl -w net.ipv4.ip_local_port_range='1024 65000'"
        }
        libc::EACCES => "ports below 1024 need privileges: choose a higher one with --address",
        libc::ENOBUFS | libc::ENOMEM => {
            "the kernel has no memory for more: free some, or ask for fewer with --connections"
        }
        libc::ENOSPC => {
            "no more epoll watches for this user: sysctl -w fs.epoll.max_user_watches=… higher"
        }
        libc::EAGAIN => {
            "no more processes or threads for this user: raise ulimit -u, or use fewer --processes"
        }
        libc::ECONNREFUSED => {
            "nothing listens there: start a server with --server, and give its address with --address"
        }
        libc::ECONNRESET | libc::EPIPE => "the server went away, or closed the connection",
        libc::ETIMEDOUT => {
            "the server's queue overflows: sysctl -w net.core.somaxconn=4096, or fewer --in-flight"
        }
        _ => return None,
    })
}
