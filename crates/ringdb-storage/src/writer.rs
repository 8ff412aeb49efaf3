//! Collects rows and payloads and makes a segment of them.
//!
//! Invariant: there are as many payloads as rows, whatever fails. A directory becomes a database in
//! one step.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use bytemuck::Pod;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::append::AppendFile;
use crate::derived::{DerivedNames, DerivedWriter};
use crate::disk::{self, Disk};
use crate::error::{Error, Result};
use crate::footer::file_bytes;
use crate::header::Header;
use crate::layout::{Kind, OFFSETS, PAYLOADS, VECTORS};
use crate::limits::{DIMS_MAX, ROWS_MAX};
use crate::manifest::{FileEntry, Manifest};
use crate::mapped::{GrowingMemory, as_bytes};
use crate::options::{PayloadType, ReadOptions};
use crate::payload::{Encoded, PayloadCodec, PayloadKind, PayloadStoreBuilder};
use crate::segment::Segment;
use crate::staging::{Claimed, Staging};
use crate::vectors::Vectors;

/// Collects rows and payloads and makes a [`Segment`] of them.
///
/// A push that fails changes nothing, and the writer may be used on. Dropped without a
/// [`finish`](Self::finish), it takes away all that it made, but for an empty directory that another
/// writer was about to use.
pub struct SegmentWriter<T> {
    rows: Rows,
    dims: usize,
    payloads: PayloadStoreBuilder<T>,
}

#[derive(Debug)]
enum Rows {
    Memory(GrowingMemory),
    Directory(AppendFile, Box<Staging>),
}

impl<T> SegmentWriter<T> {
    /// A segment whose rows stay in memory and whose payloads go to a file without a name in the system's
    /// directory for temporary files.
    ///
    /// # Errors
    /// [`Error::InvalidDims`], or [`Error::Io`] if the payload file cannot be made.
    pub fn in_memory(dims: usize, codec: PayloadCodec) -> Result<Self> {
        Self::in_memory_on(disk::real(), dims, codec)
    }

    /// As [`SegmentWriter::in_memory`], with payloads in a file without a name in `dir`, which must be
    /// there.
    ///
    /// # Errors
    /// [`Error::InvalidDims`], or [`Error::Io`], naming `dir`, if the payload file cannot be made in it.
    pub fn in_memory_spilling_to(dir: &Path, dims: usize, codec: PayloadCodec) -> Result<Self> {
        Self::spilled(disk::real(), dir, dims, codec)
    }

    /// As [`SegmentWriter::in_memory`], with payloads on a disk of the caller's.
    ///
    /// # Errors
    /// As [`SegmentWriter::in_memory`].
    #[doc(hidden)]
    pub fn in_memory_on(disk: Arc<dyn Disk>, dims: usize, codec: PayloadCodec) -> Result<Self> {
        Self::spilled(disk, &std::env::temp_dir(), dims, codec)
    }

    fn spilled(disk: Arc<dyn Disk>, dir: &Path, dims: usize, codec: PayloadCodec) -> Result<Self> {
        check_dims(dims)?;
        let rows = Rows::Memory(GrowingMemory::default());
        Ok(Self {
            rows,
            dims,
            payloads: PayloadStoreBuilder::spilled(disk, dir, codec)?,
        })
    }

    /// A segment that will be the database in `dir`. Rows and payloads go to files in a private
    /// directory inside it as they are pushed; memory does not grow with them, but for 4 bytes for every
    /// 64 KiB.
    ///
    /// `dir` and its ancestors are made if needed; it may be empty or hold foreign files, which are
    /// left alone. It stays locked until the writer is finished or dropped. With `replace`, a database
    /// that is there stays what it is until the new one takes its place.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] if `dir` holds a database and `replace` is false, [`Error::Locked`] if
    /// another writer is at work in it, [`Error::InvalidDims`], [`Error::Io`],
    /// [`Error::DurabilityUnknown`].
    pub fn in_directory(
        dir: &Path,
        replace: bool,
        dims: usize,
        codec: PayloadCodec,
    ) -> Result<Self> {
        Self::in_directory_on(disk::real(), dir, replace, dims, codec)
    }

