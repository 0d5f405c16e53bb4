//! The open connections of one server: how many there are, and what they are told.
//!
//! What is said goes one way: [`Word::Serve`], then [`Word::Finish`] (answer what has begun, and
//! end), then [`Word::Cut`] (end now). A connection compares the word at each of its polls, which
//! is one load; it has left its waker when it last found a new one, under the lock under which
//! words are said, so that no word is missed. The server waits for room, or for the last one to
//! leave.
//!
//! Invariants: a place in `wakers` belongs to one member, from its entry until it leaves, or to one
//! [`Hearing`], and is otherwise in `free`. `word` is written under the lock only. Wakers are
//! cloned before it is taken, and called and dropped after it is given back.
#![forbid(unsafe_code)]

use std::future::{Future, poll_fn};
use std::mem;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;

/// What connections are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Word {
    /// Go on.
    Serve = 0,
    /// Answer what has begun, then end.
    Finish = 1,
    /// End now.
    Cut = 2,
}

impl Word {
    fn from_byte(byte: u8) -> Self {
        match byte {
            0 => Self::Serve,
            1 => Self::Finish,
            _ => Self::Cut,
        }
    }
}

/// See the story of this file.
#[derive(Debug)]
pub(crate) struct Crowd {
    /// A [`Word`].
    word: AtomicU8,
    /// The number of members that there may be.
    most: usize,
    state: Mutex<State>,
}

/// Under the lock.
#[derive(Debug)]
struct State {
    open: usize,
    wakers: Vec<Option<Waker>>,
    free: Vec<usize>,
    /// Of the server, while it waits for room or for the end.
    server: Option<Waker>,
}

impl Crowd {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            word: AtomicU8::new(Word::Serve as u8),
            most,
            state: Mutex::new(State {
                open: 0,
                wakers: Vec::new(),
                free: Vec::new(),
                server: None,
            }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Acquire: pairs with the Release in `say`; what the server did before it spoke is visible to
    /// who hears it.
    fn word(&self) -> Word {
        Word::from_byte(self.word.load(Ordering::Acquire))
    }

    /// Tells everybody, unless they have been told more already.
    pub(crate) fn say(&self, word: Word) {
        let wakers = {
            let mut state = self.lock();
            // Relaxed: written under the lock that we hold.
            if self.word.load(Ordering::Relaxed) >= word as u8 {
                return;
            }
            // Release: see `word`.
            self.word.store(word as u8, Ordering::Release);
            state.wakers.iter_mut().map(mem::take).collect::<Vec<_>>()
        };
        for waker in wakers.into_iter().flatten() {
            waker.wake();
        }
    }

    /// Waits until there is room for one more, and takes it. For the server alone: one at a time
    /// waits.
    pub(crate) async fn enter(self: &Arc<Self>) -> Member {
        let slot = self
            .wait(|state| state.open < self.most, State::enter)
            .await;
        Member {
            crowd: Arc::clone(self),
            slot,
            heard: None,
        }
    }

    /// Waits until nobody is left. For the server alone.
    pub(crate) async fn empty(&self) {
        self.wait(|state| state.open == 0, |_| ()).await;
    }

    /// How many there are.
    pub(crate) fn open(&self) -> usize {
        self.lock().open
    }

    fn wait<R>(
        &self,
        arrived: impl Fn(&State) -> bool,
        act: impl Fn(&mut State) -> R,
    ) -> impl Future<Output = R> {
        poll_fn(move |cx| {
            let waker = cx.waker().clone();
            let (result, old) = {
                let mut state = self.lock();
                if arrived(&state) {
                    (Poll::Ready(act(&mut state)), state.server.take())
                } else {
                    (Poll::Pending, state.server.replace(waker))
                }
            };
            drop(old);
            result
        })
    }
}

impl State {
    fn enter(&mut self) -> usize {
        self.open += 1;
        self.place()
    }

    fn place(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.wakers.push(None);
            self.wakers.len() - 1
        })
    }

    fn leave(&mut self, place: usize) -> Option<Waker> {
        self.free.push(place);
        self.wakers[place].take()
    }
}

/// Waits until there is a word other than to serve, without being a member: for whoever serves one.
#[derive(Debug)]
pub(crate) struct Hearing<'a> {
    crowd: &'a Crowd,
    /// While it waits.
    place: Option<usize>,
}

impl Crowd {
    /// Whether they have been told to end.
    pub(crate) fn is_told(&self) -> bool {
        self.word() != Word::Serve
    }

    pub(crate) fn told(&self) -> Hearing<'_> {
        Hearing {
            crowd: self,
            place: None,
        }
    }
}

impl Future for Hearing<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.crowd.is_told() {
            return Poll::Ready(());
        }
        let waker = cx.waker().clone();
        let old = {
            let mut state = self.crowd.lock();
            // Under the lock it is the last word, and the next will find the waker.
            if self.crowd.is_told() {
                drop(state);
                return Poll::Ready(());
            }
            let place = *self.place.get_or_insert_with(|| state.place());
            state.wakers[place].replace(waker)
        };
        drop(old);
        Poll::Pending
    }
}

impl Drop for Hearing<'_> {
    fn drop(&mut self) {
        let Some(place) = self.place else { return };
        let mine = self.crowd.lock().leave(place);
        drop(mine);
    }
}

/// One connection of the crowd; it leaves when this is dropped. Polled by one task alone, whose
/// waker stays the same.
#[derive(Debug)]
pub(crate) struct Member {
    crowd: Arc<Crowd>,
    slot: usize,
    /// The word that it knows, and after which it has left its waker.
    heard: Option<Word>,
}

