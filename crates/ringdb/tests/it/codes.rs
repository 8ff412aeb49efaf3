//! Codes through the facade: a database that has them answers as one that has none, however it is opened.

use std::fs;
use std::path::Path;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use ringdb::{
    Access, BuildOptions, Codes, OpenOptions, Ring, RingDb, RingDbError, SealedRingDb, Tier, Verify,
};
use ringdb_index::distance;

const SEED: u64 = 0xc0de;

fn uniform(len: usize) -> Vec<f32> {
    let mut rng = SmallRng::seed_from_u64(SEED);
    (0..len).map(|_| rng.random_range(-1.0..1.0)).collect()
}

fn build(vectors: &[f32], dims: usize, codes: Codes, dir: Option<&Path>) -> SealedRingDb {
    let mut options = BuildOptions::new(dims).codes(codes);
    if let Some(dir) = dir {
        options = options.persist(dir);
    }
    let mut db: RingDb = options.create().unwrap();
    db.add_vectors(vectors, vec![(); vectors.len() / dims])
        .unwrap();
    db.build().unwrap()
}

/// Rings around a query that begin and end at distances of the vectors themselves.
fn check(db: &SealedRingDb, vectors: &[f32], dims: usize) {
    for query in vectors.chunks(dims).take(4) {
        let oracle: Vec<f64> = vectors
            .chunks(dims)
            .map(|row| distance(row, query))
            .collect();
        let mut sorted = oracle.clone();
        sorted.sort_by(f64::total_cmp);
        for (from, to) in [(0, 10), (100, 120), (sorted.len() / 2, sorted.len() - 1)] {
            let (d_min, d_max) = (sorted[from], sorted[to]);
            let expected: Vec<u32> = (0..)
                .zip(&oracle)
                .filter(|(_, d)| (d_min..=d_max).contains(*d))
                .map(|(id, _)| id)
                .collect();
            let distances: Vec<f64> = expected.iter().map(|&id| oracle[id as usize]).collect();
            let found = db
                .search(query)
                .range(d_min..=d_max)
                .distances()
                .run()
                .unwrap();
            assert_eq!(found.ids, expected);
            assert_eq!(found.distances, Some(distances));
            assert_eq!(found.explain.hits(), expected.len() as u64);
            // Codes of up to three dims are no smaller than what they stand for.
            let bytes = |tier| found.explain.tier(tier).bytes;
            let is_used = bytes(Tier::Prefix) + bytes(Tier::Codes) > 0;
            assert_eq!(is_used, db.has_codes() && dims > 3);
            let ring = Ring::between(d_min, d_max).unwrap();
            let counted = db.search(query).in_ring(ring).count().unwrap();
            assert_eq!(counted, expected.len() as u64);
            let explain = db.search(query).in_ring(ring).explain().unwrap();
            assert_eq!(explain, found.explain);
        }
    }
}

#[test]
fn a_database_with_codes_answers_as_one_without() {
    println!("seed {SEED:#x}");
    for dims in [1, 3, 16, 33, 100] {
        let vectors = uniform(700 * dims);
        for codes in [Codes::On, Codes::Off, Codes::Auto] {
            let db = build(&vectors, dims, codes, None);
            assert_eq!(db.has_codes(), codes == Codes::On);
            check(&db, &vectors, dims);
            let dir = tempfile::tempdir().unwrap();
            let db = build(&vectors, dims, codes, Some(dir.path()));
            assert_eq!(db.has_codes(), codes == Codes::On);
            check(&db, &vectors, dims);
            for verify in [Verify::Open, Verify::Lazy, Verify::Never] {
                for access in [Access::Map, Access::Read] {
                    let db = OpenOptions::new()
                        .verify(verify)
                        .access(access)
                        .open(dir.path())
                        .unwrap();
                    assert_eq!(db.has_codes(), codes == Codes::On);
                    check(&db, &vectors, dims);
                }
            }
        }
    }
}

#[test]
fn codes_are_made_where_they_pay_unless_it_is_said_otherwise() {
    let has_codes = |rows: usize, dims: usize, codes| {
        build(&uniform(rows * dims), dims, codes, None).has_codes()
    };
    assert!(has_codes(65_536, 16, Codes::Auto));
    assert!(!has_codes(65_535, 16, Codes::Auto));
    assert!(!has_codes(65_536, 15, Codes::Auto));
    assert!(!has_codes(65_536, 16, Codes::Off));
    assert!(has_codes(1, 1, Codes::On));
    assert!(!has_codes(0, 1, Codes::On));
}

/// A byte of codes or fine codes that changed is found before it can change an answer.
#[test]
fn damaged_codes_are_an_error_and_never_a_wrong_answer() {
    let (dims, rows) = (20, 5_000);
    let vectors = uniform(rows * dims);
    let dir = tempfile::tempdir().unwrap();
    build(&vectors, dims, Codes::On, Some(dir.path()));
    let middle = {
        let mut all: Vec<f64> = vectors
            .chunks(dims)
            .map(|row| distance(row, &vectors[..dims]))
            .collect();
        all.sort_by(f64::total_cmp);
        all[rows / 2]
    };
    for name in ["codes.bin", "fine.bin"] {
        let path = dir.path().join("segment-000001").join(name);
        let whole = fs::read(&path).unwrap();
        let mut refused = 0;
        for at in (0..whole.len()).step_by(whole.len() / 40) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x40;
            fs::write(&path, &damaged).unwrap();
            let open = |verify| OpenOptions::new().verify(verify).open::<()>(dir.path());
            assert!(
                matches!(open(Verify::Open), Err(RingDbError::Corrupt(_))),
                "{name}, byte {at}"
            );
            let answer = open(Verify::Lazy)
                .and_then(|db| db.search(&vectors[..dims]).range(..=middle).run());
            match answer {
                Ok(found) => assert_eq!(found.ids.len(), rows / 2 + 1, "{name}, byte {at}"),
                Err(RingDbError::Corrupt(corruption)) => {
                    assert_eq!(corruption.path(), path);
                    refused += 1;
                }
                Err(error) => panic!("{name}, byte {at}: {error}"),
            }
        }
        assert!(refused > 10, "{name}: {refused}");
        fs::write(&path, &whole).unwrap();
    }
}
