//! `ringdb salvage`: a new database of what is whole in a damaged one, and a list of what became of each
//! vector.
//!
//! Invariant: the list is complete and durable before the library commits the database, so where there is
//! the one there is the other; after a failure neither is there.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use ringdb::{RingDbError, SalvagedRow};

use crate::args;
use crate::error::Error;
use crate::text::{counted, grouped, one_line};

const LIST: &str = "salvaged.csv";

pub(crate) fn run(args: &args::Salvage, out: &mut impl Write) -> Result<(), Error> {
    let failed = |error| Error::library(error, |source| refused(&args.db, source));
    let mut list = List::within(&args.out).map_err(failed)?;
    let bar = ProgressBar::new(0);
    let salvaged = ringdb::salvage(&args.db, &args.out, args.keep_vectors, |row| {
        if row.old_id == 0 {
            bar.set_length(row.rows);
        }
        bar.inc(1);
        list.add(&row)
    });
    let salvaged = match salvaged {
        // The database may be there.
        Err(error @ RingDbError::DurabilityUnknown { .. }) => {
            list.keep().map_err(failed)?;
            return Err(failed(error));
        }
        other => other.map_err(failed)?,
    };
    list.keep().map_err(failed)?;
    let without = match salvaged.without_payload {
        0 => String::new(),
        number => format!(", {} of them without a payload", grouped(number)),
    };
    let text = format!(
        "{}: {} kept{without}, {} lost; {LIST} in it lists them",
        args.out.display(),
        counted(salvaged.kept, "vector"),
        grouped(salvaged.lost),
    );
    writeln!(out, "{}", one_line(text.as_bytes(), None))?;
    if salvaged.is_manifest_foreign {
        let text = format!(
            "MANIFEST in {} is not of the files beside it; they were taken as they fit each other",
            args.db.display(),
        );
        writeln!(out, "{}", one_line(text.as_bytes(), None))?;
    }
    Ok(())
}

/// Why nothing was salvaged of `db`.
fn refused(db: &Path, error: RingDbError) -> Error {
    let path = db.to_path_buf();
    match error {
        RingDbError::NothingToSalvage {
            vectors,
            why,
            without_payload,
            ..
        } => Error::NothingToSalvage {
            path,
            vectors,
            why,
            hint: match without_payload {
                0 => String::new(),
                number => format!(
                    "; --keep-vectors keeps {} of them, without payloads",
                    grouped(number)
                ),
            },
        },
        source => Error::Salvage { path, source },
    }
}

/// The list in the directory of the new database. Dropped before it is kept, it is taken away, and so are
/// the directories that were made meanwhile, if nothing else is in them.
struct List {
    path: PathBuf,
    /// Made with the first line: the library makes the directory.
    file: Option<BufWriter<File>>,
    /// Directories that were not there, innermost first.
    made: Vec<PathBuf>,
    is_kept: bool,
}

impl List {
    fn within(dir: &Path) -> Result<Self, RingDbError> {
        let path = dir.join(LIST);
        if fs::symlink_metadata(&path).is_ok() {
            return Err(RingDbError::AlreadyExists { path });
        }
        let dirs = dir.ancestors().take_while(|dir| {
            let is_dir = fs::symlink_metadata(dir).is_ok();
            !is_dir && !dir.as_os_str().is_empty()
        });
        Ok(Self {
            made: dirs.map(Path::to_path_buf).collect(),
            path,
            file: None,
            is_kept: false,
        })
    }

    fn add(&mut self, row: &SalvagedRow) -> Result<(), RingDbError> {
        let new_id = row.new_id.map(|id| id.to_string()).unwrap_or_default();
        let reason = row.loss.as_ref().map(ToString::to_string);
        let (old_id, reason) = (row.old_id, reason.unwrap_or_default());
        let is_last = u64::from(old_id) + 1 == row.rows;
        self.write(|file| {
            writeln!(file, "{old_id},{new_id},{reason}")?;
            match is_last {
                true => sync(file),
                false => Ok(()),
            }
        })
    }

    /// Writes to the file, which begins with the names of its columns.
    fn write(
        &mut self,
        write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
    ) -> Result<(), RingDbError> {
        let file = match &mut self.file {
            Some(file) => Ok(file),
            None => File::create_new(&self.path).and_then(|file| {
                let file = self.file.insert(BufWriter::new(file));
                writeln!(file, "old id,new id,reason")?;
                Ok(file)
            }),
        };
        file.and_then(write).map_err(|source| {
            let (kind, path) = (source.kind(), self.path.clone());
            let op = "write";
            RingDbError::Io(io::Error::new(kind, Error::File { op, path, source }))
        })
    }

    /// Leaves the list where it is, of a database without vectors too.
    fn keep(mut self) -> Result<(), RingDbError> {
        self.write(sync)?;
        self.is_kept = true;
        Ok(())
    }
}

fn sync(file: &mut BufWriter<File>) -> io::Result<()> {
    file.flush()?;
    file.get_ref().sync_all()
}

impl Drop for List {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        if self.file.take().is_some() {
            let _ = fs::remove_file(&self.path);
        }
        let _ = self.made.iter().try_for_each(fs::remove_dir);
    }
}
