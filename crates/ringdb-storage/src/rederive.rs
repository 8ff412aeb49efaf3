//! Makes the derived files of a database anew.
//!
//! Invariant: rows and payloads of the new database are those of the old one, all of which was seen to be
//! whole; its derived files are not read. The one takes the place of the other in one step.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use crate::contents::expect_dir;
use crate::derived::DerivedWriter;
use crate::disk::{self, Disk};
use crate::error::{Error, Result};
use crate::layout::MANIFEST;
use crate::manifest::Manifest;
use crate::options::{PayloadType, ReadOptions};
use crate::segment::Segment;
use crate::staging::Staging;
use crate::survey::is_legacy;
use crate::vectors::{RowCheck, Vectors};
use crate::writer::SegmentWriter;

/// Replaces the database in `dir` by its next generation: the same rows, payloads, codec and name of their
/// type, with the files that `derive` makes of the rows, as for [`SegmentWriter::finish_with`], and no
/// others. Takes as much room again on disk until the old one is removed.
///
/// The old derived files are not opened: they may be damaged or missing. All else is checked, each
/// coordinate by `row_check` too, and damage of it is an error. Readers keep the generation that they
/// opened.
///
/// # Errors
/// Those of [`Segment::open`] but `TypeMismatch`, and of [`SegmentWriter::finish_with`];
/// [`Error::Io`] (`Unsupported`) for a directory of ring-db; [`Error::Locked`] if a writer is at work;
/// what `derive` returns. The database stays what it was after all of them but
/// [`Error::DurabilityUnknown`].
pub fn rederive<E: From<Error>>(
    dir: &Path,
    row_check: Option<RowCheck>,
    derive: impl FnOnce(&Vectors, &mut DerivedWriter<'_>) -> std::result::Result<(), E>,
) -> std::result::Result<Segment<()>, E> {
    let writer = copied(&disk::real(), dir, row_check)?;
    writer.finish_with(derive)
}

/// A writer that holds all that is in `dir` and will replace it.
fn copied(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    row_check: Option<RowCheck>,
) -> Result<SegmentWriter<()>> {
    let dir = &std::path::absolute(dir).map_err(Error::io("find", dir))?;
    expect_dir(&**disk, dir)?;
    // A writer would make a database where there is none.
    if Manifest::read(&**disk, &dir.join(MANIFEST))?.is_none() {
        return Err(match is_legacy(&**disk, dir)? {
            true => {
                let what = "directories of ring-db have no derived files such as codes.bin";
                let source = std::io::Error::new(ErrorKind::Unsupported, what);
                Error::io("rebuild", dir)(source)
            }
            false => Error::NotADatabase {
                path: dir.to_path_buf(),
            },
        });
    }
    // Locked before it is opened: what another writer puts in its place meanwhile would be lost.
    let staging = Staging::begin(Arc::clone(disk), dir, true)?;
    let mut options = ReadOptions::new()
        .payload_type(PayloadType::Any)
        .skip_derived(true);
    options.row_check = row_check;
    let Segment {
        vectors, payloads, ..
    } = Segment::<()>::open_on(&**disk, dir, &options)?;
    let (dims, kind) = (vectors.dims(), payloads.kind());
    let writer = SegmentWriter::staged(staging, dims, kind.codec)?;
    let mut writer = writer.of_kind(kind.clone());
    // Ids are u32, and so is their number.
    for id in 0..vectors.len() as u32 {
        writer.push_encoded(vectors.row(id)?, payloads.fetch_bytes(id)?)?;
    }
    Ok(writer)
}
