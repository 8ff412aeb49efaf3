//! A MANIFEST of any body, and nothing else in the directory.

use std::path::Path;

use ringdb_storage::{PayloadType, ReadOptions, Segment};

use crate::files::{HEADER_BYTES, disk_with, sealed};

/// Opens a directory whose MANIFEST is `data` without the first byte, which says whether its checksums
/// are made right. Returns whether the manifest was read and a file was looked for that it names.
///
/// # Panics
/// If the library does, or opens a database that has no files.
pub fn manifest(data: &[u8]) -> bool {
    let Some((seal, file)) = data.split_first() else {
        return false;
    };
    let file = match seal % 2 {
        0 => file.to_vec(),
        _ => {
            let mut head_and_body = file.to_vec();
            head_and_body.resize(file.len().max(HEADER_BYTES), 0);
            sealed(&head_and_body, 1, b"")
        }
    };
    let disk = disk_with([(Path::new("/db/MANIFEST"), file.as_slice())]);
    let options = ReadOptions::new().payload_type(PayloadType::Any);
    let opened = Segment::<()>::open_on(&*disk, Path::new("/db"), &options);
    let error = opened.expect_err("a database without files was opened");
    error
        .to_string()
        .contains("missing, though MANIFEST names it")
}
