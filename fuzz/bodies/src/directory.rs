//! A whole database directory, with codes, boxes, both or neither, changed in the ways that an input describes.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use arbitrary::{Arbitrary, Unstructured};
use ringdb_index::Ring;
use ringdb_storage::disk::{Disk, SimDisk};
use ringdb_storage::{Access, PayloadCodec, ReadOptions, Segment, SegmentWriter, Verify};

use crate::coded::{self, Refused};
use crate::files::{disk_with, sealed, unsealed};

/// A change of one file.
#[derive(Debug, Arbitrary)]
struct Change {
    file: u8,
    what: What,
}

#[derive(Debug, Arbitrary)]
enum What {
    /// Flips bits of a byte.
    Flip { at: u16, bits: u8 },
    /// Writes a number of eight bytes.
    Number { at: u16, value: u64 },
    /// Cuts the file.
    Cut { len: u16 },
    /// Adds bytes at its end.
    Grow { bytes: Vec<u8> },
    /// Exchanges two pieces of it.
    Swap { a: u16, b: u16, len: u8 },
    /// Puts in its place the file of the same name of another generation.
    Older,
    /// Puts in its place another file of the database.
    Copy { of: u8 },
    /// Changes a byte of header or body and makes the file's own checksums right, and its entry in
    /// MANIFEST.
    Seal { at: u16, value: u8 },
    /// Takes it away.
    Remove,
}

/// How many rows there are, without boxes and with them: of few rows a search looks at no box.
const LENS: [u32; 2] = [20, 400];

/// The first row behind the ring, so near to it that prefixes do not tell that, and codes do.
const BEHIND: u32 = 13;
const BEHIND_AT: f32 = 12.031_25;

/// So many that prefixes are smaller than codes.
const DIMS: usize = 5;

fn row(generation: u32, id: u32) -> [f32; DIMS] {
    let at = match id {
        BEHIND => BEHIND_AT,
        _ => id as f32,
    };
    [3.0 * at, 4.0 * at, generation as f32, 0.25, 0.0]
}

fn payload(generation: u32, id: u32) -> String {
    format!("payload {id} of generation {generation}")
}

/// A row of generation 2 lies at five times its id from here, but for the one behind the ring.
const QUERY: [f32; DIMS] = [0.0, 0.0, 2.0, 0.25, 0.0];

/// The nearest row is so near to the first bound that codes do not tell on which side it lies, and fine
/// codes do; the farthest lies on the second bound, so that nothing but its coordinates tells.
const RING: [f64; 2] = [24.95, 60.0];
const HITS: [u32; 8] = [5, 6, 7, 8, 9, 10, 11, 12];

/// Files by their names.
type Files = Vec<(PathBuf, Vec<u8>)>;

/// The files of two generations of one database.
fn generations([has_codes, has_boxes]: [bool; 2]) -> &'static [Files; 2] {
    static FILES: [OnceLock<[Files; 2]>; 4] = [const { OnceLock::new() }; 4];
    FILES[usize::from(has_codes) + 2 * usize::from(has_boxes)].get_or_init(|| {
        let disk: Arc<dyn Disk> = Arc::new(SimDisk::new());
        let dir = Path::new("/db");
        [1, 2].map(|generation| {
            let codec = PayloadCodec::Bincode;
            let writer = SegmentWriter::in_directory_on(Arc::clone(&disk), dir, true, DIMS, codec);
            let mut writer = writer.expect("a writer");
            for id in 0..LENS[usize::from(has_boxes)] {
                let pushed = writer.push(&row(generation, id), payload(generation, id));
                pushed.expect("room for a row");
            }
            let finished = writer.finish_with(|vectors, writer| {
                if has_codes {
                    coded::derive(vectors, writer)?;
                }
                if has_boxes {
                    coded::derive_boxes(vectors, writer)?;
                }
                Ok::<(), Refused>(())
            });
            finished.expect("a database");
            let segment = PathBuf::from(format!("/db/segment-{generation:06}"));
            let names = ["offsets.bin", "payloads.bin", "vectors.bin"];
            let codes = ["codes.bin", "fine.bin", "prefix.bin"];
            let codes = codes.into_iter().filter(|_| has_codes);
            let boxes = ["blocks.bin", "order.bin"];
            let derived = codes.chain(boxes.into_iter().filter(|_| has_boxes));
            let mut paths = vec![dir.join("MANIFEST")];
            paths.extend(
                names
                    .into_iter()
                    .chain(derived)
                    .map(|name| segment.join(name)),
            );
            paths
                .into_iter()
                .map(|path| {
                    let file = disk.open(&path).expect("a file of the database");
                    let bytes = file.map().expect("its bytes").as_slice().to_vec();
                    // Under the names of the second, so that they can take its place.
                    let name = path.file_name().expect("a name");
                    let path = match generation {
                        1 if name != "MANIFEST" => Path::new("/db/segment-000002").join(name),
                        _ => path,
                    };
                    (path, bytes)
                })
                .collect()
        })
    })
}

