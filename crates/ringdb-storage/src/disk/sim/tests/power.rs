//! What a power cut leaves.

use super::*;

#[test]
fn bytes_and_length_are_durable_after_the_sync_of_the_file() {
    let disk = SimDisk::new();
    let file = write(&disk, "/f", b"old");
    sync_dir(&disk, "/");
    let f = |loss| read(&disk.after_power_cut(loss, 0), "/f").unwrap();
    assert_eq!(f(Loss::Everything), b"");
    file.sync().unwrap();
    write_all_at(&*file, b"newer", 0).unwrap();
    assert_eq!(f(Loss::Everything), b"old");
    assert_eq!(f(Loss::Nothing), b"newer");
    file.set_len(1).unwrap();
    assert_eq!(f(Loss::Everything), b"old");
    assert_eq!(f(Loss::Nothing), b"n");
    file.sync().unwrap();
    assert_eq!(f(Loss::Everything), b"n");
    assert_eq!(read(&disk, "/f").unwrap(), b"n");
}

#[test]
fn a_name_is_durable_after_the_sync_of_its_directory() {
    let disk = SimDisk::new();
    make_dir(&disk, "/d");
    write_synced(&disk, "/d/f", b"synced");
    let found = |loss| listing(&disk.after_power_cut(loss, 0));
    assert_eq!(found(Loss::Everything), Listing::new());
    assert_eq!(found(Loss::Nothing), listing(&disk));
    // The directory itself has no durable name yet.
    sync_dir(&disk, "/d");
    assert_eq!(found(Loss::Everything), Listing::new());
    sync_dir(&disk, "/");
    assert_eq!(found(Loss::Everything), listing(&disk));

    disk.remove_file("/d/f".as_ref()).unwrap();
    disk.remove_dir("/d".as_ref()).unwrap();
    assert_eq!(found(Loss::Everything).len(), 2);
    assert_eq!(found(Loss::Nothing), Listing::new());
    // What made the directory empty goes with it.
    sync_dir(&disk, "/");
    assert_eq!(found(Loss::Everything), Listing::new());
}

#[test]
fn a_rename_may_reach_the_disk_before_the_bytes_of_the_file() {
    let disk = SimDisk::new();
    write_synced(&disk, "/new", b"");
    sync_dir(&disk, "/");
    write(&disk, "/new", &[7; 5000]);
    rename(&disk, "/new", "/name");
    let found: BTreeSet<Listing> = images(&disk, Loss::Subset, 500).collect();
    for path in ["/new", "/name"] {
        for bytes in [&[][..], &[0; 5000], &[7; 5000]] {
            let expected = Listing::from([file(path, bytes)]);
            assert!(found.contains(&expected), "{path} {}", bytes.len());
        }
    }
    assert!(found.iter().all(|listing| listing.len() == 1));
}

#[test]
fn a_page_is_torn_between_sectors() {
    let disk = SimDisk::new();
    write_synced(&disk, "/f", &[b'a'; 3 * PAGE_BYTES]);
    sync_dir(&disk, "/");
    write(&disk, "/f", &[b'b'; 2 * PAGE_BYTES]);
    let mut tears = BTreeSet::new();
    for image in images(&disk, Loss::Subset, 3000) {
        let bytes = image[Path::new("/f")].as_ref().unwrap();
        let pages: Vec<_> = bytes.chunks(PAGE_BYTES).collect();
        assert_eq!(pages[2], [b'a'; PAGE_BYTES], "nobody wrote to it");
        tears.insert([0, 1].map(|page| {
            let page = pages[page];
            let tear = page.iter().position(|&byte| byte != page[0]);
            let at = tear.unwrap_or(PAGE_BYTES);
            assert!(at.is_multiple_of(512));
            assert!(page[at..].iter().all(|&byte| byte == page[PAGE_BYTES - 1]));
            (page[0], at)
        }));
    }
    let states: BTreeSet<_> = tears.iter().map(|tears| tears[0]).collect();
    assert_eq!(states.len(), 2 * 8, "old, new, and 7 tears of each order");
    assert!(
        tears.iter().any(|[one, other]| one.0 != other.0),
        "pages are independent"
    );
}

