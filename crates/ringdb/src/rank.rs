//! The inverse of counting: the distance of so many vectors, found by counts that close in on it.
//!
//! Invariant: fewer vectors than the rank asked for lie up to `below`, and at least as many up to `reaching`; the
//! distance sought is in between. A sample of distances says only where to count next, so it can make a search slow and
//! never wrong.

use std::ops::Bound;

use ringdb_index::{Kernel, Ring};

use crate::derived::DerivedVectors;
use crate::error::{Result, RingDbError};

/// Distances that are computed to know where the others may be: of ten million vectors, those that are few enough hold
/// some 27 of them.
const SAMPLE: usize = 4096;

/// So many vectors in between have their distances computed and put in order.
const FEW: u64 = 1 << 16;

/// The rank of `p` among `len` vectors, from 1: `max(1, ceil(p len))`.
pub(crate) fn rank(p: f64, len: usize) -> Result<u64> {
    if !(0.0..=1.0).contains(&p) {
        return Err(RingDbError::InvalidBounds {
            what: "quantile",
            value: p,
        });
    }
    Ok(((p * len as f64).ceil() as u64).max(1))
}

/// The `n`-th smallest distance, from 1; 0 for 0.
pub(crate) fn radius(
    vectors: &DerivedVectors,
    query: &[f32],
    n: u64,
    kernel: Kernel,
) -> Result<f64> {
    // An error in the query is told in any case.
    let sample = vectors.distances(query, &sample_ids(vectors.vectors.len()), kernel)?;
    let len = vectors.vectors.len() as u64;
    if n > len {
        return Err(RingDbError::TooFewVectors { asked: n, len });
    }
    if n == 0 {
        return Ok(0.0);
    }
    let count = |distance: f64| {
        let ring = Ring::within(distance)?;
        Ok(vectors.explain(query, &ring, kernel)?.hits())
    };
    let list = |above: Bound<f64>, distance: f64| {
        let ring = Ring::from_bounds((above, Bound::Included(distance)))?;
        let (ids, _) = vectors.ids(query, &ring, kernel)?;
        vectors.distances(query, &ids, kernel)
    };
    find(Between::new(sample, n, len), count, list)
}

/// Closes in. `count` tells how many vectors lie up to a distance, `list` the distances between two.
fn find(
    mut between: Between,
    mut count: impl FnMut(f64) -> Result<u64>,
    mut list: impl FnMut(Bound<f64>, f64) -> Result<Vec<f64>>,
) -> Result<f64> {
    loop {
        match between.probe() {
            Next::Known(radius) => return Ok(radius),
            Next::Count(distance) => between.is_counted(distance, count(distance)?),
            Next::List(distance) => {
                let mut distances = list(between.above(), distance)?;
                let nth = (between.n - between.count_below) as usize;
                if let Some(last) = nth.checked_sub(1).filter(|&last| last < distances.len()) {
                    let (_, nth, _) = distances.select_nth_unstable_by(last, f64::total_cmp);
                    return Ok(*nth);
                }
                between.is_counted(distance, between.count_below + distances.len() as u64);
            }
        }
    }
}

