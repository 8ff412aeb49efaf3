//! Rows of few dims with their boxes: places on the earth, and uniform rows.

use std::io::Read;
use std::path::Path;
use std::time::Instant;

use ringdb::geo::point;
use ringdb_index::{Arranged, BoxFrame, Boxes, Rows, Segment, arrange};
use ringdb_storage::{DerivedWriter, Segment as Kept, Vectors};
use serde::Deserialize;

use crate::SEED;
use crate::data::{bytes, fill_uniform, keep};
use crate::peers::Result;

/// The places, in the folder that a person names.
pub const CITIES: &str = "cities.csv";

/// Coordinates of a place on the unit sphere.
const PLACE_DIMS: usize = 3;

/// Rows in memory with their boxes.
#[derive(Debug)]
pub struct FewDims {
    kept: Kept<()>,
    frame: BoxFrame,
    /// How long it took to make the boxes.
    pub seconds: f64,
    /// One line on what the rows are.
    pub origin: String,
}

impl FewDims {
    /// All places of `cities.csv` in `folder`, or as many as `n_rows`, each on the unit sphere.
    ///
    /// # Errors
    /// When the file cannot be read, or has what is no place.
    pub fn cities(folder: &Path, n_rows: usize) -> Result<Self> {
        let path = folder.join(CITIES);
        let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let file = std::fs::File::open(&path).map_err(|error| named(&error))?;
        let mut rows = places(file).map_err(|error| named(&error))?;
        rows.truncate(n_rows * PLACE_DIMS);
        let origin = format!("places of {CITIES} on the unit sphere");
        Self::new(rows, PLACE_DIMS, origin)
    }

    /// Rows with every coordinate uniform in [0, 1).
    ///
    /// # Errors
    /// When memory is full.
    pub fn uniform(n_rows: usize, dims: usize) -> Result<Self> {
        let mut rows = vec![0.0; n_rows * dims];
        fill_uniform(&mut rows, dims, 0.0..1.0);
        Self::new(rows, dims, format!("uniform in [0, 1), seed {SEED}"))
    }

    fn new(rows: Vec<f32>, dims: usize, origin: String) -> Result<Self> {
        let frame = BoxFrame::new(rows.len() / dims, dims)?;
        let mut seconds = 0.0;
        let derive = |vectors: &Vectors, writer: &mut DerivedWriter<'_>| -> Result<()> {
            let rows = Rows::new(vectors.as_slice(), dims)?;
            let start = Instant::now();
            writer.reserve_blocks(frame.blocks_bytes(), frame.order_bytes())?;
            arrange(rows, |more: Arranged<'_>| -> Result<()> {
                writer.blocks(more.blocks)?;
                Ok(writer.order(more.order)?)
            })?;
            seconds = start.elapsed().as_secs_f64();
            Ok(())
        };
        Ok(Self {
            kept: keep(rows, dims, derive)?,
            frame,
            seconds,
            origin,
        })
    }

    /// The rows as the index sees them.
    ///
    /// # Panics
    /// If there are more rows than ids.
    #[must_use]
    pub fn view(&self) -> Rows<'_> {
        Rows::new(self.kept.vectors.as_slice(), self.frame.dims()).expect("whole rows")
    }

    /// The rows with their boxes.
    ///
    /// # Panics
    /// If the boxes are not those of the rows.
    #[must_use]
    pub fn segment(&self) -> Segment<'_> {
        let (blocks, order) = (bytes(&self.kept.blocks), bytes(&self.kept.order));
        let boxes = Boxes::new(self.frame, blocks, order).expect("boxes");
        let segment = Segment::new(self.view()).and_boxes(boxes);
        segment.expect("boxes of these rows")
    }

    /// So many stored rows, spread evenly over all of them, or all if there are fewer.
    #[must_use]
    pub fn queries(&self, count: usize) -> Vec<Vec<f32>> {
        let rows = self.view();
        let count = count.min(rows.len());
        let ids = (0..count).map(|number| number * rows.len() / count);
        ids.filter_map(|id| rows.row(id as u32))
            .map(<[f32]>::to_vec)
            .collect()
    }
}

/// What is read of a line; other columns are passed over.
#[derive(Deserialize)]
struct Place {
    lat: f64,
    lon: f64,
}

/// The places of a table with columns `lat` and `lon`, in degrees.
fn places(table: impl Read) -> Result<Vec<f32>> {
    let mut rows = Vec::new();
    for (number, place) in csv::Reader::from_reader(table).deserialize().enumerate() {
        let Place { lat, lon } = place?;
        let point = point(lat, lon).map_err(|error| format!("place {number}: {error}"))?;
        rows.extend(point);
    }
    if rows.is_empty() {
        return Err("no places".into());
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use ringdb::geo::chord;

    use super::*;

    const HEAD: &str = "name,country,lat,lon\n";

    #[test]
    fn places_lie_as_far_apart_as_on_the_earth() {
        let table =
            format!("{HEAD}\"Greenwich, London\",GB,51.47783,0\nParis,FR,48.85341,2.3488\n");
        let rows = places(table.as_bytes()).expect("two places");
        let found = ringdb_index::distance(&rows[..3], &rows[3..]);
        // By the haversine formula 336.34 km.
        let [from, to] = [336.33, 336.34].map(|km| chord(km).expect("a way along the earth"));
        assert!((from..to).contains(&found), "{found}");
    }

    fn check_error(table: &str, expected: &str) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join(CITIES), table).expect("a small file");
        let error = FewDims::cities(folder.path(), 10).expect_err("no places");
        let error = error.to_string();
        assert!(
            error.contains(CITIES) && error.contains(expected),
            "{error}"
        );
    }

    #[test]
    fn a_table_without_places_is_named() {
        check_error(HEAD, "no places");
        check_error("name,lat\nParis,48\n", "lon");
        check_error("lat,lon\n48.9,east\n", "line: 2");
        check_error("lat,lon\n1,2\n-90.5,7\n", "place 1: latitude -90.5 is not");
        check_error("lat,lon\nNaN,0\n", "place 0: latitude NaN is not");
        check_error("lat,lon\n0,180.1\n", "place 0: longitude 180.1 is not");
    }

    #[test]
    fn a_folder_without_places_is_named() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let error = FewDims::cities(folder.path(), 10).expect_err("no file");
        assert!(error.to_string().contains(CITIES), "{error}");
    }

    #[test]
    fn queries_are_rows_from_first_to_last() {
        let few = FewDims::uniform(1000, 2).expect("memory");
        let rows = few.view();
        assert!((0..1000).all(|id| rows.row(id).is_some_and(is_in_unit_square)));
        let stored = [0, 250, 500, 750].map(|id| rows.row(id).map(<[f32]>::to_vec));
        let queries: Vec<_> = few.queries(4).into_iter().map(Some).collect();
        assert_eq!(queries, stored);
        assert_eq!(few.queries(2000).len(), 1000);
    }

    fn is_in_unit_square(row: &[f32]) -> bool {
        row.len() == 2 && row.iter().all(|value| (0.0..1.0).contains(value))
    }
}
