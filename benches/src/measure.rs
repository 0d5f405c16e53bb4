//! The figures of a run beside the one that its row is named for, in units that suit the workload.
#![forbid(unsafe_code)]

use serde_json::Value;

use crate::results::{Outcome, Row, Spread, is_compared};
use crate::suite::{Group, Unit, Workload};

/// One column of a chart or a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    /// What the row is about.
    Figure,
    /// CPU time.
    Cpu,
    /// Voluntary context switches.
    Switches,
    /// System calls a message.
    Syscalls,
    /// The most memory the process had.
    Peak,
    /// The largest number of tasks asleep at once.
    Asleep,
    /// The middle latency or lateness.
    P50,
    /// The latency or lateness that one in a hundred exceeds.
    P99,
    /// The latency that one in a thousand exceeds.
    P999,
    /// The worst lateness.
    Max,
}

impl Measure {
    /// What one run gave, in the measure's unit.
    pub(crate) fn of(self, unit: Unit, line: &Value) -> Option<f64> {
        let number = |key: &str| line[key].as_f64();
        let each = |key: &str| Some(number(key)? / number("ops")?);
        match self {
            Measure::Figure => unit.figure(line),
            // What is spun away beside a ticker is the workload's own choice.
            Measure::Cpu | Measure::Switches if unit == Unit::LateMs => None,
            Measure::Cpu => match unit {
                Unit::Ms => Some(number("cpu_s")? * 1e3),
                Unit::Ns => Some(each("cpu_s")? * 1e9),
                _ => Some(each("cpu_s")? * 1e6),
            },
            Measure::Switches if unit == Unit::Ms => number("vcsw"),
            Measure::Switches => Some(each("vcsw")? * 1e3),
            Measure::Syscalls => number("syscalls"),
            Measure::Peak => Some(number("peak_kb")? / 1024.0),
            Measure::Asleep => number("asleep"),
            Measure::P50 => number("p50_us").or_else(|| number("p50_ms")),
            Measure::P99 => number("p99_us").or_else(|| number("p99_ms")),
            Measure::P999 => number("p999_us"),
            Measure::Max => number("max_ms"),
        }
    }

    /// Its heading, with the unit.
    pub(crate) fn title(self, workload: &Workload) -> &'static str {
        let unit = workload.unit;
        match (self, unit) {
            (Measure::Figure, _) => unit.title(),
            (Measure::Cpu, Unit::Ns) => "CPU time, ns each",
            (Measure::Cpu, Unit::Ms) => "CPU time, ms",
            (Measure::Cpu, _) => "CPU time, µs each",
            (Measure::Switches, Unit::Ms) => "context switches",
            (Measure::Switches, _) => "context switches a 1,000",
            (Measure::Syscalls, _) => "system calls each",
            (Measure::Peak, _) => "peak memory, MB",
            (Measure::Asleep, _) => "asleep at once",
            (Measure::P50, Unit::LateMs) => "late, median, ms",
            (Measure::P50, _) => "median latency, µs",
            (Measure::P99, Unit::LateMs) => "late, 99 %, ms",
            (Measure::P99, _) => "99 % latency, µs",
            (Measure::P999, _) => "99.9 % latency, µs",
            (Measure::Max, _) => "late, worst, ms",
        }
    }

    /// More is better.
    pub(crate) fn rises(self, unit: Unit) -> bool {
        match self {
            Measure::Figure => unit.rises(),
            Measure::Asleep => true,
            _ => false,
        }
    }

    /// All runs of a peer.
    pub(crate) fn spread(self, row: &Row, peer: &str) -> Option<Spread> {
        match row.outcome(peer) {
            Outcome::Figure(_) => row.spread(peer, |line| self.of(row.workload.unit, line)),
            _ => None,
        }
    }

    /// The best peer's median.
    pub(crate) fn best(self, row: &Row) -> Option<f64> {
        if self == Measure::Figure {
            return row.best().map(|(_, best)| best);
        }
        let medians = (row.runs.keys())
            .filter(|peer| is_compared(row.workload, peer))
            .filter_map(|peer| Some(self.spread(row, peer)?.median));
        if self.rises(row.workload.unit) {
            medians.max_by(f64::total_cmp)
        } else {
            medians.min_by(f64::total_cmp)
        }
    }

    /// What a chart of the group shows, from left to right.
    pub(crate) fn of_group(group: Group) -> &'static [Measure] {
        use Measure::{Cpu, Figure, Max, P50, P99, Peak, Switches, Syscalls};
        match group {
            Group::Sockets | Group::Http => &[Figure, P99, Cpu, Syscalls],
            Group::Memory => &[Figure, Cpu, Peak],
            Group::Fairness => &[P50, P99, Max],
            _ => &[Figure, Cpu, Switches, Peak],
        }
    }
}

/// A number as people read it: three figures, thousands apart.
pub(crate) fn number(figure: f64) -> String {
    if figure == 0.0 {
        return "0".to_owned();
    }
    if figure < 9.995 {
        return format!("{figure:.2}");
    }
    if figure < 99.95 {
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

/// A number that has little room: 171,620 is 172k.
pub(crate) fn short(figure: f64) -> String {
    match figure {
        f if f >= 999_500.0 => format!("{:.1}M", f / 1e6),
        f if f >= 9_999.5 => format!("{:.0}k", f / 1e3),
        f => number(f),
    }
}

/// A ratio: two figures that count.
pub(crate) fn times(ratio: f64) -> String {
    if ratio >= 9.95 {
        format!("{ratio:.0}×")
    } else if ratio >= 1.0 {
        format!("{ratio:.1}×")
    } else {
        format!("{ratio:.2}×")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::results::tests::row;

    #[test]
    fn numbers_have_three_figures_and_thousands_apart() {
        for (figure, text) in [
            (0.0, "0"),
            (0.126, "0.13"),
            (9.999, "10.0"),
            (99.97, "100"),
            (999.6, "1,000"),
            (1_234_567.0, "1,234,567"),
        ] {
            assert_eq!(number(figure), text);
        }
        assert_eq!(short(171_620.0), "172k");
        assert_eq!(short(9_000.0), "9,000");
        assert_eq!(short(2_755_000.0), "2.8M");
        assert_eq!(times(0.333), "0.33×");
        assert_eq!(times(9.97), "10×");
    }

    #[test]
    fn cpu_time_is_in_the_unit_that_suits_the_workload() {
        let line = json!({ "wall_ns": 1, "ops": 1000, "cpu_s": 0.002, "vcsw": 30 });
        assert_eq!(Measure::Cpu.of(Unit::Ns, &line), Some(2000.0));
        assert_eq!(Measure::Cpu.of(Unit::PerSecond, &line), Some(2.0));
        assert_eq!(Measure::Cpu.of(Unit::Ms, &line), Some(2.0));
        assert_eq!(Measure::Cpu.of(Unit::LateMs, &line), None);
        assert_eq!(Measure::Switches.of(Unit::Ns, &line), Some(30.0));
    }

    #[test]
    fn a_measure_that_a_run_lacks_is_absent_and_not_zero() {
        let row = row("ring", &[("go", &[3.0])]);
        assert_eq!(Measure::Syscalls.spread(&row, "go"), None);
        assert_eq!(Measure::Syscalls.best(&row), None);
        assert_eq!(Measure::Peak.best(&row), Some(2.0));
    }
}
