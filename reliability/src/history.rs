//! What a simulated disk goes through while databases are written on it, operation by operation, and
//! what may be found on it when the power is cut there.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rand::Rng;
use rand::rngs::SmallRng;
use ringdb::{Access, Verify};
use ringdb_storage::disk::{DirAccess, Disk, Loss, SimDisk};
use ringdb_storage::{Error, PayloadCodec, ReadOptions, Segment, SegmentWriter};

use crate::campaign::{Result, rng};
use crate::content::Content;
use crate::directory::{Allowed, MANIFEST, check_foreign, check_leftovers, plant_foreign};
use crate::legacy::plant_legacy;
use crate::verdict::Flaw;

/// The database's directory on the simulated disk.
const DIR: &str = "/data/db";

/// What the directory holds: one of the contents of a history, or no database at all.
pub(crate) type State = Option<usize>;

/// What is done to the directory.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// A writer makes it hold this content.
    Write(usize),
    /// Codes are made anew or taken away, so that it holds this content: that which it holds, but for codes.
    Rederive(usize),
    /// A writer takes the content and is dropped before its commit.
    Abandon(usize),
    /// The sync of a file fails under a writer: the first, or a later one.
    FailSync(u64, usize),
}

/// A workload, and the disk after each of its operations.
pub(crate) struct History {
    pub(crate) name: String,
    contents: Vec<Content<String>>,
    has_foreign: bool,
    has_legacy: bool,
    pub(crate) moments: Vec<Moment>,
}

/// The disk after an operation.
pub(crate) struct Moment {
    pub(crate) disk: SimDisk,
    /// What may be found after a power cut here.
    pub(crate) possible: Vec<State>,
}

/// What stands in the directory before the first step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    Nothing,
    Foreign,
    /// A directory of ring-db 0.3 that holds the first content.
    Legacy,
}

/// The workloads of the campaigns.
pub(crate) fn histories(seed: u64) -> Result<Vec<History>> {
    use Step::{Abandon, FailSync, Write};
    let rng = &mut rng(seed, 2, 0);
    let mut histories = vec![
        History::new(rng, "a first build", Start::Nothing, &[Write(0)])?,
        History::new(
            rng,
            "among foreign files",
            Start::Foreign,
            &[Write(0), Write(1)],
        )?,
        History::new(
            rng,
            "replaced twice",
            Start::Nothing,
            &[Write(0), Write(1), Write(2)],
        )?,
        History::new(
            rng,
            "abandoned",
            Start::Foreign,
            &[Abandon(0), Write(0), Abandon(1), Write(2)],
        )?,
        History::new(
            rng,
            "ring-db 0.3 replaced",
            Start::Legacy,
            &[Write(1), Write(2)],
        )?,
    ];
    for nth in 0..4 {
        let steps = [Write(0), FailSync(nth, 1), Write(2)];
        let name = format!("sync {nth} fails");
        histories.push(History::new(rng, &name, Start::Nothing, &steps)?);
    }
    let steps = [Write(0), Write(1), Write(2)];
    let sizes = [(7, 3, false), (5200, 64, false), (5, 3, false)];
    let large = History::of_sizes(rng, "a large one", Start::Nothing, &steps, &sizes)?;
    histories.push(large);
    histories.extend(coded_histories(rng)?);
    Ok(histories)
}

/// With codes there are more files, and more syncs, before a commit, and more to be collected.
fn coded_histories(rng: &mut SmallRng) -> Result<Vec<History>> {
    use Step::{Abandon, FailSync, Rederive, Write};
    let sizes = [(20, 3, true), (9, 5, false), (33, 2, true)];
    let steps = [Write(0), Write(1), Write(2), Abandon(0), Write(0)];
    let mut histories = vec![History::of_sizes(
        rng,
        "codes, then none, then others",
        Start::Foreign,
        &steps,
        &sizes,
    )?];
    let sizes = [(5, 3, true), (17, 4, true), (6, 2, true)];
    for nth in 3..6 {
        let steps = [Write(0), FailSync(nth, 1), Write(2)];
        let name = format!("with codes, sync {nth} fails");
        let start = Start::Nothing;
        histories.push(History::of_sizes(rng, &name, start, &steps, &sizes)?);
    }
    // Two blocks of codes and two of fine codes.
    let sizes = [(7, 3, true), (5500, 4, true), (5, 3, false)];
    let steps = [Write(0), Write(1), Write(2)];
    let name = "a large one with codes";
    let large = History::of_sizes(rng, name, Start::Nothing, &steps, &sizes)?;
    histories.push(large);
    let coded = Content::coded(rng, 23, 5)?;
    let contents = vec![coded.without_codes(), coded, Content::coded(rng, 4, 2)?];
    let steps = [Write(0), Rederive(1), Rederive(1), Rederive(0), Write(2)];
    let name = "codes made anew and taken away";
    let rederived = History::of_contents(name, Start::Foreign, &steps, contents)?;
    histories.push(rederived);
    Ok(histories)
}

