//! Programs that seem to hang, and do not, or do not want to be told.

use std::future::{pending, poll_fn};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Poll, Waker};
use std::thread;

use runtime::signal::{self, SignalKind};

use crate::{Case, Ends, LATER, as_a_test, parent, ready};

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "timer",
        run: || {
            let (tx, rx) = sync::channel(0);
            runtime::block_on(async {
                runtime::spawn(async move {
                    runtime::time::sleep(LATER).await;
                    tx.send(()).await
                });
                rx.recv().await.unwrap();
            });
        },
        ends: Ends::Well,
    },
    Case {
        name: "after_func",
        run: || {
            let (tx, rx) = sync::channel(1);
            runtime::block_on(async {
                let _timer = runtime::time::after_func(LATER, move || tx.try_send(()).unwrap());
                rx.recv().await.unwrap();
            });
        },
        ends: Ends::Well,
    },
    Case {
        name: "socket",
        run: || {
            runtime::block_on(async {
                let stream = net::TcpStream::connect(parent()).await.unwrap();
                let mut byte = [0];
                stream.read_exact(&mut byte).await.unwrap();
            });
        },
        ends: Ends::WellWhenWrittenTo,
    },
    Case {
        name: "socket_of_another_runtime",
        run: || {
            let (tx, rx) = sync::channel(0);
            let other = runtime::Runtime::new().unwrap();
            other.spawn(async move {
                let stream = net::TcpStream::connect(parent()).await.unwrap();
                stream.read_exact(&mut [0]).await.unwrap();
                tx.send(()).await
            });
            runtime::block_on(rx.recv()).unwrap();
        },
        ends: Ends::WellWhenWrittenTo,
    },
    Case {
        name: "timer_of_another_runtime",
        run: || {
            let (tx, rx) = sync::channel(0);
            let other = runtime::Runtime::new().unwrap();
            other.spawn(async move {
                runtime::time::sleep(LATER).await;
                tx.send(()).await
            });
            runtime::block_on(rx.recv()).unwrap();
        },
        ends: Ends::Well,
    },
    Case {
        name: "blocking_job",
        run: || {
            let (tx, rx) = sync::channel(1);
            runtime::block_on(async {
                runtime::spawn_blocking(move || {
                    thread::sleep(LATER);
                    tx.try_send(()).unwrap();
                });
                rx.recv().await.unwrap();
            });
        },
        ends: Ends::Well,
    },
    Case {
        name: "job_that_waits_for_a_thread_that_sleeps",
        run: || {
            let (tx, rx) = mpsc::channel();
            let helper = thread::spawn(move || {
                thread::sleep(LATER);
                tx.send(()).unwrap();
            });
            let job = async { runtime::spawn_blocking(move || rx.recv()).await };
            runtime::block_on(job).unwrap().unwrap();
            helper.join().unwrap();
        },
        ends: Ends::Well,
    },
    Case {
        name: "body_that_waits_for_a_job",
        run: || {
            runtime::block_on(async {
                let (tx, rx) = mpsc::channel();
                let job = runtime::spawn_blocking(move || {
                    thread::sleep(LATER);
                    tx.send(()).unwrap();
                });
                rx.recv().unwrap();
                job.await.unwrap();
            });
        },
        ends: Ends::Well,
    },
    Case {
        name: "main_waits_for_a_channel_of_std_and_no_task_is_there",
        run: || {
            ready();
            let _rt = runtime::Runtime::new().unwrap();
            let (_tx, rx) = mpsc::channel::<()>();
            let _ = rx.recv();
        },
        ends: Ends::ByTheParentOnly(""),
    },
    Case {
        name: "task_stuck_in_a_poll",
        run: || {
            let (tx, rx) = sync::channel(1);
            runtime::block_on(async {
                runtime::spawn(async move {
                    thread::sleep(LATER);
                    tx.try_send(()).unwrap();
                });
                rx.recv().await.unwrap();
            });
        },
        ends: Ends::Well,
    },
    Case {
        name: "strange_thread_that_sends",
        run: || {
            let (tx, rx) = sync::channel(1);
            thread::spawn(move || {
                thread::sleep(LATER);
                tx.try_send(()).unwrap();
            });
            runtime::block_on(rx.recv()).unwrap();
        },
        ends: Ends::Well,
    },
    Case {
        name: "a_thread_from_before_the_test_sends",
        run: || {
            let (tx, rx) = sync::channel(1);
            thread::spawn(move || {
                thread::sleep(LATER);
                tx.try_send(()).unwrap();
            });
            as_a_test(async move { rx.recv().await.unwrap() });
        },
        ends: Ends::Well,
    },
    Case {
        name: "waker_in_the_hands_of_a_strange_thread",
        run: || {
            let slot: Arc<Mutex<(bool, Option<Waker>)>> = Arc::default();
            let theirs = slot.clone();
            thread::spawn(move || {
                thread::sleep(LATER);
                let mut slot = theirs.lock().unwrap();
                slot.0 = true;
                let waker = slot.1.take();
                drop(slot);
                waker.unwrap().wake();
            });
            let wait = poll_fn(move |cx| {
                let mut slot = slot.lock().unwrap();
                slot.1 = Some(cx.waker().clone());
                if slot.0 {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            });
            runtime::block_on(async { runtime::spawn(wait).await }).unwrap();
        },
        ends: Ends::Well,
    },
    Case {
        name: "main_thread_acts_while_another_one_blocks",
        run: || {
            let (tx, rx) = sync::channel(1);
            let thread = thread::spawn(move || runtime::block_on(rx.recv()));
            thread::sleep(LATER);
            tx.try_send(()).unwrap();
            thread.join().unwrap().unwrap();
        },
        ends: Ends::Well,
    },
    Case {
        name: "signal_handler",
        run: || {
            extern "C" fn leave(_: libc::c_int) {
                // SAFETY: allowed in a handler.
                unsafe { libc::_exit(0) };
            }
            // SAFETY: the handler does what a handler may.
            unsafe { libc::signal(libc::SIGUSR1, leave as *const () as libc::sighandler_t) };
            ready();
            runtime::block_on(pending::<()>());
        },
        ends: Ends::WellWhenSignalled(libc::SIGUSR1),
    },
    Case {
        name: "signal_awaited",
        run: || {
            runtime::block_on(async {
                let mut signal = signal::unix(SignalKind::terminate()).unwrap();
                ready();
                let task = runtime::spawn(async move { signal.recv().await });
                task.await.unwrap().unwrap();
            });
        },
        ends: Ends::WellWhenSignalled(libc::SIGTERM),
    },
    Case {
        name: "sigquit_awaited",
        run: || {
            #[runtime::main]
            async fn main() {
                let mut signal = signal::unix(SignalKind::quit()).unwrap();
                ready();
                signal.recv().await.unwrap();
            }
            main();
        },
        ends: Ends::WellWhenSignalled(libc::SIGQUIT),
    },
    Case {
        name: "turned_off_by_the_builder",
        run: || {
            let mut builder = runtime::Builder::new();
            let rt = builder.detect_deadlock(false).build().unwrap();
            ready();
            rt.block_on(pending::<()>());
        },
        ends: Ends::ByTheParentOnly(""),
    },
    Case {
        name: "turned_off_by_the_environment",
        run: || {
            ready();
            runtime::block_on(pending::<()>());
        },
        ends: Ends::ByTheParentOnly("deadlock=0"),
    },
];
