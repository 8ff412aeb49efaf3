//! Databases on disk: those of this library and those of ring-db 0.3, whole and damaged.

use std::fs;
use std::io;
use std::path::Path;

use ringdb::{
    BackendPreference, BuildOptions, DiskQuery, RingDb, RingDbConfig, RingDbError, SealedRingDb,
};

use crate::support::sign;

fn load(dir: &Path) -> ringdb::Result<SealedRingDb<String>> {
    RingDb::load(dir, BackendPreference::Cpu)
}

fn build(dir: &Path, rows: &[[f32; 2]]) -> ringdb::Result<SealedRingDb<String>> {
    let mut db = RingDb::new(RingDbConfig::new(2).with_persist_dir(dir))?;
    for row in rows {
        db.add_vector(row, format!("{row:?}"))?;
    }
    db.build()
}

const ROWS: [[f32; 2]; 3] = [[0.0, 0.0], [3.0, 4.0], [-1.5, 2.0]];

#[track_caller]
fn assert_holds(db: &SealedRingDb<String>, rows: &[[f32; 2]]) {
    assert_eq!((db.len(), db.dims()), (rows.len(), 2));
    for (id, row) in rows.iter().enumerate() {
        assert_eq!(db.fetch_payload(id as u32).unwrap(), format!("{row:?}"));
        assert_eq!(*db.vector(id as u32).unwrap(), *row);
        let found = db
            .query_disk(&DiskQuery {
                query: row,
                d_max: 0.0,
            })
            .unwrap();
        assert!(found.ids.contains(&(id as u32)));
    }
}

#[test]
fn a_database_is_the_same_when_it_is_loaded() {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..=ROWS.len() {
        let dir = dir.path().join(format!("a/{n}"));
        assert_holds(&build(&dir, &ROWS[..n]).unwrap(), &ROWS[..n]);
        assert_holds(&load(&dir).unwrap(), &ROWS[..n]);
    }
}

#[test]
fn a_database_is_replaced_only_when_asked() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path(), &ROWS).unwrap();
    let error = build(dir.path(), &ROWS[..1]).unwrap_err();
    assert!(
        matches!(&error, RingDbError::AlreadyExists { path } if path == dir.path()),
        "{error}"
    );
    let old = load(dir.path()).unwrap();
    let mut db = BuildOptions::new(2)
        .persist(dir.path())
        .replace(true)
        .create()
        .unwrap();
    db.add_vector(&ROWS[2], format!("{:?}", ROWS[2])).unwrap();
    let locked = BuildOptions::new(2)
        .persist(dir.path())
        .replace(true)
        .create::<String>()
        .unwrap_err();
    let process = std::process::id();
    assert!(
        matches!(locked, RingDbError::Locked { pid: Some(pid), .. } if pid == process),
        "{locked}"
    );
    assert_holds(&load(dir.path()).unwrap(), &ROWS);
    db.build().unwrap();
    assert_holds(&load(dir.path()).unwrap(), &ROWS[2..]);
    assert_holds(&old, &ROWS);
}

#[test]
fn what_is_not_there_or_no_database() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("none");
    let Err(RingDbError::Io(error)) = load(&missing) else {
        panic!("a missing directory was opened")
    };
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert!(
        error.to_string().contains(missing.to_str().unwrap()),
        "{error}"
    );
    let error = load(dir.path()).unwrap_err();
    assert!(
        matches!(&error, RingDbError::NotADatabase { path } if path == dir.path()),
        "{error}"
    );
}

#[test]
fn damage_names_file_byte_and_finding() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path(), &ROWS).unwrap();
    let path = dir.path().join("segment-000001/vectors.bin");
    let mut bytes = fs::read(&path).unwrap();
    bytes[70] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let Err(RingDbError::Corrupt(corruption)) = load(dir.path()) else {
        panic!("damage was not seen")
    };
    assert_eq!(
        (corruption.path(), corruption.offset()),
        (path.as_path(), 64)
    );
    assert!(corruption.what().starts_with("checksum"), "{corruption}");
    assert_eq!(&*corruption, corruption.to_string());

    // A coordinate that no writer of this library would have accepted, with its checksums made right.
    bytes[70] ^= 1;
    bytes[76..80].copy_from_slice(&f32::NAN.to_le_bytes());
    let crc = sign(&mut bytes);
    fs::write(&path, &bytes).unwrap();
    let manifest_path = dir.path().join("MANIFEST");
    let mut manifest = fs::read(&manifest_path).unwrap();
    // The last file entry is that of vectors.bin: kind, flags, checksum and length. Behind it come one
    // block's checksum and the footer.
    let entry = manifest.len() - 16 - 4 - 16;
    manifest[entry + 4..entry + 8].copy_from_slice(&crc);
    sign(&mut manifest);
    fs::write(&manifest_path, manifest).unwrap();
    let error = load(dir.path()).unwrap_err();
    let text = "vectors.bin at byte 76: coordinate 1 of row 1 is NaN";
    assert!(error.to_string().ends_with(text), "{error}");
}

