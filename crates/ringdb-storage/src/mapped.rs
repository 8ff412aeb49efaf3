//! The only memory maps of the crate, and the only view of bytes as numbers.
//!
//! Invariant: the bytes under a [`MappedFile`] do not change while it lives, because files of a
//! database are never modified after their commit. A program that edits or cuts such a file all the
//! same breaks the contract, and no check made here can save it.

#![expect(
    unsafe_code,
    reason = "mapping a file is unsafe; it happens here and nowhere else"
)]

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use memmap2::{Mmap, MmapMut};

use crate::error::{Error, Result};
use crate::header::{HEADER_BYTES, Header, Kind};
use crate::regular::open_regular;

/// A file, or the part of one behind its header, as a slice of bytes that the system pages in and out.
///
/// The file must not be modified or cut while the map lives. This is a contract that the type system
/// does not see, as with every safe face of a memory map: a program that writes to the file all the
/// same changes bytes under a shared borrow, and reading a page that was cut off ends the process.
/// Deleting or renaming the file is harmless.
#[derive(Debug)]
pub struct MappedFile {
    map: Mmap,
    part: Range<usize>,
    path: PathBuf,
}

impl MappedFile {
    /// Maps the whole of `path` for reading.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be opened or mapped, [`Error::Corrupt`] if it is not a regular file.
    pub fn open(path: &Path) -> Result<Self> {
        Self::of(&open_regular(path)?, path)
    }

    /// Maps the whole of an open file; `path` is its name in errors.
    pub(crate) fn of(file: &File, path: &Path) -> Result<Self> {
        // SAFETY: what is required is that nobody changes the file while it is mapped. For the files
        // of a database that is the commit protocol: they are never modified, new data gets a new
        // name. A spill file has no name, and its only writer gave it up before calling this. For
        // foreign files nothing here can prove it; it is the documented contract of the type.
        let map = unsafe { Mmap::map(file) }.map_err(Error::io("map", path))?;
        let part = 0..map.len();
        Ok(Self {
            map,
            part,
            path: path.to_path_buf(),
        })
    }

    /// The same map without its first `start` bytes.
    pub(crate) fn behind(mut self, start: usize) -> Self {
        self.part.start = (self.part.start + start).min(self.part.end);
        self
    }

    /// The header at the front of the map, held to the body behind it, and the header's CRC.
    pub(crate) fn checked_header(&self, kind: Kind) -> Result<(Header, u32)> {
        let (header, crc) = Header::decode(&self.path, kind, self.bytes())?;
        header.check_body(
            &self.path,
            self.bytes().get(HEADER_BYTES..).unwrap_or_default(),
        )?;
        Ok((header, crc))
    }

    /// The mapped bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        // `part` is never out of bounds: it begins as the whole map and only shrinks.
        self.map.get(self.part.clone()).unwrap_or_default()
    }

    /// The file's name when it was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Memory that grows at its end, in one allocation that begins on a page boundary.
///
/// It comes from the system directly, with huge pages asked for: a scan over small pages spends part
/// of its time on address translation.
#[derive(Debug, Default)]
pub(crate) struct GrowingMemory {
    map: Option<MmapMut>,
    len: usize,
}

impl GrowingMemory {
    const CAPACITY_MIN: usize = 1 << 16;

    /// Makes room for `more` bytes behind those that are there; afterwards [`Self::append`] of as many
    /// cannot fail.
    pub(crate) fn reserve(&mut self, more: usize) -> std::io::Result<()> {
        let out_of_memory = || std::io::Error::from(std::io::ErrorKind::OutOfMemory);
        let needed = self.len.checked_add(more).ok_or_else(out_of_memory)?;
        let capacity = self.map.as_ref().map_or(0, |map| map.len());
        if needed <= capacity {
            return Ok(());
        }
        // Doubling: each byte is copied at most once more on average.
        let capacity = needed
            .max(capacity.saturating_mul(2))
            .max(Self::CAPACITY_MIN);
        let mut map = MmapMut::map_anon(capacity)?;
        // Advice: a kernel built without huge pages answers with an error, and nothing is lost.
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage);
        if let Some(target) = map.get_mut(..self.len) {
            target.copy_from_slice(self.bytes());
        }
        self.map = Some(map);
        Ok(())
    }

    /// Copies `bytes` behind those that are there.
    ///
    /// # Panics
    /// If [`Self::reserve`] did not make room: a bug of this crate.
    #[expect(
        clippy::expect_used,
        reason = "the caller reserved; losing the row silently would be worse"
    )]
    pub(crate) fn append(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        let room = self.map.as_mut().and_then(|map| map.get_mut(self.len..end));
        room.expect("reserve before append").copy_from_slice(bytes);
        self.len = end;
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.map
            .as_ref()
            .and_then(|map| map.get(..self.len))
            .unwrap_or_default()
    }
}

/// Bytes as f32, if they are whole, aligned numbers. Little-endian targets only (see lib.rs).
pub(crate) fn as_f32s(bytes: &[u8]) -> Option<&[f32]> {
    bytemuck::try_cast_slice(bytes).ok()
}

/// Bytes as u64, if they are whole, aligned numbers.
pub(crate) fn as_u64s(bytes: &[u8]) -> Option<&[u64]> {
    bytemuck::try_cast_slice(bytes).ok()
}

/// Numbers as the bytes that go to disk.
pub(crate) fn as_bytes<N: bytemuck::NoUninit>(numbers: &[N]) -> &[u8] {
    bytemuck::cast_slice(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_maps_to_no_bytes() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(MappedFile::open(file.path()).unwrap().bytes(), b"");
    }

    #[test]
    fn what_is_not_a_regular_file_is_refused_and_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = MappedFile::open(dir.path()).unwrap_err();
        assert!(
            matches!(&error, Error::Corrupt { path, .. } if path == dir.path()),
            "{error}"
        );
        let error = MappedFile::open(&dir.path().join("none")).unwrap_err();
        assert!(error.is_not_found(), "{error}");
    }

    #[test]
    fn growing_memory_keeps_its_bytes_and_its_alignment() {
        let mut memory = GrowingMemory::default();
        let mut expected = Vec::new();
        for i in 0..40_000_u32 {
            memory.reserve(4).unwrap();
            memory.append(&i.to_le_bytes());
            expected.extend_from_slice(&i.to_le_bytes());
        }
        assert_eq!(memory.bytes(), expected);
        assert_eq!(memory.bytes().as_ptr() as usize % 64, 0);
        assert!(memory.reserve(usize::MAX).is_err());
        assert_eq!(
            memory.bytes(),
            expected,
            "a refused reservation must lose nothing"
        );
    }
}
