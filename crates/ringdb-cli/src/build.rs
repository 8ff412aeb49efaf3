//! `ringdb build`: a database of a file of vectors and a file of payloads.
//!
//! A build that fails leaves the directory as it was: the library stages everything and takes away what it
//! made.

use std::io::Write;
use std::path::Path;

use indicatif::ProgressBar;
use ringdb::{BuildOptions, PayloadCodec, RingDb, RingDbError};
use ringdb_npy::Npy;

use crate::args;
use crate::error::Error;
use crate::lines::Lines;
use crate::npy;
use crate::text::counted;

pub(crate) fn run(args: &args::Build, out: &mut impl Write) -> Result<(), Error> {
    let file = npy::open(&args.vectors)?;
    let vectors = npy::parse(&args.vectors, file.bytes())?;
    let lines = args.payloads.as_deref().map(Lines::open).transpose()?;
    let codec = match lines {
        Some(_) => PayloadCodec::JsonText,
        None => PayloadCodec::default(),
    };
    let options = BuildOptions::new(vectors.dims())
        .persist(&args.db)
        .replace(args.replace)
        .codec(codec)
        .codes(args.codes.codes())
        .boxes(args.boxes.boxes());

    build(options, args, &vectors, lines)?;
    writeln!(
        out,
        "{}: {} of {}, {}",
        args.db.display(),
        counted(vectors.len() as u64, "vector"),
        counted(vectors.dims() as u64, "dim"),
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
    let failed = |error| match error {
        // Of a file in the directory, such as another program's lock, it would not help to replace it.
        RingDbError::AlreadyExists { path } if path.is_dir() => Error::Exists {
            path: args.db.clone(),
        },
        error => Error::library(error, |source| Error::Build {
            path: args.db.clone(),
            source,
        }),
    };
    let mut db = options.create().map_err(failed)?;
    fill(&mut db, args, vectors, lines)?;
    db.build().map_err(failed)?;
    Ok(())
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
