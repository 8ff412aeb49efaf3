//! A segment: rows and their payloads together, in memory or as a database directory.
//!
//! Invariant: there are as many payloads as rows, whatever fails. A directory becomes a database in
//! one step, and what is returned from it was checked in full.

use std::fmt;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::append::AppendFile;
use crate::error::{Error, Result};
use crate::header::{HEADER_BYTES, Header, Kind};
use crate::layout::{MANIFEST, OFFSETS, PAYLOADS, VECTORS, segment_name};
use crate::legacy;
use crate::limits::{DIMS_MAX, ROWS_MAX};
use crate::manifest::{FileEntry, Manifest};
use crate::mapped::{GrowingMemory, as_bytes};
use crate::payload::{Encoded, PayloadCodec, PayloadStore, PayloadStoreBuilder};
use crate::staging::Staging;
use crate::vectors::Vectors;

/// Rows and their payloads, ready to be read.
#[derive(Debug)]
pub struct Segment<T> {
    /// The rows.
    pub vectors: Vectors,
    /// As many payloads, by the same ids.
    pub payloads: PayloadStore<T>,
}

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
    /// A segment whose rows stay in memory and whose payloads go to a file without a name.
    ///
    /// # Errors
    /// [`Error::InvalidDims`], or [`Error::Io`] if the payload file cannot be made.
    pub fn in_memory(dims: usize, codec: PayloadCodec) -> Result<Self> {
        check_dims(dims)?;
        let rows = Rows::Memory(GrowingMemory::default());
        Ok(Self {
            rows,
            dims,
            payloads: PayloadStoreBuilder::spilled(codec)?,
        })
    }

    /// A segment that will be the database in `dir`. Rows and payloads go to files in a private
    /// directory inside it as they are pushed; memory holds 8 bytes a payload.
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
        check_dims(dims)?;
        let staging = Staging::begin(dir, replace)?;
        let rows = AppendFile::create(staging.file(VECTORS))?;
        let payloads = PayloadStoreBuilder::staged(staging.file(PAYLOADS), codec)?;
        Ok(Self {
            rows: Rows::Directory(rows, Box::new(staging)),
            dims,
            payloads,
        })
    }

    /// Adds a row and the raw bytes of its payload, for codecs without serde.
    ///
    /// # Errors
    /// As [`Self::push`], and [`Error::CodecMismatch`] if the payloads are values of a Rust type.
    pub fn push_bytes(&mut self, row: &[f32], payload: &[u8]) -> Result<()> {
        self.check_row(row)?;
        let encoded = self.payloads.raw(payload)?;
        self.append(row, &encoded)
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
        let value = self.len() as u64 + 1;
        if value > ROWS_MAX {
            return Err(Error::TooLarge {
                what: "rows",
                value,
                max: ROWS_MAX,
            });
        }
        Ok(())
    }

    /// Whatever can fail comes first and changes nothing; then both are appended.
    fn append(&mut self, row: &[f32], payload: &Encoded<'_>) -> Result<()> {
        match &mut self.rows {
            Rows::Memory(memory) => {
                let path = Path::new("memory for rows");
                memory
                    .reserve(size_of_val(row))
                    .map_err(Error::io("allocate", path))?;
            }
            Rows::Directory(file, _) => file.make_room()?,
        }
        self.payloads.make_room()?;
        match &mut self.rows {
            Rows::Memory(memory) => memory.append(as_bytes(row)),
            Rows::Directory(file, _) => file.append(as_bytes(row)),
        }
        self.payloads.append(payload);
        Ok(())
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
        self.append(row, &encoded)
    }
}

impl<T: Serialize + DeserializeOwned> SegmentWriter<T> {
    /// As [`Self::push`], and decodes the payload's bytes again first, so that what went in can come
    /// back.
    ///
    /// # Errors
    /// As [`Self::push`]; [`Error::Encode`] also if the bytes do not decode as a `T`.
    pub fn push_checked(&mut self, row: &[f32], payload: T) -> Result<()> {
        self.check_row(row)?;
        let encoded = self.payloads.encode_checked(&payload)?;
        self.append(row, &encoded)
    }
}

impl<T: DeserializeOwned> SegmentWriter<T> {
    /// Ends the writing. A segment of a directory is on disk whole when this returns `Ok`.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::DurabilityUnknown`] if a sync fails, [`Error::Corrupt`] if what was
    /// written does not read back, [`Error::Locked`] if another writer got in because LOCK was removed.
    /// A database that was there before is untouched by all of them but `DurabilityUnknown`; what was
    /// pushed is lost.
    pub fn finish(self) -> Result<Segment<T>> {
        let Self {
            rows,
            dims,
            payloads,
        } = self;
        match rows {
            Rows::Memory(memory) => {
                let vectors = Vectors::in_memory(memory, dims);
                Ok(Segment {
                    vectors,
                    payloads: payloads.finish()?,
                })
            }
            Rows::Directory(file, staging) => commit(file, payloads, *staging, dims),
        }
    }
}

