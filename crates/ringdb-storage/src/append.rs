//! A file that grows at its end, buffered so that an append cannot fail half way.
//!
//! Invariant: [`AppendFile::make_room`] is the only step that touches the disk, and it may fail and be
//! called again without loss: what is not known to be written stays in the buffer. So a row and its
//! payload, which live in two files, are both appended or neither.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::header::{HEADER_BYTES, Header, Kind, Origin};

/// Flushed when this many bytes have gathered: large enough that the calls do not show in a profile.
const BUFFER_BYTES: usize = 1 << 20;

/// A file being written: room for a header, then a body that grows.
#[derive(Debug)]
pub(crate) struct AppendFile {
    file: File,
    path: PathBuf,
    /// Appended but not yet in the file.
    pending: Vec<u8>,
    /// Bytes of the body that are in the file.
    flushed_bytes: u64,
    body_crc: crc32fast::Hasher,
}

impl AppendFile {
    /// Takes over an empty file; `path` is its name in errors.
    pub(crate) fn new(file: File, path: PathBuf) -> Self {
        let body_crc = crc32fast::Hasher::new();
        Self {
            file,
            path,
            pending: Vec::new(),
            flushed_bytes: 0,
            body_crc,
        }
    }

    /// Creates `path`, which must not exist.
    pub(crate) fn create(path: PathBuf) -> Result<Self> {
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path);
        let file = file.map_err(Error::io("create", &path))?;
        Ok(Self::new(file, path))
    }

    /// Writes the buffer out if it is full.
    pub(crate) fn make_room(&mut self) -> Result<()> {
        if self.pending.len() < BUFFER_BYTES {
            Ok(())
        } else {
            self.flush()
        }
    }

    /// Adds `bytes` to the body, in memory.
    pub(crate) fn append(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
        self.body_crc.update(bytes);
    }

    /// The length of the body so far.
    pub(crate) fn body_bytes(&self) -> u64 {
        self.flushed_bytes + self.pending.len() as u64
    }

    fn flush(&mut self) -> Result<()> {
        // Sought each time: after a failed write the file's own position means nothing.
        let at = SeekFrom::Start(HEADER_BYTES as u64 + self.flushed_bytes);
        self.file
            .seek(at)
            .map_err(Error::io("seek in", &self.path))?;
        self.file
            .write_all(&self.pending)
            .map_err(Error::io("write", &self.path))?;
        self.flushed_bytes += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    /// Adds `bytes` to the body and writes them out at once, without a copy in memory.
    pub(crate) fn append_through(&mut self, bytes: &[u8]) -> Result<()> {
        self.flush()?;
        self.file
            .write_all(bytes)
            .map_err(Error::io("write", &self.path))?;
        self.body_crc.update(bytes);
        self.flushed_bytes += bytes.len() as u64;
        Ok(())
    }

    /// Writes out the rest of the body and gives the file up with the CRC of what was appended: for a
    /// file that nobody will open by name, which gets neither header nor sync.
    pub(crate) fn into_body(mut self) -> Result<(File, PathBuf, u32)> {
        self.flush()?;
        Ok((self.file, self.path, self.body_crc.finalize()))
    }

    /// Writes out the rest of the body and the header and makes both durable. Returns the CRC of the
    /// header, which stands for the whole file.
    pub(crate) fn finish(
        mut self,
        kind: Kind,
        detail: u32,
        origin: Origin,
        count: u64,
    ) -> Result<u32> {
        self.flush()?;
        let body_crc = std::mem::take(&mut self.body_crc).finalize();
        let header = Header {
            kind,
            detail,
            origin,
            count,
            body_bytes: self.flushed_bytes,
            body_crc,
        };
        let (bytes, header_crc) = header.encode();
        self.file
            .rewind()
            .map_err(Error::io("seek in", &self.path))?;
        self.file
            .write_all(&bytes)
            .map_err(Error::io("write", &self.path))?;
        sync(&self.file, &self.path)?;
        Ok(header_crc)
    }
}

/// Makes a file durable. The descriptor must not be used again after a failure: the system may have
/// dropped the pages that it could not write, and would report success the next time.
pub(crate) fn sync(file: &File, path: &Path) -> Result<()> {
    file.sync_all().map_err(|source| Error::DurabilityUnknown {
        path: path.to_path_buf(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `/dev/full` takes every open and refuses every write with ENOSPC, like a full disk.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_reported_by_the_call_that_meets_it_and_loses_nothing() {
        let path = PathBuf::from("/dev/full");
        let file = File::options().write(true).open(&path).unwrap();
        let mut full = AppendFile::new(file, path);
        let bytes = vec![7; BUFFER_BYTES];
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
        let spare = tempfile::NamedTempFile::new().unwrap();
        full.file = spare.reopen().unwrap();
        full.make_room().unwrap();
        full.append(b"end");
        full.append_through(b"less").unwrap();
        let (.., crc) = full.into_body().unwrap();
        let written = std::fs::read(spare.path()).unwrap();
        assert_eq!(written[HEADER_BYTES..HEADER_BYTES + bytes.len()], bytes);
        assert_eq!(&written[HEADER_BYTES + bytes.len()..], b"endless");
        assert_eq!(crc, crc32fast::hash(&written[HEADER_BYTES..]));
    }
}
