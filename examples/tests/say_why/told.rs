//! Programs that hang for ever, and are told so.

use std::future::pending;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use runtime::signal::{self, SignalKind};

use crate::{Case, Ends, as_a_test};

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "send_with_nobody_to_receive",
        run: || {
            let (tx, _rx) = sync::channel(0);
            runtime::block_on(tx.send(1)).unwrap();
        },
        ends: Ends::Told(&[
            "block_on in thread \"main\" [chan send]:\n\texamples/tests/say_why/told.rs:",
        ]),
    },
    Case {
        name: "receive_with_the_sender_in_one_s_own_hands",
        run: || {
            let (tx, rx) = sync::channel::<u32>(1);
            runtime::block_on(async {
                runtime::spawn(async move {
                    rx.recv().await;
                    drop(tx);
                })
                .await
            })
            .unwrap();
        },
        ends: Ends::Told(&[
            "[join]:\n",
            " [chan receive]:\n\texamples/tests/say_why/told.rs:",
            "created ",
        ]),
    },
    Case {
        name: "wait_group_without_done",
        run: || {
            let wg = sync::WaitGroup::new();
            wg.add(1);
            runtime::block_on(wg.wait());
        },
        ends: Ends::Told(&["[sync.WaitGroup.Wait]"]),
    },
    Case {
        name: "two_tasks_in_each_other_s_way",
        run: || {
            #[runtime::main]
            async fn main() {
                let (tx1, rx1) = sync::channel::<u32>(0);
                let (tx2, rx2) = sync::channel::<u32>(0);
                let left = runtime::spawn(async move {
                    let got = rx1.recv().await;
                    tx2.send(got.unwrap()).await
                });
                let right = runtime::task::Builder::new()
                    .name("right")
                    .spawn(async move {
                        let got = rx2.recv().await;
                        tx1.send(got.unwrap()).await
                    });
                left.await.unwrap().unwrap();
                right.await.unwrap().unwrap();
            }
            main();
        },
        ends: Ends::Told(&["[join]", " \"right\" [chan receive]", "created by task"]),
    },
    Case {
        name: "job_that_waits_for_what_never_comes",
        run: || {
            let (tx, rx) = sync::channel::<u32>(1);
            let job = runtime::block_on(async {
                // Others wait for jobs of their own.
                runtime::spawn_blocking(|| ()).await.unwrap();
                let job = runtime::spawn_blocking(move || rx.blocking_recv());
                job.await
            });
            drop(tx);
            job.unwrap();
        },
        ends: Ends::Told(&["[join]:\n\texamples/tests/say_why/told.rs:", "[running]:\n"]),
    },
    Case {
        name: "job_that_waits_for_a_thread_that_waits_for_a_task",
        run: || {
            let (tx, rx) = mpsc::channel::<()>();
            let (never, nothing) = sync::channel::<u32>(0);
            runtime::block_on(async {
                let task = runtime::spawn(async move {
                    let got = nothing.recv().await;
                    drop(tx);
                    got
                });
                runtime::spawn_blocking(move || rx.recv())
                    .await
                    .unwrap()
                    .unwrap();
                drop(never);
                task.await
            })
            .unwrap();
        },
        ends: Ends::Told(&["[join]:\n", "[chan receive]:\n"]),
    },
    Case {
        name: "block_on_in_a_job",
        run: || {
            let (tx, _rx) = sync::channel(0);
            let job = move || runtime::block_on(tx.send(1));
            let job = async { runtime::spawn_blocking(job).await };
            runtime::block_on(job).unwrap().unwrap();
        },
        ends: Ends::Told(&["[chan send]:\n", "-blocking-0"]),
    },
    Case {
        name: "nil_channel",
        run: || {
            runtime::block_on(sync::never::<u32>().recv());
        },
        ends: Ends::Told(&["[chan receive (nil chan)]"]),
    },
    Case {
        name: "join_of_a_task_that_waits_for_ever",
        run: || {
            runtime::block_on(async { runtime::spawn(pending::<()>()).await }).unwrap();
        },
        ends: Ends::Told(&[
            "[join]",
            " [waiting]:\ncreated outside of tasks\n\texamples/tests/say_why/told.rs:",
        ]),
    },
    Case {
        name: "after_a_timer_and_a_blocking_job_are_over",
        run: || {
            runtime::block_on(async {
                runtime::time::sleep(Duration::from_millis(50)).await;
                runtime::spawn_blocking(|| {}).await.unwrap();
                pending::<()>().await;
            });
        },
        ends: Ends::Told(&[]),
    },
    Case {
        name: "after_a_cancelled_timer",
        run: || {
            runtime::block_on(async {
                let _ = runtime::time::timeout(Duration::from_secs(2), runtime::yield_now()).await;
                pending::<()>().await;
            });
        },
        ends: Ends::Told(&[]),
    },
    Case {
        name: "after_a_strange_thread_has_ended_without_a_word",
        run: || {
            thread::spawn(|| thread::sleep(Duration::from_millis(700)));
            runtime::block_on(pending::<()>());
        },
        ends: Ends::Told(&[]),
    },
    Case {
        name: "block_on_long_after_the_runtime_fell_asleep",
        run: || {
            let rt = runtime::Runtime::new().unwrap();
            thread::sleep(Duration::from_millis(700));
            rt.block_on(pending::<()>());
        },
        ends: Ends::Told(&[]),
    },
    Case {
        name: "strange_threads_that_sleep_until_somebody_wakes_them",
        run: || {
            let (never, nothing) = mpsc::channel::<()>();
            let waits = thread::spawn(move || nothing.recv());
            thread::spawn(move || waits.join());
            thread::spawn(thread::park);
            runtime::block_on(pending::<()>());
            drop(never);
        },
        ends: Ends::Told(&[]),
    },
    Case {
        name: "a_thread_from_before_the_test_sleeps",
        run: || {
            thread::spawn(thread::park);
            as_a_test(pending());
        },
        ends: Ends::Told(&[]),
    },
    Case {
        name: "two_runtimes_wait_for_each_other",
        run: || {
            let (tx, rx) = sync::channel::<u32>(0);
            let other = runtime::Runtime::new().unwrap();
            let task = other.spawn(async move {
                let _tx = tx;
                pending::<()>().await;
            });
            runtime::block_on(rx.recv());
            drop(task);
        },
        ends: Ends::Told(&["[chan receive]"]),
    },
    Case {
        name: "signal_that_nobody_awaits",
        run: || {
            runtime::block_on(async {
                let _signal = signal::unix(SignalKind::terminate()).unwrap();
                drop(signal::ctrl_c());
                pending::<()>().await;
            });
        },
        ends: Ends::Told(&[]),
    },
    Case {
        name: "mutex_locked_twice",
        run: || {
            let mutex = sync::Mutex::new(0);
            runtime::block_on(async {
                let _guard = mutex.lock().await;
                let _again = mutex.lock().await;
            });
        },
        ends: Ends::Told(&["[sync.Mutex.Lock]"]),
    },
    Case {
        name: "select_without_live_arms",
        run: || {
            runtime::block_on(async {
                let never = sync::never::<u32>();
                sync::select! {
                    _ = never.recv(), if false => {}
                }
            });
        },
        ends: Ends::Told(&["[select (no cases)]"]),
    },
];
