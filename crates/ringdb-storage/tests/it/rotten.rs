//! Files that change after they were checked: what is read a second time is checked a second time.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use ringdb_storage::{Error, Loss, PayloadCodec, Segment, SegmentWriter, rederive, salvage};

use crate::ruins::{BLOCK, DIMS, PAYLOADS, ROWS, Ruins, VECTORS, build, payload, row};
use crate::support::{assert_holds, names, no_files, write};

/// Flips a bit where the file lies, so that it shows in maps of it.
fn rot(path: &Path, at: usize) {
    flip(&opened(path), at);
}

fn opened(path: &Path) -> File {
    File::options().read(true).write(true).open(path).unwrap()
}

fn flip(mut file: &File, at: usize) {
    let mut byte = [0];
    file.seek(SeekFrom::Start(at as u64)).unwrap();
    file.read_exact(&mut byte).unwrap();
    file.seek(SeekFrom::Start(at as u64)).unwrap();
    file.write_all(&[byte[0] ^ 0x10]).unwrap();
}

#[test]
fn a_row_that_changes_while_others_are_salvaged_is_lost() {
    let ruins = Ruins::new();
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("to");
    // In the middle of the third block.
    let at = 64 + 2 * BLOCK + BLOCK / 2;
    let mut lost = Vec::new();
    let salvaged = salvage(ruins.dir(), &to, false, None, no_files, |row| {
        if row.old_id == 0 {
            rot(&ruins.path(VECTORS), at);
        }
        if let Some(loss) = row.loss {
            assert_eq!(loss, Loss::VectorDamaged);
            lost.push(row.old_id);
        }
        Ok::<(), Error>(())
    });
    // Each that lies in the block.
    let row_bytes = 4 * DIMS;
    let (first, last) = (2 * BLOCK / row_bytes, (3 * BLOCK - 1) / row_bytes);
    let expected: Vec<u32> = (first as u32..=last as u32).collect();
    assert_eq!(lost, expected);
    assert_eq!(salvaged.unwrap().lost, expected.len() as u64);
    let new = Segment::<String>::open(&to).unwrap();
    let mut kept = (0..ROWS).filter(|id| !expected.contains(id));
    for id in 0..new.vectors.len() as u32 {
        assert_eq!(new.vectors.row(id).unwrap(), row(kept.next().unwrap()));
    }
    assert_eq!(kept.next(), None);
}

/// Says when it is dropped, so also when a test fails.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// Flips a bit and flips it back, again and again, while `work` is at work.
fn while_rotting<R>(path: &Path, at: usize, work: impl FnOnce() -> R) -> R {
    // Open until the end: work may remove it.
    let (file, is_done) = (opened(path), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let _done = Done(&is_done);
        scope.spawn(|| {
            while !is_done.load(Relaxed) {
                flip(&file, at);
                flip(&file, at);
            }
        });
        work()
    })
}

/// As often as it takes for a copy that nobody checks to be seen for certain.
const ROUNDS: usize = 200;

/// A database with one payload that takes long enough to read for it to change meanwhile.
fn with_long_payload(dir: &Path) -> Vec<u8> {
    let payload: Vec<u8> = (0..3 << 20).map(|i| (i % 251) as u8).collect();
    let mut writer = SegmentWriter::<()>::in_directory(dir, false, 1, PayloadCodec::Raw).unwrap();
    writer.push_bytes(&[1.0], &payload).unwrap();
    writer.finish().unwrap();
    payload
}

#[track_caller]
fn assert_payload(dir: &Path, payload: &[u8]) {
    let segment = Segment::<()>::open(dir).unwrap();
    // Of the bytes of a failure there are too many to be shown.
    assert!(segment.payloads.fetch_bytes(0).unwrap() == payload);
}