/// Opens a database that was changed as `data` says, reads all of it in every mode, and holds what it
/// reads to what was written. Returns whether anything was changed and all of it could still be read.
///
/// # Panics
/// If the library does, or if a changed database gives another answer than the whole one. A file that
/// was sealed anew is one that somebody else wrote: of that, only that it is read to its end is asked.
pub fn directory(data: &[u8]) -> bool {
    let mut input = Unstructured::new(data);
    let Ok(changes) = Vec::<Change>::arbitrary(&mut input) else {
        return false;
    };
    // Behind the changes, so that an input without it is one of a database without codes or boxes.
    let kind = u8::arbitrary(&mut input).unwrap_or_default();
    let has = [1, 2].map(|bit| kind & bit > 0);
    let [older, whole] = generations(has);
    let len = LENS[usize::from(has[1])];
    let mut files: Vec<Option<(PathBuf, Vec<u8>)>> = whole.iter().cloned().map(Some).collect();
    let mut is_forged = false;
    for Change { file, what } in &changes {
        let index = usize::from(*file) % files.len();
        is_forged |= matches!(what, What::Seal { .. });
        change(&mut files, index, what, older, whole);
    }
    let left: Vec<_> = files.into_iter().flatten().collect();
    let disk = disk_with(
        left.iter()
            .map(|(path, bytes)| (path.as_path(), bytes.as_slice())),
    );
    let mut read_whole = true;
    for verify in [Verify::Open, Verify::Lazy, Verify::Never] {
        for access in [Access::Map, Access::Read] {
            let options = ReadOptions::new().verify(verify).access(access);
            // Without checksums of blocks, rows that were changed are read as they are.
            let is_checked = !is_forged && verify != Verify::Never;
            read_whole &= read(&*disk, &options, is_checked.then_some(len));
        }
    }
    read_whole && !changes.is_empty()
}

/// Whether all of the database can be read. What is read is compared if it is known how many rows there are.
fn read(disk: &dyn Disk, options: &ReadOptions, len: Option<u32>) -> bool {
    let is_checked = len.is_some();
    let Ok(segment) = Segment::<String>::open_on(disk, Path::new("/db"), options) else {
        return false;
    };
    let mut all = true;
    for id in 0..segment.vectors.len() as u32 {
        match segment.vectors.row(id) {
            Ok(found) => assert!(!is_checked || found == row(2, id), "row {id} is {found:?}"),
            Err(_) => all = false,
        }
        match segment.payloads.fetch(id) {
            Ok(found) => assert!(!is_checked || found == payload(2, id), "{id}: {found}"),
            Err(_) => all = false,
        }
    }
    let ring = Ring::between(RING[0], RING[1]).expect("a ring");
    match coded::ids(&segment, &QUERY, &ring) {
        Ok((found, _)) => assert!(!is_checked || found == HITS, "the ring holds {found:?}"),
        Err(_) => all = false,
    }
    if let Some(len) = len {
        assert_eq!(segment.vectors.len() as u32, len, "rows are missing");
    }
    all
}

