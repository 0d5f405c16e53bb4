//! What was measured: rows of runs, read and written as JSON, and the figures drawn from them.
//!
//! Tables, charts and the document are all made from this, whether the runs were made just now or
//! read from a file.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::suite::{PEERS, Unit, Workload};

/// What became of one run: its line, or why there is none.
pub(crate) type Run = Result<Value, String>;

/// All runs of one workload, by peer.
pub(crate) type Runs = BTreeMap<&'static str, Vec<Run>>;

/// Everything measured.
#[derive(Debug, Default)]
pub(crate) struct Results {
    /// The machine and the versions.
    pub(crate) machine: Value,
    /// One row a workload.
    pub(crate) rows: Vec<Row>,
    /// The same workloads with several numbers of workers, at one scale.
    pub(crate) sweep: Vec<Row>,
}

/// One workload, with one number of workers.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// What was run.
    pub(crate) workload: &'static Workload,
    /// With how many workers.
    pub(crate) workers: usize,
    /// At which fraction of the size.
    pub(crate) scale: f64,
    /// What came of it.
    pub(crate) runs: Runs,
}

/// The middle of several runs, and how far they lie apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    /// The middle one, or the mean of the two in the middle.
    pub(crate) median: f64,
    /// The least.
    pub(crate) least: f64,
    /// The most.
    pub(crate) most: f64,
}

/// What became of all runs of a peer.
#[derive(Debug, PartialEq)]
pub(crate) enum Outcome {
    /// It takes no part.
    Absent,
    /// No run gave a figure; why.
    Fails(String),
    /// The ticker did not tick once.
    Never,
    /// So much.
    Figure(Spread),
}

impl Results {
    /// Reads what [`Results::to_json`] wrote. Rows of workloads that are no more are left out.
    pub(crate) fn load(path: &Path) -> Result<Results, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|e| format!("cannot read {}: {e}", path.display()))?;
        let value: Value = serde_json::from_str(&text)
            .map_err(|e| format!("{} is not what --json writes: {e}", path.display()))?;
        Ok(Results::from_json(&value))
    }

    fn from_json(value: &Value) -> Results {
        let rows = |key: &str| -> Vec<Row> {
            let rows = value[key].as_array().map_or(&[][..], Vec::as_slice);
            rows.iter().filter_map(Row::from_json).collect()
        };
        Results {
            machine: value["machine"].clone(),
            rows: rows("rows"),
            sweep: rows("sweep"),
        }
    }

    /// Everything, for programs. A row is a line, so that a row measured again is a line that
    /// changed.
    pub(crate) fn to_json(&self) -> String {
        let rows = |rows: &[Row]| {
            let lines: Vec<String> = rows.iter().map(|row| row.to_json().to_string()).collect();
            lines.join(",\n")
        };
        format!(
            "{{\n\"machine\": {},\n\"rows\": [\n{}\n],\n\"sweep\": [\n{}\n]\n}}\n",
            self.machine,
            rows(&self.rows),
            rows(&self.sweep)
        )
    }

    /// Adds a row, or takes the place of the one that measured the same.
    pub(crate) fn put(rows: &mut Vec<Row>, row: Row) {
        let same =
            |old: &&mut Row| old.workload.name == row.workload.name && old.workers == row.workers;
        match rows.iter_mut().find(same) {
            Some(old) => *old = row,
            None => rows.push(row),
        }
    }
}

impl Row {
    fn from_json(value: &Value) -> Option<Row> {
        let mut runs = Runs::new();
        for (peer, lines) in value["peers"].as_object()? {
            // A peer that is no longer compared has no column.
            let Some(peer) = PEERS.iter().find(|known| *known == peer) else {
                continue;
            };
            let lines = lines.as_array()?.iter();
            let lines = lines.map(|line| match line["failure"].as_str() {
                Some(why) => Err(why.to_owned()),
                None => Ok(line.clone()),
            });
            runs.insert(peer, lines.collect());
        }
        Some(Row {
            workload: Workload::named(value["workload"].as_str()?).ok()?,
            workers: value["workers"].as_u64()? as usize,
            scale: value["scale"].as_f64()?,
            runs,
        })
    }

