//! Runs `ringdb` and writes the files that it reads.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use npyz::{AutoSerialize, Order, WriterBuilder};
use tempfile::TempDir;

/// What a run of the program left.
#[derive(Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Outcome {
    /// The output of a run that must have succeeded without a word of complaint.
    #[track_caller]
    pub(crate) fn done(self) -> String {
        assert_eq!(
            (self.code, self.err.as_str()),
            (Some(0), ""),
            "{}",
            self.out
        );
        self.out
    }

    /// The message of a run that must have failed without output.
    #[track_caller]
    pub(crate) fn failed(self) -> String {
        assert_eq!(
            (self.code, self.out.as_str()),
            (Some(1), ""),
            "{}",
            self.err
        );
        let text = self.err.strip_prefix("ringdb: ");
        let text = text.and_then(|text| text.strip_suffix('\n'));
        text.unwrap_or_else(|| panic!("not a message: {:?}", self.err))
            .to_owned()
    }

    /// The first line of the complaint about wrong usage.
    #[track_caller]
    pub(crate) fn misused(self) -> String {
        assert_eq!(
            (self.code, self.out.as_str()),
            (Some(2), ""),
            "{}",
            self.err
        );
        self.err.lines().next().unwrap_or_default().to_owned()
    }
}

pub(crate) fn command(args: &[impl AsRef<OsStr>]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringdb"));
    command.args(args);
    command
}

pub(crate) fn outcome(mut command: Command) -> Outcome {
    let output = command.output().expect("the program was built");
    let text = |bytes| String::from_utf8(bytes).expect("output is UTF-8");
    Outcome {
        code: output.status.code(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

/// A directory to work in. In command lines `@name` stands for the file `name` in it.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The path of a file as messages show it.
    pub(crate) fn shown(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// The path of a file as it can be typed.
    pub(crate) fn typed(&self, name: &str) -> String {
        let shown = self.shown(name);
        let typed = shlex::try_quote(&shown).expect("no zeros in it");
        typed.into_owned()
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).expect("the directory is writable");
    }

    pub(crate) fn npy<N: AutoSerialize>(&self, name: &str, shape: &[u64], numbers: &[N]) {
        self.write(name, npy(shape, Order::C, numbers));
    }

    /// The arguments, separated by blanks, with their paths put in.
    pub(crate) fn args(&self, line: &str) -> Vec<String> {
        let words = line
            .split_whitespace()
            .map(|word| match word.strip_prefix('@') {
                Some(name) => self.shown(name),
                None => word.to_owned(),
            });
        words.collect()
    }

    pub(crate) fn run(&self, line: &str) -> Outcome {
        outcome(command(&self.args(line)))
    }

    /// Runs a program in this directory.
    pub(crate) fn run_within(&self, mut command: Command) -> Outcome {
        command.current_dir(self.0.path());
        outcome(command)
    }

    /// Has a shell run the command that stands between backquotes in a message.
    #[track_caller]
    pub(crate) fn run_hint(&self, message: &str) -> Outcome {
        let hint = message.split('`').nth(1);
        let hint = hint.unwrap_or_else(|| panic!("no command in {message}"));
        if cfg!(windows) {
            // There is no shell that all have.
            return self.run("rebuild-codes @db");
        }
        let program = Path::new(env!("CARGO_BIN_EXE_ringdb"));
        let path = program.parent().expect("it is in a directory");
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", hint]).env("PATH", path);
        self.run_within(shell)
    }

    /// Five vectors of two coordinates, at the distances 0, 5, 10, 0 and 50 from the first.
    pub(crate) fn with_database() -> Self {
        let place = Self::new();
        let numbers: [f32; 10] = [0.0, 0.0, 3.0, 4.0, 6.0, 8.0, 0.0, 0.0, 30.0, 40.0];
        place.npy("five.npy", &[5, 2], &numbers);
        place.write("five.jsonl", FIVE);
        place
            .run("build @db --vectors @five.npy --payloads @five.jsonl")
            .done();
        place
    }
}

/// Payloads whose text would not survive being parsed and written again.
pub(crate) const FIVE: &str =
    "{\"b\": 1,  \"a\":1.50}\n\"\\u00e9 \u{e9}\"\n [ 1e2 ]\nnull\n{\"a\":1,\"a\":2}\n";

/// The bytes of a .npy file.
pub(crate) fn npy<N: AutoSerialize>(shape: &[u64], order: Order, numbers: &[N]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let options = npyz::WriteOptions::new()
        .default_dtype()
        .shape(shape)
        .order(order);
    let mut writer = options
        .writer(&mut bytes)
        .begin_nd()
        .expect("a legal header");
    writer.extend(numbers).expect("memory is writable");
    writer.finish().expect("as many numbers as the shape says");
    bytes
}

/// The files in a directory and below it, with their bytes; that of the lock is any writer's.
pub(crate) fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            files.extend(contents(&path));
        } else if !path.ends_with("LOCK") {
            let bytes = fs::read(&path).expect("readable");
            files.insert(path, bytes);
        }
    }
    files
}

/// The names in a directory, sorted.
pub(crate) fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("the directory is there");
    let name = |entry: std::io::Result<fs::DirEntry>| {
        entry
            .expect("readable")
            .file_name()
            .into_string()
            .expect("UTF-8")
    };
    let mut names: Vec<String> = entries.map(name).collect();
    names.sort();
    names
}
