//! The examples of contexts, groups and locks print what their first lines promise.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use support::{example, run};

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
    for (signal, name) in [(libc::SIGTERM, "SIGTERM"), (libc::SIGINT, "SIGINT")] {
        let mut server = Command::new(example("graceful_shutdown"))
            .arg("127.0.0.1:0")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the example starts");
        let stdout = server.stdout.take().expect("piped");
        let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
        let first = lines.next().expect("it says where it listens");
        let address = first.strip_prefix("listening on ").expect("an address");
        let mut clients = [0; 3].map(|_| TcpStream::connect(address).expect("it listens"));
        for client in &mut clients {
            let patience = Some(Duration::from_secs(300));
            client.set_read_timeout(patience).expect("it is open");
        }
        // The first answer shows that each is served; then all but one are asking again when the
        // signal comes.
        let mut answer = [0; 5];
        for client in &mut clients {
            client.write_all(b"first").expect("it reads");
            client.read_exact(&mut answer).expect("it answers");
        }
        for client in &mut clients[1..] {
            client.write_all(b"again").expect("it reads");
        }
        // The requests are in the server's sockets before the signal is sent, and so count as
        // begun.
        let id = libc::pid_t::try_from(server.id()).expect("a process number");
        // SAFETY: a plain system call; the child has not been waited for, so the number is still
        // its own.
        assert_eq!(unsafe { libc::kill(id, signal) }, 0);
        assert_eq!(lines.next(), Some(format!("{name}: stopping")));
        for client in &mut clients[1..] {
            client
                .read_exact(&mut answer)
                .expect("it answers all the same");
            assert_eq!(&answer, b"again");
        }
        for client in &mut clients {
            assert_eq!(client.read(&mut answer).expect("it ends well"), 0);
        }
        assert_eq!(lines.next().as_deref(), Some("all connections have ended"));
        assert!(server.wait().expect("it is our child").success());
        assert!(TcpStream::connect(address).is_err());
    }
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
