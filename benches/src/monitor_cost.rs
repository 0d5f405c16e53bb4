//! What the monitor costs the fast path: `--monitor-cost`.
//!
//! Each workload runs in pairs of fresh processes, one as it ships and one with
//! `RUNTIME_DEBUG=monitor=0`, which of them first in turn. A pair is a second apart at the most, so
//! that its ratio suffers little from what drifts; the median of many suffers little from what
//! strikes one. Above 1 the monitor costs something. The second column is CPU time, which a machine
//! with other guests disturbs less.
#![forbid(unsafe_code)]

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::options::Cost;
use crate::parent::line_of;
use crate::suite::Workload;

/// What is meant to cost nothing: starting, yielding, handing over, sockets.
const WORKLOADS: &[&str] = &["spawn_join", "yield", "pingpong", "echo_1", "echo_100"];

/// The ratios of one workload, one a pair.
#[derive(Debug, Default)]
struct Ratios {
    time: Vec<f64>,
    cpu: Vec<f64>,
}

/// Measures, and prints a table.
pub(crate) fn measure(cost: &Cost) -> Result<(), String> {
    println!("| workload | time: median (quartiles) | CPU: median (quartiles) | pairs |");
    println!("|---|---|---|---|");
    for name in WORKLOADS {
        let workload = Workload::named(name)?;
        let mut ratios = Ratios::default();
        for pair in 0..cost.pairs {
            // Which is first alternates.
            let order = if pair % 2 == 0 {
                [true, false]
            } else {
                [false, true]
            };
            let mut lines = [Value::Null, Value::Null];
            for monitor in order {
                lines[usize::from(monitor)] = run(workload, cost, monitor)?;
            }
            let [without, with] = &lines;
            let figure = |line: &Value| each(workload, line);
            ratios.time.extend(ratio(figure(with), figure(without)));
            ratios.cpu.extend(ratio(cpu(with), cpu(without)));
        }
        println!(
            "| {name} | {} | {} | {} |",
            spread(&mut ratios.time),
            spread(&mut ratios.cpu),
            ratios.time.len()
        );
    }
    Ok(())
}

fn run(workload: &Workload, cost: &Cost, monitor: bool) -> Result<Value, String> {
    let this = std::env::current_exe().map_err(|e| format!("where am I? {e}"))?;
    let mut command = Command::new(this);
    command
        .args(["--child", workload.name, "weftline"])
        .arg(cost.workers.to_string())
        .arg(cost.scale.to_string())
        // The server of a workload on sockets inherits it.
        .env("RUNTIME_DEBUG", if monitor { "" } else { "monitor=0" });
    line_of(&mut command, Duration::from_secs(30)).map_err(|why| {
        format!(
            "{} with monitor={}: {why}",
            workload.name,
            u8::from(monitor)
        )
    })
}

/// Less is better.
fn each(workload: &Workload, line: &Value) -> Option<f64> {
    let figure = workload.unit.figure(line)?;
    Some(if workload.unit.rises() {
        1.0 / figure
    } else {
        figure
    })
}

fn cpu(line: &Value) -> Option<f64> {
    Some(line["cpu_s"].as_f64()? / line["ops"].as_f64()?)
}

fn ratio(with: Option<f64>, without: Option<f64>) -> Option<f64> {
    let ratio = with? / without?;
    ratio.is_finite().then_some(ratio)
}

/// The median, and between which the middle half lies.
fn spread(ratios: &mut [f64]) -> String {
    ratios.sort_unstable_by(f64::total_cmp);
    let at = |quantile: f64| {
        let index = (ratios.len().checked_sub(1)? as f64 * quantile).round() as usize;
        ratios.get(index).copied()
    };
    match (at(0.25), at(0.5), at(0.75)) {
        (Some(low), Some(median), Some(high)) => format!("{median:.3} ({low:.3}–{high:.3})"),
        _ => "none".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_and_the_quartiles_are_those_of_the_sorted_ratios() {
        let mut ratios = [1.2, 0.9, 1.0, 5.0, 1.1];
        assert_eq!(spread(&mut ratios), "1.100 (1.000–1.200)");
        assert_eq!(spread(&mut []), "none");
    }

    #[test]
    fn more_a_second_is_a_lower_cost() {
        let workload = Workload::named("echo_1").expect("a row");
        let line = |ops| serde_json::json!({ "wall_ns": 1e9, "ops": ops });
        assert!(each(workload, &line(200)) < each(workload, &line(100)));
        assert_eq!(ratio(Some(1.0), Some(0.0)), None);
    }
}
