//! The ring: which distances a query asks for.
//!
//! Invariant: for every sum `s` of squares that two vectors can have, `lo_s <= s <= hi_s` holds
//! exactly when the distance `sqrt(s)` lies within the bounds as stated. The thresholds are
//! computed once, here, so that no kernel takes a root or knows an inclusive bound from an
//! exclusive one. This file knows no vectors.

use std::fmt;
use std::ops::{Bound, RangeBounds};

use crate::error::{Error, Result};

/// A validated interval of distances, each end inclusive or exclusive.
///
/// Distances are true (not squared) Euclidean distances in `f64`. `0.6` and `f64::from(0.6_f32)`
/// are different numbers, hence different bounds. A ring may be empty; a distance that a search
/// returned is always inside the ring that has it as an inclusive bound.
///
/// ```
/// use ringdb_index::Ring;
///
/// let ring = Ring::from_bounds(0.4..0.6)?;
/// assert!(ring.contains(0.4) && !ring.contains(0.6));
/// assert_eq!(ring.to_string(), "[0.4, 0.6)");
/// # Ok::<(), ringdb_index::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ring {
    d_min: f64,
    d_max: f64,
    excludes_d_min: bool,
    excludes_d_max: bool,
    thresholds: Thresholds,
}

/// The ring in terms of the sum of squares: inside means `lo_s <= s && s <= hi_s`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Thresholds {
    pub(crate) lo_s: f64,
    pub(crate) hi_s: f64,
}

impl Ring {
    /// Distances that differ from `d` by at most `lambda`: `max(d - lambda, 0) <= distance <= d +
    /// lambda`, both computed in `f64`.
    ///
    /// # Errors
    /// [`Error::InvalidBounds`] if `d` is NaN, negative or infinite, or `lambda` is NaN or
    /// negative. An infinite `lambda` takes every distance.
    pub fn around(d: f64, lambda: f64) -> Result<Self> {
        let d = non_negative("d", d)?;
        if d.is_infinite() {
            return Err(Error::InvalidBounds {
                what: "d",
                value: d,
            });
        }
        let lambda = non_negative("lambda", lambda)?;
        Self::between((d - lambda).max(0.0), d + lambda)
    }

    /// Distances with `d_min <= distance <= d_max`.
    ///
    /// # Errors
    /// [`Error::InvalidBounds`] if a bound is NaN or negative, or `d_min > d_max`. An infinite
    /// `d_max` is no upper bound.
    pub fn between(d_min: f64, d_max: f64) -> Result<Self> {
        Self::from_bounds(d_min..=d_max)
    }

    /// Distances with `distance <= d_max`: a disk, its centre included.
    ///
    /// # Errors
    /// [`Error::InvalidBounds`] if `d_max` is NaN or negative.
    pub fn within(d_max: f64) -> Result<Self> {
        Self::between(0.0, d_max)
    }

    /// Distances inside a range of any form: `a..b`, `a..=b`, `a..`, `..b`, `..`, or a pair of
    /// [`Bound`]s.
    ///
    /// An open start is 0 and an open end is infinity. `a..a` and `(Excluded(a), Excluded(a))` are
    /// empty rings, not errors.
    ///
    /// # Errors
    /// [`Error::InvalidBounds`] if a bound is NaN or negative, or the start is greater than the
    /// end.
    pub fn from_bounds(bounds: impl RangeBounds<f64>) -> Result<Self> {
        let (d_min, excludes_d_min) = end_of(bounds.start_bound(), 0.0);
        let (d_max, excludes_d_max) = end_of(bounds.end_bound(), f64::INFINITY);
        let d_min = non_negative("d_min", d_min)?;
        let d_max = non_negative("d_max", d_max)?;
        if d_min > d_max {
            return Err(Error::InvalidBounds {
                what: "d_min greater than d_max",
                value: d_min,
            });
        }
        let lo_s = if excludes_d_min {
            greatest_within(d_min).next_up()
        } else {
            least_reaching(d_min)
        };
        let hi_s = if excludes_d_max {
            least_reaching(d_max).next_down()
        } else {
            greatest_within(d_max)
        };
        Ok(Self {
            d_min,
            d_max,
            excludes_d_min,
            excludes_d_max,
            thresholds: Thresholds { lo_s, hi_s },
        })
    }

