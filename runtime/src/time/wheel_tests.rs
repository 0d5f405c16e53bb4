//! The wheel against a sorted map, and at its boundaries.
//!
//! A failing random test prints its seed; `SEED=… cargo test` runs that one again.

use std::collections::BTreeSet;
use std::mem::MaybeUninit;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::task::{Wake, Waker};

use super::dial::Resolution;
use super::timers::Batch;
use super::wheel::{FIRED, IDLE, Node, Progress, Wheel};
use crate::primitive::atomic::AtomicU64;

const TICK: u64 = 1 << 15;

/// The ids in the order in which they were woken.
type Log = Arc<Mutex<Vec<usize>>>;

struct Logger {
    id: usize,
    log: Log,
}

impl Wake for Logger {
    fn wake(self: Arc<Self>) {
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(self.id);
    }
}

/// A wheel, nodes that stay where they are, and what they ought to do.
struct Bench {
    wheel: Wheel,
    nodes: Box<[Node]>,
    wakers: Vec<Waker>,
    log: Log,
    /// What is linked: by tick, then by node.
    model: BTreeSet<(u64, usize)>,
    now: u64,
}

impl Bench {
    fn new(nodes: usize) -> Self {
        let log = Log::default();
        Self {
            wheel: Wheel::new(),
            nodes: (0..nodes).map(|_| Node::new()).collect(),
            wakers: (0..nodes)
                .map(|id| {
                    let log = log.clone();
                    Waker::from(Arc::new(Logger { id, log }))
                })
                .collect(),
            log,
            model: BTreeSet::new(),
            now: 0,
        }
    }

    fn word(&self, id: usize) -> &AtomicU64 {
        &self.nodes[id].word
    }

    fn is_linked(&self, id: usize) -> bool {
        self.word(id).load(Ordering::Relaxed) < IDLE
    }

    /// Returns whether the wheel took it.
    fn insert(&mut self, id: usize, deadline: u64) -> bool {
        assert!(!self.is_linked(id));
        let node = &self.nodes[id];
        let waker = self.wakers[id].clone();
        node.waker.with_mut(|slot| {
            // SAFETY: the node is unlinked, so that the slot is ours and empty.
            unsafe { slot.write(MaybeUninit::new(waker)) };
        });
        node.word.store(deadline, Ordering::Relaxed);
        // SAFETY: the nodes are on the heap and do not move, and `drop` unlinks what is left.
        match unsafe { self.wheel.insert(node, self.now) } {
            Ok(at) => {
                assert!(at >= deadline, "a node must not be early");
                assert!(at - deadline < TICK, "a node must not be a tick late");
                self.model.insert((tick(deadline), id));
                true
            }
            Err(_) => {
                self.forget_waker(id);
                false
            }
        }
    }

    fn cancel(&mut self, id: usize) {
        let deadline = self.word(id).load(Ordering::Relaxed);
        assert!(self.model.remove(&(tick(deadline), id)));
        // SAFETY: it is in the model, and so in the wheel.
        let _ = unsafe { self.wheel.remove(&self.nodes[id]) };
        self.forget_waker(id);
    }

    fn postpone(&mut self, id: usize, deadline: u64) {
        let old = self.word(id).swap(deadline, Ordering::Relaxed);
        assert!(old <= deadline);
        assert!(self.model.remove(&(tick(old), id)));
        self.model.insert((tick(deadline), id));
    }

    /// One call of `advance`; checks that it fires the earliest, in order, and nothing that is not
    /// due.
    fn advance(&mut self, now: u64, capacity: usize) -> Progress {
        self.now = now;
        let mut batch = Batch::new(capacity);
        let progress = self.wheel.advance(now, &mut batch);
        batch.wake();
        for id in self.take_log() {
            let &(earliest, _) = self.model.first().expect("fired without being linked");
            assert!(
                self.model.remove(&(earliest, id)),
                "node {id} fired out of turn"
            );
            assert!(earliest <= now / TICK, "node {id} fired early");
            assert_eq!(self.word(id).load(Ordering::Relaxed), FIRED);
        }
        progress
    }

    /// Advances until nothing is due.
    fn settle(&mut self, now: u64) {
        while self.advance(now, 32) == Progress::More {}
        self.check_settled();
    }

    fn check_settled(&self) {
        if let Some(&(earliest, id)) = self.model.first() {
            assert!(earliest > self.now / TICK, "node {id} did not fire");
        }
        assert!(
            self.wheel.next_deadline() > self.now,
            "a worker would spin: nothing is due, and the deadline has passed"
        );
    }

    fn check_next(&self) {
        match self.model.first() {
            Some(&(earliest, _)) => {
                assert!(self.wheel.next_deadline() <= earliest.saturating_mul(TICK));
            }
            None => assert_eq!(self.wheel.next_deadline(), u64::MAX),
        }
    }