impl History {
    fn new(rng: &mut SmallRng, name: &str, start: Start, steps: &[Step]) -> Result<Self> {
        let sizes = [0; 3].map(|_| (rng.random_range(1..20), rng.random_range(1..8), false));
        Self::of_sizes(rng, name, start, steps, &sizes)
    }

    /// With contents of so many rows and dims, and codes or none.
    fn of_sizes(
        rng: &mut SmallRng,
        name: &str,
        start: Start,
        steps: &[Step],
        sizes: &[(usize, usize, bool)],
    ) -> Result<Self> {
        let contents = sizes
            .iter()
            .map(|&(n_rows, dims, has_codes)| Content::drawn(rng, n_rows, dims, has_codes));
        Self::of_contents(name, start, steps, contents.collect::<Result<_>>()?)
    }

    fn of_contents(
        name: &str,
        start: Start,
        steps: &[Step],
        contents: Vec<Content<String>>,
    ) -> Result<Self> {
        let mut history = Self {
            name: name.to_owned(),
            contents,
            has_foreign: start == Start::Foreign,
            has_legacy: start == Start::Legacy,
            moments: Vec::new(),
        };
        let disk = SimDisk::new();
        let mut possible = vec![history.prepare(&disk, start)?];
        disk.record();
        for &step in steps {
            history.perform(&disk, step, &mut possible)?;
        }
        // Nothing was cut yet, so nothing is left of what was replaced or given up.
        let allowed = Allowed {
            foreign: history.has_foreign,
            ..Allowed::default()
        };
        check_leftovers(&disk, Path::new(DIR), allowed)
            .map_err(|flaw| format!("{}: {}", history.name, flaw.what))?;
        history.settle();
        Ok(history)
    }

    fn prepare(&self, disk: &SimDisk, start: Start) -> Result<State> {
        if start == Start::Nothing {
            return Ok(None);
        }
        let dir = Path::new(DIR);
        for (made, above) in [("/data", "/"), (DIR, "/data")] {
            disk.create_dir(Path::new(made), DirAccess::Ordinary)?;
            disk.open_dir(Path::new(above))?.sync()?;
        }
        if start == Start::Foreign {
            plant_foreign(disk, dir)?;
            return Ok(None);
        }
        let content = self.contents.first().ok_or("there is no content")?;
        plant_legacy(disk, dir, content)?;
        Ok(Some(0))
    }

    /// Does a step, and notes what may be found after each of its operations.
    fn perform(&mut self, disk: &SimDisk, step: Step, possible: &mut Vec<State>) -> Result<()> {
        let dir = Path::new(DIR);
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let (content, acknowledged) = match step {
            Step::Write(content) => {
                self.content(content)?.write(&shared, dir)?;
                possible.push(Some(content));
                (content, true)
            }
            Step::Rederive(content) => {
                self.content(content)?.rederive(&shared, dir)?;
                possible.push(Some(content));
                (content, true)
            }
            Step::Abandon(content) => {
                let dims = self.content(content)?.dims;
                let codec = PayloadCodec::Bincode;
                let writer = SegmentWriter::in_directory_on(shared, dir, true, dims, codec)?;
                drop(self.content(content)?.filled(writer)?);
                (content, false)
            }
            Step::FailSync(nth, content) => {
                disk.fail_sync(nth);
                let written = self.content(content)?.write(&shared, dir);
                if written.is_ok() {
                    possible.push(Some(content));
                }
                (content, written.is_ok())
            }
        };
        let moments = disk.take_history().into_iter().map(|disk| Moment {
            disk,
            possible: possible.clone(),
        });
        self.moments.extend(moments);
        if acknowledged {
            *possible = vec![Some(content)];
            let last = self.moments.last_mut().ok_or("nothing was done")?;
            last.possible.clone_from(possible);
        }
        Ok(())
    }

    /// Narrows what may be found: a new database is not there before MANIFEST has its name, so not where
    /// it is missing though nothing is lost, and it stays once it is found though all is lost that can be.
    fn settle(&mut self) {
        let found = |loss: Loss| -> Vec<_> {
            let disks = self.moments.iter().map(|moment| &moment.disk);
            disks
                .map(|disk| self.identify(&disk.after_power_cut(loss, 0)))
                .collect()
        };
        let (least, most) = (found(Loss::Everything), found(Loss::Nothing));
        for (moment, bounds) in self.moments.iter_mut().zip(least.into_iter().zip(most)) {
            // What is found wrongly is told by the cases.
            let (Ok(least), Ok(most)) = bounds else {
                continue;
            };
            let is_possible = |state| moment.possible.contains(&state);
            if is_possible(least) && is_possible(most) {
                moment.possible = vec![least, most];
                moment.possible.dedup();
            }
        }
    }

