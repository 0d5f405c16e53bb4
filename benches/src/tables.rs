//! Tables for people, in Markdown.
#![forbid(unsafe_code)]

use std::fmt::Write;

use crate::machine;
use crate::measure::{Measure, number, short, times};
use crate::results::{Outcome, Results, Row};
use crate::suite::{Group, PEERS, Unit, Workload};

/// What the marks in the tables mean.
pub(crate) const MARKS: &str = "`~`: capacity 1 for want of a rendezvous; `∞`: unbounded; `†`: sleepers run on a thread of their own; \
     `†` and `raw` take no part in the comparison.";

/// All tables, as they are printed.
pub(crate) fn markdown(results: &Results) -> String {
    let mut text = format!("\n{}.\n{MARKS}\n", machine::line(&results.machine));
    if !results.rows.is_empty() {
        text += &format!("\n{}", figures(&results.rows));
        text += &format!("\n{}", tails(&results.rows));
        text += &format!("\n{}", costs(&results.rows));
    }
    for workers in numbers_of_workers(&results.sweep) {
        let rows = results.sweep.iter().filter(|row| row.workers == workers);
        text += &format!("\n{workers} workers:\n\n{}", table(rows, figure_cells));
    }
    if !results.sweep.is_empty() {
        text += &format!("\n{}", workers(&results.sweep));
    }
    text + &failures(results)
}

/// Medians and ranges, and how far ahead of the best peer we are.
pub(crate) fn figures(rows: &[Row]) -> String {
    table(rows.iter(), figure_cells)
}

/// Latencies and lateness, and how many slept at once.
pub(crate) fn tails(rows: &[Row]) -> String {
    let mut text = String::new();
    for (title, measures) in [
        (
            "latency µs: median, 99 %, 99.9 %",
            &[Measure::P50, Measure::P99, Measure::P999][..],
        ),
        (
            "late ms: median, 99 %, worst",
            &[Measure::P50, Measure::P99, Measure::Max],
        ),
        ("asleep at once", &[Measure::Asleep]),
    ] {
        let has_all = |row: &&Row| {
            measures
                .iter()
                .all(|measure| (row.runs.keys()).any(|peer| measure.spread(row, peer).is_some()))
        };
        let rows: Vec<&Row> = rows.iter().filter(has_all).collect();
        if !rows.is_empty() {
            let cells = |row: &Row, peer: &str| list(row, peer, measures);
            text += &format!("{}\n", titled(title, rows.into_iter(), cells));
        }
    }
    text
}

/// CPU, context switches, system calls and memory.
pub(crate) fn costs(rows: &[Row]) -> String {
    let title = "CPU, switches, system calls, peak MB";
    let measures = [
        Measure::Cpu,
        Measure::Switches,
        Measure::Syscalls,
        Measure::Peak,
    ];
    let rows = rows.iter().filter(|row| row.workload.unit != Unit::LateMs);
    let mut text = titled(title, rows, |row, peer| list(row, peer, &measures));
    text += "\nCPU time in ns an operation, in ms for rows in ms, in µs for connections and requests; voluntary context switches \
             a thousand operations, in all for rows in ms; system calls a message where they are counted. For sockets it is the server alone.\n";
    text
}

/// One cell of several measures, those that are there.
fn list(row: &Row, peer: &str, measures: &[Measure]) -> String {
    let cells = measures
        .iter()
        .filter_map(|measure| Some(short(measure.spread(row, peer)?.median)));
    cells.collect::<Vec<_>>().join(", ")
}

fn figure_cells(row: &Row, peer: &str) -> String {
    match row.outcome(peer) {
        Outcome::Absent => String::new(),
        Outcome::Fails(_) => "fails".to_owned(),
        Outcome::Never => "never".to_owned(),
        Outcome::Figure(spread) => {
            let best = row.best().is_some_and(|(_, best)| match peer {
                "weftline" => row.ahead().is_some_and(|ahead| ahead >= 1.0),
                _ => best == spread.median && row.ahead().is_none_or(|ahead| ahead < 1.0),
            });
            let bold = if best { "**" } else { "" };
            format!(
                "{bold}{}{bold} ({}–{}){}",
                number(spread.median),
                short(spread.least),
                short(spread.most),
                mark(row.workload, peer),
            )
        }
    }
}

