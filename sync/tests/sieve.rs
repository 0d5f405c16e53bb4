//! Primes by a sieve with feedback, after what Go's `test/chan/sieve2.go` checks; written anew.
//!
//! ```text
//!   odds ───────────────────────────► sift ──────────► primes
//!                                      ▲ │
//!   multiples of 3 ─┐                  │ └─► backlog ─┐
//!   multiples of 5 ─┼─► merge ─────────┘              │
//!   multiples of … ─┘     ▲                           │
//!                         └───────────────────────────┘
//! ```
//!
//! The primes that are found go back to the merger, which wants them much later: without the
//! backlog, a queue without a limit, all would wait for each other.
#![cfg(not(loom))]

mod support;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use runtime::{num_tasks, spawn, yield_now};
use support::{WORKERS, on_each};
use sync::{Receiver, Sender, channel, select};

/// `first`, `first + step`, and so on, until nobody wants them.
fn progression(first: u32, step: u32, capacity: usize) -> Receiver<u32> {
    let (tx, rx) = channel(capacity);
    spawn(async move {
        let mut n = first;
        while tx.send(n).await.is_ok() {
            n += step;
        }
    });
    rx
}

/// Takes whatever comes at once, and hands it on in order when it is wanted.
fn backlog(to: Sender<u32>) -> Sender<u32> {
    let (tx, rx) = channel(10);
    spawn(async move {
        let mut waiting = VecDeque::new();
        loop {
            let first = waiting.front().copied();
            select! {
                n = rx.recv() => match n {
                    Some(n) => waiting.push_back(n),
                    None => break,
                },
                sent = to.send(first.unwrap_or_default()), if first.is_some() => {
                    if sent.is_err() {
                        break;
                    }
                    waiting.pop_front();
                }
            }
        }
    });
    tx
}

/// The odd multiples of all the primes it is given, from their squares on, in order and each once.
async fn merge(primes: Receiver<u32>, composites: Sender<u32>) -> Option<()> {
    // The next multiple of each prime so far; places stand for the channels, which have no order.
    let (mut heads, mut channels) = (BinaryHeap::new(), Vec::new());
    loop {
        let prime = primes.recv().await?;
        let multiples = progression(prime * prime, 2 * prime, 10);
        let square = multiples.recv().await?;
        // All that are below the square of the next prime are known.
        while let Some(&Reverse((next, place))) = heads.peek() {
            if next >= square {
                break;
            }
            advance(&mut heads, &channels, place).await?;
            if heads
                .peek()
                .is_none_or(|&Reverse((after, _))| after != next)
            {
                composites.send(next).await.ok()?;
            }
        }
        composites.send(square).await.ok()?;
        heads.push(Reverse((multiples.recv().await?, channels.len())));
        channels.push(multiples);
    }
}

/// Replaces the least head by the next of its channel.
async fn advance(
    heads: &mut BinaryHeap<Reverse<(u32, usize)>>,
    channels: &[Receiver<u32>],
    place: usize,
) -> Option<()> {
    let next = channels[place].recv().await?;
    heads.pop();
    heads.push(Reverse((next, place)));
    Some(())
}

/// Sorts the composites out of the odd numbers; each prime goes to the reader and back to the
/// merger.
async fn sift(composites: Receiver<u32>, back: Sender<u32>, primes: Sender<u32>) -> Option<()> {
    let back = backlog(back);
    let candidates = progression(5, 2, 50);
    let mut candidate = candidates.recv().await?;
    loop {
        let composite = composites.recv().await?;
        while candidate < composite {
            back.send(candidate).await.ok()?;
            primes.send(candidate).await.ok()?;
            candidate = candidates.recv().await?;
        }
        if candidate == composite {
            candidate = candidates.recv().await?;
        }
    }
}

fn sieve() -> Receiver<u32> {
    let ((tx, primes), (back, found)) = (channel(10), channel(10));
    let (composites, sorted) = channel(50);
    for prime in [2, 3] {
        tx.try_send(prime).unwrap();
    }
    back.try_send(3).unwrap();
    spawn(merge(found, composites));
    spawn(sift(sorted, back, tx));
    primes
}

#[test]
fn the_sieve_with_feedback_finds_primes_and_ends_with_its_reader() {
    on_each(WORKERS, || async {
        let before = num_tasks();
        let primes = sieve();
        let mut found = Vec::new();
        for _ in 0..500 {
            found.push(primes.recv().await.unwrap());
        }
        assert_eq!(found[..10], [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]);
        assert_eq!((found[24], found[499]), (97, 3571));
        drop(primes);
        while num_tasks() > before {
            yield_now().await;
        }
    });
}