    fn content(&self, number: usize) -> Result<&Content<String>> {
        let content = self.contents.get(number);
        content.ok_or_else(|| format!("there is no content {number}").into())
    }

    /// What the directory holds, read in full.
    pub(crate) fn identify(&self, disk: &SimDisk) -> std::result::Result<State, Flaw> {
        let segment = match open(disk) {
            Err(error) if is_nothing(&error) => return Ok(None),
            Err(error) => return Err(Flaw::loss(format!("it does not open: {error}"))),
            Ok(segment) => segment,
        };
        let is_held = |content: &Content<String>| content.compare(&segment).is_ok();
        match self.contents.iter().position(is_held) {
            Some(number) => Ok(Some(number)),
            None => Err(Flaw::wrong("it holds none of the contents")),
        }
    }

    /// Holds a disk after a power cut to what may be found there.
    pub(crate) fn check(
        &self,
        disk: &SimDisk,
        possible: &[State],
    ) -> std::result::Result<State, Flaw> {
        let found = self.identify(disk)?;
        if !possible.contains(&found) {
            let what = format!("it holds {found:?}, and may hold {possible:?}");
            return Err(Flaw::loss(what));
        }
        if self.has_foreign {
            check_foreign(disk, Path::new(DIR))?;
        }
        Ok(found)
    }

    /// Lets a writer put `next` into the directory. What it finds must be no obstacle, and what a dead
    /// writer left must be gone but for what is allowed.
    pub(crate) fn recover(
        &self,
        disk: &SimDisk,
        next: &Content<String>,
        allowed: Allowed,
    ) -> std::result::Result<(), Flaw> {
        let dir = Path::new(DIR);
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let refused = |error| Flaw::other(format!("the next writer is refused: {error}"));
        let segment = next.write(&shared, dir).map_err(refused)?;
        next.compare(&segment)?;
        let segment = open(disk).map_err(|error| Flaw::loss(error.to_string()))?;
        next.compare(&segment)?;
        check_leftovers(disk, dir, allowed)?;
        match self.has_foreign {
            true => check_foreign(disk, dir),
            false => Ok(()),
        }
    }

    /// What may stay in the directory of `disk`, whatever the next writer does.
    pub(crate) fn allowed(&self, disk: &SimDisk) -> Allowed {
        Allowed {
            foreign: self.has_foreign,
            orphans: disk.kind(&Path::new(DIR).join(MANIFEST)).is_err(),
            legacy: self.has_legacy,
        }
    }
}

/// Opens the directory, checked in full.
pub(crate) fn open(disk: &SimDisk) -> ringdb_storage::Result<Segment<String>> {
    let options = ReadOptions::new().verify(Verify::Open).access(Access::Map);
    Segment::open_on(disk, Path::new(DIR), &options)
}

/// A directory that is not there, or is no database.
fn is_nothing(error: &Error) -> bool {
    match error {
        Error::NotADatabase { .. } => true,
        Error::Io { path, source, .. } => {
            path == Path::new(DIR) && source.kind() == io::ErrorKind::NotFound
        }
        _ => false,
    }
}

/// A power cut: the `round`-th at a moment. The first two are the same for every seed.
pub(crate) fn cut(disk: &SimDisk, round: u64, rng: &mut SmallRng) -> SimDisk {
    let loss = match round {
        0 => Loss::Everything,
        1 => Loss::Nothing,
        _ if round.is_multiple_of(5) => Loss::Prefix,
        _ => Loss::Subset,
    };
    disk.after_power_cut(loss, rng.random())
}

/// Content of the writer that comes after a power cut.
pub(crate) fn next_content(rng: &mut SmallRng) -> Content<String> {
    let mut next = Content::random(rng, 3, 2);
    // Like no content of a history.
    next.values.fill("after".to_owned());
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_found_follows_the_steps() {
        for history in histories(1).unwrap() {
            let last = history.moments.last().unwrap();
            assert_eq!(last.possible.len(), 1, "{}", history.name);
            assert_eq!(
                history.check(&last.disk, &last.possible).unwrap(),
                last.possible[0]
            );
            let in_doubt = history.moments.iter().filter(|it| it.possible.len() > 1);
            // Between the rename of MANIFEST and the sync of its directory.
            assert!(in_doubt.count() > 0, "{}", history.name);
            // The check can fail.
            let flaw = history.check(&last.disk, &[Some(99)]).unwrap_err();
            assert_eq!(flaw.kind, crate::verdict::Kind::Loss);
        }
    }
}
