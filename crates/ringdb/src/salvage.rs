//! [`verify`] and [`salvage`]: what is damaged in a database directory, and what is left of it.
//!
//! Storage does the work; what a coordinate may be is said here.

use std::path::Path;

use ringdb_storage::{Report, Salvaged, SalvagedRow};

use crate::error::Result;
use crate::open::not_finite;

/// Reads all of the database in `dir` and names everything that is damaged, by file and byte: MANIFEST,
/// headers, tables, blocks, payloads, and coordinates that are not finite. It goes on after damage. Takes
/// no lock, writes nothing, and needs no type of payloads.
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
    Ok(ringdb_storage::verify(dir, Some(not_finite))?)
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
    ringdb_storage::salvage(from, to, keep_vectors, Some(not_finite), each)
}
