//! `rederive`: new derived files beside the same rows and payloads, or the database as it was.

use std::fs;
use std::path::Path;

use ringdb_storage::{
    Access, Error, PayloadCodec, PayloadType, ReadOptions, Segment, SegmentWriter, Verify,
    rederive, verify,
};

use crate::derived::{BLOCK, CODES, FINE, all_options, assert_derived, build, derive, flip};
use crate::ruins::no_nan;
use crate::support::{assert_holds, data_files, names, no_files, write};

const LENS: [usize; 2] = [2 * BLOCK + 9, BLOCK];

/// Every file of a database and its bytes.
fn contents(dir: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let read = |path: std::path::PathBuf| (path.clone(), fs::read(path).unwrap());
    data_files(dir).into_iter().map(read).collect()
}

/// Damages of derived files that `damage` does to a database, each overcome.
fn check_overcome(damage: impl Fn(&Path)) {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path(), 9, LENS);
    damage(dir.path());
    let lens = [BLOCK + 1, 17];
    let segment = rederive::<Error>(dir.path(), None, |vectors, writer| {
        derive(vectors, writer, lens)
    });
    assert_eq!(segment.unwrap().vectors.len(), 9);
    for options in all_options() {
        let segment = Segment::open_with(dir.path(), &options).unwrap();
        assert_holds(&segment, 9);
        assert_derived(&segment, lens);
    }
    assert_eq!(verify(dir.path(), None).unwrap().damage, []);
    assert_eq!(names(dir.path()), ["LOCK", "MANIFEST", "segment-000002"]);
}

#[test]
fn derived_files_are_made_anew_whatever_became_of_the_old_ones() {
    check_overcome(|_| {});
    check_overcome(|dir| flip(&dir.join(CODES), &[0, 64, 70_000]));
    check_overcome(|dir| fs::write(dir.join(FINE), "").unwrap());
    check_overcome(|dir| {
        fs::remove_file(dir.join(CODES)).unwrap();
        fs::remove_file(dir.join(FINE)).unwrap();
    });
}

/// MANIFEST vouches for the files that it names, and for no others.
#[test]
fn a_file_of_somebody_else_is_not_removed_with_the_old_segment() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), false, 5).unwrap();
    fs::write(dir.path().join(CODES), "mine").unwrap();
    rederive::<Error>(dir.path(), None, no_files).unwrap();
    assert_eq!(fs::read(dir.path().join(CODES)).unwrap(), b"mine");
    assert_holds(&Segment::open(dir.path()).unwrap(), 5);
}

#[test]
fn a_database_gets_derived_files_and_loses_them() {
    let dir = tempfile::tempdir().unwrap();
    let old = write(dir.path(), false, 5).unwrap();
    let made = rederive::<Error>(dir.path(), None, |vectors, writer| {
        derive(vectors, writer, LENS)
    });
    assert!(made.unwrap().codes.is_some());
    let new = Segment::open(dir.path()).unwrap();
    assert_derived(&new, LENS);
    rederive::<Error>(dir.path(), None, no_files).unwrap();
    let last = Segment::open(dir.path()).unwrap();
    assert!(last.codes.is_none() && last.fine.is_none());
    let files = ["offsets.bin", "payloads.bin", "vectors.bin"];
    assert_eq!(names(&dir.path().join("segment-000003")), files);
    for segment in [&old, &new, &last] {
        assert_holds(segment, 5);
    }
}

/// Whatever the type of the payloads was, their bytes, codec and name are kept.
#[test]
fn payloads_are_kept_as_they_are_stored() {
    let dir = tempfile::tempdir().unwrap();
    let codecs = [
        PayloadCodec::JsonText,
        PayloadCodec::Raw,
        PayloadCodec::Postcard,
        PayloadCodec::Pod,
    ];
    for (codec, name) in codecs.into_iter().zip(["", "", "Song", "[u8; 4]"]) {
        let dir = dir.path().join(codec.name());
        let mut writer = SegmentWriter::<u32>::in_directory(&dir, false, 1, codec).unwrap();
        if !name.is_empty() {
            writer = writer.with_type_name(name).unwrap();
        }
        match codec {
            PayloadCodec::Pod => writer.push_pod(&[1.0], &70_000).unwrap(),
            PayloadCodec::Postcard => writer.push(&[1.0], 70_000).unwrap(),
            _ => writer.push_bytes(&[1.0], b"[ 7e4 ]").unwrap(),
        }
        let before = writer.finish().unwrap();
        rederive::<Error>(&dir, None, |_, writer| writer.codes(b"codes")).unwrap();
        let options = ReadOptions::new().payload_type(PayloadType::Any);
        let after = Segment::<u32>::open_with(&dir, &options).unwrap();
        assert_eq!(after.payloads.codec(), codec);
        assert_eq!(after.payloads.type_name(), name);
        let [before, after] = [before, after].map(|segment| {
            let bytes = segment.payloads.fetch_bytes(0).unwrap();
            bytes.to_vec()
        });
        assert_eq!(before, after);
    }
}

