//! What can be chosen when a database is built or opened, and what each choice promises.

use std::fs;
use std::path::Path;

use ringdb::{
    Access, BuildOptions, DiskQuery, OpenOptions, PayloadCodec, RingDb, RingDbError, SealedRingDb,
    Verify,
};
use serde::{Deserialize, Serialize};

const MODES: [(Verify, Access); 6] = [
    (Verify::Open, Access::Map),
    (Verify::Open, Access::Read),
    (Verify::Lazy, Access::Map),
    (Verify::Lazy, Access::Read),
    (Verify::Never, Access::Map),
    (Verify::Never, Access::Read),
];

/// Rows of which 16 384 fill three blocks of vectors.bin, and payloads that fill five of payloads.bin.
const LEN: u32 = 16_384;

fn row(id: u32) -> [f32; 3] {
    [id as f32, -0.5, 0.25]
}

fn payload(id: u32) -> String {
    format!("payload {id:07}")
}

fn build(dir: &Path) {
    let mut db = BuildOptions::new(3).persist(dir).create().unwrap();
    for id in 0..LEN {
        db.add_vector(&row(id), payload(id)).unwrap();
    }
    db.build().unwrap();
}

fn open(dir: &Path, (verify, access): (Verify, Access)) -> ringdb::Result<SealedRingDb<String>> {
    OpenOptions::new().verify(verify).access(access).open(dir)
}

/// All ids, for every row is within this radius.
fn everything(db: &SealedRingDb<String>) -> ringdb::Result<usize> {
    let query = DiskQuery {
        query: &[0.0; 3],
        d_max: f32::INFINITY,
    };
    Ok(db.query_disk(&query)?.ids.len())
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn every_way_to_open_gives_the_same_database() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path());
    for mode in MODES {
        let db = open(dir.path(), mode).unwrap();
        assert_eq!(everything(&db).unwrap(), LEN as usize, "{mode:?}");
        for id in [0, 1, 5461, 5462, LEN - 1] {
            assert_eq!(*db.vector(id).unwrap(), row(id), "{mode:?}");
            assert_eq!(db.fetch_payload(id).unwrap(), payload(id), "{mode:?}");
        }
        let payloads: Result<Vec<_>, _> = db.payloads().collect();
        assert!(payloads.unwrap().into_iter().eq((0..LEN).map(payload)));
    }
}

#[test]
fn lazily_opened_damage_is_found_before_it_can_change_an_answer() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path());
    // In the second block of the rows: a coordinate of row 6000.
    flip(&dir.path().join("segment-000001/vectors.bin"), 64 + 72_000);
    for access in [Access::Map, Access::Read] {
        let error = open(dir.path(), (Verify::Open, access)).unwrap_err();
        assert!(matches!(error, RingDbError::Corrupt(_)), "{error}");
        let db = open(dir.path(), (Verify::Lazy, access)).unwrap();
        assert_eq!(*db.vector(5000).unwrap(), row(5000));
        for _ in 0..2 {
            for error in [
                db.vector(6000).map(drop).unwrap_err(),
                everything(&db).map(drop).unwrap_err(),
                db.search(&[0.0; 3]).run().map(drop).unwrap_err(),
            ] {
                let RingDbError::Corrupt(corruption) = error else {
                    panic!("{error}")
                };
                assert_eq!(corruption.offset(), 64 + 65_536);
            }
        }
        // What nobody looks at is not seen.
        let db = open(dir.path(), (Verify::Never, access)).unwrap();
        assert_ne!(*db.vector(6000).unwrap(), row(6000));
    }
}

