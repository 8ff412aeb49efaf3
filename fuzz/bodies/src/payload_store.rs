//! A pair of payload files of any bytes.

use std::fs;

use ringdb_storage::{PayloadCodec, PayloadStore, PayloadType, ReadOptions};

use crate::files::{HEADER_BYTES, record_crc, sealed};

/// Opens a pair of payload files made of `data` and fetches everything from it.
///
/// Byte 0 says whether the files get the checksums, lengths and uuids that make them look whole, so
/// that the checks behind those are reached. Bytes 1..3 are the length of the payload file, which
/// follows; the rest is the offset file. Returns whether the store was opened and every record in it
/// whole.
///
/// # Panics
/// If the library does, or if payloads and checksums are together not the body of the payload file.
pub fn payload_store(data: &[u8]) -> bool {
    let Some(([sign_files, low, high], files)) = data.split_first_chunk::<3>() else {
        return false;
    };
    let split = usize::from(u16::from_le_bytes([*low, *high])).min(files.len());
    let (payloads, offsets) = files.split_at(split);
    let (mut payloads, mut offsets) = (payloads.to_vec(), offsets.to_vec());
    if sign_files % 2 == 1 {
        for file in [&mut payloads, &mut offsets] {
            if let Some(origin) = file.get_mut(16..40) {
                origin.fill(7);
            }
        }
        sign_records(&mut payloads, &offsets);
        payloads = sealed(&payloads, 3, b"");
        offsets = sealed(&offsets, 4, b"");
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let paths = ["payloads", "offsets"].map(|name| dir.path().join(name));
    fs::write(&paths[0], &payloads).expect("a payload file");
    fs::write(&paths[1], &offsets).expect("an offset file");

    let options = ReadOptions::new().payload_type(PayloadType::Any);
    let store = PayloadStore::<(String, Vec<u8>)>::load_with(&paths[0], &paths[1], &options);
    let Ok(store) = store else {
        return false;
    };
    let mut bytes = 0;
    for id in 0..store.len() as u32 {
        match store.fetch_bytes(id) {
            Ok(payload) => bytes += payload.len(),
            // The files were whole, the record was not.
            Err(_) => return false,
        }
        // Most bytes are no such value; a store must say so and not panic.
        let _ = store.fetch(id);
    }
    assert!(
        store.fetch_bytes(store.len() as u32).is_err(),
        "an id past the end"
    );
    let body_bytes = u64::from_le_bytes(payloads[48..56].try_into().expect("8 bytes"));
    assert!(
        store.codec() == PayloadCodec::Pod || (bytes + 4 * store.len()) as u64 == body_bytes,
        "the payloads and their checksums are not the body of their file"
    );
    true
}

/// Makes the checksums of those records right that the offsets put within the body.
fn sign_records(payloads: &mut [u8], offsets: &[u8]) {
    let Some((header, body)) = payloads.split_first_chunk_mut::<HEADER_BYTES>() else {
        return;
    };
    let table = offsets.get(HEADER_BYTES..).unwrap_or_default();
    let numbers: Vec<u64> = table
        .chunks_exact(8)
        .map(|bytes| u64::from_le_bytes(bytes.try_into().expect("8 bytes")))
        .collect();
    for (id, pair) in (0_u32..).zip(numbers.windows(2)) {
        let range = pair[0] as usize..pair[1] as usize;
        let record = body.get_mut(range).unwrap_or_default();
        if let Some((payload, crc)) = record.split_last_chunk_mut::<4>() {
            *crc = record_crc(&header[16..40], id, payload);
        }
    }
}
