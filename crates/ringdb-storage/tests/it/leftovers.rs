//! What dead writers left is collected, whatever became of its derived files; what is not ours stays.

use std::fs;

use ringdb_storage::{Error, PayloadCodec, Segment, SegmentWriter, rederive};
use tempfile::TempDir;

use crate::later::build;
use crate::support::{assert_holds, names, no_files, write};

const DERIVED: [&str; 5] = [
    "blocks.bin",
    "codes.bin",
    "fine.bin",
    "order.bin",
    "prefix.bin",
];

/// A database without derived files, which replaced one with some.
struct Replaced {
    dir: TempDir,
    /// The files of the old segment, which was removed.
    old: Vec<(String, Vec<u8>)>,
}

impl Replaced {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        build(dir.path(), 3, [100, 20], 30);
        let segment = dir.path().join("segment-000001");
        let read = |name: String| (name.clone(), fs::read(segment.join(name)).unwrap());
        let old = names(&segment).into_iter().map(read).collect();
        write(dir.path(), true, 4).unwrap();
        assert!(!segment.exists());
        Self { dir, old }
    }

    /// Puts the old segment there, as if nobody had removed it, with other bytes in `name`. Returns what of
    /// it is left when a writer has come and gone.
    fn left(&self, name: &str, bytes: &[u8]) -> Vec<String> {
        let segment = self.dir.path().join("segment-000001");
        let _ = fs::remove_dir_all(&segment);
        fs::create_dir(&segment).unwrap();
        for (name, bytes) in &self.old {
            fs::write(segment.join(name), bytes).unwrap();
        }
        fs::write(segment.join(name), bytes).unwrap();
        let codec = PayloadCodec::Bincode;
        drop(SegmentWriter::<()>::in_directory(self.dir.path(), true, 3, codec).unwrap());
        assert_holds(&Segment::open(self.dir.path()).unwrap(), 4);
        match segment.is_dir() {
            true => names(&segment),
            false => Vec::new(),
        }
    }

    fn file(&self, name: &str) -> Vec<u8> {
        let mut old = self.old.iter();
        old.find(|(old, _)| old == name).unwrap().1.clone()
    }
}

#[test]
fn a_leftover_is_collected_with_damaged_derived_files() {
    let db = Replaced::new();
    for name in DERIVED {
        let whole = db.file(name);
        // Each bit of the header; all but the footer; all but the start of the header.
        for bit in 0..64 * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(db.left(name, &flipped), [""; 0], "{name}, bit {bit}");
        }
        let (rest, footer) = whole.split_at(whole.len() - 16);
        let ruins = [vec![0; rest.len()], footer.to_vec()].concat();
        assert_eq!(db.left(name, &ruins), [""; 0], "{name}");
        assert_eq!(db.left(name, &whole[..40]), [""; 0], "{name}");
    }
}

/// Who cannot read the live segment removes nothing: the leftover may be all that is whole.
#[test]
fn a_leftover_stays_until_the_live_segment_was_seen_to_be_whole() {
    let db = Replaced::new();
    let dir = db.dir.path();
    let old = dir.join("segment-000001");
    fs::create_dir(&old).unwrap();
    for (name, bytes) in &db.old {
        fs::write(old.join(name), bytes).unwrap();
    }
    for name in ["vectors.bin", "payloads.bin", "offsets.bin"] {
        let path = dir.join("segment-000002").join(name);
        let whole = fs::read(&path).unwrap();
        let mut damaged = whole.clone();
        damaged[70] ^= 1;
        fs::write(&path, damaged).unwrap();
        let error = rederive::<Error>(dir, None, no_files).unwrap_err();
        assert!(
            matches!(&error, Error::Corrupt { path: found, .. } if *found == path),
            "{error}"
        );
        for (name, bytes) in &db.old {
            assert!(fs::read(old.join(name)).unwrap() == *bytes, "{name}");
        }
        fs::write(&path, whole).unwrap();
    }
    rederive::<Error>(dir, None, no_files).unwrap();
    assert_eq!(names(dir), ["LOCK", "MANIFEST", "segment-000003"]);
}

#[test]
fn what_is_not_ours_stays_with_the_leftover() {
    let (db, other) = (Replaced::new(), Replaced::new());
    let all = [
        "blocks.bin",
        "codes.bin",
        "fine.bin",
        "offsets.bin",
        "order.bin",
        "payloads.bin",
        "prefix.bin",
        "vectors.bin",
    ];
    for name in DERIVED {
        assert_eq!(db.left(name, b"mine"), all);
        assert_eq!(db.left(name, b""), all);
        assert_eq!(db.left(name, &other.file(name)), all);
    }
    // Whole files of another database, whatever their kind and version.
    let rows = other.file("vectors.bin");
    let newer = {
        let mut header = rows[..64].to_vec();
        header[8] = 2;
        let crc = crc32fast::hash(&header[..60]).to_le_bytes();
        header[60..].copy_from_slice(&crc);
        [&header, &rows[64..]].concat()
    };
    for name in DERIVED {
        assert_eq!(db.left(name, &rows), all);
        assert_eq!(db.left(name, &newer), all);
    }
    // Whatever it is that has no header, rows may be in it.
    for name in ["offsets.bin", "payloads.bin", "vectors.bin"] {
        let mut bytes = db.file(name);
        bytes[0] ^= 1;
        assert_eq!(db.left(name, &bytes), all);
        assert_eq!(db.left(name, &other.file(name)), all);
    }
}
