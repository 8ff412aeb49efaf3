//! Derived files: what was computed from the rows comes back, or is an error that names the file.

use std::fs;
use std::path::{Path, PathBuf};

use ringdb_storage::{
    Access, Damage, Derived, DerivedWriter, Error, PayloadCodec, ReadOptions, Result, Segment,
    SegmentWriter, Vectors, Verify, salvage, verify,
};

use crate::support::{assert_holds, data_files, entry, names, sign, write};

pub(crate) const BLOCK: usize = 1 << 16;
pub(crate) const CODES: &str = "segment-000001/codes.bin";
pub(crate) const FINE: &str = "segment-000001/fine.bin";

/// What the tests derive from rows: as many bytes, each of which its row and its place tell.
pub(crate) fn derived(vectors: &Vectors, len: usize) -> Vec<u8> {
    let sum: f32 = vectors.as_slice().iter().sum();
    (0..len)
        .map(|i| (i * 31 + i / 251 + sum as usize) as u8)
        .collect()
}

/// Writes derived files of these lengths, in parts of several sizes.
pub(crate) fn derive(
    vectors: &Vectors,
    writer: &mut DerivedWriter<'_>,
    lens: [usize; 2],
) -> Result<()> {
    let [codes, fine] = lens.map(|len| derived(vectors, len));
    writer.reserve(codes.len() / 2, fine.len(), 0)?;
    for (i, part) in codes.chunks(100_001).enumerate() {
        writer.codes(part)?;
        if i == 0 {
            writer.codes(&[])?;
            fine.chunks(7).try_for_each(|part| writer.fine(part))?;
        }
    }
    // There may have been no codes.
    match codes.is_empty() {
        true => writer.fine(&fine),
        false => Ok(()),
    }
}

pub(crate) fn filled(mut writer: SegmentWriter<String>, rows: u32) -> SegmentWriter<String> {
    for id in 0..rows {
        let (row, payload) = entry(id);
        writer.push(&row, payload).unwrap();
    }
    writer
}

/// A writer of `rows` entries that replaces what is in `dir`.
pub(crate) fn writer(dir: &Path, rows: u32) -> SegmentWriter<String> {
    let codec = PayloadCodec::Bincode;
    filled(
        SegmentWriter::in_directory(dir, true, 3, codec).unwrap(),
        rows,
    )
}

/// Writes a database of `rows` entries with derived files of these lengths.
pub(crate) fn build(dir: &Path, rows: u32, lens: [usize; 2]) -> Segment<String> {
    let segment = writer(dir, rows)
        .finish_with(|vectors, writer| derive(vectors, writer, lens))
        .unwrap();
    assert_derived(&segment, lens);
    segment
}

#[track_caller]
pub(crate) fn assert_derived(segment: &Segment<String>, lens: [usize; 2]) {
    for (file, len) in [&segment.codes, &segment.fine].into_iter().zip(lens) {
        let Some(file) = file else {
            assert_eq!(len, 0);
            continue;
        };
        file.verify(0..usize::MAX).unwrap();
        assert!(
            file.bytes() == derived(&segment.vectors, len),
            "{len} bytes"
        );
        assert_eq!(file.bytes().as_ptr() as usize % 64, 0);
    }
}

/// Every way to open a database that does not pass over damage, and that which does.
pub(crate) fn all_options() -> Vec<ReadOptions> {
    let verify = [Verify::Open, Verify::Lazy, Verify::Never];
    let ways = [Access::Map, Access::Read]
        .map(|access| verify.map(|verify| ReadOptions::new().access(access).verify(verify)));
    ways.concat()
}

pub(crate) fn lazy() -> ReadOptions {
    ReadOptions::new().verify(Verify::Lazy)
}

/// Lengths around the borders of blocks, of the writer's buffer and of nothing.
const LENS: [[usize; 2]; 7] = [
    [0, 0],
    [1, 0],
    [0, 1],
    [BLOCK, BLOCK - 1],
    [3 * BLOCK + 1, 17],
    [(1 << 20) + 5, BLOCK + 1],
    [5 << 20, 3 << 20],
];