    /// Whether a distance lies in the ring, by the bounds as they were stated: this is the
    /// definition of membership.
    ///
    /// NaN lies in no ring.
    #[must_use]
    pub fn contains(&self, distance: f64) -> bool {
        let above = if self.excludes_d_min {
            self.d_min < distance
        } else {
            self.d_min <= distance
        };
        let below = if self.excludes_d_max {
            distance < self.d_max
        } else {
            distance <= self.d_max
        };
        above && below
    }

    /// The same membership, decided on the sum of squares.
    pub(crate) fn thresholds(&self) -> Thresholds {
        self.thresholds
    }
}

/// The bounds as they were stated, so that a ring can stand where a range can: a start left open is an inclusive 0, an end
/// left open an inclusive infinity.
impl RangeBounds<f64> for Ring {
    fn start_bound(&self) -> Bound<&f64> {
        match self.excludes_d_min {
            true => Bound::Excluded(&self.d_min),
            false => Bound::Included(&self.d_min),
        }
    }

    fn end_bound(&self) -> Bound<&f64> {
        match self.excludes_d_max {
            true => Bound::Excluded(&self.d_max),
            false => Bound::Included(&self.d_max),
        }
    }
}

/// The interval in mathematical notation, such as `[0.4, 0.6)`; each number reads back as the same
/// `f64`.
impl fmt::Display for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = if self.excludes_d_min { '(' } else { '[' };
        let close = if self.excludes_d_max { ')' } else { ']' };
        // `{:?}` keeps 1e-170 short, where `{}` would write out its zeros.
        write!(f, "{open}{:?}, {:?}{close}", self.d_min, self.d_max)
    }
}

/// The value of a bound and whether the bound leaves that value out.
fn end_of(bound: Bound<&f64>, unbounded: f64) -> (f64, bool) {
    match bound {
        Bound::Included(&d) => (d, false),
        Bound::Excluded(&d) => (d, true),
        Bound::Unbounded => (unbounded, false),
    }
}

pub(crate) fn non_negative(what: &'static str, value: f64) -> Result<f64> {
    if value.is_nan() || value < 0.0 {
        return Err(Error::InvalidBounds { what, value });
    }
    // Turns -0.0 into 0.0 and changes nothing else.
    Ok(value + 0.0)
}

/// The least `s` with `sqrt(s) >= d`: infinity where no finite sum reaches `d`.
///
/// The square of `d`, rounded, is at most a few steps away, because the root halves relative
/// differences; the loops walk those.
pub(crate) fn least_reaching(d: f64) -> f64 {
    let mut s = (d * d).min(f64::MAX);
    while s > 0.0 && s.next_down().sqrt() >= d {
        s = s.next_down();
    }
    // Ends at infinity at the latest, whose root reaches every d.
    while s.sqrt() < d {
        s = s.next_up();
    }
    s
}

/// The greatest finite `s` with `sqrt(s) <= d`.
pub(crate) fn greatest_within(d: f64) -> f64 {
    let mut s = (d * d).min(f64::MAX);
    // Ends at zero at the latest, whose root exceeds no d.
    while s.sqrt() > d {
        s = s.next_down();
    }
    // Without the stop at f64::MAX an infinite d would step from infinity to infinity for ever.
    while s < f64::MAX && s.next_up().sqrt() <= d {
        s = s.next_up();
    }
    s
}

#[cfg(test)]
mod tests {
    use std::ops::Bound::{Excluded, Included, Unbounded};

    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    use super::*;

    const SEED: u64 = 0x5249_4e47;

    fn passes(ring: &Ring, s: f64) -> bool {
        let Thresholds { lo_s, hi_s } = ring.thresholds();
        lo_s <= s && s <= hi_s
    }

