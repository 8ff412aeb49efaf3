//! Directories that ring-db wrote: what is whole answers as it did there, what is damaged is an error.
//!
//! `peer` is ring-db in the version that the package around this file names. Coordinates are small whole numbers and
//! bounds are multiples of a half, so that the peer's arithmetic is exact and both must agree on every row.

use std::fs;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

const DIMS: usize = 3;
const ROWS: usize = 50;

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
struct Place {
    name: String,
    height: Option<f64>,
    tags: Vec<u16>,
}

fn place(row: usize) -> Place {
    Place {
        name: format!("place {row}"),
        height: (!row.is_multiple_of(3)).then_some(row as f64 / 4.0),
        tags: (0..row as u16 % 5).collect(),
    }
}

fn vector(row: usize) -> [f32; DIMS] {
    [row % 7, row % 5, row % 11].map(|coordinate| coordinate as f32 - 3.0)
}

/// A directory as the peer writes it, and the peer's own view of it.
fn written<T: Serialize + DeserializeOwned>(
    rows: usize,
    payload: impl Fn(usize) -> T,
) -> (TempDir, peer::SealedRingDb<T>) {
    let dir = TempDir::new().expect("the temporary folder can be written");
    let config = peer::RingDbConfig::new(DIMS).with_persist_dir(dir.path());
    let mut builder = peer::RingDb::new(config).expect("three dimensions are valid");
    for row in 0..rows {
        builder
            .add_vector(&vector(row), payload(row))
            .expect("the vector has three dimensions");
    }
    let db = builder.build().expect("the folder can be written");
    (dir, db)
}

fn open<T: Serialize + DeserializeOwned>(
    dir: &Path,
) -> Result<ringdb::SealedRingDb<T>, ringdb::RingDbError> {
    ringdb::RingDb::<T>::load(dir, ringdb::BackendPreference::Cpu)
}

/// Asks both databases the same, in all three ways, and returns how many hits there were.
fn check_same<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(
    theirs: &peer::SealedRingDb<T>,
    ours: &ringdb::SealedRingDb<T>,
) -> usize {
    assert_eq!(
        (ours.len(), ours.is_empty(), ours.dims()),
        (theirs.len(), theirs.is_empty(), theirs.dims())
    );
    assert_eq!(ours.backend_name(), theirs.backend_name());
    let mut hits = 0;
    for query in [[0.0, 0.0, 0.0], [1.0, -2.0, 5.0], vector(17)] {
        for half_units in 0..20_u8 {
            let bound = f32::from(half_units) / 2.0;
            let ring = (
                theirs.query(&peer::RingQuery {
                    query: &query,
                    d: bound,
                    lambda: 1.5,
                }),
                ours.query(&ringdb::RingQuery {
                    query: &query,
                    d: bound,
                    lambda: 1.5,
                }),
            );
            let range = (
                theirs.query_range(&peer::RangeQuery {
                    query: &query,
                    d_min: bound,
                    d_max: bound + 2.0,
                }),
                ours.query_range(&ringdb::RangeQuery {
                    query: &query,
                    d_min: bound,
                    d_max: bound + 2.0,
                }),
            );
            let disk = (
                theirs.query_disk(&peer::DiskQuery {
                    query: &query,
                    d_max: bound,
                }),
                ours.query_disk(&ringdb::DiskQuery {
                    query: &query,
                    d_max: bound,
                }),
            );
            for (name, (theirs_found, ours_found)) in
                [("ring", ring), ("range", range), ("disk", disk)]
            {
                let mut expected = theirs_found.expect("the query is valid").ids;
                expected.sort_unstable();
                let found = ours_found.expect("the query is valid").ids;
                assert_eq!(found, expected, "{name} at {bound} around {query:?}");
                let payloads = theirs
                    .fetch_payloads(&expected)
                    .expect("the ids are those of rows");
                assert_eq!(
                    ours.fetch_payloads(&found)
                        .expect("the ids are those of rows"),
                    payloads
                );
                hits += found.len();
            }
        }
    }
    hits
}

