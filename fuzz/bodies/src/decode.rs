//! Payloads of a recursive type from any bytes.

use ringdb_storage::{PayloadStore, PayloadStoreBuilder, ReadOptions};
use serde::{Deserialize, Serialize};

use crate::files::{HEADER_BYTES, record_crc, sealed};

/// All that makes decoding dangerous: nesting without end, elements without bytes, lengths of any size,
/// borrowed and owned text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Value {
    Nothing,
    Flag(bool),
    Units(Vec<()>),
    Number { wide: u128, real: f32, letter: char },
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Value>),
    Pair(Box<(Value, Option<Value>)>),
    Map(std::collections::BTreeMap<String, Value>),
}

/// Fetches the one payload of a store whose bytes are `data` without the first, which says whether the
/// codec is bincode or postcard.
///
/// Returns whether the bytes are a value.
///
/// # Panics
/// If the library does, or if what came out changes when it goes in and comes out again.
pub fn decode(data: &[u8]) -> bool {
    let Some((codec, payload)) = data.split_first() else {
        return false;
    };
    let codec = [1_u32, 3][usize::from(*codec % 2)];
    let dir = tempfile::tempdir().expect("a temporary directory");
    let paths = ["payloads", "offsets"].map(|name| dir.path().join(name));
    let mut header = [0; HEADER_BYTES];
    header[12..16].copy_from_slice(&codec.to_le_bytes());
    header[40] = 1;
    let crc = record_crc(&header[16..40], 0, payload);
    let payloads = [&header[..], payload, &crc].concat();
    header[12..16].fill(0);
    header[40] = 2;
    let end = (payloads.len() - HEADER_BYTES) as u64;
    let offsets = [&header[..], &0_u64.to_le_bytes(), &end.to_le_bytes()].concat();
    std::fs::write(&paths[0], sealed(&payloads, 3, b"")).expect("a payload file");
    std::fs::write(&paths[1], sealed(&offsets, 4, b"")).expect("an offset file");

    let options = ReadOptions::new();
    let store = PayloadStore::<Value>::load_with(&paths[0], &paths[1], &options);
    let store = store.expect("a whole pair of files");
    let Ok(value) = store.fetch(0) else {
        return false;
    };
    let mut builder = PayloadStoreBuilder::with_codec(store.codec()).expect("files for payloads");
    builder
        .push_checked(value.clone())
        .expect("a value that came out");
    let again = builder.finish().expect("a store of one payload");
    let again = again.fetch(0).expect("what went in");
    // NaN is not itself, and comes out as it went in all the same.
    assert_eq!(format!("{again:?}"), format!("{value:?}"));
    true
}
