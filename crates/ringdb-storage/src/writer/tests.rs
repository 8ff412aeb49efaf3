//! A writer whose disk loses power or fails.

use super::*;
use crate::disk::{Failure, Fault, FaultyDisk, Loss, SimDisk};
use crate::layout::{DERIVED_FILES, LOCK, MANIFEST, segment_name};

const DIR: &str = "/db";

/// Bytes of a file derived from so many rows.
fn derived(rows: usize, len: usize) -> Vec<u8> {
    (0..len).map(|i| (i / 3 + 101 * rows) as u8).collect()
}

/// Of codes, more than is kept back before it is written, of fine, more than a block, and of the others less.
const LENS: [usize; 5] = [(1 << 20) + 300_000, 65_539, 1_000, 700, 12];

/// Replaces what is in [`DIR`] by `rows` rows and what is derived from them.
fn write(disk: Arc<dyn Disk>, rows: usize) -> Result<()> {
    let codec = PayloadCodec::Bincode;
    let mut writer = SegmentWriter::in_directory_on(disk, Path::new(DIR), true, 1, codec)?;
    for _ in 0..rows {
        writer.push(&[1.0], ())?;
    }
    let written = writer.finish_with(|vectors, writer| {
        let [codes, fine, prefix, blocks, order] = LENS.map(|len| derived(vectors.len(), len));
        codes
            .chunks(300_000)
            .try_for_each(|part| writer.codes(part))?;
        writer.fine(&fine)?;
        writer.prefix(&prefix)?;
        writer.blocks(&blocks)?;
        writer.order(&order)
    });
    written.map(drop)
}

/// The number of rows of a database that is whole.
fn rows(disk: &SimDisk) -> Result<usize> {
    let segment = Segment::<()>::open_on(disk, Path::new(DIR), &ReadOptions::new())?;
    let rows = segment.vectors.len();
    let files = [
        segment.codes,
        segment.fine,
        segment.prefix,
        segment.blocks,
        segment.order,
    ];
    for (file, len) in files.into_iter().zip(LENS) {
        assert!(file.unwrap().bytes() == derived(rows, len));
    }
    Ok(rows)
}

/// A disk on which two rows are durable.
fn before() -> SimDisk {
    let disk = SimDisk::new();
    write(Arc::new(disk.clone()), 2).unwrap();
    disk.after_power_cut(Loss::Nothing, 0)
}

#[test]
fn a_power_cut_leaves_old_or_new_derived_files_whole() {
    let disk = before();
    disk.record();
    write(Arc::new(disk.clone()), 3).unwrap();
    let mut seen = [0, 0];
    for (step, snapshot) in disk.take_history().iter().enumerate() {
        let losses = [Loss::Everything, Loss::Nothing].map(|loss| (loss, 0));
        let subsets = (0..8).map(|seed| (Loss::Subset, seed));
        for (loss, seed) in losses.into_iter().chain(subsets) {
            let image = snapshot.after_power_cut(loss, seed);
            match rows(&image) {
                Ok(2) => seen[0] += 1,
                Ok(3) => seen[1] += 1,
                found => panic!("step {step}, {loss:?} {seed}: {found:?}"),
            }
            if seed == 0 {
                // The next writer is not hindered by what is left, and leaves nothing of it.
                write(Arc::new(image.clone()), 4).unwrap();
                let live = Manifest::read(&image, &Path::new(DIR).join(MANIFEST));
                let live = segment_name(live.unwrap().unwrap().segment);
                for name in names(&image, DIR).iter().filter(|name| **name != live) {
                    // An empty segment stays.
                    let is_file = [LOCK, MANIFEST].contains(&name.as_str());
                    let left = || names(&image, &format!("{DIR}/{name}"));
                    assert!(
                        is_file || left().is_empty(),
                        "step {step}: {name}: {:?}",
                        left()
                    );
                }
            }
        }
    }
    println!("{seen:?} images with the old and the new database");
    assert!(seen[0] > 50 && seen[1] > 10, "{seen:?}");
}

fn names(disk: &SimDisk, dir: &str) -> Vec<String> {
    let names = disk.list(Path::new(dir)).unwrap();
    let mut names: Vec<_> = names
        .into_iter()
        .map(|name| name.into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// ENOSPC, by its number on Linux.
const NO_SPACE: i32 = 28;

#[test]
fn a_disk_that_is_full_for_derived_files_leaves_the_old_database_and_nothing_else() {
    let before = before();
    let mut met = [0; 5];
    for call in 0.. {
        let disk = before.snapshot();
        let kind = Failure::Error(NO_SPACE);
        let fault = Fault {
            call,
            kind,
            lasting: false,
        };
        let faulty = FaultyDisk::new(Arc::new(disk.clone()), fault);
        let written = write(Arc::clone(&faulty) as Arc<dyn Disk>, 3);
        let Some(struck_at) = faulty.struck_at() else {
            written.unwrap();
            break;
        };
        let Err(error) = written else { continue };
        if !matches!(struck_at, "create" | "write_at") {
            continue;
        }
        let text = error.to_string();
        for (met, name) in met.iter_mut().zip(DERIVED_FILES.map(|(_, name)| name)) {
            *met += u32::from(text.contains(name));
        }
        assert!(text.ends_with("(os error 28)"), "call {call}: {text}");
        assert_eq!(rows(&disk).unwrap(), 2, "call {call}: {text}");
        let left = [LOCK.to_string(), MANIFEST.to_string(), segment_name(1)];
        assert_eq!(names(&disk, DIR), left, "call {call}: {text}");
    }
    println!("{met:?} calls failed on each of {DERIVED_FILES:?}");
    assert!(
        met[0] >= 5 && met[1] >= 4 && met[2..].iter().all(|&met| met >= 3),
        "{met:?}"
    );
}
