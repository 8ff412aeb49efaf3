//! A MANIFEST that belongs to none of the files beside it costs nothing, and is told of.

use std::fs;

use ringdb_storage::{
    DerivedWriter, Error, Loss, PayloadCodec, Segment, SegmentWriter, Vectors, rederive, verify,
};

use crate::ruins::{FILES, ROWS, Ruins, VECTORS, build, payload};
use crate::salvage::{run, salvaged};
use crate::support::{assert_holds, names, write};

#[test]
fn a_manifest_of_another_database_is_passed_over() {
    let other = tempfile::tempdir().unwrap();
    build(
        other.path(),
        PayloadCodec::Raw,
        9,
        |writer: &mut SegmentWriter<()>, row, _| writer.push_bytes(row, b""),
    );
    // Whole, or with nothing but its header.
    for at in [None, Some(70)] {
        let mut stray = fs::read(other.path().join("MANIFEST")).unwrap();
        at.into_iter().for_each(|at: usize| stray[at] ^= 1);
        let ruins = Ruins::new();
        fs::write(ruins.path("MANIFEST"), stray).unwrap();
        let to = tempfile::tempdir().unwrap();
        let (sum, _) = run(ruins.dir(), to.path(), false).unwrap();
        assert_eq!((sum.kept, sum.lost), (u64::from(ROWS), 0));
        assert!(sum.is_manifest_foreign);
        let found = verify(ruins.dir(), None).unwrap().damage;
        assert_eq!(found.len(), 1 + usize::from(at.is_some()));
        assert!(
            found
                .iter()
                .all(|found| found.path == ruins.path("MANIFEST"))
        );
        assert!(found[0].what.contains("it is of database "), "{found:?}");
        // Damage is found by the files alone.
        ruins.flip(VECTORS, 64);
        let rows = salvaged(&ruins, false);
        assert_eq!(rows[0].loss, Some(Loss::VectorDamaged));
        assert_eq!(rows[9_999].loss, None);
    }
}

#[test]
fn a_manifest_that_a_file_fits_is_not_passed_over() {
    let other = tempfile::tempdir().unwrap();
    build(
        other.path(),
        PayloadCodec::Bincode,
        ROWS,
        |writer, row, id| writer.push(row, payload(id)),
    );
    for own in &FILES[1..] {
        let ruins = Ruins::new();
        for name in FILES[1..].iter().filter(|name| *name != own) {
            fs::copy(other.path().join(name), ruins.path(name)).unwrap();
        }
        let text = format!("{:?}", verify(ruins.dir(), None).unwrap().damage);
        assert!(!text.contains("MANIFEST\""), "{text}");
        // Even if its header is one of theirs.
        let foreign = fs::read(other.path().join(own)).unwrap();
        ruins.change(own, |bytes| bytes[..64].copy_from_slice(&foreign[..64]));
        let text = format!("{:?}", verify(ruins.dir(), None).unwrap().damage);
        assert!(!text.contains("MANIFEST\""), "{text}");
    }
}

#[test]
fn an_older_manifest_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let (db, to) = (dir.path().join("db"), dir.path().join("to"));
    write(&db, false, 3).unwrap();
    let older = fs::read(db.join("MANIFEST")).unwrap();
    write(&db, true, 5).unwrap();
    fs::write(db.join("MANIFEST"), older).unwrap();
    let (sum, _) = run(&db, &to, false).unwrap();
    assert_eq!((sum.kept, sum.is_manifest_foreign), (5, true));
    assert_holds(&Segment::open(&to).unwrap(), 5);
}

/// What the older MANIFEST does not name is the only copy of the rows, and whoever writes leaves it there.
#[test]
fn a_writer_leaves_what_an_older_manifest_does_not_name() {
    let dir = tempfile::tempdir().unwrap();
    let (db, to) = (dir.path().join("db"), dir.path().join("to"));
    write(&db, false, 3).unwrap();
    let older = fs::read(db.join("MANIFEST")).unwrap();
    write(&db, true, 5).unwrap();
    fs::write(db.join("MANIFEST"), older).unwrap();
    let nothing = |_: &Vectors, _: &mut DerivedWriter<'_>| Ok::<(), Error>(());
    rederive(&db, None, nothing).unwrap_err();
    let codec = PayloadCodec::Bincode;
    drop(SegmentWriter::<u32>::in_directory(&db, true, 2, codec).unwrap());
    let (sum, _) = run(&db, &to, false).unwrap();
    assert_eq!((sum.kept, sum.is_manifest_foreign), (5, true));
    assert_holds(&Segment::open(&to).unwrap(), 5);
}

/// What a dead writer did not get to remove is no evidence against MANIFEST.
#[test]
fn a_leftover_segment_does_not_outvote_the_live_one() {
    let dir = tempfile::tempdir().unwrap();
    let (db, to) = (dir.path().join("db"), dir.path().join("to"));
    write(&db, false, 3).unwrap();
    let old = db.join("segment-000001");
    let files: Vec<_> = names(&old).into_iter().map(|name| old.join(name)).collect();
    let whole: Vec<_> = files.iter().map(|path| fs::read(path).unwrap()).collect();
    write(&db, true, 5).unwrap();
    fs::create_dir(&old).unwrap();
    files
        .iter()
        .zip(whole)
        .for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
    let live = db.join("segment-000002");
    for name in names(&live) {
        let mut bytes = fs::read(live.join(&name)).unwrap();
        let end = bytes.len();
        bytes[..64].fill(0);
        bytes[end - 16..].fill(0);
        fs::write(live.join(name), bytes).unwrap();
    }
    let found = verify(&db, None).unwrap().damage;
    assert!(
        found.iter().all(|found| found.path.starts_with(&live)),
        "{found:#?}"
    );
    let (sum, _) = run(&db, &to, false).unwrap();
    assert_eq!((sum.kept, sum.is_manifest_foreign), (5, false));
    assert_holds(&Segment::open(&to).unwrap(), 5);
}
