//! What may be, and what must be, of two ends of a connection: the reference that answers are held
//! to.
//!
//! Nothing here knows how sockets work. Each action is noted with the moment before it and the
//! moment after it, of one clock that all share and that counts such moments. What has ended before
//! an operation began is a fact for it; what began before it ended may have been one.

use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use runtime::time::Instant;

/// Counts the moments.
#[derive(Debug, Default)]
pub struct Clock(AtomicU64);

impl Clock {
    pub fn now(&self) -> u64 {
        self.0.fetch_add(1, SeqCst)
    }
}

/// Something that happens once, and stays.
#[derive(Debug)]
pub struct Fact {
    began: AtomicU64,
    done: AtomicU64,
}

impl Default for Fact {
    fn default() -> Self {
        let never = || AtomicU64::new(u64::MAX);
        Self {
            began: never(),
            done: never(),
        }
    }
}

impl Fact {
    /// Does it, and notes when.
    pub fn happen<R>(&self, clock: &Clock, act: impl FnOnce() -> R) -> R {
        self.began.fetch_min(clock.now(), SeqCst);
        let done = act();
        self.done.fetch_min(clock.now(), SeqCst);
        done
    }

    fn may_have(&self, end: u64) -> bool {
        self.began.load(SeqCst) < end
    }

    fn must_have(&self, begin: u64) -> bool {
        self.done.load(SeqCst) < begin
    }

    pub fn has(&self) -> bool {
        self.began.load(SeqCst) < u64::MAX
    }
}

/// A deadline that was set, or lifted.
#[derive(Debug)]
struct Set {
    began: u64,
    done: u64,
    at: Option<Instant>,
    /// It had passed when it was set.
    past: bool,
}

/// The deadlines of one direction.
#[derive(Debug, Default)]
pub struct Deadlines(Mutex<Vec<Set>>);

impl Deadlines {
    pub fn set<R>(&self, clock: &Clock, at: Option<Instant>, act: impl FnOnce() -> R) -> R {
        let past = at.is_some_and(|at| at <= Instant::now());
        let began = clock.now();
        let index = {
            let mut all = self.0.lock().unwrap();
            all.push(Set {
                began,
                done: u64::MAX,
                at,
                past,
            });
            all.len() - 1
        };
        let done = act();
        self.0.lock().unwrap()[index].done = clock.now();
        done
    }

    /// One that has come by now may have held at some moment in between.
    fn may_fail(&self, begin: u64, end: u64) -> bool {
        let now = Instant::now();
        let all = self.0.lock().unwrap();
        let replaced = |set: &Set| {
            all.iter()
                .any(|other| other.began > set.done && other.done < begin)
        };
        all.iter().any(|set| {
            let comes = set.at.is_some_and(|at| at <= now);
            comes && set.began < end && !replaced(set)
        })
    }

    /// One that had passed has held all the time.
    fn must_fail(&self, begin: u64, end: u64) -> bool {
        let all = self.0.lock().unwrap();
        all.iter().enumerate().any(|(i, set)| {
            let alone = || {
                let mut others = all.iter().enumerate().filter(|(j, _)| *j != i);
                others.all(|(_, other)| other.done < set.began || other.began > end)
            };
            set.past && set.done < begin && alone()
        })
    }
}

/// One end.
#[derive(Debug, Default)]
pub struct End {
    pub closed: Fact,
    pub shut_read: Fact,
    pub shut_write: Fact,
    pub read_by: Deadlines,
    pub write_by: Deadlines,
    /// Bytes that were read, and those that were said to be written.
    pub read: AtomicU64,
    pub written: AtomicU64,
    /// How many more may have been, by a call that failed half-way.
    pub perhaps_written: AtomicU64,
    /// Some were read by a call that failed half-way: nobody knows how many.
    pub blurred: AtomicBool,
    pub saw_end: AtomicBool,
}

/// A connection.
#[derive(Debug, Default)]
pub struct Pair {
    pub clock: Clock,
    pub ends: [End; 2],
    /// The runtime of both.
    pub shutdown: Fact,
    /// Nobody begins anything new.
    pub stop: AtomicBool,
}

/// An operation, while it goes on.
#[derive(Clone, Copy, Debug)]
pub struct Begun(u64);

/// What follows for whoever has tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Progress(usize),
    /// A deadline, or nothing there: it may be tried again.
    Again,
    Over,
}

impl Pair {
    pub fn begin(&self) -> Begun {
        Begun(self.clock.now())
    }

