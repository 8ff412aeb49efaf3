//! Writers that meet: the lock, what dead ones left, and what is not theirs to touch.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use ringdb_storage::{Error, PayloadCodec, Segment, SegmentWriter};

use crate::support::{assert_holds, names, write};

#[test]
fn a_writer_that_is_dropped_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), false, 3).unwrap();
    let before = names(dir.path());
    let mut writer =
        SegmentWriter::in_directory(dir.path(), true, 2, PayloadCodec::Bincode).unwrap();
    writer.push(&[1.0, 2.0], 7_u8).unwrap();
    assert_ne!(
        names(dir.path()),
        before,
        "the staging directory is there while it works"
    );
    drop(writer);
    assert_eq!(names(dir.path()), before);
    assert_holds(&Segment::open(dir.path()).unwrap(), 3);

    // What it made is gone again: the LOCK, the directory, its ancestors.
    let new = dir.path().join("a/b");
    let writer = SegmentWriter::<()>::in_directory(&new, false, 2, PayloadCodec::Bincode).unwrap();
    assert!(new.join("LOCK").exists());
    drop(writer);
    assert_eq!(names(dir.path()), before);
    fs::create_dir(dir.path().join("empty")).unwrap();
    let empty = dir.path().join("empty");
    drop(SegmentWriter::<()>::in_directory(&empty, false, 2, PayloadCodec::Bincode).unwrap());
    assert_eq!(names(&empty), [""; 0]);
}

#[test]
fn a_second_writer_is_told_who_has_the_lock() {
    let dir = tempfile::tempdir().unwrap();
    let first =
        SegmentWriter::<()>::in_directory(dir.path(), false, 1, PayloadCodec::Bincode).unwrap();
    let error = write(dir.path(), true, 1).unwrap_err();
    let process = std::process::id();
    assert!(
        matches!(error, Error::Locked { pid: Some(pid), .. } if pid == process),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .ends_with(&format!("locked by another writer (process {process})"))
    );
    drop(first);
    write(dir.path(), true, 1).unwrap();
}

/// Each of them makes the directory and its LOCK, and takes them away again.
#[test]
fn writers_that_come_and_go_never_hold_the_lock_together() {
    let dir = tempfile::tempdir().unwrap();
    let db = dir.path().join("a/db");
    let held = AtomicBool::new(false);
    let taken = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..300 {
                    match SegmentWriter::<()>::in_directory(&db, true, 1, PayloadCodec::Bincode) {
                        Ok(writer) => {
                            assert!(!held.swap(true, Ordering::SeqCst), "two hold the lock");
                            std::thread::yield_now();
                            held.store(false, Ordering::SeqCst);
                            taken.fetch_add(1, Ordering::SeqCst);
                            drop(writer);
                        }
                        Err(Error::Locked { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
    });
    println!(
        "{} of 1200 tries had the lock",
        taken.load(Ordering::SeqCst)
    );
    // A directory that one made may have been another's to write in when it left; no file stays.
    if db.exists() {
        assert_eq!(names(&db), [""; 0]);
    }
}

#[test]
fn a_writer_that_got_in_past_a_removed_lock_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), false, 1).unwrap();
    let mut slow = SegmentWriter::in_directory(dir.path(), true, 3, PayloadCodec::Bincode).unwrap();
    slow.push(&[0.0; 3], String::new()).unwrap();
    fs::remove_file(dir.path().join("LOCK")).unwrap();
    // Hidden, or the second writer would take it for a dead one's and remove it.
    let is_staging = |name: &&String| name.starts_with(".ringdb-staging-");
    let staging = dir
        .path()
        .join(names(dir.path()).iter().find(is_staging).unwrap());
    let hidden = dir.path().join("hidden");
    fs::rename(&staging, &hidden).unwrap();
    write(dir.path(), true, 4).unwrap();
    fs::rename(&hidden, &staging).unwrap();
    let error = slow.finish().unwrap_err();
    assert!(matches!(error, Error::Locked { pid: None, .. }), "{error}");
    assert_holds(&Segment::open(dir.path()).unwrap(), 4);
}

/// A copy of the live segment under another number, without the files of `left_out`.
fn copy_segment(db: &Path, from: &str, to: &str, left_out: &[&str]) {
    fs::create_dir(db.join(to)).unwrap();
    for name in names(&db.join(from)) {
        if !left_out.contains(&name.as_str()) {
            fs::copy(db.join(from).join(&name), db.join(to).join(&name)).unwrap();
        }
    }
}

