//! How long messages took: a histogram with a fixed relative error.
//!
//! Durations are counted in nanoseconds, in buckets whose width is a 64th of their value: a
//! percentile is at most 1.6 % too high, never too low, whether it is microseconds or seconds.
//! Recording is an index and an add. Histograms add up, so each task keeps its own and the parent
//! merges them; on the way they are a line of text.
#![forbid(unsafe_code)]

use std::fmt::Write;
use std::time::Duration;

/// log2 of the number of buckets in which a doubling is divided.
const PRECISION: u32 = 6;
const STEPS: usize = 1 << PRECISION;
/// Values below `STEPS` have a bucket each; above, each of the remaining doublings of a `u64` has
/// `STEPS` of them.
const BUCKETS: usize = STEPS * (64 - PRECISION as usize + 1);

#[derive(Clone)]
pub(crate) struct Latency {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

impl Latency {
    pub(crate) fn new() -> Self {
        Self {
            counts: vec![0; BUCKETS],
            total: 0,
            max: 0,
        }
    }

    pub(crate) fn record(&mut self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.counts[bucket(nanos)] += 1;
        self.total += 1;
        self.max = self.max.max(nanos);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.total += other.total;
        self.max = self.max.max(other.max);
    }

    /// The duration that `permille` of a thousand messages did not exceed; `None` if there was no
    /// message.
    pub(crate) fn permille(&self, permille: u64) -> Option<Duration> {
        let rank = (self.total * permille).div_ceil(1000).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Some(Duration::from_nanos(upper_bound(index).min(self.max)));
            }
        }
        None
    }

    pub(crate) fn max(&self) -> Option<Duration> {
        (self.total > 0).then(|| Duration::from_nanos(self.max))
    }

    /// `MAX BUCKET:COUNT BUCKET:COUNT …`, without the empty buckets.
    pub(crate) fn to_line(&self) -> String {
        let mut line = self.max.to_string();
        for (index, count) in self
            .counts
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0)
        {
            let _ = write!(line, " {index}:{count}");
        }
        line
    }

    pub(crate) fn from_line(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let mut latency = Self::new();
        latency.max = words.next()?.parse().ok()?;
        for word in words {
            let (index, count) = word.split_once(':')?;
            let count: u64 = count.parse().ok()?;
            *latency.counts.get_mut(index.parse::<usize>().ok()?)? += count;
            latency.total += count;
        }
        Some(latency)
    }
}

fn bucket(nanos: u64) -> usize {
    // How often the value must be halved to leave PRECISION + 1 significant bits; none for small
    // values.
    let shift = (u64::BITS - nanos.leading_zeros()).saturating_sub(PRECISION + 1);
    shift as usize * STEPS + (nanos >> shift) as usize
}

/// The largest value of a bucket.
fn upper_bound(index: usize) -> u64 {
    let shift = (index / STEPS).saturating_sub(1);
    let leading = (index - shift * STEPS) as u128;
    u64::try_from(((leading + 1) << shift) - 1).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_inside_its_bucket_which_is_narrow() {
        for power in 0..64 {
            for value in [
                1u64 << power,
                (1u64 << power) - 1,
                (1u64 << power) + (1u64 << power) / 3,
            ] {
                let bound = upper_bound(bucket(value));
                assert!(bound >= value, "{value} is above its bucket's {bound}");
                assert!(
                    bound - value <= value / STEPS as u64,
                    "{value} shown as {bound}"
                );
                assert_eq!(bucket(bound), bucket(value));
            }
        }
        assert!(bucket(u64::MAX) < BUCKETS);
    }

    #[test]
    fn percentiles_of_a_known_row() {
        let mut latency = Latency::new();
        for micros in 1..=1000 {
            latency.record(Duration::from_micros(micros));
        }
        let p50 = latency.permille(500).unwrap().as_micros();
        assert!((500..=508).contains(&p50), "{p50}");
        let p99 = latency.permille(990).unwrap().as_micros();
        assert!((990..=1000).contains(&p99), "{p99}");
        assert_eq!(latency.max(), Some(Duration::from_millis(1)));
        assert_eq!(latency.permille(1000), latency.max());
        assert_eq!(Latency::new().permille(500), None);
    }

    #[test]
    fn survives_the_way_through_a_line_and_a_merge() {
        let mut one = Latency::new();
        one.record(Duration::from_nanos(3));
        one.record(Duration::from_secs(3));
        let mut both = Latency::from_line(&one.to_line()).unwrap();
        both.merge(&one);
        assert_eq!((both.total, both.max()), (4, Some(Duration::from_secs(3))));
        assert!(Latency::from_line("5 999999:1").is_none());
    }
}
