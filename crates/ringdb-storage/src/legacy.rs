//! Directories written by ring-db 0.3.0 and 0.3.1, read, removed when replaced, never
//! written.
//!
//! Five files of raw little-endian numbers without headers or checksums: `meta.bin` (dims and rows,
//! u64 each), `vectors.bin` and `norms_sq.bin` (f32), `payloads.bin` (bincode 1) and `offsets.bin`
//! (rows + 1, u64). Lengths and offsets are all that can be checked; the norms are not needed.

use std::fs;
use std::path::Path;

use crate::error::{Error, Result};
use crate::header::Fields;
use crate::layout::{OFFSETS, PAYLOADS, VECTORS};
use crate::mapped::MappedFile;
use crate::payload::{Offsets, PayloadCodec, PayloadStore};
use crate::vectors::{Shape, Vectors};

const META: &str = "meta.bin";
const NORMS: &str = "norms_sq.bin";

/// Whether `dir` looks like a directory of ring-db 0.3.
pub(crate) fn is_database(dir: &Path) -> bool {
    [META, VECTORS].iter().all(|name| dir.join(name).is_file())
}

/// Removes the files of such a directory, after a database of ours has taken their place. Files whose
/// lengths do not fit each other are somebody else's under the same names, and stay.
pub(crate) fn remove(dir: &Path) {
    if open::<()>(dir).is_err() {
        return;
    }
    // The one without which the others are nothing goes first. What stays is never opened again, as
    // there is a MANIFEST.
    for name in [META, NORMS, VECTORS, PAYLOADS, OFFSETS] {
        let _ = fs::remove_file(dir.join(name));
    }
}

/// Opens such a directory.
pub(crate) fn open<T>(dir: &Path) -> Result<(Vectors, PayloadStore<T>)> {
    let meta = MappedFile::open(&dir.join(META))?;
    let mut fields = Fields::new(meta.path(), meta.bytes());
    let (dims, rows) = (fields.u64()?, fields.u64()?);
    if fields.left() != 0 {
        let what = format!(
            "{} bytes too many: it holds dims and rows, 16 bytes",
            fields.left()
        );
        return Err(Error::corrupt(meta.path(), 16, what));
    }
    let shape = Shape::check(meta.path(), (0, dims), (8, rows))?;
    let vectors = Vectors::mapped(MappedFile::open(&dir.join(VECTORS))?, 0, shape)?;
    let norms = MappedFile::open(&dir.join(NORMS))?;
    if norms.bytes().len() as u64 != 4 * rows {
        let what = format!(
            "{} bytes, {rows} rows take {}",
            norms.bytes().len(),
            4 * rows
        );
        return Err(Error::corrupt(norms.path(), 0, what));
    }
    let payloads = MappedFile::open(&dir.join(PAYLOADS))?;
    let payload_bytes = payloads.bytes().len() as u64;
    let offsets = Offsets::mapped(MappedFile::open(&dir.join(OFFSETS))?, 0, payload_bytes)?;
    if offsets.len() as u64 != rows {
        let what = format!("offsets of {} payloads for {rows} rows", offsets.len());
        return Err(Error::corrupt(&dir.join(OFFSETS), 0, what));
    }
    Ok((
        vectors,
        PayloadStore::new(payloads, offsets, PayloadCodec::Bincode),
    ))
}