#[test]
fn what_was_derived_comes_back_from_memory_and_from_disk() {
    for lens in LENS {
        let memory = SegmentWriter::in_memory(3, PayloadCodec::Bincode).unwrap();
        let memory = filled(memory, 9);
        let segment = memory
            .finish_with(|vectors, writer| derive(vectors, writer, lens))
            .unwrap();
        assert_derived(&segment, lens);
        assert_holds(&segment, 9);

        let dir = tempfile::tempdir().unwrap();
        assert_holds(&build(dir.path(), 9, lens), 9);
        let mut expected = vec!["offsets.bin", "payloads.bin", "vectors.bin"];
        let named = ["codes.bin", "fine.bin"].into_iter().zip(lens);
        expected.extend(named.filter(|(_, len)| *len > 0).map(|(name, _)| name));
        expected.sort_unstable();
        assert_eq!(names(&dir.path().join("segment-000001")), expected);
        for options in all_options() {
            let segment = Segment::open_with(dir.path(), &options).unwrap();
            assert_derived(&segment, lens);
            assert_holds(&segment, 9);
        }
        let report = verify(dir.path(), None).unwrap();
        assert_eq!(report.damage, []);
        assert_eq!(report.files, 1 + expected.len() as u64);
        let blocks: usize = lens.iter().map(|len| len.div_ceil(BLOCK)).sum();
        assert_eq!(report.blocks, 4 + blocks as u64);
    }
}

#[test]
fn rows_are_shown_whole_even_if_there_are_none() {
    let dir = tempfile::tempdir().unwrap();
    for rows in [0, 1, 40_000] {
        let mut seen = None;
        let segment = writer(dir.path(), rows)
            .finish_with(|vectors, writer| {
                seen = Some(vectors.as_slice().to_vec());
                writer.codes(b"x")
            })
            .unwrap();
        assert_eq!(seen.unwrap(), segment.vectors.as_slice());
        assert_eq!(segment.codes.unwrap().bytes(), b"x");
    }
}

#[test]
fn without_derived_files_manifest_says_nothing_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let [plain, derived] = ["plain", "derived"].map(|name| dir.path().join(name));
    write(&plain, false, 5).unwrap();
    build(&derived, 5, [1, 1]);
    let [plain, derived] = [plain, derived].map(|dir| fs::read(dir.join("MANIFEST")).unwrap());
    // An entry takes 16 bytes.
    assert_eq!(plain.len() + 32, derived.len());
    assert_eq!(
        plain[48..56],
        (plain.len() as u64 - 64 - 4 - 16).to_le_bytes()
    );
}

#[test]
fn an_error_leaves_nothing_behind() {
    let out_of_range = || Error::IdOutOfRange { id: 7, len: 3 };
    let dir = tempfile::tempdir().unwrap();
    let db = dir.path().join("db");
    let fail = |writer: SegmentWriter<String>| {
        let error = writer.finish_with(|vectors, writer| {
            derive(vectors, writer, [3 << 20, 5])?;
            Err(out_of_range())
        });
        assert_eq!(error.unwrap_err().to_string(), out_of_range().to_string());
    };
    fail(writer(&db, 3));
    assert_eq!(names(dir.path()), [""; 0]);

    build(&db, 3, [10, 20]);
    let before: Vec<_> = data_files(&db).into_iter().map(read).collect();
    fail(writer(&db, 4));
    let after: Vec<_> = data_files(&db).into_iter().map(read).collect();
    assert!(before == after);
    assert_eq!(names(&db), ["LOCK", "MANIFEST", "segment-000001"]);

    fail(filled(
        SegmentWriter::in_memory(3, PayloadCodec::Bincode).unwrap(),
        3,
    ));
}

fn read(path: PathBuf) -> (PathBuf, Vec<u8>) {
    let bytes = fs::read(&path).unwrap();
    (path, bytes)
}

