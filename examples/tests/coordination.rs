//! The examples of contexts, groups and locks print what their first lines promise.

mod support;

use support::run;

fn lines_with(example: &str, part: &str) -> usize {
    let ended = run(example, &[]);
    assert!(ended.status.success(), "{}", ended.stderr);
    ended
        .lines()
        .iter()
        .filter(|line| line.contains(part))
        .count()
}

#[test]
fn the_crawler_keeps_its_limit_and_ends_with_the_first_error() {
    let ended = run("crawl", &[]);
    let lines = ended.lines();
    let summary = lines
        .iter()
        .find(|line| line.starts_with("crawled "))
        .expect("it ends");
    let most = summary
        .strip_prefix("crawled 8 pages, at most ")
        .expect("eight pages");
    assert!(
        ["1 at a time", "2 at a time", "3 at a time"].contains(&most),
        "{summary}"
    );
    assert_eq!(lines.last(), Some(&"a broken site: /gone: no such page"));
}

#[test]
fn a_cancelled_request_takes_its_steps_with_it() {
    let ended = run("cancel_tree", &[]);
    let mut lines = ended.lines();
    assert_eq!(lines.pop(), Some("all 4 steps have ended"));
    lines[..2].sort_unstable();
    lines[2..].sort_unstable();
    assert_eq!(
        lines,
        [
            "request 1, query: the client has left",
            "request 1, render: the client has left",
            "request 2, query: closing time",
            "request 2, render: closing time",
        ]
    );
}

#[test]
fn a_deadline_ends_what_knows_nothing_of_it() {
    let ended = run("context_timeout", &[]);
    assert_eq!(
        ended.lines(),
        [
            r#"fast: Ok("a page for Ada")"#,
            "slow: Err(DeadlineExceeded), and its connection is closed",
        ]
    );
}

#[test]
fn a_server_that_stops_answers_those_who_are_there() {
    assert_eq!(
        lines_with("graceful_shutdown", "answered after the stop"),
        3
    );
    assert_eq!(
        lines_with("graceful_shutdown", "all connections have ended"),
        1
    );
}

#[test]
fn the_cache_asks_once_for_each_key() {
    assert_eq!(
        lines_with("cache", "1000 requests for 10 keys: 10 queries"),
        1
    );
}

#[test]
fn every_subscriber_hears_or_is_told_that_it_missed() {
    let ended = run("pub_sub", &[]);
    assert!(ended.status.success(), "{}", ended.stderr);
    let lines = ended.lines();
    let total = |line: &str| -> u32 {
        let numbers = line.split(' ').filter_map(|word| word.parse::<u32>().ok());
        numbers.sum()
    };
    let of = |name| lines.iter().filter(move |line| line.starts_with(name));
    assert_eq!(
        of("prompt: ").map(|line| total(line)).collect::<Vec<_>>(),
        [20; 3]
    );
    assert_eq!(
        of("late: ").map(|line| total(line)).collect::<Vec<_>>(),
        [10]
    );
    assert_eq!(lines.last(), Some(&"slow: 8 received, 12 missed"));
}

#[test]
fn few_buffers_serve_many_requests() {
    let ended = run("buffer_pool", &[]);
    let lines = ended.lines();
    let made = lines[0]
        .strip_prefix("10000 requests, at most 50 at once: ")
        .and_then(|rest| rest.strip_suffix(" buffers were made"))
        .expect("it says how many");
    let made: u32 = made.parse().expect("a number");
    assert!((1..=5_000).contains(&made), "{made}");
    let kept = lines[1].strip_suffix(" of them lie in the pool");
    let kept: u32 = kept.and_then(|n| n.parse().ok()).expect("a number");
    assert!((1..=made).contains(&kept), "{kept}");
}
