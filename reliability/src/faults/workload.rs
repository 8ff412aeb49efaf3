//! What is done on a disk of which one call fails, and what must be there afterwards.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rand::rngs::SmallRng;
use ringdb::{Access, Verify};
use ringdb_storage::disk::{Disk, Failure, Fault, FaultyDisk, real};
use ringdb_storage::{Error, ReadOptions, Segment, SegmentWriter};

use super::ground::{Below, Ground, Template};
use crate::campaign::Result;
use crate::content::{Content, Value};
use crate::directory::{
    Allowed, Image, MANIFEST, check_foreign, check_leftovers, plant_foreign, scratch,
};
use crate::legacy::plant_legacy;
use crate::verdict::{Checked, Flaw};

/// Calls that no fault meets.
const NO_FAULT: Fault = Fault {
    call: u64::MAX,
    kind: Failure::ShortWrite,
    lasting: false,
};

/// What a program does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    /// Makes the first database in a directory that is not there.
    Build,
    /// Replaces a database among foreign files and what dead writers left.
    Replace,
    /// The same; a vector that is refused is added again when the cause is gone.
    Retry,
    /// Replaces a directory of ring-db 0.3.
    ReplaceLegacy,
    /// Opens a database and reads all of it.
    Read(Verify, Access),
    /// Opens a directory of ring-db 0.3 and reads all of it.
    ReadLegacy,
    /// Makes a segment in memory.
    Memory,
}

/// A task on some content.
pub(super) trait Workload: Send + Sync {
    fn name(&self) -> String;

    /// How many calls it takes when none of them fails.
    fn calls(&self, below: Below) -> Result<u64>;

    fn check(&self, below: Below, fault: Fault, scratch: &Path) -> Checked;
}

struct Sample<V> {
    task: Task,
    template: Template,
    old: Content<V>,
    new: Content<V>,
    last: Content<V>,
}

/// A task with payloads of type `V`, and perhaps with codes. Directories of ring-db 0.3 are those of
/// [`legacy_workload`].
pub(super) fn workload<V: Value>(
    rng: &mut SmallRng,
    task: Task,
    (n_rows, dims): (usize, usize),
    has_codes: bool,
) -> Result<Box<dyn Workload>> {
    let old = Content::<V>::drawn(rng, 5, dims, has_codes)?;
    let image = match task {
        Task::Build | Task::Memory => None,
        Task::Replace | Task::Retry => Some(image_of(&old, true)?),
        _ => Some(image_of(&old, false)?),
    };
    workload_on(rng, task, old, image, n_rows, has_codes)
}

/// A task in a directory of ring-db 0.3.
pub(super) fn legacy_workload(rng: &mut SmallRng, task: Task) -> Result<Box<dyn Workload>> {
    let old = Content::random(rng, 5, 3);
    let dir = scratch()?;
    plant_legacy(&*real(), dir.path(), &old)?;
    workload_on(rng, task, old, Some(Image::read(dir.path())?), 7, false)
}

fn workload_on<V: Value>(
    rng: &mut SmallRng,
    task: Task,
    old: Content<V>,
    image: Option<Image>,
    n_rows: usize,
    has_codes: bool,
) -> Result<Box<dyn Workload>> {
    let dims = old.dims;
    Ok(Box::new(Sample {
        task,
        template: Template::new(image)?,
        old,
        new: Content::drawn(rng, n_rows, dims, has_codes)?,
        last: Content::random(rng, 3, dims),
    }))
}

/// A database directory, perhaps with foreign files and what dead writers left.
fn image_of<V: Value>(content: &Content<V>, is_crowded: bool) -> Result<Image> {
    let dir = scratch()?;
    let dir = dir.path();
    content.build(dir)?;
    if is_crowded {
        plant_foreign(&*real(), dir)?;
        let segment = dir.join("segment-000001");
        let staging = dir.join(".ringdb-staging-abc123");
        fs::create_dir(&staging)?;
        for copy in [dir.join("segment-000007"), staging.join("segment")] {
            fs::create_dir(&copy)?;
            for entry in fs::read_dir(&segment)? {
                let entry = entry?;
                fs::copy(entry.path(), copy.join(entry.file_name()))?;
            }
        }
        fs::write(staging.join(MANIFEST), "")?;
    }
    Ok(Image::read(dir)?)
}

