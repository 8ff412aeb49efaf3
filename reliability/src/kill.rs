//! Campaign `kill`: a process that replaces a database over and over is killed at a random moment.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rand::Rng;
use tempfile::TempDir;

use crate::campaign::{Campaign, Plan, Result, rng};
use crate::directory::scratch;
use crate::generations::{Draw, Generations};
use crate::verdict::{Checked, Flaw};

/// The hidden task of the program by which it writes until it is killed.
pub(crate) const WRITE_FOR_EVER: &str = "write-for-ever";

const SIGKILL: i32 = 9;

/// This program, even if its file was replaced or removed since it began.
const PROGRAM: &str = "/proc/self/exe";

pub(crate) struct Kill {
    plan: Plan,
}

impl Kill {
    pub(crate) fn new(plan: Plan) -> Self {
        Self { plan }
    }

    fn draw(&self, case: u64) -> Draw {
        let rng = &mut rng(self.plan.seed, 7, case);
        let generations = Generations { seed: rng.random() };
        let is_replaced = rng.random();
        // A process takes about 1 ms to start and as long for a commit.
        let micros_max = match is_replaced {
            true => 20_000,
            false => 6000,
        };
        Draw {
            generations,
            is_replaced,
            delay: Duration::from_micros(rng.random_range(0..micros_max)),
        }
    }
}

impl Campaign for Kill {
    type Worker = TempDir;

    fn cases(&self) -> u64 {
        self.plan.count(200, 10_000)
    }

    fn worker(&self) -> Result<TempDir> {
        Ok(scratch()?)
    }

    fn describe(&self, case: u64) -> String {
        format!("{:?}", self.draw(case))
    }

    fn check(&self, scratch: &mut TempDir, case: u64) -> Checked {
        let draw = self.draw(case);
        let dir = scratch.path().join(format!("{case}")).join("db");
        let mut acknowledged = u64::from(draw.is_replaced);
        if draw.is_replaced {
            let built = draw.generations.build(&dir, acknowledged);
            built.map_err(|error| Flaw::other(error.to_string()))?;
        }
        let mut writer = Command::new(PROGRAM)
            .arg(WRITE_FOR_EVER)
            .arg(&dir)
            .arg(draw.generations.seed.to_string())
            .arg((acknowledged + 1).to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        std::thread::sleep(draw.delay);
        writer.kill()?;
        let status = writer.wait()?;
        if status.signal() != Some(SIGKILL) {
            let mut text = String::new();
            if let Some(mut stderr) = writer.stderr {
                stderr.read_to_string(&mut text)?;
            }
            return Err(Flaw::other(format!("it ended by itself: {status}: {text}")));
        }
        let mut text = String::new();
        if let Some(mut stdout) = writer.stdout {
            stdout.read_to_string(&mut text)?;
        }
        let mut numbers = text.split_inclusive('\n').filter_map(|line| {
            let number = line.strip_suffix('\n')?;
            number.parse().ok()
        });
        acknowledged = numbers.next_back().unwrap_or(acknowledged);
        let outcome = draw.generations.check(&dir, acknowledged)?;
        std::fs::remove_dir_all(scratch.path().join(format!("{case}")))?;
        Ok(outcome)
    }
}

/// What the process does that is killed: it prints the number of each generation once that is built.
pub(crate) fn write_for_ever(dir: &Path, seed: u64, first: u64) -> Result<()> {
    let mut out = std::io::stdout().lock();
    for generation in first.. {
        Generations { seed }.build(dir, generation)?;
        writeln!(out, "{generation}")?;
        out.flush()?;
    }
    Ok(())
}