/// A table with a row a workload, a column a peer, and the comparison in the end.
fn table<'a>(rows: impl Iterator<Item = &'a Row>, cell: impl Fn(&Row, &str) -> String) -> String {
    let rows: Vec<&Row> = rows.collect();
    let columns = columns(rows.iter().copied());
    let mut text = head("workload", &columns);
    text.truncate(text.trim_end().len());
    // The head's rule is its second line, so that both lines end in one more column.
    let text = text.replacen("\n", " best peer | times as good |\n", 1);
    let mut text = format!("{text}---|---|\n");
    for row in rows {
        let _ = write!(
            text,
            "| {} {} |",
            row.workload.name,
            row.workload.unit.name()
        );
        for column in &columns {
            let _ = write!(text, " {} |", cell(row, column));
        }
        let best = row.best().map_or("–", |(peer, _)| peer);
        let ahead = row.ahead().map_or("–".to_owned(), times);
        let _ = writeln!(text, " {best} | {ahead} |");
    }
    text
}

fn titled<'a>(
    title: &str,
    rows: impl Iterator<Item = &'a Row>,
    cell: impl Fn(&Row, &str) -> String,
) -> String {
    let rows: Vec<&Row> = rows.collect();
    let columns = columns(rows.iter().copied());
    let mut text = head(title, &columns);
    for row in rows {
        let _ = write!(text, "| {} |", row.workload.name);
        for column in &columns {
            let _ = write!(text, " {} |", cell(row, column));
        }
        text.push('\n');
    }
    text
}

fn head(title: &str, columns: &[&str]) -> String {
    let rule = "---|".repeat(columns.len());
    format!("| {title} | {} |\n|---|{rule}\n", columns.join(" | "))
}

fn columns<'a>(rows: impl Iterator<Item = &'a Row> + Clone) -> Vec<&'static str> {
    let runs = |peer: &str| rows.clone().any(|row| row.runs.contains_key(peer));
    PEERS.iter().copied().filter(|peer| runs(peer)).collect()
}

