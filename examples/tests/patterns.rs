//! The examples of channel patterns print what their first lines promise.

mod support;

use support::run;

/// Runs an example and expects these lines among its own.
fn prints(example: &str, expected: &[&str]) {
    let ended = run(example, &[]);
    let lines = ended.lines();
    for line in expected {
        assert!(lines.contains(line), "{line:?} is missing in {lines:?}");
    }
}

#[test]
fn a_pipeline_sums_up() {
    prints("pipeline", &["the odd squares up to 100² sum up to 166650"]);
}

#[test]
fn fan_in_hears_everybody() {
    prints(
        "fan_in",
        &["hare 1", "hare 3", "fox 3", "snail 3", "all: 9"],
    );
}

#[test]
fn a_semaphore_keeps_its_limit() {
    let ended = run("semaphore_channel", &[]);
    assert!(ended.lines()[0].starts_with("10 jobs done, at most "));
}

#[test]
fn closing_stops_every_worker() {
    let ended = run("done_channel", &[]);
    assert!(ended.lines()[0].starts_with("all 4 workers have stopped after "));
}

#[test]
fn a_late_answer_is_not_lost() {
    prints("timeout", &["no answer in time", "late, but not lost: 42"]);
}

#[test]
fn a_heart_beats_between_results() {
    let ended = run("heartbeat", &[]);
    let lines = ended.lines();
    assert_eq!(lines[..3], ["result 1", "result 2", "result 3"]);
    assert!(lines[3].starts_with("the worker is done; "));
}

#[test]
fn the_sieve_finds_the_1000th_prime() {
    prints(
        "prime_sieve",
        &[
            "[2, 3, 5, 7, 11, 13, 17, 19, 23, 29]",
            "the 1000th prime is 7919",
        ],
    );
}

#[test]
fn the_answers_that_came_second_are_kept() {
    let ended = run("or_done", &[]);
    let lines = ended.lines();
    assert!(lines[0].ends_with(" answers first"));
    assert_eq!(
        lines
            .iter()
            .filter(|line| line.starts_with("later: Some("))
            .count(),
        3
    );
}

#[test]
fn requests_are_let_through_at_the_rate() {
    let ended = run("rate_limit", &[]);
    assert_eq!(ended.lines().len(), 8);
}

#[test]
fn a_tee_gives_all_to_both() {
    prints("tee", &["printed 1", "printed 5", "the sum of all is 15"]);
}

#[test]
fn a_bridge_hides_the_seams_and_ends_with_its_context() {
    prints(
        "bridge",
        &["[0, 1, 2, 10, 11, 12, 20, 21, 22]", "after the end: None"],
    );
}

#[test]
fn the_owner_of_the_state_answers_everybody() {
    prints(
        "stateful",
        &["10 readers and 5 writers, 150 requests; key 3 is now 9"],
    );
}

#[test]
fn walkers_end_when_nobody_listens() {
    prints(
        "tree_walk",
        &["same: true", "same: false", "0 tasks are left"],
    );
}

#[test]
fn philosophers_eat_or_are_told() {
    prints("philosophers", &["every one of 5 has eaten 100 times"]);
    let ended = run("philosophers", &["left-first"]);
    let said = &ended.stderr;
    assert!(said.contains("all tasks are asleep - deadlock!"), "{said}");
    assert_eq!(said.matches("[sync.Mutex.Lock]").count(), 5, "{said}");
}
