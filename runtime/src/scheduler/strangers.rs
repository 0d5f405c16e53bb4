//! Whether a thread that belongs to no runtime sleeps until another thread wakes it.
//!
//! The deadlock check can look into the threads of this crate. Of others it sees what the system
//! tells: in which call a thread is, and how often it has given up its CPU. A thread that waits for
//! a futex of this process, without a limit of time, is woken by a thread of this process or not at
//! all: that is a lock, a condition variable, a channel of std, a `park`, the end of another
//! thread. Whoever is in any other call, or in none, may go on by himself.
//!
//! One answer is of one moment, and carries the number of times that the thread has gone to sleep.
//! Two answers with the same number say that it slept all the while in between.
//!
//! *Rejected*: to overlook whoever was there before a test began. A pool or a helper that an
//! earlier test has started is there, too, and may be about to bring this test's answer.
#![forbid(unsafe_code)]

use std::fs;

use super::threads::{PROC, ThreadNumber};

/// The number of `futex(2)`.
#[cfg(any(target_os = "linux", target_os = "android"))]
const FUTEX: libc::c_long = libc::SYS_futex;

/// There is no such call.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const FUTEX: libc::c_long = -1;

/// `FUTEX_WAIT` and `FUTEX_WAIT_BITSET`, from linux/futex.h.
const WAITS: [u64; 2] = [0, 9];

/// `FUTEX_PRIVATE_FLAG`: no other process shares it.
const PRIVATE: u64 = 128;

/// `FUTEX_CLOCK_REALTIME`: says which clock a limit is of.
const CLOCK_REALTIME: u64 = 256;

/// How often the thread has gone to sleep, if it sleeps now until another thread of this process
/// wakes it; `None`: it does not, or nobody knows.
pub(crate) fn asleep(thread: ThreadNumber) -> Option<u64> {
    // Before and after: else the number could be that of a sleep that was over, or had not begun,
    // when the call was looked at.
    let before = sleeps(thread)?;
    let call = read(thread, "syscall")?;
    let waits = Futex::parse(&call)?.needs_a_thread(is_thread);
    (waits && sleeps(thread)? == before).then_some(before)
}

/// How often the thread has given up its CPU, of itself or not.
fn sleeps(thread: ThreadNumber) -> Option<u64> {
    let status = read(thread, "status")?;
    let field = |name| -> Option<u64> {
        let value = status.lines().find_map(|line| line.strip_prefix(name))?;
        value.trim().parse().ok()
    };
    Some(field("voluntary_ctxt_switches:")? + field("nonvoluntary_ctxt_switches:")?)
}

/// What the thread calls itself, in so many letters as the system keeps.
pub(crate) fn name(thread: ThreadNumber) -> Option<String> {
    Some(read(thread, "comm")?.trim_end().to_owned())
}

fn is_thread(number: u64) -> bool {
    ThreadNumber::try_from(number).is_ok_and(|number| read(number, "status").is_some())
}

fn read(thread: ThreadNumber, what: &str) -> Option<String> {
    fs::read_to_string(format!("{PROC}/self/task/{thread}/{what}")).ok()
}

/// A thread's call of `futex`.
#[derive(Debug, PartialEq, Eq)]
struct Futex {
    operation: u64,
    /// What the futex held when it went to sleep.
    value: u64,
    /// Where its limit of time is; 0: it has none.
    limit: u64,
}

impl Futex {
    /// From `/proc/…/syscall`: the call's number and its arguments; or `running`, or `-1` for a
    /// thread that sleeps in no call.
    fn parse(call: &str) -> Option<Self> {
        let mut words = call.split_ascii_whitespace();
        if words.next()?.parse::<libc::c_long>().ok()? != FUTEX {
            return None;
        }
        let mut arguments =
            words.map(|word| u64::from_str_radix(word.strip_prefix("0x")?, 16).ok());
        let mut next = || arguments.next().flatten();
        let _address = next()?;
        // Both are 32 bits wide; what the upper half of the register holds is nobody's.
        let (operation, value) = (next()? & 0xffff_ffff, next()? & 0xffff_ffff);
        Some(Self {
            operation,
            value,
            limit: next()?,
        })
    }

    /// Whether only a thread of this process can end the wait. A futex that is not private may
    /// belong to another process as well; but not the one by which a thread waits for the end of
    /// another, which the system sets to that one's number.
    fn needs_a_thread(&self, is_thread: impl FnOnce(u64) -> bool) -> bool {
        let operation = self.operation & !(PRIVATE | CLOCK_REALTIME);
        let ours = self.operation & PRIVATE != 0 || is_thread(self.value);
        WAITS.contains(&operation) && self.limit == 0 && ours
    }
}

