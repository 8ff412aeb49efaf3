//! Directories as ring-db 0.3 wrote them: docs/FORMAT.md names their five files.

use std::io;
use std::path::Path;

use ringdb_storage::disk::Disk;

use crate::content::Content;
use crate::directory::{LEGACY, write_file};

/// Writes the files of a directory of ring-db 0.3 into `dir`, which is there, and makes them durable.
pub(crate) fn plant_legacy(
    disk: &dyn Disk,
    dir: &Path,
    content: &Content<String>,
) -> io::Result<()> {
    let rows = content.values.len() as u64;
    let floats = |numbers: &[f32]| numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
    let numbers = |numbers: &[u64]| numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
    let norms: Vec<f32> = content
        .entries()
        .map(|(row, _)| row.iter().map(|x| x * x).sum())
        .collect();
    let (mut payloads, mut offsets) = (Vec::new(), vec![0]);
    for value in &content.values {
        payloads.extend((value.len() as u64).to_le_bytes());
        payloads.extend(value.as_bytes());
        offsets.push(payloads.len() as u64);
    }
    let files: [Vec<u8>; 5] = [
        numbers(&[content.dims as u64, rows]),
        floats(&content.rows),
        floats(&norms),
        payloads,
        numbers(&offsets),
    ];
    for (name, bytes) in LEGACY.into_iter().zip(files) {
        write_file(disk, &dir.join(name), &bytes)?;
    }
    disk.open_dir(dir)?.sync()
}