#[test]
fn a_payload_is_checked_when_it_is_fetched_however_the_database_was_opened() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path());
    // Each record has 8 bytes of length, 15 of text and 4 of checksum.
    flip(
        &dir.path().join("segment-000001/payloads.bin"),
        64 + 27 * 9000 + 20,
    );
    for (verify, access) in MODES {
        let opened = open(dir.path(), (verify, access));
        if verify == Verify::Open {
            assert!(matches!(opened, Err(RingDbError::Corrupt(_))));
            continue;
        }
        let db = opened.unwrap();
        assert_eq!(db.fetch_payload(8999).unwrap(), payload(8999));
        let error = db.fetch_payload(9000).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("payloads.bin at byte 243064: checksum of payload 9000"),
            "{error}"
        );
        // An iterator neither ends early nor goes on after damage.
        let mut payloads = db.payloads();
        assert_eq!(payloads.by_ref().take_while(Result::is_ok).count(), 9000);
        assert!(payloads.next().is_none());
    }
}

#[test]
fn a_damaged_offset_is_found_when_it_is_used() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path());
    // In the second block of the offsets.
    flip(
        &dir.path().join("segment-000001/offsets.bin"),
        64 + 8 * 9000,
    );
    for access in [Access::Map, Access::Read] {
        assert!(open(dir.path(), (Verify::Open, access)).is_err());
        let db = open(dir.path(), (Verify::Lazy, access)).unwrap();
        assert_eq!(db.fetch_payload(1).unwrap(), payload(1));
        let error = db.fetch_payload(9000).unwrap_err();
        assert!(error.to_string().contains("offsets.bin"), "{error}");
        // Nothing but the record's own checksum is left to see it.
        let db = open(dir.path(), (Verify::Never, access)).unwrap();
        assert!(db.fetch_payload(9000).is_err());
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Place {
    name: String,
    visits: u64,
}

fn place(id: u64) -> Place {
    let name = format!("place {id}");
    Place { name, visits: id }
}

#[test]
fn postcard_payloads_come_back_and_take_fewer_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let mut bytes = Vec::new();
    for codec in [PayloadCodec::Bincode, PayloadCodec::Postcard] {
        let options = BuildOptions::new(1).persist(dir.path()).replace(true);
        let mut db = options.codec(codec).create().unwrap();
        for id in 0..5 {
            db.add_vector(&[0.0], place(id)).unwrap();
        }
        db.build().unwrap();
        let db: SealedRingDb<Place> = OpenOptions::new().open(dir.path()).unwrap();
        assert_eq!(db.payload_codec(), codec);
        assert_eq!(db.payload_type(), "Place");
        assert_eq!(db.fetch_payload(3).unwrap(), place(3));
        bytes.push(db.payload_bytes(3).unwrap().len());
    }
    assert_eq!(bytes, [8 + 7 + 8, 1 + 7 + 1]);
}

#[test]
fn plain_payloads_are_read_where_they_lie() {
    let dir = tempfile::tempdir().unwrap();
    let options = BuildOptions::new(1).codec(PayloadCodec::Pod);
    for persisted in [false, true] {
        let options = match persisted {
            true => options.clone().persist(dir.path()),
            false => options.clone(),
        };
        let mut db: RingDb<[u64; 3]> = options.create().unwrap();
        for id in 0..100 {
            db.add_vector_pod(&[0.0], &[id, id * id, u64::MAX]).unwrap();
        }
        assert!(matches!(
            db.add_vector(&[0.0], [0; 3]),
            Err(RingDbError::TypeMismatch { .. })
        ));
        let db = db.build().unwrap();
        for id in [0, 1, 99] {
            let payload = db.payload_ref(id).unwrap();
            assert_eq!(*payload, [u64::from(id), u64::from(id * id), u64::MAX]);
            assert_eq!(std::ptr::from_ref(payload).addr() % 16, 0);
        }
        assert!(matches!(
            db.fetch_payload(0),
            Err(RingDbError::TypeMismatch { .. })
        ));
        assert!(matches!(
            db.payload_ref(100),
            Err(RingDbError::IdOutOfRange { id: 100, len: 100 })
        ));
    }
    let other = OpenOptions::new().open::<[u32; 3]>(dir.path()).unwrap_err();
    assert_eq!(
        other.to_string(),
        "the payloads are stored as [u64; 3], not as [u32; 3]: \
         OpenOptions::payload_type asks for another name, OpenOptions::any_type for any"
    );
    let any = OpenOptions::new().any_type(true);
    let other = any.open::<[u32; 3]>(dir.path()).unwrap();
    let error = other.payload_ref(0).unwrap_err();
    assert!(error.to_string().contains("it has 24 bytes"), "{error}");
}