#[test]
fn a_page_is_found_as_any_write_left_it() {
    let disk = SimDisk::new();
    write_synced(&disk, "/f", &[b'a'; PAGE_BYTES]);
    sync_dir(&disk, "/");
    for bytes in [[b'b'; PAGE_BYTES], [b'c'; PAGE_BYTES]] {
        write(&disk, "/f", &bytes);
    }
    let mut whole = BTreeSet::new();
    let mut torn = BTreeSet::new();
    for image in images(&disk, Loss::Subset, 1000) {
        let bytes = image[Path::new("/f")].as_ref().unwrap();
        let ends = (bytes[0], bytes[PAGE_BYTES - 1]);
        match bytes.iter().all(|&byte| byte == bytes[0]) {
            true => whole.insert(ends),
            false => torn.insert(ends),
        };
    }
    assert_eq!((whole.len(), torn.len()), (3, 6));
}

#[test]
fn a_rename_is_one_step() {
    let disk = SimDisk::new();
    for dir in ["/a", "/b", "/a/dir"] {
        make_dir(&disk, dir);
    }
    for name in ["/a/file", "/a/dir/inside", "/b/old"] {
        write_synced(&disk, name, name.as_bytes());
    }
    for dir in ["/", "/a", "/b", "/a/dir"] {
        sync_dir(&disk, dir);
    }
    rename(&disk, "/a/file", "/b/old");
    rename(&disk, "/a/dir", "/b/dir");
    for loss in [Loss::Prefix, Loss::Subset] {
        let mut met = BTreeSet::new();
        for image in images(&disk, loss, 200) {
            let at = |path: &str| image.get(Path::new(path));
            let is_moved = at("/a/file").is_none();
            let expected: &[u8] = if is_moved { b"/a/file" } else { b"/b/old" };
            assert_eq!(at("/b/old"), Some(&Some(expected.to_vec())));
            let is_dir_moved = at("/b/dir/inside").is_some();
            assert_eq!(at("/a/dir/inside").is_none(), is_dir_moved);
            assert_eq!(at("/a/dir").is_none(), is_dir_moved);
            met.insert((is_moved, is_dir_moved));
        }
        assert_eq!(met.len(), if loss == Loss::Prefix { 3 } else { 4 });
    }
}

#[test]
fn all_images_of_a_careless_program_and_no_others_are_found() {
    let disk = careless();
    let old = Listing::from([file("/name", b"old")]);
    let mut expected = BTreeSet::from([old.clone()]);
    for bytes in [b"new!", b"\0\0\0\0"] {
        for len in 0..=4 {
            let new = &bytes[..len];
            expected.insert(Listing::from([file("/name", new)]));
            expected.insert(Listing::from([
                file("/name", b"old"),
                file("/temporary", new),
            ]));
        }
    }
    assert_eq!(expected.len(), 19);
    let found: BTreeSet<Listing> = images(&disk, Loss::Subset, 3000).collect();
    assert_eq!(found, expected);

    let in_order = BTreeSet::from([
        old.clone(),
        Listing::from([file("/name", b"old"), file("/temporary", b"")]),
        Listing::from([file("/name", b"old"), file("/temporary", b"new!")]),
        Listing::from([file("/name", b"new!")]),
    ]);
    let found: BTreeSet<Listing> = images(&disk, Loss::Prefix, 100).collect();
    assert_eq!(found, in_order);
    assert!(images(&disk, Loss::Everything, 10).all(|found| found == old));
    assert!(images(&disk, Loss::Nothing, 10).all(|found| found == listing(&disk)));
}

#[test]
fn a_careful_program_leaves_the_old_or_the_new() {
    let disk = SimDisk::new();
    write_synced(&disk, "/name", b"old");
    sync_dir(&disk, "/");
    write_synced(&disk, "/temporary", b"new!");
    rename(&disk, "/temporary", "/name");
    for loss in LOSSES {
        for image in images(&disk, loss, 200) {
            let bytes = image[Path::new("/name")].as_deref().unwrap();
            assert!(matches!(bytes, b"old" | b"new!"), "{bytes:?}");
        }
    }
    sync_dir(&disk, "/");
    for loss in LOSSES {
        assert!(images(&disk, loss, 50).all(|found| found == listing(&disk)));
    }
}

