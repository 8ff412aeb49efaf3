//! Campaign `damage`: every flipped bit, every cut and more, of every file of a database, and what is
//! answered then: an error, or the same as before.
//!
//! Each mutant is opened in four ways, checked at once and later, mapped and copied, and asked everything:
//! rings, distances, every vector, every payload. The kinds of files are those that are found in the
//! directory.

mod mutant;
mod questions;
mod answers;
mod layout;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rand::Rng;
use ringdb::{Access, OpenOptions, Verify};
use tempfile::TempDir;

use self::answers::Refusal;
use self::layout::{Layout, OTHERS, counterpart, layout};
use self::mutant::{Mutant, Mutants};
use crate::campaign::{Campaign, Plan, Result, rng};
use crate::content::{Blob, Song};
use crate::directory::{Image, LOCK, scratch};
use crate::verdict::{Checked, Flaw};

/// Of so many mutants one is also given to a writer.
const WRITER_EVERY: u64 = 16;

pub(crate) struct Damage {
    layouts: Vec<Box<dyn Layout>>,
    /// In order of their cases.
    parts: Vec<Part>,
    n_cases: u64,
}

/// Mutants of one kind.
struct Part {
    layout: usize,
    first_case: u64,
    changes: Changes,
}

enum Changes {
    OfFile(PathBuf, Mutants),
    /// Directories below the database's are gone, emptied, or files.
    OfDirs(Vec<PathBuf>),
    /// Some of the files are those of another database, or generation.
    Mixed(Vec<PathBuf>),
}

