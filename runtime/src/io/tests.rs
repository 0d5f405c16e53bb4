//! The driver with real descriptors, without a scheduler: the tests poll by hand.

use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use mio::unix::{SourceFd, pipe};

use super::driver::Driver;
use super::registration::Registration;
use super::state::{Direction, Ready};
use super::{is_closed, is_shutdown};

const READ: Direction = Direction::Read;
const WRITE: Direction = Direction::Write;
const READING: mio::Interest = mio::Interest::READABLE;
const BOTH: mio::Interest = READING.add(mio::Interest::WRITABLE);
const NOW: Option<Duration> = Some(Duration::ZERO);
/// Only a hang lasts as long.
const LONG: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Count(AtomicUsize);

impl Count {
    fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn counter() -> (Arc<Count>, Waker) {
    let count = Arc::new(Count::default());
    (Arc::clone(&count), Waker::from(count))
}

/// A registered receiving end of which nothing is known to be ready.
fn receiver(driver: &Driver) -> (pipe::Sender, pipe::Receiver, Registration) {
    let (sender, mut receiver) = pipe::new().unwrap();
    let registration = Registration::on(driver, &mut receiver, Ready::NONE, BOTH).unwrap();
    (sender, receiver, registration)
}

#[test]
fn an_event_wakes_the_waiter_once() {
    let driver = Driver::new().unwrap();
    let (mut sender, _receiver, registration) = receiver(&driver);
    let (count, waker) = counter();
    let mut cx = Context::from_waker(&waker);
    assert!(registration.poll_ready(READ, &mut cx).is_pending());
    assert_eq!(driver.waiters(), 1);

    sender.write_all(b"x").unwrap();
    let mut turn = driver.try_turn().unwrap();
    assert_eq!(turn.wait(Some(LONG)).unwrap(), 1);
    assert_eq!(count.get(), 1);
    assert_eq!(driver.waiters(), 0);
    assert!(registration.poll_ready(READ, &mut cx).is_ready());
    assert_eq!(turn.wait(NOW).unwrap(), 0);
}

#[test]
fn there_is_one_turn() {
    let driver = Driver::new().unwrap();
    let turn = driver.try_turn().unwrap();
    assert!(driver.try_turn().is_none());
    drop(turn);
    assert!(driver.try_turn().is_some());
}

#[test]
fn a_call_that_blocks_waits_for_an_edge_and_a_short_one_too() {
    let driver = Driver::new().unwrap();
    let (mut sender, receiver, registration) = receiver(&driver);
    registration.assume_ready();
    let read = |buf: &mut [u8]| {
        registration.try_io(READ, |attempt| {
            let n = (&receiver).read(buf)?;
            if n < buf.len() {
                attempt.drained();
            }
            Ok(n)
        })
    };
    let mut buf = [0; 8];
    assert_eq!(
        read(&mut buf).unwrap_err().kind(),
        io::ErrorKind::WouldBlock
    );
    assert!(!registration.is_ready(READ));

    sender.write_all(b"four").unwrap();
    driver.try_turn().unwrap().wait(Some(LONG)).unwrap();
    assert_eq!(read(&mut buf).unwrap(), 4);
    assert!(!registration.is_ready(READ), "a short read means drained");

    sender.write_all(b"12345678").unwrap();
    driver.try_turn().unwrap().wait(Some(LONG)).unwrap();
    assert_eq!(read(&mut buf).unwrap(), 8);
    assert!(registration.is_ready(READ), "a full read says nothing");
}

#[test]
fn the_end_of_a_stream_is_found_after_a_short_read() {
    let driver = Driver::new().unwrap();
    let (mut sender, receiver, registration) = receiver(&driver);
    sender.write_all(b"last").unwrap();
    drop(sender);
    driver.try_turn().unwrap().wait(Some(LONG)).unwrap();
    let mut buf = [0; 8];
    for expected in [4, 0, 0] {
        let n = registration.try_io(READ, |attempt| {
            let n = (&receiver).read(&mut buf)?;
            attempt.drained();
            Ok(n)
        });
        assert_eq!(n.unwrap(), expected);
    }
}

#[test]
fn every_waiter_of_a_direction_is_woken_and_no_other() {
    let driver = Driver::new().unwrap();
    let (mut sender, _receiver, registration) = receiver(&driver);
    let readers: Vec<_> = (0..5).map(|_| counter()).collect();
    for (_, waker) in &readers {
        let mut cx = Context::from_waker(waker);
        assert!(registration.poll_ready(READ, &mut cx).is_pending());
        assert!(registration.poll_ready(READ, &mut cx).is_pending());
    }
    let (writer, waker) = counter();
    let mut cx = Context::from_waker(&waker);
    let writing = registration.poll_ready(Direction::Write, &mut cx);
    assert!(writing.is_pending());
    assert_eq!(driver.waiters(), 6);

    sender.write_all(b"x").unwrap();
    driver.try_turn().unwrap().wait(Some(LONG)).unwrap();
    assert!(readers.iter().all(|(count, _)| count.get() == 1));
    assert_eq!(writer.get(), 0);
    assert_eq!(driver.waiters(), 1);
}

#[test]
fn tasks_that_pass_a_stream_on_do_not_pile_up() {
    let driver = Driver::new().unwrap();
    let (_sender, _receiver, registration) = receiver(&driver);
    let tasks: Vec<_> = (0..1000).map(|_| counter()).collect();
    for (_, waker) in &tasks {
        let mut cx = Context::from_waker(waker);
        assert!(registration.poll_ready(READ, &mut cx).is_pending());
    }
    let waiting = driver.waiters();
    assert!(waiting <= 33, "{waiting} wait");
    // Nobody is forgotten: who does not wait any more has been woken.
    let woken = tasks.iter().filter(|(count, _)| count.get() == 1).count();
    assert_eq!(woken + waiting, tasks.len());
}

#[test]
fn a_dropped_future_leaves_nothing_behind() {
    let driver = Driver::new().unwrap();
    let (_sender, _receiver, registration) = receiver(&driver);
    let (first, second) = (counter(), counter());
    let poll = |future: &mut super::Readiness<'_>, waker: &Waker| {
        std::pin::Pin::new(future).poll(&mut Context::from_waker(waker))
    };
    let mut inline = registration.ready(READ);
    let mut listed = registration.ready(READ);
    assert!(poll(&mut inline, &first.1).is_pending());
    assert!(poll(&mut listed, &second.1).is_pending());
    assert_eq!(driver.waiters(), 2);
    drop(inline);
    assert_eq!(driver.waiters(), 1);
    assert_eq!(Arc::strong_count(&first.0), 2, "its waker is gone");
    drop(listed);
    assert_eq!(driver.waiters(), 0);
    assert_eq!(Arc::strong_count(&second.0), 2);
}

