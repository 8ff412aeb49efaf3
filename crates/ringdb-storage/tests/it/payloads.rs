//! The payload store alone: what goes in comes back, and what is wrong is named.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use ringdb_storage::{
    Error, PayloadCodec, PayloadStore, PayloadStoreBuilder, PayloadType, ReadOptions,
};
use serde::{Deserialize, Serialize, Serializer};

use crate::support::{head_and_body, is_child, run_in_child, sealed, sign};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Instrument {
    Strings { name: String, count: u8 },
    Drum(f64),
    None,
}

fn instruments() -> Vec<Instrument> {
    let strings = |name: &str, count| Instrument::Strings {
        name: name.to_string(),
        count,
    };
    vec![
        strings("violin", 4),
        Instrument::Drum(0.1),
        strings("", 0),
        Instrument::None,
    ]
}

fn pair(dir: &tempfile::TempDir) -> (PathBuf, PathBuf) {
    (dir.path().join("payloads"), dir.path().join("offsets"))
}

fn persist(dir: &tempfile::TempDir) -> (PathBuf, PathBuf) {
    let (payloads, offsets) = pair(dir);
    let mut builder = PayloadStoreBuilder::new().unwrap();
    for instrument in instruments() {
        builder.push(instrument).unwrap();
    }
    builder.finish_persisted(&payloads, &offsets).unwrap();
    (payloads, offsets)
}

fn load((payloads, offsets): &(PathBuf, PathBuf)) -> Result<PayloadStore<Instrument>, Error> {
    PayloadStore::load(payloads, offsets)
}

#[test]
fn payloads_come_back_by_id_from_memory_and_from_disk() {
    let dir = tempfile::tempdir().unwrap();
    let mut builder = PayloadStoreBuilder::new().unwrap();
    for instrument in instruments() {
        builder.push(instrument).unwrap();
    }
    for store in [builder.finish().unwrap(), load(&persist(&dir)).unwrap()] {
        assert_eq!(store.len(), 4);
        assert_eq!(store.codec(), PayloadCodec::Bincode);
        for (id, instrument) in instruments().iter().enumerate() {
            assert_eq!(store.fetch(id as u32).unwrap(), *instrument);
        }
        let [a, _, _, d] = instruments().try_into().unwrap();
        assert_eq!(store.fetch_many(&[3, 0, 3]).unwrap(), [d.clone(), a, d]);
        assert!(store.fetch_many(&[]).unwrap().is_empty());
    }
}

#[test]
fn more_payloads_than_a_buffer_holds_come_back() {
    let mut builder = PayloadStoreBuilder::new().unwrap();
    let payload = |i: usize| vec![i as u8; 1000 * (i % 7)];
    for i in 0..2000 {
        builder.push(payload(i)).unwrap();
    }
    builder.push(vec![9; 5 << 20]).unwrap();
    let store = builder.finish().unwrap();
    for i in 0..2000 {
        assert_eq!(store.fetch(i as u32).unwrap(), payload(i));
    }
    assert_eq!(store.fetch(2000).unwrap(), vec![9; 5 << 20]);
}

#[test]
fn no_payloads_and_payloads_of_no_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let (payloads, offsets) = pair(&dir);
    let store = PayloadStoreBuilder::<String>::new()
        .unwrap()
        .finish()
        .unwrap();
    assert!(store.is_empty());
    assert!(matches!(
        store.fetch(0),
        Err(Error::IdOutOfRange { id: 0, len: 0 })
    ));

    let mut builder = PayloadStoreBuilder::new().unwrap();
    builder.push(()).unwrap();
    builder.push(()).unwrap();
    let store = builder.finish_persisted(&payloads, &offsets).unwrap();
    assert_eq!(store.fetch_many(&[0, 1, 1]).unwrap(), [(), (), ()]);
    assert_eq!(
        PayloadStore::<()>::load(&payloads, &offsets).unwrap().len(),
        2
    );
}