/// What is done to a directory.
enum Change<'a> {
    File(&'a Path, Mutant),
    Dir(&'a Path, DirChange),
    /// Which of the others, and a bit for each file.
    Mixed(&'a [PathBuf], usize, u64),
}

#[derive(Debug, Clone, Copy)]
enum DirChange {
    Removed,
    Emptied,
    File,
}

const DIR_CHANGES: [DirChange; 3] = [DirChange::Removed, DirChange::Emptied, DirChange::File];

impl Changes {
    fn len(&self) -> u64 {
        match self {
            Self::OfFile(_, mutants) => mutants.len(),
            Self::OfDirs(dirs) => (dirs.len() * DIR_CHANGES.len()) as u64,
            // Neither none nor all.
            Self::Mixed(files) => OTHERS.len() as u64 * ((1 << files.len()) - 2),
        }
    }

    fn nth(&self, number: u64) -> Option<Change<'_>> {
        match self {
            Self::OfFile(path, mutants) => Some(Change::File(path, mutants.nth(number)?)),
            Self::OfDirs(dirs) => {
                let number = number as usize;
                let change = DIR_CHANGES.get(number % DIR_CHANGES.len())?;
                Some(Change::Dir(dirs.get(number / DIR_CHANGES.len())?, *change))
            }
            Self::Mixed(files) => {
                let (other, mask) = (number as usize % OTHERS.len(), number / OTHERS.len() as u64);
                Some(Change::Mixed(files, other, mask + 1))
            }
        }
    }
}

impl Damage {
    /// A few small databases, one of each kind and two with codes, and large ones, whose files have several
    /// blocks; for a release so many more of random sizes that there are a million mutants.
    pub(crate) fn new(plan: Plan) -> Result<Self> {
        let rng = &mut rng(plan.seed, 1, 0);
        let mut damage = Self {
            layouts: Vec::new(),
            parts: Vec::new(),
            n_cases: 0,
        };
        let drawn = plan.count(100, 5000);
        for layout in [
            layout::<String>(rng, 9000, 4, false)?,
            layout::<()>(rng, 5500, 4, true)?,
        ] {
            damage.add(layout, Some(drawn));
        }
        for layout in [
            layout::<String>(rng, 16, 18, false)?,
            layout::<()>(rng, 40, 6, true)?,
            layout::<String>(rng, 9, 4, false)?,
            layout::<Song>(rng, 7, 3, false)?,
            layout::<Blob>(rng, 8, 3, true)?,
            layout::<[u32; 3]>(rng, 6, 2, false)?,
            layout::<()>(rng, 12, 5, false)?,
            layout::<String>(rng, 0, 3, false)?,
            layout::<String>(rng, 1, 1, false)?,
        ] {
            damage.add(layout, None);
        }
        while damage.n_cases < plan.count(0, 1_000_000) {
            let n_rows = rng.random_range(1..60);
            let dims = rng.random_range(1..24);
            let has_codes = rng.random();
            let layout = match damage.layouts.len() % 5 {
                0 => layout::<String>(rng, n_rows, dims, has_codes)?,
                1 => layout::<Song>(rng, n_rows, dims, has_codes)?,
                2 => layout::<Blob>(rng, n_rows, dims, has_codes)?,
                3 => layout::<[u32; 3]>(rng, n_rows, dims, has_codes)?,
                _ => layout::<()>(rng, n_rows, dims, has_codes)?,
            };
            damage.add(layout, None);
        }
        Ok(damage)
    }

    fn add(&mut self, layout: Box<dyn Layout>, drawn: Option<u64>) {
        let image = layout.image();
        let of_files = image.files.iter();
        let of_files =
            of_files.map(|(path, bytes)| Changes::OfFile(path.clone(), Mutants::new(bytes, drawn)));
        let data_files = image.data_files().map(|(path, _)| path.to_path_buf());
        let whole = [
            Changes::OfDirs(image.dirs.iter().cloned().collect()),
            Changes::Mixed(data_files.collect()),
        ];
        for changes in of_files.chain(whole) {
            let first_case = self.n_cases;
            self.n_cases += changes.len();
            self.parts.push(Part {
                layout: self.layouts.len(),
                first_case,
                changes,
            });
        }
        self.layouts.push(layout);
    }

    fn find(&self, case: u64) -> Option<(usize, &dyn Layout, Change<'_>)> {
        let behind = self.parts.partition_point(|part| part.first_case <= case);
        let part = self.parts.get(behind.checked_sub(1)?)?;
        let change = part.changes.nth(case - part.first_case)?;
        Some((part.layout, &**self.layouts.get(part.layout)?, change))
    }
}

/// A copy of each layout's directory, made when it is first needed.
pub(crate) struct Copies {
    dir: TempDir,
    made: Vec<usize>,
}

impl Campaign for Damage {
    type Worker = Copies;

    fn cases(&self) -> u64 {
        self.n_cases
    }

    fn worker(&self) -> Result<Copies> {
        Ok(Copies {
            dir: scratch()?,
            made: Vec::new(),
        })
    }

    fn describe(&self, case: u64) -> String {
        match self.find(case) {
            Some((_, layout, change)) => format!("{}: {}", layout.name(), change.text()),
            None => "nothing".to_owned(),
        }
    }

    fn check(&self, copies: &mut Copies, case: u64) -> Checked {
        let Some((number, layout, change)) = self.find(case) else {
            return Err(Flaw::other("there is no such case"));
        };
        let dir = copies.dir.path().join(number.to_string());
        if !copies.made.contains(&number) {
            layout.image().write(&dir)?;
            copies.made.push(number);
        }
        change.apply(&dir, layout)?;
        let is_sampled = case.is_multiple_of(WRITER_EVERY) && !layout.is_large();
        let with_writer = is_sampled || change.is_of_lock();
        let checked = judge(layout, &dir, &change, case, with_writer);
        match with_writer {
            true => layout.image().write(&dir)?,
            false => change.undo(&dir, layout)?,
        }
        // Readers write nothing, so what was undone is what was there.
        if case.is_multiple_of(1024) && Image::read(&dir)? != *layout.image() {
            return Err(Flaw::other("the directory was changed by reading it"));
        }
        checked
    }
}

impl Change<'_> {
    /// Does it to the copy in `dir`.
    fn apply(&self, dir: &Path, layout: &dyn Layout) -> io::Result<()> {
        match self {
            Self::File(path, Mutant::Replaced(stand)) => stand.put(&dir.join(path)),
            Self::File(path, mutant) => {
                let original = layout.image().files.get(*path);
                let bytes = original.and_then(|original| mutant.bytes(original));
                let same = || io::Error::other("the mutant is no other than the file");
                fs::write(dir.join(path), bytes.ok_or_else(same)?)
            }
            Self::Dir(path, change) => {
                let path = dir.join(path);
                fs::remove_dir_all(&path)?;
                match change {
                    DirChange::Removed => Ok(()),
                    DirChange::Emptied => fs::create_dir(path),
                    DirChange::File => fs::write(path, ""),
                }
            }
            Self::Mixed(files, other, mask) => {
                let other = layout.others().get(*other);
                for (number, path) in files.iter().enumerate() {
                    let theirs = other.and_then(|other| counterpart(other, path));
                    if let Some((_, bytes)) = theirs.filter(|_| mask & 1 << number != 0) {
                        fs::write(dir.join(path), bytes)?;
                    }
                }
                Ok(())
            }
        }
    }

    fn undo(&self, dir: &Path, layout: &dyn Layout) -> io::Result<()> {
        let image = layout.image();
        match self {
            Self::File(_, Mutant::Replaced(_)) | Self::Dir(..) | Self::Mixed(..) => {
                image.write(dir)
            }
            Self::File(path, _) => {
                let original = image.files.get(*path).map(Vec::as_slice);
                fs::write(dir.join(path), original.unwrap_or_default())
            }
        }
    }

    fn is_of_lock(&self) -> bool {
        matches!(self, Self::File(path, _) if *path == Path::new(LOCK))
    }

    fn text(&self) -> String {
        match self {
            Self::File(path, mutant) => format!("{} {mutant}", path.display()),
            Self::Dir(path, change) => format!("{} {change:?}", path.display()).to_lowercase(),
            Self::Mixed(files, other, mask) => {
                let chosen = files.iter().enumerate();
                let chosen = chosen.filter(|(number, _)| mask & 1 << number != 0);
                let names: Vec<_> = chosen.map(|(_, path)| path.display().to_string()).collect();
                let other = OTHERS.get(*other).copied().unwrap_or_default();
                format!("{} of {other}", names.join(", "))
            }
        }
    }
}

