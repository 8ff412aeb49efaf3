//! Makes the derived files of a database anew.
//!
//! Invariant: rows and payloads of the new database are those of the old one: rows in copies that fit the
//! checksums it was opened with, payloads in copies that fit their own, which bind them to it. Its derived files
//! are not read. The one takes the place of the other in one step.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use crate::body::Verify;
use crate::contents::expect_dir;
use crate::derived::DerivedWriter;
use crate::disk::{self, Disk};
use crate::error::{Error, Result};
use crate::layout::MANIFEST;
use crate::manifest::Manifest;
use crate::options::{PayloadType, ReadOptions};
use crate::row_copy::RowCopy;
use crate::segment::Segment;
use crate::staging::Claimed;
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
    rederive_on(&disk::real(), dir, row_check, derive)
}

/// As [`rederive`], on a disk of the caller's.
///
/// # Errors
/// As [`rederive`].
#[doc(hidden)]
pub fn rederive_on<E: From<Error>>(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    row_check: Option<RowCheck>,
    derive: impl FnOnce(&Vectors, &mut DerivedWriter<'_>) -> std::result::Result<(), E>,
) -> std::result::Result<Segment<()>, E> {
    let writer = copied(disk, dir, row_check)?;
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
    let claimed = Claimed::on(Arc::clone(disk), dir, true)?;
    let mut options = ReadOptions::new()
        .payload_type(PayloadType::Any)
        .skip_derived(true);
    options.row_check = row_check;
    let Segment {
        vectors, payloads, ..
    } = Segment::<()>::open_on(&**disk, dir, &options.verify(Verify::Lazy))?;
    let (dims, kind, sums) = (vectors.dims(), payloads.kind(), vectors.sums()?);
    let writer = SegmentWriter::staged(claimed.stage()?, dims, kind.codec)?;
    let mut writer = writer.of_kind(kind.clone());
    let (mut row_copy, mut payload_copy) = (RowCopy::default(), Vec::new());
    // Ids are u32, and so is their number.
    for id in 0..vectors.len() as u32 {
        let row = vectors.copy_row(id, &sums, &mut row_copy)?;
        writer.push_encoded(row, payloads.copy_bytes(id, &mut payload_copy)?)?;
    }
    // Not before all is proven: what dead writers left may be the last that is whole.
    writer.collect()?;
    Ok(writer)
}

#[cfg(all(test, feature = "sim"))]
mod tests {
    use super::*;
    use crate::disk::{Failure, Fault, FaultyDisk, Loss, SimDisk};
    use crate::payload::PayloadCodec;

    const DIR: &str = "/db";

    /// The codes of the database that is there, whose rows and payloads are those of [`before`].
    fn codes(disk: &SimDisk) -> Option<Vec<u8>> {
        let segment = Segment::<u64>::open_on(disk, Path::new(DIR), &ReadOptions::new()).unwrap();
        assert_eq!(segment.vectors.as_slice(), [0.0, 1.0, 2.0]);
        assert_eq!(segment.payloads.fetch_many(&[0, 1, 2]).unwrap(), [0, 7, 14]);
        segment.codes.map(|codes| codes.bytes().to_vec())
    }

    /// A disk on which three rows without codes are durable.
    fn before() -> SimDisk {
        let disk = SimDisk::new();
        let on = Arc::new(disk.clone());
        let codec = PayloadCodec::Bincode;
        let mut writer =
            SegmentWriter::in_directory_on(on, Path::new(DIR), false, 1, codec).unwrap();
        for id in 0..3_u8 {
            writer.push(&[f32::from(id)], 7 * u64::from(id)).unwrap();
        }
        writer.finish().unwrap();
        disk.after_power_cut(Loss::Nothing, 0)
    }

    fn run(disk: Arc<dyn Disk>) -> Result<()> {
        let derive = |_: &Vectors, writer: &mut DerivedWriter<'_>| writer.codes(b"new");
        rederive_on(&disk, Path::new(DIR), None, derive).map(drop)
    }

    #[test]
    fn a_power_cut_leaves_the_old_database_or_the_new() {
        let disk = before();
        disk.record();
        run(Arc::new(disk.clone())).unwrap();
        let mut seen = [0, 0];
        for (step, snapshot) in disk.take_history().iter().enumerate() {
            let losses = [Loss::Everything, Loss::Nothing].map(|loss| (loss, 0));
            let subsets = (0..8).map(|seed| (Loss::Subset, seed));
            for (loss, seed) in losses.into_iter().chain(subsets) {
                match codes(&snapshot.after_power_cut(loss, seed)).as_deref() {
                    None => seen[0] += 1,
                    Some(b"new") => seen[1] += 1,
                    found => panic!("step {step}, {loss:?} {seed}: {found:?}"),
                }
            }
        }
        println!("{seen:?} images without and with new codes");
        assert!(seen[0] > 50 && seen[1] > 10, "{seen:?}");
    }

    #[test]
    fn a_call_that_fails_leaves_a_database_that_is_whole() {
        let before = before();
        let mut failed = 0;
        for call in 0.. {
            let disk = before.snapshot();
            // EIO, by its number on Linux.
            let kind = Failure::Error(5);
            let fault = Fault {
                call,
                kind,
                lasting: false,
            };
            let faulty = FaultyDisk::new(Arc::new(disk.clone()), fault);
            let done = run(Arc::clone(&faulty) as Arc<dyn Disk>);
            let found = codes(&disk);
            match done {
                Ok(()) => assert_eq!(found.as_deref(), Some(&b"new"[..]), "call {call}"),
                Err(Error::DurabilityUnknown { .. }) => failed += 1,
                Err(error) => {
                    assert_eq!(found, None, "call {call}: {error}");
                    failed += 1;
                }
            }
            if faulty.struck_at().is_none() {
                break;
            }
        }
        println!("{failed} calls failed");
        assert!(failed > 30, "{failed}");
    }
}