#[test]
fn an_id_out_of_range_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = load(&persist(&dir)).unwrap();
    for id in [4, 5, u32::MAX] {
        let error = store.fetch(id).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("id {id} is out of range: there are 4")
        );
        assert!(matches!(
            store.fetch_many(&[0, id]),
            Err(Error::IdOutOfRange { .. })
        ));
        assert!(matches!(
            store.fetch_bytes(id),
            Err(Error::IdOutOfRange { .. })
        ));
    }
}

/// Serialises as its number, or fails, or panics.
#[derive(Deserialize)]
struct Moody(u32);

impl Serialize for Moody {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            13 => Err(serde::ser::Error::custom("thirteen is not written down")),
            14 => panic!("fourteen panics"),
            n => serializer.serialize_u32(n),
        }
    }
}

#[test]
fn a_payload_that_does_not_serialise_changes_nothing() {
    let mut builder = PayloadStoreBuilder::new().unwrap();
    builder.push(Moody(1)).unwrap();
    let error = builder.push(Moody(13)).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("Moody") && text.contains("thirteen is not written down"),
        "{text}"
    );
    assert!(catch_unwind(AssertUnwindSafe(|| builder.push(Moody(14)))).is_err());
    builder.push(Moody(2)).unwrap();
    let store = builder.finish().unwrap();
    assert_eq!(store.len(), 2);
    assert_eq!(
        (store.fetch(0).unwrap().0, store.fetch(1).unwrap().0),
        (1, 2)
    );
}

#[test]
fn bytes_of_another_type_are_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let (payloads, offsets) = persist(&dir);
    let error = PayloadStore::<Vec<String>>::load(&payloads, &offsets).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the payloads are of type Instrument, not Vec<String>: \
         ReadOptions::payload_type asks for another name, or for any"
    );
    let any = ReadOptions::new().payload_type(PayloadType::Any);
    let store = PayloadStore::<Vec<String>>::load_with(&payloads, &offsets, &any).unwrap();
    let error = store.fetch(0).unwrap_err();
    assert!(matches!(error, Error::Decode { id: 0, .. }), "{error}");
    assert!(
        error.to_string().contains("Vec<alloc::string::String>"),
        "{error}"
    );
}

#[test]
fn existing_targets_are_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (payloads, offsets) = pair(&dir);
    for existing in [&payloads, &offsets] {
        fs::write(existing, "mine").unwrap();
        let builder = PayloadStoreBuilder::<u8>::new().unwrap();
        let error = builder.finish_persisted(&payloads, &offsets).unwrap_err();
        assert!(
            matches!(&error, Error::AlreadyExists { path } if path == existing),
            "{error}"
        );
        assert_eq!(fs::read(existing).unwrap(), b"mine");
        fs::remove_file(existing).unwrap();
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            0,
            "nothing else may be there"
        );
    }
}

#[test]
fn a_pair_that_cannot_be_published_leaves_nothing_in_the_way() {
    let dir = tempfile::tempdir().unwrap();
    let payloads = dir.path().join("payloads");
    let too_long = dir.path().join("o".repeat(300));
    for offsets in [&payloads, &too_long] {
        let mut builder = PayloadStoreBuilder::new().unwrap();
        builder.push(1_u8).unwrap();
        assert!(builder.finish_persisted(&payloads, offsets).is_err());
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            0,
            "nothing may be left"
        );
    }
    persist(&dir);
}

#[test]
fn a_pair_that_was_never_finished_is_said_to_be_one() {
    let dir = tempfile::tempdir().unwrap();
    let files = persist(&dir);
    fs::remove_file(&files.1).unwrap();
    let error = load(&files).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("offsets is missing: the pair was never finished"),
        "{error}"
    );
    fs::remove_file(&files.0).unwrap();
    let error = load(&files).unwrap_err();
    let not_found = |error: &std::io::Error| error.kind() == std::io::ErrorKind::NotFound;
    assert!(
        matches!(&error, Error::Io { path, source, .. } if *path == files.0 && not_found(source))
    );
}