#[test]
fn a_payload_that_changes_while_it_is_copied_is_salvaged_as_it_was_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let (db, to) = (dir.path().join("db"), dir.path().join("to"));
    let payload = with_long_payload(&db);
    let mut seen = [0, 0];
    for round in 0..ROUNDS {
        let salvaged = while_rotting(&db.join(PAYLOADS), 64 + (round << 13), || {
            salvage(&db, &to, false, None, no_files, |_| Ok::<(), Error>(()))
        });
        match salvaged {
            Ok(salvaged) => {
                assert_eq!(salvaged.kept, 1);
                assert_payload(&to, &payload);
                fs::remove_dir_all(&to).unwrap();
                seen[0] += 1;
            }
            Err(Error::NothingToSalvage { why, .. }) => {
                assert_eq!(why, "payload damaged (1)");
                seen[1] += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    println!("{seen:?} kept and lost");
    assert!(seen[0] > 0, "{seen:?}");
}

#[test]
fn a_payload_that_changes_while_codes_are_made_anew_is_kept_or_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let db = dir.path().join("db");
    let payload = with_long_payload(&db);
    let mut seen = [0, 0];
    for round in 0..ROUNDS {
        let payloads = names(&db).pop().unwrap() + "/payloads.bin";
        let made = while_rotting(&db.join(payloads), 64 + (round << 13), || {
            rederive::<Error>(&db, None, no_files)
        });
        match made {
            Ok(_) => seen[0] += 1,
            Err(Error::Corrupt { path, .. }) => {
                assert_eq!(path.file_name().unwrap(), "payloads.bin");
                seen[1] += 1;
            }
            Err(error) => panic!("{error}"),
        }
        assert_payload(&db, &payload);
    }
    println!("{seen:?} made anew and refused");
    assert!(seen[0] > 0, "{seen:?}");
}

/// What happens to a file after so many calls of [`rots`].
struct Rotting {
    calls: usize,
    rot: Box<dyn Fn()>,
}

thread_local! {
    static ROTTING: RefCell<Option<Rotting>> = const { RefCell::new(None) };
}

/// A check that every row passes, and that a file does not survive.
fn rots(_: &[f32]) -> Option<(usize, String)> {
    ROTTING.with_borrow_mut(|rotting| {
        if let Some(Rotting { calls, rot }) = rotting {
            match calls.checked_sub(1) {
                Some(left) => *calls = left,
                None => {
                    rot();
                    *rotting = None;
                }
            }
        }
    });
    None
}

/// Makes codes anew, while `rot` happens after so many calls of the check of rows.
fn rederive_while(dir: &Path, calls: usize, rot: impl Fn() + 'static) -> Result<(), Error> {
    let rot = Box::new(rot);
    ROTTING.set(Some(Rotting { calls, rot }));
    let made = rederive::<Error>(dir, Some(rots), no_files);
    assert!(ROTTING.take().is_none(), "not called so often");
    made.map(drop)
}

#[track_caller]
fn assert_rows(dir: &Path) {
    let segment = Segment::<String>::open(dir).unwrap();
    for id in 0..ROWS {
        assert_eq!(segment.vectors.row(id).unwrap(), row(id));
    }
}

/// Even if the table that its blocks are checked by is another's as well.
#[test]
fn a_file_that_is_written_over_while_codes_are_made_anew_is_kept_or_an_error() {
    let other = tempfile::tempdir().unwrap();
    build(
        other.path(),
        PayloadCodec::Bincode,
        ROWS,
        |writer, row, id| {
            let row: Vec<f32> = row.iter().map(|x| x + 0.25).collect();
            writer.push(&row, payload(id))
        },
    );
    let other = fs::read(other.path().join(VECTORS)).unwrap();
    for calls in [0, 1, 100, 2_000, 12_000] {
        let ruins = Ruins::new();
        let (path, other) = (ruins.path(VECTORS), other.clone());
        let whole = fs::read(&path).unwrap();
        assert_eq!(whole.len(), other.len());
        // Where it lies, as programs that copy do.
        let made = rederive_while(ruins.dir(), calls, move || {
            opened(&path).write_all(&other).unwrap();
        });
        match made {
            Err(Error::Corrupt { path, .. }) => assert_eq!(path, ruins.path(VECTORS)),
            other => panic!("{calls}: {other:?}"),
        }
        fs::write(ruins.path(VECTORS), whole).unwrap();
        assert!(ruins.now() == ruins.whole, "{calls}");
    }
}

/// What a dead writer left may be the last that is whole.
#[test]
fn a_leftover_stays_if_a_row_changes_while_codes_are_made_anew() {
    for calls in [0, 100, 12_000] {
        let ruins = Ruins::new();
        let leftover = ruins.path("segment-000007");
        fs::create_dir(&leftover).unwrap();
        for name in ["offsets.bin", "payloads.bin", "vectors.bin"] {
            let live = ruins.path("segment-000001").join(name);
            fs::copy(live, leftover.join(name)).unwrap();
        }
        let path = ruins.path(VECTORS);
        let made = rederive_while(ruins.dir(), calls, move || {
            rot(&path, 64 + 15_000 * 4 * DIMS);
        });
        assert!(
            matches!(made, Err(Error::Corrupt { .. })),
            "{calls}: {made:?}"
        );
        let found = fs::read(leftover.join("vectors.bin")).unwrap();
        assert!(found == ruins.whole[3], "{calls}");
        rot(&ruins.path(VECTORS), 64 + 15_000 * 4 * DIMS);
        rederive::<Error>(ruins.dir(), None, no_files).unwrap();
        assert!(!leftover.exists());
        assert_rows(ruins.dir());
    }
}

/// Whenever it is that a row changes: before its block is copied, or after it.
#[test]
fn a_row_that_changes_while_codes_are_made_anew_is_kept_or_an_error() {
    let mut seen = [0, 0];
    for calls in (0..16).chain([2_000, 12_000]) {
        for changed in [10, 3_000, 15_000] {
            let ruins = Ruins::new();
            let at = 64 + 4 * DIMS * changed;
            let path = ruins.path(VECTORS);
            match rederive_while(ruins.dir(), calls, move || rot(&path, at)) {
                Ok(()) => seen[0] += 1,
                Err(Error::Corrupt { path, offset, .. }) => {
                    assert_eq!(path, ruins.path(VECTORS));
                    assert_eq!(offset, (64 + (at - 64) / BLOCK * BLOCK) as u64);
                    // Nothing else has happened.
                    rot(&ruins.path(VECTORS), at);
                    assert!(ruins.now() == ruins.whole, "{calls} {changed}");
                    seen[1] += 1;
                }
                Err(error) => panic!("{error}"),
            }
            assert_rows(ruins.dir());
        }
    }
    println!("{seen:?} made anew and refused");
    assert!(seen[0] > 0 && seen[1] > 20, "{seen:?}");
}

/// What is derived of rows that have changed would pass every later check.
#[test]
fn nothing_is_committed_that_was_derived_from_rows_that_changed() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), false, 7).unwrap();
    let codec = PayloadCodec::Bincode;
    let mut writer = SegmentWriter::in_directory(dir.path(), true, 2, codec).unwrap();
    for id in 0..9_u8 {
        writer.push(&[f32::from(id), 0.5], id.to_string()).unwrap();
    }
    let staging = names(dir.path())
        .into_iter()
        .find(|name| name.starts_with('.'))
        .unwrap();
    let staged = dir.path().join(staging).join("segment/vectors.bin");
    let made = writer.finish_with(|vectors, writer| {
        rot(&staged, 64 + 8 * 5);
        let sums: Vec<u8> = vectors.as_slice().iter().map(|x| *x as u8).collect();
        writer.codes(&sums)
    });
    match made {
        Err(Error::Corrupt { path, offset, .. }) => assert_eq!((path, offset), (staged, 64)),
        other => panic!("{other:?}"),
    }
    assert_holds(&Segment::open(dir.path()).unwrap(), 7);
    assert_eq!(names(dir.path()), ["LOCK", "MANIFEST", "segment-000001"]);
}
