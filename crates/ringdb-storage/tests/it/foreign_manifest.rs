//! A MANIFEST that belongs to none of the files beside it costs nothing, and is told of.

use std::fs;
use std::path::PathBuf;

use ringdb_storage::{Error, Loss, PayloadCodec, Segment, SegmentWriter, rederive, verify};
use tempfile::TempDir;

use crate::ruins::{FILES, ROWS, Ruins, VECTORS, build, payload};
use crate::salvage::{run, salvaged};
use crate::support::{assert_holds, names, no_files, write};

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

/// A database of 5 rows in its second generation, and the files of the first one, of 3 rows.
struct Replaced {
    dir: TempDir,
    manifest: Vec<u8>,
    files: Vec<(String, Vec<u8>)>,
}

impl Replaced {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let db = dir.path().join("db");
        write(&db, false, 3).unwrap();
        let old = db.join(OLD);
        let read = |name: String| (name.clone(), fs::read(old.join(name)).unwrap());
        let files = names(&old).into_iter().map(read).collect();
        let manifest = fs::read(db.join("MANIFEST")).unwrap();
        write(&db, true, 5).unwrap();
        Self {
            dir,
            manifest,
            files,
        }
    }

    fn db(&self) -> PathBuf {
        self.dir.path().join("db")
    }

    fn put_manifest_back(&self) {
        fs::write(self.db().join("MANIFEST"), &self.manifest).unwrap();
    }

    /// Puts the old segment there, as if nobody had removed it.
    fn put_segment_back(&self) {
        fs::create_dir(self.db().join(OLD)).unwrap();
        for (name, bytes) in &self.files {
            fs::write(self.db().join(OLD).join(name), bytes).unwrap();
        }
    }

    /// Why nothing is salvaged.
    #[track_caller]
    fn refused(&self) -> String {
        let to = self.dir.path().join("to");
        let error = run(&self.db(), &to, false).unwrap_err();
        assert!(!to.exists());
        error.to_string()
    }

    #[track_caller]
    fn assert_salvaged(&self, rows: u32, is_manifest_foreign: bool) {
        let to = tempfile::tempdir().unwrap();
        let (sum, _) = run(&self.db(), to.path(), false).unwrap();
        assert_eq!((sum.kept, sum.lost), (u64::from(rows), 0));
        assert_eq!(sum.is_manifest_foreign, is_manifest_foreign);
        assert_holds(&Segment::open(to.path()).unwrap(), rows);
    }
}

const OLD: &str = "segment-000001";
const LIVE: &str = "segment-000002";

#[test]
fn an_older_manifest_is_passed_over() {
    let db = Replaced::new();
    db.put_manifest_back();
    db.assert_salvaged(5, true);
    // Whatever there is under the names of the files that it names, if it is none of them.
    let old = db.db().join(OLD);
    fs::create_dir(&old).unwrap();
    fs::create_dir(old.join("offsets.bin")).unwrap();
    fs::write(old.join("payloads.bin"), "").unwrap();
    db.assert_salvaged(5, true);
}

/// What the older MANIFEST does not name is the only copy of the rows, and whoever writes leaves it there.
#[test]
fn a_writer_leaves_what_an_older_manifest_does_not_name() {
    let db = Replaced::new();
    db.put_manifest_back();
    rederive::<Error>(&db.db(), None, no_files).unwrap_err();
    let codec = PayloadCodec::Bincode;
    drop(SegmentWriter::<u32>::in_directory(&db.db(), true, 2, codec).unwrap());
    db.assert_salvaged(5, true);
}

