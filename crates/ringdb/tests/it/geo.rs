//! Places and kilometres: against the usual formulas, at the seams of the map, and through searches.

use std::f64::consts::PI;
use std::ops::Bound::{self, Excluded, Included, Unbounded};

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use ringdb::geo::{EARTH_RADIUS_KM, chord, km, point, ring};
use ringdb::{Ring, RingDb, RingDbConfig, RingDbError};
use ringdb_index::distance;

const SEED: u64 = 0x504c_4143;
const HALF: f64 = EARTH_RADIUS_KM * PI;

/// What rounding to `f32` moves a place by at most: half a step of a number below 1 in each of three coordinates.
fn displacement_max_km() -> f64 {
    3.0_f64.sqrt() * 2.0_f64.powi(-25) * EARTH_RADIUS_KM
}

type Degrees = (f64, f64);

fn place() -> impl Strategy<Value = Degrees> {
    let edge = |max: f64| prop::sample::select(vec![-max, -max / 2.0, -0.0, 0.0, max / 2.0, max]);
    (
        prop_oneof![9 => -90.0..=90.0, 1 => edge(90.0)],
        prop_oneof![9 => -180.0..=180.0, 1 => edge(180.0)],
    )
}

/// The place before it is rounded, by the textbook.
fn exact((lat, lon): Degrees) -> [f64; 3] {
    let (lat, lon) = (lat.to_radians(), lon.to_radians());
    [lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()]
}

fn haversine_km((lat, lon): Degrees, (other_lat, other_lon): Degrees) -> f64 {
    let half_sin_sq = |a: f64, b: f64| ((b - a).to_radians() / 2.0).sin().powi(2);
    let across = lat.to_radians().cos() * other_lat.to_radians().cos();
    let h = half_sin_sq(lat, other_lat) + across * half_sin_sq(lon, other_lon);
    2.0 * EARTH_RADIUS_KM * h.sqrt().min(1.0).asin()
}

fn stored((lat, lon): Degrees) -> [f32; 3] {
    point(lat, lon).expect("a place")
}

fn distance_of(a: Degrees, b: Degrees) -> f64 {
    distance(&stored(a), &stored(b))
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(SEED), cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rounding_moves_a_place_by_no_more_than_stated(at in place()) {
        let squares = exact(at).into_iter().zip(stored(at)).map(|(x, rounded)| (x - f64::from(rounded)).powi(2));
        prop_assert!(squares.sum::<f64>().sqrt() * EARTH_RADIUS_KM <= displacement_max_km());
    }

    #[test]
    fn distances_are_those_of_the_haversine_formula(a in place(), b in place(), near in -1.0_f64..1.0) {
        // Far away, and within some hundred kilometres.
        for b in [b, ((a.0 + near).clamp(-90.0, 90.0), (a.1 + near).clamp(-180.0, 180.0))] {
            let (expected, found) = (haversine_km(a, b), km(distance_of(a, b)));
            let off_km_max = match expected {
                ..=2_500.0 => 0.0007,
                ..=10_000.0 => 0.001,
                _ => 4.1,
            };
            prop_assert!((found - expected).abs() <= off_km_max, "{a:?} {b:?}: {found} and {expected}");
        }
    }

    #[test]
    fn chord_and_km_are_inverse(there in 0.0..HALF) {
        let back = km(chord(there).expect("not negative"));
        // Near the other end a step of the chord is many of the kilometres.
        let step = 1e-15 * there + 1e-15 * HALF / (1.0 - there / HALF);
        prop_assert!((back - there).abs() <= step, "{there:?} came back as {back:?}");
    }

    #[test]
    fn chord_and_km_grow_together(a in 0.0..HALF, b in 0.0..HALF) {
        let (near, far) = (a.min(b), a.max(b));
        prop_assert!(chord(near).expect("not negative") <= chord(far).expect("not negative"));
        let (near, far) = (near / HALF * 2.0, far / HALF * 2.0);
        prop_assert!(km(near) <= km(far));
        prop_assert!(km(near) <= km(near.next_up()), "{near:?}");
    }

    #[test]
    fn a_ring_holds_the_distances_of_which_the_kilometres_lie_in_the_range(a in place(), b in place(), near in 0.0_f64..1.0, bound in 0.0..25_000.0) {
        let nearby = ((a.0 + near).min(90.0), a.1);
        for d in [distance_of(a, b), distance_of(a, nearby), 2.0 * near, 0.0, 2.0, 2.0_f64.next_up(), 2.0_f64.next_down()] {
            every_form(d, bound, f64::INFINITY);
            // With its own kilometres as a bound.
            every_form(d, km(d), bound.max(km(d)));
            every_form(d, bound.min(km(d)), km(d));
            every_form(d, km(d), km(d));
        }
        for d in around(chord(bound).expect("not negative")) {
            every_form(d, bound, bound);
        }
    }
}

