//! Many datagrams a system call: where a call costs more than what it moves, as with small ones, this is what counts.
//!
//! A [`Batch`] is one piece of memory with a place for each datagram, made once and used again and again. The system fills or reads it with
//! one call (`recvmmsg`, `sendmmsg` on Linux); elsewhere a loop of single calls does the same.
#![forbid(unsafe_code)]

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::panic::Location;

use runtime::io::{Attempt, Direction};

use crate::sys;
use crate::udp::UdpSocket;

/// Datagrams a call. What a call costs by itself is a hundredth by then, and the headers are 14 KiB of stack.
pub(crate) const AT_ONCE: usize = 64;

/// Room for datagrams with their addresses, to be received or sent together.
///
/// ```
/// # runtime::block_on(async {
/// let server = net::UdpSocket::bind("127.0.0.1:0").await?;
/// let client = net::UdpSocket::bind("127.0.0.1:0").await?;
/// let mut batch = net::Batch::new(32, 1500);
/// for word in ["one", "two", "three"] {
///     batch.push(word.as_bytes(), server.local_addr()?);
/// }
/// client.send_batch(&batch).await?;
///
/// // An echo server: what has been received is sent back to where it came from.
/// server.recv_batch(&mut batch).await?;
/// assert_eq!(batch.get(0), Some((&b"one"[..], Some(client.local_addr()?))));
/// server.send_batch(&batch).await?;
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// **Go:** `[]ipv4.Message` of `golang.org/x/net`.
#[derive(Clone)]
pub struct Batch {
    /// `room` places of `size` bytes.
    bytes: Box<[u8]>,
    size: usize,
    room: usize,
    /// The datagrams that there are.
    slots: Vec<Slot>,
}

/// A datagram's place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    pub(crate) len: usize,
    pub(crate) peer: Option<SocketAddr>,
}

impl Batch {
    /// Room for so many datagrams of up to `size` bytes each.
    ///
    /// # Panics
    ///
    /// If there is room for none, or for none with a byte in it.
    #[track_caller]
    pub fn new(room: usize, size: usize) -> Self {
        assert!(
            room > 0 && size > 0,
            "a batch of {room} times {size} bytes can receive nothing: give it some of each"
        );
        Self {
            bytes: vec![0; room * size].into(),
            size,
            room,
            slots: Vec::with_capacity(room),
        }
    }

    /// How many datagrams are in it.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is none in it.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether there is no room for another one.
    pub fn is_full(&self) -> bool {
        self.slots.len() == self.room
    }

    /// How many datagrams there is room for in all.
    pub fn capacity(&self) -> usize {
        self.room
    }

    /// Takes all datagrams out.
    pub fn clear(&mut self) {
        self.slots.clear();
    }

    /// Adds a datagram, to be sent to this address, or, with `None`, to the peer that the socket is connected to.
    ///
    /// # Panics
    ///
    /// If there is no room for another one, or for one of this length: see [`is_full`](Self::is_full).
    #[track_caller]
    pub fn push(&mut self, datagram: &[u8], to: impl Into<Option<SocketAddr>>) {
        assert!(!self.is_full(), "the batch is full: ask `is_full()` first");
        let (len, size) = (datagram.len(), self.size);
        assert!(
            len <= size,
            "a datagram of {len} bytes in a batch for {size}: make it with more"
        );
        let at = self.slots.len() * size;
        self.bytes[at..at + len].copy_from_slice(datagram);
        let peer = to.into();
        self.slots.push(Slot { len, peer });
    }

    /// A datagram, and who sent it or will receive it.
    pub fn get(&self, index: usize) -> Option<(&[u8], Option<SocketAddr>)> {
        let slot = self.slots.get(index)?;
        let at = index * self.size;
        Some((&self.bytes[at..at + slot.len], slot.peer))
    }

    /// All of them, in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], Option<SocketAddr>)> + '_ {
        let at = |index| self.get(index).expect("the index is below the length");
        (0..self.len()).map(at)
    }

    /// For the system: places that can be filled, and where to note with what.
    pub(crate) fn vacant(&mut self) -> (std::slice::ChunksExactMut<'_, u8>, &mut Vec<Slot>) {
        let at = self.slots.len() * self.size;
        let places = self.bytes[at..].chunks_exact_mut(self.size);
        (places, &mut self.slots)
    }
}

