//! What a stuck task, a trace of the scheduler and SIGQUIT have a program say.

use std::future::pending;
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::Duration;

use crate::{Case, Ends, LONG, as_a_test, ready};

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "stuck_task_is_named",
        run: || {
            let task = runtime::task::Builder::new().name("hog");
            runtime::block_on(async { task.spawn(async { thread::sleep(LONG) }).await }).unwrap();
        },
        ends: Ends::WellSaying(
            "",
            &[
                " \"hog\" has been running for ",
                "created at examples/tests/say_why/said.rs:",
            ],
        ),
    },
    Case {
        name: "stuck_task_is_named_once",
        run: || {
            runtime::block_on(async { runtime::spawn(async { thread::sleep(LONG) }).await })
                .unwrap();
        },
        ends: Ends::WellSayingOnce(" has been running for "),
    },
    Case {
        name: "a_test_that_waits_for_a_strange_thread",
        run: || {
            let (tx, rx) = sync::channel(1);
            let helper = thread::Builder::new().name("slow helper".into());
            let helper = helper.spawn(move || {
                thread::sleep(2 * LONG);
                tx.try_send(()).unwrap();
            });
            as_a_test(async move { rx.recv().await.unwrap() });
            helper.unwrap().join().unwrap();
        },
        ends: Ends::WellSaying("", &["every task of this test sleeps", " slow helper;"]),
    },
    Case {
        name: "a_body_that_locks_twice",
        run: || {
            ready();
            let mutex = Mutex::new(0);
            runtime::block_on(async {
                // It has slept before, or not.
                runtime::spawn(async {}).await.unwrap();
                let _first = mutex.lock().unwrap();
                let _second = mutex.lock().unwrap();
            });
        },
        ends: Ends::SayingToTheEnd(&[
            "all tasks are asleep - deadlock!",
            "each of main blocks",
            "no thread sleeps inside block_on",
            "block_on in thread \"main\" [running]:\ncalled at\n\texamples/tests/say_why/said.rs:",
        ]),
    },
    Case {
        name: "main_waits_for_a_channel_of_std_and_a_task_for_ever",
        run: || {
            ready();
            let (tx, rx) = mpsc::channel::<()>();
            let rt = runtime::Runtime::new().unwrap();
            rt.spawn(async move {
                pending::<()>().await;
                drop(tx);
            });
            let _ = rx.recv();
        },
        ends: Ends::SayingToTheEnd(&["all tasks are asleep - deadlock!", "task 1 [waiting]:\n"]),
    },
    Case {
        name: "schedtrace",
        run: || {
            runtime::block_on(async {
                runtime::spawn_blocking(|| thread::sleep(LONG))
                    .await
                    .unwrap();
            });
        },
        ends: Ends::WellSaying(
            "schedtrace=100",
            &[
                "SCHED ",
                "ms: maxprocs=",
                " tasks=0 blocking=1 runqueue=0 [ 0",
            ],
        ),
    },
    Case {
        name: "sigquit_while_all_wait",
        run: || {
            #[runtime::main]
            async fn main() {
                let sleeper = runtime::task::Builder::new().name("sleeper");
                let sleeper = sleeper.spawn(runtime::time::sleep(Duration::from_secs(600)));
                runtime::spawn_blocking(ready).await.unwrap();
                sleeper.await.unwrap();
            }
            main();
        },
        ends: Ends::Dumping(&[
            "SIGQUIT: quit\n\nblock_on in thread \"main\" [join]:\n",
            " \"sleeper\" [sleep]:\n\texamples/tests/say_why/said.rs:",
            "created by task 1\n\texamples/tests/say_why/said.rs:",
        ]),
    },
    Case {
        name: "sigquit_while_every_worker_is_stuck",
        run: || {
            #[runtime::main(max_procs = 2)]
            async fn main() {
                for _ in 0..2 {
                    runtime::spawn(async {
                        let _stdout = std::io::stdout().lock();
                        thread::sleep(Duration::from_secs(600));
                    });
                }
                let _stderr = std::io::stderr().lock();
                ready();
                loop {
                    std::hint::spin_loop();
                }
            }
            main();
        },
        ends: Ends::Dumping(&["SIGQUIT: quit\n", "task 1 [running]:\n"]),
    },
    Case {
        name: "sigquit_turned_off_by_the_environment",
        run: || {
            #[runtime::main]
            async fn main() {
                runtime::spawn_blocking(ready).await.unwrap();
                runtime::time::sleep(Duration::from_secs(600)).await;
            }
            main();
        },
        ends: Ends::ByTheParentOnly("sigquit=0"),
    },
    Case {
        name: "sigquit_not_asked_for",
        run: || {
            runtime::block_on(async {
                runtime::spawn_blocking(ready).await.unwrap();
                runtime::time::sleep(Duration::from_secs(600)).await;
            });
        },
        ends: Ends::ByTheParentOnly(""),
    },
];
