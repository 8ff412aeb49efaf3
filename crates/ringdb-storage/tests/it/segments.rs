//! Segments: rows and payloads together, and the directory they are committed to.

use std::fs;
use std::path::Path;

use ringdb_storage::{Error, PayloadCodec, Segment, SegmentWriter, rederive};

use crate::support::{
    assert_holds, entry, is_child, names, no_files, run_in_child, sign, while_replaced, write,
};

#[test]
fn a_segment_is_the_same_in_memory_built_and_opened() {
    for len in [0, 1, 2, 1000] {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = SegmentWriter::in_memory(3, PayloadCodec::Bincode).unwrap();
        for id in 0..len {
            let (row, payload) = entry(id);
            writer.push(&row, payload).unwrap();
        }
        assert_eq!(writer.len(), len as usize);
        assert_holds(&writer.finish().unwrap(), len);
        assert_holds(&write(dir.path(), false, len).unwrap(), len);
        assert_holds(&Segment::open(dir.path()).unwrap(), len);
        assert_eq!(names(dir.path()), ["LOCK", "MANIFEST", "segment-000001"]);
    }
}

#[test]
fn rows_larger_than_the_buffer_are_written_and_aligned() {
    let dir = tempfile::tempdir().unwrap();
    let row: Vec<f32> = (0..65_536).map(|i| i as f32).collect();
    let mut writer =
        SegmentWriter::in_directory(dir.path(), false, row.len(), PayloadCodec::Bincode).unwrap();
    for _ in 0..20 {
        writer.push(&row, ()).unwrap();
    }
    let segment = writer.finish().unwrap();
    assert_eq!(segment.vectors.as_slice(), row.repeat(20));
    assert_eq!(segment.vectors.as_slice().as_ptr() as usize % 64, 0);
}

#[test]
fn raw_payloads_come_back_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    let text = r#"{"word":"violin",  "n":1.0}"#;
    let mut writer =
        SegmentWriter::<()>::in_directory(dir.path(), false, 1, PayloadCodec::JsonText).unwrap();
    writer.push_bytes(&[1.0], text.as_bytes()).unwrap();
    let error = writer.push(&[1.0], ()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the payloads are stored as json-text, not as bincode: \
         push_bytes adds them and fetch_bytes reads them"
    );
    writer.finish().unwrap();
    let segment = Segment::<()>::open(dir.path()).unwrap();
    assert_eq!(segment.payloads.codec(), PayloadCodec::JsonText);
    assert_eq!(segment.payloads.fetch_bytes(0).unwrap(), text.as_bytes());
    assert!(matches!(
        segment.payloads.fetch(0),
        Err(Error::CodecMismatch { .. })
    ));

    let mut writer = SegmentWriter::<()>::in_memory(1, PayloadCodec::Bincode).unwrap();
    assert!(matches!(
        writer.push_bytes(&[1.0], b"{}"),
        Err(Error::CodecMismatch { .. })
    ));
    assert!(writer.is_empty());
}

#[test]
fn a_call_for_another_codec_is_told_which_calls_there_are() {
    let serde = "push adds them and fetch reads them";
    let bytes = "push_bytes adds them and fetch_bytes reads them";
    let pod = "push_pod adds them and fetch_ref reads them";
    for (codec, asked, advice) in [
        (PayloadCodec::Bincode, "raw", serde),
        (PayloadCodec::Postcard, "raw", serde),
        (PayloadCodec::JsonText, "bincode", bytes),
        (PayloadCodec::Raw, "bincode", bytes),
        (PayloadCodec::Pod, "bincode", pod),
    ] {
        let mut writer = SegmentWriter::in_memory(1, codec).unwrap();
        let error = match asked {
            "raw" => writer.push_bytes(&[1.0], b"7").unwrap_err(),
            _ => writer.push(&[1.0], 7_u8).unwrap_err(),
        };
        let stored = codec.name();
        let expected = format!("the payloads are stored as {stored}, not as {asked}: {advice}");
        assert_eq!(error.to_string(), expected);
        let segment = writer.finish().unwrap();
        let error = match asked {
            "raw" => segment.payloads.fetch_ref(0).unwrap_err(),
            _ => segment.payloads.fetch(0).unwrap_err(),
        };
        assert!(error.to_string().ends_with(advice), "{error}");
    }
}

