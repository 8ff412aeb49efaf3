//! Places on earth as vectors: degrees into points of the unit sphere, kilometres into distances between points.
//!
//! The model is a sphere of the radius [`EARTH_RADIUS_KM`], and kilometres are measured along it. On the ellipsoid that
//! maps use they differ by up to about half a percent: most, 0.56 %, from north to south at the equator. The
//! antimeridian and the poles need no care: the sphere has no seam.
//!
//! A point is rounded to `f32`, which moves the place: each of its three coordinates by at most half a step, 2^-25, so
//! all of it by at most sqrt(3) 2^-25 of the radius, 0.33 m. Searches are exact for the points as stored. Two places are
//! then at most 0.7 m nearer or farther than they were given if they lie within 2 500 km, and at most 1 m within
//! 10 000 km. Near the other end of the earth a chord hardly grows with the kilometres, and these may be up to 4.1 km
//! off.
//!
//! Sines and their inverse are those of the crate `libm`, so that a place is the same point, and a distance as many
//! kilometres, on every machine.
//!
//! Invariant: a ring of kilometres holds the distances of which [`km`] lies in the range.
//!
//! ```
//! use ringdb::{RingDb, RingDbConfig, geo};
//!
//! # fn main() -> ringdb::Result<()> {
//! let mut db = RingDb::new(RingDbConfig::new(3))?;
//! for (name, lat, lon) in [
//!     ("Neutral Bay", -33.83784, 151.2175),
//!     ("Kurraba Point", -33.84235, 151.22256),
//!     ("Kirribilli", -33.84867, 151.2162),
//! ] {
//!     db.add_vector(&geo::point(lat, lon)?, name.to_string())?;
//! }
//! let db = db.build()?;
//!
//! // Between 500 m and 1 km of Neutral Bay.
//! let here = geo::point(-33.83784, 151.2175)?;
//! let found = db.search(&here).in_ring(geo::ring(0.5..=1.0)?).distances().run()?;
//! assert_eq!(found.ids, [1]);
//! let km = geo::km(found.distances.unwrap_or_default()[0]);
//! assert_eq!(format!("{km:.2}"), "0.69");
//! # Ok(())
//! # }
//! ```

use std::f64::consts::FRAC_PI_2;
use std::ops::{Bound, RangeBounds};

use ringdb_index::Ring;

use crate::error::{Result, RingDbError};

/// The mean radius of the earth, that of the ellipsoid GRS 80: a third of twice the equatorial radius and the
/// polar one.
pub const EARTH_RADIUS_KM: f64 = 6371.0088;

/// No two places are farther apart along the sphere.
const HALF_CIRCUMFERENCE_KM: f64 = 2.0 * EARTH_RADIUS_KM * FRAC_PI_2;

/// The point of the unit sphere at a latitude and a longitude in degrees, north and east positive: computed in
/// `f64`, each coordinate rounded once to `f32`.
///
/// Both ends of both ranges are taken: -180 and 180 degrees are the same longitude, and at a pole all longitudes are.
/// Longitudes from 180 to 360 are not taken: they would hide that latitude and longitude were swapped or
/// mistyped; write 200 as -160.
///
/// # Errors
/// [`InvalidPlace`](RingDbError::InvalidPlace) for a latitude that is not from -90 to 90, a longitude that is not from
/// -180 to 180, or NaN.
pub fn point(lat: f64, lon: f64) -> Result<[f32; 3]> {
    let (sin_lat, cos_lat) = sin_cos(degrees("latitude", lat, 90.0)?);
    let (sin_lon, cos_lon) = sin_cos(degrees("longitude", lon, 180.0)?);
    // Adding 0 turns -0.0 into 0.0: one place, one point, bit for bit.
    Ok([cos_lat * cos_lon, cos_lat * sin_lon, sin_lat].map(|x| x as f32 + 0.0))
}

/// The distance between two points of the unit sphere that lie so many kilometres apart along the earth:
/// `2 sin(km / 2R)`, and 2 from half the circumference on, also for infinity.
///
/// # Errors
/// [`InvalidBounds`](RingDbError::InvalidBounds) for kilometres that are NaN or negative.
pub fn chord(km: f64) -> Result<f64> {
    Ok(chord_of(non_negative("km", km)?))
}

/// The kilometres along the earth between two points at this distance: the inverse of [`chord`],
/// `2R asin(chord / 2)`. From 2 on it is half the circumference, 20 015.1 km: points that were rounded may be farther
/// than 2 from each other, places may not. NaN stays NaN.
#[must_use]
pub fn km(chord: f64) -> f64 {
    2.0 * EARTH_RADIUS_KM * libm::asin((chord / 2.0).clamp(-1.0, 1.0))
}

