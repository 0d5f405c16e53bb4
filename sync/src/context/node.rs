//! A node of the tree: what can be cancelled, and all that has to happen then.
//!
//! ```text
//!   live ──cancel──► canceled | exceeded      (for good; Node::state)
//! ```
//!
//! A node knows its children weakly and its parents strongly, so that a context that nobody has any
//! more is gone from the tree. Cancelling goes in two rounds. The first *marks* the node and
//! everything below it, each under its own lock; the second wakes who waits, starts the functions
//! that were registered, and takes the nodes out of their parents: the [wave](super::wave). So
//! foreign code runs only when all are marked, under no lock.
//!
//! Invariants:
//!
//! 1. State leaves `LIVE` once, under the node's lock, after the cause is in place. So who sees
//!    `err` finds the cause, and `done` ready.
//! 2. A child is put into a live parent under the parent's lock: either the parent's marking finds
//!    it, or it finds the parent done.
//! 3. A marked node keeps its children until all below is marked. A second canceller, who finds the
//!    node marked, goes down all the same, so that for it, too, everything below is done when it
//!    returns.
//! 4. No two locks of nodes are held at once, and under a lock no node, waker, timer or function is
//!    dropped.
//!
//! *Rejected*: holding the locks from the root of the cancelling down, as Go does. It needs a stack
//! as deep as the tree is.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, HashSet};
use std::mem;
use std::sync::{Arc, OnceLock, Weak};

use runtime::time::{Instant, Timer, lasting};

use super::after::Job;
use super::error::{Cause, ContextError};
use super::wave::Wave;
use crate::channel::Channel;
use crate::primitive::atomic::{AtomicU8, Ordering};
use crate::waiters::{Batch, Waiters};

pub(super) struct Node {
    /// Atomic: [`LIVE`], [`CANCELED`] or [`EXCEEDED`].
    state: AtomicU8,
    deadline: Option<Instant>,
    pub(super) waiters: Waiters<Tree, ()>,
    /// What stands for `done` in a `select!`; made under the lock when the first asks for it, so
    /// that either the marking comes later and the wave finds it, or who asks finds the node
    /// marked.
    signal: OnceLock<Box<Channel<()>>>,
}

const LIVE: u8 = 0;
const CANCELED: u8 = 1;
const EXCEEDED: u8 = 2;

/// What a node is tied to. Under the lock of its waiters.
#[derive(Default)]
pub(super) struct Tree {
    /// What the cancelling gave, if anything; from the moment the node is marked.
    cause: Option<Cause>,
    /// Two for a merged context.
    parents: Vec<Link>,
    children: BTreeMap<u64, Weak<Node>>,
    jobs: BTreeMap<u64, Job>,
    timer: Option<Timer>,
    /// The next key of a child or a job; 64 bits, so that it never wraps.
    next_key: u64,
}

/// Where a node is among the children of a parent.
pub(super) struct Link {
    parent: Arc<Node>,
    key: u64,
}

/// How and why.
#[derive(Clone)]
struct End {
    err: ContextError,
    cause: Option<Cause>,
}

/// A node that has just been marked, and what the second round is to do with what it had.
pub(super) struct Marked {
    pub(super) node: Arc<Node>,
    pub(super) parents: Vec<Link>,
    pub(super) jobs: BTreeMap<u64, Job>,
    pub(super) timer: Option<Timer>,
}

impl Tree {
    fn key(&mut self) -> u64 {
        let key = self.next_key;
        self.next_key += 1;
        key
    }
}

impl Node {
    /// A node that is in no tree yet.
    pub(super) fn new(deadline: Option<Instant>) -> Arc<Self> {
        Arc::new(Self {
            state: AtomicU8::new(LIVE),
            deadline,
            waiters: Waiters::new(Tree::default()),
            signal: OnceLock::new(),
        })
    }

    /// The channel that the [arms](super::arm) of selects wait for. It closes after the node is
    /// marked.
    #[inline]
    pub(super) fn signal(&self) -> &Channel<()> {
        match self.signal.get() {
            Some(signal) => signal,
            None => self.make_signal(),
        }
    }

