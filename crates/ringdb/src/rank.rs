//! The inverse of counting: the distance of so many vectors, found by counts that close in on it.
//!
//! Invariant: fewer vectors than the rank asked for lie up to `below`, and at least as many up to `reaching`; the
//! distance sought is in between. A sample of distances says only where to count next, so it can make a search slow and
//! never wrong.

use std::ops::{Bound, RangeBounds};

use ringdb_index::Ring;

use crate::error::{Result, RingDbError};
use crate::lookup::Lookup;

/// Distances that are computed to know where the others may be: of ten million vectors, some 27 of these are among
/// 65 536 neighbours by rank.
const SAMPLE: usize = 4096;

/// Vectors that are looked at for each that is to be sampled, at most, where few are allowed.
const TRIES: usize = 64;

/// So many vectors in between have their distances computed and put in order.
pub(crate) const FEW: u64 = 1 << 16;

/// Where more are listed because the sample told wrong, they are counted and no more.
const LIST_MAX: u64 = 4 * FEW;

/// The least distance that a start takes in.
pub(crate) fn least(start: Bound<&f64>) -> f64 {
    match start {
        Bound::Included(&least) => least,
        Bound::Excluded(below) => below.next_up(),
        Bound::Unbounded => 0.0,
    }
}

/// The greatest distance that an end takes in.
pub(crate) fn greatest(end: Bound<&f64>) -> f64 {
    match end {
        Bound::Included(&greatest) => greatest,
        Bound::Excluded(above) => above.next_down(),
        Bound::Unbounded => f64::INFINITY,
    }
}

/// Whether `p` is a share.
pub(crate) fn check_share(p: f64) -> Result<()> {
    if !(0.0..=1.0).contains(&p) {
        return Err(RingDbError::InvalidBounds {
            what: "quantile",
            value: p,
        });
    }
    Ok(())
}

/// The rank of `p` among `len` vectors: the least one from 1 whose share, `rank / len` in `f64`, is at least `p`.
pub(crate) fn rank(p: f64, len: u64) -> u64 {
    let reaches = |rank: u64| rank as f64 / len as f64 >= p;
    // The product is rounded, so it may be one off: it is for 7 of 25.
    let near = ((p * len as f64).ceil() as u64).max(1);
    match near {
        rank if !reaches(rank) => rank + 1,
        rank if rank > 1 && reaches(rank - 1) => rank - 1,
        rank => rank,
    }
}

/// The `n`-th smallest distance of the `len` hits in `ring`; 0 for 0.
pub(crate) fn radius(
    lookup: &Lookup<'_>,
    query: &[f32],
    ring: &Ring,
    n: u64,
    len: u64,
) -> Result<f64> {
    if n > len {
        return Err(RingDbError::TooFewVectors { asked: n, len });
    }
    if n == 0 {
        return Ok(0.0);
    }
    let sample = match len <= FEW {
        true => Vec::new(),
        false => sample(lookup, query, ring)?,
    };
    let up_to =
        |above: Bound<f64>, distance: f64| Ring::from_bounds((above, Bound::Included(distance)));
    let start = ring.start_bound().cloned();
    let count = |distance: f64| lookup.count(query, &up_to(start, distance)?);
    let list = |above: Bound<f64>, distance: f64| {
        let (ids, _) = lookup.ids(query, &up_to(above, distance)?)?;
        match ids.len() as u64 > LIST_MAX {
            true => Ok(Listed::TooMany(ids.len() as u64)),
            false => Ok(Listed::Distances(lookup.distances(query, &ids)?)),
        }
    };
    find(Between::new(sample, ring, n, len), count, list)
}

/// Closes in. `count` tells how many vectors lie up to a distance, `list` the distances between two.
fn find(
    mut between: Between,
    mut count: impl FnMut(f64) -> Result<u64>,
    mut list: impl FnMut(Bound<f64>, f64) -> Result<Listed>,
) -> Result<f64> {
    loop {
        match between.probe() {
            Next::Known(radius) => return Ok(radius),
            Next::Count(distance) => between.take_count(distance, count(distance)?),
            Next::List(distance) => {
                let listed = match list(between.above(), distance)? {
                    Listed::TooMany(listed) => listed,
                    Listed::Distances(mut distances) => {
                        let nth = (between.n - between.count_below) as usize;
                        if let Some(last) =
                            nth.checked_sub(1).filter(|&last| last < distances.len())
                        {
                            let (_, nth, _) =
                                distances.select_nth_unstable_by(last, f64::total_cmp);
                            return Ok(*nth);
                        }
                        distances.len() as u64
                    }
                };
                between.take_count(distance, between.count_below + listed);
            }
        }
    }
}

/// The vectors between two distances.
enum Listed {
    /// Their distances.
    Distances(Vec<f64>),
    /// How many they are.
    TooMany(u64),
}

/// Distances of hits from all over the database.
fn sample(lookup: &Lookup<'_>, query: &[f32], ring: &Ring) -> Result<Vec<f64>> {
    // Of vectors that are not allowed nothing is read.
    let ids = (0..(SAMPLE * TRIES) as u64).map(|i| spread(i, lookup.vectors.vectors.len()));
    let ids: Vec<u32> = ids.filter(|&id| lookup.allows(id)).take(SAMPLE).collect();
    let mut distances = lookup.distances(query, &ids)?;
    distances.retain(|&distance| ring.contains(distance));
    Ok(distances)
}