#[test]
fn bytes_that_were_refused_are_not_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let error = writer(dir.path(), 3).finish_with(|_, writer| {
        // Something is in the way of the file.
        let staging = names(dir.path());
        let staging = staging
            .iter()
            .find(|name| name.starts_with(".ringdb"))
            .unwrap();
        let place = dir.path().join(staging).join("segment/fine.bin");
        fs::create_dir(&place).unwrap();
        writer.codes(b"codes")?;
        assert!(writer.fine(b"refused").is_err());
        fs::remove_dir(&place).unwrap();
        writer.fine(b"taken")
    });
    let error = error.unwrap_err().to_string();
    assert!(error.starts_with("cannot finish "), "{error}");
    assert!(
        error.ends_with("fine.bin: bytes of it were refused before"),
        "{error}"
    );
    assert_eq!(names(dir.path()), [""; 0]);

    let memory = filled(
        SegmentWriter::in_memory(3, PayloadCodec::Bincode).unwrap(),
        3,
    );
    let error = memory.finish_with(|_, writer| writer.reserve(0, usize::MAX, 0));
    let error = error.unwrap_err().to_string();
    assert!(
        error.starts_with("cannot allocate memory for fine.bin: "),
        "{error}"
    );
}

#[test]
fn a_replaced_segment_is_removed_with_its_derived_files() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path(), 3, [10, 20]);
    let left = dir.path().join("segment-000009");
    fs::create_dir(&left).unwrap();
    for name in names(&dir.path().join("segment-000001")) {
        fs::copy(
            dir.path().join("segment-000001").join(&name),
            left.join(name),
        )
        .unwrap();
    }
    write(dir.path(), true, 4).unwrap();
    assert_eq!(names(dir.path()), ["LOCK", "MANIFEST", "segment-000002"]);
}

/// Every bit flipped, every cut and one byte too many.
pub(crate) fn mutants(whole: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let flipped = (0..whole.len() * 8).map(|bit| {
        let mut flipped = whole.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        flipped
    });
    let cut = (0..whole.len()).map(|len| whole[..len].to_vec());
    flipped.chain(cut).chain([[whole, b"\0"].concat()])
}

#[test]
fn every_flipped_bit_and_every_cut_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path(), 5, [77, 50]);
    for name in [CODES, FINE] {
        let path = dir.path().join(name);
        let whole = fs::read(&path).unwrap();
        let body = 64..whole.len() - 20;
        for (i, mutant) in mutants(&whole).enumerate() {
            fs::write(&path, &mutant).unwrap();
            let error = Segment::<String>::open(dir.path()).unwrap_err();
            let error = error.to_string();
            let is_named = error.starts_with(&path.display().to_string());
            assert!(is_named, "{i}: {error}");
            let opened = Segment::<String>::open_with(dir.path(), &lazy());
            match opened {
                Err(_) => assert!(!body.contains(&(i / 8)), "flip {i} of {name}"),
                Ok(segment) => {
                    assert!(body.contains(&(i / 8)) && mutant.len() == whole.len());
                    let (hit, other) = match name {
                        CODES => (segment.codes.unwrap(), segment.fine.unwrap()),
                        _ => (segment.fine.unwrap(), segment.codes.unwrap()),
                    };
                    other.verify(0..usize::MAX).unwrap();
                    for range in [0..1, 5..9, 0..usize::MAX] {
                        assert!(hit.verify(range).is_err(), "flip {i} of {name}");
                    }
                }
            }
            assert!(
                !verify(dir.path(), None).unwrap().is_whole(),
                "{i} of {name}"
            );
        }
        fs::write(&path, whole).unwrap();
    }
    assert_holds(&Segment::open(dir.path()).unwrap(), 5);
}

#[track_caller]
pub(crate) fn found_at(checked: Result<()>) -> u64 {
    match checked.unwrap_err() {
        Error::Corrupt { offset, .. } => offset,
        error => panic!("{error}"),
    }
}

