//! Many queries at once and joins, through the facade.

use std::fs;
use std::path::Path;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use ringdb::{BuildOptions, Codes, OpenOptions, Ring, RingDb, RingDbError, SealedRingDb, Verify};
use ringdb_index::distance;

const SEED: u64 = 0x3a27;

fn uniform(len: usize) -> Vec<f32> {
    let mut rng = SmallRng::seed_from_u64(SEED);
    (0..len).map(|_| rng.random_range(-1.0..1.0)).collect()
}

fn build(vectors: &[f32], dims: usize, codes: Codes, dir: &Path) -> SealedRingDb {
    let mut db: RingDb = BuildOptions::new(dims)
        .codes(codes)
        .persist(dir)
        .create()
        .unwrap();
    db.add_vectors(vectors, vec![(); vectors.len() / dims])
        .unwrap();
    db.build().unwrap()
}

fn lazily(dir: &Path) -> SealedRingDb {
    OpenOptions::new().verify(Verify::Lazy).open(dir).unwrap()
}

#[test]
fn many_queries_find_what_each_finds_alone() {
    println!("seed {SEED:#x}");
    let dims = 24;
    let vectors = uniform(3_000 * dims);
    let queries = &vectors[100 * dims..120 * dims];
    let rings: Vec<Ring> = (0..20)
        .map(|i| Ring::between(0.1 * f64::from(i), 4.0).unwrap())
        .collect();
    for codes in [Codes::On, Codes::Off] {
        let dir = tempfile::tempdir().unwrap();
        let built = build(&vectors, dims, codes, dir.path());
        for db in [built, lazily(dir.path())] {
            for rings in [&rings[..], &rings[3..4]] {
                let many = db.query_many_distances(queries, rings).unwrap();
                assert_eq!(many.len(), 20);
                let distances = many.distances.as_ref().unwrap();
                for (i, query) in queries.chunks(dims).enumerate() {
                    let ring = rings.get(i).unwrap_or(&rings[0]);
                    let alone = db.search(query).in_ring(*ring).distances().run().unwrap();
                    assert_eq!(many.ids_of(i), alone.ids);
                    let place = many.offsets[i]..many.offsets[i + 1];
                    assert_eq!(Some(distances[place].to_vec()), alone.distances);
                }
                let ids = db.query_many(queries, rings).unwrap();
                assert_eq!((ids.ids, ids.distances), (many.ids.clone(), None));
            }
        }
    }
}

#[test]
fn queries_and_rings_that_do_not_fit_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let db = build(&[0.0; 6], 3, Codes::Off, dir.path());
    let ring = Ring::within(1.0).unwrap();
    let text =
        |queries: &[f32], rings: &[Ring]| db.query_many(queries, rings).unwrap_err().to_string();
    assert_eq!(
        text(&[0.0; 4], &[ring]),
        "dimension mismatch: expected 3, got 1"
    );
    assert_eq!(
        text(&[0.0, 0.0, f32::NAN], &[ring]),
        "coordinate 2 is NaN, coordinates must be finite"
    );
    assert_eq!(
        text(&[0.0; 3], &[]),
        "0 rings for 1 query, there must be one or as many"
    );
    assert_eq!(
        text(&[0.0; 9], &[ring; 2]),
        "2 rings for 3 queries, there must be one or as many"
    );
    let wide = build(
        &[0.0; 4],
        4,
        Codes::Off,
        tempfile::tempdir().unwrap().path(),
    );
    let refused = db.join_with(&wide, &ring).unwrap_err();
    assert!(
        matches!(
            refused,
            RingDbError::DimensionMismatch {
                expected: 3,
                got: 4
            }
        ),
        "{refused}"
    );
}

#[test]
fn a_join_is_all_pairs_once() {
    println!("seed {SEED:#x}");
    let (dims, rows, others) = (16, 700, 90);
    let vectors = uniform((rows + others) * dims);
    let (ours, theirs) = vectors.split_at(rows * dims);
    let ring = Ring::between(1.0, 2.2).unwrap();
    let pairs = |right: &[f32], is_same: bool| {
        let mut pairs = Vec::new();
        for (a, x) in (0_u32..).zip(ours.chunks(dims)) {
            for (b, y) in (0_u32..).zip(right.chunks(dims)) {
                if (!is_same || a < b) && ring.contains(distance(x, y)) {
                    pairs.push((a, b));
                }
            }
        }
        pairs
    };
    let (expected, between) = (pairs(ours, true), pairs(theirs, false));
    assert!(expected.len() > 1_000 && between.len() > 100);
    for codes in [Codes::On, Codes::Off] {
        let (dir, other_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let other = build(theirs, dims, codes, other_dir.path());
        let built = build(ours, dims, codes, dir.path());
        for db in [built, lazily(dir.path())] {
            let mut found: Vec<_> = db.join(&ring).unwrap().map(Result::unwrap).collect();
            found.sort_unstable();
            assert!(found == expected);
            let mut found: Vec<_> = db
                .join_with(&other, &ring)
                .unwrap()
                .map(Result::unwrap)
                .collect();
            found.sort_unstable();
            assert!(found == between);
        }
    }
}

/// Damage that a lazily opened database meets in the middle of a join is its last item.
#[test]
fn damage_ends_a_join() {
    let dims = 16;
    let vectors = uniform(5_000 * dims);
    let dir = tempfile::tempdir().unwrap();
    build(&vectors, dims, Codes::Off, dir.path());
    let path = dir.path().join("segment-000001/vectors.bin");
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.len() - 1_000;
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
    let db = lazily(dir.path());
    let mut join = db.join(&Ring::within(0.5).unwrap()).unwrap();
    let error = join.find_map(Result::err).unwrap();
    assert!(
        matches!(&error, RingDbError::Corrupt(corruption) if corruption.path() == path),
        "{error}"
    );
    assert!(join.next().is_none());
}
