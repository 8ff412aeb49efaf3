//! Campaign `power-cut`: a real file system is shut down at a random moment under a writer that replaces
//! a database over and over.
//!
//! What is lost is what ext4 had not yet handed to the disk; the disk itself, a file, loses nothing.

mod keeper;

use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use rand::Rng;

use self::keeper::Keeper;
use crate::campaign::{Campaign, Plan, Result, rng};
use crate::generations::{Draw, Generations};
use crate::needs::Missing;
use crate::verdict::{Checked, Flaw};

pub(crate) struct PowerCut {
    plan: Plan,
}

impl PowerCut {
    /// Tries whether a file system can be mounted here.
    pub(crate) fn new(plan: Plan) -> std::result::Result<Self, Missing> {
        Keeper::begin()?;
        Ok(Self { plan })
    }

    fn draw(&self, case: u64) -> Draw {
        let rng = &mut rng(self.plan.seed, 8, case);
        Draw {
            generations: Generations { seed: rng.random() },
            is_replaced: rng.random(),
            // Some commits long.
            delay: Duration::from_micros(rng.random_range(0..15_000)),
        }
    }
}

impl Campaign for PowerCut {
    type Worker = Keeper;

    fn cases(&self) -> u64 {
        self.plan.count(100, 10_000)
    }

    fn worker(&self) -> Result<Keeper> {
        Keeper::begin().map_err(|missing| missing.to_string().into())
    }

    fn describe(&self, case: u64) -> String {
        format!("{:?}", self.draw(case))
    }

    /// Mounting waits for the machine.
    fn case_time_max(&self) -> Duration {
        Duration::from_secs(120)
    }

    fn check(&self, keeper: &mut Keeper, case: u64) -> Checked {
        let draw = self.draw(case);
        // A name of its own: the removal of the last one is lost as well, if it comes to that.
        let databases = keeper.dir().join("databases");
        if databases.exists() {
            std::fs::remove_dir_all(&databases)?;
        }
        let dir = databases.join(format!("db-{case}"));
        let mut acknowledged = 0;
        if draw.is_replaced {
            let built = draw.generations.build(&dir, 1);
            built.map_err(|error| Flaw::other(error.to_string()))?;
            acknowledged = 1;
        }
        let phase = AtomicU8::new(RUNNING);
        let (written, cut) = std::thread::scope(|scope| {
            let writer = scope.spawn(|| write(&dir, draw.generations, acknowledged, &phase));
            std::thread::sleep(draw.delay);
            phase.store(CUT, Ordering::SeqCst);
            let cut = keeper.cut();
            if cut.is_err() {
                phase.store(IN_VAIN, Ordering::SeqCst);
            }
            (writer.join(), cut)
        });
        let restored = keeper.restore();
        cut?;
        restored?;
        let acknowledged = match written {
            Ok(written) => written?,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        draw.generations.check(&dir, acknowledged)
    }
}

/// The writer is at work, the file system is being shut down, or that failed.
const RUNNING: u8 = 0;
const CUT: u8 = 1;
const IN_VAIN: u8 = 2;

/// Makes one generation after another until the file system is gone; returns the last that was
/// acknowledged.
fn write(
    dir: &Path,
    generations: Generations,
    from: u64,
    phase: &AtomicU8,
) -> std::result::Result<u64, Flaw> {
    let mut acknowledged = from;
    while phase.load(Ordering::SeqCst) != IN_VAIN {
        match generations.build(dir, acknowledged + 1) {
            Ok(()) => acknowledged += 1,
            Err(error) if phase.load(Ordering::SeqCst) == RUNNING => {
                let what = format!("a writer failed before the cut: {error}");
                return Err(Flaw::other(what));
            }
            Err(_) => break,
        }
    }
    Ok(acknowledged)
}