/// Ids of vectors from all over the database.
fn sample_ids(len: usize) -> Vec<u32> {
    let count = len.min(SAMPLE);
    // Below 2^32 rows times 2^12, in 64 bits.
    let id = |i: usize| i as u64 * len as u64 / count as u64;
    (0..count).map(|i| id(i) as u32).collect()
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Next {
    /// Nothing: this is the distance sought.
    Known(f64),
    /// Count the vectors up to this distance.
    Count(f64),
    /// Few enough are between `below` and this distance, likely, to list them.
    List(f64),
}

/// Where the distance sought can be.
#[derive(Debug)]
struct Between {
    n: u64,
    /// `None` before the first count that is too small.
    below: Option<f64>,
    count_below: u64,
    reaching: f64,
    count_reaching: u64,
    /// Distances of some vectors in between, ascending; where the bounds are, there are none.
    sample: Vec<f64>,
    /// Whether the next probe tries to lower `reaching`, and not to raise `below`.
    aims_above: bool,
    /// Whether the last probe without a sample was right below `reaching`, so that the next one is in the middle.
    is_middle_next: bool,
}

impl Between {
    fn new(mut sample: Vec<f64>, n: u64, len: u64) -> Self {
        sample.sort_unstable_by(f64::total_cmp);
        Self {
            n,
            below: None,
            count_below: 0,
            reaching: f64::INFINITY,
            count_reaching: len,
            sample,
            aims_above: true,
            is_middle_next: false,
        }
    }

    /// The lower bound of what is in between.
    fn above(&self) -> Bound<f64> {
        self.below.map_or(Bound::Unbounded, Bound::Excluded)
    }

    fn probe(&mut self) -> Next {
        // First of all, so that counts that contradict each other end here as well.
        let lowest = self.below.map_or(0.0, f64::next_up);
        if lowest >= self.reaching {
            return Next::Known(self.reaching);
        }
        let rows = self.count_reaching - self.count_below;
        if rows <= FEW {
            return Next::List(self.reaching);
        }
        if self.sample.is_empty() {
            // Likely many vectors at one distance, that of a sampled one; else halves of what `f64` can tell find it.
            self.is_middle_next = !self.is_middle_next;
            return Next::Count(match self.is_middle_next {
                true => self.reaching.next_down(),
                false => {
                    let (low, high) = (lowest.to_bits(), self.reaching.to_bits());
                    f64::from_bits(low + (high - low) / 2)
                }
            });
        }
        let gaps = self.sample.len() as f64 + 1.0;
        let share = (self.n - self.count_below) as f64 / rows as f64;
        let place = share * gaps;
        // As far off as a sample of this size can be.
        let slack = 2.0 * (gaps * share * (1.0 - share)).sqrt() + 1.0;
        let place = match self.aims_above {
            true => (place + slack).ceil(),
            false => (place - slack).floor(),
        };
        let place = place.clamp(1.0, gaps - 1.0);
        let distance = self.sample[place as usize - 1];
        let rows_expected = place / gaps * rows as f64;
        match self.aims_above && rows_expected <= FEW as f64 / 2.0 {
            true => Next::List(distance),
            false => Next::Count(distance),
        }
    }

    /// So many vectors lie up to this distance, which is in between.
    fn is_counted(&mut self, distance: f64, count: u64) {
        if count < self.n {
            (self.below, self.count_below) = (Some(distance), count);
            let low = self.sample.partition_point(|&of| of <= distance);
            self.sample.drain(..low);
            self.aims_above = true;
        } else {
            (self.reaching, self.count_reaching) = (distance, count);
            let high = self.sample.partition_point(|&of| of < distance);
            self.sample.truncate(high);
            self.aims_above = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    const SEED: u64 = 0x7261_6e6b;

    /// Finds the distance of a rank among these, and compares it with a sort. The steps may be so many.
    fn check(name: &str, mut distances: Vec<f64>, sample: usize, n: u64, steps_max: usize) {
        let len = distances.len();
        let sample = (0..sample).map(|i| distances[i * len / sample]).collect();
        distances.sort_unstable_by(f64::total_cmp);
        let up_to = |distance: f64| distances.partition_point(|&of| of <= distance);
        let steps = std::cell::Cell::new(0);
        let count = |distance: f64| {
            steps.set(steps.get() + 1);
            Ok(up_to(distance) as u64)
        };
        let list = |above: Bound<f64>, distance: f64| {
            steps.set(steps.get() + 1);
            let low = match above {
                Bound::Excluded(below) => up_to(below),
                _ => 0,
            };
            Ok(distances[low..up_to(distance)].to_vec())
        };
        let found = find(Between::new(sample, n, len as u64), count, list);
        let found = found.expect("nothing fails");
        assert_eq!(found, distances[n as usize - 1], "{name}, {n} of {len}");
        let steps = steps.get();
        assert!(
            steps <= steps_max,
            "{name}, {n} of {len}: {steps} steps, at most {steps_max} were expected"
        );
    }

    #[test]
    fn the_distance_of_every_rank_is_found_in_a_few_steps() {
        println!("seed {SEED:#x}");
        let mut rng = SmallRng::seed_from_u64(SEED);
        let len = 1_000_000;
        let mut uniform: Vec<f64> = (0..len).map(|_| rng.random_range(0.5..2.0)).collect();
        uniform[7] = 1e81;
        uniform[8] = 0.0;
        let few: Vec<f64> = (0..len)
            .map(|_| f64::from(rng.random_range(0..4_u8)))
            .collect();
        let heavy: Vec<f64> = (0..len)
            .map(|_| rng.random_range(-40.0..40.0_f64).exp())
            .collect();
        let equal = vec![1.5; len];
        let mut sorted = uniform.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        for (name, distances) in [
            ("uniform", uniform),
            ("few", few),
            ("heavy", heavy),
            ("equal", equal),
            ("sorted", sorted),
        ] {
            for n in [
                1, 2, 10, 1_000, 250_000, 500_000, 999_990, 999_999, 1_000_000,
            ] {
                check(name, distances.clone(), SAMPLE, n, 9);
            }
        }
    }

    /// A sample that says nothing costs steps, not the answer.
    #[test]
    fn a_sample_of_the_wrong_vectors_is_survived() {
        let len = 400_000;
        let mut distances = vec![1e-300; len];
        // Every vector of the sample is at one distance, the others are spread wide.
        for (i, distance) in distances.iter_mut().enumerate() {
            if !i.is_multiple_of(len / 100) {
                *distance = (i as f64).powi(3) * 1e-30;
            }
        }
        for n in [1, 50, 101, 200_000, 399_999, 400_000] {
            check("hidden", distances.clone(), 100, n, 160);
            check("none", distances.clone(), 0, n, 160);
        }
    }

    /// As those of a file are that another program writes to.
    #[test]
    fn counts_that_contradict_each_other_come_to_an_end() {
        for n in [1, 100_000, 200_000] {
            let sample = vec![1.0, 2.0, 3.0];
            let found = find(
                Between::new(sample, n, 200_000),
                |_| Ok(n),
                |_, _| Ok(vec![]),
            );
            assert!(found.is_ok_and(|radius| radius >= 0.0));
            let found = find(
                Between::new(vec![], n, 200_000),
                |_| Ok(n - 1),
                |_, _| Ok(vec![]),
            );
            assert!(found.is_ok_and(|radius| radius >= 0.0));
        }
    }

    #[test]
    fn ranks_of_shares_begin_at_one() {
        let ranks = [0.0, 1e-9, 0.1, 0.100_001, 0.5, 1.0].map(|p| rank(p, 10).expect("a share"));
        assert_eq!(ranks, [1, 1, 1, 2, 5, 10]);
        for p in [-0.1, 1.1, f64::NAN] {
            let error = rank(p, 10).expect_err("no share");
            assert!(
                error.to_string().contains(&format!("quantile: {p}")),
                "{error}"
            );
        }
    }
}
