//! Who is in the room.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sync::context::Context;
use sync::{Receiver, Sender, channel};

/// Lines that may wait for one member. A guess: some seconds of a lively room.
const WAITING: usize = 256;

/// In a crowd nobody is told who comes and goes: with thousands that is all one would read, and the
/// work grows with their square.
const CROWD: usize = 100;

/// See the story of this file.
#[derive(Debug)]
pub(crate) struct Room {
    members: Mutex<Members>,
    closing: Context,
}

#[derive(Debug, Default)]
struct Members {
    next: u64,
    inboxes: BTreeMap<u64, Sender<Arc<str>>>,
}

/// A member's place; left when it is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    room: Arc<Room>,
    number: u64,
    name: String,
}

impl Room {
    /// An empty room, open until `closing` is done. From then on all leave, each at a moment of
    /// their own, and nobody is told of the others.
    pub(crate) fn new(closing: Context) -> Self {
        Self {
            members: Mutex::default(),
            closing,
        }
    }

    /// Takes a seat. The channel ends when the member is too slow.
    pub(crate) fn enter(self: &Arc<Self>, name: &str) -> (Seat, Receiver<Arc<str>>) {
        let (inbox, lines) = channel(WAITING);
        // The first line of a channel that nobody else knows: there is room for it.
        let _ = inbox.try_send(format!("* welcome, {name}\n").into());
        let number = {
            let mut members = self.lock();
            let number = members.next;
            members.next += 1;
            members.inboxes.insert(number, inbox);
            number
        };
        let seat = Seat {
            room: Arc::clone(self),
            number,
            name: name.to_owned(),
        };
        seat.announce("is here");
        (seat, lines)
    }

    fn lock(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// cookbook: say
impl Seat {
    /// Puts a line into the inboxes of all others. Nobody is waited for: who has no room for it
    /// loses the seat.
    pub(crate) fn say(&self, line: String) {
        let line: Arc<str> = line.into();
        // Copied, for sending wakes tasks, and a lock is not held for that.
        let others: Vec<_> = {
            let members = self.room.lock();
            let inboxes = members.inboxes.iter();
            let others = inboxes.filter(|(number, _)| **number != self.number);
            others
                .map(|(number, inbox)| (*number, inbox.clone()))
                .collect()
        };
        let slow = others
            .iter()
            .filter(|(_, inbox)| inbox.try_send(Arc::clone(&line)).is_err());
        for (number, inbox) in slow {
            self.room.lock().inboxes.remove(number);
            inbox.close();
        }
    }
}
// cookbook: end

impl Seat {
    fn announce(&self, what: &str) {
        let members = self.room.lock().inboxes.len();
        if members < CROWD {
            self.say(format!("* {} {what}\n", self.name));
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let inbox = self.room.lock().inboxes.remove(&self.number);
        drop(inbox);
        if self.room.closing.err().is_none() {
            self.announce("has left");
        }
    }
}