#[test]
fn blocks_are_checked_one_by_one_and_once() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path(), 5, [4 * BLOCK + 9, 2 * BLOCK]);
    let path = dir.path().join(CODES);
    let whole = fs::read(&path).unwrap();
    for access in [Access::Map, Access::Read] {
        let options = lazy().access(access);
        for block in 0..5 {
            let mut damaged = whole.clone();
            damaged[64 + block * BLOCK + 3] ^= 4;
            fs::write(&path, damaged).unwrap();
            let segment = Segment::<String>::open_with(dir.path(), &options).unwrap();
            let codes: Derived = segment.codes.unwrap();
            let (start, end) = (block * BLOCK, (block + 1) * BLOCK);
            codes.verify(0..start).unwrap();
            codes.verify(end..usize::MAX).unwrap();
            codes.verify(start + 7..start + 7).unwrap();
            for range in [
                start..start + 1,
                start.saturating_sub(1)..start + 1,
                0..usize::MAX,
            ] {
                assert_eq!(found_at(codes.verify(range)), 64 + start as u64);
            }
            segment.fine.unwrap().verify(0..usize::MAX).unwrap();
        }
    }
    fs::write(&path, &whole).unwrap();

    // What was found whole is not looked at again.
    let segment = Segment::<String>::open_with(dir.path(), &lazy()).unwrap();
    let codes = segment.codes.unwrap();
    codes.verify(BLOCK..BLOCK + 1).unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    let edit = |at: usize, byte: u8| {
        use std::io::{Seek, SeekFrom, Write};
        (&file).seek(SeekFrom::Start(at as u64)).unwrap();
        (&file).write_all(&[byte]).unwrap();
    };
    for block in [1, 2] {
        let at = 64 + block * BLOCK;
        edit(at, !whole[at]);
    }
    codes.verify(BLOCK..2 * BLOCK).unwrap();
    assert_eq!(
        found_at(codes.verify(BLOCK..3 * BLOCK)),
        (64 + 2 * BLOCK) as u64
    );
}

#[test]
fn only_never_passes_over_damage() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path(), 5, [10, 10]);
    let path = dir.path().join(FINE);
    let mut damaged = fs::read(&path).unwrap();
    damaged[64] ^= 1;
    fs::write(&path, damaged).unwrap();
    for access in [Access::Map, Access::Read] {
        let options = ReadOptions::new().access(access).verify(Verify::Never);
        let segment = Segment::<String>::open_with(dir.path(), &options).unwrap();
        segment.fine.unwrap().verify(0..10).unwrap();
        let error = Segment::<String>::open_with(dir.path(), &options.verify(Verify::Open));
        assert_eq!(found_at(error.map(drop)), 64);
    }
}

#[test]
fn a_missing_file_is_named() {
    for name in [CODES, FINE] {
        let dir = tempfile::tempdir().unwrap();
        build(dir.path(), 2, [3, 4]);
        let path = dir.path().join(name);
        fs::remove_file(&path).unwrap();
        for options in all_options() {
            let error = Segment::<String>::open_with(dir.path(), &options).unwrap_err();
            let what = "is corrupt at byte 0: missing, though MANIFEST names it";
            assert_eq!(error.to_string(), format!("{} {what}", path.display()));
        }
        check_damage(dir.path(), &[(name, 0, "missing")]);
    }
}

#[test]
fn files_of_another_database_or_of_other_rows_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let [a, b] = ["a", "b"].map(|name| dir.path().join(name));
    let error = |name: &str, change: &dyn Fn(&mut Vec<u8>)| {
        for db in [&a, &b] {
            let _ = fs::remove_dir_all(db);
            build(db, 4, [30, 30]);
        }
        let mut file = fs::read(b.join(name)).unwrap();
        change(&mut file);
        fs::write(a.join(name), file).unwrap();
        for options in all_options() {
            assert!(Segment::<String>::open_with(&a, &options).is_err());
        }
        assert!(!verify(&a, None).unwrap().is_whole());
        Segment::<String>::open(&a).unwrap_err().to_string()
    };
    let own = |field: std::ops::Range<usize>, value: u8| {
        let own = a.clone();
        move |file: &mut Vec<u8>| {
            *file = fs::read(own.join(CODES)).unwrap();
            file[field.start] = value;
            sign(file);
        }
    };
    let foreign = error(CODES, &|_| {});
    assert!(
        foreign.contains("codes.bin is corrupt at byte 16: it is of database"),
        "{foreign}"
    );
    // Everything right in itself, but not what MANIFEST was written for.
    let other = error(CODES, &own(70..71, 0x5a));
    assert!(other.contains("MANIFEST says 114 with"), "{other}");
    let swapped = error(FINE, &own(64..65, 0));
    assert!(
        swapped.contains("a file of kind 5 where kind 6 (Fine) belongs"),
        "{swapped}"
    );
}

