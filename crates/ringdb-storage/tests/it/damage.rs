//! A damaged database is an error that names a file, never another answer.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use ringdb_storage::{Error, PayloadStore, PayloadStoreBuilder, ReadOptions, Segment, Verify};

use crate::support::{assert_holds, data_files, sign, write};

#[test]
fn every_flipped_bit_and_every_cut_of_every_file_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), false, 5).unwrap();
    let open = || Segment::<String>::open(dir.path());
    let files = data_files(dir.path());
    assert_eq!(files.len(), 4);
    let mut mutants = 0;
    for path in files {
        let whole = fs::read(&path).unwrap();
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, flipped).unwrap();
            assert!(open().is_err(), "bit {bit} of {}", path.display());
        }
        for len in 0..whole.len() {
            fs::write(&path, &whole[..len]).unwrap();
            assert!(open().is_err(), "{len} bytes of {}", path.display());
        }
        fs::write(&path, [&whole[..], b"\0"].concat()).unwrap();
        assert!(open().is_err(), "one byte too many in {}", path.display());
        mutants += 9 * whole.len() + 1;
        fs::write(&path, whole).unwrap();
    }
    assert_holds(&open().unwrap(), 5);
    println!("{mutants} mutants, each an error");
}

#[test]
fn a_missing_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["vectors.bin", "payloads.bin", "offsets.bin"] {
        let db = dir.path().join(name);
        write(&db, false, 2).unwrap();
        fs::remove_file(db.join("segment-000001").join(name)).unwrap();
        let error = Segment::<String>::open(&db).unwrap_err();
        assert!(
            matches!(&error, Error::Corrupt { path, .. } if path.ends_with(name)),
            "{error}"
        );
    }
}

#[test]
fn files_of_another_database_or_generation_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let [a, b] = ["a", "b"].map(|name| dir.path().join(name));
    write(&a, false, 2).unwrap();
    write(&b, false, 2).unwrap();
    let old = fs::read(a.join("segment-000001/vectors.bin")).unwrap();
    fs::copy(
        b.join("segment-000001/vectors.bin"),
        a.join("segment-000001/vectors.bin"),
    )
    .unwrap();
    let error = Segment::<String>::open(&a).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("vectors.bin is corrupt at byte 16: it is of database"),
        "{error}"
    );

    write(&a, true, 2).unwrap();
    fs::write(a.join("segment-000002/vectors.bin"), old).unwrap();
    let error = Segment::<String>::open(&a).unwrap_err();
    assert!(
        error.to_string().contains("generation 1, MANIFEST of"),
        "{error}"
    );
}

#[test]
fn what_is_not_a_regular_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["MANIFEST", "segment-000001/payloads.bin"] {
        let db = dir.path().join(name.replace('/', "-"));
        write(&db, false, 2).unwrap();
        fs::remove_file(db.join(name)).unwrap();
        fs::create_dir(db.join(name)).unwrap();
        let error = Segment::<String>::open(&db).unwrap_err();
        assert!(error.to_string().ends_with("not a regular file"), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn a_fifo_in_place_of_a_file_is_refused_without_waiting_for_its_writer() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["MANIFEST", "segment-000001/vectors.bin"] {
        let db = dir.path().join(name.replace('/', "-"));
        write(&db, false, 2).unwrap();
        fs::remove_file(db.join(name)).unwrap();
        let made = std::process::Command::new("mkfifo")
            .arg(db.join(name))
            .status()
            .unwrap();
        assert!(made.success());
        let error = Segment::<String>::open(&db).unwrap_err();
        assert!(error.to_string().ends_with("not a regular file"), "{error}");
    }
}

#[test]
fn another_format_version_is_refused_with_both_named() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), false, 2).unwrap();
    for name in ["MANIFEST", "segment-000001/payloads.bin"] {
        let path = dir.path().join(name);
        let whole = fs::read(&path).unwrap();
        let mut newer = whole.clone();
        newer[8..12].copy_from_slice(&3_u32.to_le_bytes());
        sign(&mut newer);
        fs::write(&path, newer).unwrap();
        let error = Segment::<String>::open(dir.path()).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("has format version 3, this library reads version 1"),
            "{error}"
        );
        fs::write(&path, whole).unwrap();
    }
}

