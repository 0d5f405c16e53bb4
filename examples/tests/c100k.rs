//! `c100k` in small: what it counts, what it writes, how it ends, and that nothing of it is left
//! behind.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use support::{Ended, example, run, start};

/// A place for a result of its own for each test.
fn json_file(test: &str) -> PathBuf {
    std::env::temp_dir().join(format!("weftline-c100k-{test}-{}.json", std::process::id()))
}

/// Runs with `--json`, and returns the object too: it is flat, one key a line.
fn run_with_json(test: &str, args: &[&str]) -> (Ended, BTreeMap<String, String>) {
    let file = json_file(test);
    let path = file.to_str().expect("the path is text");
    let ended = run("c100k", &[args, &["--json", path]].concat());
    let text = fs::read_to_string(&file).expect("the result is written");
    let _ = fs::remove_file(&file);
    assert!(text.starts_with("{\n") && text.ends_with("\n}\n"), "{text}");
    let pairs = text
        .lines()
        .filter_map(|line| line.trim_end_matches(',').trim().split_once(": "));
    let object = pairs
        .map(|(key, value)| (key.trim_matches('"').to_owned(), value.to_owned()))
        .collect();
    (ended, object)
}

/// Runs with a lower limit of open files.
fn run_with_files(files: u32, args: &[&str]) -> Ended {
    let script = format!("ulimit -n {files} && exec \"$0\" \"$@\"");
    start(
        Command::new("sh")
            .arg("-c")
            .arg(script)
            .arg(example("c100k"))
            .args(args),
    )
    .end()
}

#[test]
fn a_small_run_holds_every_connection_and_says_so() {
    let args = [
        "--connections",
        "200",
        "--rounds",
        "3",
        "--idle",
        "0.2",
        "--in-flight",
        "16",
    ];
    let (ended, json) = run_with_json("small", &args);
    assert_eq!(
        ended.status.code(),
        Some(0),
        "{}\n{}",
        ended.stdout,
        ended.stderr
    );

    let get = |key: &str| {
        json.get(key)
            .unwrap_or_else(|| panic!("no `{key}` in {json:?}"))
            .as_str()
    };
    for (key, value) in [
        ("ok", "true"),
        ("connections_asked", "200"),
        ("connections_held", "200"),
        ("connections_failed", "0"),
        ("messages_echoed", "800"),
        ("messages_wrong", "0"),
        ("rounds", "3"),
        ("in_flight", "16"),
        ("server_processes", "1"),
        ("client_processes", "1"),
        ("fullest_server", "200"),
        ("errors", "[]"),
        ("trouble", "null"),
    ] {
        assert_eq!(get(key), value, "{key}");
    }
    let number = |key: &str| {
        get(key)
            .parse::<f64>()
            .unwrap_or_else(|_| panic!("{key}: {}", get(key)))
    };
    let percentiles = [
        "latency_p50_us",
        "latency_p99_us",
        "latency_p999_us",
        "latency_max_us",
    ]
    .map(number);
    assert!(
        percentiles[0] > 0.0 && percentiles.is_sorted(),
        "{percentiles:?}"
    );
    for key in [
        "accepts_per_second",
        "messages_per_second",
        "start_s",
        "connect_s",
        "rounds_s",
        "close_s",
        "total_s",
    ] {
        assert!(number(key) > 0.0, "{key}");
    }
    assert!(number("idle_s") >= 0.2);
    // May be null where /proc does not tell.
    for key in [
        "server_bytes_per_connection",
        "server_private_bytes_per_connection",
        "kernel_bytes_per_connection",
        "idle_cpu_ms",
        "idle_wakeups",
    ] {
        get(key);
    }
    for words in [
        "GOOD",
        "200 asked, 200 held, 0 failed",
        "800 echoed, 0 wrong",
    ] {
        assert!(
            ended.stdout.contains(words),
            "no `{words}` in\n{}",
            ended.stdout
        );
    }
}

