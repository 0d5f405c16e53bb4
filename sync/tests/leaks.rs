//! Which tasks are said to be leaked, and, no less, which are not.
#![cfg(not(loom))]
#![cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]

use std::collections::HashSet;
use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use runtime::dump::{TaskInfo, TaskState};
use runtime::task::Id;
use runtime::{Handle, JoinHandle, spawn, time, yield_now};
use sync::{Receiver, Select, Sender, WaitGroup, channel, never, select};

/// So generous that only a hang takes longer.
const WATCHDOG: Duration = Duration::from_secs(300);

/// Lets the tasks come to rest, detaches them, and returns their ids.
async fn at_rest<T>(tasks: impl IntoIterator<Item = JoinHandle<T>>) -> Vec<Id> {
    let tasks: Vec<_> = tasks.into_iter().collect();
    let ids: Vec<_> = tasks.iter().map(JoinHandle::id).collect();
    wait_for_rest(&ids).await;
    drop(tasks);
    ids
}

async fn wait_for_rest(ids: &[Id]) {
    let begin = Instant::now();
    loop {
        let dump = Handle::current().dump();
        let waits = |task: &&TaskInfo| matches!(task.state, TaskState::Waiting(_));
        let at_rest: HashSet<Id> = (dump.tasks().iter().filter(waits))
            .map(|task| task.id)
            .collect();
        if ids.iter().all(|id| at_rest.contains(id)) {
            return;
        }
        assert!(begin.elapsed() < WATCHDOG, "{dump}");
        yield_now().await;
    }
}

/// What is found now.
#[track_caller]
fn leaked() -> Vec<Id> {
    let begin = Instant::now();
    loop {
        let leaks = Handle::current().leaks();
        match leaks.unknown() {
            None => return leaks.tasks().iter().map(|task| task.id).collect(),
            // On a machine that is busy enough, the copy in which it is tried out gets no answer
            // ready in time.
            Some(why) => assert!(begin.elapsed() < WATCHDOG, "{why}"),
        }
    }
}

/// These are found, and no others: sooner or later, since a copy that a busy machine lets stand
/// still for seconds is given up, and whoever was its turn is left out.
#[track_caller]
fn finds(ids: &[Id]) {
    let begin = Instant::now();
    loop {
        let found = leaked();
        assert!(
            found.iter().all(|id| ids.contains(id)),
            "{found:?}, not {ids:?}"
        );
        if found == ids {
            return;
        }
        assert!(begin.elapsed() < WATCHDOG, "{found:?}, not {ids:?}");
    }
}

/// A task that waits for a value from a sender which the caller keeps.
fn receiver<T: Send + 'static>() -> (Sender<T>, JoinHandle<()>) {
    let (tx, rx) = channel::<T>(0);
    let task = spawn(async move {
        rx.recv().await;
    });
    (tx, task)
}

mod found {
    use super::*;

    #[runtime::test]
    async fn a_task_that_receives_from_a_channel_whose_only_sender_it_holds() {
        let task = spawn(async {
            let (tx, rx) = channel::<u32>(0);
            rx.recv().await;
            drop(tx);
        });
        finds(&at_rest([task]).await);
    }

    #[runtime::test]
    async fn a_task_that_has_the_only_sender_once_nobody_can_make_another() {
        let (tx, rx) = channel::<u32>(0);
        let weak = tx.downgrade();
        let theirs = weak.clone();
        let task = spawn(async move {
            rx.recv().await;
            drop((tx, theirs));
        });
        let ids = at_rest([task]).await;
        finds(&[]);
        drop(weak);
        finds(&ids);
    }

    #[runtime::test]
    async fn a_task_that_waits_for_a_close_which_only_a_stuck_task_could_bring() {
        let (tx, rx) = channel::<u32>(0);
        let (never_sent, wanted) = channel::<u32>(0);
        let consumer = spawn(async move {
            wanted.recv().await;
            drop(rx);
        });
        let producer = spawn(async move {
            tx.closed().await;
            drop(never_sent);
        });
        finds(&at_rest([consumer, producer]).await);
    }

    #[runtime::test]
    async fn a_task_that_was_given_both_ends() {
        let (tx, rx) = channel::<u32>(4);
        let task = spawn(async move {
            while let Some(n) = rx.recv().await {
                tx.send(n).await.unwrap();
            }
        });
        finds(&at_rest([task]).await);
    }

