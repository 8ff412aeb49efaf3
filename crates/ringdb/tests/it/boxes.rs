//! Boxes through the facade: which databases have them, who keeps them, and that damage of them is an error or
//! passed over, never a wrong answer.

use std::fs;
use std::path::{Path, PathBuf};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use ringdb::{
    Access, Boxes, BuildOptions, Codes, OpenOptions, Result, RingDb, RingDbConfig, RingDbError,
    SealedRingDb, Tier, Verify, rebuild_codes, salvage, verify,
};
use ringdb_index::distance;

use crate::code_bytes::body;

const SEED: u64 = 0xb0c5;

const FILES: [&str; 2] = ["blocks.bin", "order.bin"];

fn uniform(len: usize) -> Vec<f32> {
    let mut rng = SmallRng::seed_from_u64(SEED);
    (0..len).map(|_| rng.random_range(-1.0..1.0)).collect()
}

fn try_build(
    vectors: &[f32],
    dims: usize,
    boxes: Boxes,
    dir: Option<&Path>,
) -> Result<SealedRingDb> {
    let mut options = BuildOptions::new(dims).boxes(boxes).replace(true);
    if let Some(dir) = dir {
        options = options.persist(dir);
    }
    let mut db: RingDb = options.create()?;
    db.add_vectors(vectors, vec![(); vectors.len() / dims])?;
    db.build()
}

fn build(vectors: &[f32], dims: usize, boxes: Boxes, dir: Option<&Path>) -> SealedRingDb {
    try_build(vectors, dims, boxes, dir).unwrap()
}

fn open(dir: &Path) -> SealedRingDb {
    OpenOptions::new().open(dir).unwrap()
}

fn files(dir: &Path) -> [PathBuf; 2] {
    FILES.map(|name| dir.join("segment-000001").join(name))
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

#[test]
fn boxes_are_where_the_rule_says() {
    println!("seed {SEED:#x}");
    for (n, dims, boxes, expected) in [
        (4_096, 2, Boxes::Auto, true),
        (4_095, 2, Boxes::Auto, false),
        (4_096, 13, Boxes::Auto, false),
        // They would leave most vectors to be looked at.
        (4_096, 12, Boxes::Auto, false),
        (4_096, 2, Boxes::Off, false),
        // There is nothing to keep.
        (4_096, 2, Boxes::Keep, true),
        (1, 12, Boxes::On, true),
        (300, 3, Boxes::On, true),
        (0, 3, Boxes::On, false),
    ] {
        let vectors = uniform(n * dims);
        let db = build(&vectors, dims, boxes, None);
        assert_eq!(db.has_boxes(), expected, "{n} x {dims}, {boxes:?}");
        let dir = tempfile::tempdir().unwrap();
        let db = build(&vectors, dims, boxes, Some(dir.path()));
        assert_eq!(db.has_boxes(), expected, "{n} x {dims}, {boxes:?}");
        drop(db);
        for file in files(dir.path()) {
            assert_eq!(file.exists(), expected);
        }
        for verify in [Verify::Open, Verify::Lazy, Verify::Never] {
            for access in [Access::Map, Access::Read] {
                let options = OpenOptions::new().verify(verify).access(access);
                let db = options.open::<()>(dir.path()).unwrap();
                assert_eq!(db.has_boxes(), expected);
            }
        }
    }
    // Who sets nothing has them, too.
    let mut db = RingDb::new(RingDbConfig::new(3)).unwrap();
    db.add_vectors(&uniform(3 * 5_000), vec![(); 5_000])
        .unwrap();
    assert!(db.build().unwrap().has_boxes());
}

#[test]
fn boxes_for_many_dims_are_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let error = try_build(&[0.0; 13], 13, Boxes::On, Some(&dir.path().join("db"))).unwrap_err();
    let expected = "there are no boxes for 13 dims: they hold vectors of up to 12 coordinates";
    assert_eq!(error.to_string(), expected);
    assert!(!dir.path().join("db").exists());
    build(&[0.0; 13], 13, Boxes::Auto, Some(dir.path()));
    let error = rebuild_codes(dir.path(), Codes::Keep, Boxes::On).unwrap_err();
    assert!(matches!(
        error,
        RingDbError::TooManyDimsForBoxes { dims: 13, max: 12 }
    ));
    assert_eq!(open(dir.path()).len(), 1);
}