#[test]
fn leftovers_of_dead_writers_are_collected() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), false, 3).unwrap();
    // Killed while staging; between the two renames; while it removed what it replaced.
    let staging = dir.path().join(".ringdb-staging-a1b2c3");
    fs::create_dir_all(staging.join("segment")).unwrap();
    fs::write(staging.join("segment/vectors.bin"), "half").unwrap();
    fs::write(staging.join("MANIFEST"), "half").unwrap();
    copy_segment(dir.path(), "segment-000001", "segment-000002", &[]);
    copy_segment(
        dir.path(),
        "segment-000001",
        "segment-000009",
        &["offsets.bin"],
    );
    assert_holds(&Segment::open(dir.path()).unwrap(), 3);
    write(dir.path(), true, 4).unwrap();
    assert_eq!(names(dir.path()), ["LOCK", "MANIFEST", "segment-000002"]);
}

#[test]
fn what_may_be_all_that_is_left_of_a_database_is_not_a_leftover() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = dir.path().join("MANIFEST");
    write(dir.path(), false, 3).unwrap();
    let lost = fs::read(&manifest).unwrap();
    fs::remove_file(&manifest).unwrap();
    let writer =
        SegmentWriter::<()>::in_directory(dir.path(), false, 1, PayloadCodec::Bincode).unwrap();
    drop(writer);
    write(dir.path(), false, 4).unwrap();
    write(dir.path(), true, 5).unwrap();
    assert_holds(&Segment::open(dir.path()).unwrap(), 5);
    fs::write(&manifest, lost).unwrap();
    assert_holds(&Segment::open(dir.path()).unwrap(), 3);
}

#[test]
fn foreign_files_in_a_segment_survive_its_replacement() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), false, 3).unwrap();
    fs::write(dir.path().join("segment-000001/notes.txt"), "mine").unwrap();
    write(dir.path(), true, 4).unwrap();
    assert_eq!(names(&dir.path().join("segment-000001")), ["notes.txt"]);
}

#[test]
fn files_that_only_have_our_names_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["MANIFEST", "LOCK"] {
        let path = dir.path().join(name);
        fs::write(&path, "include README.md").unwrap();
        for replace in [false, true] {
            let error = write(dir.path(), replace, 1).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
            assert_eq!(fs::read(&path).unwrap(), b"include README.md");
            assert_eq!(names(dir.path()), [name]);
        }
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(write(dir.path(), true, 1).is_err());
        assert_eq!(names(dir.path()), [name]);
        fs::remove_dir(&path).unwrap();
    }
}

#[test]
fn a_long_file_called_manifest_or_lock_is_not_taken_for_ours() {
    let dir = tempfile::tempdir().unwrap();
    for (name, byte) in [("MANIFEST", b'x'), ("LOCK", 0)] {
        let path = dir.path().join(name);
        fs::write(&path, vec![byte; 70_000]).unwrap();
        assert!(write(dir.path(), true, 1).is_err());
        assert_eq!(fs::read(&path).unwrap(), vec![byte; 70_000], "{name}");
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_lock_that_a_crash_left_empty_or_zero_is_taken_over() {
    for left in [&b""[..], &[0; 17], b"1234", b"1234 1700000000\n"] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("LOCK"), left).unwrap();
        write(dir.path(), false, 2).unwrap();
        assert_holds(&Segment::open(dir.path()).unwrap(), 2);
    }
}

#[test]
fn foreign_files_with_the_names_of_ring_db_survive_a_replacement() {
    let dir = tempfile::tempdir().unwrap();
    let files = [
        "meta.bin",
        "vectors.bin",
        "norms_sq.bin",
        "payloads.bin",
        "offsets.bin",
    ];
    for name in files {
        fs::write(dir.path().join(name), "something of my own..").unwrap();
    }
    write(dir.path(), true, 2).unwrap();
    assert_holds(&Segment::open(dir.path()).unwrap(), 2);
    for name in files {
        assert_eq!(
            fs::read(dir.path().join(name)).unwrap(),
            b"something of my own.."
        );
    }
}

#[test]
fn a_manifest_that_appears_during_a_build_is_not_overwritten() {
    let other = tempfile::tempdir().unwrap();
    write(other.path(), false, 1).unwrap();
    let newer = fs::read(other.path().join("MANIFEST")).unwrap();
    for appears in [&b"include README.md"[..], &newer] {
        let dir = tempfile::tempdir().unwrap();
        let writer =
            SegmentWriter::<()>::in_directory(dir.path(), true, 1, PayloadCodec::Bincode).unwrap();
        fs::write(dir.path().join("MANIFEST"), appears).unwrap();
        assert!(writer.finish().is_err());
        assert_eq!(fs::read(dir.path().join("MANIFEST")).unwrap(), appears);
    }
}