impl UdpSocket {
    /// Receives as many datagrams as there are and as the batch has room for, with one system call; waits while there is none. What was in the
    /// batch before is gone. Returns how many there are now: at least one, at most 64.
    ///
    /// What does not fit into the batch's size of a datagram is lost.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: datagrams are taken only when the future is ready. (The batch is empty otherwise.)
    ///
    /// **Go:** `ipv4.PacketConn.ReadBatch` of `golang.org/x/net`.
    #[track_caller]
    pub fn recv_batch<'a>(
        &'a self,
        batch: &'a mut Batch,
    ) -> impl Future<Output = io::Result<usize>> + Send + 'a {
        let place = Location::caller();
        batch.clear();
        self.inner
            .io(Direction::Read, place, false, move |socket, attempt| {
                receive(socket, attempt, batch)
            })
    }

    /// [`recv_batch`](Self::recv_batch) without waiting.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is none; as for [`recv`](Self::recv).
    pub fn try_recv_batch(&self, batch: &mut Batch) -> io::Result<usize> {
        batch.clear();
        self.inner.try_io(Direction::Read, |socket, attempt| {
            receive(socket, attempt, batch)
        })
    }

    /// Sends all datagrams of a batch, in their order, 64 a system call; waits while the system's buffer is full.
    ///
    /// # Errors
    ///
    /// As for [`send_to`](Self::send_to): of the first datagram that could not be sent; those before it have been, those after it not.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: how many have been sent is forgotten. [`try_send_batch`](Self::try_send_batch) tells.
    ///
    /// **Go:** `ipv4.PacketConn.WriteBatch` of `golang.org/x/net`.
    #[track_caller]
    pub fn send_batch<'a>(
        &'a self,
        batch: &'a Batch,
    ) -> impl Future<Output = io::Result<()>> + Send + 'a {
        let place = Location::caller();
        async move {
            let mut sent = 0;
            while sent < batch.len() {
                let more = self.inner.io(Direction::Write, place, false, |socket, _| {
                    sys::send_batch(socket, batch, sent)
                });
                sent += more.await?;
            }
            Ok(())
        }
    }

    /// Sends the datagrams of a batch from this one on, as many as the system takes at once, up to 64, without waiting. Returns how many
    /// that were: at least one, if there was one.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if the system's buffer is full; as for [`send_to`](Self::send_to).
    pub fn try_send_batch(&self, batch: &Batch, from: usize) -> io::Result<usize> {
        if from >= batch.len() {
            return self.inner.with(|_| Ok(0));
        }
        self.inner.try_io(Direction::Write, |socket, _| {
            sys::send_batch(socket, batch, from)
        })
    }
}

/// Fewer than there was room for: the system had no more, and will say when one comes.
fn receive(
    socket: &mio::net::UdpSocket,
    attempt: &Attempt<'_>,
    batch: &mut Batch,
) -> io::Result<usize> {
    let n = sys::recv_batch(socket, batch)?;
    if n < batch.capacity().min(AT_ONCE) {
        attempt.drained();
    }
    Ok(n)
}

/// The loop for systems that have no such calls.
#[cfg(any(test, not(any(target_os = "linux", target_os = "android"))))]
pub(crate) mod one_by_one {
    use std::io;

    use super::{AT_ONCE, Batch, Slot};

    pub(crate) fn recv_batch(socket: &mio::net::UdpSocket, batch: &mut Batch) -> io::Result<usize> {
        let (places, slots) = batch.vacant();
        let before = slots.len();
        for place in places.take(AT_ONCE) {
            match socket.recv_from(place) {
                Ok((len, peer)) => slots.push(Slot {
                    len,
                    peer: Some(peer),
                }),
                Err(error) if slots.len() == before => return Err(error),
                Err(_) => break,
            }
        }
        Ok(slots.len() - before)
    }

    pub(crate) fn send_batch(
        socket: &mio::net::UdpSocket,
        batch: &Batch,
        from: usize,
    ) -> io::Result<usize> {
        let mut sent = 0;
        for (datagram, to) in batch.iter().skip(from).take(AT_ONCE) {
            let result = match to {
                Some(to) => socket.send_to(datagram, to),
                None => socket.send(datagram),
            };
            match result {
                Ok(_) => sent += 1,
                Err(error) if sent == 0 => return Err(error),
                // It comes again when the next one is sent first.
                Err(_) => break,
            }
        }
        Ok(sent)
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("len", &self.len())
            .field("capacity", &self.room)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both ways do the same.
    fn exchange(
        recv: fn(&mio::net::UdpSocket, &mut Batch) -> io::Result<usize>,
        send: fn(&mio::net::UdpSocket, &Batch, usize) -> io::Result<usize>,
    ) {
        for localhost in ["127.0.0.1:0", "[::1]:0"] {
            let bind = || mio::net::UdpSocket::bind(localhost.parse().unwrap()).unwrap();
            let (a, b) = (bind(), bind());
            let mut out = Batch::new(200, 100);
            for i in 0..200u8 {
                out.push(&vec![i; usize::from(i) / 2], b.local_addr().unwrap());
            }
            let mut sent = 0;
            let mut received = 0u8;
            let mut batch = Batch::new(AT_ONCE + 10, 100);
            while sent < 200 {
                let n = send(&a, &out, sent).unwrap();
                assert!(n <= AT_ONCE);
                sent += n;
                batch.clear();
                assert_eq!(recv(&b, &mut batch).unwrap(), n);
                assert_eq!(batch.len(), n);
                for (datagram, from) in batch.iter() {
                    assert_eq!(datagram, vec![received; usize::from(received) / 2]);
                    assert_eq!(from, Some(a.local_addr().unwrap()));
                    received += 1;
                }
            }
            assert_eq!(received, 200);
            batch.clear();
            let error = recv(&b, &mut batch).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
            // Without an address, to the peer; and no more than there is room for.
            a.connect(b.local_addr().unwrap()).unwrap();
            let mut connected = Batch::new(3, 8);
            (0..3).for_each(|i| connected.push(&[i; 8], None));
            assert_eq!(send(&a, &connected, 1).unwrap(), 2);
            let mut cut = Batch::new(1, 4);
            for i in 1..3 {
                cut.clear();
                assert_eq!(recv(&b, &mut cut).unwrap(), 1);
                assert_eq!(cut.get(0).unwrap().0, [i; 4], "the rest is lost");
            }
        }
    }

    #[test]
    fn batches_pass_by_the_system_s_way_and_one_by_one() {
        exchange(sys::recv_batch, sys::send_batch);
        exchange(one_by_one::recv_batch, one_by_one::send_batch);
    }
}
