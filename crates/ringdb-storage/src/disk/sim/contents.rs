//! The bytes of a simulated file, in pages: a copy shares those that have not changed since.
//!
//! Invariant: nothing but zeros lies behind the end, so a file that grows shows zeros there.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// What a disk keeps or loses as one.
pub(super) const PAGE_BYTES: usize = 4096;

/// Longer files are refused: a limit near those of real file systems, so that no sum overflows.
pub(super) const FILE_BYTES_MAX: u64 = 1 << 44;

/// One page; none stands for zeros.
pub(super) type Page = Option<Arc<[u8; PAGE_BYTES]>>;

#[derive(Debug, Clone, Default)]
pub(super) struct Contents {
    len: u64,
    pages: BTreeMap<u64, Arc<[u8; PAGE_BYTES]>>,
}

impl Contents {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn page(&self, index: u64) -> Page {
        self.pages.get(&index).cloned()
    }

    /// Puts a page, which must hold zeros from byte `end` of the file on, in place of the one there,
    /// and makes the file reach to `end` at least.
    pub(super) fn put(&mut self, index: u64, page: Page, end: u64) {
        match page {
            Some(page) => self.pages.insert(index, page),
            None => self.pages.remove(&index),
        };
        self.len = self.len.max(end);
    }

    /// Cuts the file, or fills it up with zeros.
    pub(super) fn set_len(&mut self, len: u64) {
        if len < self.len {
            let (last, kept) = page_of(len);
            self.pages.split_off(&len.div_ceil(PAGE_BYTES as u64));
            if let Some(page) = self.pages.get_mut(&last) {
                let behind = Arc::make_mut(page).get_mut(kept..);
                behind.unwrap_or_default().fill(0);
            }
        }
        self.len = len;
    }

    /// Copies from byte `at` on, up to the end; returns how many bytes that were.
    pub(super) fn read_at(&self, bytes: &mut [u8], at: u64) -> usize {
        let rest = usize::try_from(self.len.saturating_sub(at)).unwrap_or(usize::MAX);
        let len = bytes.len().min(rest);
        for piece in pieces(at, len) {
            let Some(to) = bytes.get_mut(piece.of_bytes) else {
                continue;
            };
            let page = self.pages.get(&piece.index);
            match page.and_then(|page| page.get(piece.of_page)) {
                Some(from) => to.copy_from_slice(from),
                None => to.fill(0),
            }
        }
        len
    }

    /// The pages that a write of `bytes` at byte `at` leaves, each with its number and the end of what
    /// was written to it.
    pub(super) fn written(
        &self,
        bytes: &[u8],
        at: u64,
    ) -> impl Iterator<Item = (u64, Arc<[u8; PAGE_BYTES]>, u64)> {
        pieces(at, bytes.len()).map(move |piece| {
            let end = at + piece.of_bytes.end as u64;
            let old = self.pages.get(&piece.index);
            let mut page = old.map_or([0; PAGE_BYTES], |old| **old);
            if let (Some(to), Some(from)) = (page.get_mut(piece.of_page), bytes.get(piece.of_bytes))
            {
                to.copy_from_slice(from);
            }
            (piece.index, Arc::new(page), end)
        })
    }
}

/// The page of byte `at`, and where in it the byte lies.
pub(super) fn page_of(at: u64) -> (u64, usize) {
    let page_bytes = PAGE_BYTES as u64;
    (at / page_bytes, (at % page_bytes) as usize)
}

/// The part of a range of bytes that lies in one page.
struct Piece {
    index: u64,
    of_page: Range<usize>,
    of_bytes: Range<usize>,
}

/// Cuts `len` bytes from byte `at` of a file on at the borders of pages.
fn pieces(at: u64, len: usize) -> impl Iterator<Item = Piece> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let (index, start) = page_of(at + done as u64);
        let more = (PAGE_BYTES - start).min(len - done);
        let piece = Piece {
            index,
            of_page: start..start + more,
            of_bytes: done..done + more,
        };
        done += more;
        (more > 0).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(contents: &mut Contents, bytes: &[u8], at: u64) {
        let written: Vec<_> = contents.written(bytes, at).collect();
        for (index, page, end) in written {
            contents.put(index, Some(page), end);
        }
    }

    fn all(contents: &Contents) -> Vec<u8> {
        let mut bytes = vec![0xAA; contents.len() as usize + 10];
        let read = contents.read_at(&mut bytes, 0);
        assert!(bytes[read..].iter().all(|&byte| byte == 0xAA));
        bytes.truncate(read);
        bytes
    }

    #[test]
    fn reads_and_writes_across_pages_are_those_of_a_vector() {
        let mut random = super::super::loss::Random::new(0x5EED);
        let (mut contents, mut expected) = (Contents::default(), Vec::new());
        for step in 0..2000_u64 {
            let at = random.below(3 * PAGE_BYTES as u64) as usize;
            let len = random.below(2 * PAGE_BYTES as u64) as usize;
            if random.below(4) == 0 {
                contents.set_len(at as u64);
                expected.resize(at, 0);
            } else if len > 0 {
                let bytes = vec![step as u8; len];
                write(&mut contents, &bytes, at as u64);
                expected.resize(expected.len().max(at + len), 0);
                expected[at..at + len].copy_from_slice(&bytes);
            }
            assert_eq!(all(&contents), expected, "step {step}");
            let mut part = vec![0; len];
            let read = contents.read_at(&mut part, at as u64);
            let rest = expected.get(at..).unwrap_or_default();
            assert_eq!(part[..read], rest[..rest.len().min(len)]);
        }
    }

    #[test]
    fn far_behind_the_end_nothing_is_stored() {
        let mut contents = Contents::default();
        write(&mut contents, b"far", FILE_BYTES_MAX - 3);
        assert_eq!((contents.len(), contents.pages.len()), (FILE_BYTES_MAX, 1));
        contents.set_len(5);
        assert_eq!(all(&contents), [0; 5]);
        assert!(contents.pages.is_empty());
    }
}