impl<T> Segment<T> {
    /// Opens the database in `dir`, or a directory of ring-db 0.3.0 or 0.3.1. Takes no lock and writes
    /// nothing.
    ///
    /// Every length, checksum and offset is checked. A writer may replace the database meanwhile; the
    /// segment read is the old one or the new, whole.
    ///
    /// # Errors
    /// [`Error::Io`] (`NotFound` if there is no such directory), [`Error::NotADatabase`],
    /// [`Error::UnsupportedVersion`], [`Error::Corrupt`].
    pub fn open(dir: &Path) -> Result<Self> {
        let dir = &std::path::absolute(dir).map_err(Error::io("find", dir))?;
        let path = dir.join(MANIFEST);
        let mut missed = None;
        loop {
            let Some(manifest) = Manifest::read(&path)? else {
                match Self::open_without_manifest(dir) {
                    // A directory of ring-db may have been replaced meanwhile.
                    Err(error) if error.is_not_found() && path.exists() => continue,
                    Err(Error::NotADatabase { .. }) if path.exists() => continue,
                    other => return other,
                }
            };
            let segment = dir.join(segment_name(manifest.segment));
            match Self::open_files(&segment, &manifest) {
                // A file is gone: if the manifest has changed as well, a writer replaced the database.
                Err(Error::Io { path, source, .. })
                    if source.kind() == std::io::ErrorKind::NotFound =>
                {
                    if missed == Some(manifest.origin) {
                        return Err(Error::corrupt(
                            &path,
                            0,
                            "missing, though MANIFEST names it",
                        ));
                    }
                    missed = Some(manifest.origin);
                }
                other => return other,
            }
        }
    }

    fn open_without_manifest(dir: &Path) -> Result<Self> {
        std::fs::metadata(dir).map_err(Error::io("open", dir))?;
        if !legacy::is_database(dir) {
            return Err(Error::NotADatabase {
                path: dir.to_path_buf(),
            });
        }
        let (vectors, payloads) = legacy::open(dir)?;
        Ok(Self { vectors, payloads })
    }

    /// Opens the files in `segment` and holds each to the manifest.
    fn open_files(segment: &Path, manifest: &Manifest) -> Result<Self> {
        let [offsets, payloads, vectors] =
            [OFFSETS, PAYLOADS, VECTORS].map(|name| segment.join(name));
        let (rows, vectors_header, vectors_crc) = Vectors::open(&vectors)?;
        let (store, [payload_header, offset_header]) =
            PayloadStore::open_pair(&payloads, &offsets)?;
        let found = [
            (&offsets, offset_header.0, offset_header.1),
            (&payloads, payload_header.0, payload_header.1),
            (&vectors, vectors_header, vectors_crc),
        ];
        for ((path, header, crc), entry) in found.into_iter().zip(manifest.files) {
            check_entry(path, &header, crc, entry, manifest)?;
        }
        let counts = [
            (
                "dims",
                rows.dims() as u64,
                u64::from(manifest.dims),
                &vectors,
            ),
            ("rows", rows.len() as u64, manifest.rows, &vectors),
            ("payloads", store.len() as u64, manifest.rows, &payloads),
            (
                "codec",
                u64::from(store.codec().id()),
                u64::from(manifest.codec.id()),
                &payloads,
            ),
        ];
        for (what, found, expected, path) in counts {
            if found != expected {
                let what = format!("{what} {found}, MANIFEST says {expected}");
                return Err(Error::corrupt(path, 0, what));
            }
        }
        Ok(Self {
            vectors: rows,
            payloads: store,
        })
    }
}

/// Steps 3 to 6 of the protocol in `staging`.
fn commit<T: DeserializeOwned>(
    rows: AppendFile,
    payloads: PayloadStoreBuilder<T>,
    staging: Staging,
    dims: usize,
) -> Result<Segment<T>> {
    let (count, codec, origin) = (payloads.len() as u64, payloads.codec(), staging.origin);
    let row_bytes = rows.body_bytes();
    let payload_bytes = payloads.bytes();
    let vectors_crc = rows.finish(Kind::Vectors, dims as u32, origin, count)?;
    let [payloads_crc, offsets_crc] = payloads.finish_staged(staging.file(OFFSETS), origin)?;
    let entry = |body_bytes: u64, header_crc: u32| FileEntry {
        file_bytes: HEADER_BYTES as u64 + body_bytes,
        header_crc,
    };
    let manifest = Manifest {
        origin,
        dims: dims as u32,
        rows: count,
        segment: staging.segment,
        codec,
        files: [
            entry(8 * (count + 1), offsets_crc),
            entry(payload_bytes, payloads_crc),
            entry(row_bytes, vectors_crc),
        ],
    };
    // Read back before it gets a name: what is published has been seen to be whole.
    let segment = Segment::open_files(&staging.staged_segment(), &manifest)?;
    staging.commit(&manifest)?;
    Ok(segment)
}

fn check_entry(
    path: &Path,
    header: &Header,
    crc: u32,
    entry: FileEntry,
    manifest: &Manifest,
) -> Result<()> {
    if header.origin != manifest.origin {
        let (found, expected) = (header.origin, manifest.origin);
        let what = format!(
            "it is of database {} generation {}, MANIFEST of {} generation {}",
            found.uuid, found.generation, expected.uuid, expected.generation
        );
        return Err(Error::corrupt(path, 16, what));
    }
    let file_bytes = HEADER_BYTES as u64 + header.body_bytes;
    if file_bytes != entry.file_bytes || crc != entry.header_crc {
        let what = format!(
            "{file_bytes} bytes with header checksum {crc:08x}, MANIFEST says {} with {:08x}",
            entry.file_bytes, entry.header_crc
        );
        return Err(Error::corrupt(path, 0, what));
    }
    Ok(())
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