#[test]
fn damage_of_anything_else_is_an_error_that_names_it_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path(), 9, LENS);
    let whole = contents(dir.path());
    for (path, bytes) in &whole {
        let name = path.file_name().unwrap().to_str().unwrap();
        for at in (0..bytes.len()).step_by(bytes.len() / 20) {
            if ["codes.bin", "fine.bin"].contains(&name) {
                continue;
            }
            flip(path, &[at]);
            let before = contents(dir.path());
            let error = rederive::<Error>(dir.path(), None, no_files).unwrap_err();
            assert!(error.to_string().contains(name), "{name} {at}: {error}");
            assert!(contents(dir.path()) == before, "{name} {at}");
            flip(path, &[at]);
        }
    }
    // The segment that MANIFEST names, and nothing that a writer left.
    assert_eq!(names(dir.path()), ["LOCK", "MANIFEST", "segment-000001"]);
    let error = rederive(dir.path(), None, |_, writer| {
        writer.codes(b"some")?;
        Err(Error::NotADatabase {
            path: "mine".into(),
        })
    });
    assert!(matches!(error, Err(Error::NotADatabase { path }) if path == Path::new("mine")));
    assert!(contents(dir.path()) == whole);
}

#[test]
fn coordinates_are_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer =
        SegmentWriter::<()>::in_directory(dir.path(), false, 1, PayloadCodec::Bincode).unwrap();
    writer.push(&[f32::NAN], ()).unwrap();
    writer.finish().unwrap();
    let error = rederive::<Error>(dir.path(), Some(no_nan), no_files).unwrap_err();
    assert!(error.to_string().ends_with("is NaN"), "{error}");
    rederive::<Error>(dir.path(), None, no_files).unwrap();
}

#[test]
fn what_is_no_database_of_ours_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("none");
    let error = rederive::<Error>(&missing, None, no_files).unwrap_err();
    assert!(error.to_string().starts_with("cannot open "), "{error}");
    let error = rederive::<Error>(dir.path(), None, no_files).unwrap_err();
    assert!(matches!(error, Error::NotADatabase { .. }), "{error}");
    assert_eq!(names(dir.path()), [""; 0]);

    for name in ["meta.bin", "vectors.bin"] {
        fs::write(dir.path().join(name), "").unwrap();
    }
    let error = rederive::<Error>(dir.path(), None, no_files).unwrap_err();
    let expected = format!(
        "cannot rebuild {}: directories of ring-db have no derived files such as codes.bin",
        dir.path().display()
    );
    assert_eq!(error.to_string(), expected);
    assert_eq!(names(dir.path()), ["meta.bin", "vectors.bin"]);
}

#[test]
fn a_writer_at_work_is_not_disturbed() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path(), 3, LENS);
    let writer =
        SegmentWriter::<()>::in_directory(dir.path(), true, 3, PayloadCodec::Bincode).unwrap();
    let error = rederive::<Error>(dir.path(), None, no_files).unwrap_err();
    assert!(matches!(error, Error::Locked { .. }), "{error}");
    writer.finish().unwrap();
    let segment = rederive::<Error>(dir.path(), None, no_files).unwrap();
    assert!(segment.vectors.is_empty());
}

/// Of a database whose derived files are damaged, all else can be read.
#[test]
fn a_reader_may_pass_over_derived_files() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path(), 9, LENS);
    fs::write(dir.path().join(CODES), "").unwrap();
    fs::remove_file(dir.path().join(FINE)).unwrap();
    for access in [Access::Map, Access::Read] {
        for verify in [Verify::Open, Verify::Lazy, Verify::Never] {
            let options = ReadOptions::new().access(access).verify(verify);
            let error = Segment::<String>::open_with(dir.path(), &options).unwrap_err();
            assert!(matches!(error, Error::Corrupt { .. }), "{error}");
            let options = options.skip_derived(true);
            let segment = Segment::open_with(dir.path(), &options).unwrap();
            assert_holds(&segment, 9);
            assert!(segment.codes.is_none() && segment.fine.is_none());
        }
    }
}

#[test]
fn a_report_tells_whether_derived_files_alone_are_damaged() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path(), 9, LENS);
    let is_derived_alone = || verify(dir.path(), None).unwrap().is_derived_alone();
    assert!(!is_derived_alone(), "nothing is damaged");
    flip(&dir.path().join(CODES), &[64]);
    assert!(is_derived_alone());
    fs::remove_file(dir.path().join(FINE)).unwrap();
    assert!(is_derived_alone());
    flip(&dir.path().join("segment-000001/vectors.bin"), &[70]);
    assert!(!is_derived_alone());
}