    #[runtime::test]
    async fn two_tasks_that_wait_for_each_other_s_channels() {
        let (tx1, rx1) = channel::<u32>(0);
        let (tx2, rx2) = channel::<u32>(0);
        let left = spawn(async move {
            let got = rx1.recv().await.unwrap();
            tx2.send(got).await.unwrap();
        });
        let right = spawn(async move {
            let got = rx2.recv().await.unwrap();
            tx1.send(got).await.unwrap();
        });
        finds(&at_rest([left, right]).await);
    }

    #[runtime::test]
    async fn a_producer_whose_consumer_waits_for_the_producer_s_group() {
        let (tx, rx) = channel(1);
        let group = WaitGroup::new();
        let producer = group.spawn(async move {
            for n in 0..10 {
                tx.send(n).await.unwrap();
            }
        });
        let consumer = spawn(async move {
            group.wait().await;
            while rx.recv().await.is_some() {}
        });
        finds(&at_rest([producer, consumer]).await);
    }

    #[runtime::test]
    async fn a_group_that_nobody_else_has() {
        let group = WaitGroup::new();
        group.add(1);
        let task = spawn(async move { group.wait().await });
        finds(&at_rest([task]).await);
    }

    #[runtime::test]
    async fn select_without_live_arms() {
        let task = spawn(async {
            let never = never::<u32>();
            select! {
                _ = never.recv(), if false => {}
            }
        });
        finds(&at_rest([task]).await);
    }

    #[runtime::test]
    async fn select_without_arms() {
        let task = spawn(async {
            Select::<()>::new().wait().await;
        });
        finds(&at_rest([task]).await);
    }

    #[runtime::test]
    async fn select_over_channels_that_it_holds_itself() {
        let task = spawn(async {
            let (tx1, rx1) = channel::<u32>(0);
            let (tx2, rx2) = channel::<u32>(0);
            let nil = never::<u32>();
            select! {
                _ = rx1.recv() => {}
                _ = tx2.send(1) => {}
                _ = nil.recv() => {}
            }
            drop((tx1, rx2));
        });
        finds(&at_rest([task]).await);
    }

    #[runtime::test]
    async fn the_nil_channel_wherever_its_handle_is() {
        static NIL: OnceLock<Receiver<u32>> = OnceLock::new();
        let own = spawn(async {
            never::<u32>().recv().await;
        });
        let shared = spawn(async {
            NIL.get_or_init(never).recv().await;
        });
        finds(&at_rest([own, shared]).await);
    }

    #[runtime::test]
    async fn a_future_that_leaves_no_waker_anywhere() {
        finds(&at_rest([spawn(pending::<()>())]).await);
    }

    #[runtime::test]
    async fn a_mutex_of_its_own_locked_twice() {
        let task = spawn(async {
            let mutex = sync::Mutex::new(0);
            let _guard = mutex.lock().await;
            let _again = mutex.lock().await;
        });
        finds(&at_rest([task]).await);
    }

    #[runtime::test]
    async fn two_tasks_that_wait_for_each_other_s_end() {
        let (send, wait) = channel::<JoinHandle<()>>(1);
        let first = spawn(async move {
            let second = wait.recv().await.unwrap();
            drop(wait);
            second.await.unwrap();
        });
        let id = first.id();
        let second = spawn(async move { first.await.unwrap() });
        let ids = [id, second.id()];
        send.send(second).await.unwrap();
        drop(send);
        wait_for_rest(&ids).await;
        finds(&ids);
    }

    #[runtime::test]
    async fn those_who_join_a_leaked_task() {
        let leaky = spawn(pending::<()>());
        let id = leaky.id();
        let joins = spawn(async move { leaky.await.unwrap() });
        wait_for_rest(&[id]).await;
        let mut expected = at_rest([joins]).await;
        expected.insert(0, id);
        finds(&expected);
    }

    #[runtime::test]
    async fn a_stream_of_its_own() {
        use futures_util::StreamExt;
        let task = spawn(async {
            let (tx, mut rx) = channel::<u32>(0);
            rx.next().await;
            drop(tx);
        });
        finds(&at_rest([task]).await);
    }

    #[runtime::test]
    async fn many_at_once_among_many_others() {
        const EACH: usize = 500;
        let senders = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for _ in 0..EACH {
            tasks.push(spawn(async {
                let (tx, rx) = channel::<u32>(0);
                rx.recv().await;
                drop(tx);
            }));
            let (tx, task) = receiver::<u32>();
            senders.lock().unwrap().push(tx);
            tasks.push(task);
        }
        let ids = at_rest(tasks).await;
        let expected: Vec<_> = ids.iter().step_by(2).copied().collect();
        finds(&expected);
    }