/// The ring of the distances of which [`km`] lies in a range: `0.5..=1.0`, `..2.5`, `100.0..`, or a pair of
/// [`Bound`]s.
///
/// Used as an inclusive bound, [`km`] of a hit's distance holds that hit. An inclusive upper bound of half the
/// circumference or more holds every place, antipodes as well; a lower bound above it holds none.
///
/// # Errors
/// [`InvalidBounds`](RingDbError::InvalidBounds) if a bound is NaN or negative, or the start is greater than the end.
pub fn ring(range: impl RangeBounds<f64>) -> Result<Ring> {
    let (start, end) = (range.start_bound().cloned(), range.end_bound().cloned());
    let (km_min, km_max) = (value(start, 0.0), value(end, f64::INFINITY));
    let km_min = non_negative("km_min", km_min)?;
    let km_max = non_negative("km_max", km_max)?;
    if km_min > km_max {
        return Err(RingDbError::InvalidBounds {
            what: "km_min greater than km_max",
            value: km_min,
        });
    }
    let start = match start {
        Bound::Excluded(_) => Bound::Excluded(greatest_within(km_min)),
        _ => Bound::Included(least_reaching(km_min)),
    };
    let end = match end {
        Bound::Excluded(_) => Bound::Excluded(least_reaching(km_max)),
        _ => Bound::Included(greatest_within(km_max)),
    };
    let (d_min, d_max) = (value(start, 0.0), value(end, f64::INFINITY));
    if d_min > d_max {
        // A single number of kilometres that is no distance's: a ring without any.
        return Ok(Ring::from_bounds((
            Bound::Excluded(d_max),
            Bound::Excluded(d_max),
        ))?);
    }
    Ok(Ring::from_bounds((start, end))?)
}

fn degrees(what: &'static str, value: f64, max: f64) -> Result<f64> {
    match (-max..=max).contains(&value) {
        true => Ok(value),
        false => Err(RingDbError::InvalidPlace { what, value, max }),
    }
}

fn non_negative(what: &'static str, value: f64) -> Result<f64> {
    match value >= 0.0 {
        true => Ok(value),
        false => Err(RingDbError::InvalidBounds { what, value }),
    }
}

fn value(bound: Bound<f64>, unbounded: f64) -> f64 {
    match bound {
        Bound::Included(value) | Bound::Excluded(value) => value,
        Bound::Unbounded => unbounded,
    }
}

/// Sine and cosine of at most 180 degrees either way. Whole quarters of a turn are taken away first, without rounding,
/// so that they give 0 and 1 and not almost.
fn sin_cos(degrees: f64) -> (f64, f64) {
    let quarters = (degrees / 90.0).round();
    let (sin, cos) = libm::sincos((degrees - 90.0 * quarters).to_radians());
    match quarters as i8 {
        0 => (sin, cos),
        1 => (cos, -sin),
        -1 => (-cos, sin),
        _ => (-sin, -cos),
    }
}

fn chord_of(km: f64) -> f64 {
    match km < HALF_CIRCUMFERENCE_KM {
        true => 2.0 * libm::sin(km / (2.0 * EARTH_RADIUS_KM)),
        false => 2.0,
    }
}

/// The least distance that is at least `bound` kilometres: infinity if there is none.
///
/// The chord of the kilometres, rounded, is at most a few steps away, because no step of a chord is less in kilometres
/// than a few of their own; the loops walk those.
fn least_reaching(bound: f64) -> f64 {
    if bound > HALF_CIRCUMFERENCE_KM {
        return f64::INFINITY;
    }
    let mut chord = chord_of(bound);
    while chord > 0.0 && km(chord.next_down()) >= bound {
        chord = chord.next_down();
    }
    // Ends at 2 at the latest.
    while km(chord) < bound {
        chord = chord.next_up();
    }
    chord
}

/// The greatest distance that is at most `bound` kilometres: infinity if all are.
fn greatest_within(bound: f64) -> f64 {
    if bound >= HALF_CIRCUMFERENCE_KM {
        return f64::INFINITY;
    }
    let mut chord = chord_of(bound);
    // Ends at 0 at the latest.
    while km(chord) > bound {
        chord = chord.next_down();
    }
    // Ends before 2 at the latest.
    while km(chord.next_up()) <= bound {
        chord = chord.next_up();
    }
    chord
}
