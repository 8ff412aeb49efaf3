//! The same calls on the file system of this machine and on the simulated one: same outcomes.

use std::fmt::Debug;
use std::path::PathBuf;

use super::loss::Random;
use super::*;
use crate::disk::real;

/// One of the two disks, and what came of each call.
struct Run<'a> {
    disk: &'a dyn Disk,
    base: &'a Path,
    outcomes: Vec<String>,
}

impl Run<'_> {
    fn at(&self, path: &str) -> PathBuf {
        match path {
            "" => self.base.to_path_buf(),
            _ => self.base.join(path),
        }
    }

    fn note<T: Debug>(&mut self, call: &str, outcome: io::Result<T>) -> Option<T> {
        let text = match &outcome {
            Ok(value) => format!("{value:?}"),
            Err(error) => match format!("{:?}", error.kind()) {
                kind if kind == "Uncategorized" => format!("{:?}", error.raw_os_error()),
                kind => kind,
            },
        };
        self.outcomes.push(format!("{call}: {text}"));
        outcome.ok()
    }

    /// Notes only that there is a handle: the two cannot be compared.
    fn opened<T>(&mut self, call: &str, outcome: io::Result<T>) -> Option<T> {
        let (handle, outcome) = match outcome {
            Ok(handle) => (Some(handle), Ok(())),
            Err(error) => (None, Err(error)),
        };
        self.note(call, outcome);
        handle
    }

    fn open(&mut self, how: Open, path: &str) -> Option<Box<dyn DiskFile>> {
        let (disk, at) = (self.disk, self.at(path));
        let outcome = match how {
            Open::Reading => disk.open(&at),
            Open::New => disk.create(&at),
            Open::Either => disk.open_or_create(&at),
            Open::Nameless => disk.create_nameless(&at),
        };
        self.opened(&format!("open {how:?} {path}"), outcome)
    }

    fn sync_dir(&mut self, path: &str) {
        let outcome = self.disk.open_dir(&self.at(path));
        let outcome = outcome.and_then(|dir| dir.sync());
        self.note(&format!("sync_dir {path}"), outcome);
    }

    fn make_dir(&mut self, path: &str) {
        let outcome = self.disk.create_dir(&self.at(path), DirAccess::Private);
        self.note(&format!("create_dir {path}"), outcome);
    }

    fn rename(&mut self, from: &str, to: &str, target: Target) {
        let outcome = self.disk.rename(&self.at(from), &self.at(to), target);
        self.note(&format!("rename {from} {to} {target:?}"), outcome);
    }

    fn remove(&mut self, path: &str) {
        let outcome = self.disk.remove_file(&self.at(path));
        self.note(&format!("remove_file {path}"), outcome);
    }

    fn remove_dir(&mut self, path: &str) {
        let outcome = self.disk.remove_dir(&self.at(path));
        self.note(&format!("remove_dir {path}"), outcome);
    }

    fn look(&mut self, path: &str) {
        let at = self.at(path);
        self.note(&format!("kind {path}"), self.disk.kind(&at));
        self.note(&format!("kind_of_name {path}"), self.disk.kind_of_name(&at));
        let names = self.disk.list(&at).map(|mut names| {
            names.sort();
            names
        });
        self.note(&format!("list {path}"), names);
    }

    /// Reads all that a file tells.
    fn read(&mut self, file: &dyn DiskFile) {
        // How long a directory is, is the file system's own affair.
        let about = file.about().map(|(kind, len)| match kind {
            FileKind::File => (kind, len),
            _ => (kind, 0),
        });
        self.note("about", about);
        let map = file.map().map(|bytes| bytes.as_slice().to_vec());
        self.note("map", map);
        for (len, at) in [(10, 0), (9000, 3), (1, 1 << 40), (1, u64::MAX), (0, 0)] {
            let mut bytes = vec![0; len];
            let read = file.read_at(&mut bytes, at).map(|read| {
                bytes.truncate(read);
                bytes
            });
            self.note(&format!("read_at {at}"), read);
        }
    }

    fn write(&mut self, file: &dyn DiskFile, bytes: &[u8], at: u64) {
        let call = format!("write_at {} at {at}", bytes.len());
        self.note(&call, file.write_at(bytes, at));
    }

    fn set_len(&mut self, file: &dyn DiskFile, len: u64) {
        self.note(&format!("set_len {len}"), file.set_len(len));
    }

    fn is_at(&mut self, file: &dyn DiskFile, path: &str) {
        let at = self.at(path);
        self.note(&format!("is_at {path}"), file.is_at(&at));
    }
}