#[test]
fn files_of_two_pairs_are_refused() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (payloads, _) = persist(&a);
    let (_, offsets) = persist(&b);
    let error = load(&(payloads, offsets)).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the uuids or generations differ"),
        "{error}"
    );
}

#[test]
fn every_flipped_bit_and_every_cut_of_a_pair_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let files = persist(&dir);
    for path in [&files.0, &files.1] {
        let whole = fs::read(path).unwrap();
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            fs::write(path, flipped).unwrap();
            assert!(load(&files).is_err(), "bit {bit} of {}", path.display());
        }
        for len in 0..whole.len() {
            fs::write(path, &whole[..len]).unwrap();
            assert!(load(&files).is_err(), "{len} bytes of {}", path.display());
        }
        fs::write(path, [&whole[..], b"x"].concat()).unwrap();
        assert!(load(&files).is_err(), "one byte too many");
        fs::write(path, whole).unwrap();
    }
    assert_eq!(
        load(&files).unwrap().fetch_many(&[0, 1, 2, 3]).unwrap(),
        instruments()
    );
}

#[test]
fn offsets_that_do_not_fit_are_refused_even_with_good_checksums() {
    let dir = tempfile::tempdir().unwrap();
    let files = persist(&dir);
    let whole = fs::read(&files.1).unwrap();
    let table = head_and_body(&whole);
    let last = u64::from_le_bytes(table[table.len() - 8..].try_into().unwrap());
    for (index, value, finding) in [
        (0, 1, "the first offset is 1, not 0"),
        (1, last + 1, "offset 2 is below offset 1"),
        (2, 0, "offset 2 is below offset 1"),
        (4, last + 1, "the last offset is"),
        (4, u64::MAX, "the last offset is 18446744073709551615"),
    ] {
        let mut bytes = whole.clone();
        bytes[64 + 8 * index..][..8].copy_from_slice(&u64::to_le_bytes(value));
        sign(&mut bytes);
        fs::write(&files.1, bytes).unwrap();
        let error = load(&files).unwrap_err();
        assert!(error.to_string().contains(finding), "{error}");
    }
    // One payload fewer than the payload file declares, and half an offset.
    for (cut, finding) in [
        (8, "the last offset is"),
        (4, "not a whole number of offsets"),
    ] {
        let bytes = sealed(&table[..table.len() - cut], "");
        fs::write(&files.1, bytes).unwrap();
        let error = load(&files).unwrap_err();
        assert!(error.to_string().contains(finding), "{error}");
    }
}

#[test]
fn an_offset_header_that_says_something_else_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let files = persist(&dir);
    let whole = fs::read(&files.1).unwrap();
    for (field, finding) in [(40..48, "offsets 255, expected 5"), (12..16, "detail 255")] {
        let mut bytes = whole.clone();
        bytes[field.start] = 255;
        sign(&mut bytes);
        fs::write(&files.1, bytes).unwrap();
        let error = load(&files).unwrap_err();
        assert!(error.to_string().contains(finding), "{error}");
    }
}

/// Runs itself again in a process whose directory for temporary files is empty and its own.
#[cfg(unix)]
#[test]
fn the_file_of_an_unpersisted_store_has_no_name() {
    if !is_child() {
        let dir = tempfile::tempdir().unwrap();
        run_in_child(
            "payloads::the_file_of_an_unpersisted_store_has_no_name",
            |child| child.env("TMPDIR", dir.path()),
        );
        return;
    }
    let files = || fs::read_dir(std::env::temp_dir()).unwrap().count();
    let mut builder = PayloadStoreBuilder::new().unwrap();
    builder.push(vec![1_u8; 3 << 20]).unwrap();
    builder.push(vec![2_u8; 3]).unwrap();
    assert_eq!(files(), 0);
    let store = builder.finish().unwrap();
    assert_eq!(files(), 0);
    assert_eq!(store.fetch(1).unwrap(), [2, 2, 2]);
}
