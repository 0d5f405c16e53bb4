//! The pool of `spawn_blocking`: [`Pool`] itself, and threads that live as `run_jobs` has them
//! live. Jobs against threads whose time is over, against each other, and against the end.
//!
//! Each job that was taken in is run, unless the pool closes before; after the end every thread has
//! been joined, and all counts are down. A job that nobody comes for leaves the model waiting,
//! which loom reports.
//!
//! Killed by: a promise that `submit` does not note, or notes without taking the thread out of
//! `idle`; one that a thread does not take, or whose coming a thread does not notice when its time
//! is over; `serving` that an ending thread does not leave, leaves in another hold of the lock, or
//! that a new one does not enter; `submit`, `close` or `thread_ends` that does not notify; a closed
//! pool that takes jobs, or whose idle threads wait on; a job that comes back, or stays unfinished,
//! where it must not. Not by Relaxed for `unfinished`: what rides on it is the paused clock's, see
//! `stillness`.

use std::io;
use std::time::Duration;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use loom::thread;

use super::event::Event;
use super::explore;
use crate::scheduler::blocking::for_models::Pool;

enum Job {
    /// Raises the event.
    Raises(Arc<Event>),
    /// Ends when the event is raised.
    Waits(Arc<Event>),
}

struct World {
    pool: Pool<Job, thread::JoinHandle<()>>,
    run: AtomicUsize,
}

impl World {
    fn new(max_threads: usize) -> Arc<Self> {
        Arc::new(Self {
            pool: Pool::new(max_threads, Duration::from_secs(10)),
            run: AtomicUsize::new(0),
        })
    }

    /// `Blocking::submit`. Whether it was taken in.
    fn submit(world: &Arc<Self>, job: Job) -> bool {
        let start = |number| {
            let world = world.clone();
            Ok(thread::spawn(move || world.live(number)))
        };
        world.pool.submit(job, start).is_ok()
    }

    /// `run_jobs`.
    fn live(&self, number: usize) {
        while let Some(job) = self.pool.next_job(None) {
            match job {
                Job::Raises(event) => event.raise(),
                Job::Waits(event) => event.wait(),
            }
            self.run.fetch_add(1, SeqCst);
            self.pool.job_ends();
        }
        if let Some(before) = self.pool.thread_ends(number) {
            before.join().unwrap();
        }
    }

    /// The end of the runtime.
    fn end(&self) {
        self.pool.close();
        let (left, last) = self.pool.wait(None);
        assert_eq!(left, 0, "threads");
        if let Some(last) = last {
            last.join().unwrap();
        }
        self.pool.check();
    }
}

/// The thread is idle, its time is over, and a job comes.
#[test]
fn a_job_that_comes_when_the_time_of_the_only_thread_is_over_is_run() {
    explore(3, || {
        let world = World::new(1);
        let events = [(); 2].map(|()| Arc::new(Event::new()));
        assert!(World::submit(&world, Job::Raises(events[0].clone())));
        let clock = {
            let world = world.clone();
            thread::spawn(move || world.pool.time_passes())
        };
        events[0].wait();
        assert!(World::submit(&world, Job::Raises(events[1].clone())));
        events[1].wait();
        clock.join().unwrap();
        world.end();
        assert_eq!(world.pool.unfinished(), 0);
    });
}

/// One job ends when the other one has been run: the second needs a thread of its own.
#[test]
fn two_jobs_do_not_rely_on_one_idle_thread() {
    explore(2, || {
        let world = World::new(2);
        let (first, second) = (Arc::new(Event::new()), Arc::new(Event::new()));
        assert!(World::submit(&world, Job::Raises(first.clone())));
        first.wait();
        assert!(World::submit(&world, Job::Waits(second.clone())));
        assert!(World::submit(&world, Job::Raises(second)));
        while world.pool.unfinished() > 0 {
            thread::yield_now();
        }
        world.end();
        assert_eq!(world.run.load(SeqCst), 3);
    });
}

/// Two threads are idle; the time of one is over when it, or the other, is promised a job.
#[test]
fn a_promise_is_kept_by_one_of_two_whose_time_is_over() {
    explore(2, || {
        let world = World::new(2);
        let (first, second) = (Arc::new(Event::new()), Arc::new(Event::new()));
        assert!(World::submit(&world, Job::Waits(first.clone())));
        assert!(World::submit(&world, Job::Raises(first)));
        world.pool.time_passes();
        assert!(World::submit(&world, Job::Raises(second.clone())));
        second.wait();
        world.end();
        assert_eq!(world.run.load(SeqCst), 3);
    });
}

/// A job comes from another thread while the pool closes: it is refused, or run, or leaves the line
/// with the end.
#[test]
fn a_job_that_meets_the_end_is_refused_or_run_or_dropped() {
    explore(3, || {
        let world = World::new(1);
        let event = Arc::new(Event::new());
        let submits = {
            let (world, event) = (world.clone(), event.clone());
            thread::spawn(move || World::submit(&world, Job::Raises(event)))
        };
        world.pool.close();
        // What came before `close` is through then.
        let taken_in = submits.join().unwrap();
        world.end();
        let run = world.run.load(SeqCst);
        assert!(run <= usize::from(taken_in), "run though refused");
        let again = world.pool.submit(Job::Raises(event), |_| {
            unreachable!("no thread is asked for after the end")
        });
        assert!(again.is_err());
    });
}

/// The system refuses the second thread: the first one comes to both jobs.
#[test]
fn a_thread_that_cannot_be_started_leaves_its_job_to_another_one() {
    explore(3, || {
        let world = World::new(2);
        let events = [(); 2].map(|()| Arc::new(Event::new()));
        assert!(World::submit(&world, Job::Raises(events[0].clone())));
        let refused = |_| Err(io::Error::other("no more threads"));
        let second = world.pool.submit(Job::Raises(events[1].clone()), refused);
        assert!(second.is_ok(), "one thread serves, whatever it does now");
        events.iter().for_each(|event| event.wait());
        world.end();
        assert_eq!(world.run.load(SeqCst), 2);
    });
}

#[test]
fn a_job_for_which_no_thread_can_be_started_comes_back() {
    explore(3, || {
        let world = World::new(1);
        let event = Arc::new(Event::new());
        let refused = |_| Err(io::Error::other("no more threads"));
        let first = world.pool.submit(Job::Raises(event.clone()), refused);
        assert!(matches!(first, Err((Job::Raises(_), _))));
        assert_eq!(world.pool.unfinished(), 0);
        assert!(World::submit(&world, Job::Raises(event.clone())));
        event.wait();
        world.end();
        assert_eq!(world.run.load(SeqCst), 1);
    });
}
