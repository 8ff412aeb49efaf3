//! What version 1 of the format wrote, every later version of the library reads: the committed files in
//! `tests/fixtures/v1` against the formulas in [`contents`](crate::contents).

use std::fs;
use std::path::{Path, PathBuf};

use ringdb::{
    Access, BackendPreference, OpenOptions, RingDb, RingDbError, SealedRingDb, Tier, Verify,
};
use ringdb_index::distance;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::contents::{Derived, FIXTURES, Fixture, Payloads, Place, json, place, pod, raw};
use crate::support::sign;

/// Files of a database, MANIFEST first and the others in its order; a fixture has no LOCK. The last three are
/// there if it has codes, and a prefix.
const FILES: [&str; 7] = [
    "MANIFEST",
    "segment-000001/offsets.bin",
    "segment-000001/payloads.bin",
    "segment-000001/vectors.bin",
    "segment-000001/codes.bin",
    "segment-000001/fine.bin",
    "segment-000001/prefix.bin",
];

/// The same of one with boxes.
const FILES_WITH_BOXES: [&str; 6] = [
    FILES[0],
    FILES[1],
    FILES[2],
    FILES[3],
    "segment-000001/blocks.bin",
    "segment-000001/order.bin",
];

/// The files of a fixture.
pub(crate) fn files(fixture: &Fixture) -> &'static [&'static str] {
    match fixture.derived {
        Derived::Nothing => &FILES[..4],
        Derived::Codes => &FILES[..6],
        Derived::Prefix => &FILES,
        Derived::Boxes => &FILES_WITH_BOXES,
    }
}

/// The fixture of this name.
pub(crate) fn named(name: &str) -> &'static Fixture {
    FIXTURES.iter().find(|known| known.name == name).unwrap()
}

/// The folder of all fixtures.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1")
}

/// The committed directory of one.
pub(crate) fn dir(fixture: &Fixture) -> PathBuf {
    folder().join(fixture.name)
}

/// A copy of a fixture whose files may be changed.
pub(crate) fn copy(fixture: &Fixture, to: &Path) {
    let from = dir(fixture);
    fs::create_dir_all(to.join("segment-000001")).unwrap();
    for file in files(fixture) {
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
    let has_codes = [Derived::Codes, Derived::Prefix].contains(&fixture.derived);
    let has_prefix = fixture.derived == Derived::Prefix;
    let has_boxes = fixture.derived == Derived::Boxes;
    assert_eq!((db.has_codes(), db.has_prefix()), (has_codes, has_prefix));
    assert_eq!(db.has_boxes(), has_boxes);
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
    let found = db.search(&query).range(ring.clone()).run().unwrap();
    assert_eq!(found.ids, expected);
    let by_codes = found.explain.tier(Tier::Codes);
    assert_eq!(by_codes.outside > 0, has_codes);
    assert_eq!(by_codes.inside > 0, has_codes);
    let by_prefix = found.explain.tier(Tier::Prefix);
    assert_eq!(by_prefix.outside > 0, has_prefix);
    assert_eq!(by_prefix.inside > 0, has_prefix);
    let by_boxes = db.search(&query).range(ring).explain().unwrap();
    let by_boxes = by_boxes.tier(Tier::Boxes);
    assert_eq!(by_boxes.outside > 0, has_boxes);
    assert_eq!(by_boxes.inside > 0, has_boxes);
}

#[test]
fn every_fixture_consists_of_its_files() {
    for fixture in &FIXTURES {
        let mut found = Vec::new();
        for (folder, prefix) in [("", ""), ("segment-000001", "segment-000001/")] {
            for entry in fs::read_dir(dir(fixture).join(folder)).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                found.push(format!("{prefix}{name}"));
            }
        }
        found.retain(|name| name != "segment-000001");
        let mut expected = files(fixture).to_vec();
        found.sort();
        expected.sort_unstable();
        assert_eq!(found, expected, "{}", fixture.name);
    }
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

/// Changes the file at `place` among `files` and makes all checksums right again, up to those in
/// MANIFEST. Returns its path.
pub(crate) fn edit(
    db: &Path,
    files: &[&str],
    place: usize,
    change: impl FnOnce(&mut [u8]),
) -> PathBuf {
    edit_named(db, files[place], files.len() - place, change)
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
pub(crate) fn write_version(fixture: &Fixture, db: &Path, place: usize, version: u32) -> PathBuf {
    copy(fixture, db);
    edit(db, files(fixture), place, |file| {
        file[8..12].copy_from_slice(&version.to_le_bytes());
    })
}

/// Fixtures and a place for each of their files: of every kind once.
pub(crate) fn every_kind() -> impl Iterator<Item = (&'static Fixture, usize)> {
    let fixtures = ["bincode", "prefix", "boxes"].map(named).into_iter();
    fixtures.flat_map(|fixture| (0..files(fixture).len()).map(move |place| (fixture, place)))
}

#[test]
fn another_version_is_refused_and_both_are_named() {
    for (fixture, place) in every_kind() {
        for version in [0, 1, 2, u32::MAX] {
            let dir = tempfile::tempdir().unwrap();
            let path = write_version(fixture, dir.path(), place, version);
            for verify in VERIFY {
                let opened = OpenOptions::new().verify(verify).open::<Place>(dir.path());
                // What else there is to change was changed rightly.
                if version == 1 {
                    assert_eq!(opened.unwrap().len(), fixture.len as usize);
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