#[test]
fn unit_payloads() {
    let (dir, theirs) = written(ROWS, |_| ());
    let ours = open::<()>(dir.path()).expect("the directory is whole");
    assert!(check_same(&theirs, &ours) > ROWS);
    ours.fetch_payload(49).expect("row 49 is the last");
}

#[test]
fn struct_payloads() {
    let (dir, theirs) = written(ROWS, place);
    let ours = open::<Place>(dir.path()).expect("the directory is whole");
    assert!(check_same(&theirs, &ours) > ROWS);
    for row in 0..ROWS {
        assert_eq!(
            ours.fetch_payload(row as u32).expect("the row exists"),
            place(row)
        );
    }
}

#[test]
fn no_rows() {
    let (dir, theirs) = written(0, place);
    let ours = open::<Place>(dir.path()).expect("the directory is whole");
    assert_eq!(check_same(&theirs, &ours), 0);
    let (dir, theirs) = written(0, |_| ());
    let ours = open::<()>(dir.path()).expect("the directory is whole");
    assert_eq!(check_same(&theirs, &ours), 0);
}

const FILES: [&str; 5] = [
    "meta.bin",
    "vectors.bin",
    "norms_sq.bin",
    "payloads.bin",
    "offsets.bin",
];

/// What `load` says of a directory in which `damage` changed the bytes of one file.
fn error_after(file: &str, damage: impl Fn(&mut Vec<u8>)) -> String {
    let (dir, theirs) = written(ROWS, place);
    drop(theirs);
    open::<Place>(dir.path()).expect("the directory is whole before the damage");
    let path = dir.path().join(file);
    let mut bytes = fs::read(&path).expect("the peer wrote this file");
    damage(&mut bytes);
    fs::write(&path, bytes).expect("the file can be written");
    match open::<Place>(dir.path()) {
        Ok(_) => panic!("{file} is damaged and the directory was opened"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_file_cut_short_is_an_error() {
    for file in FILES {
        for kept in [0, 1, 2] {
            error_after(file, |bytes| {
                bytes.truncate(bytes.len() * kept / 2 - usize::from(kept == 2))
            });
        }
    }
}

#[test]
fn a_missing_file_is_an_error() {
    for file in FILES {
        let (dir, theirs) = written(ROWS, place);
        drop(theirs);
        fs::remove_file(dir.path().join(file)).expect("the peer wrote this file");
        assert!(
            open::<Place>(dir.path()).is_err(),
            "{file} is missing and the directory was opened"
        );
    }
}

#[test]
fn a_row_that_is_no_number_is_named() {
    let row = 37;
    for coordinate in [f32::NAN, f32::INFINITY] {
        let error = error_after("vectors.bin", |bytes| {
            let at = (row * DIMS + 1) * size_of::<f32>();
            bytes[at..at + size_of::<f32>()].copy_from_slice(&coordinate.to_le_bytes());
        });
        let numbers: Vec<&str> = error.split(|c: char| !c.is_ascii_digit()).collect();
        assert!(numbers.contains(&"37"), "{error:?} does not name row 37");
    }
}

#[test]
fn offsets_that_go_back_are_an_error() {
    error_after("offsets.bin", |bytes| {
        let (first, second) = (10 * size_of::<u64>(), 11 * size_of::<u64>());
        let later: Vec<u8> = bytes[second..second + size_of::<u64>()].to_vec();
        bytes.copy_within(first..second, second);
        bytes[first..second].copy_from_slice(&later);
    });
}

#[test]
fn an_offset_beyond_the_payloads_is_an_error() {
    error_after("offsets.bin", |bytes| {
        let last = bytes.len() - size_of::<u64>();
        bytes[last..].copy_from_slice(&u64::MAX.to_le_bytes());
    });
}