    #[runtime::test]
    async fn the_report_says_where_and_why() {
        let task = runtime::task::Builder::new().name("reader");
        let task = task.spawn(async {
            let (tx, rx) = channel::<u32>(0);
            rx.recv().await;
            drop(tx);
        });
        finds(&at_rest([task]).await);
        let text = Handle::current().leaks().to_string();
        assert!(
            text.starts_with("task leak profile: total 1\n\ntask "),
            "{text}"
        );
        assert!(
            text.contains(" \"reader\" [chan receive (leaked)]:\n\t"),
            "{text}"
        );
        assert_eq!(text.matches("sync/tests/leaks.rs:").count(), 2, "{text}");
    }

    #[runtime::test]
    async fn a_leak_is_found_again_and_leaves_nothing_behind() {
        let task = spawn(async {
            let (tx, rx) = channel::<u32>(0);
            rx.recv().await;
            drop(tx);
        });
        let ids = at_rest([task]).await;
        for _ in 0..20 {
            finds(&ids);
        }
    }
}

mod silent {
    use super::*;

    #[runtime::test]
    async fn a_task_that_waits_for_a_close_while_somebody_has_a_receiver() {
        let (tx, rx) = channel::<u32>(0);
        let task = spawn(async move { tx.closed().await });
        wait_for_rest(&[task.id()]).await;
        assert_eq!(leaked(), []);
        drop(rx);
        task.await.unwrap();
    }

    #[runtime::test]
    async fn a_sender_in_a_static() {
        static TX: OnceLock<Arc<Sender<u32>>> = OnceLock::new();
        let (tx, task) = receiver();
        TX.set(Arc::new(tx)).unwrap();
        at_rest([task]).await;
        assert_eq!(leaked(), []);
    }

    /// Its bits are still in the task's memory.
    #[runtime::test]
    async fn a_sender_that_the_task_itself_has_moved_to_a_static() {
        static TX: Mutex<Option<Sender<u32>>> = Mutex::new(None);
        let (tx, rx) = channel(0);
        let task = spawn(async move {
            yield_now().await;
            *TX.lock().unwrap() = Some(tx);
            rx.recv().await;
        });
        at_rest([task]).await;
        assert_eq!(leaked(), []);
        TX.lock().unwrap().take();
    }

    #[runtime::test]
    async fn a_sender_in_a_blocking_job() {
        let (tx, task) = receiver::<u32>();
        let (end, ended) = mpsc::channel::<()>();
        let job = runtime::spawn_blocking(move || {
            let _tx = tx;
            let _ = ended.recv();
        });
        at_rest([task]).await;
        assert_eq!(leaked(), []);
        drop(end);
        job.await.unwrap();
    }

