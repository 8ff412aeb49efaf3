//! A segment: rows, their payloads and what was derived from them together, in memory or as a database
//! directory.
//!
//! Invariant: what is returned from a directory was checked in full, or as far as
//! [`Verify`](crate::Verify) asks, and is of one commit.

use std::path::Path;

use crate::contents::expect_dir;
use crate::count::counted;
use crate::derived::Derived;
use crate::disk::{self, Disk};
use crate::error::{Error, Result};
use crate::footer::{Frame, file_bytes};
use crate::header::{Origin, expect};
use crate::layout::{DERIVED_FILES, Kind, MANIFEST, OFFSETS, PAYLOADS, VECTORS, segment_name};
use crate::legacy;
use crate::manifest::{FileEntry, Manifest};
use crate::options::ReadOptions;
use crate::payload::PayloadStore;
use crate::vectors::Vectors;

/// Rows and their payloads, ready to be read.
#[derive(Debug)]
#[non_exhaustive]
pub struct Segment<T> {
    /// The rows.
    pub vectors: Vectors,
    /// As many payloads, by the same ids.
    pub payloads: PayloadStore<T>,
    /// What was written by [`DerivedWriter::codes`](crate::DerivedWriter::codes), if anything was.
    pub codes: Option<Derived>,
    /// What was written by [`DerivedWriter::fine`](crate::DerivedWriter::fine), if anything was.
    pub fine: Option<Derived>,
    /// What was written by [`DerivedWriter::prefix`](crate::DerivedWriter::prefix), if anything was.
    pub prefix: Option<Derived>,
    /// What was written by [`DerivedWriter::blocks`](crate::DerivedWriter::blocks), if anything was.
    pub blocks: Option<Derived>,
    /// What was written by [`DerivedWriter::order`](crate::DerivedWriter::order), if anything was.
    pub order: Option<Derived>,
}

impl<T> Segment<T> {
    /// The derived files in the order of [`DERIVED_FILES`].
    pub(crate) fn of(
        vectors: Vectors,
        payloads: PayloadStore<T>,
        derived: [Option<Derived>; DERIVED_FILES.len()],
    ) -> Self {
        let [codes, fine, prefix, blocks, order] = derived;
        Self {
            vectors,
            payloads,
            codes,
            fine,
            prefix,
            blocks,
            order,
        }
    }

    /// Opens the database in `dir`, or a directory of ring-db 0.3.0 or 0.3.1. Takes no lock and writes
    /// nothing.
    ///
    /// Every length, checksum and offset is checked. A writer may replace the database meanwhile; the
    /// segment read is the old one or the new, whole.
    ///
    /// # Errors
    /// [`Error::Io`] (`NotFound` if there is nothing at `dir`, `NotADirectory` if that is no directory),
    /// [`Error::NotADatabase`], [`Error::UnsupportedVersion`], [`Error::TypeMismatch`] if the payloads
    /// were stored as another type than `T`, [`Error::Corrupt`].
    pub fn open(dir: &Path) -> Result<Self> {
        Self::open_with(dir, &ReadOptions::new())
    }

    /// As [`Segment::open`], with options.
    ///
    /// # Errors
    /// As [`Segment::open`].
    pub fn open_with(dir: &Path, options: &ReadOptions) -> Result<Self> {
        Self::open_on(&*disk::real(), dir, options)
    }