impl Member {
    /// The word now. The task is woken when another one is said.
    pub(crate) fn word(&mut self, cx: &mut Context<'_>) -> Word {
        let word = self.crowd.word();
        if self.heard == Some(word) {
            return word;
        }
        self.listen(cx.waker().clone())
    }

    #[cold]
    fn listen(&mut self, waker: Waker) -> Word {
        let (word, old) = {
            let mut state = self.crowd.lock();
            // Under the lock it is the last one, and the next will find the waker.
            (self.crowd.word(), state.wakers[self.slot].replace(waker))
        };
        drop(old);
        self.heard = Some(word);
        word
    }

    /// The future, until it is done or the connection has to end. What it is worth is dropped.
    ///
    /// Not an `async` block, which would have a connection pay for the place of its future three
    /// times: each that it is moved through has its own.
    pub(crate) fn until_cut<F: Future>(self, future: F) -> UntilCut<F> {
        UntilCut {
            future,
            member: self,
        }
    }

    /// Runs the future until it is done, or until this is said, or more, and it is not.
    #[cfg(feature = "hyper")]
    pub(crate) async fn unless<F: Future>(&mut self, said: Word, future: F) -> Option<F::Output> {
        let mut future = std::pin::pin!(future);
        poll_fn(|cx| {
            let is_said = self.word(cx) >= said;
            match future.as_mut().poll(cx) {
                Poll::Ready(output) => Poll::Ready(Some(output)),
                Poll::Pending if is_said => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }
}

pin_project! {
    /// Future of [`Member::until_cut`].
    #[derive(Debug)]
    pub(crate) struct UntilCut<F> {
        #[pin]
        future: F,
        // Leaves after the future has been dropped.
        member: Member,
    }
}

impl<F: Future> Future for UntilCut<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        match this.member.word(cx) {
            Word::Cut => Poll::Ready(()),
            _ => this.future.poll(cx).map(drop),
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let (mine, server) = {
            let mut state = self.crowd.lock();
            let mine = state.leave(self.slot);
            state.open -= 1;
            // While it serves it waits for room, which there is now; at the end for the last one.
            let concerned = state.open == 0 || self.crowd.word() == Word::Serve;
            (mine, concerned.then(|| state.server.take()).flatten())
        };
        drop(mine);
        if let Some(server) = server {
            server.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    fn now<F: Future>(future: F) -> Option<F::Output> {
        let mut cx = Context::from_waker(Waker::noop());
        match pin!(future).poll(&mut cx) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }

    #[test]
    fn there_is_room_again_when_one_leaves() {
        let crowd = Crowd::new(2);
        let first = now(crowd.enter()).unwrap();
        let _second = now(crowd.enter()).unwrap();
        assert!(now(crowd.enter()).is_none());
        drop(first);
        let _third = now(crowd.enter()).unwrap();
        assert!(now(crowd.enter()).is_none());
        assert_eq!(crowd.open(), 2);
        assert_eq!(crowd.lock().wakers.len(), 2, "places are used again");
    }

    #[test]
    fn each_word_wakes_each_member_once_and_reaches_late_ones() {
        struct Count(std::sync::atomic::AtomicUsize);
        impl std::task::Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let count = Arc::new(Count(0.into()));
        let waker = Waker::from(Arc::clone(&count));
        let mut cx = Context::from_waker(&waker);
        let crowd = Crowd::new(8);
        let mut member = now(crowd.enter()).unwrap();
        assert_eq!(member.word(&mut cx), Word::Serve);
        crowd.say(Word::Finish);
        crowd.say(Word::Finish);
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert_eq!(member.word(&mut cx), Word::Finish);
        crowd.say(Word::Cut);
        crowd.say(Word::Finish);
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
        assert_eq!(member.word(&mut cx), Word::Cut);
        let mut late = now(crowd.enter()).unwrap();
        assert_eq!(late.word(&mut cx), Word::Cut);
    }

    #[test]
    fn a_connection_is_told_to_end_and_has_one_place_for_its_future() {
        let crowd = Crowd::new(8);
        let large = [7u8; 1_000];
        let future = async move {
            std::future::pending::<()>().await;
            assert_eq!(large[0], 7);
        };
        let alone = size_of_val(&future);
        let mut kept = Box::pin(now(crowd.enter()).unwrap().until_cut(future));
        assert!(size_of_val(&*kept) <= alone + 32, "{alone}");
        let mut cx = Context::from_waker(Waker::noop());
        assert!(kept.as_mut().poll(&mut cx).is_pending());
        crowd.say(Word::Finish);
        assert!(kept.as_mut().poll(&mut cx).is_pending());
        crowd.say(Word::Cut);
        assert!(kept.as_mut().poll(&mut cx).is_ready());
        drop(kept);
        assert_eq!(crowd.open(), 0);
    }

    #[test]
    fn whoever_listens_is_told_and_leaves_no_place_behind() {
        let crowd = Crowd::new(8);
        let mut hearing = crowd.told();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut hearing).poll(&mut cx).is_pending());
        assert!(Pin::new(&mut hearing).poll(&mut cx).is_pending());
        assert_eq!(crowd.lock().wakers.len(), 1);
        crowd.say(Word::Finish);
        assert!(Pin::new(&mut hearing).poll(&mut cx).is_ready());
        drop(hearing);
        assert!(now(crowd.told()).is_some());
        assert_eq!(crowd.lock().free.len(), 1);
    }

    #[test]
    fn the_server_learns_when_the_last_one_leaves() {
        let crowd = Crowd::new(8);
        let members = [now(crowd.enter()).unwrap(), now(crowd.enter()).unwrap()];
        crowd.say(Word::Finish);
        assert!(now(crowd.empty()).is_none());
        drop(members);
        assert!(now(crowd.empty()).is_some());
    }
}
