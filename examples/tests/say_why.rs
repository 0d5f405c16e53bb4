//! Which programs are told that they hang for ever, and which are not; and what SIGQUIT makes a program say.
//!
//! Whether a program hangs depends on every thread of its process, so that each case is a process of its own: this program, started again
//! with the name of the case. No test harness, which has threads too.
//!
//! `cargo test -p weftline-examples --test say_why [part of a name]`

mod support;

use std::env;
use std::future::{pending, poll_fn};
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitCode};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use runtime::signal::{self, SignalKind};
use support::{Ended, start};

/// Many times as long as the check needs to make up its mind.
const LATER: Duration = Duration::from_millis(1500);

/// For cases in which the monitor has something to say within this time, also when it gets to run only now and then.
const LONG: Duration = Duration::from_secs(8);

/// A case: what runs in a process of its own, and what has to become of it.
struct Case {
    name: &'static str,
    run: fn(),
    ends: Ends,
}

enum Ends {
    /// By the report, which has these parts.
    Told(&'static [&'static str]),
    /// Well.
    Well,
    /// Well, having said this on stderr. The first text is its `RUNTIME_DEBUG`.
    WellSaying(&'static str, &'static [&'static str]),
    /// Well, because the parent connects to it and writes a byte when it has waited for a while.
    WellWhenWrittenTo,
    /// Well, because the parent sends this signal when it has waited for a while.
    WellWhenSignalled(libc::c_int),
    /// By the parent's SIGQUIT, which has no handler. The text is its `RUNTIME_DEBUG`.
    ByTheParentOnly(&'static str),
    /// By the parent's SIGQUIT, which makes it print these parts.
    Dumping(&'static [&'static str]),
}

const CASES: &[Case] = &[
    Case {
        name: "send_with_nobody_to_receive",
        run: || {
            let (tx, _rx) = sync::channel(0);
            runtime::block_on(tx.send(1)).unwrap();
        },
        ends: Ends::Told(&[
            "block_on in thread \"main\" [chan send]:\n\texamples/tests/say_why.rs:",
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
            " [chan receive]:\n\texamples/tests/say_why.rs:",
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
            " [waiting]:\ncreated outside of tasks\n\texamples/tests/say_why.rs:",
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
        name: "a_pool_from_before_the_test_that_has_nothing_to_do",
        run: || {
            let _jobs = pool();
            as_a_test(pending());
        },
        ends: Ends::Told(&[]),
    },
    Case {
        name: "a_pool_from_before_the_test_that_was_given_a_job",
        run: || {
            let jobs = pool();
            let (tx, rx) = sync::oneshot::channel();
            as_a_test(async move {
                let answer = move || {
                    thread::sleep(LATER);
                    tx.send(()).unwrap();
                };
                jobs.send(Box::new(answer)).unwrap();
                rx.await.unwrap();
            });
        },
        ends: Ends::Well,
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
                "created at examples/tests/say_why.rs:",
            ],
        ),
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
            " \"sleeper\" [sleep]:\n\texamples/tests/say_why.rs:",
            "created by task 1\n\texamples/tests/say_why.rs:",
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

fn main() -> ExitCode {
    let argument = env::args().nth(1).unwrap_or_default();
    if let Some(case) = argument.strip_prefix("case:") {
        let case = CASES.iter().find(|known| known.name == case);
        (case.expect("a known case").run)();
        return ExitCode::SUCCESS;
    }
    if !cfg!(target_os = "linux") {
        println!("only Linux tells enough of a process' threads");
        return ExitCode::SUCCESS;
    }
    let wanted = |case: &&Case| argument.starts_with('-') || case.name.contains(&argument);
    let running: Vec<_> = CASES.iter().filter(wanted).map(begin).collect();
    let failed = running.into_iter().map(|(case, end)| judge(case, end()));
    match failed.filter(|well| !well).count() {
        0 => ExitCode::SUCCESS,
        n => {
            println!("{n} failed");
            ExitCode::FAILURE
        }
    }
}

/// Tells the parent that the signal may come.
fn ready() {
    TcpStream::connect(parent()).expect("the parent listens");
}

/// Where the parent listens.
fn parent() -> SocketAddr {
    env::args()
        .nth(2)
        .expect("an address")
        .parse()
        .expect("an address")
}

/// Starts a case; the function that comes back waits for its end.
fn begin(case: &'static Case) -> (&'static Case, Box<dyn FnOnce() -> Ended>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let mut command = Command::new(env::current_exe().expect("this test has a path"));
    command
        .arg(format!("case:{}", case.name))
        .arg(address.to_string());
    command.env_remove("RUNTIME_DEBUG");
    if let Ends::ByTheParentOnly(debug) | Ends::WellSaying(debug, _) = case.ends {
        command.env("RUNTIME_DEBUG", debug);
    }
    let running = start(&mut command);
    match case.ends {
        Ends::Told(_) | Ends::Well | Ends::WellSaying(..) => {}
        Ends::WellWhenWrittenTo => write_later(listener),
        Ends::WellWhenSignalled(signal) => signal_later(listener, &running.child, signal),
        Ends::ByTheParentOnly(_) | Ends::Dumping(_) => {
            signal_later(listener, &running.child, libc::SIGQUIT);
        }
    }
    (case, Box::new(move || running.end()))
}

/// As `#[runtime::test]` runs it.
fn as_a_test(body: impl Future<Output = ()> + Send + 'static) {
    runtime::__private::AsTask.run(runtime::__private::Entry::test(), body);
}

type Job = Box<dyn FnOnce() + Send>;

/// A thread that runs what it is sent, and waits for the first job.
fn pool() -> mpsc::Sender<Job> {
    let (jobs, todo) = mpsc::channel::<Job>();
    thread::spawn(move || todo.into_iter().for_each(|job| job()));
    let asleep = || {
        let stat = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("stat"));
        let mut tasks = std::fs::read_dir("/proc/self/task").expect("Linux");
        // All but this one.
        tasks.all(|task| {
            let task = task.expect("a thread");
            task.file_name().to_str() == Some(&std::process::id().to_string())
                || stat(task).is_ok_and(|stat| stat.contains(") S "))
        })
    };
    while !asleep() {
        thread::yield_now();
    }
    jobs
}

fn write_later(listener: TcpListener) {
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("the case connects");
        thread::sleep(LATER);
        stream.write_all(&[1]).expect("the case reads");
    });
}