    #[runtime::test]
    async fn a_sender_in_a_strange_thread() {
        let (tx, task) = receiver::<u32>();
        let (end, ended) = mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            let _tx = tx;
            let _ = ended.recv();
        });
        at_rest([task]).await;
        assert_eq!(leaked(), []);
        drop(end);
        thread.join().unwrap();
    }

    #[runtime::test]
    async fn a_sender_in_the_task_that_asks() {
        let (tx, task) = receiver::<u32>();
        at_rest([task]).await;
        assert_eq!(leaked(), []);
        drop(tx);
    }

    #[runtime::test]
    async fn a_sender_in_a_task_that_runs() {
        let (tx, task) = receiver::<u32>();
        let stop = Arc::new(AtomicBool::new(false));
        let seen = stop.clone();
        let busy = spawn(async move {
            let _tx = tx;
            while !seen.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        at_rest([task]).await;
        assert_eq!(leaked(), []);
        stop.store(true, Ordering::Relaxed);
        busy.await.unwrap();
    }

    #[runtime::test]
    async fn a_sender_in_a_boxed_future_of_a_live_task() {
        let (tx, task) = receiver::<u32>();
        let (wake, woken) = channel::<()>(0);
        let boxed: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move {
            woken.recv().await;
            drop(tx);
        });
        let live = spawn(boxed);
        at_rest([task, live]).await;
        assert_eq!(leaked(), []);
        drop(wake);
    }

    #[test]
    fn a_sender_in_the_future_of_block_on() {
        let rt = runtime::Runtime::new().unwrap();
        let local = std::rc::Rc::new(());
        rt.block_on(async {
            let (tx, task) = receiver::<u32>();
            at_rest([task]).await;
            assert_eq!(leaked(), []);
            drop((tx, local));
        });
    }

    #[runtime::test]
    async fn a_sender_behind_a_timer() {
        let (tx, task) = receiver::<u32>();
        let sleeps = spawn(async move {
            time::sleep(Duration::from_secs(3600)).await;
            drop(tx);
        });
        at_rest([task, sleeps]).await;
        assert_eq!(leaked(), []);
    }

    #[runtime::test]
    async fn a_receive_with_a_time_limit() {
        let task = spawn(async {
            let (tx, rx) = channel::<u32>(0);
            let _ = time::timeout(Duration::from_secs(3600), rx.recv()).await;
            drop(tx);
        });
        at_rest([task]).await;
        assert_eq!(leaked(), []);
    }

    #[runtime::test]
    async fn a_select_with_a_live_arm() {
        let (tx, rx) = channel::<u32>(0);
        let task = spawn(async move {
            let (own, mine) = channel::<u32>(0);
            select! {
                _ = mine.recv() => {}
                _ = rx.recv() => {}
            }
            drop(own);
        });
        at_rest([task]).await;
        assert_eq!(leaked(), []);
        drop(tx);
    }

    #[runtime::test]
    async fn a_select_with_a_timer() {
        let task = spawn(async {
            let (tx, rx) = channel::<u32>(0);
            select! {
                _ = rx.recv() => {}
                _ = time::sleep(Duration::from_secs(3600)) => {}
            }
            drop(tx);
        });
        at_rest([task]).await;
        assert_eq!(leaked(), []);
    }

    #[runtime::test]
    async fn a_chain_whose_first_sender_is_alive() {
        let (first, mut rx) = channel::<u32>(0);
        let mut tasks = Vec::new();
        for _ in 0..50 {
            let (tx, next) = channel(0);
            tasks.push(spawn(async move {
                while let Some(n) = rx.recv().await {
                    tx.send(n).await.unwrap();
                }
            }));
            rx = next;
        }
        tasks.push(spawn(async move { while rx.recv().await.is_some() {} }));
        at_rest(tasks).await;
        assert_eq!(leaked(), []);
        drop(first);
    }

    #[runtime::test]
    async fn a_task_whose_waker_is_in_unknown_hands() {
        let slot: Arc<Mutex<Option<Waker>>> = Arc::default();
        let theirs = slot.clone();
        let task = spawn(poll_fn(move |cx| {
            *theirs.lock().unwrap() = Some(cx.waker().clone());
            Poll::<()>::Pending
        }));
        at_rest([task]).await;
        assert_eq!(leaked(), []);
        drop(slot);
    }

    /// The waker goes with the future; whoever is on the other side does not.
    #[runtime::test]
    async fn a_task_that_waits_for_a_primitive_of_somebody_else_s() {
        let (tx, rx) = futures_channel_of_our_own();
        let task = spawn(rx);
        at_rest([task]).await;
        assert_eq!(leaked(), []);
        drop(tx);
    }

    /// A waker in an `Arc` that the future shares with whoever will wake it.
    fn futures_channel_of_our_own() -> (Arc<Mutex<Option<Waker>>>, impl Future<Output = ()> + Send)
    {
        struct Rx(Arc<Mutex<Option<Waker>>>);
        impl Drop for Rx {
            fn drop(&mut self) {
                self.0.lock().unwrap().take();
            }
        }
        let slot: Arc<Mutex<Option<Waker>>> = Arc::default();
        let rx = Rx(slot.clone());
        let future = poll_fn(move |cx| {
            *rx.0.lock().unwrap() = Some(cx.waker().clone());
            Poll::Pending
        });
        (slot, future)
    }

    #[runtime::test]
    async fn a_task_that_somebody_may_abort() {
        let task = spawn(pending::<()>());
        let (abort, id) = (task.abort_handle(), task.id());
        wait_for_rest(&[id]).await;
        assert_eq!(leaked(), [], "there is a handle");
        drop(task);
        assert_eq!(leaked(), [], "there is an abort handle");
        drop(abort);
        finds(&[id]);
    }

    /// A task that holds the sender waits for nobody, but can be aborted, and that closes the
    /// channel.
    #[runtime::test]
    async fn a_sender_in_a_task_that_somebody_may_abort() {
        let (tx, task) = receiver::<u32>();
        let holder = spawn(async move {
            let _tx = tx;
            pending::<()>().await;
        });
        let ids = at_rest([task]).await;
        wait_for_rest(&[holder.id()]).await;
        assert_eq!(leaked(), []);
        let holds = holder.id();
        drop(holder);
        finds(&[ids[0], holds]);
    }

    /// What a destructor takes out of a table that others share was not in the task's hands.
    #[runtime::test]
    async fn a_sender_in_a_table_that_the_task_s_destructor_cleans_up() {
        static TABLE: Mutex<Vec<Sender<u32>>> = Mutex::new(Vec::new());
        struct Subscription(Option<Sender<u32>>);
        impl Drop for Subscription {
            fn drop(&mut self) {
                // Into its own memory, of all places.
                self.0 = TABLE.lock().unwrap().pop();
            }
        }
        let (tx, rx) = channel(0);
        TABLE.lock().unwrap().push(tx);
        let task = spawn(async move {
            let subscription = Subscription(None);
            rx.recv().await;
            drop(subscription);
        });
        at_rest([task]).await;
        assert_eq!(leaked(), []);
        TABLE.lock().unwrap().clear();
    }

    #[runtime::test]
    async fn a_group_whose_guard_is_elsewhere() {
        let group = WaitGroup::new();
        let guard = group.guard();
        let task = spawn(async move { group.wait().await });
        at_rest([task]).await;
        assert_eq!(leaked(), []);
        drop(guard);
    }

    #[runtime::test]
    async fn a_mutex_that_another_task_holds() {
        let mutex = Arc::new(sync::Mutex::new(0));
        let guard = mutex.clone().lock_owned().await;
        let task = spawn(async move {
            let _guard = mutex.lock().await;
        });
        at_rest([task]).await;
        assert_eq!(leaked(), []);
        drop(guard);
    }

    #[runtime::test]
    async fn a_context_that_somebody_may_cancel() {
        let (ctx, cancel) = sync::context::Context::background().with_cancel();
        let task = spawn(async move {
            ctx.done().await;
        });
        at_rest([task]).await;
        assert_eq!(leaked(), []);
        cancel.cancel();
    }

    #[runtime::test]
    async fn a_task_of_another_runtime_holds_the_sender() {
        let other = runtime::Runtime::new().unwrap();
        let (tx, task) = receiver::<u32>();
        other.spawn(async move {
            let _tx = tx;
            pending::<()>().await;
        });
        at_rest([task]).await;
        assert_eq!(leaked(), []);
        runtime::spawn_blocking(move || drop(other)).await.unwrap();
    }
}

