//! The charts: one of everything, one a group, one of the numbers of workers.
#![forbid(unsafe_code)]

mod group;
mod overview;
mod workers;

use std::path::Path;

use crate::results::{Results, Row};
use crate::suite::Group;

/// The width of every chart.
const WIDTH: f64 = 960.0;
/// The margin on both sides.
const MARGIN: f64 = 24.0;

/// The file's name and its content, of every chart for which there are figures.
pub(crate) fn draw(results: &Results) -> Vec<(String, String)> {
    let mut charts = Vec::new();
    if !results.rows.is_empty() {
        charts.push(("overview.svg".to_owned(), overview::draw(results)));
    }
    for &group in Group::ALL {
        let rows: Vec<&Row> = of_group(&results.rows, group);
        if !rows.is_empty() {
            charts.push((format!("{}.svg", group.name()), group::draw(group, &rows)));
        }
    }
    if !results.sweep.is_empty() {
        charts.push(("workers.svg".to_owned(), workers::draw(&results.sweep)));
    }
    charts
}

/// Writes them all.
pub(crate) fn write(results: &Results, dir: &Path) -> Result<(), String> {
    let told = |e: std::io::Error| format!("cannot write charts to {}: {e}", dir.display());
    std::fs::create_dir_all(dir).map_err(told)?;
    for (name, content) in draw(results) {
        std::fs::write(dir.join(name), content).map_err(told)?;
    }
    Ok(())
}

fn of_group(rows: &[Row], group: Group) -> Vec<&Row> {
    (rows.iter())
        .filter(|row| row.workload.group() == group)
        .collect()
}

/// Differences that another run may turn round are ties.
const TIE: f64 = 1.25;

/// The colour of a ratio to the best peer.
fn verdict(ahead: f64) -> &'static str {
    if ahead >= TIE {
        "ahead"
    } else if ahead > 1.0 / TIE {
        "tie"
    } else {
        "behind"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::row;
    use crate::svg::tests::check;

    fn everything() -> Results {
        let mut ring = row(
            "ring",
            &[("weftline", &[10.0]), ("go", &[4000.0]), ("tokio", &[20.0])],
        );
        ring.runs
            .insert("kanal", vec![Err("hangs <so>".to_owned())]);
        let mut fails = row("yield", &[("go", &[40.0])]);
        fails.runs.insert("weftline", vec![Err("oh".to_owned())]);
        let mut zero = row("mutex", &[("weftline", &[0.0]), ("go", &[0.0])]);
        zero.workers = 8;
        Results {
            rows: vec![
                ring,
                fails,
                row(
                    "hog",
                    &[("weftline", &[5.0]), ("tokio", &[3e6]), ("may", &[1.0])],
                ),
                row(
                    "echo_1",
                    &[("weftline", &[300.0]), ("go", &[9.0]), ("raw", &[400.0])],
                ),
                row("sieve", &[("kanal", &[400.0])]),
            ],
            sweep: vec![row("mutex", &[("weftline", &[1.0]), ("go", &[50.0])]), zero],
            ..Results::default()
        }
    }

    #[test]
    fn every_chart_is_well_formed_whatever_is_missing() {
        let charts = draw(&everything());
        let names: Vec<&str> = charts.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "overview.svg",
                "tasks.svg",
                "switch.svg",
                "fairness.svg",
                "sockets.svg",
                "workers.svg"
            ]
        );
        for (name, content) in &charts {
            println!("{name}");
            check(content);
        }
        assert!(draw(&Results::default()).is_empty());
    }

    #[test]
    fn a_failure_and_a_silence_are_drawn_as_words() {
        let charts = draw(&everything());
        let text = |name: &str| &charts.iter().find(|(n, _)| n == name).expect("a chart").1;
        assert!(text("switch.svg").contains("fails"));
        assert!(text("fairness.svg").contains("never"));
        assert!(text("overview.svg").contains("fails"));
    }

    #[test]
    fn a_difference_that_may_be_chance_is_a_tie() {
        assert_eq!(
            [2.0, 1.2, 0.9, 0.5].map(verdict),
            ["ahead", "tie", "tie", "behind"]
        );
    }
}
