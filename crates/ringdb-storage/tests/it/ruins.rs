//! A database of several blocks in each file that tests may damage, and what docs/FORMAT.md says of it.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ringdb_storage::{PayloadCodec, Result, SegmentWriter};
use tempfile::TempDir;

/// Ids and coordinates: 7 blocks of vectors, 3 of offsets, and rows that lie in two blocks.
pub(crate) const ROWS: u32 = 20_000;
pub(crate) const DIMS: usize = 5;
pub(crate) const BLOCK: usize = 1 << 16;
/// The files, in the order in which findings come.
pub(crate) const FILES: [&str; 4] = ["MANIFEST", OFFSETS, PAYLOADS, VECTORS];
pub(crate) const OFFSETS: &str = "segment-000001/offsets.bin";
pub(crate) const PAYLOADS: &str = "segment-000001/payloads.bin";
pub(crate) const VECTORS: &str = "segment-000001/vectors.bin";

pub(crate) fn row(id: u32) -> [f32; DIMS] {
    std::array::from_fn(|i| id as f32 + i as f32 / 8.0)
}

pub(crate) fn payload(id: u32) -> String {
    format!("{id}{}", "x".repeat(id as usize % 17))
}

/// Lets no coordinate pass that is NaN.
pub(crate) fn no_nan(coordinates: &[f32]) -> Option<(usize, String)> {
    let index = coordinates.iter().position(|value| value.is_nan())?;
    Some((index, "is NaN".to_string()))
}

/// What stands in the files of a whole database.
type Files = [Vec<u8>; 4];

fn read(dir: &Path) -> Files {
    FILES.map(|name| fs::read(dir.join(name)).unwrap_or_default())
}

/// Writes rows with these payloads.
pub(crate) fn build<T>(
    dir: &Path,
    codec: PayloadCodec,
    rows: u32,
    push: impl Fn(&mut SegmentWriter<T>, &[f32], u32) -> Result<()>,
) {
    let mut writer = SegmentWriter::in_directory(dir, false, DIMS, codec).unwrap();
    for id in 0..rows {
        push(&mut writer, &row(id), id).unwrap();
    }
    writer.finish().unwrap();
}

/// A copy of a database, and what it was when it was whole.
pub(crate) struct Ruins {
    dir: TempDir,
    pub(crate) whole: Files,
}

impl Ruins {
    /// [`ROWS`] rows with payloads of text in bincode.
    pub(crate) fn new() -> Self {
        static WHOLE: OnceLock<Files> = OnceLock::new();
        let whole = WHOLE.get_or_init(|| {
            let dir = tempfile::tempdir().unwrap();
            build(
                dir.path(),
                PayloadCodec::Bincode,
                ROWS,
                |writer, row, id| writer.push(row, payload(id)),
            );
            read(dir.path())
        });
        let ruins = Self {
            dir: tempfile::tempdir().unwrap(),
            whole: whole.clone(),
        };
        fs::create_dir(ruins.dir().join("segment-000001")).unwrap();
        for (name, bytes) in FILES.iter().zip(whole) {
            fs::write(ruins.path(name), bytes).unwrap();
        }
        ruins
    }

    /// The database that was written to this directory.
    pub(crate) fn of(dir: TempDir) -> Self {
        let whole = read(dir.path());
        Self { dir, whole }
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    /// The files as they are now; of one that is gone no bytes.
    pub(crate) fn now(&self) -> Files {
        read(self.dir())
    }

    pub(crate) fn change(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = fs::read(self.path(name)).unwrap();
        change(&mut bytes);
        fs::write(self.path(name), bytes).unwrap();
    }

    pub(crate) fn flip(&self, name: &str, at: usize) {
        self.change(name, |bytes| bytes[at] ^= 0x10);
    }

    pub(crate) fn cut(&self, name: &str, len: usize) {
        self.change(name, |bytes| bytes.truncate(len));
    }

    pub(crate) fn swap(&self, name: &str, a: usize, b: usize) {
        self.change(name, |bytes| {
            for i in 64..64 + BLOCK {
                bytes.swap(a * BLOCK + i, b * BLOCK + i);
            }
        });
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    /// The parts of a file when it was whole.
    pub(crate) fn parts(&self, name: &str) -> Parts {
        let file = FILES.iter().position(|other| *other == name).unwrap();
        parts(&self.whole[file])
    }
}

pub(crate) struct Parts {
    pub(crate) body: Range<usize>,
    pub(crate) table: Range<usize>,
    pub(crate) note: Range<usize>,
    pub(crate) footer: Range<usize>,
}

impl Parts {
    pub(crate) fn blocks(&self) -> usize {
        self.table.len() / 4
    }
}

/// The parts of a whole file.
pub(crate) fn parts(file: &[u8]) -> Parts {
    let body_bytes = u64::from_le_bytes(file[48..56].try_into().unwrap()) as usize;
    let body = 64..64 + body_bytes;
    let table = body.end..body.end + 4 * body_bytes.div_ceil(BLOCK);
    let footer = file.len() - 16..file.len();
    let note = table.end..footer.start;
    Parts {
        body,
        table,
        note,
        footer,
    }
}
