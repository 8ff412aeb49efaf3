//! Files as docs/FORMAT.md draws them: what the targets make of their inputs, and how they open it.

use std::path::Path;
use std::sync::Arc;

use ringdb_storage::disk::{DirAccess, Disk, SimDisk};

pub(crate) const HEADER_BYTES: usize = 64;

/// A file of these first bytes, header and body, in which everything is right that can be made right
/// but the kind, which is given, and the fields that only its siblings know.
pub(crate) fn sealed(head_and_body: &[u8], kind: u16, note: &[u8]) -> Vec<u8> {
    let mut file = head_and_body.to_vec();
    let Some((header, body)) = file.split_first_chunk_mut::<HEADER_BYTES>() else {
        return file;
    };
    header[..6].copy_from_slice(b"RINGDB");
    header[6..8].copy_from_slice(&kind.to_le_bytes());
    header[8..12].copy_from_slice(&1_u32.to_le_bytes());
    header[48..56].copy_from_slice(&(body.len() as u64).to_le_bytes());
    let header_crc = crc32fast::hash(&header[..60]).to_le_bytes();
    header[60..64].copy_from_slice(&header_crc);
    let table = body.chunks(1 << 16).map(crc32fast::hash);
    let mut tail: Vec<u8> = table.flat_map(u32::to_le_bytes).collect();
    tail.extend_from_slice(note);
    let tail_crc = crc32fast::hash(&tail).to_le_bytes();
    let note_bytes = (note.len() as u32).to_le_bytes();
    let footer = [note_bytes, tail_crc, header_crc].concat();
    let crc = crc32fast::hash(&footer).to_le_bytes();
    [&file[..], &tail, &footer, &crc].concat()
}

/// The bytes of a file before its table, and its note.
pub(crate) fn unsealed(file: &[u8]) -> (&[u8], &[u8]) {
    let number = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().expect("4 bytes"));
    let body_end = HEADER_BYTES + number(48) as usize;
    let footer = file.len() - 16;
    let note = &file[footer - number(footer) as usize..footer];
    (&file[..body_end], note)
}

/// The checksum behind payload `id` of a database of this uuid and generation, as in its header.
pub(crate) fn record_crc(uuid_and_generation: &[u8], id: u32, payload: &[u8]) -> [u8; 4] {
    let covered = [uuid_and_generation, &id.to_le_bytes(), payload].concat();
    let masked = crc32fast::hash(&covered).rotate_right(15);
    masked.wrapping_add(0xa282_ead8).to_le_bytes()
}

/// A disk in memory with these files, in directories that are made as needed.
pub(crate) fn disk_with<'a>(
    files: impl IntoIterator<Item = (&'a Path, &'a [u8])>,
) -> Arc<dyn Disk> {
    let disk = SimDisk::new();
    for (path, bytes) in files {
        let above: Vec<_> = path.ancestors().skip(1).collect();
        for dir in above.into_iter().rev() {
            // It may be there already.
            let _ = disk.create_dir(dir, DirAccess::Ordinary);
        }
        let file = disk.create(path).expect("a new file");
        if !bytes.is_empty() {
            let written = file.write_at(bytes, 0).expect("room for a file");
            assert_eq!(written, bytes.len());
        }
    }
    Arc::new(disk)
}