#[test]
fn a_segment_of_another_database_is_not_removed_in_place_of_the_old_one() {
    let dir = tempfile::tempdir().unwrap();
    let [a, b] = ["a", "b"].map(|name| dir.path().join(name));
    write(&a, false, 3).unwrap();
    write(&b, false, 3).unwrap();
    let right = fs::read(a.join("MANIFEST")).unwrap();
    // A restore gone wrong: the manifest of another database.
    fs::copy(b.join("MANIFEST"), a.join("MANIFEST")).unwrap();
    assert!(Segment::<String>::open(&a).is_err());
    write(&a, true, 4).unwrap();
    assert_holds(&Segment::open(&a).unwrap(), 4);
    fs::write(a.join("MANIFEST"), right).unwrap();
    assert_holds(&Segment::open(&a).unwrap(), 3);
}

#[cfg(unix)]
#[test]
fn leftovers_are_not_looked_for_behind_links() {
    use std::os::unix::fs::symlink;
    let dir = tempfile::tempdir().unwrap();
    let [a, b] = ["a", "b"].map(|name| dir.path().join(name));
    write(&a, false, 3).unwrap();
    write(&b, false, 3).unwrap();
    let staging = b.join(".ringdb-staging-aaaaaa");
    fs::create_dir(&staging).unwrap();
    symlink(a.join("segment-000001"), staging.join("segment")).unwrap();
    symlink(a.join("segment-000001"), b.join("segment-000007")).unwrap();
    write(&b, true, 4).unwrap();
    assert_holds(&Segment::open(&a).unwrap(), 3);
    assert_holds(&Segment::open(&b).unwrap(), 4);
}

#[test]
fn a_writer_that_ends_leaves_the_lock_of_another_alone() {
    let dir = tempfile::tempdir().unwrap();
    let begin = || SegmentWriter::<()>::in_directory(dir.path(), true, 1, PayloadCodec::Bincode);
    let first = begin().unwrap();
    fs::remove_file(dir.path().join("LOCK")).unwrap();
    let second = begin().unwrap();
    drop(first);
    assert!(matches!(begin(), Err(Error::Locked { .. })));
    second.finish().unwrap();
}

#[test]
fn a_database_with_a_damaged_manifest_is_kept_until_its_successor_is_there() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), false, 3).unwrap();
    let good = fs::read(dir.path().join("MANIFEST")).unwrap();
    fs::write(dir.path().join("MANIFEST"), &good[..50]).unwrap();
    assert!(matches!(
        write(dir.path(), false, 1),
        Err(Error::Corrupt { .. })
    ));
    let writer =
        SegmentWriter::<()>::in_directory(dir.path(), true, 1, PayloadCodec::Bincode).unwrap();
    drop(writer);
    fs::write(dir.path().join("MANIFEST"), good).unwrap();
    assert_holds(&Segment::open(dir.path()).unwrap(), 3);
}

#[cfg(unix)]
#[test]
fn staging_is_private_and_published_files_have_ordinary_modes() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("probe")).unwrap();
    fs::write(dir.path().join("probe/file"), "").unwrap();
    let ordinary = (
        mode(dir.path().join("probe")),
        mode(dir.path().join("probe/file")),
    );

    let db = dir.path().join("db");
    let writer = SegmentWriter::<()>::in_directory(&db, false, 1, PayloadCodec::Bincode).unwrap();
    let staging = names(&db)
        .into_iter()
        .find(|name| name.starts_with(".ringdb-staging-"))
        .unwrap();
    assert_eq!(mode(db.join(staging)), 0o700);
    writer.finish().unwrap();
    assert_eq!(mode(db.join("segment-000001")), ordinary.0);
    for file in [
        "MANIFEST",
        "segment-000001/vectors.bin",
        "segment-000001/offsets.bin",
    ] {
        assert_eq!(mode(db.join(file)), ordinary.1, "{file}");
    }

    // A LOCK that is a link would have its target overwritten.
    let linked = dir.path().join("linked");
    fs::create_dir(&linked).unwrap();
    let target = dir.path().join("target");
    fs::write(&target, "mine").unwrap();
    symlink(&target, linked.join("LOCK")).unwrap();
    let error = write(&linked, false, 1).unwrap_err();
    assert!(error.to_string().contains("cannot open"), "{error}");
    assert_eq!(fs::read(&target).unwrap(), b"mine");
}
