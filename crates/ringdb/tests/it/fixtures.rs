//! What version 1 of the format wrote, every later version of the library reads: the committed files in
//! `tests/fixtures/v1` against the formulas in [`contents`](crate::contents).

use std::fs;
use std::path::{Path, PathBuf};

use ringdb::{Access, BackendPreference, OpenOptions, RingDb, RingDbError, SealedRingDb, Verify};
use ringdb_index::distance;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::contents::{FIXTURES, Fixture, Payloads, Place, json, place, pod, raw};
use crate::support::sign;

/// All files of a database; a fixture has no LOCK.
pub(crate) const FILES: [&str; 4] = [
    "MANIFEST",
    "segment-000001/offsets.bin",
    "segment-000001/payloads.bin",
    "segment-000001/vectors.bin",
];

/// The folder of all fixtures.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1")
}

/// The committed directory of one.
pub(crate) fn dir(fixture: &Fixture) -> PathBuf {
    folder().join(fixture.name)
}

/// A copy of a database whose files may be changed.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.join("segment-000001")).unwrap();
    for file in FILES {
        fs::write(to.join(file), fs::read(from.join(file)).unwrap()).unwrap();
    }
}

/// The bytes of a payload as docs/FORMAT.md says that they stand in the file.
pub(crate) fn payload_bytes(fixture: &Fixture, id: u32) -> Vec<u8> {
    match (fixture.name, fixture.payloads) {
        ("bincode" | "no-rows", Payloads::Places) => bincode(&place(id)),
        (_, Payloads::Places) => postcard(&place(id)),
        (_, Payloads::Units) => Vec::new(),
        (_, Payloads::Json) => json(id).into_bytes(),
        (_, Payloads::Raw) => raw(id),
        (_, Payloads::Pods) => pod(id).iter().flat_map(|word| word.to_le_bytes()).collect(),
    }
}

/// Fields one after another; lengths are u64, and a byte says whether there is a value.
fn bincode(place: &Place) -> Vec<u8> {
    let length = |length: usize| (length as u64).to_le_bytes();
    let text = |text: &str| [&length(text.len()), text.as_bytes()].concat();
    [
        text(&place.name),
        place.floor.to_le_bytes().to_vec(),
        place.seats.to_le_bytes().to_vec(),
        length(place.tags.len()).to_vec(),
        place.tags.iter().flat_map(|tag| text(tag)).collect(),
        option(place.open),
    ]
    .concat()
}

/// The same with integers and lengths in groups of seven bits, the lowest first, and signed integers
/// folded: 0, -1, 1, -2, ...
fn postcard(place: &Place) -> Vec<u8> {
    let text = |text: &str| [varint(text.len() as u64), text.as_bytes().to_vec()].concat();
    let folded = (place.floor << 1) ^ (place.floor >> 31);
    [
        text(&place.name),
        varint(folded as u64),
        varint(place.seats),
        varint(place.tags.len() as u64),
        place.tags.iter().flat_map(|tag| text(tag)).collect(),
        option(place.open),
    ]
    .concat()
}