fn signal_later(listener: TcpListener, child: &Child, signal: libc::c_int) {
    let id = libc::pid_t::try_from(child.id()).expect("a process number");
    thread::spawn(move || {
        listener.accept().expect("the case is ready");
        thread::sleep(LATER);
        // SAFETY: a plain system call. The child waits for nothing else, so the number is still its own.
        unsafe { libc::kill(id, signal) };
    });
}

fn judge(case: &Case, ended: Ended) -> bool {
    let told = ended.stderr.contains("all tasks are asleep - deadlock!");
    let said = |parts: &[&str]| parts.iter().all(|part| ended.stderr.contains(part));
    let well = match case.ends {
        Ends::Told(parts) => told && ended.status.code() == Some(101) && said(parts),
        Ends::WellSaying(_, parts) => ended.status.success() && said(parts),
        Ends::Dumping(parts) => ended.status.code() == Some(2) && said(parts),
        Ends::ByTheParentOnly(_) => !told && ended.status.signal() == Some(libc::SIGQUIT),
        Ends::Well | Ends::WellWhenWrittenTo | Ends::WellWhenSignalled(_) => {
            !told && ended.status.success()
        }
    };
    println!("{} {}", if well { "ok    " } else { "FAILED" }, case.name);
    if !well {
        println!("{}\n{}{}", ended.status, ended.stdout, ended.stderr);
    }
    well
}