    /// Sums at and around the square of `d`, where a threshold could be off.
    fn sums_around(d: f64) -> Vec<f64> {
        let middle = (d * d).min(f64::MAX);
        let mut sums = vec![0.0, f64::from_bits(1), f64::MIN_POSITIVE, middle, f64::MAX];
        let (mut below, mut above) = (middle, middle);
        for _ in 0..8 {
            below = below.next_down().max(0.0);
            above = above.next_up().min(f64::MAX);
            sums.extend([below, above]);
        }
        sums
    }

    /// The thresholds against the definition, at every sum where they could differ.
    fn check_ring(start: Bound<f64>, end: Bound<f64>) {
        let ring = Ring::from_bounds((start, end)).expect("legal bounds");
        for bound in [start, end] {
            let (d, _) = end_of(bound.as_ref(), 1.0);
            for s in sums_around(d) {
                assert_eq!(
                    passes(&ring, s),
                    ring.contains(s.sqrt()),
                    "{ring} at s = {s:?}, distance {:?}",
                    s.sqrt()
                );
            }
        }
    }

    fn every_form(a: f64, b: f64) {
        for start in [Included(a), Excluded(a), Unbounded] {
            for end in [Included(b), Excluded(b), Unbounded] {
                check_ring(start, end);
            }
        }
    }

    const EDGES: [f64; 22] = [
        0.0,
        5e-324,
        1e-310,
        1e-170,
        1.5e-162,
        2.3e-162,
        1e-160,
        1.4916681462400413e-154,
        1e-150,
        1e-22,
        0.1,
        0.25,
        1.0,
        std::f64::consts::SQRT_2,
        3.0,
        1e15,
        1e19,
        1.3407807929942596e154,
        1.3407807929942597e154,
        1e200,
        f64::MAX,
        f64::INFINITY,
    ];

    #[test]
    fn a_ring_stands_for_its_bounds() {
        let bounds = [Unbounded, Included(0.0), Excluded(0.5), Included(0.5)];
        for (start, end) in bounds.map(|start| (start, Excluded(2.0))) {
            let ring = Ring::from_bounds((start, end)).expect("legal bounds");
            assert_eq!(Ring::from_bounds(ring), Ok(ring));
            let ring = Ring::from_bounds((Unbounded, start)).expect("legal bounds");
            assert_eq!(Ring::from_bounds(ring), Ok(ring));
        }
    }

    #[test]
    fn thresholds_at_edge_bounds_follow_the_definition() {
        for (i, &a) in EDGES.iter().enumerate() {
            for &b in &EDGES[i..] {
                every_form(a, b);
            }
        }
    }

    #[test]
    fn thresholds_of_known_rings() {
        let check = |bounds: (Bound<f64>, Bound<f64>), lo_s: f64, hi_s: f64| {
            let ring = Ring::from_bounds(bounds).expect("legal bounds");
            assert_eq!(ring.thresholds(), Thresholds { lo_s, hi_s }, "{ring}");
        };
        check((Included(0.0), Included(0.0)), 0.0, 0.0);
        check((Unbounded, Unbounded), 0.0, f64::MAX);
        check(
            (Excluded(0.0), Included(f64::INFINITY)),
            f64::from_bits(1),
            f64::MAX,
        );
        check((Included(0.0), Excluded(f64::INFINITY)), 0.0, f64::MAX);
        check(
            (Included(f64::INFINITY), Included(f64::INFINITY)),
            f64::INFINITY,
            f64::MAX,
        );
        check((Included(1e200), Unbounded), f64::INFINITY, f64::MAX);
        check((Unbounded, Included(1e200)), 0.0, f64::MAX);
        check((Included(1e-170), Included(1e-170)), f64::from_bits(1), 0.0);
        check((Unbounded, Excluded(0.0)), 0.0, -f64::from_bits(1));
        // The root of 1 + 2^-52 lies just under the middle between 1 and its successor and rounds
        // to 1; that of 1 - 2^-53 rounds down.
        check((Included(1.0), Included(1.0)), 1.0, 1.0_f64.next_up());
    }

