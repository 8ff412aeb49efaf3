//! Directories written by ring-db 0.3.0 and 0.3.1, read, removed when replaced, never
//! written.
//!
//! Five files of raw little-endian numbers without headers or checksums: `meta.bin` (dims and rows,
//! u64 each), `vectors.bin` and `norms_sq.bin` (f32), `payloads.bin` (bincode 1) and `offsets.bin`
//! (rows + 1, u64). Lengths and offsets are all that can be checked; the norms are not needed.

use std::io::ErrorKind;
use std::path::Path;

use crate::body::{Body, Verify};
use crate::contents::MappedFile;
use crate::count::counted;
use crate::disk::{Disk, FileKind};
use crate::error::{Error, Result};
use crate::header::Fields;
use crate::layout::{OFFSETS, PAYLOADS, VECTORS};
use crate::options::ReadOptions;
use crate::payload::{Offsets, PayloadCodec, PayloadKind, PayloadStore, Records};
use crate::vectors::{Shape, Vectors};

const META: &str = "meta.bin";
const NORMS: &str = "norms_sq.bin";
/// All of its files. The one without which the others are nothing goes first.
pub(crate) const FILES: [&str; 5] = [META, NORMS, VECTORS, PAYLOADS, OFFSETS];

/// Whether `dir` looks like a directory of ring-db 0.3.
pub(crate) fn is_database(disk: &dyn Disk, dir: &Path) -> Result<bool> {
    for name in [META, VECTORS] {
        let path = dir.join(name);
        match disk.kind(&path) {
            Ok(FileKind::File) => {}
            Ok(_) => return Ok(false),
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                return Ok(false);
            }
            Err(error) => return Err(Error::io("open", &path)(error)),
        }
    }
    Ok(true)
}

/// Removes the files of such a directory, after a database of ours has taken their place. Files whose
/// lengths do not fit each other are somebody else's under the same names, and stay.
pub(crate) fn remove(disk: &dyn Disk, dir: &Path) {
    let options = ReadOptions::new().verify(Verify::Never);
    if open::<()>(disk, dir, &options).is_err() {
        return;
    }
    // What stays is never opened again, as there is a MANIFEST.
    for name in FILES {
        let _ = disk.remove_file(&dir.join(name));
    }
}

/// Opens such a directory. There are no checksums to be compared now or later.
pub(crate) fn open<T>(
    disk: &dyn Disk,
    dir: &Path,
    options: &ReadOptions,
) -> Result<(Vectors, PayloadStore<T>)> {
    let file = |name| MappedFile::open_on(disk, &dir.join(name), options.access);
    let meta = file(META)?;
    let mut fields = Fields::new(meta.path(), meta.bytes());
    let (dims, rows) = (fields.u64()?, fields.u64()?);
    if fields.left() != 0 {
        let what = format!(
            "{} too many: it holds dims and rows, 16 bytes",
            counted(fields.left() as u64, "byte")
        );
        return Err(Error::corrupt(meta.path(), 16, what));
    }
    let shape = Shape::check(meta.path(), (0, dims), (8, rows))?;
    let vectors = Vectors::bare(file(VECTORS)?, shape, options.row_check, options.verify)?;
    let norms = file(NORMS)?;
    if norms.bytes().len() as u64 != 4 * rows {
        let what = format!(
            "{} for {}, not {}",
            counted(norms.bytes().len() as u64, "byte"),
            counted(rows, "row"),
            4 * rows
        );
        return Err(Error::corrupt(norms.path(), 0, what));
    }
    let payloads = file(PAYLOADS)?;
    let payload_bytes = payloads.bytes().len() as u64;
    let table = Body::unchecked(file(OFFSETS)?, 0);
    // There is no later check that could stand in for this one.
    let verify = match options.verify {
        Verify::Never => Verify::Never,
        Verify::Open | Verify::Lazy => Verify::Open,
    };
    let offsets = Offsets::over(table, payload_bytes, verify)?;
    if offsets.len() as u64 != rows {
        let what = format!(
            "offsets of {} for {}",
            counted(offsets.len() as u64, "payload"),
            counted(rows, "row")
        );
        return Err(Error::corrupt(&dir.join(OFFSETS), 0, what));
    }
    let kind = PayloadKind {
        codec: PayloadCodec::Bincode,
        type_name: String::new(),
        width: 0,
    };
    let body = Body::unchecked(payloads, 0);
    Ok((
        vectors,
        PayloadStore::new(body, offsets, Records::bare(), kind),
    ))
}