#[derive(Debug, Clone, Copy)]
enum Open {
    Reading,
    New,
    Either,
    Nameless,
}

const OPENS: [Open; 4] = [Open::Reading, Open::New, Open::Either, Open::Nameless];
const TARGETS: [Target; 2] = [Target::Absent, Target::Replaced];

/// Runs `script` on both and compares call by call; returns the outcomes.
fn compare(script: impl Fn(&mut Run<'_>)) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let sim = SimDisk::new();
    sim.create_dir("/base".as_ref(), DirAccess::Ordinary)
        .unwrap();
    let (real, sim): (_, &dyn Disk) = (real(), &sim);
    let [real, sim] = [(&*real, dir.path()), (sim, Path::new("/base"))].map(|(disk, base)| {
        let outcomes = Vec::new();
        let mut run = Run {
            disk,
            base,
            outcomes,
        };
        script(&mut run);
        run.outcomes
    });
    for (number, (real, sim)) in real.iter().zip(&sim).enumerate() {
        assert_eq!(sim, real, "call {number}");
    }
    assert_eq!(sim.len(), real.len());
    sim
}

/// Every call on every kind of path, and every rename from each to each.
#[test]
fn each_call_on_each_kind_of_path_ends_as_on_the_real_disk() {
    let outcomes = compare(|run| {
        let paths = [
            "file",
            "file/below",
            "empty",
            "full",
            "full/file",
            "full/dir",
            "gone",
            "gone/below",
            "",
        ];
        let set_up = |run: &mut Run<'_>| {
            for dir in ["empty", "full", "full/dir"] {
                run.make_dir(dir);
            }
            for path in ["file", "full/file"] {
                if let Some(file) = run.open(Open::New, path) {
                    run.write(&*file, path.as_bytes(), 0);
                }
            }
        };
        let tear_down = |run: &mut Run<'_>| {
            for path in ["gone", "file", "full/file", "empty", "full"] {
                run.remove(path);
            }
            let below = ["", "full/", "empty/", "full/dir/", "gone/", "gone/dir/"];
            for _ in 0..3 {
                for below in below {
                    for name in ["file", "empty", "dir", "gone", "full"] {
                        run.remove(&format!("{below}{name}"));
                        run.remove_dir(&format!("{below}{name}"));
                    }
                }
            }
            run.look("");
        };
        for path in paths {
            for how in OPENS {
                set_up(run);
                if let Some(file) = run.open(how, path) {
                    run.write(&*file, b"written", 5000);
                    run.write(&*file, b"", 7000);
                    run.read(&*file);
                    run.set_len(&*file, 5001);
                    run.set_len(&*file, 10_000);
                    run.set_len(&*file, u64::MAX);
                    run.read(&*file);
                    run.note("sync", file.sync());
                    run.note("try_lock", file.try_lock());
                    for path in paths {
                        run.is_at(&*file, path);
                    }
                }
                run.look(path);
                run.sync_dir(path);
                tear_down(run);
            }
            set_up(run);
            run.make_dir(path);
            run.look(path);
            // The base is no name of the test's own.
            if !path.is_empty() {
                run.remove(path);
                run.remove_dir(path);
                run.look(path);
            }
            tear_down(run);
        }
        let paths = paths.iter().filter(|path| !path.is_empty());
        for (from, to) in paths
            .clone()
            .flat_map(|from| paths.clone().map(move |to| (from, to)))
        {
            for target in TARGETS {
                set_up(run);
                run.rename(from, to, target);
                for dir in ["", "full", "empty", from, to] {
                    run.look(dir);
                }
                tear_down(run);
            }
        }
    });
    for kind in [
        "NotFound",
        "AlreadyExists",
        "NotADirectory",
        "IsADirectory",
        "DirectoryNotEmpty",
        "InvalidInput",
    ] {
        let is_met = outcomes.iter().any(|outcome| outcome.ends_with(kind));
        assert!(is_met, "{kind} was never met");
    }
}

