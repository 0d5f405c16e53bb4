//! Many datagrams a system call: where a call costs more than what it moves, as with small ones,
//! this is what counts.
//!
//! A [`Batch`] is one piece of memory with a place for each datagram, made once and used again and
//! again. The system fills or reads it with one call (`recvmmsg`, `sendmmsg` on Linux); elsewhere a
//! loop of single calls does the same: `udp_batch.rs`.
//!
//! A place may also hold a train: several datagrams of one size and one address, which Linux cuts
//! apart as late, and puts together as early, as it can (GSO and GRO), so that most of its own work
//! is done once a train. Where the system cannot cut, or the device that they would leave by
//! cannot, they are sent one by one: what a train means does not depend on who cuts it.
#![forbid(unsafe_code)]

use std::fmt;
use std::net::SocketAddr;

/// Datagrams a call. What a call costs by itself is a hundredth by then, and headers, addresses and
/// control messages are 22 KiB of stack.
pub(crate) const AT_ONCE: usize = 64;

/// Room for datagrams with their addresses, to be received or sent together.
///
/// Each has a place. A place may hold several datagrams of one size, to be
/// [cut apart](Self::push_segments) when they are sent; or
/// [put together](crate::UdpSocket::set_gro) when they were received.
/// [`datagrams`](Self::datagrams) yields them one by one however that is.
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
    /// The size of each datagram in it but the last, which may be shorter; zero if there is one.
    pub(crate) segment: usize,
    pub(crate) peer: Option<SocketAddr>,
}

impl Batch {
    /// Room for so many datagrams of up to `size` bytes each.
    ///
    /// # Panics
    ///
    /// If there is room for none, or for none with a byte in it; or if all of them have more bytes
    /// than there are addresses.
    ///
    /// ```
    /// let mut batch = net::Batch::new(2, 1500);
    /// assert_eq!((batch.len(), batch.capacity()), (0, 2));
    /// ```
    ///
    /// **Go:** `make([]ipv4.Message, room)`.
    #[track_caller]
    pub fn new(room: usize, size: usize) -> Self {
        assert!(
            room > 0 && size > 0,
            "a batch of {room} times {size} bytes can receive nothing: give it some of each"
        );
        // Wrapped round, it would be a batch without places that says it has some.
        let Some(all) = room.checked_mul(size) else {
            panic!("a batch of {room} times {size} bytes does not fit into memory: give it less");
        };
        Self {
            bytes: vec![0; all].into(),
            size,
            room,
            slots: Vec::with_capacity(room),
        }
    }

    /// How many places are taken: the number of datagrams, where none share one.
    ///
    /// ```
    /// let mut batch = net::Batch::new(2, 1500);
    /// batch.push(b"one", None);
    /// assert_eq!(batch.len(), 1);
    /// ```
    ///
    /// **Go:** what `ReadBatch` returned.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is none in it.
    ///
    /// ```
    /// let mut batch = net::Batch::new(2, 1500);
    /// assert!(batch.is_empty());
    /// ```
    ///
    /// **Go:** none.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether there is no room for another one.
    ///
    /// ```
    /// let mut batch = net::Batch::new(2, 1500);
    /// while !batch.is_full() {
    ///     batch.push(b"again", None);
    /// }
    /// assert_eq!(batch.len(), 2);
    /// ```
    ///
    /// **Go:** none.
    pub fn is_full(&self) -> bool {
        self.slots.len() == self.room
    }

    /// How many places there are in all.
    ///
    /// ```
    /// let mut batch = net::Batch::new(2, 1500);
    /// assert_eq!(batch.capacity(), 2);
    /// ```
    ///
    /// **Go:** `cap(messages)`.
    pub fn capacity(&self) -> usize {
        self.room
    }

    /// Takes all datagrams out.
    ///
    /// ```
    /// let mut batch = net::Batch::new(2, 1500);
    /// batch.push(b"one", None);
    /// batch.clear();
    /// assert!(batch.is_empty());
    /// ```
    ///
    /// **Go:** none.
    pub fn clear(&mut self) {
        self.slots.clear();
    }

    /// Adds a datagram, to be sent to this address, or, with `None`, to the peer that the socket is
    /// connected to.
    ///
    /// # Panics
    ///
    /// If there is no room for another one, or for one of this length: see
    /// [`is_full`](Self::is_full).
    ///
    /// ```
    /// let mut batch = net::Batch::new(2, 1500);
    /// batch.push(b"to the peer", None);
    /// batch.push(b"to an address", std::net::SocketAddr::from(([127, 0, 0, 1], 7)));
    /// assert!(batch.is_full());
    /// ```
    ///
    /// **Go:** `append(messages, ipv4.Message{…})`.
    #[track_caller]
    pub fn push(&mut self, datagram: &[u8], to: impl Into<Option<SocketAddr>>) {
        self.put(datagram, 0, to.into());
    }

