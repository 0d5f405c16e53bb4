//! The second round of a cancelling: who waits is woken, what was registered is started, and the
//! nodes leave their parents.
//!
//! By then all nodes are marked, so nothing depends on when that happens, and it need not happen at
//! once. Inside a task a wave does so much and leaves the rest to a task of its own, which lets
//! others run in between. So a context for which a hundred thousand wait stops no worker for longer
//! than some of them take.
//!
//! A wave that is dropped before its end, with the runtime of that task, ends there: those who wait
//! may belong to another runtime.
#![forbid(unsafe_code)]

use std::mem;

use super::node::Marked;
use crate::waiters::Batch;

/// How many are woken, or started, before others get to run. At some hundred nanoseconds each, that
/// is about a tenth of a millisecond.
const AT_ONCE: usize = 1024;

/// See the module.
pub(super) struct Wave {
    /// The next one last.
    ahead: Vec<Marked>,
    batch: Batch,
}

impl Wave {
    pub(super) fn new(mut marked: Vec<Marked>) -> Self {
        marked.reverse();
        Self {
            ahead: marked,
            batch: Batch::default(),
        }
    }

    /// Does it all, if need be in a task of its own.
    pub(super) fn roll(mut self) {
        if self.advance(AT_ONCE) {
            return self.end();
        }
        if runtime::task::id().is_none() {
            // A thread that has nobody to hold up.
            self.advance(usize::MAX);
            return self.end();
        }
        drop(runtime::spawn(async move {
            while !self.advance(AT_ONCE) {
                runtime::yield_now().await;
            }
            self.end();
        }));
    }

    /// Goes on, for about so many steps. Says whether it is at its end.
    fn advance(&mut self, mut steps: usize) -> bool {
        while let Some(marked) = self.ahead.last_mut() {
            if !marked.wake_some(&mut steps, &mut self.batch) || steps == 0 {
                return false;
            }
            steps = steps.saturating_sub(1 + marked.jobs.len());
            self.ahead.pop().into_iter().for_each(Marked::leave);
        }
        true
    }

    /// Carries on the first panic of a waker, if there was one.
    fn end(mut self) {
        mem::take(&mut self.batch).finish();
    }
}

impl Drop for Wave {
    fn drop(&mut self) {
        self.advance(usize::MAX);
    }
}

impl Marked {
    /// Wakes those in `done`, as many as there are steps; selects first, for others may complete
    /// them otherwise until they are told. Says whether nobody is left.
    fn wake_some(&self, steps: &mut usize, batch: &mut Batch) -> bool {
        // Nobody gets in line any more, since the node is marked.
        while *steps > 0 {
            let more = self.node.close_signal(batch);
            *steps = steps.saturating_sub(batch.len());
            batch.wake();
            if !more {
                break;
            }
        }
        while *steps > 0 {
            let mut locked = self.node.waiters.lock();
            // Nobody queues up any more, since the node is marked.
            let until = locked.ticket();
            let more = locked.take_until(until, batch);
            drop(locked);
            *steps = steps.saturating_sub(batch.len());
            batch.wake();
            if !more {
                return true;
            }
        }
        false
    }

    fn leave(self) {
        if let Some(timer) = self.timer {
            timer.stop();
        }
        for job in self.jobs.into_values() {
            job.start();
        }
        for link in self.parents {
            link.cut();
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::future::Future;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::*};
    use std::task::{Context as TaskContext, Wake, Waker};

    use super::super::node::Node;
    use super::super::{Context, ContextError, Done};
    use super::*;
    use crate::primitive::WAKE_BATCH;

    /// Counts how often it is called.
    struct Counting(AtomicUsize);

    impl Wake for Counting {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    fn wait<'a>(ctx: &'a Context, counting: &Arc<Counting>) -> Pin<Box<Done<'a>>> {
        let waker = Waker::from(counting.clone());
        let mut done = Box::pin(ctx.done());
        let polled = done.as_mut().poll(&mut TaskContext::from_waker(&waker));
        assert!(polled.is_pending());
        done
    }

    #[test]
    fn a_hundred_thousand_are_woken_in_bounded_steps() {
        const CROWD: usize = if cfg!(miri) { 300 } else { 100_000 };
        let (root, _cancel) = Context::background().with_cancel();
        // Most wait for the same, some each for one of its own below.
        let below: Vec<_> = (0..CROWD / 10).map(|_| root.with_cancel()).collect();
        let woken = Arc::new(Counting(AtomicUsize::new(0)));
        let mut waiting: Vec<_> = below.iter().map(|(ctx, _)| wait(ctx, &woken)).collect();
        waiting.resize_with(CROWD, || wait(&root, &woken));

        let node: &Arc<Node> = root.node.as_ref().unwrap();
        let mut wave = node.mark_all(ContextError::Canceled, None);
        assert!(root.is_done() && below.iter().all(|(ctx, _)| ctx.is_done()));
        let (mut before, mut steps) = (0, 0);
        let mut ended = false;
        while !ended {
            ended = wave.advance(AT_ONCE);
            let now = woken.0.load(SeqCst);
            assert!(
                now - before < AT_ONCE + WAKE_BATCH,
                "{} in one go",
                now - before
            );
            (before, steps) = (now, steps + 1);
        }
        assert_eq!(before, CROWD);
        assert!(steps >= CROWD / (AT_ONCE + WAKE_BATCH), "{steps}");
        wave.end();
    }

    #[test]
    fn a_wave_that_is_dropped_wakes_all() {
        let (root, _cancel) = Context::background().with_cancel();
        let woken = Arc::new(Counting(AtomicUsize::new(0)));
        let waiting: Vec<_> = (0..if cfg!(miri) { 100 } else { 5000 })
            .map(|_| wait(&root, &woken))
            .collect();
        let node = root.node.as_ref().unwrap();
        let mut wave = node.mark_all(ContextError::Canceled, None);
        assert!(!wave.advance(10));
        drop(wave);
        assert_eq!(woken.0.load(SeqCst), waiting.len());
    }
}
