//! UDP sockets that move a [`Batch`] a call, and the loop of single calls that stands in for it
//! where there is no such call.
#![forbid(unsafe_code)]

use std::io;
use std::panic::Location;

use runtime::io::{Attempt, Direction};

use crate::batch::{AT_ONCE, Batch};
use crate::socket::Blocks;
use crate::sys;
use crate::udp::UdpSocket;

impl UdpSocket {
    /// Whether the system may hand over several datagrams of one size and one sender in one piece
    /// (`UDP_GRO`), which costs it much less than to hand over each by itself. Off by default.
    ///
    /// Receive with [`recv_batch`](Self::recv_batch) then, into a batch with places of 64 KiB, and
    /// look at its [`datagrams`](Batch::datagrams): another receive cannot tell them apart, and in
    /// a smaller place the last ones are lost.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let socket = net::UdpSocket::bind("127.0.0.1:0").await?;
    /// // A server works without it, too.
    /// let place = if socket.set_gro(true).is_ok() { 65_535 } else { 1500 };
    /// let batch = net::Batch::new(32, place);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// What the system says, where it has no such thing (Linux has it since 5.0); the socket has
    /// been closed.
    ///
    /// **Go:** none; quic-go sets the option itself.
    pub fn set_gro(&self, on: bool) -> io::Result<()> {
        self.inner.control(|socket| sys::set_gro(socket, on))
    }

