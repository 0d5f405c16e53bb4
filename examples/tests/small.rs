//! Each small example prints what its first lines promise.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Command, Stdio};

use support::{example, run, start};

/// The lines that start with `prefix`.
fn of<'a>(lines: &[&'a str], prefix: &str) -> Vec<&'a str> {
    lines
        .iter()
        .copied()
        .filter(|line| line.starts_with(prefix))
        .collect()
}

/// The number in front of `what` in a line.
fn number_before(line: &str, what: &str) -> u64 {
    let (before, _) = line.split_once(what).expect("the words are there");
    let number = before
        .trim_end()
        .rsplit(' ')
        .next()
        .expect("a word before them");
    number.parse().expect("which is a number")
}

#[test]
fn talking_lasts_as_long_as_ann() {
    let ended = run("talking", &[]);
    let lines = ended.lines();
    assert_eq!(of(&lines, "ann:"), ["ann: 1", "ann: 2", "ann: 3"]);
    assert_eq!(of(&lines, "bob:"), ["bob: 1", "bob: 2"]);
    assert!(!of(&lines, "cat:").is_empty());
    assert!(
        lines.contains(&"main: ann is done, and so am I"),
        "{lines:?}"
    );
}

#[test]
fn main_ends_and_the_task_is_dropped() {
    let ended = run("main_ends", &[]);
    assert_eq!(
        ended.lines(),
        ["main: returns", "task: dropped, and its luggage with it"]
    );
}

#[test]
fn wait_group_waits_for_all_five() {
    let ended = run("wait_group", &[]);
    let lines = ended.lines();
    for id in 1..=5 {
        assert_eq!(
            of(&lines, &format!("worker {id}:")),
            [format!("worker {id}: starts"), format!("worker {id}: done")]
        );
    }
    assert_eq!(lines.last(), Some(&"main: all five are done"));
    assert_eq!(lines.len(), 11);
}

#[test]
fn sleepers_all_sleep() {
    let ended = run("sleepers", &[]);
    let lines = ended.lines();
    assert_eq!(lines[0], "100000 tasks slept 10 ms each");
    let peak: u64 = lines[1]
        .strip_prefix("peak alive: ")
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=100_000).contains(&peak), "{peak}");
    let total = lines[2]
        .strip_prefix("total time: ")
        .unwrap()
        .strip_suffix(" ms")
        .unwrap();
    assert!(
        total.parse::<f64>().unwrap() >= 10.0,
        "nobody can have slept 10 ms in {total} ms"
    );
}

#[test]
fn fan_out_does_each_job_once() {
    let ended = run("fan_out", &[]);
    let lines = ended.lines();
    let jobs: u64 = of(&lines, "worker ")
        .iter()
        .map(|line| number_before(line, "jobs"))
        .sum();
    assert_eq!(jobs, 100);
    assert_eq!(lines.last(), Some(&"sum of the squares of 1..=100: 338350"));
}

#[test]
fn worker_pool_is_bounded() {
    assert_eq!(
        run("worker_pool", &[]).lines(),
        ["20 jobs done, at most 3 at once"]
    );
}

#[test]
fn batches_add_up() {
    let ended = run("batches", &[]);
    let lines = ended.lines();
    let workers = of(&lines, "worker ");
    assert_eq!(workers.len(), 4);
    assert_eq!(
        workers
            .iter()
            .map(|line| number_before(line, "batches"))
            .sum::<u64>(),
        16
    );
    assert_eq!(
        workers
            .iter()
            .map(|line| number_before(line, "records"))
            .sum::<u64>(),
        1000
    );
    assert_eq!(
        lines.last(),
        Some(&"all: 16 batches, 1000 records, sum 500500")
    );
}

#[test]
fn echo_server_echoes_to_two_at_once() {
    let mut server = Command::new(example("echo_server"))
        .args(["127.0.0.1:0", "--for", "600"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the server starts");
    let mut said = BufReader::new(server.stdout.take().expect("piped")).lines();
    let mut next = || {
        said.next()
            .expect("the server still talks")
            .expect("in text")
    };
    let first = next();
    let address = first
        .strip_prefix("listening on ")
        .expect("the address comes first");

    let mut connections: Vec<_> = (0..2)
        .map(|_| TcpStream::connect(address).expect("it listens"))
        .collect();
    // The second first: the server waits for neither.
    for (n, connection) in connections.iter_mut().enumerate().rev() {
        let sent = [n as u8; 3000];
        connection.write_all(&sent).unwrap();
        let mut got = [0xff; 3000];
        connection.read_exact(&mut got).unwrap();
        assert_eq!(got, sent);
    }
    for connection in &mut connections {
        connection.shutdown(Shutdown::Write).unwrap();
        assert_eq!(
            connection.read(&mut [0; 1]).unwrap(),
            0,
            "nothing but the end follows"
        );
    }
    let mut lines: Vec<String> = (0..4).map(|_| next()).collect();
    lines.sort();
    for (line, start) in lines.iter().zip([
        "3000 bytes for ",
        "3000 bytes for ",
        "connection from ",
        "connection from ",
    ]) {
        assert!(line.starts_with(start), "{lines:?}");
    }
    server.kill().unwrap();
    server.wait().unwrap();
}

#[test]
fn echo_server_stops_by_itself() {
    let ended =
        start(Command::new(example("echo_server")).args(["127.0.0.1:0", "--for", "0"])).end();
    let lines = ended.lines();
    assert!(lines[0].starts_with("listening on 127.0.0.1:"));
    assert_eq!(lines[1..], ["time is up"]);
}

#[test]
fn a_device_of_one_s_own_is_read_to_its_end() {
    let ended = run("device", &[]);
    assert_eq!(
        ended.lines(),
        [
            "child: line 1",
            "child: line 2",
            "child: line 3",
            "the child has ended, and 3 lines have come",
        ]
    );
}
