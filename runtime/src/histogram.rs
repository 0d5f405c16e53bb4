//! Histograms of times, in powers of two.
//!
//! A worker counts into its own [`Counts`], by plain loads and stores; whoever asks sums them into
//! a [`Histogram`]. Sixty-four buckets hold every time there is, and a percentile is right to a
//! factor of two, which is what one wants to know of a latency.
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Bucket 0 holds 0 and 1 ns, bucket `n` what is from 2^n ns to below 2^(n + 1).
const BUCKETS: usize = 64;

/// How often times of each size occurred: in [`Metrics`](crate::Metrics).
///
/// ```
/// # runtime::block_on(async {
/// for _ in 0..1000 {
///     runtime::yield_now().await;
/// }
/// let latency = runtime::Handle::current().metrics().wake_to_run;
/// if let Some(p99) = latency.percentile(99.0) {
///     println!("99 of 100 tasks ran within {p99:?} of their wake; all in all: {latency}");
/// }
/// # });
/// ```
///
/// **Go:** `metrics.Float64Histogram`, whose buckets are finer.
#[derive(Clone, PartialEq, Eq)]
pub struct Histogram {
    buckets: [u64; BUCKETS],
}

impl Histogram {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self {
            buckets: [0; BUCKETS],
        }
    }

    /// How many times were counted.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let times = runtime::Handle::current().metrics().wake_to_run;
    /// println!("{} wakes", times.count());
    /// # });
    /// ```
    ///
    /// **Go:** the sum of `Float64Histogram.Counts`.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// A time that so many of a hundred did not exceed: the upper end of its bucket, so at most
    /// twice the true one. `None`: nothing was counted. `percentile(50.0)` is the median,
    /// `percentile(100.0)` the end of the last bucket in use.
    ///
    /// # Panics
    ///
    /// If `percent` is not from 0 to 100.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let times = runtime::Handle::current().metrics().wake_to_run;
    /// if let Some(p99) = times.percentile(99.0) {
    ///     println!("99 of 100 tasks ran within {p99:?}");
    /// }
    /// # });
    /// ```
    ///
    /// **Go:** none: that is left to whoever collects them.
    #[track_caller]
    pub fn percentile(&self, percent: f64) -> Option<Duration> {
        assert!(
            (0.0..=100.0).contains(&percent),
            "Histogram::percentile({percent}): give a number from 0 to 100"
        );
        let count = self.count();
        // At least the first: so that 0 is the smallest there is.
        let rank = ((count as f64 * percent / 100.0).ceil() as u64).clamp(1, count.max(1));
        let mut below = 0;
        let bucket = self.buckets.iter().position(|n| {
            below += n;
            below >= rank
        });
        bucket.map(end)
    }

    /// The buckets in use, shortest times first: where one ends (it begins at half of that), and
    /// how many times fell into it.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let times = runtime::Handle::current().metrics().wake_to_run;
    /// for (end, n) in times.buckets() {
    ///     println!("up to {end:?}: {n}");
    /// }
    /// # });
    /// ```
    ///
    /// **Go:** `Float64Histogram.Buckets` and `Counts`.
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> + '_ {
        let all = self.buckets.iter().enumerate();
        all.filter(|&(_, &n)| n > 0).map(|(i, &n)| (end(i), n))
    }

    /// What was counted since `earlier`, an older look at the same thing.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let handle = runtime::Handle::current();
    /// let before = handle.metrics().wake_to_run;
    /// runtime::spawn(async {}).await.unwrap();
    /// println!("meanwhile: {}", handle.metrics().wake_to_run.since(&before));
    /// # });
    /// ```
    ///
    /// **Go:** none.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut since = self.clone();
        for (n, before) in since.buckets.iter_mut().zip(earlier.buckets) {
            *n = n.saturating_sub(before);
        }
        since
    }

    pub(crate) fn add(&mut self, counts: &Counts) {
        for (n, more) in self.buckets.iter_mut().zip(&counts.0) {
            *n += more.load(Relaxed);
        }
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

/// The end of a bucket; that of the last is a nanosecond more than can be said.
fn end(bucket: usize) -> Duration {
    Duration::from_nanos(u64::MAX >> (BUCKETS - 1 - bucket)) + Duration::from_nanos(1)
}

impl fmt::Display for Histogram {
    /// On one line: `p50 512ns, p90 1.02µs, p99 65.5µs, p99.9 131µs, max 2.1ms (of 12345)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (50.0, "p50"),
            (90.0, "p90"),
            (99.0, "p99"),
            (99.9, "p99.9"),
            (100.0, "max"),
        ];
        for (percent, name) in names {
            let Some(time) = self.percentile(percent) else {
                return f.write_str("nothing counted");
            };
            write!(f, "{name} {time:.3?}, ")?;
        }
        write!(f, "of {}", self.count())
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.buckets()).finish()
    }
}

/// One worker's part. Written by its owner alone.
#[derive(Debug)]
pub(crate) struct Counts([AtomicU64; BUCKETS]);

impl Counts {
    /// Counts a time of so many nanoseconds `n` times. Not an atomic addition: there is one writer.
    /// Relaxed: nothing rides on a count.
    pub(crate) fn count(&self, nanos: u64, n: u64) {
        let bucket = &self.0[(nanos | 1).ilog2() as usize];
        bucket.store(bucket.load(Relaxed) + n, Relaxed);
    }
}

impl Default for Counts {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; BUCKETS])
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn of(times: &[(u64, u64)]) -> Histogram {
        let counts = Counts::default();
        for &(nanos, n) in times {
            counts.count(nanos, n);
        }
        let mut histogram = Histogram::new();
        histogram.add(&counts);
        histogram
    }

    #[test]
    fn a_percentile_is_the_end_of_its_bucket() {
        let histogram = of(&[(0, 1), (100, 89), (1000, 9), (1_000_000, 1)]);
        let percentile = |p| histogram.percentile(p).unwrap().as_nanos();
        assert_eq!(histogram.count(), 100);
        assert_eq!(percentile(0.0), 2);
        assert_eq!(percentile(1.0), 2);
        assert_eq!(percentile(1.1), 128);
        assert_eq!(percentile(90.0), 128);
        assert_eq!(percentile(99.0), 1024);
        assert_eq!(percentile(99.5), 1 << 20);
        assert_eq!(percentile(100.0), 1 << 20);
    }

    #[test]
    fn the_ends_of_the_range_have_buckets() {
        let histogram = of(&[(0, 1), (1, 1), (2, 1), (u64::MAX, 1)]);
        let buckets: Vec<_> = histogram
            .buckets()
            .map(|(end, n)| (end.as_nanos(), n))
            .collect();
        assert_eq!(buckets, [(2, 2), (4, 1), (1 << 64, 1)]);
    }

    #[test]
    fn nothing_has_no_percentiles() {
        let histogram = Histogram::new();
        assert_eq!(histogram.percentile(50.0), None);
        assert_eq!(histogram.to_string(), "nothing counted");
        assert_eq!(of(&[(7, 2)]).since(&of(&[(7, 2)])), histogram);
    }

    #[test]
    fn it_reads_as_one_line() {
        let histogram = of(&[(400, 990), (60_000, 9), (2_000_000, 1)]);
        assert_eq!(
            histogram.to_string(),
            "p50 512.000ns, p90 512.000ns, p99 512.000ns, p99.9 65.536µs, max 2.097ms, of 1000"
        );
    }

    #[test]
    #[should_panic(expected = "from 0 to 100")]
    fn a_percentile_beyond_all_is_refused() {
        let _ = Histogram::new().percentile(100.5);
    }
}
