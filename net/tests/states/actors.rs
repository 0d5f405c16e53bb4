//! Those who use one end of a connection: a reader and a writer, each with its place in what goes
//! there, so that another one may take over when it is aborted.

use std::io::{self, IoSlice, IoSliceMut};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use net::{Stream, StreamKind};
use runtime::time::timeout;
use runtime::yield_now;

use super::model::{Next, Pair, byte};
use super::support::Random;

/// More than the buffers of the system hold, which are made small.
const MOST: u64 = 1 << 18;

/// One of the two, at its end.
pub struct Actor<K: StreamKind> {
    pub pair: Arc<Pair>,
    pub stream: Stream<K>,
    pub at: usize,
    pub random: Random,
}

impl<K: StreamKind> Actor<K> {
    fn stops(&self) -> bool {
        self.pair.stop.load(SeqCst)
    }

    /// Reads in every way that there is, until that is over.
    pub async fn read(mut self) {
        // The one before may have been aborted in the middle of a `read_exact`.
        while !self.stops() && !self.pair.ends[self.at].blurred.load(SeqCst) {
            let next = match self.random.below(7) {
                0 => self.read_exact().await,
                1 => self.peek().await,
                way => self.read_once(way).await,
            };
            match next {
                Next::Progress(_) => {}
                Next::Again => yield_now().await,
                Next::Over => return,
            }
        }
    }

    async fn read_once(&mut self, way: usize) -> Next {
        let mut buf = vec![0; 1 + self.random.below(9000)];
        let most = buf.len();
        let begun = self.pair.begin();
        let said = match way {
            2 => {
                let (a, b) = buf.split_at_mut(most / 2);
                let mut bufs = [IoSliceMut::new(a), IoSliceMut::new(b)];
                self.stream.read_vectored(&mut bufs).await
            }
            3 => match self.stream.readable().await {
                Ok(()) => self.stream.try_read(&mut buf),
                Err(error) => Err(error),
            },
            4 => self.stream.try_read(&mut buf),
            5 => {
                let patience = Duration::from_micros(self.random.below(300) as u64);
                match timeout(patience, self.stream.read(&mut buf)).await {
                    Ok(said) => said,
                    Err(_) => return Next::Again,
                }
            }
            _ => self.stream.read(&mut buf).await,
        };
        let next = self.pair.read(self.at, begun, most, said);
        if let Next::Progress(n) = next {
            self.check(&buf[..n]);
            let read = &self.pair.ends[self.at].read;
            read.fetch_add(n as u64, SeqCst);
        }
        next
    }

    async fn peek(&mut self) -> Next {
        let mut buf = [0; 700];
        let begun = self.pair.begin();
        let said = self.stream.peek(&mut buf).await;
        let next = self.pair.read(self.at, begun, buf.len(), said);
        if let Next::Progress(n) = next {
            self.check(&buf[..n]);
        }
        next
    }

    async fn read_exact(&mut self) -> Next {
        let me = &self.pair.ends[self.at];
        let mut buf = vec![0; 1 + self.random.below(2000)];
        let begun = self.pair.begin();
        // If it is dropped, or fails.
        let before = me.blurred.swap(true, SeqCst);
        let said = self.stream.read_exact(&mut buf).await;
        let said = match said {
            Ok(()) => Ok(buf.len()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
            Err(error) => Err(error),
        };
        match self.pair.read(self.at, begun, buf.len(), said) {
            Next::Progress(n) => {
                self.check(&buf);
                me.read.fetch_add(n as u64, SeqCst);
                me.blurred.store(before, SeqCst);
                Next::Progress(n)
            }
            // The place is lost.
            Next::Again | Next::Over => Next::Over,
        }
    }

    /// All is as it was sent, and in order. (Nobody reads on whose place is lost.)
    fn check(&self, bytes: &[u8]) {
        let me = &self.pair.ends[self.at];
        let place = me.read.load(SeqCst);
        let right = |(i, &found): (usize, &u8)| found == byte(1 - self.at, place + i as u64);
        assert!(
            bytes.iter().enumerate().all(right),
            "other bytes at {place}"
        );
    }

    /// Writes in every way that there is, until that is over, or a failed one has lost the place.
    pub async fn write(mut self) {
        let me = Arc::clone(&self.pair);
        let me = &me.ends[self.at];
        while !self.stops() {
            let place = me.written.load(SeqCst);
            if place >= MOST || me.perhaps_written.load(SeqCst) > 0 {
                return;
            }
            let most = 1 + self.random.below(20_000);
            let buf: Vec<u8> = (0..most).map(|i| byte(self.at, place + i as u64)).collect();
            match self.write_once(&buf).await {
                Next::Progress(n) => _ = me.written.fetch_add(n as u64, SeqCst),
                Next::Again => yield_now().await,
                Next::Over => return,
            }
        }
    }

    async fn write_once(&mut self, buf: &[u8]) -> Next {
        let way = self.random.below(6);
        let perhaps = &self.pair.ends[self.at].perhaps_written;
        let begun = self.pair.begin();
        let said = match way {
            0 => {
                perhaps.store(buf.len() as u64, SeqCst);
                let said = self.stream.write_all(buf).await;
                if said.is_ok() {
                    perhaps.store(0, SeqCst);
                }
                said.map(|()| buf.len())
            }
            1 => {
                let (a, b) = buf.split_at(buf.len() / 2);
                let bufs = [IoSlice::new(a), IoSlice::new(b)];
                self.stream.write_vectored(&bufs).await
            }
            2 => match self.stream.writable().await {
                Ok(()) => self.stream.try_write(buf),
                Err(error) => Err(error),
            },
            3 => self.stream.try_write(buf),
            4 => {
                let patience = Duration::from_micros(self.random.below(300) as u64);
                match timeout(patience, self.stream.write(buf)).await {
                    Ok(said) => said,
                    Err(_) => return Next::Again,
                }
            }
            _ => self.stream.write(buf).await,
        };
        self.pair.write(self.at, begun, buf.len(), said)
    }
}
