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
    assert_refused(&db);
}

/// The rows of an older generation are not those of the database: they are not given out as if they were.
#[test]
fn a_leftover_segment_does_not_stand_in_for_the_live_one() {
    let db = Replaced::new();
    db.put_segment_back();
    fs::remove_dir_all(db.db().join(LIVE)).unwrap();
    let found = verify(&db.db(), None).unwrap().damage;
    let missing = |name| (db.db().join(LIVE).join(name), "missing");
    let told = found.iter().map(|it| (it.path.clone(), it.what.as_str()));
    let files = ["offsets.bin", "payloads.bin", "vectors.bin"];
    assert_eq!(told.collect::<Vec<_>>(), files.map(missing));
    assert_refused(&db);
    // Without MANIFEST nothing says that there was more than it.
    fs::remove_file(db.db().join("MANIFEST")).unwrap();
    db.assert_salvaged(3, false);
}

#[track_caller]
fn assert_refused(db: &Replaced) {
    let to = db.dir.path().join("to");
    let error = run(&db.db(), &to, false).unwrap_err();
    let is_refused = matches!(
        error,
        Error::NothingToSalvage { .. } | Error::Corrupt { .. }
    );
    assert!(is_refused, "{error}");
    println!("{error}");
    assert!(!to.exists());
}