#[test]
fn rows_that_do_not_fit_their_counts_are_refused_even_with_good_checksums() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), false, 2).unwrap();
    let path = dir.path().join("segment-000001/vectors.bin");
    let whole = fs::read(&path).unwrap();
    let (dims, rows) = (12..16, 40..48);
    for (field, value, finding) in [
        (
            dims.clone(),
            0_u64,
            "byte 12: 0 dims: 1 to 65536 are possible",
        ),
        (dims.clone(), 65_537, "byte 12: 65537 dims"),
        (dims, 4, "24 bytes for 2 rows of 4 dims, not 32"),
        (rows.clone(), 3, "24 bytes for 3 rows of 3 dims, not 36"),
        (
            rows,
            u64::MAX,
            "byte 40: 18446744073709551615 rows: 0 to 4294967295",
        ),
    ] {
        let mut bytes = whole.clone();
        let width = field.len();
        bytes[field].copy_from_slice(&value.to_le_bytes()[..width]);
        sign(&mut bytes);
        fs::write(&path, bytes).unwrap();
        let error = Segment::<String>::open(dir.path()).unwrap_err();
        assert!(error.to_string().contains(finding), "{error}");
    }
    // Everything right in itself, but not what the manifest was written for.
    let mut bytes = whole;
    bytes[64..68].copy_from_slice(&9.0_f32.to_le_bytes());
    sign(&mut bytes);
    fs::write(&path, bytes).unwrap();
    let error = Segment::<String>::open(dir.path()).unwrap_err();
    assert!(
        error.to_string().contains("MANIFEST says 108 with"),
        "{error}"
    );
}

#[test]
fn a_range_of_rows_past_the_end_is_verified_up_to_it() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), false, 5).unwrap();
    let path = dir.path().join("segment-000001/vectors.bin");
    let mut bytes = fs::read(&path).unwrap();
    bytes[70] ^= 1;
    fs::write(&path, bytes).unwrap();
    let options = ReadOptions::new().verify(Verify::Lazy);
    let segment = Segment::<String>::open_with(dir.path(), &options).unwrap();
    for end in [1, 5, 6, 1 << 60, usize::MAX] {
        assert!(segment.vectors.verify(0..end).is_err(), "{end}");
    }
    segment.vectors.verify(5..usize::MAX).unwrap();
}

/// Damages the offset behind payload 0, then payload 1 itself, in the files that `store` reads already, and
/// asserts that they are named.
#[track_caller]
fn assert_names(store: &PayloadStore<String>, payloads: &Path, offsets: &Path) {
    let overwrite = |path: &Path, at: u64, bytes: &[u8]| {
        let mut file = fs::File::options().write(true).open(path).unwrap();
        file.seek(SeekFrom::Start(at)).unwrap();
        file.write_all(bytes).unwrap();
    };
    let named = |error: Error| match error {
        Error::Corrupt { path, .. } => path,
        error => panic!("{error}"),
    };
    // A record has 8 bytes of length, the text, and 4 of checksum.
    let start = 64 + 8 + store.fetch(0).unwrap().len() as u64 + 4;
    overwrite(payloads, start + 8, b"?");
    assert_eq!(named(store.fetch(1).unwrap_err()), payloads);
    overwrite(offsets, 64 + 8, &[0xff; 8]);
    assert_eq!(named(store.fetch(0).unwrap_err()), offsets);
}

#[test]
fn damage_of_what_was_just_written_is_named_by_its_public_name() {
    let dir = tempfile::tempdir().unwrap();
    let segment = write(dir.path(), false, 3).unwrap();
    let files =
        ["payloads.bin", "offsets.bin"].map(|name| dir.path().join("segment-000001").join(name));
    assert_names(&segment.payloads, &files[0], &files[1]);

    let mut builder = PayloadStoreBuilder::new().unwrap();
    for word in ["violin", "cello"] {
        builder.push(word.to_string()).unwrap();
    }
    let files = ["words", "words.offsets"].map(|name| dir.path().join(name));
    let store = builder.finish_persisted(&files[0], &files[1]).unwrap();
    assert_names(&store, &files[0], &files[1]);
}