/// Opens the damaged copy in every way, and may let a writer try.
fn judge(
    layout: &dyn Layout,
    dir: &Path,
    change: &Change<'_>,
    case: u64,
    with_writer: bool,
) -> Checked {
    let mut refusals = Vec::new();
    for verify in [Verify::Open, Verify::Lazy] {
        for access in [Access::Map, Access::Read] {
            let options = OpenOptions::new().verify(verify).access(access);
            let searches_first = (access == Access::Map) == case.is_multiple_of(2);
            let refusal = layout.compare(dir, &options, searches_first);
            let way = || format!("{verify:?}, {access:?}");
            refusals.push(refusal.map_err(|flaw| flaw.during(&way()))?);
        }
    }
    let first = refusals.iter().flatten().next().copied();
    if let (true, Some(refusal)) = (change.is_of_lock(), first) {
        let what = format!("a reader is refused by LOCK: {refusal}");
        return Err(Flaw::other(what));
    }
    let is_replaced = with_writer
        && layout
            .replace(dir)
            .map_err(|flaw| flaw.during("a writer"))?;
    // A writer that is refused leaves what was there.
    if with_writer && !is_replaced {
        let after = layout.compare(dir, &OpenOptions::new(), false)?;
        if after.is_some() && first.is_none() {
            let what = format!("a writer was refused, and so is a reader after it: {after:?}");
            return Err(Flaw::loss(what));
        }
    }
    let n_refused = refusals.iter().flatten().count();
    Ok(match first {
        None if is_replaced => "the same and replaced by a writer",
        None if with_writer => "the same and a writer refused",
        None => "the same",
        Some(refusal) if n_refused == refusals.len() => refused(refusal),
        Some(_) => "refused in some ways and the same in others",
    })
}

fn refused(refusal: Refusal) -> &'static str {
    match refusal {
        "Corrupt" => "refused as Corrupt",
        "UnsupportedVersion" => "refused as UnsupportedVersion",
        "NotADatabase" => "refused as NotADatabase",
        "TypeMismatch" => "refused as TypeMismatch",
        "Payload" => "refused as Payload",
        "Io" => "refused as Io",
        _ => "refused otherwise",
    }
}
