//! ⚠ Waiting for events with a finer clock than mio's, which rounds a timeout up to whole
//! milliseconds.
//!
//! A short timeout is waited out in `ppoll` on the epoll descriptor itself, which counts
//! nanoseconds and is readable when there are events; then they are fetched without waiting. Longer
//! timeouts, and none, go straight to mio: one system call. A caller whose timer is 20 ms away will
//! not notice up to one more, and a turn that ends early is asked again.
//!
//! *Rejected.* A timerfd: two system calls each time the next deadline changes. `epoll_pwait2`: the
//! events would have to be decoded here, beside mio.

use std::io;
use std::time::{Duration, Instant};

/// Timeouts below this are waited for exactly; above, being up to a millisecond late is at most a
/// twentieth.
const FINE: Duration = Duration::from_millis(20);

/// Fills `events`; empty when the time is over. Goes on after a signal.
pub(super) fn poll(
    poll: &mut mio::Poll,
    events: &mut mio::Events,
    timeout: Option<Duration>,
) -> io::Result<()> {
    // Without a clock reading where none is needed: for no timeout, a zero one, and one beyond the
    // clock's end.
    let deadline = timeout
        .filter(|timeout| !timeout.is_zero())
        .and_then(|timeout| Instant::now().checked_add(timeout));
    let mut left = timeout;
    loop {
        match once(poll, events, left) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                if let Some(deadline) = deadline {
                    left = Some(deadline.saturating_duration_since(Instant::now()));
                }
            }
            done => return done,
        }
    }
}

fn once(
    poll: &mut mio::Poll,
    events: &mut mio::Events,
    timeout: Option<Duration>,
) -> io::Result<()> {
    match timeout {
        Some(timeout) if !timeout.is_zero() && timeout < FINE => fine::poll(poll, events, timeout),
        timeout => poll.poll(events, timeout),
    }
}

#[cfg(all(any(target_os = "linux", target_os = "android"), not(miri)))]
mod fine {
    use std::io;
    use std::os::fd::AsRawFd;
    use std::ptr;
    use std::time::Duration;

    /// Waits until there are events to fetch, or the time is over, and fetches them.
    pub(super) fn poll(
        poll: &mut mio::Poll,
        events: &mut mio::Events,
        timeout: Duration,
    ) -> io::Result<()> {
        events.clear();
        if is_ready_within(poll, timeout)? {
            poll.poll(events, Some(Duration::ZERO))?;
        }
        Ok(())
    }

    /// `timeout` is below a second.
    fn is_ready_within(poll: &mio::Poll, timeout: Duration) -> io::Result<bool> {
        let mut descriptor = libc::pollfd {
            fd: poll.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: a timespec is plain integers (and on some targets padding): zero is a value of
        // it.
        let mut time: libc::timespec = unsafe { std::mem::zeroed() };
        // Below a second, hence below what the narrowest `c_long` holds.
        time.tv_nsec = timeout.subsec_nanos() as _;
        // SAFETY: both pointers are to live locals of the types that the call expects, the count is
        // one, and the kernel keeps neither. The descriptor is open for as long as `poll` is
        // borrowed.
        match unsafe { libc::ppoll(&mut descriptor, 1, &time, ptr::null()) } {
            -1 => Err(io::Error::last_os_error()),
            ready => Ok(ready > 0),
        }
    }
}

#[cfg(not(all(any(target_os = "linux", target_os = "android"), not(miri))))]
mod fine {
    use std::io;
    use std::time::Duration;

    /// There is no finer clock: mio rounds up.
    pub(super) fn poll(
        poll: &mut mio::Poll,
        events: &mut mio::Events,
        timeout: Duration,
    ) -> io::Result<()> {
        poll.poll(events, Some(timeout))
    }
}