    fn to_json(&self) -> Value {
        let line = |run: &Run| match run {
            Ok(line) => line.clone(),
            Err(why) => json!({ "failure": why }),
        };
        let peers: Map<String, Value> = (self.runs.iter())
            .map(|(peer, runs)| ((*peer).to_owned(), runs.iter().map(line).collect()))
            .collect();
        json!({
            "workload": self.workload.name,
            "unit": self.workload.unit.name(),
            "workers": self.workers,
            "scale": self.scale,
            "peers": peers,
        })
    }

    /// The runs of a peer by any measure.
    pub(crate) fn spread(&self, peer: &str, of: impl Fn(&Value) -> Option<f64>) -> Option<Spread> {
        let lines = self
            .runs
            .get(peer)?
            .iter()
            .filter_map(|run| run.as_ref().ok());
        Spread::of(lines.filter_map(of).collect())
    }

    /// The figure of a peer.
    pub(crate) fn figure(&self, peer: &str) -> Option<Spread> {
        self.spread(peer, |line| self.workload.unit.figure(line))
    }

    /// What became of a peer.
    pub(crate) fn outcome(&self, peer: &str) -> Outcome {
        let Some(runs) = self.runs.get(peer) else {
            return Outcome::Absent;
        };
        match self.figure(peer) {
            Some(_) if self.never(peer) => Outcome::Never,
            Some(spread) => Outcome::Figure(spread),
            None => {
                let why = runs.iter().find_map(|run| run.as_ref().err());
                Outcome::Fails(why.cloned().unwrap_or_else(|| "no figure".to_owned()))
            }
        }
    }

    /// A ticker that has not ticked once.
    fn never(&self, peer: &str) -> bool {
        let ticks = self.spread(peer, |line| line["ticks"].as_f64());
        ticks.is_some_and(|ticks| ticks.median == 0.0)
    }

    /// The best peer and its figure.
    pub(crate) fn best(&self) -> Option<(&'static str, f64)> {
        let figures = (self.runs.keys())
            .filter(|peer| is_compared(self.workload, peer))
            .filter_map(|peer| match self.outcome(peer) {
                Outcome::Figure(spread) => Some((*peer, spread.median)),
                _ => None,
            });
        if self.workload.unit.rises() {
            figures.max_by(|a, b| a.1.total_cmp(&b.1))
        } else {
            figures.min_by(|a, b| a.1.total_cmp(&b.1))
        }
    }

    /// How many times as good as `other` is `peer`: above 1 is better, whatever the unit.
    pub(crate) fn times(&self, peer: f64, other: f64) -> f64 {
        if self.workload.unit.rises() {
            peer / other
        } else {
            other / peer
        }
    }

    /// How many times as good as the best peer Weftline is.
    pub(crate) fn ahead(&self) -> Option<f64> {
        let (_, best) = self.best()?;
        match self.outcome("weftline") {
            Outcome::Figure(ours) => Some(self.times(ours.median, best)),
            _ => None,
        }
    }
}

/// Whether we are held against it. The raw loops are limits, not peers. May runs what slept on its
/// timer thread, outside its workers: shown, but no measure for a scheduler.
pub(crate) fn is_compared(workload: &Workload, peer: &str) -> bool {
    let late = workload.unit == Unit::LateMs;
    peer != "weftline" && !peer.starts_with("raw") && !(late && peer == "may")
}

