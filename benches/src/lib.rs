//! What the benches share: seeded data, the check of an answer before it is timed, interleaved timing; and
//! what a comparison with other libraries needs.

pub mod comparison;
pub mod contender;
pub mod data;
pub mod few_dims;
pub mod options;
pub mod oracle;
pub mod peers;

use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use ringdb_index::{Kernel, Ring, Rows, distance, ring_ids};
use ringdb_storage::{PayloadCodec, Segment, SegmentWriter};

/// The seed of all data; printed by the benches that print.
pub const SEED: u64 = 7;

/// Whether the program was started to see that it runs, not to measure: by `cargo test`, or with
/// `--test`. `cargo bench` says `--bench`; Criterion decides in the same way.
#[must_use]
pub fn is_test_run() -> bool {
    let has = |wanted: &str| std::env::args().any(|arg| arg == wanted);
    has("--test") || !has("--bench")
}

/// A segment in memory of `n_rows` rows, uniform in [-1, 1).
///
/// # Panics
/// If memory is full.
#[must_use]
pub fn uniform(n_rows: usize, dims: usize) -> Segment<()> {
    let mut rng = SmallRng::seed_from_u64(SEED);
    let mut writer = SegmentWriter::in_memory(dims, PayloadCodec::Bincode).expect("valid dims");
    let mut row = vec![0.0; dims];
    for _ in 0..n_rows {
        row.fill_with(|| rng.random_range(-1.0..1.0));
        writer.push(&row, ()).expect("memory for the rows");
    }
    writer.finish().expect("a segment in memory")
}

/// The ring of half-width `share` of the median distance around it, measured on the first rows.
///
/// # Panics
/// If there are no rows.
#[must_use]
pub fn median_ring(rows: Rows<'_>, query: &[f32], share: f64) -> Ring {
    let sample = (0..rows.len().min(1000) as u32).filter_map(|id| rows.row(id));
    let mut distances: Vec<f64> = sample.map(|row| distance(row, query)).collect();
    distances.sort_by(f64::total_cmp);
    let median = distances[distances.len() / 2];
    Ring::around(median, median * share).expect("a finite median")
}

/// Asserts that `kernel` finds in `ring` what the definition of distance does; returns the hits.
///
/// # Panics
/// If it does not.
#[must_use]
pub fn checked_hits(rows: Rows<'_>, query: &[f32], ring: &Ring, kernel: Kernel) -> Vec<u32> {
    let found = ring_ids(rows, query, ring, kernel).expect("a valid query");
    let is_hit = |&id: &u32| {
        rows.row(id)
            .is_some_and(|row| ring.contains(distance(row, query)))
    };
    let expected: Vec<u32> = (0..rows.len() as u32).filter(is_hit).collect();
    assert!(
        found == expected,
        "{kernel}: {} hits, not {}",
        found.len(),
        expected.len()
    );
    found
}

/// Run times of one of several interleaved programs.
#[derive(Debug, Clone)]
pub struct Times(Vec<Duration>);

impl Times {
    /// The times of runs, in seconds, in the order of the runs.
    ///
    /// # Panics
    /// If there are none, or one is negative or not finite.
    #[must_use]
    pub fn from_seconds(seconds: &[f64]) -> Self {
        assert!(!seconds.is_empty(), "nothing was measured");
        Self(
            seconds
                .iter()
                .copied()
                .map(Duration::from_secs_f64)
                .collect(),
        )
    }

    /// Number of times.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "there is always one")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The middle time in seconds.
    #[must_use]
    pub fn median(&self) -> f64 {
        self.sorted()[self.0.len() / 2].as_secs_f64()
    }

    /// The shortest time in seconds.
    #[must_use]
    pub fn min(&self) -> f64 {
        self.sorted()[0].as_secs_f64()
    }

    /// The longest time in seconds.
    #[must_use]
    pub fn max(&self) -> f64 {
        self.sorted()[self.0.len() - 1].as_secs_f64()
    }

    fn sorted(&self) -> Vec<Duration> {
        let mut times = self.0.clone();
        times.sort_unstable();
        times
    }
}

/// The middle of the ratios `a / b`, run by run: a drift of the machine's speed cancels.
#[must_use]
pub fn median_ratio(a: &Times, b: &Times) -> f64 {
    let ratio = |(a, b): (&Duration, &Duration)| a.as_secs_f64() / b.as_secs_f64();
    let mut ratios: Vec<f64> = a.0.iter().zip(&b.0).map(ratio).collect();
    ratios.sort_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}

/// Runs the programs in turn, A B A B ..., once unmeasured and then `runs` times.
///
/// # Panics
/// If `runs` is 0.
pub fn interleaved<const N: usize>(runs: usize, mut programs: [&mut dyn FnMut(); N]) -> [Times; N] {
    assert!(runs > 0, "nothing to measure");
    let mut times = [const { Vec::new() }; N];
    for run in 0..=runs {
        for (program, times) in programs.iter_mut().zip(&mut times) {
            let start = Instant::now();
            program();
            if run > 0 {
                times.push(start.elapsed());
            }
        }
    }
    times.map(Times)
}
