//! What programs see while the power is on.

use super::*;

#[test]
fn a_lock_belongs_to_one_opening() {
    let disk = SimDisk::new();
    let one = write(&disk, "/lock", b"");
    let other = disk.clone().open("/lock".as_ref()).unwrap();
    let elsewhere = write(&disk, "/elsewhere", b"");
    assert!(one.try_lock().unwrap());
    assert!(one.try_lock().unwrap(), "it has it already");
    assert!(!other.try_lock().unwrap());
    assert!(elsewhere.try_lock().unwrap());
    other.unlock().unwrap();
    assert!(!other.try_lock().unwrap(), "it was not its own to give");
    for copy in [disk.snapshot(), disk.after_power_cut(Loss::Nothing, 0)] {
        let file = copy.open("/lock".as_ref()).unwrap();
        assert!(file.try_lock().unwrap(), "nobody has it open there");
    }
    one.unlock().unwrap();
    assert!(other.try_lock().unwrap());
    assert!(!one.try_lock().unwrap());
    drop(other);
    assert!(one.try_lock().unwrap());
    // A file of the same name is another file.
    disk.remove_file("/lock".as_ref()).unwrap();
    assert!(write(&disk, "/lock", b"").try_lock().unwrap());
}

#[test]
fn a_nameless_file_is_gone_with_its_opening_or_the_power() {
    let disk = SimDisk::new();
    let file = disk.create_nameless("/".as_ref()).unwrap();
    write_all_at(&*file, b"spilled", 0).unwrap();
    file.sync().unwrap();
    assert_eq!(file.map().unwrap().as_slice(), b"spilled");
    assert!(!file.is_at("/".as_ref()).unwrap());
    for loss in LOSSES {
        assert_eq!(listing(&disk.after_power_cut(loss, 0)), Listing::new());
    }
    // What is written to it is no step that a power cut could come after.
    let careless = careless();
    let spill = careless.create_nameless("/".as_ref()).unwrap();
    write_all_at(&*spill, &[1; 5000], 0).unwrap();
    for loss in LOSSES {
        let without = super::careless();
        assert!(images(&careless, loss, 50).eq(images(&without, loss, 50)));
    }
    let is_kept = || disk.machine().files.map(Ino(1)).is_ok();
    assert!(is_kept());
    drop(file);
    assert!(!is_kept());
}

#[test]
fn an_open_file_outlives_its_name() {
    let disk = SimDisk::new();
    let file = write(&disk, "/f", b"still there");
    assert!(file.is_at("/f".as_ref()).unwrap());
    rename(&disk, "/f", "/g");
    assert!(!file.is_at("/f".as_ref()).unwrap());
    assert!(file.is_at("/g".as_ref()).unwrap());
    write(&disk, "/new", b"new");
    rename(&disk, "/new", "/g");
    assert!(!file.is_at("/g".as_ref()).unwrap());
    write_all_at(&*file, b"S", 0).unwrap();
    file.sync().unwrap();
    assert_eq!(file.map().unwrap().as_slice(), b"Still there");
    assert_eq!(read(&disk, "/g").unwrap(), b"new");
}

#[test]
fn a_halted_machine_answers_nothing() {
    let disk = SimDisk::new();
    let file = write(&disk, "/f", b"two");
    assert_eq!(disk.operations(), 2);
    disk.halt_after(3);
    file.sync().unwrap();
    assert_eq!(disk.operations(), 3);
    let mut byte = [0];
    let root = Path::new("/");
    let errors = [
        kind_of(file.about()),
        kind_of(file.read_at(&mut byte, 0)),
        kind_of(file.write_at(&byte, 0)),
        kind_of(file.sync()),
        kind_of(file.map()),
        kind_of(file.try_lock()),
        kind_of(file.is_at(root)),
        kind_of(disk.open(root)),
        kind_of(disk.open_dir(root)),
        kind_of(disk.list(root)),
        kind_of(disk.kind(root)),
        kind_of(disk.remove_file("/f".as_ref())),
    ];
    assert!(errors.iter().all(|&kind| kind == Some(ErrorKind::Other)));
    assert_eq!(disk.operations(), 3);
    assert_eq!(
        read(&disk.after_power_cut(Loss::Nothing, 0), "/f").unwrap(),
        b"two"
    );
    assert_eq!(read(&disk.snapshot(), "/f").unwrap(), b"two");
}