#[test]
fn a_future_that_is_dropped_late_leaves_its_successors_waker() {
    let driver = Driver::new().unwrap();
    let (mut sender, mut receiver, registration) = receiver(&driver);
    let poll = |future: &mut super::Readiness<'_>, waker: &Waker| {
        std::pin::Pin::new(future).poll(&mut Context::from_waker(waker))
    };
    let (late, successor) = (counter(), counter());
    let mut first = registration.ready(READ);
    assert!(poll(&mut first, &late.1).is_pending());
    sender.write_all(b"x").unwrap();
    driver.try_turn().unwrap().wait(Some(LONG)).unwrap();
    // The event has taken its waker; another future moves into the same slot.
    let read = registration.try_io(READ, |_| receiver.read(&mut [0]));
    assert_eq!(read.unwrap(), 1);
    let read = registration.try_io(READ, |_| receiver.read(&mut [0]));
    assert!(read.is_err());
    let mut second = registration.ready(READ);
    assert!(poll(&mut second, &successor.1).is_pending());
    drop(first);
    assert_eq!(driver.waiters(), 1);
    sender.write_all(b"x").unwrap();
    driver.try_turn().unwrap().wait(Some(LONG)).unwrap();
    assert_eq!(successor.0.get(), 1);
}

#[test]
fn a_record_is_used_again_and_stale_events_do_not_reach_it() {
    let driver = Driver::new().unwrap();
    let (mut sender, _receiver, registration) = receiver(&driver);
    sender.write_all(b"x").unwrap();
    // The edge is in the kernel's queue while the user of the record changes.
    drop(registration);
    let (_other_sender, _other, registration) = receiver(&driver);
    assert_eq!(driver.registered(), 1);
    let (count, waker) = counter();
    let mut cx = Context::from_waker(&waker);
    assert!(registration.poll_ready(READ, &mut cx).is_pending());
    driver.try_turn().unwrap().wait(NOW).unwrap();
    assert_eq!(count.get(), 0);
    assert!(!registration.is_ready(READ));
}

#[test]
fn records_are_recycled() {
    let driver = Driver::new().unwrap();
    for _ in 0..10_000 {
        let (_sender, _receiver, _registration) = receiver(&driver);
        assert_eq!(driver.registered(), 1);
    }
    let many: Vec<_> = (0..300).map(|_| receiver(&driver)).collect();
    assert_eq!(driver.registered(), 300);
    drop(many);
    assert_eq!(driver.registered(), 0);
}

#[test]
fn a_wake_ends_a_wait_and_is_not_lost_before_it() {
    let driver = Arc::new(Driver::new().unwrap());
    // Before: many at once are one.
    (0..10).for_each(|_| driver.wake());
    assert_eq!(driver.try_turn().unwrap().wait(None).unwrap(), 0);
    // During, or before: no order is needed for this to end.
    for _ in 0..1000 {
        let waiter = Arc::clone(&driver);
        let waiting = thread::spawn(move || waiter.try_turn().unwrap().wait(None));
        driver.wake();
        assert_eq!(waiting.join().unwrap().unwrap(), 0);
    }
    // Nothing is left over that would make the next wait spin.
    assert_eq!(driver.try_turn().unwrap().wait(NOW).unwrap(), 0);
    assert!(!driver.is_woken());
}

