//! A small ext4 in a file, mounted, that can be shut down as by a power cut.
//!
//! Invariant: it is unmounted and its file is removed when this is dropped, and also when the process is
//! killed. A child sees to that, which ends when nobody holds its input; it is a Python program because
//! the call that shuts a file system down has no safe face in Rust.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use tempfile::TempDir;

use crate::directory::scratch;
use crate::needs::Missing;

const PROGRAM: &str = include_str!("keeper.py");

#[derive(Debug)]
pub(crate) struct Keeper {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    // Dropped after the child is gone.
    folder: TempDir,
}

impl Keeper {
    /// Makes and mounts the file system, or says what is missing for that.
    pub(super) fn begin() -> Result<Self, Missing> {
        let uid = std::fs::metadata("/proc/self").map(|about| about.uid());
        if !matches!(uid, Ok(0)) {
            return Err(Missing::new("root", "nobody else may mount a file system"));
        }
        let folder = scratch().map_err(|error| Missing::new("root", error))?;
        let child = Command::new("python3")
            .args(["-c", PROGRAM])
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.map_err(|error| Missing::new("python3", error))?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (orders, answers) = pipes.ok_or_else(|| Missing::new("python3", "no pipes"))?;
        let mut keeper = Self {
            child,
            orders: Some(orders),
            answers: BufReader::new(answers),
            folder,
        };
        match keeper.order("begin") {
            Ok(()) => Ok(keeper),
            Err(error) if is_gone(&error) => Err(Missing::new("python3", error)),
            Err(error) => Err(Missing::new("ext4", error)),
        }
    }

    /// Where the file system is mounted.
    pub(super) fn dir(&self) -> PathBuf {
        self.path().join("mounted")
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Shuts the file system down: from now on every call fails, and what is not in the journal or at its
    /// place is lost.
    pub(super) fn cut(&mut self) -> std::io::Result<()> {
        self.order("cut")
    }

    /// Unmounts and mounts it, which brings back what is in the journal.
    pub(super) fn restore(&mut self) -> std::io::Result<()> {
        self.order("restore")
    }

    fn order(&mut self, order: &str) -> std::io::Result<()> {
        if let Some(orders) = &mut self.orders {
            writeln!(orders, "{order}")?;
            orders.flush()?;
        }
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        match answer.trim() {
            "done" => Ok(()),
            "" => Err(std::io::Error::new(GONE, "the keeper is gone")),
            failed => Err(std::io::Error::other(failed.to_owned())),
        }
    }
}

/// What tells a keeper that ended from one that failed.
const GONE: ErrorKind = ErrorKind::UnexpectedEof;

fn is_gone(error: &std::io::Error) -> bool {
    matches!(error.kind(), GONE | ErrorKind::BrokenPipe)
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // The end of its input is the order to clear up.
        self.orders = None;
        let _ = self.child.wait();
    }
}
