//! Signals against the listener who receives them: [`Pending`] itself, in the loop of
//! `Signal::recv`. The pipe is an eventfd, which orders what is written before with what is read
//! after, as a call of the system does.
//!
//! Each kind of signal is received after it came last, with all that was done before; a lost one
//! leaves the listener waiting, which loom reports.
//!
//! Killed by: `add` without Release; `take_after` without the Acquire of its exchange, with a
//! store in its place, or with an exchange that clears all bits. Not by Relaxed for the first load
//! of `take_after`, which ships; nor by a handler that rings also where another bit is set.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::thread;

use super::event::Event;
use super::explore;
use crate::signal::for_models::Pending;

struct Listener {
    pending: Pending,
    pipe: Event,
    /// How often each of two signals was sent. Relaxed, and written by one thread each: it is the
    /// signal that makes it visible.
    sent: [AtomicUsize; 2],
    /// The same, for the second sender of the first signal.
    also_sent: AtomicUsize,
}

impl Listener {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            pending: Pending::new(),
            pipe: Event::new(),
            sent: [AtomicUsize::new(0), AtomicUsize::new(0)],
            also_sent: AtomicUsize::new(0),
        })
    }

    /// `Bell::ring`.
    fn ring(&self, kind: usize) {
        if self.pending.add(1 << kind) {
            self.pipe.raise();
        }
    }

    /// `Signal::recv`.
    fn receive(&self) -> usize {
        loop {
            if let Some(kind) = self.pending.take_after(63) {
                return kind as usize;
            }
            self.pipe.wait();
        }
    }
}

fn sender(listener: &Arc<Listener>, kind: usize, times: usize) -> thread::JoinHandle<()> {
    let listener = listener.clone();
    thread::spawn(move || {
        for n in 1..=times {
            listener.sent[kind].store(n, Relaxed);
            listener.ring(kind);
        }
    })
}

#[test]
fn a_signal_that_comes_again_is_received_again_or_with_the_first() {
    explore(3, || {
        let listener = Listener::new();
        let sender = sender(&listener, 0, 2);
        while listener.sent[0].load(Relaxed) < 2 {
            assert_eq!(listener.receive(), 0);
        }
        sender.join().unwrap();
    });
}

#[test]
fn signals_of_two_kinds_are_both_received() {
    explore(3, || {
        let listener = Listener::new();
        let senders = [0, 1].map(|kind| sender(&listener, kind, 1));
        for _ in 0..2 {
            let kind = listener.receive();
            assert_eq!(listener.sent[kind].load(Relaxed), 1, "what came before");
        }
        assert_eq!(listener.pending.take_after(63), None);
        for sender in senders {
            sender.join().unwrap();
        }
    });
}

/// The second may find the bit set and write nothing; then it is received with the first.
#[test]
fn two_who_send_the_same_are_both_heard() {
    explore(3, || {
        let listener = Listener::new();
        let first = sender(&listener, 0, 1);
        let second = {
            let listener = listener.clone();
            thread::spawn(move || {
                listener.also_sent.store(1, Relaxed);
                listener.ring(0);
            })
        };
        let both = || listener.sent[0].load(Relaxed) + listener.also_sent.load(Relaxed);
        while both() < 2 {
            assert_eq!(listener.receive(), 0);
        }
        first.join().unwrap();
        second.join().unwrap();
    });
}