    /// Holds a read of `most` bytes at this end to what it may say.
    pub fn read(&self, at: usize, begun: Begun, most: usize, said: io::Result<usize>) -> Next {
        let (begin, end) = (begun.0, self.clock.now());
        let (me, peer) = (&self.ends[at], &self.ends[1 - at]);
        match said {
            Ok(n) => {
                assert!(n <= most, "{n} bytes read into {most}");
                assert!(!me.closed.must_have(begin), "{n} bytes of a closed socket");
                let late = me.read_by.must_fail(begin, end);
                assert!(!late, "{n} bytes after the deadline");
                if n > 0 {
                    return Next::Progress(n);
                }
                let ends = [&peer.shut_write, &peer.closed, &me.shut_read, &me.closed];
                let ended = ends.iter().any(|fact| fact.may_have(end));
                assert!(ended, "the end of a stream that nobody has ended");
                me.saw_end.store(true, SeqCst);
                Next::Over
            }
            Err(error) => {
                // Linux resets a connection when data come to an end that has shut down both sides.
                let gone = [&peer.closed, &peer.shut_read, &me.shut_read];
                let gone = gone.iter().any(|fact| fact.may_have(end));
                self.failed(me, &me.read_by, (begin, end), gone, &error)
            }
        }
    }

    /// The same for a write.
    pub fn write(&self, at: usize, begun: Begun, most: usize, said: io::Result<usize>) -> Next {
        let (begin, end) = (begun.0, self.clock.now());
        let (me, peer) = (&self.ends[at], &self.ends[1 - at]);
        match said {
            Ok(n) => {
                assert!((1..=most).contains(&n), "{n} of {most} bytes written");
                assert!(!me.closed.must_have(begin), "{n} bytes to a closed socket");
                let shut = me.shut_write.must_have(begin);
                assert!(!shut, "{n} bytes after the end");
                let late = me.write_by.must_fail(begin, end);
                assert!(!late, "{n} bytes after the deadline");
                Next::Progress(n)
            }
            Err(error) => {
                let gone = [&peer.closed, &peer.shut_read, &me.shut_write, &me.shut_read];
                let gone = gone.iter().any(|fact| fact.may_have(end));
                self.failed(me, &me.write_by, (begin, end), gone, &error)
            }
        }
    }

    fn failed(
        &self,
        me: &End,
        deadlines: &Deadlines,
        (begin, end): (u64, u64),
        gone: bool,
        error: &io::Error,
    ) -> Next {
        if runtime::io::is_shutdown(error) {
            assert!(self.shutdown.may_have(end), "{error}, and it has not");
            return Next::Over;
        }
        if net::is_closed(error) {
            assert!(me.closed.may_have(end), "{error}, and it was not");
            return Next::Over;
        }
        let closed = me.closed.must_have(begin);
        assert!(!closed, "a closed socket, of which is said: {error}");
        if net::is_deadline(error) {
            assert!(deadlines.may_fail(begin, end), "{error}, and there is none");
            return Next::Again;
        }
        let late = deadlines.must_fail(begin, end);
        assert!(!late, "after the deadline, of which is said: {error}");
        match error.kind() {
            io::ErrorKind::WouldBlock => Next::Again,
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                assert!(gone, "{error}, and the peer is there");
                Next::Over
            }
            _ => panic!("an error that nothing explains: {error:?}"),
        }
    }

    /// In the end: where nothing was cut off, all has arrived that was sent.
    pub fn balance(&self) {
        if self.ends.iter().any(|end| end.closed.has()) || self.shutdown.has() {
            return;
        }
        for (at, reader) in self.ends.iter().enumerate() {
            let writer = &self.ends[1 - at];
            let read = reader.read.load(SeqCst);
            let least = writer.written.load(SeqCst);
            let most = least + writer.perhaps_written.load(SeqCst);
            assert!(
                read <= most,
                "{read} bytes read, {most} written at the most"
            );
            let whole = reader.saw_end.load(SeqCst) && !reader.blurred.load(SeqCst);
            // Else the connection may have been reset: see `read`.
            let both_read = self.ends.iter().all(|end| !end.shut_read.has());
            if whole && both_read {
                assert!(
                    read >= least,
                    "{read} bytes read to the end, {least} written"
                );
            }
        }
    }
}

/// The byte at this place of what `from` sends.
pub fn byte(from: usize, place: u64) -> u8 {
    let mixed = (place + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 56) as u8 ^ (from as u8) << 7
}