    fn take_log(&self) -> Vec<usize> {
        std::mem::take(&mut *self.log.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn forget_waker(&self, id: usize) {
        self.word(id).store(IDLE, Ordering::Relaxed);
        self.nodes[id].waker.with_mut(|slot| {
            // SAFETY: the node is unlinked and did not fire: the waker is there, and ours.
            unsafe { (*slot).assume_init_drop() };
        });
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        for id in 0..self.nodes.len() {
            if self.is_linked(id) {
                // SAFETY: a deadline in the word means that the node is linked.
                let _ = unsafe { self.wheel.remove(&self.nodes[id]) };
                self.forget_waker(id);
            }
        }
    }
}

fn tick(deadline: u64) -> u64 {
    deadline.div_ceil(TICK)
}

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// A number of up to `bits` bits, all magnitudes alike.
    fn magnitude(&mut self, bits: u64) -> u64 {
        let bits = self.below(bits + 1);
        self.next() & ((1 << bits) - 1)
    }
}

/// Runs the body for many seeds, or for the one in `SEED`, and prints the seed if it panics.
fn for_seeds(count: u64, body: impl Fn(&mut Random)) {
    struct Report(u64);
    impl Drop for Report {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("the seed was SEED={}", self.0);
            }
        }
    }
    let given = std::env::var("SEED").ok().and_then(|s| s.parse().ok());
    let seeds = given.map_or(0..count, |seed| seed..seed + 1);
    for seed in seeds {
        let _report = Report(seed);
        body(&mut Random(seed));
    }
}

#[test]
fn random_programs_agree_with_a_sorted_map() {
    for_seeds(if cfg!(miri) { 2 } else { 300 }, |random| {
        let mut bench = Bench::new(48);
        // The widest steps of this program; some stay within a level or two.
        let reach = 16 + random.below(46);
        for _ in 0..600 {
            let id = random.below(48) as usize;
            match random.below(8) {
                0..=3 if !bench.is_linked(id) => {
                    let deadline = bench.now.saturating_add(random.magnitude(reach));
                    bench.insert(id, deadline.min(IDLE - 1));
                }
                4 if bench.is_linked(id) => bench.cancel(id),
                5 if bench.is_linked(id) => {
                    let deadline = bench.word(id).load(Ordering::Relaxed);
                    let later = deadline.saturating_add(random.magnitude(reach));
                    bench.postpone(id, later.min(IDLE - 1));
                }
                6 => {
                    // One call that may leave some for later; time may also stand still.
                    let now = bench.now.saturating_add(random.magnitude(reach));
                    let capacity = random.below(4) as usize;
                    if bench.advance(now, capacity) == Progress::Done {
                        bench.check_settled();
                    }
                }
                7 => {
                    let now = bench.now.saturating_add(random.magnitude(reach));
                    bench.settle(now);
                }
                _ => {}
            }
            bench.check_next();
        }
    });
}

#[test]
fn the_next_deadline_is_exact_while_nothing_is_cancelled() {
    for_seeds(if cfg!(miri) { 1 } else { 100 }, |random| {
        let mut bench = Bench::new(64);
        let reach = 16 + random.below(44);
        for id in 0..64 {
            bench.insert(id, bench.now.saturating_add(random.magnitude(reach)));
            let &(earliest, _) = bench.model.first().unwrap_or(&(u64::MAX, 0));
            assert_eq!(bench.wheel.next_deadline(), earliest.saturating_mul(TICK));
        }
        // Going from deadline to deadline fires something at each stop: no stop is made for a
        // cascade alone.
        while !bench.model.is_empty() {
            let left = bench.model.len();
            bench.settle(bench.wheel.next_deadline());
            assert!(bench.model.len() < left, "woken for nothing");
        }
    });
}

#[test]
fn fires_on_the_tick_at_the_edges_of_every_level() {
    for level in 0..9 {
        let width = 1u64 << (6 * level);
        for start in [0, 1, 63, 64, width - 1, width, width + 1, 63 * width] {
            for distance in [1, 2, width - 1, width, width + 1, 63 * width, 64 * width] {
                let due = start.saturating_add(distance).min((1 << 49) - 1);
                if distance == 0 || due <= start {
                    continue;
                }
                let mut bench = Bench::new(2);
                bench.settle(start.min((1 << 49) - 1) * TICK);
                // The second node keeps the wheel from starting over when the first is gone.
                assert!(bench.insert(0, due * TICK));
                bench.insert(1, due.saturating_add(1).min((1 << 49) - 1) * TICK);
                bench.settle(due * TICK - 1);
                assert!(bench.is_linked(0), "{start}+{distance}: early");
                bench.settle(due * TICK);
                assert!(!bench.is_linked(0), "{start}+{distance}: late");
            }
        }
    }
}

#[test]
fn a_deadline_between_ticks_is_rounded_up() {
    let mut bench = Bench::new(1);
    assert!(bench.insert(0, 5 * TICK + 1));
    bench.settle(6 * TICK - 1);
    assert!(bench.is_linked(0));
    bench.settle(6 * TICK);
    assert!(!bench.is_linked(0));
}

