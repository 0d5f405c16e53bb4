//! The table and the raw figures.
#![forbid(unsafe_code)]

use std::fmt::Write;

use serde_json::{Value, json};

use crate::options::Options;
use crate::parent::Runs;
use crate::suite::{PEERS, Unit, Workload};

/// Everything measured so far.
pub(crate) struct Report {
    header: Value,
    rows: Vec<(&'static Workload, Runs)>,
}

/// The middle of several runs, and how far they lie apart.
struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

impl Report {
    /// An empty one.
    pub(crate) fn new(options: &Options) -> Report {
        Report {
            header: json!({
                "runs": options.runs,
                "workers": options.workers,
                "scale": options.scale,
            }),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub(crate) fn add(&mut self, workload: &'static Workload, runs: Runs) {
        self.rows.push((workload, runs));
    }

    /// A table for people: medians, the range of the runs, the ratio to the best peer, and what failed below.
    pub(crate) fn markdown(&self) -> String {
        let columns: Vec<&str> = (PEERS.iter().copied())
            .filter(|peer| self.rows.iter().any(|(_, runs)| runs.contains_key(peer)))
            .collect();
        let mut text = format!(
            "\nMedian (least–most) of {} runs, {} workers, scale {}. \
             `~`: capacity 1 for want of a rendezvous; `∞`: unbounded; `†`: sleepers run on a thread of their own.\n\n",
            self.header["runs"], self.header["workers"], self.header["scale"],
        );
        let mut line = "| workload |".to_owned();
        let mut rule = "|---|".to_owned();
        for column in &columns {
            let _ = write!(line, " {column} |");
            rule.push_str("---|");
        }
        let _ = writeln!(text, "{line} best peer | weftline / best |\n{rule}---|---|");
        for (workload, runs) in &self.rows {
            let _ = writeln!(text, "{}", row(workload, runs, &columns));
        }
        self.costs(&mut text, &columns);
        self.failures(&mut text);
        text
    }

    /// CPU, context switches and memory, as a second table.
    fn costs(&self, text: &mut String, columns: &[&str]) {
        let mut line =
            "| CPU ns an operation, voluntary switches per 1,000 operations, peak MB |".to_owned();
        let mut rule = "|---|".to_owned();
        for column in columns {
            let _ = write!(line, " {column} |");
            rule.push_str("---|");
        }
        let _ = writeln!(text, "\n{line}\n{rule}");
        for (workload, runs) in &self.rows {
            let _ = write!(text, "| {} |", workload.name);
            for column in columns {
                let of = |key: &str| median(runs, column, |line| line[key].as_f64());
                let per_op = |key: &str, times: f64| {
                    median(runs, column, |line| {
                        Some(line[key].as_f64()? / line["ops"].as_f64()? * times)
                    })
                };
                match (per_op("cpu_s", 1e9), per_op("vcsw", 1e3), of("peak_kb")) {
                    (Some(cpu), Some(switches), Some(peak)) => {
                        let _ = write!(
                            text,
                            " {}, {}, {:.0} |",
                            number(cpu.median),
                            number(switches.median),
                            peak.median / 1024.0
                        );
                    }
                    _ => text.push_str("  |"),
                }
            }
            text.push('\n');
        }
    }

    fn failures(&self, text: &mut String) {
        let mut first = true;
        for (workload, runs) in &self.rows {
            for (peer, runs) in runs {
                for why in runs.iter().filter_map(|run| run.as_ref().err()) {
                    if std::mem::take(&mut first) {
                        text.push_str("\nFailures:\n\n");
                    }
                    let _ = writeln!(text, "- {} on {peer}: {why}", workload.name);
                }
            }
        }
    }

    /// Everything, for programs.
    pub(crate) fn json(&self) -> String {
        let rows: Vec<Value> = (self.rows.iter())
            .map(|(workload, runs)| {
                let peers: serde_json::Map<String, Value> = (runs.iter())
                    .map(|(peer, runs)| {
                        let runs: Vec<Value> = (runs.iter())
                            .map(|run| match run {
                                Ok(line) => line.clone(),
                                Err(why) => json!({ "failure": why }),
                            })
                            .collect();
                        ((*peer).to_owned(), json!(runs))
                    })
                    .collect();
                json!({ "workload": workload.name, "unit": workload.unit.name(), "peers": peers })
            })
            .collect();
        let all = json!({ "options": self.header, "rows": rows });
        format!("{all:#}\n")
    }
}

fn row(workload: &Workload, runs: &Runs, columns: &[&str]) -> String {
    let mut line = format!("| {} {} |", workload.name, workload.unit.name());
    let figure = |peer: &str| median(runs, peer, |line| workload.unit.figure(line));
    for column in columns {
        let cell = match figure(column) {
            Some(_) if never(runs, column) => "never".to_owned(),
            Some(spread) => format!(
                "{} ({}–{}){}",
                number(spread.median),
                number(spread.least),
                number(spread.most),
                mark(workload, column),
            ),
            None if runs.contains_key(column) => "fails".to_owned(),
            None => String::new(),
        };
        let _ = write!(line, " {cell} |");
    }
    let best = best(workload.unit, columns, figure);
    let ours = figure("weftline");
    let _ = match (best, ours) {
        (Some((peer, best)), Some(ours)) => write!(line, " {peer} | {:.2} |", ours.median / best),
        (Some((peer, _)), None) => write!(line, " {peer} | – |"),
        _ => write!(line, " – | – |"),
    };
    line
}

fn best<'a>(
    unit: Unit,
    columns: &[&'a str],
    figure: impl Fn(&str) -> Option<Spread>,
) -> Option<(&'a str, f64)> {
    // May runs what slept on its timer thread, outside its workers: shown, but no measure for a scheduler.
    let late = unit == Unit::LateMs;
    // The raw loops are limits, not peers.
    let peers = (columns.iter()).filter(|peer| {
        **peer != "weftline" && !(late && **peer == "may") && !peer.starts_with("raw")
    });
    let figures = peers.filter_map(|peer| Some((*peer, figure(peer)?.median)));
    if unit.rises() {
        figures.max_by(|a, b| a.1.total_cmp(&b.1))
    } else {
        figures.min_by(|a, b| a.1.total_cmp(&b.1))
    }
}

/// `~` capacity 1 for want of a rendezvous, `∞` unbounded, `†` on a thread outside the workers.
fn mark(workload: &Workload, peer: &str) -> &'static str {
    let unbuffered = ["pingpong", "ring", "unbuf", "select", "sieve"]
        .iter()
        .any(|part| workload.name.contains(part));
    match peer {
        "may" if workload.unit == Unit::LateMs => " †",
        "may" if unbuffered || workload.name.starts_with("chan") => " ∞",
        "tokio" | "smol" | "async-channel" | "crossfire" if unbuffered => " ~",
        _ => "",
    }
}

fn median(runs: &Runs, peer: &str, of: impl Fn(&Value) -> Option<f64>) -> Option<Spread> {
    let mut figures: Vec<f64> = (runs.get(peer)?.iter())
        .filter_map(|run| of(run.as_ref().ok()?))
        .collect();
    figures.sort_by(f64::total_cmp);
    let (least, most) = (*figures.first()?, *figures.last()?);
    let middle = figures.len() / 2;
    let median = if figures.len() % 2 == 1 {
        figures[middle]
    } else {
        (figures[middle - 1] + figures[middle]) / 2.0
    };
    Some(Spread {
        median,
        least,
        most,
    })
}

/// A ticker that has not ticked once.
fn never(runs: &Runs, peer: &str) -> bool {
    median(runs, peer, |line| line["ticks"].as_f64()).is_some_and(|ticks| ticks.median == 0.0)
}

fn number(figure: f64) -> String {
    if figure < 10.0 {
        return format!("{figure:.2}");
    }
    if figure < 100.0 {
        return format!("{figure:.1}");
    }
    let digits = format!("{figure:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