    #[test]
    fn an_empty_ring_passes_no_sum() {
        for a in EDGES {
            for (start, end) in [
                (Included(a), Excluded(a)),
                (Excluded(a), Included(a)),
                (Excluded(a), Excluded(a)),
            ] {
                let ring = Ring::from_bounds((start, end)).expect("legal bounds");
                assert!(
                    sums_around(a).into_iter().all(|s| !passes(&ring, s)),
                    "{ring}"
                );
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(SEED), cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn thresholds_of_random_bounds_follow_the_definition(a in 0..=f64::INFINITY.to_bits(), b in 0..=f64::INFINITY.to_bits()) {
            let (a, b) = (f64::from_bits(a.min(b)), f64::from_bits(a.max(b)));
            every_form(a, b);
            every_form(a, a);
        }

        /// Random bits rarely give a distance that occurs; roots of such sums do.
        #[test]
        fn a_realised_distance_as_a_bound_contains_its_sum(bits in 2.0_f64.powi(-298).to_bits()..2.0_f64.powi(274).to_bits()) {
            let s = f64::from_bits(bits);
            let d = s.sqrt();
            for ring in [Ring::within(d), Ring::between(d, d), Ring::from_bounds(d..)] {
                prop_assert!(passes(&ring.expect("legal bounds"), s));
            }
            for ring in [Ring::from_bounds(..d), Ring::from_bounds((Excluded(d), Unbounded))] {
                prop_assert!(!passes(&ring.expect("legal bounds"), s));
            }
            every_form(d, d);
        }
    }

    #[test]
    fn around_clamps_at_zero_and_may_be_unbounded() {
        let same = |ring: Result<Ring>, d_min: f64, d_max: f64| {
            assert_eq!(ring, Ring::between(d_min, d_max));
        };
        same(Ring::around(1.0, 0.25), 0.75, 1.25);
        same(Ring::around(1.0, 2.0), 0.0, 3.0);
        same(Ring::around(0.0, 0.0), 0.0, 0.0);
        same(Ring::around(-0.0, -0.0), 0.0, 0.0);
        same(Ring::around(1.0, f64::INFINITY), 0.0, f64::INFINITY);
        same(Ring::within(-0.0), 0.0, 0.0);
    }

    #[test]
    fn a_bad_bound_is_named() {
        let check = |ring: Result<Ring>, name: &str, bad: f64| match ring {
            Err(Error::InvalidBounds { what, value }) => assert!(
                what == name && value.to_bits() == bad.to_bits(),
                "{what}: {value}"
            ),
            other => panic!("{name} = {bad} gave {other:?}"),
        };
        for bad in [f64::NAN, -1.0, -5e-324, f64::NEG_INFINITY] {
            check(Ring::around(bad, 1.0), "d", bad);
            check(Ring::around(1.0, bad), "lambda", bad);
            check(Ring::between(bad, 1.0), "d_min", bad);
            check(Ring::between(0.0, bad), "d_max", bad);
            check(Ring::within(bad), "d_max", bad);
            check(Ring::from_bounds(bad..), "d_min", bad);
            check(Ring::from_bounds(..bad), "d_max", bad);
        }
        check(Ring::around(f64::INFINITY, 1.0), "d", f64::INFINITY);
        check(Ring::between(2.0, 1.0), "d_min greater than d_max", 2.0);
        check(
            Ring::from_bounds((Excluded(f64::INFINITY), Included(1.0))),
            "d_min greater than d_max",
            f64::INFINITY,
        );
    }

    #[test]
    fn a_ring_prints_as_an_interval() {
        let check = |ring: Result<Ring>, text: &str| {
            assert_eq!(ring.expect("legal bounds").to_string(), text);
        };
        check(Ring::from_bounds(0.4..0.6), "[0.4, 0.6)");
        check(Ring::between(-0.0, 1e-170), "[0.0, 1e-170]");
        check(Ring::from_bounds((Excluded(0.0), Unbounded)), "(0.0, inf]");
    }

    #[test]
    fn nan_lies_in_no_ring() {
        assert!(
            !Ring::within(f64::INFINITY)
                .expect("legal bounds")
                .contains(f64::NAN)
        );
    }
}