impl Spread {
    /// Of these figures, in any order; nothing of none.
    pub(crate) fn of(mut figures: Vec<f64>) -> Option<Spread> {
        figures.sort_by(f64::total_cmp);
        let (least, most) = (*figures.first()?, *figures.last()?);
        let middle = figures.len() / 2;
        let median = if figures.len() % 2 == 1 {
            figures[middle]
        } else {
            f64::midpoint(figures[middle - 1], figures[middle])
        };
        Some(Spread {
            median,
            least,
            most,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A row of runs in milliseconds or, for rates, operations in a tenth of a second.
    pub(crate) fn row(name: &str, peers: &[(&'static str, &[f64])]) -> Row {
        let workload = Workload::named(name).expect("a workload");
        let runs = peers.iter().map(|(peer, figures)| {
            let runs = figures.iter().map(|figure| {
                Ok(if workload.unit.rises() {
                    json!({ "wall_ns": 1e8, "ops": figure, "cpu_s": 0.1, "vcsw": 5, "peak_kb": 2048, "p99_us": 80.0, "syscalls": 4 })
                } else {
                    json!({ "wall_ns": figure * 1e6, "ops": 1e6, "cpu_s": 0.1, "vcsw": 5, "peak_kb": 2048,
                            "bytes": figure, "p99_ms": figure, "ticks": if *figure > 1e6 { 0 } else { 9 } })
                })
            });
            (*peer, runs.collect())
        });
        Row {
            workload,
            workers: 2,
            scale: 1.0,
            runs: runs.collect(),
        }
    }

    #[test]
    fn the_median_of_an_even_number_is_between_the_two_in_the_middle() {
        let spread = Spread::of(vec![9.0, 1.0, 4.0, 2.0]).expect("four");
        assert_eq!((spread.median, spread.least, spread.most), (3.0, 1.0, 9.0));
        assert_eq!(Spread::of(vec![5.0]).expect("one").median, 5.0);
        assert_eq!(Spread::of(vec![]), None);
    }

    #[test]
    fn one_slow_run_does_not_move_the_median() {
        assert_eq!(
            Spread::of(vec![2.0, 900.0, 2.0, 1.0, 3.0])
                .expect("five")
                .median,
            2.0
        );
    }

    #[test]
    fn ahead_is_above_one_for_times_and_for_rates() {
        let faster = row(
            "ring",
            &[("weftline", &[10.0]), ("go", &[40.0]), ("tokio", &[20.0])],
        );
        assert_eq!(faster.best(), Some(("tokio", 20.0)));
        assert_eq!(faster.ahead(), Some(2.0));
        let more = row(
            "echo_1",
            &[("weftline", &[300.0]), ("go", &[150.0]), ("raw", &[900.0])],
        );
        assert_eq!(more.best(), Some(("go", 1500.0)), "raw is a limit, no peer");
        assert_eq!(more.ahead(), Some(2.0));
    }

    #[test]
    fn a_failing_peer_is_never_the_best_and_says_why() {
        let mut row = row("ring", &[("weftline", &[10.0]), ("go", &[40.0])]);
        row.runs.insert("kanal", vec![Err("hangs".to_owned())]);
        assert_eq!(row.best().expect("go").0, "go");
        assert_eq!(row.outcome("kanal"), Outcome::Fails("hangs".to_owned()));
        assert_eq!(row.outcome("smol"), Outcome::Absent);
    }

    #[test]
    fn a_ticker_that_never_ticked_is_no_figure() {
        let row = row(
            "hog",
            &[("weftline", &[5.0]), ("tokio", &[3e6]), ("may", &[1.0])],
        );
        assert_eq!(row.outcome("tokio"), Outcome::Never);
        assert_eq!(row.best(), None, "neither never nor a thread of its own");
    }

    #[test]
    fn json_gives_back_what_it_was_given() {
        let mut results = Results::default();
        let mut one = row("ring", &[("weftline", &[10.0, 12.0]), ("go", &[40.0])]);
        one.runs
            .insert("kanal", vec![Err("hangs \"so\"\n".to_owned())]);
        Results::put(&mut results.rows, one);
        Results::put(&mut results.sweep, row("yield", &[("may", &[7.0])]));
        let text = results.to_json();
        let again = Results::from_json(&serde_json::from_str(&text).expect("JSON"));
        assert_eq!(again.to_json(), text);
        assert_eq!(again.rows[0].runs["kanal"], results.rows[0].runs["kanal"]);
    }

    #[test]
    fn a_row_measured_again_takes_the_old_one_s_place() {
        let mut rows = vec![
            row("ring", &[("go", &[1.0])]),
            row("yield", &[("go", &[2.0])]),
        ];
        Results::put(&mut rows, row("ring", &[("go", &[3.0])]));
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].figure("go").expect("a figure").median, 3.0);
    }
}