#[test]
fn raw_payloads_are_any_bytes() {
    let mut db: RingDb = BuildOptions::new(1)
        .codec(PayloadCodec::Raw)
        .create()
        .unwrap();
    for payload in [&b""[..], b"\xff\0", &[7; 100_000]] {
        db.add_vector_bytes(&[0.0], payload).unwrap();
    }
    let db = db.build().unwrap();
    assert_eq!(db.payload_bytes(0).unwrap(), b"");
    assert_eq!(db.payload_bytes(1).unwrap(), b"\xff\0");
    assert_eq!(db.payload_bytes(2).unwrap(), [7; 100_000]);
    assert_eq!(db.payload_type(), "");
}

#[test]
fn a_name_for_the_payloads_is_asked_for_when_they_are_opened() {
    let dir = tempfile::tempdir().unwrap();
    let options = BuildOptions::new(1).payload_type("place, version 2");
    let mut db = options.clone().persist(dir.path()).create().unwrap();
    db.add_vector(&[0.0], place(1)).unwrap();
    db.build().unwrap();
    let error = OpenOptions::new().open::<Place>(dir.path()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the payloads are stored as place, version 2, not as Place: \
         OpenOptions::payload_type asks for another name, OpenOptions::any_type for any"
    );
    let named = OpenOptions::new().payload_type("place, version 2");
    let db = named.open::<Place>(dir.path()).unwrap();
    assert_eq!(db.fetch_payload(0).unwrap(), place(1));
    // In whatever order they are called.
    for named in [
        OpenOptions::new()
            .payload_type("place, version 2")
            .any_type(true)
            .any_type(false),
        OpenOptions::new()
            .any_type(true)
            .payload_type("place, version 2")
            .any_type(false),
        OpenOptions::new()
            .any_type(true)
            .payload_type("place, version 1"),
        OpenOptions::new()
            .payload_type("place, version 1")
            .any_type(true),
    ] {
        named.open::<Place>(dir.path()).unwrap();
    }
    let other = OpenOptions::new()
        .payload_type("place, version 1")
        .any_type(false);
    assert!(other.open::<Place>(dir.path()).is_err());
    let error = options
        .payload_type("x".repeat(256))
        .create::<()>()
        .unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("would be 256, the limit is 255"),
        "{error}"
    );
}

#[test]
fn payloads_are_taken_unchecked_only_when_told_to() {
    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Untagged {
        Number(u8),
    }
    let options = BuildOptions::new(1).check_payloads(false);
    let mut db = options.create().unwrap();
    db.add_vector(&[0.0], Untagged::Number(1)).unwrap();
    db.add_vectors(&[0.0], [Untagged::Number(2)]).unwrap();
    let db = db.build().unwrap();
    assert!(matches!(db.fetch_payload(1), Err(RingDbError::Payload(_))));
}