/// A distance and its neighbours, two to either side.
fn around(d: f64) -> [f64; 5] {
    let (down, up) = (d.next_down(), d.next_up());
    [down.next_down(), down, d, up, up.next_up()].map(|d| d.max(0.0))
}

/// A ring of every form of range against the range.
#[track_caller]
fn every_form(d: f64, km_min: f64, km_max: f64) {
    for start in [Included(km_min), Excluded(km_min), Unbounded] {
        for end in [Included(km_max), Excluded(km_max), Unbounded] {
            check_form(d, start, end);
        }
    }
}

#[track_caller]
fn check_form(d: f64, start: Bound<f64>, end: Bound<f64>) {
    let ring = ring((start, end)).expect("legal bounds");
    let found = km(d);
    let is_above = match start {
        Included(km_min) => km_min <= found,
        Excluded(km_min) => km_min < found,
        Unbounded => true,
    };
    let is_below = match end {
        Included(km_max) => found <= km_max,
        Excluded(km_max) => found < km_max,
        Unbounded => true,
    };
    assert_eq!(
        ring.contains(d),
        is_above && is_below,
        "{d:?}, {found:?} km, in {start:?} to {end:?}, which is {ring}"
    );
}

#[test]
fn the_stated_displacement_is_less_than_twice_what_occurs() {
    let moved = |at| {
        let squares = exact(at).into_iter().zip(stored(at));
        let squares = squares.map(|(x, rounded)| (x - f64::from(rounded)).powi(2));
        squares.sum::<f64>().sqrt() * EARTH_RADIUS_KM
    };
    let places = (0..90).flat_map(|lat| (0..180).map(move |lon| (f64::from(lat), f64::from(lon))));
    let largest = places.map(moved).fold(0.0, f64::max);
    let max = displacement_max_km();
    assert!((0.000_325..0.000_33).contains(&max), "{max}");
    assert!((max / 2.0..=max).contains(&largest), "{largest}");
}

#[test]
fn known_distances() {
    let check = |a, b, expected: f64| {
        let found = km(distance_of(a, b));
        assert!(
            (found - expected).abs() < 0.01,
            "{a:?} to {b:?}: {found} km"
        );
    };
    // A degree of a great circle, a quarter of it.
    check((0.0, 10.0), (0.0, 11.0), HALF / 180.0);
    check((40.0, 10.0), (41.0, 10.0), HALF / 180.0);
    check((90.0, 0.0), (0.0, 77.0), HALF / 2.0);
    // Across the antimeridian and across a pole it is as far as elsewhere.
    check((0.0, 179.5), (0.0, -179.5), HALF / 180.0);
    check((-89.5, 20.0), (-89.5, -160.0), HALF / 180.0);
}

#[test]
fn one_place_is_one_point() {
    let bits = |lat, lon| stored((lat, lon)).map(f32::to_bits);
    for lat in [-90.0, -33.7, -0.0, 0.0, 51.1, 90.0] {
        assert_eq!(bits(lat, -180.0), bits(lat, 180.0), "latitude {lat}");
        assert_eq!(bits(lat, -0.0), bits(lat, 0.0), "latitude {lat}");
    }
    for lon in [-180.0, -90.0, -12.3, 0.0, 45.0, 90.0, 180.0] {
        assert_eq!(stored((90.0, lon)), [0.0, 0.0, 1.0], "longitude {lon}");
        assert_eq!(bits(-90.0, lon), bits(-90.0, 0.0), "longitude {lon}");
        assert_eq!(bits(-0.0, lon), bits(0.0, lon), "longitude {lon}");
    }
    assert_eq!(stored((0.0, 0.0)), [1.0, 0.0, 0.0]);
    assert_eq!(stored((0.0, 90.0)), [0.0, 1.0, 0.0]);
    assert_eq!(stored((0.0, -90.0)), [0.0, -1.0, 0.0]);
    assert_eq!(stored((0.0, 180.0)), [-1.0, 0.0, 0.0]);
    assert_eq!(stored((-90.0, 0.0)), [0.0, 0.0, -1.0]);
}

#[test]
fn chords_of_known_kilometres() {
    let check = |km: f64, expected: f64| {
        let found = chord(km).expect("not negative");
        assert!(
            (found - expected).abs() <= 1e-15,
            "{km} km: {found} for {expected}"
        );
    };
    check(0.0, 0.0);
    check(-0.0, 0.0);
    check(HALF / 3.0, 1.0);
    check(HALF / 2.0, 2.0_f64.sqrt());
    for far in [HALF, HALF.next_up(), 30_000.0, f64::INFINITY] {
        assert_eq!(chord(far).expect("not negative"), 2.0);
    }
    for far in [2.0, 2.0_f64.next_up(), 3.0, f64::INFINITY] {
        assert_eq!(km(far), HALF);
    }
    assert_eq!(km(0.0), 0.0);
    assert!(km(f64::NAN).is_nan());
}