fn option(value: Option<bool>) -> Vec<u8> {
    match value {
        None => vec![0],
        Some(value) => vec![1, u8::from(value)],
    }
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

const VERIFY: [Verify; 3] = [Verify::Open, Verify::Lazy, Verify::Never];

#[test]
fn every_fixture_holds_what_was_written() {
    for fixture in &FIXTURES {
        match fixture.payloads {
            Payloads::Places => check(fixture, "Place", |db: &SealedRingDb<Place>, id| {
                assert_eq!(db.fetch_payload(id).unwrap(), place(id));
            }),
            Payloads::Units => check(fixture, "()", |db: &SealedRingDb, id| {
                db.fetch_payload(id).unwrap();
            }),
            // Their bytes are all that there is of them.
            Payloads::Json | Payloads::Raw => check(fixture, "", |_: &SealedRingDb, _| {}),
            Payloads::Pods => check(fixture, "[u32; 5]", |db: &SealedRingDb<[u32; 5]>, id| {
                assert_eq!(db.payload_ref(id).unwrap(), &pod(id));
            }),
        }
    }
}

/// Opens a fixture in every way. `type_name` is the one that its payloads have in Rust.
fn check<T: Serialize + DeserializeOwned>(
    fixture: &Fixture,
    type_name: &str,
    check_value: impl Fn(&SealedRingDb<T>, u32),
) {
    let dir = dir(fixture);
    for verify in VERIFY {
        for access in [Access::Map, Access::Read] {
            println!("{} with {verify:?} and {access:?}", fixture.name);
            let mut options = OpenOptions::new().verify(verify).access(access);
            if let Some(name) = fixture.payload_type {
                options = options.payload_type(name);
            }
            let db = options.open(&dir).unwrap();
            assert_eq!(db.payload_type(), fixture.payload_type.unwrap_or(type_name));
            check_contents(fixture, &db, &check_value);
        }
    }
    println!("{} with load", fixture.name);
    match (
        RingDb::load(&dir, BackendPreference::Cpu),
        fixture.payload_type,
    ) {
        (Ok(db), None) => check_contents(fixture, &db, &check_value),
        (Err(RingDbError::TypeMismatch { stored, asked, .. }), Some(name)) => {
            assert_eq!((stored.as_str(), asked.as_str()), (name, type_name));
        }
        (result, _) => panic!("{result:?}"),
    }
}

fn check_contents<T: Serialize + DeserializeOwned>(
    fixture: &Fixture,
    db: &SealedRingDb<T>,
    check_value: impl Fn(&SealedRingDb<T>, u32),
) {
    assert_eq!((db.len(), db.dims()), (fixture.len as usize, fixture.dims));
    assert_eq!(db.payload_codec(), fixture.codec);
    for id in 0..fixture.len {
        let bits = |row: &[f32]| row.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        let (found, expected) = (db.vector(id).unwrap(), fixture.row(id));
        assert_eq!(bits(&found), bits(&expected), "row {id}");
        let (found, expected) = (db.payload_bytes(id).unwrap(), payload_bytes(fixture, id));
        assert_eq!(found, expected, "payload {id}");
        check_value(db, id);
    }

    // From the distance of one row to that of another, both inclusive.
    let query = vec![1.0; fixture.dims];
    let distances: Vec<f64> = (0..fixture.len)
        .map(|id| distance(&fixture.row(id), &query))
        .collect();
    let mut sorted = distances.clone();
    sorted.sort_by(f64::total_cmp);
    let at = |index: usize| sorted.get(index).copied().unwrap_or_default();
    let ring = at(sorted.len() / 4)..=at(sorted.len() / 2);
    let expected: Vec<u32> = (0..fixture.len)
        .filter(|&id| ring.contains(&distances[id as usize]))
        .collect();
    assert_eq!(expected.is_empty(), fixture.len == 0);
    assert_eq!(db.search(&query).range(ring).run().unwrap().ids, expected);
}

#[test]
fn every_fixture_is_looked_at() {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder()).unwrap() {
        found.push(entry.unwrap().file_name().into_string().unwrap());
    }
    let mut expected = FIXTURES.map(|fixture| fixture.name);
    found.sort();
    expected.sort_unstable();
    assert_eq!(found, expected);
}

/// Changes the file at `place` in [`FILES`] and makes all checksums right again, up to those in
/// MANIFEST. Returns its path.
pub(crate) fn edit(db: &Path, place: usize, change: impl FnOnce(&mut [u8])) -> PathBuf {
    edit_named(db, FILES[place], FILES.len() - place, change)
}

/// As [`edit`], of a file whose entry in MANIFEST is so many entries before the end.
pub(crate) fn edit_named(
    db: &Path,
    name: &str,
    from_end: usize,
    change: impl FnOnce(&mut [u8]),
) -> PathBuf {
    let (path, manifest) = (db.join(name), db.join(FILES[0]));
    let mut file = fs::read(&path).unwrap();
    change(&mut file);
    let checksum = sign(&mut file);
    fs::write(&path, file).unwrap();
    if path != manifest {
        let mut file = fs::read(&manifest).unwrap();
        // The entries stand in the order of the names, 16 bytes each, before one block's CRC and the
        // footer.
        let entry = file.len() - 16 - 4 - 16 * from_end;
        file[entry + 4..entry + 8].copy_from_slice(&checksum);
        sign(&mut file);
        fs::write(&manifest, file).unwrap();
    }
    path
}

/// Makes `db` a copy of a fixture in which one file has another version, and everything else is right.
pub(crate) fn write_version(db: &Path, place: usize, version: u32) -> PathBuf {
    copy(&folder().join("bincode"), db);
    edit(db, place, |file| {
        file[8..12].copy_from_slice(&version.to_le_bytes());
    })
}

#[test]
fn another_version_is_refused_and_both_are_named() {
    for place in 0..FILES.len() {
        for version in [0, 1, 2, u32::MAX] {
            let dir = tempfile::tempdir().unwrap();
            let path = write_version(dir.path(), place, version);
            for verify in VERIFY {
                let opened = OpenOptions::new().verify(verify).open::<Place>(dir.path());
                // What else there is to change was changed rightly.
                if version == 1 {
                    assert_eq!(opened.unwrap().len(), 40);
                    continue;
                }
                let expected = format!(
                    "{} has format version {version}, this library reads version 1",
                    path.display()
                );
                let error = opened.unwrap_err();
                assert_eq!(error.to_string(), expected, "{verify:?}");
                let RingDbError::UnsupportedVersion {
                    path: named,
                    found,
                    supported,
                } = error
                else {
                    panic!("{error:?}")
                };
                assert_eq!((named, found, supported), (path.clone(), version, 1));
            }
        }
    }
}
