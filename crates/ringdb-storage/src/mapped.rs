//! The only memory maps of the crate, and the only view of bytes as numbers.
//!
//! Invariant: the bytes under a map do not change while it lives, because files of a database are never
//! modified after their commit. A program that edits or cuts such a file all the same breaks the
//! contract, and no check made here can save it.

#![expect(
    unsafe_code,
    reason = "mapping a file is unsafe; it happens here and nowhere else"
)]

use std::fs::File;
use std::io;

use memmap2::{Mmap, MmapMut};

/// The bytes of a whole file: mapped, or in memory that begins on a page boundary as well.
#[derive(Debug)]
pub struct Bytes(Source);

#[derive(Debug)]
enum Source {
    Map(Mmap),
    Memory(GrowingMemory),
}

impl Bytes {
    /// Maps the whole of an open file for reading.
    pub(crate) fn map(file: &File) -> io::Result<Self> {
        // SAFETY: what is required is that nobody changes the file while it is mapped. For the files
        // of a database that is the commit protocol: they are never modified, new data gets a new
        // name. A spill file has no name, and its only writer gave it up before calling this. For
        // foreign files nothing here can prove it; it is the documented contract of `MappedFile`.
        Ok(Self(Source::Map(unsafe { Mmap::map(file) }?)))
    }

    /// Memory of `len` bytes that `fill` fills: it gets them as zeros.
    pub(crate) fn filled(
        len: usize,
        fill: impl FnOnce(&mut [u8]) -> io::Result<()>,
    ) -> io::Result<Self> {
        let mut map = anonymous(len)?;
        fill(map.get_mut(..len).unwrap_or_default())?;
        let map = Some(map);
        Ok(GrowingMemory { map, len }.into())
    }

    /// All of them.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        match &self.0 {
            Source::Map(map) => map,
            Source::Memory(memory) => memory.bytes(),
        }
    }
}

/// Zeros that no other process sees. Huge pages are asked for: a scan over small pages spends part of
/// its time on address translation.
fn anonymous(len: usize) -> io::Result<MmapMut> {
    let map = MmapMut::map_anon(len)?;
    // Advice: a kernel built without huge pages answers with an error, and nothing is lost.
    #[cfg(target_os = "linux")]
    let _ = map.advise(memmap2::Advice::HugePage);
    Ok(map)
}

/// Memory that grows at its end, in one allocation that begins on a page boundary.
#[derive(Debug, Default)]
pub(crate) struct GrowingMemory {
    map: Option<MmapMut>,
    len: usize,
}

impl GrowingMemory {
    const CAPACITY_MIN: usize = 1 << 16;

    /// Makes room for `more` bytes behind those that are there; afterwards [`Self::append`] of as many
    /// cannot fail.
    pub(crate) fn reserve(&mut self, more: usize) -> io::Result<()> {
        let out_of_memory = || io::Error::from(io::ErrorKind::OutOfMemory);
        let needed = self.len.checked_add(more).ok_or_else(out_of_memory)?;
        let capacity = self.map.as_ref().map_or(0, |map| map.len());
        if needed <= capacity {
            return Ok(());
        }
        // Doubling: each byte is copied at most once more on average.
        let capacity = needed
            .max(capacity.saturating_mul(2))
            .max(Self::CAPACITY_MIN);
        let mut map = anonymous(capacity)?;
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
        if bytes.is_empty() {
            // For nothing, no room is made.
            return;
        }
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

impl From<GrowingMemory> for Bytes {
    /// What was gathered, as it lies there.
    fn from(memory: GrowingMemory) -> Self {
        Self(Source::Memory(memory))
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

/// Numbers as bytes to be filled.
pub(crate) fn as_bytes_mut(numbers: &mut [f32]) -> &mut [u8] {
    bytemuck::cast_slice_mut(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn gathered_bytes_are_those_that_were_appended_where_they_lay() {
        let mut memory = GrowingMemory::default();
        memory.reserve(100_000).unwrap();
        memory.append(b"ringd");
        let at = memory.bytes().as_ptr();
        let bytes = Bytes::from(memory);
        assert_eq!(
            (bytes.as_slice(), bytes.as_slice().as_ptr()),
            (&b"ringd"[..], at)
        );
        assert_eq!(Bytes::from(GrowingMemory::default()).as_slice(), b"");
    }

    #[test]
    fn copied_bytes_are_whole_and_none_are_none() {
        let copy = Bytes::filled(5, |bytes| {
            bytes.copy_from_slice(b"ringd");
            Ok(())
        });
        assert_eq!(copy.unwrap().as_slice(), b"ringd");
        let none = Bytes::filled(0, |bytes| {
            assert!(bytes.is_empty());
            Ok(())
        });
        assert_eq!(none.unwrap().as_slice(), b"");
    }
}
