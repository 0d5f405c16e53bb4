//! Everything at a glance: how many times as good as the best peer, one line a workload, on a
//! logarithmic scale.
#![forbid(unsafe_code)]

use super::{MARGIN, WIDTH, of_group, verdict};
use crate::measure::{short, times};
use crate::results::{Outcome, Results, Row, is_compared};
use crate::suite::Group;
use crate::svg::{Anchor, Svg};

const LEFT: f64 = 176.0;
const RIGHT: f64 = 700.0;
const TOP: f64 = 104.0;
const LINE: f64 = 19.0;
/// The height of a group's heading.
const HEADING: f64 = 30.0;

/// The chart.
pub(crate) fn draw(results: &Results) -> String {
    let mut svg = Svg::new(WIDTH);
    svg.text(
        (MARGIN, 38.0),
        Anchor::Start,
        "h1",
        "Weftline beside the best peer of each workload",
    );
    let first = results.rows.first();
    svg.text(
        (MARGIN, 60.0),
        Anchor::Start,
        "muted",
        &format!(
            "Bar: so many times as fast (as small, as punctual) as the best of Go, Tokio, smol, may and the channel crates. \
             {} workers, {}.",
            first.map_or(0, |row| row.workers),
            results.machine["date"].as_str().unwrap_or("")
        ),
    );
    let scale = Scale::over(&results.rows);
    // The grid first, for what is drawn later lies above.
    let bottom = bottom(results);
    scale.grid(&mut svg, bottom);
    rows(&mut svg, results, &scale);
    svg.finish(bottom + 44.0, &in_words(results))
}

/// Where the rows end.
fn bottom(results: &Results) -> f64 {
    let groups = (Group::ALL.iter()).filter(|&&group| !of_group(&results.rows, group).is_empty());
    TOP + groups.count() as f64 * HEADING + results.rows.len() as f64 * LINE
}

fn rows(svg: &mut Svg, results: &Results, scale: &Scale) {
    let mut y = TOP;
    for &group in Group::ALL {
        let rows = of_group(&results.rows, group);
        if rows.is_empty() {
            continue;
        }
        y += HEADING;
        svg.text((MARGIN, y - 6.0), Anchor::Start, "strong", group.title());
        for row in rows {
            one(svg, row, scale, y);
            y += LINE;
        }
    }
}

fn one(svg: &mut Svg, row: &Row, scale: &Scale, y: f64) {
    let (middle, base) = (y + LINE / 2.0, y + LINE / 2.0 + 4.0);
    svg.text((LEFT - 10.0, base), Anchor::End, "muted", row.workload.name);
    let Some((peer, best)) = row.best() else {
        svg.text(
            (LEFT, base),
            Anchor::Start,
            "small",
            "no peer to compare with",
        );
        return;
    };
    let one = scale.x(1.0);
    let peers = (row.runs.keys()).filter(|other| is_compared(row.workload, other));
    for other in peers {
        if let Outcome::Figure(spread) = row.outcome(other) {
            let ratio = row.times(spread.median, best);
            let says = format!(
                "{other}: {} {}",
                short(spread.median),
                row.workload.unit.name()
            );
            svg.dot((scale.x(ratio), middle), 3.0, "peer", &says);
        }
    }
    let (Some(ahead), Outcome::Figure(ours)) = (row.ahead(), row.outcome("weftline")) else {
        let outcome = match row.outcome("weftline") {
            Outcome::Absent => "not there yet",
            Outcome::Never => "never",
            _ => "fails",
        };
        svg.text((RIGHT + 56.0, base), Anchor::End, "strong behind", outcome);
        return;
    };
    let x = scale.x(ahead);
    let says = format!(
        "weftline: {} {}",
        short(ours.median),
        row.workload.unit.name()
    );
    let class = verdict(ahead);
    svg.bar(
        (x.min(one), middle - 5.5),
        ((x - one).abs().max(2.0), 11.0),
        class,
        &says,
    );
    let ratio = format!("strong num {class}");
    svg.text((RIGHT + 56.0, base), Anchor::End, &ratio, &times(ahead));
    let beside = format!(
        "{peer} {}, we {} {}",
        short(best),
        short(ours.median),
        row.workload.unit.name().split(' ').next().unwrap_or("")
    );
    svg.text((RIGHT + 66.0, base), Anchor::Start, "small", &beside);
}

/// Ratios along a line, in powers of two.
struct Scale {
    least: f64,
    most: f64,
}

impl Scale {
    /// Wide enough for every ratio, within reason: what lies beyond stands at the edge, and its
    /// number beside it.
    fn over(rows: &[Row]) -> Scale {
        let mut scale = Scale {
            least: -2.0,
            most: 2.0,
        };
        for row in rows {
            let ahead = row.ahead().map(f64::log2);
            for ratio in ahead.into_iter().filter(|ratio| ratio.is_finite()) {
                scale.least = scale.least.min(ratio.floor()).max(-4.0);
                scale.most = scale.most.max(ratio.ceil()).min(5.0);
            }
        }
        scale
    }

    fn x(&self, ratio: f64) -> f64 {
        let at = ratio.log2().clamp(self.least, self.most);
        // Of nothing and nothing there is no ratio.
        let at = if at.is_nan() { 0.0 } else { at };
        LEFT + (at - self.least) / (self.most - self.least) * (RIGHT - LEFT)
    }

    fn grid(&self, svg: &mut Svg, bottom: f64) {
        for power in self.least as i32..=self.most as i32 {
            let x = self.x(2_f64.powi(power));
            let class = if power == 0 { "axis" } else { "grid" };
            svg.line((x, TOP), (x, bottom + 8.0), class);
            let label = match power {
                0 => "best peer".to_owned(),
                1.. => format!("{}×", 1 << power),
                _ => format!("1/{}", 1 << -power),
            };
            for y in [TOP - 8.0, bottom + 24.0] {
                svg.text((x, y), Anchor::Middle, "small", &label);
            }
        }
        let one = self.x(1.0);
        svg.text(
            (one + 44.0, TOP - 24.0),
            Anchor::Start,
            "small",
            "we are ahead →",
        );
        svg.text(
            (one - 44.0, TOP - 24.0),
            Anchor::End,
            "small",
            "← the best peer is ahead",
        );
        svg.dot((LEFT + 4.0, bottom + 38.0 - 3.0), 3.0, "peer", "a peer");
        svg.text(
            (LEFT + 12.0, bottom + 39.0),
            Anchor::Start,
            "small",
            "every peer",
        );
    }
}

/// For those who cannot see it.
fn in_words(results: &Results) -> String {
    let lines = results
        .rows
        .iter()
        .filter_map(|row| Some(format!("{}: {}", row.workload.name, times(row.ahead()?))));
    format!(
        "How many times as good as the best peer Weftline is. {}.",
        lines.collect::<Vec<_>>().join(", ")
    )
}