#[test]
fn a_deadline_that_has_passed_is_refused() {
    let mut bench = Bench::new(2);
    bench.insert(1, 1 << 40);
    bench.settle(100 * TICK);
    assert!(!bench.insert(0, 0));
    assert!(!bench.insert(0, 100 * TICK));
    assert!(bench.insert(0, 100 * TICK + 1));
}

#[test]
fn the_last_deadlines_have_slots_and_the_clock_may_run_out() {
    let mut bench = Bench::new(3);
    assert!(bench.insert(0, IDLE - 1));
    assert!(bench.insert(1, u64::MAX - TICK));
    assert!(bench.insert(2, 1 << 63));
    bench.settle((1 << 63) - 1);
    assert!(bench.is_linked(2));
    bench.settle(1 << 63);
    assert!(!bench.is_linked(2));
    bench.settle(u64::MAX - 2);
    assert!(!bench.is_linked(1));
    // Rounded up it lies past the end of time.
    assert!(bench.is_linked(0));
}

#[test]
fn timers_of_one_tick_fire_first_come_first_served() {
    let mut bench = Bench::new(100);
    for id in 0..100 {
        assert!(bench.insert(id, 5000 * TICK));
    }
    let mut order = Vec::new();
    loop {
        let mut batch = Batch::new(7);
        let progress = bench.wheel.advance(5000 * TICK, &mut batch);
        batch.wake();
        order.extend(bench.take_log());
        if progress == Progress::Done {
            break;
        }
    }
    assert_eq!(order, (0..100).collect::<Vec<_>>());
    bench.model.clear();
}

#[test]
fn a_long_cascade_stops_and_goes_on() {
    // All in one slot of level 1, on ticks 64 to 127.
    let mut bench = Bench::new(1000);
    for id in 0..1000 {
        assert!(bench.insert(id, (64 + id as u64 % 64) * TICK));
    }
    let mut calls = 1;
    while bench.advance(64 * TICK, 32) == Progress::More {
        calls += 1;
        bench.check_next();
    }
    assert!(
        calls >= 4,
        "1000 nodes were moved under few holds of the lock"
    );
    bench.check_settled();
    // Cancelled in the middle of another cascade.
    for id in 0..1000 {
        if bench.is_linked(id) && id % 3 == 0 {
            bench.cancel(id);
        }
    }
    bench.settle(127 * TICK);
    assert!(bench.model.is_empty());
}

#[test]
fn nodes_may_leave_and_come_while_a_cascade_is_unfinished() {
    let mut bench = Bench::new(600);
    for id in 0..598 {
        assert!(bench.insert(id, 127 * TICK));
    }
    assert_eq!(bench.advance(64 * TICK, 32), Progress::More);
    for id in 0..598 {
        bench.cancel(id);
    }
    bench.check_next();
    assert!(bench.insert(598, 65 * TICK));
    assert!(bench.insert(599, 64 * 64 * TICK));
    bench.settle(65 * TICK);
    assert!(!bench.is_linked(598));
    bench.settle(64 * 64 * TICK);
    assert!(!bench.is_linked(599));
}

#[test]
fn a_wheel_goes_on_with_shorter_ticks_wherever_it_is_interrupted() {
    for_seeds(50, |random| {
        const NODES: usize = 400;
        let mut bench = Bench::new(NODES);
        let deadline = |random: &mut Random| 64 * TICK + random.magnitude(40);
        for id in 0..NODES {
            assert!(bench.insert(id, deadline(random)));
        }
        let now = deadline(random);
        let capacity = 1 + random.below(32) as usize;
        for _ in 0..random.below(8) {
            let _ = bench.advance(now, capacity);
        }
        let linked: Vec<_> = (0..NODES).filter(|&id| bench.is_linked(id)).collect();
        bench.wheel.change_resolution(Resolution::Exact, now);
        assert_eq!(bench.wheel.len(), linked.len());
        let mut left = BTreeSet::new();
        for id in linked {
            match random.below(4) {
                0 => bench.cancel(id),
                // Those that are due are so one tick later.
                _ => {
                    assert!(left.insert((bench.word(id).load(Ordering::Relaxed).max(now + 1), id)))
                }
            }
        }
        while bench.wheel.next_deadline() != u64::MAX {
            let at = bench.wheel.next_deadline();
            let mut batch = Batch::new(32);
            let _ = bench.wheel.advance(at, &mut batch);
            batch.wake();
            for id in bench.take_log() {
                assert!(left.remove(&(at, id)), "node {id} fired at {at}");
            }
        }
        assert_eq!((left.len(), bench.wheel.len()), (0, 0));
        bench.model.clear();
    });
}

#[test]
fn time_that_goes_back_between_firing_threads_does_no_harm() {
    let mut bench = Bench::new(2);
    bench.insert(0, 10 * TICK);
    bench.insert(1, 200 * TICK);
    bench.settle(50 * TICK);
    let mut batch = Batch::new(32);
    assert_eq!(bench.wheel.advance(20 * TICK, &mut batch), Progress::Done);
    assert_eq!(batch.len(), 0);
    bench.settle(199 * TICK);
    assert!(bench.is_linked(1));
    bench.settle(200 * TICK);
    assert!(!bench.is_linked(1));
}
