//! [`verify`], [`salvage`] and [`rebuild_codes`]: what is damaged in a database directory, what is left of
//! it, and what can be computed again.
//!
//! Storage does the work; what a coordinate may be is said here.

use std::path::Path;

use ringdb_index::check_environment;
use ringdb_storage::{DerivedWriter, Report, Salvaged, SalvagedRow, Vectors};

use crate::derived::DerivedVectors;
use crate::error::Result;
use crate::open::not_finite;
use crate::rules::{Boxes, Codes, Rules};

/// Reads all of the database in `dir` and names everything that is damaged, by file and byte: MANIFEST,
/// headers, tables, blocks, payloads, coordinates that are not finite, and codes that are none of these
/// vectors. It goes on after damage. Takes no lock, writes nothing, and needs no type of payloads.
///
/// Mapped files must not be modified meanwhile. Directories of ring-db have no checksums; of them it says
/// what [`RingDb::load`](crate::RingDb::load) finds.
///
/// ```
/// use ringdb::{RingDb, RingDbConfig};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// let mut db = RingDb::new(RingDbConfig::new(1).with_persist_dir(dir.path()))?;
/// db.add_vector(&[1.0], "monday".to_string())?;
/// db.build()?;
///
/// let report = ringdb::verify(dir.path())?;
/// assert!(report.is_whole());
/// assert_eq!((report.files, report.rows, report.payloads), (4, 1, 1));
///
/// let path = dir.path().join("segment-000001/vectors.bin");
/// let mut bytes = std::fs::read(&path)?;
/// bytes[64] ^= 1;
/// std::fs::write(&path, bytes)?;
/// let report = ringdb::verify(dir.path())?;
/// assert_eq!((&report.damage[0].path, report.damage[0].offset), (&path, 64));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Only if there is nothing to look at: [`Io`](crate::RingDbError::Io) (`NotFound`) if there is no such
/// directory, [`NotADatabase`](crate::RingDbError::NotADatabase),
/// [`UnsupportedVersion`](crate::RingDbError::UnsupportedVersion).
pub fn verify(dir: &Path) -> Result<Report> {
    let report = ringdb_storage::verify_with(dir, Some(not_finite), |segment| {
        DerivedVectors::of(segment).map(drop)
    });
    Ok(report?)
}

/// Makes a new database in `to` of what is whole in `from`, which is not changed. The vectors keep their
/// order and get new ids; payloads are copied as they are stored, whatever their type is.
///
/// A vector is left out if no checksum proves it whole, if it has a coordinate that is not finite, or if
/// its payload is damaged. With `keep_vectors`, one whose payload alone is lost is kept with a payload of
/// no bytes, which most types do not decode from; of zeros with
/// [`PayloadCodec::Pod`](crate::PayloadCodec::Pod), and of `null` with
/// [`PayloadCodec::JsonText`](crate::PayloadCodec::JsonText).
///
/// Codes and boxes are not opened: the new database gets its own if the old one had some by its MANIFEST, damaged
/// or not ([`Codes::Keep`], [`Boxes::Keep`]).
///
/// `each` is told what becomes of every vector, in order of the old ids and before the new database comes
/// into being; an error that it returns ends the salvage. After any error there is no new database, but
/// for `DurabilityUnknown`.
///
/// ```
/// use ringdb::{RingDb, RingDbConfig};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let (old, new) = (dir.path().join("old"), dir.path().join("new"));
/// let mut db = RingDb::new(RingDbConfig::new(1).with_persist_dir(&old))?;
/// db.add_vector(&[1.0], "monday".to_string())?;
/// db.build()?;
/// std::fs::remove_file(old.join("MANIFEST"))?;
///
/// let mut lost = Vec::new();
/// let salvaged = ringdb::salvage(&old, &new, false, |row| {
///     lost.extend(row.loss);
///     Ok(())
/// })?;
/// assert_eq!((salvaged.kept, lost), (1, vec![]));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`Io`](crate::RingDbError::Io) (`NotFound` if there is no directory `from`, `Unsupported` for one of
/// ring-db, which has no checksums), [`NotADatabase`](crate::RingDbError::NotADatabase),
/// [`UnsupportedVersion`](crate::RingDbError::UnsupportedVersion),
/// [`Corrupt`](crate::RingDbError::Corrupt) if nothing tells what was in it,
/// [`AlreadyExists`](crate::RingDbError::AlreadyExists) if `to` holds a database or what is left of one;
/// [`NothingToSalvage`](crate::RingDbError::NothingToSalvage) if there were vectors and none can be kept;
/// those of [`RingDb::build`](crate::RingDb::build); what `each` returns.
pub fn salvage(
    from: &Path,
    to: &Path,
    keep_vectors: bool,
    each: impl FnMut(SalvagedRow) -> Result<()>,
) -> Result<Salvaged> {
    check_environment()?;
    let rules = Rules {
        codes: Codes::Keep,
        boxes: Boxes::Keep,
    };
    let derive = |vectors: &Vectors, writer: &mut DerivedWriter<'_>| rules.derive(vectors, writer);
    ringdb_storage::salvage(from, to, keep_vectors, Some(not_finite), derive, each)
}

