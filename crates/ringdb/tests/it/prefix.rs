//! Prefixes through the facade: which databases have one, who keeps it, and that damage of it is an error or
//! passed over, never a wrong answer.

use std::fs;
use std::path::{Path, PathBuf};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use ringdb::{
    Access, Boxes, BuildOptions, Codes, OpenOptions, RingDb, RingDbError, SealedRingDb, Tier,
    Verify, rebuild_codes, salvage, verify,
};
use ringdb_index::{CodeFrame, PrefixFrame, Rows, distance};
use ringdb_storage::{PayloadCodec, SegmentWriter};

use crate::code_bytes::body;

const SEED: u64 = 0x9f1c;

const DIMS: usize = 32;

fn uniform(len: usize) -> Vec<f32> {
    let mut rng = SmallRng::seed_from_u64(SEED);
    (0..len).map(|_| rng.random_range(-1.0..1.0)).collect()
}

fn build(vectors: &[f32], dims: usize, codes: Codes, dir: Option<&Path>) -> SealedRingDb {
    let mut options = BuildOptions::new(dims).codes(codes).replace(true);
    if let Some(dir) = dir {
        options = options.persist(dir);
    }
    let mut db: RingDb = options.create().unwrap();
    db.add_vectors(vectors, vec![(); vectors.len() / dims])
        .unwrap();
    db.build().unwrap()
}

fn open(dir: &Path) -> SealedRingDb {
    OpenOptions::new().open(dir).unwrap()
}

