//! What is measured from: a stored vector, one from the command line, or every row of a file.

use std::io::{self, IsTerminal};
use std::path::Path;

use indicatif::ProgressBar;
use ringdb::{RingDbError, RowSet, SealedRingDb};

use crate::error::Error;
use crate::npy;
use crate::place::{self, Place};
use crate::questions::{Asked, Vector};

/// One vector that is measured from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start<'a> {
    pub(crate) vector: &'a [f32],
    /// Of a stored vector.
    pub(crate) id: Option<u32>,
    /// In a file, and that file.
    row: Option<(usize, &'a Path)>,
    /// The database that is asked.
    db: &'a Path,
}

impl<'a> Start<'a> {
    /// A vector of no file, to ask this database from.
    fn of(vector: &'a [f32], db: &'a Path) -> Self {
        Self {
            vector,
            id: None,
            row: None,
            db,
        }
    }

    /// Its row in a file of several.
    pub(crate) fn query(&self) -> Option<usize> {
        self.row.map(|(row, _)| row)
    }

    /// The vectors that may be found from here, if not all of them are.
    pub(crate) fn filter(&self, not_self: bool) -> Option<RowSet> {
        let id = self.id.filter(|_| not_self)?;
        Some(RowSet::deny([id]))
    }

    /// What the library refused.
    pub(crate) fn failed(&self, source: RingDbError) -> Error {
        match self.row {
            Some((row, path)) => Error::Row {
                path: path.into(),
                row,
                source,
            },
            None => Error::library(source, |source| Error::Query {
                path: self.db.into(),
                source,
            }),
        }
    }
}

/// Does something from each vector that is measured from, in order, and tells how many there are.
pub(crate) fn for_each(
    args: &Asked,
    db: &SealedRingDb,
    mut from: impl FnMut(Start<'_>) -> Result<(), Error>,
) -> Result<usize, Error> {
    let dir = &args.opened.db;
    if args.km {
        place::check_database(dir, db)?;
    }
    let check = |vector: &[f32], name: &dyn Fn() -> String| match args.km {
        true => place::check_vector(vector, name),
        false => Ok(()),
    };
    if let Some(path) = &args.from.vectors {
        let file = npy::open(path)?;
        let vectors = npy::parse(path, file.bytes())?;
        // A file of other vectors is a mistake also where there is none to fail.
        if vectors.dims() != db.dims() {
            return Err(Error::Dims {
                vectors: path.clone(),
                found: vectors.dims(),
                db: dir.clone(),
                dims: db.dims(),
            });
        }
        let bar = bar(vectors.len(), args.explain);
        vectors.for_each_row(|row, vector| {
            bar.inc(1);
            check(vector, &|| format!("{} row {row}", path.display()))?;
            from(Start {
                row: Some((row, path)),
                ..Start::of(vector, dir)
            })
        })?;
        return Ok(vectors.len());
    }
    if let Some(id) = args.from.id {
        let vector = db
            .vector(id)
            .map_err(|error| Start::of(&[], dir).failed(error))?;
        from(Start {
            id: Some(id),
            ..Start::of(&vector, dir)
        })?;
    }
    if let Some(Vector(vector)) = &args.from.vector {
        check(vector, &|| "the vector of --vector".into())?;
        from(Start::of(vector, dir))?;
    }
    if let Some(Place(point)) = &args.from.place {
        from(Start::of(point, dir))?;
    }
    Ok(1)
}

/// A bar on the terminal that also shows the hits, or the explanations, would be in their way.
fn bar(queries: usize, explain: bool) -> ProgressBar {
    match explain || io::stdout().is_terminal() {
        true => ProgressBar::hidden(),
        false => ProgressBar::new(queries as u64),
    }
}
