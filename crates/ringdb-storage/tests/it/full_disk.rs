//! A disk that fills up during a build: the call that meets it says so, and nothing that was there is
//! lost. Needs to mount a small one, which takes root.

use std::fs;
use std::path::Path;
use std::process::Command;

use ringdb_storage::{Error, PayloadCodec, Segment, SegmentWriter};

use crate::support::{assert_holds, names, skip, write};

/// A file system in memory of 3 MB, gone when this is dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Result<Self, String> {
        let dir = tempfile::tempdir().unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=3m", "tmpfs"])
            .arg(dir.path())
            .output();
        match mount {
            Ok(output) if output.status.success() => Ok(Self(dir)),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr)
                .lines()
                .next()
                .unwrap_or_default()
                .to_string()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(self.path()).status();
        let done = unmounted.is_ok_and(|status| status.success());
        assert!(
            done || std::thread::panicking(),
            "cannot unmount {}",
            self.path().display()
        );
    }
}

#[test]
fn a_disk_that_derived_files_fill_is_left_as_it_was() {
    let disk = match SmallDisk::mount() {
        Ok(disk) => disk,
        Err(reason) => {
            return skip(
                "a_disk_that_derived_files_fill_is_left_as_it_was",
                "mount",
                &reason,
            );
        }
    };
    let db = disk.path().join("db");
    write(&db, false, 3).unwrap();
    let codec = PayloadCodec::Bincode;
    for is_codes in [true, false] {
        let mut writer = SegmentWriter::<()>::in_directory(&db, true, 1, codec).unwrap();
        writer.push(&[1.0], ()).unwrap();
        let error = writer.finish_with(|_, writer| {
            let part = [7; 100_000];
            (0..80).try_for_each(|_| match is_codes {
                true => writer.codes(&part),
                false => writer.fine(&part),
            })
        });
        let error = error.map(drop).unwrap_err();
        let is_full = matches!(&error, Error::Io { op: "write", path, source }
            if path.ends_with(if is_codes { "codes.bin" } else { "fine.bin" })
                && source.kind() == std::io::ErrorKind::StorageFull);
        assert!(is_full, "{error}");
        assert_holds(&Segment::open(&db).unwrap(), 3);
        assert_eq!(names(&db), ["LOCK", "MANIFEST", "segment-000001"]);
    }
}

#[test]
fn a_full_disk_is_reported_and_nothing_is_lost() {
    let disk = match SmallDisk::mount() {
        Ok(disk) => disk,
        Err(reason) => {
            return skip(
                "a_full_disk_is_reported_and_nothing_is_lost",
                "mount",
                &reason,
            );
        }
    };
    let db = disk.path().join("db");
    write(&db, false, 3).unwrap();

    let row = [0.5; 1000];
    let mut writer = SegmentWriter::in_directory(&db, true, 1000, PayloadCodec::Bincode).unwrap();
    let mut pushed = 0;
    let error = loop {
        match writer.push(&row, pushed) {
            Ok(()) => pushed += 1,
            Err(error) => break error,
        }
        assert!(pushed < 2000, "8 MB fit on a disk of 3");
    };
    let full = |error: &Error| matches!(error, Error::Io { op: "write", source, .. } if source.kind() == std::io::ErrorKind::StorageFull);
    assert!(full(&error), "{error}");
    assert!(error.to_string().contains("vectors.bin"), "{error}");
    assert_eq!(writer.len(), pushed as usize);
    // The cause is still there: so is the error, and the old database.
    assert!(full(&writer.push(&row, pushed).unwrap_err()));
    assert_holds(&Segment::open(&db).unwrap(), 3);

    // The cause goes away: the writer goes on where it was.
    let grown = Command::new("mount")
        .args(["-o", "remount,size=32m"])
        .arg(disk.path())
        .status();
    assert!(grown.is_ok_and(|status| status.success()));
    writer.push(&row, pushed).unwrap();
    let segment = writer.finish().unwrap();
    assert_eq!(segment.vectors.as_slice(), row.repeat(pushed as usize + 1));
    let ids: Vec<u32> = (0..=pushed).collect();
    assert_eq!(segment.payloads.fetch_many(&ids).unwrap(), ids);

    // A disk that is full at the end of a build, when the last bytes are written.
    let shrunk = Command::new("mount")
        .args(["-o", "remount,size=33m"])
        .arg(disk.path())
        .status();
    assert!(shrunk.is_ok_and(|status| status.success()));
    let mut writer = SegmentWriter::in_directory(&db, true, 1000, PayloadCodec::Bincode).unwrap();
    writer.push(&row, 0_u32).unwrap();
    let ballast = disk.path().join("ballast");
    let filled = fs::write(&ballast, vec![0; 64 << 20]).unwrap_err();
    assert_eq!(filled.kind(), std::io::ErrorKind::StorageFull);
    let error = writer.finish().unwrap_err();
    assert!(full(&error), "{error}");
    assert_eq!(
        Segment::<u32>::open(&db).unwrap().vectors.len(),
        pushed as usize + 1
    );
    fs::remove_file(&ballast).unwrap();
    write(&db, true, 5).unwrap();
    assert_holds(&Segment::open(&db).unwrap(), 5);
}