    /// Adds datagrams of this size, all to the same address, in one place: the last may be shorter.
    /// The system cuts them apart, which costs it much less than to be handed each by itself
    /// (`UDP_SEGMENT`, also known as GSO). Where it cannot do that it is handed each by itself;
    /// what then finds no room in its buffer is lost, as it might be anywhere on its way.
    ///
    /// Linux cuts up to 64 datagrams, and 64 KiB, at a time.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let server = net::UdpSocket::bind("127.0.0.1:0").await?;
    /// let client = net::UdpSocket::bind("127.0.0.1:0").await?;
    /// let mut batch = net::Batch::new(1, 4000);
    /// batch.push_segments(&[7; 3000], 1200, server.local_addr()?);
    /// client.send_batch(&batch).await?;
    ///
    /// let mut buf = [0; 2000];
    /// for size in [1200, 1200, 600] {
    ///     assert_eq!(server.recv(&mut buf).await?, size);
    /// }
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// # Panics
    ///
    /// As [`push`](Self::push); if the size is zero.
    ///
    /// **Go:** none; quic-go writes the control message itself.
    #[track_caller]
    pub fn push_segments(
        &mut self,
        datagrams: &[u8],
        size: usize,
        to: impl Into<Option<SocketAddr>>,
    ) {
        assert!(
            size > 0,
            "datagrams without a byte in them cannot be told apart: push each by itself"
        );
        let several = datagrams.len() > size;
        self.put(datagrams, if several { size } else { 0 }, to.into());
    }

    #[track_caller]
    fn put(&mut self, bytes: &[u8], segment: usize, peer: Option<SocketAddr>) {
        assert!(!self.is_full(), "the batch is full: ask `is_full()` first");
        let (len, size) = (bytes.len(), self.size);
        assert!(
            len <= size,
            "{len} bytes in a batch with places for {size}: make it with more"
        );
        let at = self.slots.len() * size;
        self.bytes[at..at + len].copy_from_slice(bytes);
        self.slots.push(Slot { len, segment, peer });
    }

    /// What is in a place, and who sent it or will receive it.
    ///
    /// ```
    /// let mut batch = net::Batch::new(2, 1500);
    /// batch.push(b"one", None);
    /// assert_eq!(batch.get(0), Some((&b"one"[..], None)));
    /// assert_eq!(batch.get(1), None);
    /// ```
    ///
    /// **Go:** `messages[i]`.
    pub fn get(&self, index: usize) -> Option<(&[u8], Option<SocketAddr>)> {
        let slot = self.slots.get(index)?;
        let at = index * self.size;
        Some((&self.bytes[at..at + slot.len], slot.peer))
    }

    /// The size of the datagrams in a place that holds several: of all but the last, which may be
    /// shorter. `None` for one that holds one.
    ///
    /// ```
    /// let mut batch = net::Batch::new(2, 16);
    /// batch.push(b"one", None);
    /// batch.push_segments(b"twothree", 3, None);
    /// assert_eq!((batch.segment_size(0), batch.segment_size(1)), (None, Some(3)));
    /// ```
    ///
    /// **Go:** none.
    pub fn segment_size(&self, index: usize) -> Option<usize> {
        let size = self.slots.get(index)?.segment;
        (size > 0).then_some(size)
    }

    /// All datagrams one by one, in their order, those that share a place too.
    ///
    /// ```
    /// let mut batch = net::Batch::new(2, 16);
    /// batch.push(b"one", None);
    /// batch.push_segments(b"twothree", 3, None);
    /// let all: Vec<_> = batch.datagrams().map(|(bytes, _)| bytes).collect();
    /// assert_eq!(all, [&b"one"[..], b"two", b"thr", b"ee"]);
    /// ```
    ///
    /// **Go:** none; `ipv4.PacketConn.ReadBatch` leaves it to its caller to take trains apart.
    pub fn datagrams(&self) -> impl Iterator<Item = (&[u8], Option<SocketAddr>)> + '_ {
        (0..self.len()).flat_map(|index| self.pieces(index))
    }

    /// The datagrams of a place.
    pub(crate) fn pieces(
        &self,
        index: usize,
    ) -> impl Iterator<Item = (&[u8], Option<SocketAddr>)> + '_ {
        let (bytes, peer) = self.get(index).expect("the index is below the length");
        // One without bytes is one, too.
        let size = self.segment_size(index).unwrap_or(bytes.len().max(1));
        let count = bytes.len().div_ceil(size).max(1);
        (0..count).map(move |i| {
            let from = i * size;
            (&bytes[from..bytes.len().min(from + size)], peer)
        })
    }

    /// All places, in their order.
    ///
    /// ```
    /// let mut batch = net::Batch::new(2, 1500);
    /// batch.push(b"one", None);
    /// for (datagram, peer) in batch.iter() {
    ///     println!("{} bytes, from {peer:?}", datagram.len());
    /// }
    /// ```
    ///
    /// **Go:** `for _, message := range messages`.
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

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("len", &self.len())
            .field("capacity", &self.room)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}
