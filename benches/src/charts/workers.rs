//! Does a runtime collapse with another number of workers than it likes best? Its figure with each,
//! as a multiple of its own best one.
#![forbid(unsafe_code)]

use super::{MARGIN, WIDTH};
use crate::measure::times;
use crate::results::Row;
use crate::suite::PEERS;
use crate::svg::{Anchor, Svg};
use crate::tables::slowdowns;

const LABELS: f64 = 148.0;
const LINE: f64 = 20.0;

/// The chart.
pub(crate) fn draw(sweep: &[Row]) -> String {
    let mut svg = Svg::new(WIDTH);
    svg.text(
        (MARGIN, 38.0),
        Anchor::Start,
        "h1",
        "More and fewer workers, on the same cores",
    );
    let mut numbers: Vec<usize> = sweep.iter().map(|row| row.workers).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let words: Vec<String> = numbers.iter().map(usize::to_string).collect();
    svg.text(
        (MARGIN, 60.0),
        Anchor::Start,
        "muted",
        &format!(
            "Times as slow as the same runtime with the number of workers that suits it best: {} workers from left to right.",
            words.join(", ")
        ),
    );
    let peers: Vec<&str> = (PEERS.iter().copied())
        .filter(|peer| sweep.iter().any(|row| row.runs.contains_key(peer)))
        .collect();
    let each = (WIDTH - 2.0 * MARGIN - LABELS) / peers.len().max(1) as f64;
    let cell = (each - 14.0) / numbers.len().max(1) as f64;
    for (at, peer) in peers.iter().enumerate() {
        let x = MARGIN + LABELS + at as f64 * each + (each - 14.0) / 2.0;
        svg.text((x, 92.0), Anchor::Middle, "strong", peer);
    }
    let mut y = 102.0;
    let mut names: Vec<&str> = Vec::new();
    for row in sweep {
        let name = row.workload.name;
        if names.contains(&name) {
            continue;
        }
        names.push(name);
        svg.text(
            (MARGIN + LABELS - 12.0, y + 14.0),
            Anchor::End,
            "muted",
            name,
        );
        for (at, peer) in peers.iter().enumerate() {
            let x = MARGIN + LABELS + at as f64 * each;
            for (nth, slower) in slowdowns(sweep, name, peer).into_iter().enumerate() {
                let at = (x + nth as f64 * cell, y);
                let workers = numbers.get(nth).copied().unwrap_or(0);
                let says = format!("{peer}, {name}, {workers} workers");
                one(&mut svg, at, cell, slower, &says);
            }
        }
        y += LINE;
    }
    svg.finish(
        y + 20.0,
        "How much slower each runtime is with another number of workers than the one that suits it best",
    )
}

fn one(svg: &mut Svg, at: (f64, f64), width: f64, slower: Option<f64>, says: &str) {
    let finite = slower.filter(|slower| slower.is_finite());
    let (class, text) = match finite {
        // Two of one figure are within what runs differ by.
        Some(slower) if slower < 2.0 => ("fair", times(slower)),
        Some(slower) if slower < 4.0 => ("worse", times(slower)),
        Some(slower) => ("bad", times(slower)),
        None => ("fair", "–".to_owned()),
    };
    svg.bar(at, (width - 2.0, LINE - 2.0), class, says);
    let middle = (at.0 + width / 2.0 - 1.0, at.1 + 13.0);
    svg.text(middle, Anchor::Middle, "num", &text);
}