#[test]
fn a_push_that_fails_leaves_rows_and_payloads_equal() {
    let mut writer = SegmentWriter::in_memory(2, PayloadCodec::Bincode).unwrap();
    writer.push(&[1.0, 2.0], 1_u8).unwrap();
    for (row, found) in [
        (&[][..], "0 coordinates"),
        (&[1.0], "1 coordinate"),
        (&[1.0, 2.0, 3.0], "3 coordinates"),
    ] {
        let error = writer.push(row, 9).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("a row of {found} for a store of 2 dims")
        );
    }
    writer.push(&[3.0, 4.0], 2).unwrap();
    let segment = writer.finish().unwrap();
    assert_eq!(segment.vectors.as_slice(), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(segment.payloads.fetch_many(&[0, 1]).unwrap(), [1, 2]);
    assert!(matches!(
        segment.vectors.row(2),
        Err(Error::IdOutOfRange { id: 2, len: 2 })
    ));
}

#[test]
fn dims_outside_the_limit_are_refused_before_anything_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("db");
    for dims in [0, 65_537, usize::MAX] {
        let memory = SegmentWriter::<()>::in_memory(dims, PayloadCodec::Bincode).unwrap_err();
        let disk = SegmentWriter::<()>::in_directory(&target, false, dims, PayloadCodec::Bincode)
            .unwrap_err();
        for error in [memory, disk] {
            assert_eq!(
                error.to_string(),
                format!("{dims} dims: a row has 1 to 65536 coordinates")
            );
        }
    }
    assert!(!target.exists());
}

#[test]
fn missing_ancestors_are_made_and_foreign_files_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("a/b/c");
    write(&target, false, 3).unwrap();
    assert_holds(&Segment::open(&target).unwrap(), 3);

    let target = dir.path().join("d");
    fs::create_dir(&target).unwrap();
    for name in ["notes.txt", "vectors.bin", ".staging-mine", "segment-7"] {
        fs::write(target.join(name), "mine").unwrap();
    }
    // Our pattern, but not our making: an empty directory and some with other things in them.
    for name in [
        "segment-000001",
        ".ringdb-staging-mine",
        ".ringdb-staging-backup/segment/photos",
    ] {
        fs::create_dir_all(target.join(name)).unwrap();
    }
    for name in [
        ".ringdb-staging-mine/film.mkv",
        ".ringdb-staging-backup/segment/photos/a.jpg",
    ] {
        fs::write(target.join(name), "mine").unwrap();
    }
    let before = names(&target);
    write(&target, false, 3).unwrap();
    assert_holds(&Segment::open(&target).unwrap(), 3);
    let mut expected = [
        &before[..],
        &["LOCK", "MANIFEST", "segment-000002"].map(String::from),
    ]
    .concat();
    expected.sort();
    assert_eq!(names(&target), expected);
    assert_eq!(fs::read(target.join("vectors.bin")).unwrap(), b"mine");
}

#[test]
fn a_database_is_replaced_only_when_asked() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), false, 3).unwrap();
    let error = write(dir.path(), false, 5).unwrap_err();
    assert!(
        matches!(&error, Error::AlreadyExists { path } if path == dir.path()),
        "{error}"
    );
    let old = Segment::open(dir.path()).unwrap();
    assert_holds(&old, 3);
    assert_holds(&write(dir.path(), true, 5).unwrap(), 5);
    assert_holds(&Segment::open(dir.path()).unwrap(), 5);
    assert_holds(&old, 3);
    assert_eq!(names(dir.path()), ["LOCK", "MANIFEST", "segment-000002"]);
}

#[test]
fn a_directory_of_ring_db_counts_as_a_database() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(
        dir.path().join("meta.bin"),
        [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    )
    .unwrap();
    fs::write(dir.path().join("offsets.bin"), [0; 8]).unwrap();
    for name in ["vectors.bin", "norms_sq.bin", "payloads.bin", "notes.txt"] {
        fs::write(dir.path().join(name), []).unwrap();
    }
    let before = names(dir.path());
    assert!(matches!(
        write(dir.path(), false, 1),
        Err(Error::AlreadyExists { .. })
    ));
    assert_eq!(names(dir.path()), before, "a refusal writes nothing");
    drop(SegmentWriter::<()>::in_directory(dir.path(), true, 1, PayloadCodec::Bincode).unwrap());
    assert_eq!(
        names(dir.path()),
        before,
        "what is not finished replaces nothing"
    );
    assert!(Segment::<()>::open(dir.path()).unwrap().vectors.is_empty());
    // Replaced, it cannot come back when MANIFEST is lost.
    write(dir.path(), true, 1).unwrap();
    assert_holds(&Segment::open(dir.path()).unwrap(), 1);
    assert_eq!(
        names(dir.path()),
        ["LOCK", "MANIFEST", "notes.txt", "segment-000001"]
    );
}

