//! Places on earth on the command line, and what must hold before distances are kilometres.

use std::path::Path;

use ringdb::{SealedRingDb, geo};

use crate::error::Error;

/// Coordinates of a place in a database.
pub(crate) const DIMS: usize = 3;

/// How far from 1 the length of a place can be: rounding to `f32` makes it at most 5.2e-8 longer or shorter.
const LENGTH_OFF_MAX: f64 = 1e-6;

/// A point of the unit sphere.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Place(pub(crate) [f32; DIMS]);

/// Reads `-33.87,151.21`.
pub(crate) fn parse(text: &str) -> Result<Place, String> {
    let (lat, lon) = text
        .split_once(',')
        .ok_or("a place is written as latitude and longitude in degrees, such as -33.87,151.21")?;
    let point = geo::point(degrees(lat)?, degrees(lon)?);
    point.map(Place).map_err(|error| error.to_string())
}

fn degrees(word: &str) -> Result<f64, String> {
    let word = word.trim();
    word.parse().map_err(|_| format!("'{word}' is no number"))
}

/// Distances of a database are no kilometres unless all that it holds are places.
pub(crate) fn check_database(path: &Path, db: &SealedRingDb) -> Result<(), Error> {
    if db.dims() != DIMS {
        return Err(Error::KmDims {
            path: path.into(),
            dims: db.dims(),
        });
    }
    for id in 0..db.len() as u32 {
        let vector = db.vector(id).map_err(|source| Error::Query {
            path: path.into(),
            source,
        })?;
        check_vector(&vector, || format!("vector {id} of {}", path.display()))?;
    }
    Ok(())
}

/// Distances from another vector are no kilometres. The vector is called by `name` in what is wrong with it.
pub(crate) fn check_vector(vector: &[f32], name: impl FnOnce() -> String) -> Result<(), Error> {
    let squares = vector.iter().map(|&x| f64::from(x) * f64::from(x));
    let length = squares.sum::<f64>().sqrt();
    match (length - 1.0).abs() > LENGTH_OFF_MAX {
        true => Err(Error::KmLength {
            name: name(),
            length,
        }),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<(f64, f64), &str>) {
        let expected = expected
            .map(|(lat, lon)| Place(geo::point(lat, lon).expect("a place")))
            .map_err(str::to_owned);
        assert_eq!(parse(text), expected, "{text}");
    }

    #[test]
    fn places_are_two_numbers() {
        check("-33.87,151.21", Ok((-33.87, 151.21)));
        check(" 90 , -180 ", Ok((90.0, 180.0)));
        check("1e1,+2", Ok((10.0, 2.0)));
        let form = "a place is written as latitude and longitude in degrees, such as -33.87,151.21";
        check("", Err(form));
        check("-33.87 151.21", Err(form));
        check("-33.87,151.21,5", Err("'151.21,5' is no number"));
        check("-33.87,", Err("'' is no number"));
        check("33S,151.21", Err("'33S' is no number"));
        check(
            "151.21,-33.87",
            Err("latitude 151.21 is not from -90 to 90 degrees"),
        );
        check(
            "0,180.5",
            Err("longitude 180.5 is not from -180 to 180 degrees"),
        );
        check("NaN,0", Err("latitude NaN is not from -90 to 90 degrees"));
    }

    #[test]
    fn only_what_rounding_explains_passes_for_length_one() {
        let length = |vector: &[f32]| match check_vector(vector, || "it".into()) {
            Ok(()) => None,
            Err(error) => Some(error.to_string()),
        };
        assert_eq!(length(&[0.6, 0.8, 0.0]), None);
        assert_eq!(length(&[0.0, 1.000_000_5, 0.0]), None);
        for (x, shown) in [
            (0.999_998, "0.9999979734420776"),
            (2.0, "2"),
            (0.0, "0"),
            (f32::INFINITY, "inf"),
        ] {
            assert_eq!(
                length(&[0.0, x, 0.0]),
                Some(format!(
                    "it has length {shown}, and --km measures between places, which have length 1"
                ))
            );
        }
    }
}