#[test]
fn a_seed_always_finds_the_same() {
    let disk = careless();
    for loss in LOSSES {
        let again = careless().snapshot();
        assert!(images(&disk, loss, 100).eq(images(&again, loss, 100)));
    }
    // Pinned, so that a seed in a report finds its image as long as this crate stands.
    let image = listing(&disk.after_power_cut(Loss::Subset, 3));
    assert_eq!(image, Listing::from([file("/name", b"\0\0")]));
}

#[test]
fn an_image_is_a_disk_of_its_own_and_all_durable() {
    let disk = careless();
    let holds = |disk: &SimDisk, number| disk.machine().files.map(Ino(number)).is_ok();
    disk.open("/name".as_ref()).unwrap().sync().unwrap();
    let image = disk.after_power_cut(Loss::Everything, 0);
    assert!(holds(&disk, 2) && holds(&image, 1));
    assert!(!holds(&image, 2), "what no name leads to takes no memory");
    let image = disk.after_power_cut(Loss::Nothing, 0);
    assert_eq!(image.operations(), 0);
    let again = image.after_power_cut(Loss::Everything, 0);
    assert_eq!(listing(&again), listing(&disk));
    write_synced(&image, "/name", b"other");
    write_synced(&image, "/further", b"1");
    write_synced(&image, "/furthest", b"2");
    let of_image = [
        file("/further", b"1"),
        file("/furthest", b"2"),
        file("/name", b"other"),
    ];
    assert_eq!(listing(&image), Listing::from(of_image));
    assert_eq!(listing(&disk), Listing::from([file("/name", b"new!")]));
    assert_eq!(listing(&again), listing(&disk));
}

#[test]
fn a_lost_page_is_zeros_or_what_was_there_before() {
    let disk = SimDisk::new();
    write_synced(&disk, "/f", &[1; 100]);
    sync_dir(&disk, "/");
    let file = write(&disk, "/f", &[2; 200]);
    let states = |disk: &SimDisk| -> BTreeSet<Vec<u8>> {
        images(disk, Loss::Subset, 20_000)
            .map(|image| image[Path::new("/f")].clone().unwrap())
            .collect()
    };
    let found = states(&disk);
    // Old or new bytes, at any length from old to new.
    assert_eq!(found.len(), 2 * 101);
    let old = |len| -> Vec<u8> { [vec![1; 100], vec![0; len - 100]].concat() };
    assert!((100..=200).all(|len| found.contains(&old(len)) && found.contains(&vec![2; len])));

    // Behind a cut that reached the disk the old bytes are gone, though the new ones came not.
    file.sync().unwrap();
    file.set_len(0).unwrap();
    write_all_at(&*file, &[3; 50], 0).unwrap();
    let found = states(&disk);
    for expected in [vec![2; 200], vec![3; 50], vec![0; 50], vec![2; 50], vec![]] {
        assert!(found.contains(&expected), "{expected:?}");
    }
    for seed in 0..500 {
        let image = disk.after_power_cut(Loss::Subset, seed);
        let file = image.open_or_create("/f".as_ref()).unwrap();
        let len = file.about().unwrap().1;
        file.set_len(300).unwrap();
        let bytes = file.map().unwrap();
        assert!(
            bytes.as_slice()[len as usize..]
                .iter()
                .all(|&byte| byte == 0)
        );
    }
    let cut: Vec<u8> = [vec![3; 50], vec![0; 150]].concat();
    assert!(found.contains(&cut), "the bytes came, the length not");
}

#[test]
fn the_sync_of_a_directory_takes_what_its_names_need() {
    let disk = SimDisk::new();
    for dir in ["/a", "/b"] {
        make_dir(&disk, dir);
        sync_dir(&disk, "/");
    }
    write_synced(&disk, "/b/x", b"old");
    sync_dir(&disk, "/b");

    write_synced(&disk, "/a/made", b"new");
    write_synced(&disk, "/a/other", b"");
    disk.remove_file("/b/x".as_ref()).unwrap();
    write_synced(&disk, "/b/other", b"");
    rename(&disk, "/a/made", "/a/moved");
    let absent = Target::Absent;
    disk.rename("/a/moved".as_ref(), "/b/x".as_ref(), absent)
        .unwrap();
    let found = |disk: &SimDisk| listing(&disk.after_power_cut(Loss::Everything, 0));
    let dirs = || [("/a".into(), None), ("/b".into(), None)].into_iter();

    let copy = disk.snapshot();
    sync_dir(&copy, "/b");
    let expected = dirs().chain([file("/b/other", b""), file("/b/x", b"new")]);
    assert_eq!(found(&copy), expected.collect());

    sync_dir(&disk, "/a");
    let expected = dirs().chain([file("/a/other", b""), file("/b/x", b"new")]);
    assert_eq!(found(&disk), expected.collect());
}