#[test]
fn many_vectors_are_added_all_or_none() {
    let dir = tempfile::tempdir().unwrap();
    let mut db = BuildOptions::new(2).persist(dir.path()).create().unwrap();
    db.add_vectors(&[0.0, 0.0, 1.0, 0.0], ["a", "b"].map(String::from))
        .unwrap();
    let mut refused = |vectors: &[f32], payloads: &[&str], expected: &str| {
        let payloads: Vec<String> = payloads.iter().map(ToString::to_string).collect();
        let error = db.add_vectors(vectors, payloads).unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert_eq!(db.len(), 2);
    };
    refused(&[0.0; 4], &["c"], "1 payload for 2 vectors");
    refused(&[0.0; 2], &["c", "d", "e"], "2 payloads for 1 vector");
    refused(&[], &["c"], "1 payload for 0 vectors");
    refused(&[0.0; 3], &["c"], "dimension mismatch: expected 2, got 1");
    refused(
        &[0.0, 0.0, 0.0, f32::NAN],
        &["c", "d"],
        "coordinate 3 is NaN, coordinates must be finite",
    );
    db.add_vectors(&[], []).unwrap();
    // More than any buffer holds.
    let rows: Vec<f32> = (0..600_000).map(|i| i as f32).collect();
    db.add_vectors(&rows, (0..300_000).map(payload)).unwrap();
    db.add_vector(&[2.0, 0.0], "last".to_string()).unwrap();
    db.build().unwrap();
    let db: SealedRingDb<String> = OpenOptions::new().open(dir.path()).unwrap();
    assert_eq!(db.len(), 300_003);
    assert_eq!(db.fetch_payload(1).unwrap(), "b");
    assert_eq!(db.fetch_payload(2 + 299_999).unwrap(), payload(299_999));
    assert_eq!(*db.vector(2 + 299_999).unwrap(), [599_998.0, 599_999.0]);
    assert_eq!(db.fetch_payload(300_002).unwrap(), "last");
}

#[test]
fn nothing_is_added_to_an_empty_database() {
    let mut db: RingDb<String> = BuildOptions::new(2).create().unwrap();
    db.add_vectors(&[], []).unwrap();
    assert!(db.is_empty());
    db.add_vector(&[1.0, 2.0], "first".to_string()).unwrap();
    assert_eq!(*db.build().unwrap().vector(0).unwrap(), [1.0, 2.0]);
}

#[test]
fn payloads_are_not_spilled_to_a_directory_that_cannot_be_used() {
    let place = tempfile::tempdir().unwrap();
    let (none, file) = (place.path().join("none"), place.path().join("file"));
    fs::write(&file, "").unwrap();
    for dir in [&none, &file] {
        let options = BuildOptions::new(1).spill_dir(dir);
        let error = options.clone().create::<u8>().unwrap_err();
        let start = format!("io error: cannot create a file in {}: ", dir.display());
        assert!(error.to_string().starts_with(&start), "{error}");
        // What is persisted spills nothing.
        options
            .persist(place.path().join("db"))
            .create::<u8>()
            .unwrap();
    }
    let options = BuildOptions::new(0).spill_dir(&none);
    assert!(matches!(
        options.create::<u8>(),
        Err(RingDbError::InvalidDims { dims: 0, .. })
    ));
}

/// What the process has mapped or open in `dir`, by the system's word.
#[cfg(target_os = "linux")]
fn in_use(dir: &Path) -> usize {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let fds = fs::read_dir("/proc/self/fd").unwrap();
    let fds = fds.filter_map(|fd| fs::read_link(fd.ok()?.path()).ok());
    let dir = dir.canonicalize().unwrap();
    let mapped = maps
        .lines()
        .filter(|line| line.contains(dir.to_str().unwrap()));
    fds.filter(|path| path.starts_with(&dir)).count() + mapped.count()
}

#[cfg(target_os = "linux")]
#[test]
fn payloads_are_spilled_to_the_directory_that_was_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut db = BuildOptions::new(3).spill_dir(dir.path()).create().unwrap();
    for id in 0..LEN {
        db.add_vector(&row(id), payload(id)).unwrap();
    }
    assert_eq!(in_use(dir.path()), 2, "payloads and offsets");
    let db = db.build().unwrap();
    assert_eq!(in_use(dir.path()), 2);
    assert!(fs::read_dir(dir.path()).unwrap().next().is_none(), "a name");
    assert_eq!(db.fetch_payload(9000).unwrap(), payload(9000));
    drop(db);
    assert_eq!(in_use(dir.path()), 0);
}