impl<V: Value> Workload for Sample<V> {
    fn name(&self) -> String {
        let (n_rows, dims) = (self.new.values.len(), self.new.dims);
        let type_name = std::any::type_name::<V>();
        let codes = if self.new.codes.is_some() {
            " with codes"
        } else {
            ""
        };
        format!("{:?}, {n_rows} x {dims}{codes}, {type_name}", self.task)
    }

    fn calls(&self, below: Below) -> Result<u64> {
        let dir = scratch()?;
        let ground = self.template.ground(below, dir.path())?;
        let faulty = FaultyDisk::new(Arc::clone(&ground.disk), NO_FAULT);
        let done = match self.task {
            Task::Read(verify, access) => open(&*faulty, &ground.dir, verify, access),
            Task::ReadLegacy => open(&*faulty, &ground.dir, Verify::Open, Access::Map),
            Task::Memory => self.in_memory(&faulty),
            _ => self.write(&faulty, &ground.dir),
        };
        drop(done?);
        Ok(faulty.calls())
    }

    fn check(&self, below: Below, fault: Fault, scratch: &Path) -> Checked {
        let ground = self.template.ground(below, scratch)?;
        let faulty = FaultyDisk::new(Arc::clone(&ground.disk), fault);
        match self.task {
            Task::Read(verify, access) => {
                self.check_read(&ground, &faulty, fault, (verify, access))
            }
            Task::ReadLegacy => {
                self.check_read(&ground, &faulty, fault, (Verify::Open, Access::Map))
            }
            Task::Memory => self.check_memory(&faulty, fault),
            _ => self.check_write(&ground, &faulty, fault),
        }
    }
}

impl<V: Value> Sample<V> {
    fn write(&self, faulty: &Arc<FaultyDisk>, dir: &Path) -> ringdb_storage::Result<Segment<V>> {
        let disk: Arc<dyn Disk> = Arc::clone(faulty) as _;
        if self.task != Task::Retry {
            return self.new.write(&disk, dir);
        }
        let dims = self.new.dims;
        let mut writer = SegmentWriter::in_directory_on(disk, dir, true, dims, V::CODEC)?;
        for (row, value) in self.new.entries() {
            if value.clone().push(&mut writer, row).is_err() {
                faulty.calm();
                value.clone().push(&mut writer, row)?;
            }
        }
        self.new.finish(writer)
    }

    fn in_memory(&self, faulty: &Arc<FaultyDisk>) -> ringdb_storage::Result<Segment<V>> {
        let disk: Arc<dyn Disk> = Arc::clone(faulty) as _;
        let writer = SegmentWriter::in_memory_on(disk, self.new.dims, V::CODEC)?;
        self.new.finish(self.new.filled(writer)?)
    }

    /// A build that returns `Ok` made the new database; one that fails leaves the old one; and the next
    /// one succeeds.
    fn check_write(&self, ground: &Ground, faulty: &Arc<FaultyDisk>, fault: Fault) -> Checked {
        let Ground { disk, dir, .. } = ground;
        let note = match self.write(faulty, dir) {
            Ok(segment) => {
                self.new.compare(&segment)?;
                self.expect(ground, &self.new)?;
                match faulty.struck() {
                    true => "done in spite of it",
                    false => "not met",
                }
            }
            Err(error) => {
                check_error(&error, faulty, fault)?;
                match error {
                    Error::DurabilityUnknown { .. } => {
                        self.expect_either(ground)?;
                        "unknown if durable"
                    }
                    _ => {
                        self.expect_before(ground)?;
                        "refused with the old one whole"
                    }
                }
            }
        };
        faulty.calm();
        let allowed = Allowed {
            foreign: matches!(self.task, Task::Replace | Task::Retry),
            orphans: disk.kind(&dir.join(MANIFEST)).is_err(),
            // Whose removal failed.
            legacy: self.task == Task::ReplaceLegacy,
        };
        let shared: Arc<dyn Disk> = Arc::clone(faulty) as _;
        let refused = |error| Flaw::other(format!("the next writer is refused: {error}"));
        self.last
            .compare(&self.last.write(&shared, dir).map_err(refused)?)?;
        self.expect(ground, &self.last)?;
        check_leftovers(&**disk, dir, allowed)?;
        if allowed.foreign {
            check_foreign(&**disk, dir)?;
        }
        Ok(note)
    }