    /// As [`SegmentWriter::in_directory`], on a disk of the caller's.
    ///
    /// # Errors
    /// As [`SegmentWriter::in_directory`].
    #[doc(hidden)]
    pub fn in_directory_on(
        disk: Arc<dyn Disk>,
        dir: &Path,
        replace: bool,
        dims: usize,
        codec: PayloadCodec,
    ) -> Result<Self> {
        check_dims(dims)?;
        let claimed = Claimed::on(disk, dir, replace)?.collect()?;
        Self::staged(claimed.stage()?, dims, codec)
    }

    /// A segment that will be the database of the directory that was taken.
    pub(crate) fn staged(staging: Staging, dims: usize, codec: PayloadCodec) -> Result<Self> {
        let disk = Arc::clone(staging.disk());
        let rows = AppendFile::create(&*disk, staging.file(VECTORS))?;
        let files = [PAYLOADS, OFFSETS].map(|name| staging.file(name));
        let payloads = PayloadStoreBuilder::staged(disk, files, codec, staging.origin)?;
        Ok(Self {
            rows: Rows::Directory(rows, Box::new(staging)),
            dims,
            payloads,
        })
    }

    /// The name under which the type of the payloads is stored, in place of
    /// [`type_name`](crate::type_name).
    ///
    /// # Errors
    /// [`Error::TooLarge`] for more than
    /// [`TYPE_NAME_BYTES_MAX`](crate::limits::TYPE_NAME_BYTES_MAX) bytes.
    pub fn with_type_name(self, name: impl Into<String>) -> Result<Self> {
        let payloads = self.payloads.with_type_name(name)?;
        Ok(Self { payloads, ..self })
    }

    /// Payloads of this kind, whatever `T` is, to be pushed by [`Self::push_encoded`].
    pub(crate) fn of_kind(self, kind: PayloadKind) -> Self {
        let payloads = self.payloads.of_kind(kind);
        Self { payloads, ..self }
    }

    /// Removes what dead writers left in the directory.
    pub(crate) fn collect(&self) -> Result<()> {
        match &self.rows {
            Rows::Memory(_) => Ok(()),
            Rows::Directory(_, staging) => staging.collect(),
        }
    }

    /// Adds a row and the bytes of its payload as the codec wrote them, whatever it is.
    pub(crate) fn push_encoded(&mut self, row: &[f32], payload: &[u8]) -> Result<()> {
        self.check_row(row)?;
        let encoded = self.payloads.admit(Cow::Borrowed(payload))?;
        self.append(row, [encoded])
    }

    /// Adds a row and the bytes of its payload as they are, for [`PayloadCodec::Raw`] and
    /// [`PayloadCodec::JsonText`].
    ///
    /// # Errors
    /// As [`Self::push`], and [`Error::CodecMismatch`] if the payloads are values of a Rust type.
    pub fn push_bytes(&mut self, row: &[f32], payload: &[u8]) -> Result<()> {
        self.check_row(row)?;
        let encoded = self.payloads.raw(payload)?;
        self.append(row, [encoded])
    }

    /// Number of rows pushed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.payloads.len()
    }

    /// Whether nothing was pushed yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.payloads.is_empty()
    }

    /// Coordinates per row.
    #[must_use]
    pub fn dims(&self) -> usize {
        self.dims
    }

    fn check_row(&self, row: &[f32]) -> Result<()> {
        let (expected, got) = (self.dims, row.len());
        if got != expected {
            return Err(Error::DimensionMismatch { expected, got });
        }
        self.check_count(1)
    }

    /// Whether as many rows can be added.
    fn check_count(&self, more: usize) -> Result<()> {
        let value = self.len() as u64 + more as u64;
        if value > ROWS_MAX {
            return Err(Error::TooLarge {
                what: "rows",
                value,
                max: ROWS_MAX,
            });
        }
        Ok(())
    }

    /// Whatever can fail comes first and changes nothing; then all are appended.
    fn append<'a>(
        &mut self,
        rows: &[f32],
        payloads: impl IntoIterator<Item = Encoded<'a>>,
    ) -> Result<()> {
        match &mut self.rows {
            Rows::Memory(memory) => {
                let path = Path::new("memory for rows");
                memory
                    .reserve(size_of_val(rows))
                    .map_err(Error::io("allocate", path))?;
            }
            Rows::Directory(file, _) => file.make_room()?,
        }
        self.payloads.make_room()?;
        match &mut self.rows {
            Rows::Memory(memory) => memory.append(as_bytes(rows)),
            Rows::Directory(file, _) => file.append(as_bytes(rows)),
        }
        for payload in payloads {
            self.payloads.append(&payload);
        }
        Ok(())
    }

    /// Adds rows and a payload for each, all or none.
    fn encode_and_push(
        &mut self,
        rows: &[f32],
        payloads: &[T],
        encode: impl Fn(&PayloadStoreBuilder<T>, &T) -> Result<Encoded<'static>>,
    ) -> Result<()> {
        let (expected, got) = (self.dims * payloads.len(), rows.len());
        if expected != got {
            return Err(Error::DimensionMismatch { expected, got });
        }
        self.check_count(payloads.len())?;
        let encoded: Result<Vec<_>> = payloads
            .iter()
            .map(|payload| encode(&self.payloads, payload))
            .collect();
        self.append(rows, encoded?)
    }
}