/// The `i`-th of ids that are spread evenly whatever their number, and fall in with no period of the data: multiples of the
/// golden ratio, without their whole part.
fn spread(i: u64, len: usize) -> u32 {
    let share = i.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    // Below `len`, and all of those are ids.
    ((u128::from(share) * len as u128) >> 64) as u32
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
    /// Where the ring begins.
    start: Bound<f64>,
    /// `None` before the first count that is too small.
    below: Option<f64>,
    count_below: u64,
    reaching: f64,
    count_reaching: u64,
    /// Distances of some vectors in between, ascending; where the bounds are, there are none.
    sample: Vec<f64>,
    /// Whether the next probe tries to lower `reaching`, and not to raise `below`.
    aims_above: bool,
    /// By how much farther off than the sample says the next probe is, because the last ones were on the wrong side.
    widen: f64,
    /// Whether the last probe without a sample was right below `reaching`, so that the next one is in the middle.
    is_middle_next: bool,
}

impl Between {
    /// Of `len` hits in a ring, of which there are some.
    fn new(mut sample: Vec<f64>, ring: &Ring, n: u64, len: u64) -> Self {
        sample.sort_unstable_by(f64::total_cmp);
        Self {
            n,
            start: ring.start_bound().cloned(),
            below: None,
            count_below: 0,
            reaching: greatest(ring.end_bound()),
            count_reaching: len,
            sample,
            aims_above: true,
            widen: 1.0,
            is_middle_next: false,
        }
    }

    /// The lower bound of what is in between.
    fn above(&self) -> Bound<f64> {
        self.below.map_or(self.start, Bound::Excluded)
    }

    fn probe(&mut self) -> Next {
        // First of all, so that counts that contradict each other end here as well.
        let lowest = least(self.above().as_ref());
        if lowest >= self.reaching {
            return Next::Known(self.reaching);
        }
        let rows = self.count_reaching - self.count_below;
        // Without a sample it may take many counts to come to fewer.
        let list_max = if self.sample.is_empty() {
            LIST_MAX
        } else {
            FEW
        };
        if rows <= list_max {
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
        let slack = slack * self.widen;
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
    fn take_count(&mut self, distance: f64, count: u64) {
        let is_missed = (count < self.n) == self.aims_above;
        self.widen = if is_missed { 4.0 * self.widen } else { 1.0 };
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

    fn everything() -> Ring {
        Ring::from_bounds(..).expect("no bounds")
    }

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
            Ok(Listed::Distances(distances[low..up_to(distance)].to_vec()))
        };
        let found = find(
            Between::new(sample, &everything(), n, len as u64),
            count,
            list,
        );
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
        distances.truncate(200_000);
        check("none of not so many", distances, 0, 100_000, 1);
    }

    /// Of distances that differ, and all lie on one side of nearly all others.
    #[test]
    fn a_sample_that_misleads_is_given_up_soon() {
        let len = 400_000;
        for is_near in [true, false] {
            let mut distances: Vec<f64> = (0..len).map(|i| 1.0 + f64::from(i) * 1e-6).collect();
            for (i, distance) in distances.iter_mut().step_by(100).enumerate() {
                *distance = if is_near { 1e-9 } else { 1e9 } * (i + 1) as f64;
            }
            for n in [1, 40, 4_100, 200_000, 395_000, 400_000] {
                check("misleading", distances.clone(), 4_000, n, 70);
            }
        }
    }

    #[test]
    fn sampled_ids_are_of_all_parts() {
        for len in [65_537_usize, 1 << 20, 4_294_967_295] {
            let mut ids: Vec<u32> = (0..4_096).map(|i| spread(i, len)).collect();
            ids.sort_unstable();
            assert!(ids.iter().all(|&id| (id as usize) < len));
            let gap = ids.windows(2).map(|ids| ids[1] - ids[0]).max();
            assert!(gap.is_some_and(|gap| f64::from(gap) < 3.0 * len as f64 / 4_096.0));
        }
    }

    /// As those of a file are that another program writes to.
    #[test]
    fn counts_that_contradict_each_other_come_to_an_end() {
        for n in [1, 100_000, 200_000] {
            let sample = vec![1.0, 2.0, 3.0];
            let found = find(
                Between::new(sample, &everything(), n, 200_000),
                |_| Ok(n),
                |_, _| Ok(Listed::Distances(vec![])),
            );
            assert!(found.is_ok_and(|radius| radius >= 0.0));
            let found = find(
                Between::new(vec![], &everything(), n, 200_000),
                |_| Ok(n - 1),
                |_, _| Ok(Listed::Distances(vec![])),
            );
            assert!(found.is_ok_and(|radius| radius >= 0.0));
        }
    }

    #[test]
    fn ranks_of_shares_begin_at_one() {
        let ranks = [0.0, 1e-9, 0.1, 0.100_001, 0.5, 1.0].map(|p| rank(p, 10));
        assert_eq!(ranks, [1, 1, 1, 2, 5, 10]);
        for len in 1..=200_u64 {
            for n in 1..=len {
                assert_eq!(rank(n as f64 / len as f64, len), n, "{n} of {len}");
            }
        }
        let len = u64::from(u32::MAX);
        for n in (1..len).step_by(16_769_023) {
            let p = n as f64 / len as f64;
            let ranks = [p.next_down(), p, p.next_up()].map(|p| rank(p, len));
            assert_eq!(ranks, [n, n, n + 1]);
        }
        for p in [-0.1, 1.1, f64::NAN] {
            let error = check_share(p).expect_err("no share");
            assert!(
                error.to_string().contains(&format!("quantile: {p}")),
                "{error}"
            );
        }
    }
}
