//! One group of workloads: for each a block with a line a peer, and beside each other the figure
//! and what it cost.
//!
//! Bars are as long as their numbers, from zero. Where one peer is many times worse than the others
//! its bar would leave nothing to see of theirs; it is cut, and a gap in it says so.
#![forbid(unsafe_code)]

use super::{MARGIN, WIDTH, verdict};
use crate::measure::{Measure, short, times};
use crate::results::{Outcome, Row};
use crate::suite::{Group, PEERS};
use crate::svg::{Anchor, Svg};
use crate::tables::mark;

const LABELS: f64 = 112.0;
const LINE: f64 = 16.0;
/// A bar more than so many times as long as the shortest is cut.
const CUT: f64 = 8.0;

/// The chart.
pub(crate) fn draw(group: Group, rows: &[&Row]) -> String {
    let mut svg = Svg::new(WIDTH);
    svg.text((MARGIN, 38.0), Anchor::Start, "h1", group.title());
    legend(&mut svg, rows);
    let mut y = 50.0;
    for row in rows {
        y = block(&mut svg, row, Measure::of_group(group), y);
    }
    let names: Vec<&str> = rows.iter().map(|row| row.workload.name).collect();
    svg.finish(
        y + 16.0,
        &format!("{}: {}", group.title(), names.join(", ")),
    )
}

/// What the colours and the arrows mean, from the right.
fn legend(svg: &mut Svg, rows: &[&Row]) {
    let limits = rows.iter().any(|row| row.runs.contains_key("raw"));
    let mut x = WIDTH - MARGIN;
    let entries = [
        ("limit", "no runtime at all", 108.0),
        ("peer", "other peers", 80.0),
        ("best", "best peer", 70.0),
        ("ours", "weftline", 66.0),
    ];
    for (class, says, width) in entries {
        if class == "limit" && !limits {
            continue;
        }
        x -= width;
        svg.bar((x, 29.0), (10.0, 9.0), class, says);
        svg.text((x + 14.0, 37.0), Anchor::Start, "small", says);
        x -= 12.0;
    }
    let says = "◂ shorter is better, ▸ longer is better";
    svg.text((x - 6.0, 37.0), Anchor::End, "small", says);
}

/// Draws a workload; where it ends.
fn block(svg: &mut Svg, row: &Row, measures: &[Measure], top: f64) -> f64 {
    let mut y = top + 26.0;
    svg.text((MARGIN, y), Anchor::Start, "h2", row.workload.name);
    let room = MARGIN + LABELS + 60.0;
    svg.text((room, y), Anchor::Start, "muted", row.workload.what);
    if let (Some(ahead), Some((peer, _))) = (row.ahead(), row.best()) {
        let class = format!("strong {}", verdict(ahead));
        let says = format!("{} as good as {peer}", times(ahead));
        svg.text((WIDTH - MARGIN, y), Anchor::End, &class, &says);
    }
    y += 20.0;
    let peers: Vec<&str> = (PEERS.iter().copied())
        .filter(|peer| row.runs.contains_key(peer))
        .collect();
    let width = (WIDTH - 2.0 * MARGIN - LABELS) / measures.len() as f64;
    for (at, measure) in measures.iter().enumerate() {
        let x = MARGIN + LABELS + at as f64 * width;
        column(svg, row, *measure, &peers, (x, y), width);
    }
    for (at, peer) in peers.iter().enumerate() {
        let base = y + 18.0 + at as f64 * LINE;
        let class = if *peer == "weftline" {
            "strong"
        } else {
            "muted"
        };
        let label = format!("{peer}{}", mark(row.workload, peer));
        svg.text((MARGIN + LABELS - 10.0, base), Anchor::End, class, &label);
    }
    let bottom = y + 16.0 + peers.len() as f64 * LINE;
    svg.line((MARGIN, bottom), (WIDTH - MARGIN, bottom), "grid");
    bottom
}

/// One measure of all peers.
fn column(svg: &mut Svg, row: &Row, measure: Measure, peers: &[&str], at: (f64, f64), width: f64) {
    let medians: Vec<Option<f64>> = (peers.iter())
        .map(|peer| Some(measure.spread(row, peer)?.median))
        .collect();
    if medians.iter().all(Option::is_none) {
        return;
    }
    let unit = row.workload.unit;
    let arrow = if measure.rises(unit) { "▸" } else { "◂" };
    let title = format!("{} {arrow}", measure.title(row.workload));
    svg.text((at.0, at.1), Anchor::Start, "small", &title);
    let bars = width - 64.0;
    let longest = longest(&medians);
    let best = measure.best(row);
    for (line, (peer, median)) in peers.iter().zip(&medians).enumerate() {
        let y = at.1 + 8.0 + line as f64 * LINE;
        let Some(median) = *median else {
            let word = match row.outcome(peer) {
                Outcome::Fails(_) => "fails",
                Outcome::Never => "never",
                _ => "–",
            };
            svg.text((at.0, y + 10.0), Anchor::Start, "small", word);
            continue;
        };
        let class = match *peer {
            "weftline" => "ours",
            peer if peer.starts_with("raw") => "limit",
            _ if best == Some(median) => "best",
            _ => "peer",
        };
        let length = (median / longest).min(1.0) * bars;
        let says = format!("{peer}: {} {}", short(median), measure.title(row.workload));
        svg.bar((at.0, y), (length, 11.0), class, &says);
        if median > longest {
            let x = at.0 + bars - 14.0;
            svg.line((x - 3.0, y + 13.0), (x + 3.0, y - 2.0), "gap");
        }
        let text = (at.0 + length + 5.0, y + 10.0);
        let class = if *peer == "weftline" {
            "strong num"
        } else {
            "num"
        };
        svg.text(text, Anchor::Start, class, &short(median));
    }
}

/// What the longest bar stands for.
fn longest(medians: &[Option<f64>]) -> f64 {
    let figures = || medians.iter().flatten().copied();
    let most = figures().fold(0.0, f64::max);
    let least = figures().filter(|f| *f > 0.0).fold(f64::MAX, f64::min);
    // Where all are zero any length will do.
    if most > 0.0 {
        most.min(CUT * least)
    } else {
        1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_bar_is_the_most_unless_one_is_far_out() {
        assert_eq!(longest(&[Some(2.0), None, Some(6.0)]), 6.0);
        assert_eq!(longest(&[Some(2.0), Some(600.0)]), 16.0);
        assert_eq!(longest(&[Some(0.0), Some(3.0)]), 3.0);
        assert_eq!(longest(&[Some(0.0), None]), 1.0);
    }
}
