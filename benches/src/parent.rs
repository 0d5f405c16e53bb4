//! The parent: who runs when, and what becomes of a run that fails or hangs.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::options::Options;
use crate::results::{Results, Row, Run, Runs};
use crate::socket::load::GO_PROGRAM;
use crate::suite::{Group, PEERS, WORKLOADS, Workload};
use crate::{charts, document, machine, tables};

/// Compares, and prints as it goes.
pub(crate) fn compare(options: &Options) -> Result<(), String> {
    let results = match &options.from {
        Some(file) => Results::load(file)?,
        None => measure(options)?,
    };
    print!("{}", tables::markdown(&results));
    if let Some(path) = &options.json {
        save(&results, path)?;
    }
    if let Some(dir) = &options.svg {
        charts::write(&results, dir)?;
    }
    if let Some(docs) = &options.report {
        save(&results, &document::figures(docs))?;
        document::renew(&results, docs)?;
    }
    Ok(())
}

fn save(results: &Results, path: &Path) -> Result<(), String> {
    if let Some(dir) = path.parent() {
        let _ = std::fs::create_dir_all(dir);
    }
    std::fs::write(path, results.to_json())
        .map_err(|e| format!("cannot write {}: {e}", path.display()))
}

/// Rows to measure, one way.
struct Plan {
    workloads: Vec<&'static Workload>,
    workers: Vec<usize>,
    peers: Vec<&'static str>,
    runs: usize,
    scale: f64,
    /// To see whether numbers of workers differ, and not for the main table.
    sweep: bool,
}

/// The runtimes whose workers are swept; the channel crates run on one of them.
const SWEPT: &[&str] = &["weftline", "go", "tokio", "smol", "may"];

/// A sweep asks whether something collapses, for which a tenth of the size is enough.
const SWEEP_SCALE: f64 = 0.1;

fn plans(options: &Options) -> Result<Vec<Plan>, String> {
    let workloads = chosen(options)?;
    let peers = chosen_peers(options)?;
    let sweeps = options.workers.len() > 1;
    let mut plans = vec![Plan {
        workloads: workloads.clone(),
        workers: options.workers.clone(),
        peers: peers.clone(),
        runs: options.runs,
        scale: options.scale,
        sweep: sweeps,
    }];
    if options.report.is_some() && !sweeps {
        // One load of the servers will do, and what parks a million tasks or spins does not depend
        // on the workers.
        let swept = |w: &&Workload| match w.group() {
            Group::Memory | Group::Fairness | Group::Http => false,
            Group::Sockets => w.name == "echo_100",
            _ => true,
        };
        plans.push(Plan {
            workloads: workloads.into_iter().filter(swept).collect(),
            workers: vec![1, 2, 8],
            peers: (peers.into_iter()).filter(|p| SWEPT.contains(p)).collect(),
            runs: options.runs.min(3),
            scale: options.scale * SWEEP_SCALE,
            sweep: true,
        });
    }
    Ok(plans)
}

fn measure(options: &Options) -> Result<Results, String> {
    let plans = plans(options)?;
    let go = go_program();
    if let Err(why) = &go {
        eprintln!("go is absent: {why}");
    }
    let launcher = Launcher {
        limit: Duration::from_secs(options.limit),
        go,
        this: std::env::current_exe().map_err(|e| format!("where am I? {e}"))?,
    };
    // Some rows measured again take their places among those of the last report.
    let kept = options.report.as_deref().map(document::figures);
    let mut results = match &kept {
        Some(file) if !options.only.is_empty() && file.exists() => Results::load(file)?,
        _ => Results::default(),
    };
    results.machine = machine::describe();
    let start = Instant::now();
    for plan in &plans {
        for workload in &plan.workloads {
            for &workers in &plan.workers {
                let row = launcher.measure(plan, workload, workers);
                let rows = if plan.sweep {
                    &mut results.sweep
                } else {
                    &mut results.rows
                };
                Results::put(rows, row);
                results.machine["runs"] = json!(options.runs);
                if options.only.is_empty() {
                    results.machine["seconds"] = json!(start.elapsed().as_secs());
                }
                results.machine["load_at_end"] = json!(machine::load());
                // What a stop half-way leaves is worth having.
                if let Some(file) = &kept {
                    save(&results, file)?;
                }
            }
        }
    }
    eprintln!("measured in {} s", start.elapsed().as_secs());
    Ok(results)
}

fn chosen_peers(options: &Options) -> Result<Vec<&'static str>, String> {
    if options.peers.is_empty() {
        return Ok(PEERS.to_vec());
    }
    let known = |peer: &String| {
        let found = PEERS.iter().copied().find(|known| known == peer);
        found.ok_or_else(|| format!("there is no peer {peer}; there are {}", PEERS.join(", ")))
    };
    options.peers.iter().map(known).collect()
}

fn chosen(options: &Options) -> Result<Vec<&'static Workload>, String> {
    if options.only.is_empty() {
        return Ok(WORKLOADS.iter().collect());
    }
    let mut chosen = Vec::new();
    for name in &options.only {
        match name.strip_suffix('*') {
            Some(prefix) => {
                let before = chosen.len();
                chosen.extend(WORKLOADS.iter().filter(|w| w.name.starts_with(prefix)));
                if chosen.len() == before {
                    return Err(format!(
                        "no workload begins with {prefix}; --list names them"
                    ));
                }
            }
            None => chosen.push(Workload::named(name)?),
        }
    }
    Ok(chosen)
}