fn numbers_of_workers(rows: &[Row]) -> Vec<usize> {
    let mut numbers: Vec<usize> = rows.iter().map(|row| row.workers).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// Does a runtime collapse with another number of workers? Each figure beside its own with the
/// number of workers that suits it best.
pub(crate) fn workers(sweep: &[Row]) -> String {
    let numbers = numbers_of_workers(sweep);
    let columns = columns(sweep.iter());
    let heading = numbers.iter().map(usize::to_string).collect::<Vec<_>>();
    let mut text = head(
        &format!("slower than its best, with {} workers", heading.join(", ")),
        &columns,
    );
    let mut worst = vec![0.0_f64; columns.len()];
    let mut names: Vec<&str> = Vec::new();
    for row in sweep {
        if !names.contains(&row.workload.name) {
            names.push(row.workload.name);
        }
    }
    for name in names {
        let _ = write!(text, "| {name} |");
        for (at, column) in columns.iter().enumerate() {
            let slower = slowdowns(sweep, name, column);
            let cells: Vec<String> = (slower.iter())
                .map(|slower| slower.map_or("–".to_owned(), times))
                .collect();
            for slower in slower.into_iter().flatten() {
                worst[at] = worst[at].max(slower);
            }
            let _ = write!(text, " {} |", cells.join(", "));
        }
        text.push('\n');
    }
    text += "| **worst** |";
    for worst in worst {
        let _ = write!(text, " **{}** |", times(worst));
    }
    text + "\n"
}

/// How many times as long as with the best number of workers, for each number.
pub(crate) fn slowdowns(sweep: &[Row], workload: &str, peer: &str) -> Vec<Option<f64>> {
    let rows = |workers: usize| {
        let mut rows = sweep.iter();
        rows.find(|row| row.workload.name == workload && row.workers == workers)
    };
    let numbers = numbers_of_workers(sweep);
    let figure = |workers: usize| Some((rows(workers)?, rows(workers)?.figure(peer)?.median));
    let figures: Vec<_> = numbers.into_iter().map(figure).collect();
    let best = figures.iter().flatten().fold(None, |best, (row, figure)| {
        Some(match best {
            Some(best) if row.times(best, *figure) >= 1.0 => best,
            _ => *figure,
        })
    });
    (figures.iter())
        .map(|figure| figure.and_then(|(row, figure)| Some(row.times(best?, figure))))
        .collect()
}

/// What failed, and what it said.
pub(crate) fn failures(results: &Results) -> String {
    let mut text = String::new();
    let mut seen = Vec::new();
    for row in results.rows.iter().chain(&results.sweep) {
        for (peer, runs) in &row.runs {
            for why in runs.iter().filter_map(|run| run.as_ref().err()) {
                let line = format!("- {} on {peer}: {}\n", row.workload.name, why.trim());
                if !seen.contains(&line) {
                    text += &line;
                    seen.push(line);
                }
            }
        }
    }
    if text.is_empty() {
        text
    } else {
        format!("\nFailures:\n\n{text}")
    }
}

/// `~` capacity 1 for want of a rendezvous, `∞` unbounded, `†` on a thread outside the workers.
pub(crate) fn mark(workload: &Workload, peer: &str) -> &'static str {
    let handed_over = matches!(workload.group(), Group::Switch | Group::Select);
    let unbuffered = handed_over || workload.name.ends_with("unbuf");
    match peer {
        "may" if workload.unit == Unit::LateMs => " †",
        "may" if unbuffered || workload.group() == Group::Channels => " ∞",
        "tokio" | "smol" | "async-channel" | "crossfire" if unbuffered => " ~",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::row;

    fn rows() -> Vec<Row> {
        let mut ring = row(
            "ring",
            &[("weftline", &[10.0]), ("go", &[40.0]), ("tokio", &[20.0])],
        );
        ring.runs.insert("kanal", vec![Err("hangs: so".to_owned())]);
        vec![
            ring,
            row("echo_1", &[("weftline", &[300.0]), ("raw", &[400.0])]),
        ]
    }

    #[test]
    fn every_line_of_a_table_has_the_same_number_of_cells() {
        let results = Results {
            rows: rows(),
            sweep: rows(),
            ..Results::default()
        };
        let text = markdown(&results);
        let mut cells = None;
        for line in text.lines() {
            let here = line.starts_with('|').then(|| line.matches('|').count());
            if let (Some(here), Some(above)) = (here, cells) {
                assert_eq!(here, above, "{line}\n{text}");
            }
            cells = here;
        }
    }

    #[test]
    fn the_best_is_bold_failures_are_shown_and_capacities_marked() {
        let text = figures(&rows());
        let line = text
            .lines()
            .find(|line| line.starts_with("| ring"))
            .expect("a row");
        assert!(line.contains("**10.0** (10.0–10.0)"), "{line}");
        assert!(line.contains(" 20.0 (20.0–20.0) ~ |"), "{line}");
        assert!(line.contains(" fails |"), "{line}");
        assert!(line.ends_with(" tokio | 2.0× |"), "{line}");
    }

    #[test]
    fn a_collapse_with_many_workers_is_seen_for_times_and_for_rates() {
        let with = |workers: usize, mut row: Row| {
            row.workers = workers;
            row
        };
        let sweep = vec![
            with(1, row("ring", &[("go", &[20.0])])),
            with(2, row("ring", &[("go", &[10.0])])),
            with(8, row("ring", &[("go", &[90.0])])),
            with(1, row("echo_1", &[("go", &[100.0])])),
            with(2, row("echo_1", &[("go", &[50.0])])),
        ];
        let ring: Vec<f64> = slowdowns(&sweep, "ring", "go")
            .into_iter()
            .flatten()
            .collect();
        assert_eq!(ring, [2.0, 1.0, 9.0]);
        assert_eq!(
            slowdowns(&sweep, "echo_1", "go"),
            [Some(1.0), Some(2.0), None]
        );
        assert!(workers(&sweep).contains("| **worst** | **9.0×** |"));
    }
}
