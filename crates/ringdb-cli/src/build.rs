//! `ringdb build`: a database of a file of vectors and a file of payloads.
//!
//! Invariant: a build that fails leaves the folder as it was: the library stages everything, and folders
//! that were made for nothing are taken away here.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use ringdb::{BuildOptions, PayloadCodec, RingDb};

use crate::args;
use crate::error::Error;
use crate::lines::Lines;
use crate::npy::{self, Npy};
use crate::text::grouped;

pub(crate) fn run(args: &args::Build, out: &mut impl Write) -> Result<(), Error> {
    let file = npy::open(&args.vectors)?;
    let vectors = Npy::parse(&args.vectors, file.bytes())?;
    let lines = args.payloads.as_deref().map(Lines::open).transpose()?;
    let codec = match lines {
        Some(_) => PayloadCodec::JsonText,
        None => PayloadCodec::default(),
    };
    let options = BuildOptions::new(vectors.dims())
        .persist(&args.db)
        .replace(args.replace)
        .codec(codec);

    let missing = missing_folders(&args.db);
    let built = build(options, args, &vectors, lines);
    if built.is_err() {
        remove_empty(&missing);
    }
    built?;
    writeln!(
        out,
        "{}: {} vectors of {} dims, {}",
        args.db.display(),
        grouped(vectors.len() as u64),
        vectors.dims(),
        match codec {
            PayloadCodec::JsonText => "each with a JSON payload",
            _ => "without payloads",
        }
    )?;
    Ok(())
}

fn build(
    options: BuildOptions,
    args: &args::Build,
    vectors: &Npy<'_>,
    lines: Option<Lines>,
) -> Result<(), Error> {
    let failed = |error| {
        Error::library(error, |source| Error::Build {
            path: args.db.clone(),
            source,
        })
    };
    let mut db = options.create().map_err(failed)?;
    let built = fill(&mut db, args, vectors, lines).and_then(|()| match db.build() {
        Ok(_) => Ok(()),
        Err(error) => Err(failed(error)),
    });
    if built.is_err() {
        remove_lone_lock(&args.db);
    }
    built
}

fn fill(
    db: &mut RingDb,
    args: &args::Build,
    vectors: &Npy<'_>,
    lines: Option<Lines>,
) -> Result<(), Error> {
    let refused = |row| {
        move |error| {
            Error::library(error, |source| Error::Row {
                path: args.vectors.clone(),
                row,
                source,
            })
        }
    };
    let bar = ProgressBar::new(vectors.len() as u64);
    let Some(mut lines) = lines else {
        return vectors.for_each_row(|row, vector| {
            bar.inc(1);
            db.add_vector(vector, ()).map_err(refused(row))
        });
    };
    let miscounted = |lines: u64, payloads: &Path| Error::Count {
        vectors: args.vectors.clone(),
        rows: vectors.len(),
        payloads: payloads.into(),
        lines,
    };
    vectors.for_each_row(|row, vector| {
        bar.inc(1);
        let Some(line) = lines.next_line()? else {
            return Err(miscounted(row as u64, lines.path()));
        };
        db.add_vector_bytes(vector, line).map_err(refused(row))
    })?;
    let path = lines.path().to_path_buf();
    match lines.count_all()? {
        count if count == vectors.len() as u64 => Ok(()),
        count => Err(miscounted(count, &path)),
    }
}

/// The folders on the way to `dir` that do not exist, innermost first.
fn missing_folders(dir: &Path) -> Vec<PathBuf> {
    let missing = dir.ancestors().take_while(|folder| {
        !folder.as_os_str().is_empty() && fs::symlink_metadata(folder).is_err()
    });
    missing.map(Path::to_path_buf).collect()
}

/// Takes away folders that were missing before. One that is not empty belongs to somebody by now.
fn remove_empty(folders: &[PathBuf]) {
    for folder in folders {
        if fs::remove_dir(folder).is_err() {
            return;
        }
    }
}

/// Takes away the lock of a build that failed, if it is all that is in the folder. It is of no use there,
/// and would keep the folder from being taken away.
fn remove_lone_lock(dir: &Path) {
    let Ok(mut entries) = fs::read_dir(dir) else {
        return;
    };
    if let (Some(Ok(only)), None) = (entries.next(), entries.next())
        && only.file_name() == "LOCK"
    {
        // A lock that stays does no harm, and the failure that led here is the one to tell.
        let _ = fs::remove_file(only.path());
    }
}
