//! Groups whose members are tasks: what a scene has to wait for they do on threads of a runtime.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::*};
use std::time::Duration;

use runtime::time::sleep;
use runtime::{Builder, Runtime};
use sync::{errgroup, oneshot, singleflight};

use crate::explore::{Scene, explore};
use crate::{Back, Log};

/// One worker, so that all goes the same way each time.
pub(crate) fn runtime() -> Rc<Runtime> {
    let runtime = Builder::new()
        .max_procs(1)
        .start_paused(true)
        .seed(1)
        .build();
    Rc::new(runtime.unwrap())
}

/// Counts those who have ended, however they did.
#[derive(Clone, Default)]
struct Ended(Arc<AtomicUsize>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// A group of one member, which waits for a word, and has no place for another one.
fn full() -> (errgroup::Group<u32>, oneshot::Sender<()>) {
    limited(1)
}

/// A group of one member, which waits for a word, with places for so many.
fn limited(limit: usize) -> (errgroup::Group<u32>, oneshot::Sender<()>) {
    let group = errgroup::Group::new();
    group.set_limit(limit);
    let (tx, rx) = oneshot::channel();
    let taken = group.try_spawn(async move {
        rx.await;
        Ok(())
    });
    assert!(taken);
    (group, tx)
}

#[test]
fn group_spawn() {
    let runtime = runtime();
    let _inside = runtime.enter();
    explore("errgroup::Group::spawn", || {
        let (group, tx) = full();
        let started = Arc::new(AtomicUsize::new(0));
        let member = |n| {
            let started = started.clone();
            async move {
                started.fetch_add(n, SeqCst);
                Ok(())
            }
        };
        let (mine, theirs) = (member(1), member(10));
        let (spawner, other) = (group.spawner(), group.spawner());
        let group = Rc::new(RefCell::new(Some(group)));
        Scene::new(async move { assert!(spawner.spawn(mine).await) })
            .on(&runtime)
            .join("one behind it", async move {
                assert!(other.spawn(theirs).await)
            })
            .act("there is room", move || tx.send(()))
            .check(move |fate| {
                let mut group = group.take().unwrap();
                assert_eq!(runtime::Handle::current().block_on(group.wait()), Ok(()));
                assert_eq!(started.load(SeqCst), 10 + usize::from(fate.ended));
            })
    });
    // The group itself starts it, as a spawner does.
    explore("errgroup::Spawner::spawn", || {
        let (group, tx) = full();
        let group = Rc::new(group);
        let mine = group.clone();
        Scene::new(async move { assert!(mine.spawn(async { Ok(()) }).await) })
            .on(&runtime)
            .act("there is room", move || tx.send(()))
            .check(move |_| drop(group))
    });
}

#[test]
fn group_wait() {
    let runtime = runtime();
    let _inside = runtime.enter();
    for all in [false, true] {
        explore("errgroup::Group::wait", || {
            let (group, tx) = full();
            let group = Rc::new(RefCell::new(Some(group)));
            let (mine, outcome) = (group.clone(), Log::new());
            let seen = outcome.clone();
            Scene::new(async move {
                let mut group = Back::take(&mine);
                seen.note(match all {
                    false => group.get().wait().await,
                    true => group.get().wait_all().await.map_err(|errors| errors[0]),
                });
            })
            .on(&runtime)
            .act("the member ends", move || tx.send(()))
            .check(move |fate| {
                assert!(!fate.ended || outcome.all() == [Ok(())]);
                let again = runtime::Handle::current().block_on(Back::take(&group).get().wait());
                assert_eq!(again, Ok(()));
            })
        });
    }
}

#[test]
fn flight() {
    let runtime = runtime();
    let _inside = runtime.enter();
    explore("singleflight::Group::run", || {
        let group = Rc::new(singleflight::Group::<u32, u32>::new());
        let (tx, rx) = oneshot::channel();
        let word = Arc::new(std::sync::Mutex::new(Some(rx)));
        let calls = Arc::new(AtomicUsize::new(0));
        let run = |group: &Rc<singleflight::Group<u32, u32>>| {
            let (group, word, calls) = (group.clone(), word.clone(), calls.clone());
            async move {
                let call = move || async move {
                    calls.fetch_add(1, SeqCst);
                    let word = word.lock().unwrap().take();
                    match word {
                        Some(word) => word.await.unwrap(),
                        None => {
                            // Not before the one who called has been polled again, or given up.
                            sleep(Duration::from_secs(1)).await;
                            7
                        }
                    }
                };
                assert_eq!(group.run(1, call).await, 7);
            }
        };
        let calls = calls.clone();
        Scene::new(run(&group))
            .on(&runtime)
            .join("one who comes, too", run(&group))
            .act("it lands", move || tx.send(7))
            .join("another one", run(&group))
            .check(move |_| assert!((1..=3).contains(&calls.load(SeqCst))))
    });
}

/// The group goes with the one who waits for it: no member outlives it.
#[test]
fn group_itself() {
    let runtime = runtime();
    let _inside = runtime.enter();
    explore("errgroup::Group", || {
        let (mut group, tx) = limited(2);
        let ended = Ended::default();
        let count = ended.0.clone();
        assert!(group.try_spawn(async move {
            let _ended = ended;
            std::future::pending().await
        }));
        Scene::new(async move {
            let _ = group.wait().await;
        })
        .on(&runtime)
        .never_ends()
        .act("a member ends", move || tx.send(()))
        .check(move |_| assert_eq!(count.load(SeqCst), 1, "it runs still"))
    });
}