    /// As [`Segment::open_with`], on a disk of the caller's.
    ///
    /// # Errors
    /// As [`Segment::open`].
    #[doc(hidden)]
    pub fn open_on(disk: &dyn Disk, dir: &Path, options: &ReadOptions) -> Result<Self> {
        let dir = &std::path::absolute(dir).map_err(Error::io("find", dir))?;
        expect_dir(disk, dir)?;
        let path = dir.join(MANIFEST);
        let mut missed = None;
        loop {
            let Some(manifest) = Manifest::read(disk, &path)? else {
                match Self::open_without_manifest(disk, dir, options) {
                    // A directory of ring-db may have been replaced meanwhile.
                    Err(error) if error.is_not_found() && disk.kind(&path).is_ok() => continue,
                    Err(Error::NotADatabase { .. }) if disk.kind(&path).is_ok() => continue,
                    other => return other,
                }
            };
            // Before anything large is read.
            manifest.payloads.expect::<T>(&options.payload_type)?;
            let segment = dir.join(segment_name(manifest.segment));
            match Self::open_files(disk, &segment, &manifest, options) {
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

    fn open_without_manifest(disk: &dyn Disk, dir: &Path, options: &ReadOptions) -> Result<Self> {
        if !legacy::is_database(disk, dir)? {
            return Err(Error::NotADatabase {
                path: dir.to_path_buf(),
            });
        }
        let (vectors, payloads) = legacy::open(disk, dir, options)?;
        Ok(Self::of(vectors, payloads, DERIVED_FILES.map(|_| None)))
    }

    /// The derived files got their names in `segment`.
    pub(crate) fn derived_renamed(&mut self, segment: &Path) {
        let Self {
            codes,
            fine,
            prefix,
            blocks,
            order,
            ..
        } = self;
        let derived = [codes, fine, prefix, blocks, order];
        for (derived, (_, name)) in derived.into_iter().zip(DERIVED_FILES) {
            if let Some(derived) = derived {
                derived.renamed(&segment.join(name));
            }
        }
    }

    /// Opens the files in `segment` and holds each to the manifest.
    fn open_files(
        disk: &dyn Disk,
        segment: &Path,
        manifest: &Manifest,
        options: &ReadOptions,
    ) -> Result<Self> {
        let (path, check) = (segment.join(VECTORS), options.row_check);
        let vectors = Vectors::open(disk, &path, options.access, options.verify, check)?;
        Self::open_beside(vectors, disk, segment, manifest, options)
    }

    /// Opens the other files in `segment`, whose rows were opened, and holds each to the manifest.
    pub(crate) fn open_beside(
        (rows, vectors_frame): (Vectors, Frame),
        disk: &dyn Disk,
        segment: &Path,
        manifest: &Manifest,
        options: &ReadOptions,
    ) -> Result<Self> {
        let [offsets, payloads, vectors] =
            [OFFSETS, PAYLOADS, VECTORS].map(|name| segment.join(name));
        let (store, [payload_frame, offset_frame]) =
            PayloadStore::open_pair(disk, &payloads, &offsets, options)?;
        let found = [
            (&offsets, offset_frame),
            (&payloads, payload_frame),
            (&vectors, vectors_frame),
        ];
        for ((path, frame), entry) in found.into_iter().zip(manifest.files) {
            check_entry(path, &frame, entry, manifest)?;
        }
        let (kind, named) = (store.kind(), &manifest.payloads);
        let (codec, named_codec) = (u64::from(kind.codec.id()), u64::from(named.codec.id()));
        let (rows_found, dims) = (rows.len() as u64, rows.dims() as u64);
        expect(
            &vectors,
            &[
                (12, "dims", dims, u64::from(manifest.dims)),
                (40, "rows", rows_found, manifest.rows),
            ],
        )?;
        expect(
            &payloads,
            &[
                (40, "payloads", store.len() as u64, manifest.rows),
                (12, "codec", codec, named_codec),
            ],
        )?;
        if kind.type_name != named.type_name {
            let (found, expected) = (&kind.type_name, &named.type_name);
            let what = format!("payloads of type {found}, MANIFEST says {expected}");
            return Err(Error::corrupt(&payloads, 0, what));
        }
        let mut derived = DERIVED_FILES.map(|_| None);
        for (place, file) in derived.iter_mut().zip(DERIVED_FILES) {
            *place = open_derived(disk, segment, file, manifest, options)?;
        }
        Ok(Self::of(rows, store, derived))
    }
}

/// Opens a derived file, if the manifest names it and it is wanted, and holds it to that.
fn open_derived(
    disk: &dyn Disk,
    segment: &Path,
    (kind, name): (Kind, &str),
    manifest: &Manifest,
    options: &ReadOptions,
) -> Result<Option<Derived>> {
    let Some(entry) = manifest.entry(kind) else {
        return Ok(None);
    };
    if options.skip_derived {
        return Ok(None);
    }
    let path = segment.join(name);
    let (derived, frame) = Derived::open(disk, &path, kind, options.access, options.verify)?;
    check_entry(&path, &frame, entry, manifest)?;
    let (dims, rows) = (u64::from(frame.header.detail), frame.header.count);
    expect(
        &path,
        &[
            (12, "dims", dims, u64::from(manifest.dims)),
            (40, "rows", rows, manifest.rows),
        ],
    )?;
    Ok(Some(derived))
}

/// Holds an opened file to what the manifest says of it.
fn check_entry(path: &Path, frame: &Frame, entry: FileEntry, manifest: &Manifest) -> Result<()> {
    let header = &frame.header;
    check_origin(path, header.origin, manifest.origin, "MANIFEST")?;
    let file_bytes = file_bytes(header.body_bytes, &frame.note);
    let crc = frame.crc;
    check_sum(path, FileEntry { file_bytes, crc }, entry)
}

/// Fails if a file is of another origin than `others` are.
pub(crate) fn check_origin(
    path: &Path,
    found: Origin,
    expected: Origin,
    others: &str,
) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    let what = format!(
        "it is of database {} generation {}, {others} of {} generation {}",
        found.uuid, found.generation, expected.uuid, expected.generation
    );
    Err(Error::corrupt(path, 16, what))
}

/// Fails if a file is not the one that MANIFEST says.
pub(crate) fn check_sum(path: &Path, found: FileEntry, named: FileEntry) -> Result<()> {
    if found == named {
        return Ok(());
    }
    let what = format!(
        "{} with checksum {:08x}, MANIFEST says {} with {:08x}",
        counted(found.file_bytes, "byte"),
        found.crc,
        named.file_bytes,
        named.crc
    );
    Err(Error::corrupt(path, 0, what))
}