#[test]
fn only_what_was_done_is_counted_and_each_leaves_a_snapshot() {
    let disk = SimDisk::new();
    assert!(disk.take_history().is_empty());
    make_dir(&disk, "/before");
    disk.record();
    make_dir(&disk, "/d");
    let file = write(&disk, "/d/f", b"bytes");
    assert_eq!(file.write_at(b"", 0).unwrap(), 0);
    disk.open_or_create("/d/f".as_ref()).unwrap();
    disk.create("/d/f".as_ref()).unwrap_err();
    disk.list("/d".as_ref()).unwrap();
    file.sync().unwrap();
    rename(&disk, "/d/f", "/d/f");
    sync_dir(&disk, "/d");
    disk.fail_sync(0);
    file.sync().unwrap_err();
    let history = disk.take_history();
    let counts: Vec<_> = history.iter().map(SimDisk::operations).collect();
    assert_eq!(counts, [2, 3, 4, 5, 6, 7]);
    let lens = history.iter().map(|disk| listing(disk).len());
    assert_eq!(lens.collect::<Vec<_>>(), [2, 3, 3, 3, 3, 3]);
    assert_eq!(read(&history[1], "/d/f").unwrap(), b"");
    assert_eq!(read(&history[2], "/d/f").unwrap(), b"bytes");
    // A snapshot knows what was durable at its time: the bytes from the sync on, the name later.
    let survivors = |disk: &SimDisk| listing(&disk.after_power_cut(Loss::Everything, 0)).len();
    sync_dir(&disk, "/");
    let last = disk.take_history();
    assert_eq!(last.iter().map(survivors).collect::<Vec<_>>(), [3]);
    assert!(history.iter().all(|disk| survivors(disk) == 0));
    assert!(disk.take_history().is_empty());
}

#[test]
fn paths_begin_with_the_root_and_the_root_stays() {
    let disk = SimDisk::new();
    write(&disk, "/f", b"");
    for path in ["f", "./f", "../f", "", "/d/../f"] {
        let path = Path::new(path);
        let invalid = Some(ErrorKind::InvalidInput);
        assert_eq!(kind_of(disk.create(path)), invalid, "{path:?}");
        assert_eq!(kind_of(disk.rename(path, path, Target::Absent)), invalid);
        let file = disk.open("/f".as_ref()).unwrap();
        if path != Path::new("/d/../f") {
            assert_eq!(kind_of(file.is_at(path)), invalid);
        }
    }
    let (root, f) = (Path::new("/"), Path::new("/f"));
    let errors = [
        kind_of(disk.create(root)),
        kind_of(disk.create_dir(root, DirAccess::Private)),
        kind_of(disk.open_or_create(root)),
        kind_of(disk.remove_file(root)),
        kind_of(disk.remove_dir(root)),
        kind_of(disk.rename(root, f, Target::Replaced)),
        kind_of(disk.rename(f, root, Target::Replaced)),
        kind_of(disk.rename(f, root, Target::Absent)),
    ];
    let expected = [
        ErrorKind::AlreadyExists,
        ErrorKind::AlreadyExists,
        ErrorKind::IsADirectory,
        ErrorKind::IsADirectory,
        ErrorKind::ResourceBusy,
        ErrorKind::ResourceBusy,
        ErrorKind::ResourceBusy,
        ErrorKind::AlreadyExists,
    ];
    assert_eq!(errors, expected.map(Some));
    let file = disk.open_or_create(f).unwrap();
    for at in [contents::FILE_BYTES_MAX, i64::MAX as u64] {
        assert_eq!(
            kind_of(file.write_at(b"x", at)),
            Some(ErrorKind::FileTooLarge)
        );
        assert!(file.set_len(at + 1).is_err());
    }
    assert_eq!(read(&disk, "//./f").unwrap(), b"");
}