#[test]
fn a_low_limit_of_files_spreads_the_servers_over_more_processes() {
    let file = json_file("spread");
    let path = file.to_str().expect("the path is text");
    let ended = run_with_files(
        300,
        &[
            "--connections",
            "400",
            "--rounds",
            "1",
            "--idle",
            "0",
            "--json",
            path,
        ],
    );
    assert_eq!(
        ended.status.code(),
        Some(0),
        "{}\n{}",
        ended.stdout,
        ended.stderr
    );
    assert!(
        ended.stdout.contains("sharing the port with reuse_port"),
        "{}",
        ended.stdout
    );
    let json = fs::read_to_string(&file).expect("the result is written");
    let _ = fs::remove_file(&file);
    assert!(json.contains("\"server_processes\": 3,"), "{json}");
    assert!(json.contains("\"client_processes\": 2,"), "{json}");
}

#[test]
fn limits_are_met_with_a_line_that_says_what_to_do() {
    for (files, args, cure) in [
        (300, &["--connections", "100000"][..], "ulimit -Hn"),
        (
            300,
            &["--connections", "400", "--processes", "1"],
            "--processes 3",
        ),
        (50, &["--connections", "1"], "ulimit -Hn"),
    ] {
        let ended = run_with_files(files, args);
        assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        assert!(ended.stderr.contains(cure), "{}", ended.stderr);
    }
}

#[test]
fn wrong_use_is_refused_with_a_line() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = taken.local_addr().expect("it has an address").to_string();
    for (args, words) in [
        (&["--conections", "5"][..], "no option `--conections`"),
        (&["--connections", "many"], "cannot be `many`"),
        (&["--client"], "--address"),
        (&["--processes", "100000"], "more than the 64"),
        (
            &["--connections", "5", "--address", &address],
            "another program has this port",
        ),
        (
            &["--connections", "5", "--json", "/nonexistent/result"],
            "cannot be written",
        ),
    ] {
        let ended = run("c100k", args);
        assert_eq!(ended.status.code(), Some(2), "{args:?}: {}", ended.stderr);
        assert_eq!(
            ended.stderr.lines().count(),
            1,
            "{args:?}: {}",
            ended.stderr
        );
        assert!(ended.stderr.contains(words), "{args:?}: {}", ended.stderr);
    }
}

#[test]
fn help_names_every_option() {
    let ended = run("c100k", &["--help"]);
    ended.lines();
    for option in [
        "--connections",
        "--rounds",
        "--idle",
        "--in-flight",
        "--processes",
        "--json",
        "--server",
        "--client",
        "--address",
        "--time-limit",
    ] {
        assert!(ended.stdout.contains(option), "{option}");
    }
}

#[test]
fn failed_connections_make_the_exit_status_1() {
    // Nothing listens on port 1, and nobody is given it by chance.
    let (ended, json) = run_with_json(
        "refused",
        &[
            "--client",
            "--connections",
            "10",
            "--address",
            "127.0.0.1:1",
        ],
    );
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    assert_eq!(json["connections_failed"], "10");
    assert_eq!(json["ok"], "false");
    assert!(
        json["errors"].contains("--server"),
        "the cure is missing in {}",
        json["errors"]
    );
}

#[test]
fn a_single_wrong_byte_makes_the_exit_status_1() {
    let address = spoiling_server(2);
    let args = [
        "--client",
        "--connections",
        "5",
        "--rounds",
        "3",
        "--idle",
        "0",
        "--address",
    ];
    let (ended, json) = run_with_json("spoilt", &[&args[..], &[&address]].concat());
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    assert_eq!(json["connections_held"], "5");
    // Rounds 0 and 1 were right; round 2 was wrong and ended the connections, so that there was no
    // round 3.
    assert_eq!(json["messages_echoed"], "10");
    assert_eq!(json["messages_wrong"], "5");
    assert_eq!(json["connections_failed"], "5");
    assert!(
        ended.stdout.contains("BAD: wrong bytes"),
        "{}",
        ended.stdout
    );
}

/// An echo server that gets the last bit of message number `spoilt` wrong on each connection; its
/// address.
fn spoiling_server(spoilt: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener
        .local_addr()
        .expect("it has an address")
        .to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("the client connects");
            thread::spawn(move || {
                let mut message = [0; 64];
                let mut n = 0;
                while stream.read_exact(&mut message).is_ok() {
                    message[63] ^= u8::from(n == spoilt);
                    stream.write_all(&message).expect("the client reads");
                    n += 1;
                }
            });
        }
    });
    address
}