    /// Receives as many datagrams as there are and as the batch has room for, with one system call;
    /// waits while there is none. What was in the batch before is gone. Returns how many there are
    /// now: at least one, at most 64.
    ///
    /// What does not fit into the batch's size of a place is lost.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: datagrams are taken only when the future is ready. (The batch is empty
    /// otherwise.)
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (a, b) = (net::UdpSocket::bind("127.0.0.1:0").await?, net::UdpSocket::bind("127.0.0.1:0").await?);
    /// a.send_to(b"one", b.local_addr()?).await?;
    /// let mut batch = net::Batch::new(8, 1500);
    /// assert_eq!(b.recv_batch(&mut batch).await?, 1);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `ipv4.PacketConn.ReadBatch` of `golang.org/x/net`.
    #[track_caller]
    pub fn recv_batch<'a>(
        &'a self,
        batch: &'a mut Batch,
    ) -> impl Future<Output = io::Result<usize>> + Send + 'a {
        let place = Location::caller();
        batch.clear();
        self.inner.io(
            Direction::Read,
            place,
            Blocks::Perhaps,
            move |socket, attempt| receive(socket, attempt, batch),
        )
    }

    /// [`recv_batch`](Self::recv_batch) without waiting.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is none; as for [`recv`](Self::recv).
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (a, b) = (net::UdpSocket::bind("127.0.0.1:0").await?, net::UdpSocket::bind("127.0.0.1:0").await?);
    /// a.send_to(b"one", b.local_addr()?).await?;
    /// b.readable().await?;
    /// let mut batch = net::Batch::new(8, 1500);
    /// assert_eq!(b.try_recv_batch(&mut batch)?, 1);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `ipv4.PacketConn.ReadBatch` with `MSG_DONTWAIT`.
    pub fn try_recv_batch(&self, batch: &mut Batch) -> io::Result<usize> {
        batch.clear();
        self.inner.try_io(Direction::Read, |socket, attempt| {
            receive(socket, attempt, batch)
        })
    }

    /// Sends all datagrams of a batch, in their order, 64 a system call; waits while the system's
    /// buffer is full.
    ///
    /// # Errors
    ///
    /// As for [`send_to`](Self::send_to): of the first datagram that could not be sent; those
    /// before it have been, those after it not.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: how many have been sent is forgotten.
    /// [`try_send_batch`](Self::try_send_batch) tells.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (a, b) = (net::UdpSocket::bind("127.0.0.1:0").await?, net::UdpSocket::bind("127.0.0.1:0").await?);
    /// let mut batch = net::Batch::new(8, 1500);
    /// batch.push(b"one", b.local_addr()?);
    /// a.send_batch(&batch).await?;
    /// assert_eq!(b.recv(&mut [0; 8]).await?, 3);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
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
                let more = self
                    .inner
                    .io(Direction::Write, place, Blocks::Perhaps, |socket, _| {
                        sys::send_batch(socket, batch, sent)
                    });
                sent += more.await?;
            }
            Ok(())
        }
    }

    /// Sends the datagrams of a batch from this one on, as many as the system takes at once, up to
    /// 64, without waiting. Returns how many that were: at least one, if there was one.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if the system's buffer is full; as for
    /// [`send_to`](Self::send_to).
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (a, b) = (net::UdpSocket::bind("127.0.0.1:0").await?, net::UdpSocket::bind("127.0.0.1:0").await?);
    /// let mut batch = net::Batch::new(8, 1500);
    /// batch.push(b"one", b.local_addr()?);
    /// assert_eq!(a.try_send_batch(&batch, 0)?, 1);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `ipv4.PacketConn.WriteBatch` with `MSG_DONTWAIT`.
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

    use crate::batch::{AT_ONCE, Batch, Slot};

    pub(crate) fn recv_batch(socket: &mio::net::UdpSocket, batch: &mut Batch) -> io::Result<usize> {
        let (places, slots) = batch.vacant();
        let before = slots.len();
        for place in places.take(AT_ONCE) {
            match socket.recv_from(place) {
                Ok((len, peer)) => slots.push(Slot {
                    len,
                    segment: 0,
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
        for place in (from..batch.len()).take(AT_ONCE) {
            match send_pieces(socket, batch, place) {
                Ok(()) => sent += 1,
                Err(error) if sent == 0 => return Err(error),
                // It comes again when the next one is sent first.
                Err(_) => break,
            }
        }
        Ok(sent)
    }

    /// An error if the first one cannot be sent; where another cannot, it and the rest are lost.
    fn send_pieces(socket: &mio::net::UdpSocket, batch: &Batch, place: usize) -> io::Result<()> {
        for (i, (datagram, to)) in batch.pieces(place).enumerate() {
            let result = match to {
                Some(to) => socket.send_to(datagram, to),
                None => socket.send(datagram),
            };
            match result {
                Ok(_) => {}
                Err(error) if i == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both ways do the same.
    fn exchange(recv: fn(&mio::net::UdpSocket, &mut Batch) -> io::Result<usize>, send: Send) {
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

    type Send = fn(&mio::net::UdpSocket, &Batch, usize) -> io::Result<usize>;

    /// Trains of every length pass, those that the system would not cut as well; on the way back it
    /// may have put them together.
    fn trains(send: Send) {
        for localhost in ["127.0.0.1:0", "[::1]:0"] {
            for gro in [false, true] {
                let bind = || mio::net::UdpSocket::bind(localhost.parse().unwrap()).unwrap();
                let (a, b) = (bind(), bind());
                let together = gro && sys::set_gro(std::os::fd::AsFd::as_fd(&b), true).is_ok();
                // One; two; many; more than the system cuts; more bytes than it takes at once;
                // whatever the size says.
                for (len, size) in [
                    (0, 10),
                    (10, 10),
                    (11, 10),
                    (5000, 1000),
                    (1000, 8),
                    (70_000, 7000),
                    (3, usize::MAX),
                ] {
                    train(send, (&a, &b), together, len, size);
                }
            }
        }
    }

    /// A train of `len` bytes in pieces of `size` passes from `a` to `b`, which may find some of
    /// them put together.
    fn train(
        send: Send,
        (a, b): (&mio::net::UdpSocket, &mio::net::UdpSocket),
        together: bool,
        len: usize,
        size: usize,
    ) {
        let to = b.local_addr().unwrap();
        let bytes: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
        let mut out = Batch::new(2, 80_000);
        out.push_segments(&bytes, size, to);
        out.push(b"end", to);
        let sent = send(a, &out, 0).unwrap();
        if sent == 1 {
            assert_eq!(send(a, &out, 1).unwrap(), 1);
        }
        let mut expected: Vec<_> = out.datagrams().map(|(bytes, _)| bytes).collect();
        assert_eq!(expected.len(), len.div_ceil(size).max(1) + 1);
        let mut batch = Batch::new(AT_ONCE, 65_535);
        while !expected.is_empty() {
            batch.clear();
            sys::recv_batch(b, &mut batch).unwrap();
            for (datagram, from) in batch.datagrams() {
                assert_eq!(datagram, expected.remove(0), "{len} by {size}");
                assert_eq!(from, Some(a.local_addr().unwrap()));
            }
            let places = (0..batch.len()).filter_map(|i| batch.segment_size(i));
            assert!(together || places.count() == 0);
        }
        let error = sys::recv_batch(b, &mut batch).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn trains_arrive_as_if_each_had_been_sent_by_itself() {
        trains(sys::send_batch);
        trains(one_by_one::send_batch);
    }

    #[test]
    fn batches_pass_by_the_system_s_way_and_one_by_one() {
        exchange(sys::recv_batch, sys::send_batch);
        exchange(one_by_one::recv_batch, one_by_one::send_batch);
    }
}