#[test]
fn boxes_are_kept_where_there_were_some_and_nowhere_else() {
    let vectors = uniform(300 * 3);
    for (boxes, expected) in [(Boxes::On, true), (Boxes::Off, false)] {
        let dir = tempfile::tempdir().unwrap();
        let [db, to] = ["db", "to"].map(|name| dir.path().join(name));
        build(&vectors, 3, boxes, Some(&db));
        // Damaged or not: MANIFEST tells.
        if expected {
            files(&db).iter().for_each(|path| flip(path, 80));
        }
        let has = |dir: &Path| open(dir).has_boxes();
        salvage(&db, &to, false, |_| Ok(())).unwrap();
        assert_eq!(has(&to), expected);
        let rebuilt = rebuild_codes(&db, Codes::Keep, Boxes::Keep).unwrap();
        assert_eq!((rebuilt.has_boxes, rebuilt.has_codes), (expected, false));
        assert_eq!(has(&db), expected);
        build(&vectors, 3, Boxes::Keep, Some(&db));
        assert_eq!(has(&db), expected);
        // Not for so few vectors.
        rebuild_codes(&db, Codes::On, Boxes::Auto).unwrap();
        assert!(!has(&db) && open(&db).has_codes());
        rebuild_codes(&db, Codes::Keep, Boxes::On).unwrap();
        assert!(has(&db) && open(&db).has_codes());
        // What takes its place may have too many dims.
        build(&uniform(20 * 20), 20, Boxes::Keep, Some(&db));
        assert!(!has(&db));
        assert!(verify(&db).unwrap().is_whole());
    }
}

#[test]
fn answers_are_the_same_with_and_without() {
    println!("seed {SEED:#x}");
    for dims in [1, 2, 3, 7, 12] {
        let vectors = uniform(2_000 * dims);
        let [with, without] =
            [Boxes::On, Boxes::Off].map(|boxes| build(&vectors, dims, boxes, None));
        let mut by_boxes = 0;
        for query in vectors.chunks(dims).step_by(97) {
            for range in [0.0..=0.05, 0.1..=0.3, 0.5..=0.6, 0.0..=9.0] {
                let ask = |db: &SealedRingDb| {
                    let found = db.search(query).range(range.clone()).distances().run();
                    let count = db.search(query).range(range.clone()).count().unwrap();
                    let found = found.unwrap();
                    assert_eq!(count, found.ids.len() as u64);
                    (found.ids, found.distances, found.explain)
                };
                let (a, b) = (ask(&with), ask(&without));
                assert_eq!((a.0, a.1), (b.0, b.1));
                by_boxes += a.2.tier(Tier::Boxes).rows;
                assert_eq!(b.2.tier(Tier::Boxes).bytes, 0);
            }
        }
        assert!(by_boxes > 0, "{dims} dims");
    }
}

/// A byte of boxes that changed is found before it can change an answer.
#[test]
fn damaged_boxes_are_an_error_and_never_a_wrong_answer() {
    println!("seed {SEED:#x}");
    let (rows, dims) = (20_000, 3);
    let vectors = uniform(rows * dims);
    let dir = tempfile::tempdir().unwrap();
    drop(build(&vectors, dims, Boxes::On, Some(dir.path())));
    // Together they read every block and every id.
    let queries = vectors.chunks(dims).step_by(50);
    let expected = |query: &[f32]| {
        let rows = vectors.chunks(dims).zip(0_u32..);
        let hits = rows.filter(|(row, _)| distance(row, query) <= 0.3);
        hits.map(|(_, id)| id).collect::<Vec<_>>()
    };
    let asked: Vec<_> = queries.map(|query| (query, expected(query))).collect();
    let answer = |verify, codes| -> Result<bool> {
        let options = OpenOptions::new().verify(verify).codes(codes);
        let db = options.open::<()>(dir.path())?;
        // Without boxes each of them reads all vectors.
        let asked = asked.iter().take(if codes { asked.len() } else { 3 });
        for (query, expected) in asked {
            let found = db.search(query).within(0.3).run()?;
            assert_eq!(&found.ids, expected);
            let rows_by_boxes = found.explain.tier(Tier::Boxes).rows;
            assert_eq!(rows_by_boxes > 0, codes);
        }
        Ok(db.has_boxes())
    };
    assert!(answer(Verify::Lazy, true).unwrap());
    for path in files(dir.path()) {
        let len = fs::metadata(&path).unwrap().len() as usize;
        let body_bytes = body(&path).len();
        let mut found_late = 0;
        for at in (0..len).step_by(len / 40) {
            flip(&path, at);
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
            let lazy = OpenOptions::new().verify(Verify::Lazy);
            found_late += u32::from(lazy.open::<()>(dir.path()).is_ok());
            for verify in [Verify::Open, Verify::Lazy, Verify::Never] {
                assert!(!answer(verify, false).unwrap(), "byte {at}");
            }
            flip(&path, at);
        }
        assert!(found_late >= 20, "{found_late}");
        let whole = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let error = OpenOptions::new().open::<()>(dir.path()).unwrap_err();
        assert!(error.is_of_codes(), "{error}");
        let report = verify(dir.path()).unwrap();
        assert!(report.is_derived_alone());
        assert_eq!(report.damage[0].path, path);
        assert!(!answer(Verify::Open, false).unwrap());
        fs::write(&path, whole).unwrap();
    }
    assert!(verify(dir.path()).unwrap().is_whole());
}