/// Writes the five files of ring-db 0.3 as that library does.
fn write_ring_db(dir: &Path, rows: &[[f32; 2]]) {
    let words = |words: &[u64]| {
        words
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect::<Vec<_>>()
    };
    let floats = |x: &[f32]| x.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>();
    let (mut payloads, mut offsets) = (Vec::new(), vec![0]);
    for row in rows {
        let text = format!("{row:?}");
        payloads.extend_from_slice(&(text.len() as u64).to_le_bytes());
        payloads.extend_from_slice(text.as_bytes());
        offsets.push(payloads.len() as u64);
    }
    let norms: Vec<f32> = rows.iter().map(|[x, y]| x * x + y * y).collect();
    fs::write(dir.join("meta.bin"), words(&[2, rows.len() as u64])).unwrap();
    fs::write(dir.join("vectors.bin"), floats(rows.as_flattened())).unwrap();
    fs::write(dir.join("norms_sq.bin"), floats(&norms)).unwrap();
    fs::write(dir.join("payloads.bin"), payloads).unwrap();
    fs::write(dir.join("offsets.bin"), words(&offsets)).unwrap();
}

#[test]
fn directories_of_ring_db_are_opened() {
    for n in 0..=ROWS.len() {
        let dir = tempfile::tempdir().unwrap();
        write_ring_db(dir.path(), &ROWS[..n]);
        assert_holds(&load(dir.path()).unwrap(), &ROWS[..n]);
    }
}

#[test]
fn damaged_directories_of_ring_db_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |finding: &str| {
        let error = load(dir.path()).unwrap_err();
        assert!(
            error.to_string().contains(finding),
            "{error} does not say {finding}"
        );
        write_ring_db(dir.path(), &ROWS);
    };
    write_ring_db(dir.path(), &ROWS);
    for name in [
        "meta.bin",
        "vectors.bin",
        "norms_sq.bin",
        "payloads.bin",
        "offsets.bin",
    ] {
        let path = dir.path().join(name);
        let len = fs::metadata(&path).unwrap().len() as usize;
        for cut in 0..len {
            fs::write(&path, &fs::read(&path).unwrap()[..cut]).unwrap();
            refused(if name == "payloads.bin" {
                "offsets.bin"
            } else {
                name
            });
        }
        fs::write(&path, [&fs::read(&path).unwrap()[..], b"x"].concat()).unwrap();
        refused(if name == "payloads.bin" {
            "offsets.bin"
        } else {
            name
        });
    }
    for name in ["norms_sq.bin", "payloads.bin", "offsets.bin"] {
        fs::remove_file(dir.path().join(name)).unwrap();
        refused(name);
    }
    let path = dir.path().join("vectors.bin");
    let mut rows = fs::read(&path).unwrap();
    rows[20..24].copy_from_slice(&f32::INFINITY.to_le_bytes());
    fs::write(&path, rows).unwrap();
    refused("vectors.bin at byte 20: coordinate 1 of row 2 is inf");
    let path = dir.path().join("offsets.bin");
    let mut offsets = fs::read(&path).unwrap();
    offsets[8..16].copy_from_slice(&u64::MAX.to_le_bytes());
    fs::write(&path, offsets).unwrap();
    refused("offset 2 is below offset 1");
    for (at, value, finding) in [
        (
            0,
            0_u64,
            "meta.bin at byte 0: 0 dims: 1 to 65536 are possible",
        ),
        (
            0,
            65_537,
            "meta.bin at byte 0: 65537 dims: 1 to 65536 are possible",
        ),
        (
            8,
            u64::MAX,
            "meta.bin at byte 8: 18446744073709551615 rows: 0 to 4294967295 are possible",
        ),
        (
            8,
            4,
            "vectors.bin at byte 0: 24 bytes for 4 rows of 2 dims, not 32",
        ),
    ] {
        let path = dir.path().join("meta.bin");
        let mut meta = fs::read(&path).unwrap();
        meta[at..at + 8].copy_from_slice(&value.to_le_bytes());
        fs::write(&path, meta).unwrap();
        refused(finding);
    }
}