impl<T: Serialize> SegmentWriter<T> {
    /// Adds a row and its payload; both get the next id.
    ///
    /// # Errors
    /// [`Error::DimensionMismatch`], [`Error::Encode`] if the payload does not serialise,
    /// [`Error::TooLarge`], [`Error::CodecMismatch`] if the codec takes raw bytes, [`Error::Io`] if
    /// memory or disk are full.
    pub fn push(&mut self, row: &[f32], payload: T) -> Result<()> {
        self.check_row(row)?;
        let encoded = self.payloads.encode(&payload)?;
        self.append(row, [encoded])
    }

    /// Adds as many rows as there are payloads, row-major. All are added, or after an error none. They
    /// are held in memory until they are written, so a large set is best added in parts.
    ///
    /// # Errors
    /// As [`Self::push`]; [`Error::DimensionMismatch`] with the number of all coordinates.
    pub fn push_all(&mut self, rows: &[f32], payloads: &[T]) -> Result<()> {
        self.encode_and_push(rows, payloads, PayloadStoreBuilder::encode)
    }
}

impl<T: Serialize + DeserializeOwned> SegmentWriter<T> {
    /// As [`Self::push_all`], and decodes each payload's bytes again first.
    ///
    /// # Errors
    /// As [`Self::push_checked`].
    pub fn push_all_checked(&mut self, rows: &[f32], payloads: &[T]) -> Result<()> {
        self.encode_and_push(rows, payloads, PayloadStoreBuilder::encode_checked)
    }

    /// As [`Self::push`], and decodes the payload's bytes again first, so that what went in can come
    /// back.
    ///
    /// # Errors
    /// As [`Self::push`]; [`Error::Encode`] also if the bytes do not decode as a `T`.
    pub fn push_checked(&mut self, row: &[f32], payload: T) -> Result<()> {
        self.check_row(row)?;
        let encoded = self.payloads.encode_checked(&payload)?;
        self.append(row, [encoded])
    }
}

impl<T: Pod> SegmentWriter<T> {
    /// Adds a row and its payload, which is stored as it lies in memory, for [`PayloadCodec::Pod`].
    ///
    /// # Errors
    /// As [`Self::push`], and [`Error::CodecMismatch`] if the payloads are stored otherwise.
    pub fn push_pod(&mut self, row: &[f32], payload: &T) -> Result<()> {
        self.check_row(row)?;
        let encoded = self.payloads.pod(payload)?;
        self.append(row, [encoded])
    }
}

impl<T> SegmentWriter<T> {
    /// Ends the writing. A segment of a directory is on disk whole when this returns `Ok`.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::DurabilityUnknown`] if a sync fails, [`Error::Corrupt`] if what was
    /// written does not read back, [`Error::Locked`] or, where there was no database before,
    /// [`Error::AlreadyExists`] if another writer got in because LOCK was removed.
    /// A database that was there before is untouched by all of them but `DurabilityUnknown`; what was
    /// pushed is lost.
    pub fn finish(self) -> Result<Segment<T>> {
        self.finish_with(|_, _| Ok(()))
    }