/// What a dead writer did not get to remove is no evidence against MANIFEST.
#[test]
fn a_leftover_segment_does_not_outvote_the_live_one() {
    let db = Replaced::new();
    db.put_segment_back();
    let live = db.db().join(LIVE);
    for name in names(&live) {
        let mut bytes = fs::read(live.join(&name)).unwrap();
        let end = bytes.len();
        bytes[..64].fill(0);
        bytes[end - 16..].fill(0);
        fs::write(live.join(name), bytes).unwrap();
    }
    let found = verify(&db.db(), None).unwrap().damage;
    assert!(
        found.iter().all(|found| found.path.starts_with(&live)),
        "{found:#?}"
    );
    db.assert_salvaged(5, false);
    // Nor if only its header tells which generation it is of: then nothing proves the rows.
    let path = db.db().join("MANIFEST");
    let mut manifest = fs::read(&path).unwrap();
    manifest[70] ^= 1;
    fs::write(&path, manifest).unwrap();
    let error = db.refused();
    assert!(
        error.ends_with("nothing whole tells the number of rows"),
        "{error}"
    );
}

/// The rows of an older generation are not those of the database: they are not given out as if they were.
#[test]
fn a_leftover_segment_does_not_stand_in_for_the_live_one() {
    let db = Replaced::new();
    db.put_segment_back();
    fs::remove_dir_all(db.db().join(LIVE)).unwrap();
    let told = |name: &str, what: &str| (db.db().join(name), what.to_string());
    let left = format!(
        "of generation 2, and none of its files is left; {} is of generation 1, which it replaced, and can be \
         salvaged without it",
        db.db().join(OLD).display()
    );
    let expected = [
        told("MANIFEST", &left),
        told("segment-000002/offsets.bin", "missing"),
        told("segment-000002/payloads.bin", "missing"),
        told("segment-000002/vectors.bin", "missing"),
    ];
    let found = verify(&db.db(), None).unwrap().damage;
    let found = found.iter().map(|it| (it.path.clone(), it.what.clone()));
    assert_eq!(found.collect::<Vec<_>>(), expected);
    let error = db.refused();
    let why = format!("can be kept: vector missing (5), MANIFEST is {left};");
    assert!(error.contains(&why), "{error}");
    // The same under the number of the live one.
    fs::rename(db.db().join(OLD), db.db().join(LIVE)).unwrap();
    let error = db.refused();
    let why = format!(
        "{} is of generation 1, which it replaced",
        db.db().join(LIVE).display()
    );
    assert!(error.contains(&why), "{error}");
    // Without MANIFEST nothing says that there was more than it.
    fs::remove_file(db.db().join("MANIFEST")).unwrap();
    db.assert_salvaged(3, false);
}

/// An older MANIFEST has been put back, and something older still lies there: the newer files are the ones.
#[test]
fn an_older_segment_does_not_hinder_that_of_a_newer_one() {
    let db = Replaced::new();
    let older = fs::read(db.db().join("MANIFEST")).unwrap();
    write(&db.db(), true, 7).unwrap();
    fs::write(db.db().join("MANIFEST"), older).unwrap();
    db.put_segment_back();
    db.assert_salvaged(7, true);
}

/// What cannot be looked at may be the live segment: no other one is taken for it.
#[cfg(unix)]
#[test]
fn a_segment_that_cannot_be_read_is_not_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let (db, other) = (dir.path().join("db"), dir.path().join("other"));
    write(&other, false, 3).unwrap();
    write(&db, false, 5).unwrap();
    fs::rename(other.join(OLD), db.join(LIVE)).unwrap();
    for name in ["offsets.bin", "payloads.bin", "vectors.bin"] {
        fs::remove_file(db.join(OLD).join(name)).unwrap();
        std::os::unix::fs::symlink(name, db.join(OLD).join(name)).unwrap();
    }
    let to = dir.path().join("to");
    let error = run(&db, &to, false).unwrap_err();
    let what = format!("cannot open {}", db.join(OLD).join("offsets.bin").display());
    assert!(error.to_string().starts_with(&what), "{error}");
    assert!(!to.exists());
    let found = verify(&db, None).unwrap().damage;
    assert!(
        found
            .iter()
            .all(|found| found.path.starts_with(db.join(OLD))),
        "{found:#?}"
    );
}