#[test]
fn dims_and_rows_in_headers_are_held_to_manifest() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path(), 4, [30, 30]);
    let path = dir.path().join(CODES);
    let (codes, named) = (fs::read(&path).unwrap(), dir.path().join("MANIFEST"));
    let manifest = fs::read(&named).unwrap();
    for (field, what) in [
        (12, "byte 12: dims 9, expected 3"),
        (40, "byte 40: rows 9, expected 4"),
    ] {
        let mut file = codes.clone();
        file[field] = 9;
        sign(&mut file);
        fs::write(&path, &file).unwrap();
        // MANIFEST with the checksum of this file: the last but one of its entries.
        let mut named_so = manifest.clone();
        let entry = named_so.len() - 20 - 32;
        assert_eq!(named_so[entry..entry + 4], [5, 0, 1, 0]);
        named_so[entry + 4..entry + 8].copy_from_slice(&file[file.len() - 4..]);
        sign(&mut named_so);
        fs::write(&named, named_so).unwrap();
        let error = Segment::<String>::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
        assert!(!verify(dir.path(), None).unwrap().is_whole());
    }
}

/// Compares where `verify` finds something, and a part of what.
#[track_caller]
pub(crate) fn check_damage(dir: &Path, expected: &[(&str, u64, &str)]) {
    let report = verify(dir, None).unwrap();
    let is = |found: &Damage, (name, at, what): &(&str, u64, &str)| {
        found.path == dir.join(name) && found.offset == *at && found.what.contains(what)
    };
    let are_all = report.damage.len() == expected.len();
    let mut pairs = report.damage.iter().zip(expected);
    assert!(
        are_all && pairs.all(|(found, expected)| is(found, expected)),
        "{report:#?}"
    );
}

/// Flips a bit of each of these bytes of a file.
pub(crate) fn flip(path: &Path, at: &[usize]) {
    let mut bytes = fs::read(path).unwrap();
    at.iter().for_each(|at| bytes[*at] ^= 1);
    fs::write(path, bytes).unwrap();
}

pub(crate) const BAD_BLOCK: &str = "computed over a block of ";

#[test]
fn verify_names_every_damaged_block_and_no_row_is_lost_by_it() {
    let dir = tempfile::tempdir().unwrap();
    let db = dir.path().join("db");
    build(&db, 5, [4 * BLOCK + 9, 2 * BLOCK]);
    let second = 64 + BLOCK;
    flip(&db.join(CODES), &[64, second, second + 9, 64 + 4 * BLOCK]);
    flip(&db.join(FINE), &[second + 1]);
    let second = second as u64;
    let expected = [
        (CODES, 64, BAD_BLOCK),
        (CODES, second, BAD_BLOCK),
        (CODES, 64 + 4 * BLOCK as u64, BAD_BLOCK),
        (FINE, second, BAD_BLOCK),
    ];
    check_damage(&db, &expected);
    let report = verify(&db, None).unwrap();
    assert_eq!((report.rows, report.payloads, report.files), (5, 5, 6));

    // The same without MANIFEST, by what the files say of themselves.
    fs::remove_file(db.join("MANIFEST")).unwrap();
    let lost = [&[("MANIFEST", 0, "missing")], &expected[..]].concat();
    check_damage(&db, &lost);
    // What is not there was perhaps never written.
    fs::remove_file(db.join(FINE)).unwrap();
    check_damage(&db, &lost[..4]);
    assert_eq!(verify(&db, None).unwrap().files, 4);

    let rescued = dir.path().join("rescued");
    let lens = [BLOCK + 1, 3];
    let salvaged = salvage::<Error>(
        &db,
        &rescued,
        false,
        None,
        |vectors, writer| derive(vectors, writer, lens),
        |row| {
            assert_eq!(row.loss, None);
            Ok(())
        },
    );
    assert_eq!(salvaged.unwrap().kept, 5);
    let segment = Segment::open(&rescued).unwrap();
    assert_holds(&segment, 5);
    assert_derived(&segment, lens);
    check_damage(&rescued, &[]);
}

#[test]
fn what_manifest_does_not_name_is_not_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), false, 5).unwrap();
    fs::write(dir.path().join(CODES), "somebody else's").unwrap();
    let segment = Segment::open(dir.path()).unwrap();
    assert_holds(&segment, 5);
    assert!(segment.codes.is_none());
    check_damage(dir.path(), &[]);
}
