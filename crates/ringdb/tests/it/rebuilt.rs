//! Codes made anew and codes passed over: the same answers, whatever became of the old codes.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use ringdb::{
    Access, Boxes, BuildOptions, Codes, OpenOptions, PayloadCodec, RingDb, RingDbError,
    SealedRingDb, Verify, rebuild_codes, salvage, verify,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

const SEED: u64 = 0x5a1e;

/// A database of vectors chosen at random with a text for each.
fn build(dir: &Path, rows: usize, dims: usize, codes: Codes) -> SealedRingDb<String> {
    let mut rng = SmallRng::seed_from_u64(SEED);
    let vectors: Vec<f32> = (0..rows * dims)
        .map(|_| rng.random_range(-1.0..1.0))
        .collect();
    let options = BuildOptions::new(dims)
        .persist(dir)
        .codec(PayloadCodec::Postcard)
        .codes(codes);
    let mut db = options.create().unwrap();
    db.add_vectors(&vectors, (0..rows).map(|id| format!("payload {id}")))
        .unwrap();
    db.build().unwrap()
}

fn open(dir: &Path) -> ringdb::Result<SealedRingDb<String>> {
    OpenOptions::new().open(dir)
}

fn file(dir: &Path, name: &str) -> PathBuf {
    dir.join("segment-000001").join(name)
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

/// Asserts that both hold the same and answer alike around some of their vectors.
#[track_caller]
fn assert_same<A, B>(a: &SealedRingDb<A>, b: &SealedRingDb<B>)
where
    A: Serialize + DeserializeOwned,
    B: Serialize + DeserializeOwned,
{
    assert_eq!((a.len(), a.dims()), (b.len(), b.dims()));
    assert_eq!(
        (a.payload_codec(), a.payload_type()),
        (b.payload_codec(), b.payload_type())
    );
    for id in 0..a.len() as u32 {
        assert_eq!(a.vector(id).unwrap(), b.vector(id).unwrap());
        assert_eq!(a.payload_bytes(id).unwrap(), b.payload_bytes(id).unwrap());
    }
    for id in [0, a.len() as u32 / 2] {
        let query = a.vector(id).unwrap();
        let all = a.search(&query).distances().run().unwrap();
        let mut distances = all.distances.unwrap();
        distances.sort_by(f64::total_cmp);
        for (from, to) in [(0, 20), (distances.len() / 3, distances.len() / 2)] {
            let range = distances[from]..=distances[to];
            let found = a
                .search(&query)
                .range(range.clone())
                .distances()
                .run()
                .unwrap();
            let also = b.search(&query).range(range).distances().run().unwrap();
            assert!(found.ids.len() > to - from);
            assert_eq!((found.ids, found.distances), (also.ids, also.distances));
        }
    }
}

#[test]
fn codes_are_made_anew_whatever_became_of_the_old_ones() {
    println!("seed {SEED:#x}");
    let damages: [fn(&Path); 7] = [
        |_| {},
        |dir| flip(&file(dir, "codes.bin"), 3_000),
        |dir| fs::write(file(dir, "codes.bin"), "short").unwrap(),
        |dir| fs::remove_file(file(dir, "fine.bin")).unwrap(),
        |dir| flip(&file(dir, "prefix.bin"), 3_000),
        |dir| fs::remove_file(file(dir, "prefix.bin")).unwrap(),
        |dir| {
            flip(&file(dir, "codes.bin"), 0);
            flip(&file(dir, "fine.bin"), 0);
            flip(&file(dir, "prefix.bin"), 0);
        },
    ];
    for (i, damage) in damages.into_iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        let old = build(dir.path(), 900, 20, Codes::On);
        // Windows lets nobody cut a file that is mapped.
        drop(old);
        damage(dir.path());
        assert_eq!(open(dir.path()).is_err(), i > 0);
        let old = OpenOptions::new().codes(false).open(dir.path());
        let old: SealedRingDb<String> = old.unwrap();
        let rebuilt = rebuild_codes(dir.path(), Codes::On, Boxes::Keep).unwrap();
        let opened = open(dir.path()).unwrap();
        assert!(rebuilt.has_codes && opened.has_codes());
        assert_eq!((rebuilt.vectors, rebuilt.dims), (900, 20));
        assert_same(&old, &opened);
        assert_eq!(opened.fetch_payload(7).unwrap(), "payload 7");
        assert!(verify(dir.path()).unwrap().is_whole());
    }
}

