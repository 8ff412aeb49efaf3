//! Files that change after they were checked: what is read a second time is checked a second time.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use ringdb_storage::{Error, Loss, PayloadCodec, Segment, SegmentWriter, salvage};

use crate::ruins::{BLOCK, DIMS, PAYLOADS, ROWS, Ruins, VECTORS, row};
use crate::support::{assert_holds, names, no_files, write};

/// Flips a bit where the file lies, so that it shows in maps of it.
fn rot(path: &Path, at: usize) {
    let mut file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.seek(SeekFrom::Start(at as u64)).unwrap();
    file.read_exact(&mut byte).unwrap();
    file.seek(SeekFrom::Start(at as u64)).unwrap();
    file.write_all(&[byte[0] ^ 0x10]).unwrap();
}

#[test]
fn a_row_that_changes_while_others_are_salvaged_is_lost() {
    let ruins = Ruins::new();
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("to");
    // In the middle of the third block.
    let at = 64 + 2 * BLOCK + BLOCK / 2;
    let mut lost = Vec::new();
    let salvaged = salvage(ruins.dir(), &to, false, None, no_files, |row| {
        if row.old_id == 0 {
            rot(&ruins.path(VECTORS), at);
        }
        if let Some(loss) = row.loss {
            assert_eq!(loss, Loss::VectorDamaged);
            lost.push(row.old_id);
        }
        Ok::<(), Error>(())
    });
    // Each that lies in the block.
    let row_bytes = 4 * DIMS;
    let (first, last) = (2 * BLOCK / row_bytes, (3 * BLOCK - 1) / row_bytes);
    let expected: Vec<u32> = (first as u32..=last as u32).collect();
    assert_eq!(lost, expected);
    assert_eq!(salvaged.unwrap().lost, expected.len() as u64);
    let new = Segment::<String>::open(&to).unwrap();
    let mut kept = (0..ROWS).filter(|id| !expected.contains(id));
    for id in 0..new.vectors.len() as u32 {
        assert_eq!(new.vectors.row(id).unwrap(), row(kept.next().unwrap()));
    }
    assert_eq!(kept.next(), None);
}

#[test]
fn a_payload_that_changes_while_others_are_salvaged_is_lost() {
    let ruins = Ruins::new();
    let dir = tempfile::tempdir().unwrap();
    let mut lost = Vec::new();
    let to = dir.path().join("to");
    let salvaged = salvage(ruins.dir(), &to, false, None, no_files, |row| {
        if row.old_id == 0 {
            rot(&ruins.path(PAYLOADS), 64 + 2 * BLOCK);
        }
        lost.extend(row.loss);
        Ok::<(), Error>(())
    });
    assert_eq!(salvaged.unwrap().lost, 1);
    assert_eq!(lost, [Loss::PayloadDamaged]);
}

/// What is derived of rows that have changed would pass every later check.
#[test]
fn nothing_is_committed_that_was_derived_from_rows_that_changed() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), false, 7).unwrap();
    let codec = PayloadCodec::Bincode;
    let mut writer = SegmentWriter::in_directory(dir.path(), true, 2, codec).unwrap();
    for id in 0..9_u8 {
        writer.push(&[f32::from(id), 0.5], id.to_string()).unwrap();
    }
    let staging = names(dir.path())
        .into_iter()
        .find(|name| name.starts_with('.'))
        .unwrap();
    let staged = dir.path().join(staging).join("segment/vectors.bin");
    let made = writer.finish_with(|vectors, writer| {
        rot(&staged, 64 + 8 * 5);
        let sums: Vec<u8> = vectors.as_slice().iter().map(|x| *x as u8).collect();
        writer.codes(&sums)
    });
    match made {
        Err(Error::Corrupt { path, offset, .. }) => assert_eq!((path, offset), (staged, 64)),
        other => panic!("{other:?}"),
    }
    assert_holds(&Segment::open(dir.path()).unwrap(), 7);
    assert_eq!(names(dir.path()), ["LOCK", "MANIFEST", "segment-000001"]);
}
