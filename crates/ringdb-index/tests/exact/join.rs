//! Joins: every pair once, in portions, whatever the codes, kernels and threads.

use std::ops::Range;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use ringdb_index::{
    Error, Guard, Join, Kernel, Pair, Ring, Rows, Segment, Trusted, distance, join, join_with,
};

use crate::coded::Coded;
use crate::data::{KINDS, Kind};
use crate::{SEED, kernels};

fn all<G: Guard<Error = Error>>(mut join: Join<'_, G>) -> Vec<Pair> {
    let mut pairs = Vec::new();
    while let Some(portion) = join.portion().expect("a legal join") {
        pairs.extend(portion);
    }
    assert!(join.portion().expect("a join that is over").is_none());
    pairs
}

fn by_definition(left: Rows<'_>, right: Rows<'_>, ring: &Ring, is_with_itself: bool) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for a in 0..left.len() as u32 {
        let first = if is_with_itself { a + 1 } else { 0 };
        for b in first..right.len() as u32 {
            let (x, y) = (left.row(a).expect("a row"), right.row(b).expect("a row"));
            if ring.contains(distance(x, y)) {
                pairs.push((a, b));
            }
        }
    }
    pairs
}

#[test]
fn a_join_finds_every_pair_once() {
    println!("seed {SEED:#x}");
    let mut rng = SmallRng::seed_from_u64(SEED);
    let mut n_pairs = 0;
    for (dims, rows) in [(1, 50), (3, 301), (16, 600), (33, 257), (100, 300)] {
        for kind in KINDS {
            let data = kind.rows(rows, dims, &mut rng);
            let other = kind.rows(rows / 3, dims, &mut rng);
            let (view, other_view) = (
                Rows::new(&data, dims).expect("whole rows"),
                Rows::new(&other, dims).expect("whole rows"),
            );
            let (coded, other_coded) = (Coded::new(&data, dims), Coded::new(&other, dims));
            let mut some = || {
                let pick = |rng: &mut SmallRng| &data[rng.random_range(0..rows) * dims..][..dims];
                distance(pick(&mut rng), pick(&mut rng))
            };
            let (a, b) = (some(), some());
            let ring = Ring::between(a.min(b), a.max(b)).expect("legal bounds");
            let pairs = by_definition(view, view, &ring, true);
            let between = by_definition(view, other_view, &ring, false);
            n_pairs += pairs.len() + between.len();
            for kernel in kernels() {
                for segment in [Segment::new(view), coded.segment(view)] {
                    let mut found = all(join(segment, ring, kernel, &Trusted));
                    found.sort_unstable();
                    assert!(
                        found == pairs,
                        "{kernel}, {kind:?}, {rows} rows of {dims}, {ring}"
                    );
                    for other in [Segment::new(other_view), other_coded.segment(other_view)] {
                        let (left, right) = ((segment, &Trusted), (other, &Trusted));
                        let join = join_with(left, right, ring, kernel).expect("the same dims");
                        let mut found = all(join);
                        found.sort_unstable();
                        assert!(
                            found == between,
                            "{kernel}, {kind:?}, {rows} rows of {dims}, {ring}"
                        );
                    }
                }
            }
        }
    }
    assert!(n_pairs > 100_000, "{n_pairs}");
}

#[test]
fn pairs_come_in_the_same_order_whatever_the_threads() {
    let mut rng = SmallRng::seed_from_u64(SEED);
    let dims = 16;
    let data = Kind::Uniform.rows(3_000, dims, &mut rng);
    let view = Rows::new(&data, dims).expect("whole rows");
    let coded = Coded::new(&data, dims);
    let ring = Ring::within(2.0).expect("legal bounds");
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("a pool");
        pool.install(|| all(join(coded.segment(view), ring, Kernel::fastest(), &Trusted)))
    };
    let one = with(1);
    assert!(one.len() > 1000 && one == with(2) && one == with(7));
}

/// As many pairs as there can be come in portions that are bounded.
#[test]
fn a_portion_is_bounded() {
    // Several blocks, each of them full of hits.
    let n_rows = 40_000;
    let data = vec![0.25; n_rows];
    let view = Rows::new(&data, 1).expect("whole rows");
    let ring = Ring::within(0.0).expect("legal bounds");
    let mut join = join(Segment::new(view), ring, Kernel::fastest(), &Trusted);
    let (mut n, mut largest) = (0, 0);
    while let Some(portion) = join.portion().expect("a legal join") {
        assert!(portion.iter().all(|(a, b)| a < b));
        n += portion.len();
        largest = largest.max(portion.len());
    }
    assert_eq!(n, n_rows * (n_rows - 1) / 2);
    let max = 8 << 20;
    assert!(largest <= max && largest > max / 2, "{largest}");
}

#[test]
fn nothing_has_no_pairs_and_other_dims_are_refused() {
    let ring = Ring::within(1.0).expect("legal bounds");
    let rows =
        |data: &'static [f32], dims| Segment::new(Rows::new(data, dims).expect("whole rows"));
    let kernel = Kernel::fastest();
    let (none, one, wide) = (rows(&[], 1), rows(&[0.0], 1), rows(&[0.0, 0.0], 2));
    assert!(all(join(none, ring, kernel, &Trusted)).is_empty());
    assert!(all(join(one, ring, kernel, &Trusted)).is_empty());
    for (left, right, n) in [(none, one, 0), (one, none, 0), (one, one, 1)] {
        let join = join_with((left, &Trusted), (right, &Trusted), ring, kernel);
        assert_eq!(all(join.expect("the same dims")).len(), n);
    }
    let refused = join_with((one, &Trusted), (wide, &Trusted), ring, kernel);
    let (expected, got) = (1, 2);
    assert_eq!(
        refused.err(),
        Some(Error::DimensionMismatch { expected, got })
    );
}

/// Lets no more rows pass than this.
struct UpTo(usize);

impl Guard for UpTo {
    type Error = Error;

    fn rows(&self, rows: Range<usize>) -> Result<(), Error> {
        (rows.end <= self.0)
            .then_some(())
            .ok_or(Error::FloatEnvironment)
    }

    fn codes(&self, _: Range<usize>) -> Result<(), Error> {
        Ok(())
    }

    fn fine(&self, _: Range<usize>) -> Result<(), Error> {
        Ok(())
    }

    fn prefix(&self, _: Range<usize>) -> Result<(), Error> {
        Ok(())
    }

    fn blocks(&self, _: Range<usize>) -> Result<(), Error> {
        unreachable!("there are no boxes")
    }

    fn order(&self, _: Range<usize>) -> Result<(), Error> {
        unreachable!("there are no boxes")
    }
}

#[test]
fn an_error_of_the_guard_ends_a_join() {
    let data = vec![0.5; 1_000];
    let rows = Rows::new(&data, 1).expect("whole rows");
    let ring = Ring::within(1.0).expect("legal bounds");
    let guard = UpTo(999);
    let mut join = join(Segment::new(rows), ring, Kernel::fastest(), &guard);
    assert_eq!(join.portion(), Err(Error::FloatEnvironment));
    assert_eq!(join.portion(), Ok(None));
}