#[test]
fn the_rule_decides_about_the_codes() {
    let dir = tempfile::tempdir().unwrap();
    let old = build(dir.path(), 300, 8, Codes::Off);
    for (codes, expected) in [
        (Codes::On, true),
        (Codes::Auto, false),
        (Codes::On, true),
        (Codes::Off, false),
    ] {
        let rebuilt = rebuild_codes(dir.path(), codes, Boxes::Keep).unwrap();
        assert_eq!(rebuilt.has_codes, expected, "{codes:?}");
        let opened = open(dir.path()).unwrap();
        assert_eq!(opened.has_codes(), expected);
        assert_same(&old, &opened);
    }
    assert!(dir.path().join("segment-000005").is_dir());
}

#[test]
fn damage_of_vectors_or_payloads_is_named_and_nothing_changed() {
    let dir = tempfile::tempdir().unwrap();
    drop(build(dir.path(), 300, 8, Codes::On));
    for name in ["vectors.bin", "payloads.bin", "offsets.bin"] {
        let path = file(dir.path(), name);
        flip(&path, 100);
        match rebuild_codes(dir.path(), Codes::Off, Boxes::Keep) {
            Err(RingDbError::Corrupt(corruption)) => assert_eq!(corruption.path(), path),
            other => panic!("{name}: {other:?}"),
        }
        flip(&path, 100);
    }
    assert!(open(dir.path()).unwrap().has_codes());
    assert!(file(dir.path(), "codes.bin").is_file());
}

#[test]
fn directories_of_ring_db_are_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in [
        ("meta.bin", [1_u64, 1].map(u64::to_le_bytes).concat()),
        ("vectors.bin", 1_f32.to_le_bytes().to_vec()),
        ("norms_sq.bin", 1_f32.to_le_bytes().to_vec()),
        ("payloads.bin", Vec::new()),
        ("offsets.bin", vec![0; 16]),
    ] {
        fs::write(dir.path().join(name), bytes).unwrap();
    }
    RingDb::<()>::load(dir.path(), ringdb::BackendPreference::Cpu).unwrap();
    match rebuild_codes(dir.path(), Codes::On, Boxes::Keep) {
        Err(RingDbError::Io(error)) => {
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            let text = error.to_string();
            assert!(text.contains("directories of ring-db have no"), "{text}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 5);
}

/// Of a database whose codes alone are damaged nothing is lost, and what is saved gets codes again.
#[test]
fn a_salvaged_database_has_codes_and_answers_as_the_old_one_did() {
    println!("seed {SEED:#x}");
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("old"), dir.path().join("new"));
    let old = build(&from, 65_536, 16, Codes::Auto);
    assert!(old.has_codes());
    let codes = file(&from, "codes.bin");
    for at in [10, 64, 200_000, 500_000] {
        flip(&codes, at);
    }
    let report = verify(&from).unwrap();
    assert!(report.is_derived_alone(), "{:?}", report.damage);
    let salvaged = salvage(&from, &to, false, |row| {
        assert_eq!(row.loss, None);
        Ok(())
    });
    let salvaged = salvaged.unwrap();
    assert_eq!((salvaged.kept, salvaged.lost), (65_536, 0));
    let new = open(&to).unwrap();
    assert!(new.has_codes());
    let old = OpenOptions::new()
        .codes(false)
        .open::<String>(&from)
        .unwrap();
    assert_same(&old, &new);
}

#[test]
fn codes_that_are_passed_over_hinder_no_reader() {
    let dir = tempfile::tempdir().unwrap();
    let whole = build(dir.path(), 900, 20, Codes::On);
    let damaged = tempfile::tempdir().unwrap();
    drop(build(damaged.path(), 900, 20, Codes::On));
    flip(&file(damaged.path(), "fine.bin"), 70);
    for access in [Access::Map, Access::Read] {
        for verify in [Verify::Open, Verify::Lazy, Verify::Never] {
            let options = OpenOptions::new().access(access).verify(verify);
            let options = options.codes(false);
            let db = options.open::<String>(damaged.path()).unwrap();
            assert!(!db.has_codes());
            assert_same(&whole, &db);
            let db = options.codes(true).open::<String>(dir.path()).unwrap();
            assert!(db.has_codes());
        }
    }
}