fn change(
    files: &mut [Option<(PathBuf, Vec<u8>)>],
    index: usize,
    what: &What,
    older: &[(PathBuf, Vec<u8>)],
    whole: &[(PathBuf, Vec<u8>)],
) {
    let Some((_, bytes)) = &mut files[index] else {
        return;
    };
    let place = |at: u16, len: usize| usize::from(at) % len.max(1);
    match what {
        What::Flip { at, bits } => {
            let at = place(*at, bytes.len());
            bytes
                .iter_mut()
                .skip(at)
                .take(1)
                .for_each(|byte| *byte ^= bits);
        }
        What::Number { at, value } => {
            let at = place(*at, bytes.len());
            if let Some(field) = bytes.get_mut(at..at + 8) {
                field.copy_from_slice(&value.to_le_bytes());
            }
        }
        What::Cut { len } => bytes.truncate(usize::from(*len)),
        What::Grow { bytes: more } => bytes.extend_from_slice(more),
        What::Swap { a, b, len } => {
            for i in 0..usize::from(*len) {
                let [a, b] = [*a, *b].map(|at| place(at, bytes.len()) + i);
                if a.max(b) < bytes.len() {
                    bytes.swap(a, b);
                }
            }
        }
        What::Older => bytes.clone_from(&older[index].1),
        What::Copy { of } => bytes.clone_from(&whole[usize::from(*of) % whole.len()].1),
        What::Seal { at, value } => {
            *bytes = whole[index].1.clone();
            let (head_and_body, note) = unsealed(bytes);
            let (mut changed, note) = (head_and_body.to_vec(), note.to_vec());
            let at = place(*at, changed.len());
            changed[at] = *value;
            let kind = u16::from_le_bytes([changed[6], changed[7]]);
            *bytes = sealed(&changed, kind, &note);
            let checksum = *bytes.last_chunk::<4>().expect("a footer");
            if index > 0 {
                enter(files, files.len() - index, &checksum);
            }
        }
        What::Remove => files[index] = None,
    }
}

/// Writes the checksum of a file into its entry in MANIFEST, so many before the end, if MANIFEST is as long
/// as it was written.
fn enter(files: &mut [Option<(PathBuf, Vec<u8>)>], from_end: usize, checksum: &[u8; 4]) {
    let Some((_, manifest)) = &mut files[0] else {
        return;
    };
    // The entries, 16 bytes each, stand before one block's CRC and the footer.
    let entries = manifest.len().saturating_sub(16 + 4);
    let Some(entry) = entries.checked_sub(16 * from_end) else {
        return;
    };
    if let Some(field) = manifest.get_mut(entry + 4..entry + 8) {
        field.copy_from_slice(checksum);
        *manifest = sealed(&manifest[..entries], 1, b"");
    }
}

#[cfg(test)]
mod tests {
    use ringdb_index::Tier;

    use super::*;

    #[test]
    fn the_search_needs_every_tier() {
        check_tiers(
            [true, false],
            &[Tier::Prefix, Tier::Codes, Tier::Fine, Tier::Rows],
        );
        check_tiers([false, true], &[Tier::Boxes, Tier::Rows]);
    }

    fn check_tiers(has: [bool; 2], tiers: &[Tier]) {
        let files = &generations(has)[1];
        let disk = disk_with(
            files
                .iter()
                .map(|(path, bytes)| (path.as_path(), bytes.as_slice())),
        );
        let segment = Segment::<String>::open_on(&*disk, Path::new("/db"), &ReadOptions::new());
        let ring = Ring::between(RING[0], RING[1]).unwrap();
        let (found, explain) = coded::ids(&segment.unwrap(), &QUERY, &ring).unwrap();
        assert_eq!(found, HITS);
        for &tier in tiers {
            let report = explain.tier(tier);
            assert!(report.outside + report.inside > 0, "{tier:?}: {explain}");
        }
    }
}
