//! The bodies of the fuzz targets: plain functions over bytes, one a target. The harness in `fuzz/`
//! feeds them inputs of its own making; `tests/replay.rs` feeds them the committed corpus.
//!
//! A body fails by panicking. Errors that the library returns are what it expects of bad bytes.

use std::fs;

use ringdb_storage::PayloadStore;

const HEADER_BYTES: usize = 64;

/// Opens a pair of payload files made of `data` and fetches everything from it.
///
/// Byte 0 says whether the files get the checksums, lengths and uuids that make them look whole, so
/// that the checks behind those are reached. Bytes 1..3 are the length of the payload file, which
/// follows; the rest is the offset file. Returns whether the store was opened.
///
/// # Panics
/// If the library does, if a payload of an opened store has no bytes to read, or if together they are
/// not the body of the payload file.
pub fn payload_store(data: &[u8]) -> bool {
    let Some(([sign_files, low, high], files)) = data.split_first_chunk::<3>() else {
        return false;
    };
    let split = usize::from(u16::from_le_bytes([*low, *high])).min(files.len());
    let (payloads, offsets) = files.split_at(split);
    let (mut payloads, mut offsets) = (payloads.to_vec(), offsets.to_vec());
    if sign_files % 2 == 1 {
        sign(&mut payloads, 3);
        sign(&mut offsets, 4);
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let paths = ["payloads", "offsets"].map(|name| dir.path().join(name));
    fs::write(&paths[0], &payloads).expect("a payload file");
    fs::write(&paths[1], &offsets).expect("an offset file");

    let Ok(store) = PayloadStore::<(String, Vec<u8>)>::load(&paths[0], &paths[1]) else {
        return false;
    };
    let mut bytes = Vec::new();
    for id in 0..store.len() as u32 {
        bytes.extend_from_slice(
            store
                .fetch_bytes(id)
                .expect("the bytes of a payload in range"),
        );
        // Most bytes are no such value; a store must say so and not panic.
        let _ = store.fetch(id);
    }
    assert_eq!(
        bytes,
        payloads[HEADER_BYTES..],
        "the payloads are not the body of their file"
    );
    assert!(
        store.fetch_bytes(store.len() as u32).is_err(),
        "an id past the end"
    );
    true
}

/// Makes what can be made right in the header of a file of `kind`, as docs/FORMAT.md draws it.
fn sign(file: &mut [u8], kind: u16) {
    let Some((header, body)) = file.split_first_chunk_mut::<HEADER_BYTES>() else {
        return;
    };
    header[..6].copy_from_slice(b"RINGDB");
    header[6..8].copy_from_slice(&kind.to_le_bytes());
    header[8..12].copy_from_slice(&0_u32.to_le_bytes());
    header[16..40].fill(7);
    header[48..56].copy_from_slice(&(body.len() as u64).to_le_bytes());
    header[56..60].copy_from_slice(&crc32fast::hash(body).to_le_bytes());
    let crc = crc32fast::hash(&header[..60]);
    header[60..64].copy_from_slice(&crc.to_le_bytes());
}