mod harmless {
    use super::*;

    /// Counts in this process only.
    static DROPS: AtomicUsize = AtomicUsize::new(0);

    struct Counts;

    impl Drop for Counts {
        fn drop(&mut self) {
            DROPS.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[runtime::test]
    async fn destructors_have_no_effect_outside() {
        struct Deletes(std::path::PathBuf);
        impl Drop for Deletes {
            fn drop(&mut self) {
                let _ = std::fs::remove_file(&self.0);
                println!("this is nowhere to be seen");
            }
        }
        let path = std::env::temp_dir().join(format!("weftline-leaks-{}", std::process::id()));
        std::fs::write(&path, "kept").unwrap();
        let theirs = Deletes(path.clone());
        let task = spawn(async move {
            let _mine = (theirs, Counts);
            pending::<()>().await;
        });
        let ids = at_rest([task]).await;
        finds(&ids);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "kept");
        assert_eq!(DROPS.load(Ordering::Relaxed), 0);
        std::fs::remove_file(&path).unwrap();
    }

    #[runtime::test]
    async fn a_destructor_that_panics_crashes_or_starts_a_thread_harms_nobody() {
        struct Panics;
        impl Drop for Panics {
            fn drop(&mut self) {
                if DROPS.load(Ordering::Relaxed) < usize::MAX {
                    panic!("nobody hears it");
                }
            }
        }
        struct Aborts;
        impl Drop for Aborts {
            fn drop(&mut self) {
                std::process::abort();
            }
        }
        struct Starts;
        impl Drop for Starts {
            fn drop(&mut self) {
                let thread = std::thread::Builder::new().spawn(|| ());
                assert!(thread.is_err(), "there are no threads to be had");
            }
        }
        // Never dropped for real: the process ends with its tests.
        let rt = std::mem::ManuallyDrop::new(runtime::Runtime::new().unwrap());
        let plain = rt.spawn(pending::<()>());
        let panics = rt.spawn(async {
            let _mine = Panics;
            pending::<()>().await;
        });
        let aborts = rt.spawn(async {
            let _mine = Aborts;
            pending::<()>().await;
        });
        let starts = rt.spawn(async {
            let _mine = Starts;
            pending::<()>().await;
        });
        let _inside = rt.enter();
        let ids = at_rest([plain, panics, aborts, starts]).await;
        // Nothing can be known of one that aborts.
        finds(&[ids[0], ids[1], ids[3]]);
    }