#[test]
fn a_close_tells_whoever_waits_or_comes_later() {
    let driver = Driver::new().unwrap();
    let (_sender, _receiver, registration) = receiver(&driver);
    let (count, waker) = counter();
    let mut cx = Context::from_waker(&waker);
    assert!(registration.poll_ready(READ, &mut cx).is_pending());
    registration.close();
    assert_eq!(count.get(), 1);
    let Poll::Ready(Err(error)) = registration.poll_ready(READ, &mut cx) else {
        panic!("closed")
    };
    assert!(is_closed(&error) && !is_shutdown(&error));
    assert_eq!(
        error.to_string(),
        "use of closed network connection: it, or a clone of it, was closed here"
    );
    let error = registration.try_io(READ, |_| Ok(())).unwrap_err();
    assert!(is_closed(&error));
}

#[test]
fn a_shutdown_tells_whoever_waits_or_registers_later() {
    let driver = Driver::new().unwrap();
    let (_sender, _receiver, registration) = receiver(&driver);
    let (count, waker) = counter();
    let mut cx = Context::from_waker(&waker);
    assert!(registration.poll_ready(READ, &mut cx).is_pending());
    driver.shutdown();
    assert_eq!(count.get(), 1);
    let Poll::Ready(Err(error)) = registration.poll_ready(READ, &mut cx) else {
        panic!("shut down")
    };
    assert!(is_shutdown(&error));
    let (_sender, mut receiver) = pipe::new().unwrap();
    let error = Registration::on(&driver, &mut receiver, Ready::NONE, BOTH).unwrap_err();
    assert!(is_shutdown(&error));
}

#[test]
fn a_registration_outlives_its_driver() {
    let driver = Driver::new().unwrap();
    let (_sender, mut receiver, registration) = receiver(&driver);
    driver.shutdown();
    drop(driver);
    registration.deregister(&mut receiver).unwrap();
}

#[test]
fn a_waker_that_panics_takes_nobody_along() {
    struct Bomb;
    impl Wake for Bomb {
        fn wake(self: Arc<Self>) {
            std::panic::resume_unwind(Box::new("a waker's own panic"));
        }
    }
    let driver = Driver::new().unwrap();
    let (mut sender, _receiver, registration) = receiver(&driver);
    let bomb = Waker::from(Arc::new(Bomb));
    let (count, waker) = counter();
    for waker in [&bomb, &waker] {
        let mut cx = Context::from_waker(waker);
        assert!(registration.poll_ready(READ, &mut cx).is_pending());
    }
    sender.write_all(b"x").unwrap();
    let mut turn = driver.try_turn().unwrap();
    assert_eq!(turn.wait(Some(LONG)).unwrap(), 2);
    assert_eq!(count.get(), 1);
}

#[test]
fn a_wait_is_not_shorter_than_asked() {
    let driver = Driver::new().unwrap();
    let mut turn = driver.try_turn().unwrap();
    for micros in [1, 50, 999, 1_500, 21_000] {
        let timeout = Duration::from_micros(micros);
        let start = Instant::now();
        assert_eq!(turn.wait(Some(timeout)).unwrap(), 0);
        assert!(start.elapsed() >= timeout);
    }
}

#[test]
fn a_writer_is_told_of_room_only_once_it_has_asked_for_that() {
    let driver = Driver::new().unwrap();
    let (mut ours, mut theirs) = mio::net::UnixStream::pair().unwrap();
    let registration = Registration::on(&driver, &mut ours, Ready::BOTH, READING).unwrap();
    let (count, waker) = counter();
    let mut cx = Context::from_waker(&waker);
    let events = || {
        driver.try_turn().unwrap().wait(NOW).unwrap();
        driver.events()
    };
    // The peer's reads are no events.
    for _ in 0..3 {
        ours.write_all(b"x").unwrap();
        theirs.read_exact(&mut [0]).unwrap();
    }
    assert_eq!(events(), 0);
    // What is asked for when there is room already is told at once: nothing falls between the call
    // and the question.
    let blocked = registration.try_io(WRITE, |_| {
        while ours.write(&[0; 65_536]).is_ok() {}
        let mut buf = vec![0; 1 << 20];
        while theirs.read(&mut buf).is_ok() {}
        registration.also_writing(&mut SourceFd(&ours.as_raw_fd()))?;
        io::Result::<()>::Err(io::ErrorKind::WouldBlock.into())
    });
    assert_eq!(blocked.unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert!(registration.poll_ready(WRITE, &mut cx).is_pending());
    driver.try_turn().unwrap().wait(Some(LONG)).unwrap();
    assert_eq!(count.get(), 1);
    assert!(registration.poll_ready(WRITE, &mut cx).is_ready());
}