/// Places and their antipodes, some of which lie more than 2 apart once they are rounded.
#[test]
fn half_the_circumference_holds_antipodes() {
    let places = (-9..=9).flat_map(|lat| (0..18).map(move |lon| (lat * 10, lon * 10)));
    let places: Vec<(f64, f64)> = places
        .map(|(lat, lon)| (f64::from(lat), f64::from(lon)))
        .collect();
    let mut farther = 0;
    for &(lat, lon) in &places {
        let mut db = RingDb::new(RingDbConfig::new(3)).unwrap();
        db.add_vector(&stored((-lat, lon - 180.0)), ()).unwrap();
        let db = db.build().unwrap();
        let count = |ring: Ring| {
            let here = stored((lat, lon));
            db.search(&here).in_ring(ring).count().unwrap()
        };
        farther += count(Ring::from_bounds((Excluded(2.0), Unbounded)).unwrap());
        for km_max in [HALF, 20_016.0, 1e300, f64::INFINITY] {
            assert_eq!(count(ring(..=km_max).unwrap()), 1, "{lat}, {lon}");
        }
        for km_max in [HALF.next_up(), 20_016.0, f64::INFINITY] {
            assert_eq!(count(ring(..km_max).unwrap()), 1, "{lat}, {lon}");
        }
        assert_eq!(count(ring(20_000.0..).unwrap()), 1, "{lat}, {lon}");
        assert_eq!(count(ring(20_016.0..).unwrap()), 0, "{lat}, {lon}");
        let beyond = (Excluded(HALF), Unbounded);
        assert_eq!(count(ring(beyond).unwrap()), 0, "{lat}, {lon}");
    }
    assert!(farther > 0, "none was rounded outwards");
}

#[test]
fn a_range_of_one_number_is_no_error() {
    for a in [
        0.0,
        5e-324,
        1e-300,
        0.3,
        0.7,
        1.0,
        500.0,
        20_015.0,
        HALF,
        30_000.0,
        f64::INFINITY,
    ] {
        for d in around(chord(a).unwrap()) {
            every_form(d, a, a);
        }
    }
}

#[test]
fn what_is_no_place_is_named() {
    let check = |(lat, lon): Degrees, expected: &str| {
        let error = point(lat, lon).expect_err(expected);
        assert!(
            matches!(error, RingDbError::InvalidPlace { .. }),
            "{error:?}"
        );
        assert_eq!(error.to_string(), expected);
    };
    check((90.1, 0.0), "latitude 90.1 is not from -90 to 90 degrees");
    check(
        (90.0, 181.0),
        "longitude 181 is not from -180 to 180 degrees",
    );
    check(
        (0.0, -180.5),
        "longitude -180.5 is not from -180 to 180 degrees",
    );
    check(
        (0.0, 200.0),
        "longitude 200 is not from -180 to 180 degrees",
    );
    check(
        (f64::NAN, 0.0),
        "latitude NaN is not from -90 to 90 degrees",
    );
    check(
        (0.0, f64::NAN),
        "longitude NaN is not from -180 to 180 degrees",
    );
    check(
        (0.0, f64::INFINITY),
        "longitude inf is not from -180 to 180 degrees",
    );
    check(
        (f64::NEG_INFINITY, f64::NAN),
        "latitude -inf is not from -90 to 90 degrees",
    );
}

#[test]
fn what_are_no_kilometres_is_named() {
    let check = |error: Option<RingDbError>, expected: &str| {
        let error = error.expect(expected);
        assert!(
            matches!(error, RingDbError::InvalidBounds { .. }),
            "{error:?}"
        );
        assert_eq!(error.to_string(), format!("invalid bounds: {expected}"));
    };
    check(chord(-1.0).err(), "km: -1");
    check(chord(f64::NAN).err(), "km: NaN");
    check(chord(f64::NEG_INFINITY).err(), "km: -inf");
    check(ring(-0.5..1.0).err(), "km_min: -0.5");
    check(ring(..-0.5).err(), "km_max: -0.5");
    check(ring(f64::NAN..).err(), "km_min: NaN");
    check(ring(..=f64::NAN).err(), "km_max: NaN");
    check(ring(2.0..1.0).err(), "km_min greater than km_max: 2");
    check(
        ring(40_000.0..=30_000.0).err(),
        "km_min greater than km_max: 40000",
    );
}