#[test]
fn ctrl_c_half_way_ends_it_with_what_was_measured_so_far() {
    let args = ["--connections", "100", "--idle", "600", "--time-limit", "0"];
    let mut run = Command::new(example("c100k"))
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut said = BufReader::new(run.stderr.take().expect("piped")).lines();
    let connected = said
        .by_ref()
        .map_while(Result::ok)
        .any(|line| line.starts_with("connect      100 connections"));
    assert!(connected);
    let children = children_of(run.id());
    assert_eq!(children.len(), 2);
    kill(libc::SIGINT, run.id());
    assert_eq!(wait(&mut run).code(), Some(1));
    let mut summary = String::new();
    let mut stdout = run.stdout.take().expect("piped");
    stdout.read_to_string(&mut summary).expect("it is text");
    for words in ["interrupted by Ctrl-C", "100 asked, 100 held, 0 failed"] {
        assert!(summary.contains(words), "{summary}");
    }
    assert!(children.into_iter().all(|child| !alive(child)));
}

#[test]
fn a_reader_that_goes_away_is_no_failure_of_the_run() {
    let mut run = Command::new(example("c100k"))
        .args(["--connections", "5", "--idle", "0"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    drop((run.stdout.take(), run.stderr.take()));
    assert_eq!(wait(&mut run).code(), Some(0));
}

#[test]
fn server_and_client_work_alone() {
    let mut server = Server::start();
    let (ended, json) = run_with_json(
        "alone",
        &[
            "--client",
            "--connections",
            "50",
            "--idle",
            "0",
            "--address",
            &server.address,
        ],
    );
    assert_eq!(
        ended.status.code(),
        Some(0),
        "{}\n{}",
        ended.stdout,
        ended.stderr
    );
    assert_eq!(json["connections_held"], "50");
    assert_eq!(json["server_processes"], "0");
    server.parent.kill().expect("it is our child");
    server.parent.wait().expect("it is our child");
}

#[test]
fn a_server_that_dies_is_noticed_at_once() {
    for signal in [libc::SIGKILL, libc::SIGTERM] {
        let server = Server::start();
        kill(signal, children_of(server.parent.id())[0]);
        let mut parent = server.parent;
        let status = wait(&mut parent);
        assert_eq!(status.code(), Some(1), "after signal {signal}");
    }
}

#[test]
fn no_process_is_left_when_the_parent_dies() {
    for signal in [libc::SIGKILL, libc::SIGTERM] {
        let mut server = Server::start();
        let children = children_of(server.parent.id());
        assert!(!children.is_empty());
        kill(signal, server.parent.id());
        wait(&mut server.parent);
        let deadline = Instant::now() + Duration::from_secs(300);
        for child in children {
            while alive(child) {
                assert!(
                    Instant::now() < deadline,
                    "process {child} outlives its parent after signal {signal}"
                );
                thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

/// `c100k --server`, listening.
struct Server {
    parent: Child,
    address: String,
}

impl Server {
    fn start() -> Self {
        let mut parent = Command::new(example("c100k"))
            .args(["--server", "--connections", "100", "--time-limit", "300"])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut lines = BufReader::new(parent.stderr.take().expect("piped")).lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                line.split_once("--address ")
                    .map(|(_, address)| address.to_owned())
            })
            .expect("it says where it listens");
        // Read on, so that it can go on talking.
        thread::spawn(move || lines.count());
        Self { parent, address }
    }
}

fn wait(child: &mut Child) -> std::process::ExitStatus {
    let deadline = Instant::now() + Duration::from_secs(300);
    loop {
        if let Some(status) = child.try_wait().expect("it is our child") {
            return status;
        }
        if Instant::now() > deadline {
            child.kill().expect("it is our child");
            panic!("hangs");
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn kill(signal: libc::c_int, pid: u32) {
    let pid = libc::pid_t::try_from(pid).expect("a process number");
    // SAFETY: a plain system call.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
}

fn children_of(parent: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"))
        .expect("/proc lists children");
    text.split_whitespace()
        .map(|pid| pid.parse().expect("a number"))
        .collect()
}

/// Whether the process runs; one that has ended and waits for somebody to ask how does not.
fn alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // By its name: the number may belong to another one by now.
    let rest = stat.split_once(" (c100k) ");
    rest.is_some_and(|(_, rest)| !rest.starts_with('Z'))
}