/// Serialises without its content, as untagged enums do: nothing that bincode can read back.
#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(u8),
}

#[test]
fn a_payload_that_could_not_come_back_is_refused_when_it_is_checked() {
    let mut writer = SegmentWriter::in_memory(1, PayloadCodec::Bincode).unwrap();
    let error = writer
        .push_checked(&[1.0], Untagged::Number(1))
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("Untagged") && text.contains("do not decode again"),
        "{text}"
    );
    assert!(writer.is_empty());
    writer.push(&[1.0], Untagged::Number(1)).unwrap();
    assert!(matches!(
        writer.finish().unwrap().payloads.fetch(0),
        Err(Error::Decode { id: 0, .. })
    ));
}

#[test]
fn a_directory_may_be_called_lock() {
    let dir = tempfile::tempdir().unwrap();
    let db = dir.path().join("LOCK");
    drop(SegmentWriter::<()>::in_directory(&db, false, 1, PayloadCodec::Bincode).unwrap());
    assert!(!db.exists());
    write(&db, false, 2).unwrap();
    assert_holds(&Segment::open(&db).unwrap(), 2);
}

#[test]
fn the_last_generation_has_no_successor() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), false, 1).unwrap();
    let path = dir.path().join("MANIFEST");
    let mut manifest = fs::read(&path).unwrap();
    manifest[32..40].fill(0xff);
    sign(&mut manifest);
    fs::write(&path, manifest).unwrap();
    let error = write(dir.path(), true, 1).unwrap_err();
    assert!(
        error.to_string().contains("MANIFEST is corrupt at byte 32"),
        "{error}"
    );
}

/// Runs itself again in a process of its own, whose working directory it may change.
#[test]
fn a_relative_directory_is_the_one_it_was_when_the_writer_began() {
    if !is_child() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a", "b/out"] {
            fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        run_in_child(
            "segments::a_relative_directory_is_the_one_it_was_when_the_writer_began",
            |child| child.current_dir(dir.path()),
        );
        assert!(Segment::<u8>::open(&dir.path().join("a/out")).is_ok());
        assert_eq!(names(&dir.path().join("b/out")), [""; 0]);
        return;
    }
    std::env::set_current_dir("a").unwrap();
    let out = Path::new("out");
    let mut writer = SegmentWriter::in_directory(out, false, 1, PayloadCodec::Bincode).unwrap();
    writer.push(&[1.0], 7_u8).unwrap();
    std::env::set_current_dir("../b").unwrap();
    writer.finish().unwrap();
}

#[test]
fn an_empty_path_is_no_directory() {
    assert!(
        write(Path::new(""), false, 1)
            .unwrap_err()
            .to_string()
            .starts_with("cannot find ")
    );
    assert!(Segment::<()>::open(Path::new("")).is_err());
}

#[test]
fn what_is_no_database_is_said_to_be_none() {
    let dir = tempfile::tempdir().unwrap();
    let error = Segment::<()>::open(dir.path()).unwrap_err();
    assert!(
        matches!(&error, Error::NotADatabase { path } if path == dir.path()),
        "{error}"
    );
    let error = Segment::<()>::open(&dir.path().join("none")).unwrap_err();
    let kind = |error: &Error| match error {
        Error::Io { source, .. } => Some(source.kind()),
        _ => None,
    };
    assert_eq!(kind(&error), Some(std::io::ErrorKind::NotFound), "{error}");
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let to = dir.path().join("new");
    let errors = [
        Segment::<()>::open(&file).unwrap_err(),
        rederive(&file, None, no_files::<Error>).unwrap_err(),
        ringdb_storage::verify(&file, None).unwrap_err(),
        ringdb_storage::salvage(&file, &to, false, None, no_files, |_| Ok::<(), Error>(()))
            .unwrap_err(),
    ];
    for error in errors {
        assert_eq!(kind(&error), Some(std::io::ErrorKind::NotADirectory));
        let expected = format!("cannot open {}: not a directory", file.display());
        assert_eq!(error.to_string(), expected);
    }
    // A path through a file.
    assert!(write(&dir.path().join("file/db"), false, 1).is_err());
}

#[test]
fn readers_see_the_old_database_or_the_new_while_a_writer_replaces_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut seen = 0;
    while_replaced(dir.path(), || {
        let segment = Segment::open(dir.path()).unwrap();
        let len = segment.vectors.len() as u32;
        assert!(len >= seen, "{len} rows after {seen}");
        assert_holds(&segment, len);
        seen = len;
    });
    assert_holds(&Segment::open(dir.path()).unwrap(), 59);
}
