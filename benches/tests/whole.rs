//! The harness as it is used, at a size that takes a moment: every workload on every runtime ends,
//! and what it measured is whole.
//!
//! Each workload checks its own work, and its process fails when something is lost. Go takes part
//! where it is on the path.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// What may fail, and why. A row that fails is shown as failing, so the harness has nothing to hide
/// here.
const MAY_FAIL: &[(&str, &str, &str)] = &[
    (
        "select",
        "kanal",
        "a message is lost when a receive is dropped: the select hangs",
    ),
    (
        "select",
        "flume",
        "a send whose arm lost has sent its value",
    ),
    ("select", "crossfire", "the same"),
    (
        "",
        "may",
        "its coroutines wait for ever now and then, in any workload",
    ),
];

/// A directory of its own, empty.
fn directory(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).expect("a directory");
    path
}

/// Runs the program under a limit of its own, since each run inside has one.
fn benches(args: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_benches"))
        .args(args)
        .output()
        .expect("the program starts");
    assert!(
        output.status.success(),
        "{args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

fn figures(file: &Path) -> Value {
    let text = std::fs::read_to_string(file).expect("the figures");
    serde_json::from_str(&text).expect("JSON")
}

fn may_fail(workload: &str, peer: &str) -> bool {
    (MAY_FAIL.iter()).any(|(start, who, _)| workload.starts_with(start) && peer == *who)
}

/// A run has all that its kind of workload is to have.
fn check(workload: &str, peer: &str, run: &Value) {
    let at = format!("{workload} on {peer}: {run}");
    if let Some(why) = run["failure"].as_str() {
        assert!(may_fail(workload, peer), "{at}");
        eprintln!("{workload} on {peer} failed, as it may: {why}");
        return;
    }
    let positive = |key: &str| assert!(run[key].as_f64().is_some_and(|f| f > 0.0), "{key}, {at}");
    positive("wall_ns");
    positive("ops");
    positive("peak_kb");
    assert!(run["cpu_s"].as_f64().is_some_and(|cpu| cpu >= 0.0), "{at}");
    assert!(run["vcsw"].is_u64(), "{at}");
    let starts = |parts: &[&str]| parts.iter().any(|part| workload.starts_with(part));
    if starts(&["echo", "accept", "http", "proxy", "udp"]) {
        let said = run["syscalls_by"].as_str().expect("how they were counted");
        if !said.starts_with("not counted") {
            positive("syscalls");
        }
    }
    if starts(&["echo", "http"]) {
        positive("p50_us");
        assert!(run["p50_us"].as_f64() <= run["p99_us"].as_f64(), "{at}");
        assert!(run["p99_us"].as_f64() <= run["p999_us"].as_f64(), "{at}");
    }
    match workload {
        "sleep100k" => positive("asleep"),
        _ if workload.starts_with("hog") => positive("max_ms"),
        _ if workload.contains("_mem") => assert!(run["bytes"].is_number(), "{at}"),
        _ => {}
    }
}

#[test]
fn every_workload_on_every_runtime_ends_with_a_whole_line() {
    let dir = directory("every");
    let (json, svg) = (dir.join("all.json"), dir.join("svg"));
    let output = benches(&[
        "--scale",
        "0.002",
        "--runs",
        "1",
        "--limit",
        "30",
        "--json",
        &json.to_string_lossy(),
        "--svg",
        &svg.to_string_lossy(),
    ]);
    let all = figures(&json);
    let rows = all["rows"].as_array().expect("rows");
    let listed = String::from_utf8(benches(&["--list"]).stdout).expect("text");
    let mut seen = BTreeSet::new();
    for row in rows {
        let name = row["workload"].as_str().expect("a name");
        seen.insert(name.to_owned());
        for (peer, runs) in row["peers"].as_object().expect("peers") {
            for run in runs.as_array().expect("runs") {
                check(name, peer, run);
            }
        }
        assert!(
            row["peers"]["weftline"].is_array(),
            "{name} has no row of ours"
        );
    }
    for line in listed.lines().filter(|line| !line.starts_with(' ')) {
        let name = line.split_whitespace().next().expect("a name");
        assert!(seen.contains(name), "{name} was not measured");
    }
    let table = String::from_utf8(output.stdout).expect("text");
    for name in &seen {
        assert!(
            table.contains(&format!("| {name} ")),
            "{name} is not in the table"
        );
    }
    assert!(svg.join("overview.svg").exists());
}

#[test]
fn one_and_eight_workers_do_the_same_work() {
    let json = directory("workers").join("sweep.json");
    let output = benches(&[
        "--only",
        "spawn_join,skynet,ring,chan_mpmc*,select2,timer_churn_yield,mutex,echo_100",
        "--peers",
        "weftline,go,tokio,smol,may",
        "--workers",
        "1,8",
        "--scale",
        "0.002",
        "--runs",
        "1",
        "--json",
        &json.to_string_lossy(),
    ]);
    let all = figures(&json);
    let sweep = all["sweep"].as_array().expect("rows");
    assert_eq!(sweep.len(), 2 * 9);
    for row in sweep {
        for (peer, runs) in row["peers"].as_object().expect("peers") {
            for run in runs.as_array().expect("runs") {
                check(row["workload"].as_str().expect("a name"), peer, run);
            }
        }
    }
    let table = String::from_utf8(output.stdout).expect("text");
    assert!(table.contains("| **worst** |"), "{table}");
}

#[test]
fn a_report_renews_the_document_and_a_row_measured_again_keeps_the_others() {
    let docs = directory("docs");
    let document = docs.join("PERFORMANCE.md");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/PERFORMANCE.md");
    let before = std::fs::read_to_string(source).expect("the document");
    std::fs::write(&document, &before).expect("a copy");
    let report = |only: &str| {
        benches(&[
            "--report",
            &docs.to_string_lossy(),
            "--only",
            only,
            "--peers",
            "weftline,smol",
            "--scale",
            "0.01",
            "--runs",
            "1",
        ]);
        std::fs::read_to_string(&document).expect("the document")
    };
    let first = report("yield,ring");
    let second = report("yield");
    for text in [&first, &second] {
        assert!(text.contains("| yield ns |") && text.contains("| ring ns |"));
        assert!(text.contains("performance/switch.svg"));
    }
    for name in [
        "figures.json",
        "overview.svg",
        "tasks.svg",
        "switch.svg",
        "workers.svg",
    ] {
        assert!(docs.join("performance").join(name).exists(), "{name}");
    }
    let headings = |text: &str| -> Vec<String> {
        let written = text.lines().filter(|line| line.starts_with("## "));
        written.map(str::to_owned).collect()
    };
    assert_eq!(
        headings(&before),
        headings(&second),
        "the text around is kept"
    );
    // Shown again from the file, nothing differs.
    let figures = docs.join("performance/figures.json");
    benches(&[
        "--from",
        &figures.to_string_lossy(),
        "--report",
        &docs.to_string_lossy(),
    ]);
    let again = std::fs::read_to_string(&document).expect("the document");
    assert_eq!(again, second);
}

#[test]
fn a_mistake_is_named_and_nothing_is_run() {
    for (args, named) in [
        (&["--only", "rnig"][..], "rnig"),
        (&["--only", "zzz*"], "zzz"),
        (&["--peers", "tokyo"], "tokyo"),
        (&["--from", "/nowhere.json"], "/nowhere.json"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_benches"))
            .args(args)
            .output()
            .expect("the program starts");
        assert!(!output.status.success(), "{args:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(named), "{args:?}: {said}");
    }
}
