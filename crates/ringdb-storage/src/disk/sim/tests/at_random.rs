//! Programs drawn at random.

use super::*;
use crate::disk::sim::loss::Random;

/// A path of a handful.
fn some_path(random: &mut Random) -> PathBuf {
    let mut path = PathBuf::from("/");
    for _ in 0..=random.below(3) {
        path.push(["a", "b", "c"][random.below(3) as usize]);
    }
    path
}

/// Some call on a handful of names; most of them fail.
fn step(disk: &SimDisk, random: &mut Random) {
    let (path, other) = (some_path(random), some_path(random));
    let (path, other) = (path.as_path(), other.as_path());
    let _ = match random.below(16) {
        0..=2 => disk.create_dir(path, DirAccess::Ordinary),
        3 => disk.create(path).map(drop),
        4..=7 => disk.open_or_create(path).and_then(|file| {
            let byte = random.below(256) as u8;
            let bytes = vec![byte; random.below(6000) as usize];
            file.write_at(&bytes, random.below(10_000)).map(drop)
        }),
        8 => disk
            .open_or_create(path)
            .and_then(|file| file.set_len(random.below(15_000))),
        9 => disk.rename(path, other, Target::Absent),
        10 | 11 => disk.rename(path, other, Target::Replaced),
        12 => disk.remove_file(path),
        13 => disk.remove_dir(path),
        14 => disk.open(path).and_then(|file| file.sync()),
        _ => disk.open_dir(path).and_then(|dir| dir.sync()),
    };
}

#[test]
fn at_random_nothing_synced_is_lost_and_nothing_lost_is_all() {
    const SEED: u64 = 0x0D15_EA5E;
    println!("seed {SEED}");
    let mut random = Random::new(SEED);
    let mut n_nonempty = 0;
    for round in 0..400 {
        let disk = SimDisk::new();
        for _ in 0..random.below(200) {
            step(&disk, &mut random);
        }
        let seen = listing(&disk);
        n_nonempty += u32::from(seen.len() > 3);
        let kept = listing(&disk.after_power_cut(Loss::Nothing, 0));
        assert_eq!(kept, seen, "round {round}");
        // Whatever is found is a tree: to list it comes to an end.
        for loss in LOSSES {
            images(&disk, loss, 5).for_each(drop);
        }

        // One file and all the directories above it are made durable, and what else happens to be.
        let files: Vec<_> = seen.iter().filter(|(_, bytes)| bytes.is_some()).collect();
        if let Some((path, _)) = files.get(random.below(files.len() as u64) as usize) {
            disk.open(path).unwrap().sync().unwrap();
            path.ancestors()
                .skip(1)
                .for_each(|dir| sync_dir(&disk, dir));
            for loss in LOSSES {
                for image in images(&disk, loss, 10) {
                    assert_eq!(image.get(*path), seen.get(*path), "round {round}, {loss:?}");
                    let children = |listing: &Listing| -> Vec<PathBuf> {
                        let paths = listing.keys();
                        let siblings = paths.filter(|other| other.parent() == path.parent());
                        siblings.cloned().collect()
                    };
                    assert_eq!(children(&image), children(&seen), "round {round}, {loss:?}");
                }
            }
        }

        // Everything is made durable.
        sync_dir(&disk, "/");
        for path in seen.keys() {
            disk.open(path).unwrap().sync().unwrap();
        }
        for loss in LOSSES {
            let image = listing(&disk.after_power_cut(loss, round));
            assert_eq!(image, seen, "round {round}, {loss:?}");
        }
    }
    assert!(n_nonempty > 200, "{n_nonempty} rounds with many names");
}

#[test]
fn at_random_what_was_only_moved_is_found_under_one_name() {
    const SEED: u64 = 0x000B_1EC7;
    println!("seed {SEED}");
    let mut random = Random::new(SEED);
    let mut n_moved = 0;
    for round in 0..2000 {
        let disk = SimDisk::new();
        for _ in 0..30 {
            step(&disk, &mut random);
        }
        let _ = disk.remove_file("/a".as_ref());
        let _ = disk.create_dir("/a".as_ref(), DirAccess::Ordinary);
        write_synced(&disk, "/a/precious", b"precious");
        for path in listing(&disk).keys().map(PathBuf::as_path) {
            sync_dir(&disk, path);
        }
        sync_dir(&disk, "/");

        let precious = disk.open("/a/precious".as_ref()).unwrap();
        let mut path = PathBuf::from("/a/precious");
        for _ in 0..30 {
            let to = some_path(&mut random);
            let from = match random.below(4) {
                0 => path.clone(),
                _ => some_path(&mut random),
            };
            let holds = |path: &Path| precious.is_at(path).unwrap();
            let _ = match random.below(10) {
                0 => disk.create(&to).map(drop),
                1 | 5 => disk.create_dir(&to, DirAccess::Ordinary),
                2 if !holds(&from) => disk.remove_file(&from),
                3 => disk.remove_dir(&from),
                4 if !holds(&to) => disk.rename(&from, &to, Target::Replaced),
                6 => disk.open_dir(&from).and_then(|dir| dir.sync()),
                _ => disk.rename(&from, &to, Target::Absent),
            };
            let mut paths = listing(&disk).into_keys();
            path = paths.find(|path| holds(path)).unwrap();
        }
        n_moved += u32::from(path != Path::new("/a/precious"));
        for loss in LOSSES {
            for (seed, image) in images(&disk, loss, 20).enumerate() {
                let bytes = image.values().flatten();
                let n_found = bytes.filter(|bytes| *bytes == b"precious").count();
                assert_eq!(n_found, 1, "round {round}, {loss:?}, {seed}");
            }
        }
    }
    assert!(n_moved > 500, "{n_moved}");
}
