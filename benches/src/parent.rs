//! The parent: who runs when, and what becomes of a run that fails or hangs.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::options::Options;
use crate::report::Report;
use crate::socket::load::GO_PROGRAM;
use crate::suite::{PEERS, WORKLOADS, Workload};

/// What became of one run: its line, or why there is none.
pub(crate) type Run = Result<Value, String>;

/// All runs of one workload, by peer.
pub(crate) type Runs = BTreeMap<&'static str, Vec<Run>>;

/// Compares, and prints as it goes.
pub(crate) fn compare(options: &Options) -> Result<(), String> {
    let go = go_program();
    if let Err(why) = &go {
        eprintln!("go is absent: {why}");
    }
    let launcher = Launcher {
        options,
        go,
        this: std::env::current_exe().map_err(|e| format!("where am I? {e}"))?,
    };
    let mut report = Report::new(options);
    for workload in chosen(options)? {
        let runs = launcher.measure(workload);
        report.add(workload, runs);
    }
    print!("{}", report.markdown());
    if let Some(path) = &options.json {
        std::fs::write(path, report.json())
            .map_err(|e| format!("cannot write {}: {e}", path.display()))?;
    }
    Ok(())
}

fn chosen(options: &Options) -> Result<Vec<&'static Workload>, String> {
    for peer in &options.peers {
        if !PEERS.contains(&peer.as_str()) {
            return Err(format!(
                "there is no peer {peer}; there are {}",
                PEERS.join(", ")
            ));
        }
    }
    if options.only.is_empty() {
        return Ok(WORKLOADS.iter().collect());
    }
    let mut chosen = Vec::new();
    for name in &options.only {
        match name.strip_suffix('*') {
            Some(prefix) => chosen.extend(WORKLOADS.iter().filter(|w| w.name.starts_with(prefix))),
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

struct Launcher<'a> {
    options: &'a Options,
    go: Result<PathBuf, String>,
    this: PathBuf,
}

impl Launcher<'_> {
    /// All peers in turn, several times over.
    fn measure(&self, workload: &'static Workload) -> Runs {
        let peers = self.peers(workload);
        let mut runs = Runs::new();
        for round in 0..self.options.runs {
            // Each round starts with another peer, so that none always follows the same one.
            for at in 0..peers.len() {
                let peer = peers[(round + at) % peers.len()];
                let mine = runs.entry(peer).or_default();
                // What failed or hung twice will do so again.
                if mine.iter().filter(|run| run.is_err()).count() >= 2 {
                    continue;
                }
                let run = self.run(workload, peer);
                progress(workload, peer, round, &run);
                mine.push(run);
            }
        }
        runs
    }

    fn peers(&self, workload: &Workload) -> Vec<&'static str> {
        let wanted = |peer: &str| {
            self.options.peers.is_empty() || self.options.peers.iter().any(|p| p == peer)
        };
        (workload.peers.iter().copied())
            .filter(|peer| wanted(peer) && (*peer != "go" || self.go.is_ok()))
            .collect()
    }

    fn run(&self, workload: &Workload, peer: &str) -> Run {
        let mut command = match (&self.go, peer) {
            (Ok(go), "go") if !workload.on_sockets() => {
                let mut command = Command::new(go);
                command
                    .arg(workload.name)
                    .arg(self.options.workers.to_string())
                    .arg(workload.scaled(self.options.scale).to_string());
                command
            }
            _ => {
                let mut command = Command::new(&self.this);
                command
                    .args(["--child", workload.name, peer])
                    .arg(self.options.workers.to_string())
                    .arg(self.options.scale.to_string());
                if let Ok(go) = &self.go {
                    command.env(GO_PROGRAM, go);
                }
                command
            }
        };
        let limit = Duration::from_secs(self.options.limit);
        line_of(&mut command, limit)
    }
}

/// Runs a child and reads its line.
fn line_of(command: &mut Command, limit: Duration) -> Run {
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
        return Err(format!("hangs: no result in {} s", limit.as_secs()));
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

fn progress(workload: &Workload, peer: &str, round: usize, run: &Run) {
    let result = match run {
        Ok(line) => match workload.unit.figure(line) {
            Some(figure) => format!("{figure:.1} {}", workload.unit.name()),
            None => "no figure".to_owned(),
        },
        Err(why) => why.clone(),
    };
    eprintln!(
        "{:<20} {:<14} run {}: {result}",
        workload.name,
        peer,
        round + 1
    );
}
