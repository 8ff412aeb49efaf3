//! `ringdb info`: what a database holds and what it takes on disk.
//!
//! The database is opened, which checks all of it; files are only counted.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use ringdb::{PayloadCodec, SealedRingDb};

use crate::args;
use crate::ask::open;
use crate::error::Error;
use crate::text::{grouped, one_line};

pub(crate) fn run(args: &args::Opened, out: &mut impl Write) -> Result<(), Error> {
    let (dir, db) = (&args.db, open(args)?);
    writeln!(out, "vectors   {}", grouped(db.len() as u64))?;
    writeln!(out, "dims      {}", db.dims())?;
    writeln!(out, "metric    euclidean")?;
    writeln!(out, "payloads  {}", payloads(dir, &db)?)?;
    // Their sizes are among those of the files.
    let codes = match db.has_codes() {
        _ if args.no_codes => "not looked at",
        true if db.has_prefix() => "codes.bin, fine.bin, prefix.bin",
        true => "codes.bin, fine.bin",
        false => "none",
    };
    writeln!(out, "codes     {codes}")?;
    let boxes = match db.has_boxes() {
        _ if args.no_codes => "not looked at",
        true => "blocks.bin, order.bin",
        false => "none",
    };
    writeln!(out, "boxes     {boxes}")?;

    let files = files(dir)?;
    let bytes: Vec<String> = files.iter().map(|file| grouped(file.bytes)).collect();
    let total = grouped(files.iter().map(|file| file.bytes).sum());
    let width = total.len();
    writeln!(out, "bytes on disk")?;
    for (file, bytes) in files.iter().zip(bytes) {
        let name = file.name.display().to_string();
        let name = one_line(name.as_bytes(), None);
        writeln!(out, "  {bytes:>width$}  {name}")?;
    }
    writeln!(out, "  {total:>width$}  in all")?;
    Ok(())
}

/// How the payloads are stored and, where that is known, as what type, or `none` if no vector has one.
/// Without a type and a vector nothing tells.
fn payloads(dir: &Path, db: &SealedRingDb) -> Result<String, Error> {
    let (codec, payload_type) = (db.payload_codec(), db.payload_type());
    let stored = match payload_type {
        "" => codec.to_string(),
        // Any text, as whoever wrote the database liked.
        name => format!("{codec}, {}", one_line(name.as_bytes(), None)),
    };
    // The name alone does not tell: any type may be stored as `()`.
    let may_be_none = match payload_type {
        "()" => true,
        "" => !db.is_empty(),
        _ => false,
    };
    // A JSON payload without bytes is a damaged one, not none.
    if !may_be_none || codec == PayloadCodec::JsonText {
        return Ok(stored);
    }
    for id in (0..).take(db.len()) {
        let bytes = db.payload_bytes(id).map_err(|source| Error::Query {
            path: dir.into(),
            source,
        })?;
        if !bytes.is_empty() {
            return Ok(stored);
        }
    }
    Ok("none".into())
}

struct FileSize {
    /// Relative to the directory of the database.
    name: PathBuf,
    bytes: u64,
}

/// The files in the directory and in the segments below it, by name.
fn files(dir: &Path) -> Result<Vec<FileSize>, Error> {
    let mut files = Vec::new();
    let mut directories = vec![PathBuf::new()];
    while let Some(directory) = directories.pop() {
        let path = dir.join(&directory);
        let failed = |source| Error::File {
            op: "list",
            path: path.clone(),
            source,
        };
        for entry in fs::read_dir(&path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = directory.join(entry.file_name());
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
                directories.push(name);
            }
        }
    }
    files.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}