fn prefix_file(dir: &Path) -> PathBuf {
    dir.join("segment-000001/prefix.bin")
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

#[test]
fn codes_that_are_forced_come_with_a_prefix() {
    println!("seed {SEED:#x}");
    let vectors = uniform(300 * DIMS);
    for (codes, expected) in [
        (Codes::On, true),
        (Codes::Off, false),
        (Codes::Auto, false),
        // There is nothing to keep.
        (Codes::Keep, false),
    ] {
        let db = build(&vectors, DIMS, codes, None);
        assert_eq!((db.has_codes(), db.has_prefix()), (expected, expected));
        let dir = tempfile::tempdir().unwrap();
        let db = build(&vectors, DIMS, codes, Some(dir.path()));
        assert_eq!((db.has_codes(), db.has_prefix()), (expected, expected));
        drop(db);
        assert_eq!(prefix_file(dir.path()).exists(), expected);
        for verify in [Verify::Open, Verify::Lazy, Verify::Never] {
            for access in [Access::Map, Access::Read] {
                let options = OpenOptions::new().verify(verify).access(access);
                let db = options.open::<()>(dir.path()).unwrap();
                assert_eq!((db.has_codes(), db.has_prefix()), (expected, expected));
            }
        }
    }
    assert!(!build(&[], DIMS, Codes::On, None).has_prefix());
}

#[test]
fn codes_of_large_databases_come_with_a_prefix_where_it_pays() {
    let has = |vectors: &[f32]| {
        let db = build(vectors, DIMS, Codes::Auto, None);
        (db.has_codes(), db.has_prefix())
    };
    assert_eq!(has(&uniform(65_536 * DIMS)), (true, true));
    // Nothing throws out what is nowhere farther away.
    assert_eq!(has(&[0.5; 65_536 * DIMS]), (true, false));
}

/// A database with the codes of these vectors but without their prefix, as it was written before there were
/// prefixes.
fn write_without_prefix(vectors: &[f32], dir: &Path) {
    let whole = tempfile::tempdir().unwrap();
    build(vectors, DIMS, Codes::On, Some(whole.path()));
    let [codes, fine] =
        ["codes.bin", "fine.bin"].map(|name| body(&whole.path().join("segment-000001").join(name)));
    let mut writer = SegmentWriter::in_directory(dir, false, DIMS, PayloadCodec::Bincode).unwrap();
    for row in vectors.chunks(DIMS) {
        writer.push(row, ()).unwrap();
    }
    let written = writer.finish_with(|_, writer| {
        writer.codes(&codes)?;
        writer.fine(&fine)
    });
    written.unwrap();
}

#[test]
fn a_prefix_is_kept_where_there_was_one_and_nowhere_else() {
    let (pays, does_not) = (uniform(300 * DIMS), vec![0.5; 300 * DIMS]);
    for (vectors, is_of_use) in [(&pays, true), (&does_not, false)] {
        let rows = Rows::new(vectors, DIMS).unwrap();
        assert_eq!(
            PrefixFrame::of(rows, &CodeFrame::of(rows)).is_some(),
            is_of_use
        );
        for has_prefix in [true, false] {
            let dir = tempfile::tempdir().unwrap();
            let [db, to] = ["db", "to"].map(|name| dir.path().join(name));
            match has_prefix {
                true => drop(build(vectors, DIMS, Codes::On, Some(&db))),
                false => write_without_prefix(vectors, &db),
            }
            let expected = (true, has_prefix);
            let has = |dir: &Path| {
                let db = open(dir);
                (db.has_codes(), db.has_prefix())
            };
            assert_eq!(has(&db), expected);
            // Damaged or not: MANIFEST tells.
            if has_prefix {
                flip(&prefix_file(&db), 80);
            }
            salvage(&db, &to, false, |_| Ok(())).unwrap();
            assert_eq!(has(&to), expected);
            assert!(
                rebuild_codes(&db, Codes::Keep, Boxes::Keep)
                    .unwrap()
                    .has_codes
            );
            assert_eq!(has(&db), expected);
            build(vectors, DIMS, Codes::Keep, Some(&db));
            assert_eq!(has(&db), expected);
            rebuild_codes(&db, Codes::On, Boxes::Keep).unwrap();
            assert_eq!(has(&db), (true, true));
            rebuild_codes(&db, Codes::Off, Boxes::Keep).unwrap();
            assert_eq!(has(&db), (false, false));
            rebuild_codes(&db, Codes::Keep, Boxes::Keep).unwrap();
            assert_eq!(has(&db), (false, false));
        }
    }
}

/// A byte of a prefix that changed is found before it can change an answer.
#[test]
fn a_damaged_prefix_is_an_error_and_never_a_wrong_answer() {
    println!("seed {SEED:#x}");
    let rows = 12_000;
    let vectors = uniform(rows * DIMS);
    let dir = tempfile::tempdir().unwrap();
    drop(build(&vectors, DIMS, Codes::On, Some(dir.path())));
    let query = &vectors[..DIMS];
    let mut all: Vec<(f64, u32)> = vectors
        .chunks(DIMS)
        .map(|row| distance(row, query))
        .zip(0..)
        .collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let near = all[20].0;
    let mut expected: Vec<u32> = all[..=20].iter().map(|&(_, id)| id).collect();
    expected.sort_unstable();

    let found = open(dir.path()).search(query).within(near).run().unwrap();
    assert_eq!(found.ids, expected);
    assert_eq!(found.explain.tier(Tier::Prefix).rows, rows as u64);
    let path = prefix_file(dir.path());
    let whole = fs::read(&path).unwrap();
    let body_bytes = body(&path).len();
    assert!(body_bytes > 3 << 16);
    for at in (0..whole.len()).step_by(whole.len() / 60) {
        flip(&path, at);
        let open = |verify, codes| {
            let options = OpenOptions::new().verify(verify).codes(codes);
            options.open::<()>(dir.path())
        };
        let answer = |verify, codes| {
            let db = open(verify, codes)?;
            let found = db.search(query).within(near).run()?;
            assert_eq!(found.ids, expected);
            Ok(db.has_codes())
        };
        for verify in [Verify::Open, Verify::Lazy] {
            match answer(verify, true) {
                Err(RingDbError::Corrupt(corruption)) => {
                    assert_eq!(corruption.path(), path);
                    if (64..64 + body_bytes).contains(&at) {
                        let block = 64 + ((at - 64) >> 16 << 16);
                        assert_eq!(corruption.offset(), block as u64, "byte {at}");
                    }
                    assert!(RingDbError::Corrupt(corruption).is_of_codes());
                }
                other => panic!("byte {at}, {verify:?}: {other:?}"),
            }
        }
        // Of the blocks behind the head no reader knows under Lazy before it searches them.
        let is_late = (64 + (1 << 16)..64 + body_bytes).contains(&at);
        assert_eq!(open(Verify::Lazy, true).is_ok(), is_late, "byte {at}");
        for verify in [Verify::Open, Verify::Lazy, Verify::Never] {
            assert!(!answer(verify, false).unwrap(), "byte {at}");
        }
        flip(&path, at);
    }
    fs::remove_file(&path).unwrap();
    let error = OpenOptions::new().open::<()>(dir.path()).unwrap_err();
    assert!(error.is_of_codes(), "{error}");
    let report = verify(dir.path()).unwrap();
    assert!(report.is_derived_alone());
    assert_eq!(report.damage[0].path, path);
    let options = OpenOptions::new().codes(false);
    let db = options.open::<()>(dir.path()).unwrap();
    assert_eq!(db.search(query).within(near).run().unwrap().ids, expected);
}
