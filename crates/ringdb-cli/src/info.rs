//! `ringdb info`: what a database holds and what it takes on disk.
//!
//! The database is opened, which checks all of it; files are only counted.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::query::open;
use crate::text::grouped;

pub(crate) fn run(dir: &Path, out: &mut impl Write) -> Result<(), Error> {
    let db = open(dir)?;
    writeln!(out, "vectors   {}", grouped(db.len() as u64))?;
    writeln!(out, "dims      {}", db.dims())?;
    writeln!(out, "metric    euclidean")?;
    writeln!(out, "payloads  {}", db.payload_codec().name())?;

    let files = files(dir)?;
    let bytes: Vec<String> = files.iter().map(|file| grouped(file.bytes)).collect();
    let total = grouped(files.iter().map(|file| file.bytes).sum());
    let width = total.len();
    writeln!(out, "bytes on disk")?;
    for (file, bytes) in files.iter().zip(bytes) {
        writeln!(out, "  {bytes:>width$}  {}", file.name.display())?;
    }
    writeln!(out, "  {total:>width$}  in all")?;
    Ok(())
}

struct FileSize {
    /// Relative to the folder of the database.
    name: PathBuf,
    bytes: u64,
}

/// The files in the folder and in the segments below it, by name.
fn files(dir: &Path) -> Result<Vec<FileSize>, Error> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let path = dir.join(&folder);
        let failed = |source| Error::File {
            op: "list",
            path: path.clone(),
            source,
        };
        for entry in fs::read_dir(&path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = folder.join(entry.file_name());
            let metadata = match entry.metadata() {
                // Another program may be replacing the database.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                other => other.map_err(failed)?,
            };
            if metadata.is_file() {
                let bytes = metadata.len();
                files.push(FileSize { name, bytes });
            } else if metadata.is_dir()
                && entry
                    .file_name()
                    .display()
                    .to_string()
                    .starts_with("segment-")
            {
                folders.push(name);
            }
        }
    }
    files.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}