/// What [`rebuild_codes`] left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rebuilt {
    /// Number of vectors.
    pub vectors: usize,
    /// Coordinates per vector.
    pub dims: usize,
    /// Whether the database has codes now.
    pub has_codes: bool,
    /// Whether it has a prefix with them.
    pub has_prefix: bool,
    /// Whether it has boxes now.
    pub has_boxes: bool,
}

/// Makes the codes and boxes of the database in `dir` anew, or takes them away, as `codes` and `boxes` say: with
/// [`Codes::Keep`] it has codes afterwards if its MANIFEST names some, and a prefix if it names one, and with
/// [`Boxes::Keep`] boxes if it names them, so that damaged ones are mended and none are added.
/// Vectors, ids and payloads stay the same, whatever the type of the payloads is, and so do their codec and
/// the name of their type.
///
/// The codes and boxes that it has are not read and may be damaged or missing. All else is checked, as by
/// [`verify`]. The new database is written beside the old one, which takes as much disk
/// again, and takes its place in one step; whoever has the old one open keeps it.
///
/// ```
/// use ringdb::{Boxes, BuildOptions, Codes, RingDb};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// let mut db: RingDb<String> = BuildOptions::new(1).persist(dir.path()).codes(Codes::Off).create()?;
/// db.add_vector(&[1.0], "monday".to_string())?;
/// assert!(!db.build()?.has_codes());
///
/// assert!(ringdb::rebuild_codes(dir.path(), Codes::On, Boxes::Keep)?.has_codes);
/// assert!(ringdb::rebuild_codes(dir.path(), Codes::Keep, Boxes::Keep)?.has_codes);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Those of [`OpenOptions::open`](crate::OpenOptions::open) but `TypeMismatch`, and of
/// [`RingDb::build`](crate::RingDb::build); [`Io`](crate::RingDbError::Io) (`Unsupported`) for a directory
/// of ring-db, which can have no codes;
/// [`TooManyDimsForBoxes`](crate::RingDbError::TooManyDimsForBoxes); [`Locked`](crate::RingDbError::Locked) if a builder is at work in
/// it. The database stays what it was after all of them but
/// [`DurabilityUnknown`](crate::RingDbError::DurabilityUnknown).
pub fn rebuild_codes(dir: &Path, codes: Codes, boxes: Boxes) -> Result<Rebuilt> {
    check_environment()?;
    let rules = Rules { codes, boxes };
    let derive = |vectors: &Vectors, writer: &mut DerivedWriter<'_>| rules.derive(vectors, writer);
    let segment = ringdb_storage::rederive(dir, Some(not_finite), derive)?;
    let (rows, _) = DerivedVectors::of(segment)?;
    Ok(Rebuilt {
        vectors: rows.vectors.len(),
        dims: rows.vectors.dims(),
        has_codes: rows.has_codes(),
        has_prefix: rows.has_prefix(),
        has_boxes: rows.has_boxes(),
    })
}