    /// What was there before the task has to be there still, even if the power is cut now.
    fn expect_before(&self, ground: &Ground) -> std::result::Result<(), Flaw> {
        if self.task != Task::Build {
            return self.expect(ground, &self.old);
        }
        for disk in ground.views() {
            match open::<V>(&*disk, &ground.dir, Verify::Open, Access::Map) {
                Err(Error::NotADatabase { .. }) => {}
                Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(Flaw::other(format!("where nothing was: {error}"))),
                Ok(_) => return Err(Flaw::other("there is a database after an error")),
            }
        }
        Ok(())
    }

    /// The directory has to hold this, even if the power is cut now.
    fn expect(&self, ground: &Ground, content: &Content<V>) -> std::result::Result<(), Flaw> {
        for disk in ground.views() {
            expect_on(&*disk, &ground.dir, content)?;
        }
        Ok(())
    }

    /// Nobody knows how much of it is durable: the old or the new, whole.
    fn expect_either(&self, ground: &Ground) -> std::result::Result<(), Flaw> {
        for disk in ground.views() {
            let is_new = expect_on(&*disk, &ground.dir, &self.new);
            let is_nothing = || match open::<V>(&*disk, &ground.dir, Verify::Open, Access::Map) {
                Err(Error::NotADatabase { .. }) => true,
                Err(Error::Io { source, .. }) => source.kind() == io::ErrorKind::NotFound,
                _ => false,
            };
            let is_old = match self.task {
                Task::Build => is_nothing(),
                _ => expect_on(&*disk, &ground.dir, &self.old).is_ok(),
            };
            if !is_old {
                is_new?;
            }
        }
        Ok(())
    }

    fn check_read(
        &self,
        ground: &Ground,
        faulty: &Arc<FaultyDisk>,
        fault: Fault,
        (verify, access): (Verify, Access),
    ) -> Checked {
        let note = match open(&**faulty, &ground.dir, verify, access) {
            Ok(segment) => {
                self.old.compare(&segment)?;
                match faulty.struck() {
                    true => "done in spite of it",
                    false => "not met",
                }
            }
            Err(error) => {
                check_error(&error, faulty, fault)?;
                "reading refused"
            }
        };
        faulty.calm();
        let segment = open(&**faulty, &ground.dir, verify, access);
        self.old
            .compare(&segment.map_err(|error| Flaw::loss(error.to_string()))?)?;
        Ok(note)
    }

    fn check_memory(&self, faulty: &Arc<FaultyDisk>, fault: Fault) -> Checked {
        let note = match self.in_memory(faulty) {
            Ok(segment) => {
                self.new.compare(&segment)?;
                match faulty.struck() {
                    true => "done in spite of it",
                    false => "not met",
                }
            }
            Err(error) => {
                check_error(&error, faulty, fault)?;
                "refused in memory"
            }
        };
        faulty.calm();
        let again = self.in_memory(faulty);
        self.new
            .compare(&again.map_err(|error| Flaw::other(error.to_string()))?)?;
        Ok(note)
    }
}

fn expect_on<V: Value>(
    disk: &dyn Disk,
    dir: &Path,
    content: &Content<V>,
) -> std::result::Result<(), Flaw> {
    let segment = open(disk, dir, Verify::Open, Access::Map);
    content.compare(&segment.map_err(|error| Flaw::loss(error.to_string()))?)
}

fn open<V>(
    disk: &dyn Disk,
    dir: &Path,
    verify: Verify,
    access: Access,
) -> ringdb_storage::Result<Segment<V>> {
    let options = ReadOptions::new().verify(verify).access(access);
    Segment::open_on(disk, dir, &options)
}

/// An error has to be that of the call that failed, and nothing else made of it.
fn check_error(error: &Error, faulty: &FaultyDisk, fault: Fault) -> std::result::Result<(), Flaw> {
    let source = match error {
        Error::Io { source, .. } | Error::DurabilityUnknown { source, .. } => source.raw_os_error(),
        _ => None,
    };
    let is_that = match fault.kind {
        Failure::Error(raw) => source == Some(raw),
        Failure::ShortWrite => false,
    };
    if faulty.struck() && is_that {
        return Ok(());
    }
    let what = format!("another error than that of the call that failed: {error:?}");
    Err(Flaw::other(what))
}