    /// As [`Self::finish`], with files that `derive` computes from the rows: it is shown all of them and
    /// told where to put what it makes of them. In a directory it is called when the rows have been written
    /// and read back, and before anything is committed; what it writes is committed with them, if the rows
    /// are still whole when it has seen them.
    ///
    /// # Errors
    /// As [`Self::finish`]; what `derive` returns, and then nothing is committed. [`Error::Io`] also if
    /// it returned `Ok` after the [`DerivedWriter`] had refused some of its bytes.
    pub fn finish_with<E: From<Error>>(
        self,
        derive: impl FnOnce(&Vectors, &mut DerivedWriter<'_>) -> std::result::Result<(), E>,
    ) -> std::result::Result<Segment<T>, E> {
        let replaced = match &self.rows {
            Rows::Memory(_) => None,
            Rows::Directory(_, staging) => staging.replaced().map(DerivedNames::of),
        };
        self.finish_after(replaced, derive)
    }

    /// As [`Self::finish_with`], for what is made of a database that had these derived files.
    pub(crate) fn finish_after<E: From<Error>>(
        self,
        before: Option<DerivedNames>,
        derive: impl FnOnce(&Vectors, &mut DerivedWriter<'_>) -> std::result::Result<(), E>,
    ) -> std::result::Result<Segment<T>, E> {
        let Self {
            rows,
            dims,
            payloads,
        } = self;
        match rows {
            Rows::Memory(memory) => {
                let vectors = Vectors::in_memory(memory, dims);
                let payloads = payloads.finish()?;
                let mut writer = DerivedWriter::in_memory();
                derive(&vectors, &mut writer)?;
                Ok(Segment::of(vectors, payloads, writer.into_memory()?))
            }
            Rows::Directory(file, staging) => {
                commit(file, payloads, *staging, (dims, before), derive)
            }
        }
    }
}

/// Steps 3 to 6 of the protocol in `staging`.
fn commit<T, E: From<Error>>(
    rows: AppendFile,
    payloads: PayloadStoreBuilder<T>,
    staging: Staging,
    (dims, before): (usize, Option<DerivedNames>),
    derive: impl FnOnce(&Vectors, &mut DerivedWriter<'_>) -> std::result::Result<(), E>,
) -> std::result::Result<Segment<T>, E> {
    let (count, origin) = (payloads.len() as u64, staging.origin);
    let kind = payloads.kind().clone();
    let (row_bytes, [payload_bytes, offset_bytes]) = (rows.body_bytes(), payloads.body_bytes());
    let header = Header {
        kind: Kind::Vectors,
        detail: dims as u32,
        origin,
        count,
        body_bytes: row_bytes,
        width: 0,
    };
    let vectors_crc = rows.finish(header, "")?;
    let [payloads_crc, offsets_crc] = payloads.finish_staged()?;

    // Read back before it gets a name: what is published has been seen to be whole. So has what others
    // are derived from.
    let (disk, staged) = (Arc::clone(staging.disk()), staging.staged_segment());
    let options = ReadOptions::new().payload_type(PayloadType::Any);
    let path = staged.join(VECTORS);
    let open_rows = || Vectors::open(&*disk, &path, options.access, options.verify, None);
    let mut vectors = open_rows()?;
    let mut writer = DerivedWriter::staged(&*disk, &staged, before);
    derive(&vectors.0, &mut writer)?;
    let derived = writer.finish(header)?;
    if derived.iter().any(Option::is_some) {
        // They were read again and may have read otherwise: what was made of that would be wrong, under
        // checksums that are right.
        vectors = open_rows()?;
    }

    let entry = |body_bytes: u64, note: &str, crc: u32| FileEntry {
        file_bytes: file_bytes(body_bytes, note),
        crc,
    };
    let manifest = Manifest {
        origin,
        dims: dims as u32,
        segment: staging.segment,
        rows: count,
        files: [
            entry(offset_bytes, "", offsets_crc),
            entry(payload_bytes, &kind.type_name, payloads_crc),
            entry(row_bytes, "", vectors_crc),
        ],
        derived,
        payloads: kind,
    };
    let mut segment = Segment::open_beside(vectors, &*disk, &staged, &manifest, &options)?;
    let dir = staging.commit(&manifest)?;
    let [offsets, payloads, vectors] = [OFFSETS, PAYLOADS, VECTORS].map(|name| dir.join(name));
    segment.vectors.renamed(&vectors);
    segment.payloads.renamed(&payloads, &offsets);
    segment.derived_renamed(&dir);
    Ok(segment)
}

fn check_dims(dims: usize) -> Result<()> {
    if (1..=DIMS_MAX).contains(&dims) {
        return Ok(());
    }
    Err(Error::InvalidDims {
        dims,
        max: DIMS_MAX,
    })
}

impl<T> fmt::Debug for SegmentWriter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("SegmentWriter");
        debug
            .field("len", &self.len())
            .field("dims", &self.dims)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "sim"))]
mod tests;
