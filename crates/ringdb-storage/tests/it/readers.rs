//! Readers among others: in the same process, beside a writer in another one, on a disk that nobody may
//! write to.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use ringdb_storage::{Access, Error, PayloadCodec, ReadOptions, Segment, SegmentWriter, Verify};

use crate::support::{assert_holds, is_child, names, run_in_child, skip, write};

const DIR: &str = "RINGDB_TEST_DIR";

#[test]
fn readers_are_not_disturbed_by_another_process_that_replaces_the_database() {
    if is_child() {
        let dir = PathBuf::from(std::env::var_os(DIR).unwrap());
        for len in 2..80 {
            write(&dir, true, len).unwrap();
        }
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let first = write(dir.path(), false, 1).unwrap();
    std::thread::scope(|scope| {
        let test =
            "readers::readers_are_not_disturbed_by_another_process_that_replaces_the_database";
        let writer = scope.spawn(|| run_in_child(test, |child| child.env(DIR, dir.path())));
        let mut seen = 1;
        for access in [Access::Map, Access::Read].into_iter().cycle() {
            let options = ReadOptions::new().access(access).verify(Verify::Lazy);
            let segment = Segment::open_with(dir.path(), &options).unwrap();
            let len = segment.vectors.len() as u32;
            assert!(len >= seen, "{len} rows after {seen}");
            assert_holds(&segment, len);
            seen = len;
            if writer.is_finished() {
                break;
            }
        }
    });
    // Its files have long been removed.
    assert_holds(&first, 1);
    assert_holds(&Segment::open(dir.path()).unwrap(), 79);
}

#[test]
fn a_database_may_be_opened_twice_and_beside_its_writer() {
    let dir = tempfile::tempdir().unwrap();
    let built = write(dir.path(), false, 3).unwrap();
    let writer =
        SegmentWriter::<()>::in_directory(dir.path(), true, 1, PayloadCodec::Bincode).unwrap();
    let opened = [(), ()].map(|()| Segment::open(dir.path()).unwrap());
    for segment in opened.iter().chain([&built]) {
        assert_holds(segment, 3);
    }
    drop(built);
    writer.finish().unwrap();
    assert_holds(&opened[1], 3);
}

/// A directory mounted on itself, so that it can be made read-only; gone when this is dropped.
struct Mount(tempfile::TempDir);

impl Mount {
    fn run(arguments: &[&str], path: &std::path::Path) -> Result<(), String> {
        let output = Command::new("mount").args(arguments).arg(path).output();
        let output = output.map_err(|error| error.to_string())?;
        match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&output.stderr).trim().to_string()),
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(self.0.path()).status();
        assert!(
            unmounted.is_ok_and(|status| status.success()) || std::thread::panicking(),
            "cannot unmount {}",
            self.0.path().display()
        );
    }
}

#[test]
fn a_read_only_disk_is_read_and_a_writer_is_told() {
    let dir = tempfile::tempdir().unwrap();
    if let Err(reason) = Mount::run(&["-t", "tmpfs", "-o", "size=3m", "tmpfs"], dir.path()) {
        return skip(
            "a_read_only_disk_is_read_and_a_writer_is_told",
            "mount",
            &reason,
        );
    }
    let mount = Mount(dir);
    let db = mount.0.path().join("db");
    write(&db, false, 3).unwrap();
    let before = names(&db);
    Mount::run(&["-o", "remount,ro"], mount.0.path()).unwrap();
    for access in [Access::Map, Access::Read] {
        let options = ReadOptions::new().access(access);
        assert_holds(&Segment::open_with(&db, &options).unwrap(), 3);
    }
    for target in [&db, &mount.0.path().join("new")] {
        let error = write(target, true, 1).unwrap_err();
        let is_read_only = matches!(&error, Error::Io { source, .. }
            if source.kind() == std::io::ErrorKind::ReadOnlyFilesystem);
        assert!(is_read_only, "{error}");
    }
    assert_eq!(names(&db), before);
    assert!(fs::metadata(mount.0.path().join("new")).is_err());
}
