//! `ringdb build`: a database of a file of vectors and a file of payloads, or of a file of places.
//!
//! A build that fails leaves the directory as it was: the library stages everything and takes away what it
//! made.

use std::io::Write;
use std::path::Path;

use indicatif::ProgressBar;
use ringdb::{BuildOptions, PayloadCodec, RingDb, RingDbError, SealedRingDb};
use ringdb_npy::Npy;

use crate::args;
use crate::csv::Places;
use crate::error::Error;
use crate::lines::Lines;
use crate::npy;
use crate::place;
use crate::text::counted;

pub(crate) fn run(args: &args::Build, out: &mut impl Write) -> Result<(), Error> {
    let args::Source { vectors, csv } = &args.source;
    let codec = match (&args.payloads, csv) {
        (None, None) => PayloadCodec::default(),
        _ => PayloadCodec::JsonText,
    };
    let db = match (csv, &args.lat_lon) {
        (Some(csv), Some(columns)) => {
            let places = Places::open(csv, columns)?;
            build(args, place::DIMS, codec, |db| fill_with_places(db, places))?
        }
        _ => {
            let path = vectors.as_deref().expect("clap asks for one file");
            let file = npy::open(path)?;
            let vectors = npy::parse(path, file.bytes())?;
            let lines = args.payloads.as_deref().map(Lines::open).transpose()?;
            build(args, vectors.dims(), codec, |db| {
                fill(db, path, &vectors, lines)
            })?
        }
    };
    writeln!(
        out,
        "{}: {} of {}, {}",
        args.db.display(),
        counted(db.len() as u64, "vector"),
        counted(db.dims() as u64, "dim"),
        match codec {
            PayloadCodec::JsonText => "each with a JSON payload",
            _ => "without payloads",
        }
    )?;
    Ok(())
}

fn build(
    args: &args::Build,
    dims: usize,
    codec: PayloadCodec,
    fill: impl FnOnce(&mut RingDb) -> Result<(), Error>,
) -> Result<SealedRingDb, Error> {
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
    let options = BuildOptions::new(dims)
        .persist(&args.db)
        .replace(args.replace)
        .codec(codec)
        .codes(args.codes.codes())
        .boxes(args.boxes.boxes());
    let mut db = options.create().map_err(failed)?;
    fill(&mut db)?;
    db.build().map_err(failed)
}

fn fill(
    db: &mut RingDb,
    path: &Path,
    vectors: &Npy<'_>,
    lines: Option<Lines>,
) -> Result<(), Error> {
    let refused = |row| {
        move |error| {
            Error::library(error, |source| Error::Row {
                path: path.into(),
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
        vectors: path.into(),
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

fn fill_with_places(db: &mut RingDb, mut places: Places) -> Result<(), Error> {
    let path = places.path().to_path_buf();
    let bar = ProgressBar::no_length();
    while let Some(row) = places.next_row()? {
        bar.inc(1);
        let refused = |source| Error::Line {
            path: path.clone(),
            line: row.line,
            source,
        };
        let added = db.add_vector_bytes(&row.point, row.payload);
        added.map_err(|error| Error::library(error, refused))?;
    }
    Ok(())
}