#[test]
fn locks_and_open_files_are_those_of_the_real_disk() {
    compare(|run| {
        let one = run.open(Open::New, "lock").unwrap();
        let other = run.open(Open::Reading, "lock").unwrap();
        for file in [&one, &one, &other] {
            run.note("try_lock", file.try_lock());
        }
        run.note("unlock", other.unlock());
        run.note("try_lock", other.try_lock());
        run.note("unlock", one.unlock());
        run.note("try_lock", other.try_lock());
        drop(other);
        run.note("try_lock", one.try_lock());
        run.rename("lock", "moved", Target::Absent);
        run.is_at(&*one, "lock");
        run.is_at(&*one, "moved");
        run.remove("moved");
        run.is_at(&*one, "moved");
        let new = run.open(Open::Either, "moved").unwrap();
        run.note("try_lock", new.try_lock());
        run.is_at(&*one, "moved");
        run.is_at(&*new, "moved");
        run.write(&*one, b"unlinked", 0);
        run.note("sync", one.sync());
        run.read(&*one);
        run.read(&*new);
        run.make_dir("dir");
        let dirs = [(); 2].map(|()| run.open(Open::Reading, "dir").unwrap());
        for dir in &dirs {
            run.note("try_lock", dir.try_lock());
        }
        run.remove_dir("dir");
        run.is_at(&*dirs[0], "dir");
        run.note("sync", dirs[0].sync());
    });
}

#[test]
fn thousands_of_random_calls_end_as_on_the_real_disk() {
    const SEED: u64 = 0xD1FF_E4E7;
    println!("seed {SEED}");
    let outcomes = compare(|run| {
        let mut random = Random::new(SEED);
        let mut open: Vec<Box<dyn DiskFile>> = Vec::new();
        for _ in 0..8000 {
            random_call(run, &mut open, &mut random);
        }
    });
    let n_good = outcomes.iter().filter(|text| text.ends_with("()")).count();
    println!(
        "{} calls, {n_good} of them changes that succeeded",
        outcomes.len()
    );
    assert!(n_good > 1000);
}

fn random_call(run: &mut Run<'_>, open: &mut Vec<Box<dyn DiskFile>>, random: &mut Random) {
    let mut path = || {
        let names = (0..=random.below(3)).map(|_| ["a", "b", "c"][random.below(3) as usize]);
        names.collect::<Vec<_>>().join("/")
    };
    let (path, other) = (path(), path());
    let target = TARGETS[random.below(2) as usize];
    match random.below(20) {
        0..=2 => run.make_dir(&path),
        3..=6 => {
            let how = OPENS[random.below(4) as usize];
            let file = run.open(how, &path);
            open.extend(file);
            if open.len() > 8 {
                open.swap_remove(random.below(8) as usize);
            }
        }
        7 | 8 => run.rename(&path, &other, target),
        9 => run.remove(&path),
        10 => run.remove_dir(&path),
        11 => run.look(&path),
        12 => run.look(""),
        call => {
            let n_open = open.len() as u64;
            let Some(file) = open.get(random.below(n_open) as usize) else {
                return;
            };
            match call {
                13 | 14 => {
                    let bytes = vec![random.below(256) as u8; random.below(6000) as usize];
                    run.write(&**file, &bytes, random.below(10_000));
                }
                15 => run.set_len(&**file, random.below(15_000)),
                16 => {
                    run.note("try_lock", file.try_lock());
                }
                17 => {
                    run.note("unlock", file.unlock());
                }
                18 => run.is_at(&**file, &path),
                _ => run.read(&**file),
            }
        }
    }
}