#[test]
fn the_sync_of_a_directory_takes_what_emptied_a_directory_in_it() {
    let disk = SimDisk::new();
    for dir in ["/a", "/a/ended", "/a/moved", "/b"] {
        make_dir(&disk, dir);
    }
    write_synced(&disk, "/a/ended/f", b"kept");
    for dir in ["/", "/a", "/a/ended"] {
        sync_dir(&disk, dir);
    }
    write_synced(&disk, "/b/other", b"not needed");
    rename(&disk, "/a/ended/f", "/b/f");
    let by_removal = disk.snapshot();
    by_removal.remove_dir("/a/ended".as_ref()).unwrap();
    rename(&disk, "/a/moved", "/a/ended");
    for disk in [disk, by_removal] {
        sync_dir(&disk, "/a");
        let found = listing(&disk.after_power_cut(Loss::Everything, 0));
        let mut expected = listing(&disk);
        expected.remove(Path::new("/b/other"));
        assert_eq!(found, expected);
    }
}

#[test]
fn a_directory_never_comes_to_lie_in_itself() {
    let disk = SimDisk::new();
    make_dir(&disk, "/a");
    make_dir(&disk, "/a/b");
    sync_dir(&disk, "/");
    sync_dir(&disk, "/a");
    rename(&disk, "/a/b", "/b");
    rename(&disk, "/a", "/b/a");
    let paths = |image: Listing| image.into_keys().collect::<Vec<_>>();
    let (before, between, after) = (["/a", "/a/b"], ["/a", "/b"], ["/b", "/b/a"]);
    let expected =
        BTreeSet::from([before, between, after].map(|paths| paths.map(PathBuf::from).to_vec()));
    let found: BTreeSet<_> = images(&disk, Loss::Subset, 200).map(paths).collect();
    assert_eq!(found, expected);

    // The move into the other directory alone would tear both off the root.
    write(&disk, "/b/a/f", b"bytes");
    sync_dir(&disk, "/b");
    let found = listing(&disk.after_power_cut(Loss::Everything, 0));
    let (_, bytes) = file("/b/a/f", b"");
    let expected = [("/b", None), ("/b/a", None), ("/b/a/f", bytes)];
    assert_eq!(
        found,
        expected.map(|(path, bytes)| (path.into(), bytes)).into()
    );
}

#[test]
fn what_moves_into_a_directory_is_not_lost_with_the_directory() {
    let disk = SimDisk::new();
    write_synced(&disk, "/f", b"bytes");
    sync_dir(&disk, "/");
    make_dir(&disk, "/d");
    make_dir(&disk, "/d/d");
    rename(&disk, "/f", "/d/d/f");
    let found: BTreeSet<_> = images(&disk, Loss::Subset, 200).collect();
    let (dir, subdir) = (|| ("/d".into(), None), || ("/d/d".into(), None));
    let expected = [
        Listing::from([file("/f", b"bytes")]),
        Listing::from([dir(), file("/f", b"bytes")]),
        Listing::from([dir(), subdir(), file("/f", b"bytes")]),
        Listing::from([dir(), subdir(), file("/d/d/f", b"bytes")]),
    ];
    assert_eq!(found, BTreeSet::from(expected));

    sync_dir(&disk, "/d/d");
    let found = listing(&disk.after_power_cut(Loss::Everything, 0));
    assert_eq!(found, listing(&disk));

    // Within a directory without a durable name there is nothing to be lost.
    make_dir(&disk, "/new");
    make_dir(&disk, "/new/d");
    write_synced(&disk, "/new/temporary", b"");
    rename(&disk, "/new/temporary", "/new/d/name");
    sync_dir(&disk, "/new");
    let found = listing(&disk.after_power_cut(Loss::Everything, 0));
    assert!(!found.contains_key(Path::new("/new")));
    sync_dir(&disk, "/");
    let found = listing(&disk.after_power_cut(Loss::Everything, 0));
    assert_eq!(found, listing(&disk));
}

