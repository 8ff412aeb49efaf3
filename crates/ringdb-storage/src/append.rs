//! A file that grows at its end, buffered so that an append cannot fail half way.
//!
//! Invariant: [`AppendFile::make_room`] is the only step that touches the disk, and it may fail and be
//! called again without loss: what is not known to be written stays in the buffer. So a row and its
//! payload, which live in two files, are both appended or neither.

use std::path::{Path, PathBuf};

use crate::disk::{Disk, DiskFile, write_all_at};
use crate::error::{Error, Result};
use crate::footer::{self, BLOCK_BYTES};
use crate::header::{HEADER_BYTES, Header};

/// Flushed when this many bytes have gathered: large enough that the calls do not show in a profile.
const BUFFER_BYTES: usize = 1 << 20;

/// A file being written: room for a header, then a body that grows.
#[derive(Debug)]
pub(crate) struct AppendFile {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    /// Appended but not yet in the file. Begins at the border of a block.
    pending: Vec<u8>,
    /// Bytes of the body that are in the file: whole blocks.
    flushed_bytes: u64,
    /// The checksums of those blocks: 4 bytes for 64 KiB.
    table: Vec<u32>,
}

impl AppendFile {
    /// Takes over an empty file; `path` is its name in errors.
    pub(crate) fn new(file: Box<dyn DiskFile>, path: PathBuf) -> Self {
        Self {
            file,
            path,
            pending: Vec::new(),
            flushed_bytes: 0,
            table: Vec::new(),
        }
    }

    /// Creates `path`, which must not exist.
    pub(crate) fn create(disk: &dyn Disk, path: PathBuf) -> Result<Self> {
        let file = disk.create(&path).map_err(Error::io("create", &path))?;
        Ok(Self::new(file, path))
    }

    /// Writes the buffer out if it is full.
    pub(crate) fn make_room(&mut self) -> Result<()> {
        if self.pending.len() < BUFFER_BYTES {
            return Ok(());
        }
        self.flush(self.pending.len() / BLOCK_BYTES * BLOCK_BYTES)
    }

    /// Adds `bytes` to the body, in memory.
    pub(crate) fn append(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// Adds `bytes`, any number of them, writing as they come.
    pub(crate) fn append_all(&mut self, bytes: &[u8]) -> Result<()> {
        for part in bytes.chunks(BUFFER_BYTES) {
            self.make_room()?;
            self.append(part);
        }
        Ok(())
    }

    /// The length of the body so far.
    pub(crate) fn body_bytes(&self) -> u64 {
        self.flushed_bytes + self.pending.len() as u64
    }

    /// Writes out the first `bytes` of the buffer: whole blocks, or all of it at the end.
    fn flush(&mut self, bytes: usize) -> Result<()> {
        let blocks = self.pending.get(..bytes).unwrap_or_default();
        let at = HEADER_BYTES as u64 + self.flushed_bytes;
        write_all_at(&*self.file, blocks, at).map_err(Error::io("write", &self.path))?;
        self.table
            .extend(blocks.chunks(BLOCK_BYTES).map(crc32fast::hash));
        self.pending.drain(..bytes);
        // After a large append, which may not come again.
        self.pending.shrink_to(2 * BUFFER_BYTES);
        self.flushed_bytes += bytes as u64;
        Ok(())
    }

    /// Writes out the rest of the body and gives the file up, for a file that nobody will open by name:
    /// it gets no header, no checksums and no sync.
    pub(crate) fn into_body(mut self) -> Result<(Box<dyn DiskFile>, PathBuf)> {
        self.flush(self.pending.len())?;
        Ok((self.file, self.path))
    }

    /// Writes out the rest of the body, the table, `note` and the footer, then the header, and makes
    /// all durable. The header's length of the body is set here. Returns the CRC in the footer, which
    /// stands for the whole file.
    pub(crate) fn finish(mut self, header: Header, note: &str) -> Result<u32> {
        self.flush(self.pending.len())?;
        let body_bytes = self.flushed_bytes;
        let (head, header_crc) = Header {
            body_bytes,
            ..header
        }
        .encode();
        let (tail, crc) = footer::encode(&self.table, note, header_crc);
        let write = |bytes: &[u8], at: u64| {
            write_all_at(&*self.file, bytes, at).map_err(Error::io("write", &self.path))
        };
        write(&tail, HEADER_BYTES as u64 + body_bytes)?;
        write(&head, 0)?;
        sync(&*self.file, &self.path)?;
        Ok(crc)
    }
}

/// Makes a file durable. It must not be used again after a failure: the system may have dropped what
/// it could not write, and would report success the next time.
pub(crate) fn sync(file: &dyn DiskFile, path: &Path) -> Result<()> {
    file.sync().map_err(Error::durability(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `/dev/full` takes every open and refuses every write with ENOSPC, like a full disk.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_reported_by_the_call_that_meets_it_and_loses_nothing() {
        let disk = crate::disk::real();
        let path = PathBuf::from("/dev/full");
        let mut full = AppendFile::new(disk.open_or_create(&path).unwrap(), path);
        let bytes = vec![7; BUFFER_BYTES + 3];
        full.make_room().unwrap();
        full.append(&bytes);
        for _ in 0..2 {
            let error = full.make_room().unwrap_err();
            assert!(
                error.to_string().contains("cannot write /dev/full"),
                "{error}"
            );
        }
        assert_eq!(full.body_bytes(), bytes.len() as u64);

        // The cause goes away: the same bytes arrive, all of them.
        let dir = tempfile::tempdir().unwrap();
        let spare = dir.path().join("spare");
        full.file = disk.create(&spare).unwrap();
        full.make_room().unwrap();
        full.append(b"end");
        full.append_all(b"less").unwrap();
        full.into_body().unwrap();
        let written = std::fs::read(spare).unwrap();
        assert_eq!(written[HEADER_BYTES..HEADER_BYTES + bytes.len()], bytes);
        assert_eq!(&written[HEADER_BYTES + bytes.len()..], b"endless");
    }
}