/// Builds the Go program, where there is a Go.
fn go_program() -> Result<PathBuf, String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("go");
    let program = std::env::current_exe()
        .map_err(|e| e.to_string())?
        .with_file_name("benches-go");
    let built = Command::new("go")
        .args(["build", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(source)
        .output()
        .map_err(|e| e.to_string())?;
    if built.status.success() {
        Ok(program)
    } else {
        Err(String::from_utf8_lossy(&built.stderr).into_owned())
    }
}

struct Launcher {
    limit: Duration,
    go: Result<PathBuf, String>,
    this: PathBuf,
}

impl Launcher {
    /// All peers in turn, several times over.
    fn measure(&self, plan: &Plan, workload: &'static Workload, workers: usize) -> Row {
        let peers: Vec<&'static str> = (workload.peers.iter().copied())
            .filter(|peer| plan.peers.contains(peer) && (*peer != "go" || self.go.is_ok()))
            .collect();
        let mut runs = Runs::new();
        let mut longest: BTreeMap<&str, Duration> = BTreeMap::new();
        for round in 0..plan.runs {
            // Each round starts with another peer, so that none always follows the same one.
            for at in 0..peers.len() {
                let peer = peers[(round + at) % peers.len()];
                let mine = runs.entry(peer).or_default();
                let took = longest.entry(peer).or_default();
                if is_hopeless(mine) || (*took > PATIENCE && mine.len() >= 2) {
                    continue;
                }
                let start = Instant::now();
                let mut command = self.command(plan, workload, peer, workers);
                let run = line_of(&mut command, self.limit);
                *took = start.elapsed().max(*took);
                progress(workload, peer, workers, round, &run);
                mine.push(run);
            }
        }
        Row {
            workload,
            workers,
            scale: plan.scale,
            runs,
        }
    }

    fn command(&self, plan: &Plan, workload: &Workload, peer: &str, workers: usize) -> Command {
        match (&self.go, peer) {
            (Ok(go), "go") if !workload.on_sockets() => {
                let mut command = Command::new(go);
                command
                    .arg(workload.name)
                    .arg(workers.to_string())
                    .arg(workload.scaled(plan.scale).to_string());
                command
            }
            _ => {
                let mut command = Command::new(&self.this);
                command
                    .args(["--child", workload.name, peer])
                    .arg(workers.to_string())
                    .arg(plan.scale.to_string());
                if let Ok(go) = &self.go {
                    command.env(GO_PROGRAM, go);
                }
                command
            }
        }
    }
}

/// Who takes longer runs twice and no more: it is many times as slow as the others, and more runs
/// would only say so again.
const PATIENCE: Duration = Duration::from_secs(4);

/// What failed twice or hung once will do so again.
fn is_hopeless(runs: &[Run]) -> bool {
    let failures = runs.iter().filter_map(|run| run.as_ref().err());
    let weights = failures.map(|why| if why.starts_with(HANGS) { 2 } else { 1 });
    weights.sum::<usize>() >= 2
}

/// How the reason begins when a run took too long.
const HANGS: &str = "hangs";

/// Runs a child and reads its line.
pub(crate) fn line_of(command: &mut Command, limit: Duration) -> Run {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("does not start: {e}"))?;
    let output = read_aside(child.stdout.take());
    let errors = read_aside(child.stderr.take());
    let deadline = Instant::now() + limit;
    let Ok(output) = output.recv_timeout(limit) else {
        stop(&mut child);
        return Err(format!("{HANGS}: no result in {} s", limit.as_secs()));
    };
    let errors = errors
        .recv_timeout(deadline.saturating_duration_since(Instant::now()))
        .unwrap_or_default();
    let status = child.wait().map_err(|e| e.to_string())?;
    if !status.success() {
        let said = errors
            .lines()
            .find(|line| !line.trim().is_empty() && !line.starts_with("thread '"))
            .unwrap_or("nothing");
        return Err(format!("fails: {status}; says: {said}"));
    }
    serde_json::from_str(&output).map_err(|e| format!("prints no JSON: {e}: {output}"))
}

/// Reads a pipe to its end on a thread, so that a child that hangs does not hang the parent.
fn read_aside(pipe: Option<impl Read + Send + 'static>) -> mpsc::Receiver<String> {
    let (tx, rx) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        let _ = tx.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    rx
}

fn stop(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

fn progress(workload: &Workload, peer: &str, workers: usize, round: usize, run: &Run) {
    let result = match run {
        Ok(line) => match workload.unit.figure(line) {
            Some(figure) => format!("{figure:.1} {}", workload.unit.name()),
            None => "no figure".to_owned(),
        },
        Err(why) => why.clone(),
    };
    eprintln!(
        "{:<20} {:<14} {workers} workers, run {}: {result}",
        workload.name,
        peer,
        round + 1
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hang_once_or_a_failure_twice_ends_it() {
        let ok = || Ok(json!({}));
        let fails = || Err("fails: it said so".to_owned());
        let hangs = || Err(format!("{HANGS}: no result in 30 s"));
        assert!(!is_hopeless(&[ok(), fails(), ok()]));
        assert!(is_hopeless(&[fails(), ok(), fails()]));
        assert!(is_hopeless(&[ok(), hangs()]));
    }

    #[test]
    fn a_child_that_fails_says_why_and_one_that_hangs_is_ended() {
        let sh = |script: &str, limit| {
            let mut command = Command::new("sh");
            line_of(command.args(["-c", script]), Duration::from_millis(limit))
        };
        assert_eq!(sh("echo '{\"ops\": 3}'", 60_000), Ok(json!({ "ops": 3 })));
        let why = sh("echo oh dear >&2; exit 3", 60_000).expect_err("it failed");
        assert!(why.contains("oh dear"), "{why}");
        let why = sh("echo nonsense", 60_000).expect_err("it said nonsense");
        assert!(why.contains("no JSON"), "{why}");
        let why = sh("exec sleep 600", 50).expect_err("it hung");
        assert!(why.starts_with(HANGS), "{why}");
    }
}
