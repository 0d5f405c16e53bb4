//! The examples of what is left, and of what nobody is handed.

mod support;

use support::run;

/// Whether this system has what finding leaks takes.
const TELLS: bool = cfg!(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
));

#[test]
fn the_two_who_wait_for_each_other_are_named() {
    let ended = run("leaks", &[]);
    let lines = ended.lines();
    if TELLS {
        assert_eq!(lines[0], "task leak profile: total 2");
        for name in ["worker", "boss"] {
            let head = format!("\"{name}\" [chan receive (leaked)]:");
            assert!(lines.iter().any(|line| line.ends_with(&head)), "{lines:?}");
        }
    }
    assert_eq!(lines.last(), Some(&"closed: the third one ends"));
}

#[test]
fn the_task_that_is_left_is_shown() {
    let ended = run("leak_check", &[]);
    let lines = ended.lines();
    assert_eq!(
        lines[..3],
        [
            "the last line",
            "tidy: nobody is left",
            "untidy: 1 task is left, 0 leaked"
        ]
    );
    assert!(lines[4].ends_with(" [chan receive]:"), "{lines:?}");
}

#[test]
fn the_second_panic_ends_the_process() {
    let ended = run("panic_ends_all", &[]);
    assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
    assert_eq!(ended.stdout, "a panic that is handled: out of ink\n");
    let told = " \"printer\" panicked and nobody holds its JoinHandle: out of paper\n";
    assert!(ended.stderr.contains(told), "{}", ended.stderr);
}
