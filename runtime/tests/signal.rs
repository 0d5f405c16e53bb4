//! Signals as something to wait for. A signal reaches the whole process, so that each test is a
//! process of its own: this program, started again with the name of the test.

mod common;

use std::env;
use std::fs;
use std::future::Future;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::pin::{Pin, pin};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Waker};
use std::thread;

use common::{runtime, watchdog};
use runtime::signal::{self, Signal, SignalKind};

const IN_CHILD: &str = "WEFTLINE_SIGNAL_TEST";

/// Runs the test of this name in a process of its own.
#[track_caller]
fn alone(name: &str, test: fn()) {
    let _watchdog = watchdog(name);
    if env::var_os(IN_CHILD).is_some() {
        return test();
    }
    let output = child(name).output().unwrap();
    assert!(
        output.status.success(),
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn child(name: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture"]);
    command.env(IN_CHILD, "1");
    command
}

/// Starts the test of this name in a process of its own, and waits until it says that it is
/// [`ready`].
fn start(name: &str) -> Child {
    let mut child = child(name).stdout(Stdio::piped()).spawn().unwrap();
    let stdout = child.stdout.as_mut().unwrap();
    let mut lines = BufReader::new(stdout).lines();
    assert!(lines.any(|line| line.unwrap().contains(READY)), "{name}");
    child
}

const READY: &str = "the child is ready";

fn ready() {
    println!("{READY}");
    io::stdout().flush().unwrap();
}

fn kill(child: &Child, kind: SignalKind) {
    let id = libc::pid_t::try_from(child.id()).unwrap();
    // SAFETY: a plain system call; the child has not been waited for, so the number is still its
    // own.
    assert_eq!(unsafe { libc::kill(id, kind.as_raw()) }, 0);
}

/// The signal has come when this returns: its handler runs on this thread.
fn raise(kind: SignalKind) {
    // SAFETY: a plain system call.
    assert_eq!(unsafe { libc::raise(kind.as_raw()) }, 0);
}

const USR1: SignalKind = SignalKind::user_defined1();
const USR2: SignalKind = SignalKind::user_defined2();

fn waits<F: Future>(future: Pin<&mut F>) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    future.poll(&mut cx).is_pending()
}

fn is_silent(signal: &mut Signal) -> bool {
    waits(pin!(signal.recv()))
}

#[test]
fn a_signal_that_comes_is_received_once() {
    alone("a_signal_that_comes_is_received_once", || {
        runtime(2).block_on(async {
            let mut signal = signal::unix(USR1).unwrap();
            assert!(is_silent(&mut signal));
            for _ in 0..3 {
                raise(USR1);
                assert_eq!(signal.recv().await, Some(USR1));
                assert!(is_silent(&mut signal));
            }
        });
    });
}

#[test]
fn signals_of_one_kind_coalesce_and_those_of_two_kinds_do_not() {
    alone(
        "signals_of_one_kind_coalesce_and_those_of_two_kinds_do_not",
        || {
            runtime(2).block_on(async {
                let mut both = signal::notify([USR2, USR1]).unwrap();
                for _ in 0..100 {
                    raise(USR2);
                    raise(USR1);
                }
                assert_eq!(both.recv().await, Some(USR1));
                assert_eq!(both.recv().await, Some(USR2));
                assert!(is_silent(&mut both));
            });
        },
    );
}

#[test]
fn a_signal_that_comes_all_the_time_keeps_no_other_waiting() {
    alone(
        "a_signal_that_comes_all_the_time_keeps_no_other_waiting",
        || {
            runtime(1).block_on(async {
                let kinds = [SignalKind::hangup(), USR1, USR2];
                let mut signals = signal::notify(kinds).unwrap();
                kinds.into_iter().for_each(raise);
                // The lowest comes again before each look.
                let mut received = Vec::new();
                for _ in 0..6 {
                    raise(SignalKind::hangup());
                    received.push(signals.recv().await.unwrap());
                }
                let hup = SignalKind::hangup();
                assert_eq!(received, [hup, USR1, USR2, hup, hup, hup]);
            });
        },
    );
}

#[test]
fn every_listener_of_every_runtime_receives_each_signal() {
    alone(
        "every_listener_of_every_runtime_receives_each_signal",
        || {
            let runtimes: Vec<_> = (0..3).map(|_| runtime(1)).collect();
            // Listened to until the end: a signal that comes when all others are gone would end the
            // process.
            let _context = runtimes[0].enter();
            let _kept = signal::unix(USR1).unwrap();
            let told = |rt: &runtime::Runtime| {
                let _context = rt.enter();
                let (mut a, mut b) = (signal::unix(USR1).unwrap(), signal::unix(USR1).unwrap());
                rt.spawn(async move {
                    for _ in 0..50 {
                        a.recv().await.unwrap();
                    }
                    b.recv().await
                })
            };
            let tasks: Vec<_> = runtimes.iter().map(told).collect();
            // Coalescing: until all have seen fifty, however many that takes.
            while !tasks.iter().all(|task| task.is_finished()) {
                raise(USR1);
                thread::yield_now();
            }
            for (task, rt) in tasks.into_iter().zip(&runtimes) {
                assert_eq!(rt.block_on(task).unwrap(), Some(USR1));
            }
        },
    );
}

#[test]
fn no_signal_is_lost_however_deep_the_sleep() {
    alone("no_signal_is_lost_however_deep_the_sleep", || {
        static SEEN: AtomicU32 = AtomicU32::new(0);
        let rt = runtime(2);
        let mut signal = {
            let _context = rt.enter();
            signal::unix(USR1).unwrap()
        };
        rt.spawn(async move {
            while signal.recv().await.is_some() {
                SEEN.fetch_add(1, Ordering::SeqCst);
            }
        });
        for round in 0..2_000 {
            raise(USR1);
            while SEEN.load(Ordering::SeqCst) == round {
                thread::yield_now();
            }
        }
    });
}

#[test]
fn a_storm_of_signals_is_received_as_at_least_one_after_the_last() {
    alone(
        "a_storm_of_signals_is_received_as_at_least_one_after_the_last",
        || {
            static STOP: AtomicU32 = AtomicU32::new(0);
            let rt = runtime(2);
            rt.block_on(async {
                let mut signals = signal::notify([USR1, USR2]).unwrap();
                let storms: Vec<_> = (0..2)
                    .map(|_| {
                        thread::spawn(|| {
                            // Many times what a pipe holds.
                            for _ in 0..100_000 {
                                raise(USR1);
                            }
                            STOP.fetch_add(1, Ordering::SeqCst);
                            raise(USR2);
                        })
                    })
                    .collect();
                let mut received = 0;
                while STOP.load(Ordering::SeqCst) < 2 {
                    signals.recv().await.unwrap();
                    received += 1;
                }
                assert!(received > 0);
                for storm in storms {
                    storm.join().unwrap();
                }
                raise(USR1);
                while signals.recv().await.unwrap() != USR1 {}
            });
        },
    );
}

#[test]
fn a_dropped_recv_takes_no_signal() {
    alone("a_dropped_recv_takes_no_signal", || {
        runtime(1).block_on(async {
            let mut signal = signal::unix(USR1).unwrap();
            for _ in 0..10 {
                {
                    let mut waiting = pin!(signal.recv());
                    assert!(waits(waiting.as_mut()));
                    raise(USR1);
                }
                assert_eq!(signal.recv().await, Some(USR1));
            }
        });
    });
}

#[test]
fn ctrl_c_listens_from_the_call_on() {
    alone("ctrl_c_listens_from_the_call_on", || {
        runtime(1).block_on(async {
            let interrupted = signal::ctrl_c();
            raise(SignalKind::interrupt());
            interrupted.await.unwrap();
        });
    });
}

#[test]
fn a_signal_from_another_process_is_received() {
    if env::var_os(IN_CHILD).is_none() {
        let _watchdog = watchdog("a signal from another process");
        let mut child = start("a_signal_from_another_process_is_received");
        kill(&child, SignalKind::terminate());
        assert!(child.wait().unwrap().success());
        return;
    }
    runtime(2).block_on(async {
        let mut signal = signal::unix(SignalKind::terminate()).unwrap();
        ready();
        assert_eq!(signal.recv().await, Some(SignalKind::terminate()));
    });
}

#[test]
fn without_a_listener_a_signal_ends_the_process_as_before() {
    if env::var_os(IN_CHILD).is_none() {
        let _watchdog = watchdog("the second Ctrl-C");
        let mut child = start("without_a_listener_a_signal_ends_the_process_as_before");
        kill(&child, SignalKind::interrupt());
        let status = child.wait().unwrap();
        assert_eq!(status.signal(), Some(libc::SIGINT), "{status}");
        return;
    }
    runtime(2).block_on(async {
        let first = signal::ctrl_c();
        raise(SignalKind::interrupt());
        first.await.unwrap();
        ready();
        std::future::pending::<()>().await;
    });
}

#[test]
fn a_signal_that_was_ignored_or_handled_before_is_so_afterwards() {
    alone(
        "a_signal_that_was_ignored_or_handled_before_is_so_afterwards",
        || {
            static HANDLED: AtomicU32 = AtomicU32::new(0);
            extern "C" fn handle(_: libc::c_int) {
                HANDLED.fetch_add(1, Ordering::SeqCst);
            }
            // SAFETY: the handler does one atomic operation.
            unsafe {
                libc::signal(libc::SIGHUP, libc::SIG_IGN);
                libc::signal(libc::SIGUSR1, handle as *const () as libc::sighandler_t);
            }
            runtime(1).block_on(async {
                let mut signal = signal::notify([SignalKind::hangup(), USR1]).unwrap();
                raise(SignalKind::hangup());
                assert_eq!(signal.recv().await, Some(SignalKind::hangup()));
                raise(USR1);
                assert_eq!(signal.recv().await, Some(USR1));
                assert_eq!(HANDLED.load(Ordering::SeqCst), 1);
                drop(signal);
                raise(SignalKind::hangup());
                raise(USR1);
                assert_eq!(HANDLED.load(Ordering::SeqCst), 2);
            });
        },
    );
}

#[test]
fn signals_that_do_nothing_still_do_nothing_when_nobody_listens() {
    alone(
        "signals_that_do_nothing_still_do_nothing_when_nobody_listens",
        || {
            let harmless = [SignalKind::child(), SignalKind::window_change()];
            runtime(1).block_on(async {
                let mut signal = signal::notify(harmless).unwrap();
                for kind in harmless {
                    raise(kind);
                    assert_eq!(signal.recv().await, Some(kind));
                }
                drop(signal);
                harmless.into_iter().for_each(raise);
            });
        },
    );
}

#[test]
fn what_cannot_be_listened_to_is_refused_with_a_reason() {
    runtime(1).block_on(async {
        for (number, text) in [
            (libc::SIGKILL, "SIGKILL cannot be listened to"),
            (libc::SIGSEGV, "SIGSEGV cannot be listened to"),
            (0, "signal 0 does not exist"),
            (65, "signal 65 does not exist"),
            (-1, "signal -1 does not exist"),
        ] {
            let kinds = [USR2, SignalKind::from_raw(number)];
            let error = signal::notify(kinds).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert_eq!(error.to_string(), text);
        }
        let error = signal::notify([]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    });
}

#[test]
fn listeners_that_come_and_go_leave_nothing_behind() {
    alone("listeners_that_come_and_go_leave_nothing_behind", || {
        let descriptors = || fs::read_dir("/proc/self/fd").unwrap().count();
        let rt = runtime(2);
        rt.block_on(async {
            let mut kept = signal::unix(USR1).unwrap();
            let before = descriptors();
            for _ in 0..1_000 {
                let mut signal = signal::notify([USR1, USR2]).unwrap();
                raise(USR1);
                assert_eq!(signal.recv().await, Some(USR1));
                assert!(is_silent(&mut signal));
            }
            assert_eq!(descriptors(), before);
            assert_eq!(kept.recv().await, Some(USR1));
            assert!(is_silent(&mut kept));
        });
    });
}

#[test]
fn a_listener_that_outlives_its_runtime_is_told() {
    alone("a_listener_that_outlives_its_runtime_is_told", || {
        let rt = runtime(1);
        let mut signal = rt.block_on(async { signal::unix(USR1) }).unwrap();
        drop(rt);
        let other = runtime(1);
        raise(USR1);
        assert_eq!(other.block_on(signal.recv()), Some(USR1));
        assert_eq!(other.block_on(signal.recv()), None);
    });
}

#[test]
fn a_task_that_waits_for_a_signal_says_so() {
    alone("a_task_that_waits_for_a_signal_says_so", || {
        let rt = runtime(1);
        rt.block_on(async {
            let mut signal = signal::unix(USR1).unwrap();
            let task = runtime::spawn(async move { signal.recv().await });
            let handle = runtime::Handle::current();
            while !handle.dump().to_string().contains("[signal wait]:\n") {
                runtime::yield_now().await;
            }
            raise(USR1);
            assert_eq!(task.await.unwrap(), Some(USR1));
        });
    });
}
