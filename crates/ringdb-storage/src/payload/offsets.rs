//! Where each payload begins and ends: `n + 1` byte offsets, kept at hand, 8 bytes a payload.
//!
//! Invariant: the first is 0, none is below the one before it, the last is the length of the payload
//! bytes. Checked once when the table is made, so that a lookup cannot reach outside.

use std::ops::Range;
use std::path::Path;

use crate::error::{Error, Result};
use crate::mapped::{MappedFile, as_u64s};

/// A checked offset table.
#[derive(Debug)]
pub(crate) struct Offsets {
    table: Table,
    len: usize,
}

#[derive(Debug)]
enum Table {
    Memory(Vec<u64>),
    Mapped(MappedFile),
}

impl Offsets {
    /// A table that a builder made.
    pub(crate) fn in_memory(table: Vec<u64>, payload_bytes: u64) -> Result<Self> {
        let len = check(
            Path::new("the offset table in memory"),
            0,
            &table,
            payload_bytes,
        )?;
        Ok(Self {
            table: Table::Memory(table),
            len,
        })
    }

    /// A table on disk; `file` shows its numbers alone, which begin at byte `at` of the file.
    pub(crate) fn mapped(file: MappedFile, at: u64, payload_bytes: u64) -> Result<Self> {
        let Some(table) = as_u64s(file.bytes()) else {
            let what = format!(
                "{} bytes are not a whole number of offsets",
                file.bytes().len()
            );
            return Err(Error::corrupt(file.path(), at, what));
        };
        let len = check(file.path(), at, table, payload_bytes)?;
        Ok(Self {
            table: Table::Mapped(file),
            len,
        })
    }

    /// Number of payloads.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The bytes of payload `id`.
    pub(crate) fn range(&self, id: u32) -> Result<Range<usize>> {
        let table = match &self.table {
            Table::Memory(table) => table.as_slice(),
            Table::Mapped(file) => as_u64s(file.bytes()).unwrap_or_default(),
        };
        match table.get(id as usize..).unwrap_or_default() {
            // In range for usize: the last offset equals the length of a slice.
            [start, end, ..] => Ok(*start as usize..*end as usize),
            _ => Err(Error::IdOutOfRange { id, len: self.len }),
        }
    }
}

/// Proves the invariant, or says at which byte it breaks. Returns the number of payloads.
fn check(path: &Path, at: u64, table: &[u64], payload_bytes: u64) -> Result<usize> {
    let wrong = |index: usize, what: String| Err(Error::corrupt(path, at + 8 * index as u64, what));
    let (Some(&first), Some(&last)) = (table.first(), table.last()) else {
        return wrong(0, "no offsets: even an empty store has one".to_string());
    };
    if first != 0 {
        return wrong(0, format!("the first offset is {first}, not 0"));
    }
    if let Some(index) = table.windows(2).position(|pair| pair.first() > pair.last()) {
        return wrong(
            index + 1,
            format!("offset {} is below offset {index}", index + 1),
        );
    }
    if last != payload_bytes {
        let index = table.len() - 1;
        return wrong(
            index,
            format!("the last offset is {last}, there are {payload_bytes} payload bytes"),
        );
    }
    Ok(table.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(table: &[u64], payload_bytes: u64) -> String {
        check(Path::new("o"), 64, table, payload_bytes)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_broken_table_is_named_by_byte() {
        assert_eq!(
            finding(&[], 0),
            "o is corrupt at byte 64: no offsets: even an empty store has one"
        );
        assert_eq!(
            finding(&[1, 1], 1),
            "o is corrupt at byte 64: the first offset is 1, not 0"
        );
        assert_eq!(
            finding(&[0, 5, 4, 9], 9),
            "o is corrupt at byte 80: offset 2 is below offset 1"
        );
        let past = "o is corrupt at byte 72: the last offset is 7, there are 6 payload bytes";
        assert_eq!(finding(&[0, 7], 6), past);
    }

    #[test]
    fn ranges_are_those_of_the_table_and_stop_at_its_end() {
        let offsets = Offsets::in_memory(vec![0, 3, 3, 8], 8).unwrap();
        assert_eq!(offsets.range(0).unwrap(), 0..3);
        assert_eq!(offsets.range(1).unwrap(), 3..3);
        assert_eq!(offsets.range(2).unwrap(), 3..8);
        for id in [3, u32::MAX] {
            assert!(matches!(
                offsets.range(id),
                Err(Error::IdOutOfRange { len: 3, .. })
            ));
        }
    }
}
