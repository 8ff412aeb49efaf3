//! Campaign `faults`: each call to the file system fails, once or from then on, with each error, and
//! each write is done by half.
//!
//! A call of the library must then fail with that error or truly succeed; the old database stays whole
//! when it fails; and when the cause is gone, the next writer succeeds and takes away what was left.

mod ground;
mod workload;

use std::fmt;

use rand::Rng;
use rand::rngs::SmallRng;
use ringdb::{Access, Verify};
use ringdb_storage::disk::{Failure, Fault};
use rustix::io::Errno;
use tempfile::TempDir;

use self::ground::{BELOWS, Below};
use self::workload::{Task, Workload, legacy_workload, workload};
use crate::campaign::{Campaign, Plan, Result, rng};
use crate::content::{Blob, Song};
use crate::directory::scratch;
use crate::verdict::{Checked, Flaw};

/// How a call fails, and whether the later ones do too.
const FAILURES: [(&str, Option<Errno>, bool); 15] = [
    ("ENOSPC", Some(Errno::NOSPC), false),
    ("ENOSPC", Some(Errno::NOSPC), true),
    ("EIO", Some(Errno::IO), false),
    ("EIO", Some(Errno::IO), true),
    ("EACCES", Some(Errno::ACCESS), false),
    ("EACCES", Some(Errno::ACCESS), true),
    ("EROFS", Some(Errno::ROFS), false),
    ("EROFS", Some(Errno::ROFS), true),
    ("EMFILE", Some(Errno::MFILE), false),
    ("EMFILE", Some(Errno::MFILE), true),
    ("EDQUOT", Some(Errno::DQUOT), false),
    ("EDQUOT", Some(Errno::DQUOT), true),
    // For ever it would only mean to try for ever.
    ("EINTR", Some(Errno::INTR), false),
    ("half a write", None, false),
    ("half a write", None, true),
];

pub(crate) struct Faults {
    parts: Vec<Part>,
    n_cases: u64,
}

/// A workload on a kind of disk.
struct Part {
    workload: std::sync::Arc<dyn Workload>,
    below: Below,
    first_case: u64,
}

/// The call, counted from 0, and how it fails.
struct Meeting {
    call: u64,
    failure: &'static (&'static str, Option<Errno>, bool),
}

impl Faults {
    pub(crate) fn new(plan: Plan) -> Result<Self> {
        let mut faults = Self {
            parts: Vec::new(),
            n_cases: 0,
        };
        let rng = &mut rng(plan.seed, 5, 0);
        let large = workload::<String>(rng, Task::Retry, (80, 4096), false)?;
        faults.add(large)?;
        for task in tasks() {
            faults.add(workload::<String>(rng, task, (9, 4), false)?)?;
        }
        for task in [
            Task::Build,
            Task::Replace,
            Task::Memory,
            Task::Read(Verify::Lazy, Access::Map),
        ] {
            faults.add(workload::<()>(rng, task, (20, 3), true)?)?;
        }
        for task in [Task::ReplaceLegacy, Task::ReadLegacy] {
            faults.add(legacy_workload(rng, task)?)?;
        }
        for _ in 1..plan.count(1, 20) {
            faults.add_drawn(rng)?;
        }
        Ok(faults)
    }

    /// All tasks, with a codec, a number of rows and of dims that are drawn, and codes or none.
    fn add_drawn(&mut self, rng: &mut SmallRng) -> Result<()> {
        let n_rows = rng.random_range(0..300);
        let dims = 1 << rng.random_range(0..10);
        let size = (n_rows, dims);
        let codec = rng.random_range(0..5);
        let has_codes = rng.random();
        for task in tasks().into_iter().chain([Task::Retry]) {
            self.add(match codec {
                0 => workload::<String>(rng, task, size, has_codes)?,
                1 => workload::<Song>(rng, task, size, has_codes)?,
                2 => workload::<Blob>(rng, task, size, has_codes)?,
                3 => workload::<[u32; 3]>(rng, task, size, has_codes)?,
                _ => workload::<()>(rng, task, size, has_codes)?,
            })?;
        }
        Ok(())
    }

    fn add(&mut self, workload: Box<dyn Workload>) -> Result<()> {
        let workload: std::sync::Arc<dyn Workload> = workload.into();
        for below in BELOWS {
            let first_case = self.n_cases;
            self.n_cases += workload.calls(below)? * FAILURES.len() as u64;
            self.parts.push(Part {
                workload: std::sync::Arc::clone(&workload),
                below,
                first_case,
            });
        }
        Ok(())
    }

    fn find(&self, case: u64) -> Option<(&Part, Meeting)> {
        let behind = self.parts.partition_point(|part| part.first_case <= case);
        let part = self.parts.get(behind.checked_sub(1)?)?;
        let number = case - part.first_case;
        let n_failures = FAILURES.len() as u64;
        let failure = FAILURES.get((number % n_failures) as usize)?;
        let call = number / n_failures;
        Some((part, Meeting { call, failure }))
    }
}

fn tasks() -> Vec<Task> {
    let mut tasks = vec![Task::Build, Task::Replace, Task::Memory];
    for verify in [Verify::Open, Verify::Lazy] {
        for access in [Access::Map, Access::Read] {
            tasks.push(Task::Read(verify, access));
        }
    }
    tasks
}

impl Meeting {
    fn fault(&self) -> Fault {
        let (_, error, lasting) = *self.failure;
        let kind = match error {
            Some(error) => Failure::Error(error.raw_os_error()),
            None => Failure::ShortWrite,
        };
        Fault {
            call: self.call,
            kind,
            lasting,
        }
    }
}

impl fmt::Display for Meeting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, _, lasting) = self.failure;
        let lasting = if *lasting { " and all later ones" } else { "" };
        write!(f, "call {}{lasting}: {name}", self.call)
    }
}

impl Campaign for Faults {
    type Worker = TempDir;

    fn cases(&self) -> u64 {
        self.n_cases
    }

    fn worker(&self) -> Result<TempDir> {
        Ok(scratch()?)
    }

    fn describe(&self, case: u64) -> String {
        match self.find(case) {
            Some((part, meeting)) => {
                let name = part.workload.name();
                format!("{name}, {:?} disk, {meeting}", part.below)
            }
            None => "nothing".to_owned(),
        }
    }

    fn check(&self, scratch: &mut TempDir, case: u64) -> Checked {
        let Some((part, meeting)) = self.find(case) else {
            return Err(Flaw::other("there is no such case"));
        };
        part.workload
            .check(part.below, meeting.fault(), scratch.path())
    }
}