    #[runtime::test]
    async fn shared_memory_is_left_alone() {
        // SAFETY: a fresh page of our own.
        let page = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                4096,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        assert_ne!(page, libc::MAP_FAILED);
        // SAFETY: the page stays mapped as long as the process.
        let word: &'static AtomicUsize = unsafe { &*page.cast() };
        struct Writes(&'static AtomicUsize);
        impl Drop for Writes {
            fn drop(&mut self) {
                self.0.store(1, Ordering::Relaxed);
            }
        }
        let task = spawn(async move {
            let _mine = Writes(word);
            pending::<()>().await;
        });
        at_rest([task]).await;
        // It crashes the copy, so that nothing is known of it.
        assert_eq!(leaked(), []);
        assert_eq!(word.load(Ordering::Relaxed), 0);
    }
}

/// All senders there are travel together, from task to task and by way of threads, while somebody
/// asks without a pause. As long as they travel nobody is leaked; when one who waits for ever has
/// them, all are.
mod moving {
    use super::*;
    use std::env;
    use std::sync::atomic::AtomicU64;
    use std::time::{SystemTime, UNIX_EPOCH};

    const TASKS: usize = 6;
    const LIFE: Duration = Duration::from_millis(1500);

    struct Luggage([Option<Sender<Luggage>>; TASKS]);

    struct Random(AtomicU64);

    impl Random {
        fn below(&self, n: usize) -> usize {
            let mut x = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
            x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            (x >> 33) as usize % n
        }
    }

    async fn travel(rx: Receiver<Luggage>, random: Arc<Random>, stop: Arc<AtomicBool>) {
        while let Some(luggage) = rx.recv().await {
            if stop.load(Ordering::Relaxed) {
                // In its own memory, which it never leaves.
                let luggage = luggage;
                rx.recv().await;
                drop(luggage);
                return;
            }
            let next = luggage.0[random.below(TASKS)].clone().unwrap();
            match random.below(8) {
                0 => {
                    let job = runtime::spawn_blocking(move || next.blocking_send(luggage));
                    drop(job);
                }
                1 => {
                    spawn(async move { next.send(luggage).await });
                }
                2 => {
                    select! {
                        sent = next.send(luggage) => drop(sent),
                        got = rx.recv() => drop(got),
                    }
                }
                _ => drop(next.send(luggage).await),
            }
        }
    }

    #[test]
    fn nobody_is_leaked_until_all_are() {
        let seed = env::var("SEED").map_or_else(
            |_| {
                SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap()
                    .as_nanos() as u64
            },
            |seed| seed.parse().expect("SEED is a number"),
        );
        let result = std::panic::catch_unwind(|| run(seed));
        if let Err(panic) = result {
            eprintln!("SEED={seed}");
            std::panic::resume_unwind(panic);
        }
    }

    fn run(seed: u64) {
        let rt = runtime::Builder::new().max_procs(3).build().unwrap();
        let random = Arc::new(Random(AtomicU64::new(seed)));
        let stop = Arc::new(AtomicBool::new(false));
        let mut senders = [const { None }; TASKS];
        let mut ids = Vec::new();
        for sender in &mut senders {
            // Room for one, so that a task may send to itself.
            let (tx, rx) = channel(1);
            *sender = Some(tx);
            ids.push(rt.spawn(travel(rx, random.clone(), stop.clone())).id());
        }
        let first = senders[0].clone().unwrap();
        first.blocking_send(Luggage(senders)).ok().unwrap();
        drop(first);
        let begin = Instant::now();
        let mut asked = 0;
        while begin.elapsed() < LIFE || asked < 20 {
            let leaks = rt.handle().leaks();
            assert!(leaks.is_empty(), "after {asked}: {leaks}");
            asked += 1;
        }
        stop.store(true, Ordering::Relaxed);
        // The last one to get the luggage has it soon.
        let deadline = Instant::now() + WATCHDOG;
        loop {
            let leaks = rt.handle().leaks();
            if leaks
                .tasks()
                .iter()
                .map(|task| task.id)
                .eq(ids.iter().copied())
            {
                return;
            }
            assert!(Instant::now() < deadline, "{leaks}\n{}", rt.handle().dump());
        }
    }
}