#[test]
fn a_directory_is_not_made_in_one_that_lies_in_it_by_then() {
    let disk = SimDisk::new();
    for dir in ["/u", "/u/outer", "/u/outer/inner"] {
        make_dir(&disk, dir);
    }
    rename(&disk, "/u/outer/inner", "/u/inner");
    rename(&disk, "/u/outer", "/u/inner/outer");
    sync_dir(&disk, "/u/inner");
    for loss in LOSSES {
        assert_eq!(listing(&disk.after_power_cut(loss, 0)), listing(&disk));
    }
}

#[test]
fn what_is_left_by_a_sync_still_fits() {
    let disk = SimDisk::new();
    for dir in ["/c", "/d", "/c/moved"] {
        make_dir(&disk, dir);
    }
    rename(&disk, "/c/moved", "/d/moved");
    rename(&disk, "/c", "/d/moved/below");
    make_dir(&disk, "/c");
    rename(&disk, "/d/moved", "/c/moved");
    // It has no durable name, so it could keep `moved` for itself; but what is below was reached by
    // another path when it went there.
    sync_dir(&disk, "/c");
    for loss in LOSSES {
        assert_eq!(listing(&disk.after_power_cut(loss, 0)), listing(&disk));
    }
}

#[test]
fn after_a_failed_sync_the_bytes_are_seen_but_never_written() {
    let disk = SimDisk::new();
    write_synced(&disk, "/f", &[1; 2 * PAGE_BYTES]);
    sync_dir(&disk, "/");
    let before = disk.operations();
    disk.fail_sync(1);
    write_synced(&disk, "/other", b"this one succeeds");
    let file = write(&disk, "/f", &[2; 2 * PAGE_BYTES + 1]);
    let error = file.sync().unwrap_err();
    assert_eq!(error.raw_os_error(), Some(Errno::IO.raw_os_error()));
    assert_eq!(disk.operations(), before + 3 + 1 + 1);
    file.sync().unwrap();

    let lost = [vec![1; 2 * PAGE_BYTES], vec![0]].concat();
    for loss in LOSSES {
        let found = read(&disk.after_power_cut(loss, 1), "/f").unwrap();
        assert_eq!(found, lost, "{loss:?}");
    }
    assert_eq!(read(&disk, "/f").unwrap(), [2; 2 * PAGE_BYTES + 1]);

    // A page that is written to again is written whole.
    write_all_at(&*file, b"3", 0).unwrap();
    file.sync().unwrap();
    let found = read(&disk.after_power_cut(Loss::Everything, 0), "/f").unwrap();
    assert_eq!(found[0], b'3');
    assert_eq!(found[1..PAGE_BYTES], [2; PAGE_BYTES - 1]);
    assert_eq!(found[PAGE_BYTES..], lost[PAGE_BYTES..]);
}

#[test]
fn the_length_that_a_failed_sync_did_not_write_is_still_to_come() {
    let disk = SimDisk::new();
    write_synced(&disk, "/f", b"");
    sync_dir(&disk, "/");
    write_synced(&disk, "/other", b"");
    sync_dir(&disk, "/");
    let other = write(&disk, "/other", b"not lost");
    let file = write(&disk, "/f", b"lost");
    file.set_len(2).unwrap();
    file.set_len(3).unwrap();
    write_all_at(&*file, b"L", 0).unwrap();
    disk.fail_sync(0);
    sync_dir(&disk, "/");
    file.sync().unwrap_err();
    other.sync().unwrap();
    let f = |loss| read(&disk.after_power_cut(loss, 0), "/f").unwrap();
    assert_eq!(
        (f(Loss::Everything), f(Loss::Nothing)),
        (vec![], vec![0; 3])
    );
    file.sync().unwrap();
    assert_eq!(f(Loss::Everything), [0; 3]);
    let image = disk.after_power_cut(Loss::Everything, 0);
    assert_eq!(read(&image, "/other").unwrap(), b"not lost");
}