    #[cold]
    fn make_signal(&self) -> &Channel<()> {
        let fresh = Box::new(Channel::new(0, false));
        let _locked = self.waiters.lock();
        self.signal.get_or_init(|| fresh)
    }

    /// Closes the signal of a marked node, and tells selects that wait for it, as many as the batch
    /// has room for. False once all know.
    pub(super) fn close_signal(&self, batch: &mut Batch) -> bool {
        self.signal
            .get()
            .is_some_and(|signal| signal.close_some(batch))
    }

    /// How it ended, for whoever holds no lock: where there is no runtime any more, the time may be
    /// over before the thread that keeps it has seen that.
    #[inline]
    pub(super) fn ask(&self) -> Option<ContextError> {
        let err = self.err();
        if err.is_some() || self.deadline.is_none() {
            return err;
        }
        lasting::run_due();
        self.err()
    }

    #[inline]
    pub(super) fn err(&self) -> Option<ContextError> {
        // Acquire: pairs with the `Release` in `mark`.
        match self.state.load(Ordering::Acquire) {
            LIVE => None,
            CANCELED => Some(ContextError::Canceled),
            _ => Some(ContextError::DeadlineExceeded),
        }
    }

    pub(super) fn cause(&self) -> Option<Cause> {
        let err = self.ask()?;
        let given = self.waiters.lock().cause.clone();
        Some(given.unwrap_or_else(|| Arc::new(err)))
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Makes `child` end with `parent`, at once if that has ended.
    pub(super) fn attach(parent: &Arc<Self>, child: &Arc<Self>) {
        let mut tree = parent.waiters.lock();
        if let Some(err) = parent.err() {
            let cause = tree.cause.clone();
            drop(tree);
            return child.cancel(err, cause);
        }
        let key = tree.key();
        tree.children.insert(key, Arc::downgrade(child));
        drop(tree);
        let link = Link {
            parent: parent.clone(),
            key,
        };
        let mut tree = child.waiters.lock();
        if child.err().is_some() {
            // The parent, or the other one, has ended meanwhile; nobody else knows of this link.
            drop(tree);
            return link.cut();
        }
        tree.parents.push(link);
    }

    /// Makes the node end at `deadline`.
    #[track_caller]
    pub(super) fn expire_at(self: &Arc<Self>, deadline: Instant, cause: Option<Cause>) {
        let now = Instant::now();
        if deadline <= now {
            return self.cancel(ContextError::DeadlineExceeded, cause);
        }
        let node = Arc::downgrade(self);
        // It belongs to no runtime: those who wait, and those who ask, may be in another one.
        let timer = lasting::after_func(deadline - now, move || {
            if let Some(node) = node.upgrade() {
                node.cancel(ContextError::DeadlineExceeded, cause.clone());
            }
        });
        let mut tree = self.waiters.lock();
        if self.err().is_none() {
            tree.timer = Some(timer);
            return;
        }
        drop(tree);
        timer.stop();
    }

    /// Keeps a job until the node ends; gives it back if it has ended already.
    pub(super) fn add_job(&self, job: Job) -> Result<u64, Job> {
        let mut tree = self.waiters.lock();
        if self.err().is_some() {
            drop(tree);
            return Err(job);
        }
        let key = tree.key();
        tree.jobs.insert(key, job);
        Ok(key)
    }

    pub(super) fn take_job(&self, key: u64) -> Option<Job> {
        self.waiters.lock().jobs.remove(&key)
    }

    /// Ends the node and everything below it. The first to do so says how and why.
    pub(super) fn cancel(self: &Arc<Self>, err: ContextError, cause: Option<Cause>) {
        self.mark_all(err, cause).roll();
    }

    /// The first round: when it returns, the node and everything below it have ended.
    pub(super) fn mark_all(self: &Arc<Self>, err: ContextError, cause: Option<Cause>) -> Wave {
        let mut marked = Vec::new();
        let mut visited = Vec::new();
        let mut ahead = vec![(self.clone(), End { err, cause })];
        // Those that had ended when we came to them, perhaps by us, by way of another parent.
        // Nobody goes down twice from there, or merged contexts that are merged again would be met
        // as often as there are ways to them.
        let mut ended = HashSet::new();
        while let Some((node, end)) = ahead.pop() {
            let had_ended = node.err().is_some();
            let end = node.mark(end, &mut marked);
            let children = node.children();
            if children.is_empty() || (had_ended && !ended.insert(Arc::as_ptr(&node))) {
                continue;
            }
            ahead.extend(children.into_iter().map(|child| (child, end.clone())));
            visited.push(node);
        }
        for node in visited {
            node.forget_children();
        }
        Wave::new(marked)
    }

    /// Ends this node alone, unless it has ended. Returns its end.
    fn mark(self: &Arc<Self>, end: End, marked: &mut Vec<Marked>) -> End {
        let mut tree = self.waiters.lock();
        if let Some(err) = self.err() {
            let cause = tree.cause.clone();
            drop(tree);
            return End { err, cause };
        }
        tree.cause.clone_from(&end.cause);
        let state = match end.err {
            ContextError::Canceled => CANCELED,
            ContextError::DeadlineExceeded => EXCEEDED,
        };
        // Release: pairs with the `Acquire` in `err`; the cause is in place (1).
        self.state.store(state, Ordering::Release);
        let had = Marked {
            node: self.clone(),
            parents: mem::take(&mut tree.parents),
            jobs: mem::take(&mut tree.jobs),
            timer: tree.timer.take(),
        };
        drop(tree);
        marked.push(had);
        end
    }

    /// Those that somebody still has.
    fn children(&self) -> Vec<Arc<Self>> {
        let tree = self.waiters.lock();
        tree.children.values().filter_map(Weak::upgrade).collect()
    }

    fn forget_children(&self) {
        let children = mem::take(&mut self.waiters.lock().children);
        drop(children);
    }
}

impl Link {
    /// Takes the child out of its parent.
    pub(super) fn cut(self) {
        let child = self.parent.waiters.lock().children.remove(&self.key);
        drop(child);
    }
}

impl Drop for Node {
    /// Leaves the tree. In a loop, as each parent may go with its last child, and a chain of them
    /// may be long.
    fn drop(&mut self) {
        let mut links = self.let_go();
        while let Some(link) = links.pop() {
            let child = link.parent.waiters.lock().children.remove(&link.key);
            drop(child);
            if let Some(parent) = Arc::into_inner(link.parent) {
                links.extend(parent.let_go());
            }
        }
    }
}

impl Node {
    /// Stops the timer and gives up the parents; the caller alone has the node.
    fn let_go(&self) -> Vec<Link> {
        let mut tree = self.waiters.lock();
        let (timer, links) = (tree.timer.take(), mem::take(&mut tree.parents));
        drop(tree);
        if let Some(timer) = timer {
            timer.stop();
        }
        links
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::Context;

    /// What lives for long keeps nothing of those below it, however they end.
    #[test]
    fn a_child_leaves_its_parent_when_it_is_cancelled_and_when_it_is_dropped() {
        let (parent, _cancel) = Context::background().with_cancel();
        let node = parent.node.as_ref().unwrap();
        let children = || node.waiters.lock().children.len();
        let (child, cancel) = parent.with_cancel();
        let (below, keeps) = child.with_cancel();
        keeps.keep();
        assert_eq!(children(), 1);
        cancel.cancel();
        assert_eq!(children(), 0, "it was cancelled, and is still there");
        drop((child, below, cancel));

        let (child, cancel) = parent.with_cancel();
        cancel.keep();
        let (below, cancel) = child.with_cancel();
        cancel.keep();
        drop(child);
        assert_eq!(children(), 1, "one below it lives");
        drop(below);
        assert_eq!(children(), 0, "nobody has it");
    }
}