#[cfg(all(test, target_os = "linux", not(any(loom, miri))))]
mod tests {
    use super::super::threads;
    use super::*;
    use std::sync::mpsc;
    use std::thread;
    use std::time::{Duration, Instant};

    fn call(operation: u64, value: u64, limit: u64) -> Option<Futex> {
        let text =
            format!("{FUTEX} 0x7f00 {operation:#x} {value:#x} {limit:#x} 0x0 0xff 0x1 0x2\n");
        Futex::parse(&text)
    }

    #[test]
    fn a_private_futex_without_a_limit_needs_a_thread() {
        let needs = |operation, limit| call(operation, 1, limit).unwrap().needs_a_thread(|_| false);
        assert!(needs(PRIVATE, 0), "a wait");
        assert!(needs(PRIVATE | 9, 0), "a wait by bits");
        assert!(needs(PRIVATE | CLOCK_REALTIME | 9, 0));
        assert!(!needs(PRIVATE | 9, 0x7f00), "it has a limit");
        assert!(!needs(9, 0), "another process may wake it");
        assert!(!needs(PRIVATE | 6, 0), "no plain wait");
    }

    #[test]
    fn a_futex_with_the_number_of_a_thread_is_that_one_s_end() {
        assert!(
            call(9, 77, 0)
                .unwrap()
                .needs_a_thread(|number| number == 77)
        );
        assert!(!call(9, 77, 0x7f00).unwrap().needs_a_thread(|_| true));
    }

    #[test]
    fn what_is_no_futex_is_not_taken_for_one() {
        assert_eq!(Futex::parse("running\n"), None);
        assert_eq!(Futex::parse("-1 0x7ffc 0x7fba\n"), None);
        let other = format!("{} 0x0 0x80 0x1 0x0 0x0 0x0 0x1 0x2\n", FUTEX + 1);
        assert_eq!(Futex::parse(&other), None);
        assert_eq!(Futex::parse(&format!("{FUTEX} 0x0 0x80")), None);
    }

    /// Asks until the answer is as expected: the thread may be on its way there.
    fn until(expected: impl Fn(Option<u64>) -> bool, thread: ThreadNumber) -> Option<u64> {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            let answer = asleep(thread);
            if expected(answer) {
                return answer;
            }
            assert!(Instant::now() < end, "{answer:?}");
            thread::yield_now();
        }
    }

    #[test]
    fn each_sleep_of_a_thread_has_another_number() {
        let (tell, told) = mpsc::channel();
        let (wake, woken) = mpsc::channel::<()>();
        let sleeper = thread::spawn(move || {
            tell.send(threads::current().unwrap()).unwrap();
            while woken.recv().is_ok() {}
        });
        let number = told.recv().unwrap();
        let first = until(|answer| answer.is_some(), number);
        assert_eq!(asleep(number), first, "nobody has woken it");
        wake.send(()).unwrap();
        until(|answer| answer.is_some() && answer != first, number);
        drop(wake);
        sleeper.join().unwrap();
    }

    #[test]
    fn a_thread_that_sleeps_for_a_time_goes_on_by_itself() {
        let (tell, told) = mpsc::channel();
        let (wake, woken) = mpsc::channel::<()>();
        let sleeper = thread::spawn(move || {
            tell.send(threads::current().unwrap()).unwrap();
            let _ = woken.recv_timeout(Duration::from_secs(600));
        });
        let number = told.recv().unwrap();
        let in_futex = || {
            let call = read(number, "syscall").unwrap();
            Futex::parse(&call).is_some_and(|futex| futex.limit != 0)
        };
        let end = Instant::now() + Duration::from_secs(60);
        while !in_futex() {
            assert!(Instant::now() < end);
            thread::yield_now();
        }
        assert_eq!(asleep(number), None);
        assert_eq!(
            asleep(threads::current().unwrap()),
            None,
            "who asks is awake"
        );
        wake.send(()).unwrap();
        sleeper.join().unwrap();
    }

    #[test]
    fn a_thread_that_waits_for_the_end_of_another_one_sleeps() {
        let (tell, told) = mpsc::channel();
        let (end, ended) = mpsc::channel::<()>();
        let waits = thread::spawn(move || {
            tell.send(threads::current().unwrap()).unwrap();
            let other = thread::spawn(move || {
                let _ = ended.recv();
            });
            other.join().unwrap();
        });
        until(|answer| answer.is_some(), told.recv().unwrap());
        drop(end);
        waits.join().unwrap();
    }
}
