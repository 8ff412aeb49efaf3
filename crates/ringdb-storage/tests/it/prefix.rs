//! The third derived file, beside the two of [`derived`](crate::derived): it comes back, damage of it is named,
//! and nothing else needs it.

use std::fs;
use std::path::Path;

use ringdb_storage::{
    Access, DerivedWriter, Error, PayloadCodec, ReadOptions, Result, Segment, SegmentWriter,
    Vectors, Verify, is_derived_file, rederive, salvage, verify,
};

use crate::derived::{
    BAD_BLOCK, BLOCK, CODES, FINE, all_options, assert_derived, check_damage, derive, derived,
    filled, flip, found_at, lazy, mutants, writer,
};
use crate::support::{assert_holds, names, no_files, sign};

const PREFIX: &str = "segment-000001/prefix.bin";

const LENS: [usize; 2] = [BLOCK + 9, 17];

/// Writes codes and fine codes of `lens` bytes and a prefix of `len`, in parts.
fn derive_all(
    vectors: &Vectors,
    writer: &mut DerivedWriter<'_>,
    lens: [usize; 2],
    len: usize,
) -> Result<()> {
    writer.reserve(0, 0, len)?;
    let prefix = derived(vectors, len);
    let (first, rest) = prefix.split_at(len / 3);
    writer.prefix(first)?;
    derive(vectors, writer, lens)?;
    rest.chunks(70_001).try_for_each(|part| writer.prefix(part))
}

/// Writes a database of `rows` entries with derived files of these lengths.
pub(crate) fn build(dir: &Path, rows: u32, lens: [usize; 2], len: usize) -> Segment<String> {
    let segment =
        writer(dir, rows).finish_with(|vectors, writer| derive_all(vectors, writer, lens, len));
    let segment = segment.unwrap();
    assert_all(&segment, lens, len);
    segment
}

#[track_caller]
fn assert_all(segment: &Segment<String>, lens: [usize; 2], len: usize) {
    assert_derived(segment, lens);
    let Some(prefix) = &segment.prefix else {
        assert_eq!(len, 0);
        return;
    };
    prefix.verify(0..usize::MAX).unwrap();
    assert!(prefix.bytes() == derived(&segment.vectors, len), "{len}");
    assert_eq!(prefix.bytes().as_ptr() as usize % 64, 0);
}

#[test]
fn a_prefix_comes_back_from_memory_and_from_disk() {
    for len in [0, 1, BLOCK, 3 * BLOCK + 1, (1 << 20) + 5] {
        // Storage does not know that one says nothing without the others.
        for lens in [[0, 0], [0, 5], LENS] {
            let memory = SegmentWriter::in_memory(3, PayloadCodec::Bincode).unwrap();
            let segment = filled(memory, 9)
                .finish_with(|vectors, writer| derive_all(vectors, writer, lens, len));
            let segment = segment.unwrap();
            assert_all(&segment, lens, len);
            assert_holds(&segment, 9);

            let dir = tempfile::tempdir().unwrap();
            assert_holds(&build(dir.path(), 9, lens, len), 9);
            let found = names(&dir.path().join("segment-000001"));
            assert_eq!(found.contains(&"prefix.bin".to_owned()), len > 0);
            for options in all_options() {
                let segment = Segment::open_with(dir.path(), &options).unwrap();
                assert_all(&segment, lens, len);
                assert_holds(&segment, 9);
            }
            let report = verify(dir.path(), None).unwrap();
            assert_eq!(report.damage, []);
            assert_eq!(report.files, 1 + found.len() as u64);
            let blocks: usize = lens.iter().chain([&len]).map(|n| n.div_ceil(BLOCK)).sum();
            assert_eq!(report.blocks, 4 + blocks as u64);
        }
    }
}

#[test]
fn a_damaged_block_is_named_at_opening_or_before_it_is_used() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path(), 5, LENS, 2 * BLOCK + 9);
    let path = dir.path().join(PREFIX);
    for block in 0..3 {
        let at = 64 + block * BLOCK;
        flip(&path, &[at + 3]);
        for access in [Access::Map, Access::Read] {
            let options = ReadOptions::new().access(access);
            let open = |verify| {
                let options = options.clone().verify(verify);
                Segment::<String>::open_with(dir.path(), &options)
            };
            match open(Verify::Open) {
                Err(Error::Corrupt {
                    path: named,
                    offset,
                    ..
                }) => assert_eq!((named, offset), (path.clone(), at as u64)),
                other => panic!("{other:?}"),
            }
            let segment = open(Verify::Lazy).unwrap();
            for other in [segment.codes.unwrap(), segment.fine.unwrap()] {
                other.verify(0..usize::MAX).unwrap();
            }
            let prefix = segment.prefix.unwrap();
            prefix.verify(0..block * BLOCK).unwrap();
            prefix.verify((block + 1) * BLOCK..usize::MAX).unwrap();
            for range in [block * BLOCK..block * BLOCK + 1, 0..usize::MAX] {
                let error = prefix.verify(range).unwrap_err();
                let start = format!("{} is corrupt at byte {at}: ", path.display());
                assert!(error.to_string().starts_with(&start), "{error}");
                assert_eq!(found_at(Err(error)), at as u64);
            }
            // Whoever asks for no checks gets none.
            let prefix = open(Verify::Never).unwrap().prefix.unwrap();
            prefix.verify(0..usize::MAX).unwrap();
        }
        check_damage(dir.path(), &[(PREFIX, at as u64, BAD_BLOCK)]);
        flip(&path, &[at + 3]);
    }
    check_damage(dir.path(), &[]);
}

#[test]
fn every_flipped_bit_and_every_cut_of_a_prefix_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path(), 5, [7, 5], 60);
    let path = dir.path().join(PREFIX);
    let whole = fs::read(&path).unwrap();
    for (i, mutant) in mutants(&whole).enumerate() {
        fs::write(&path, &mutant).unwrap();
        let error = Segment::<String>::open(dir.path()).unwrap_err().to_string();
        let is_named = error.starts_with(&path.display().to_string());
        assert!(is_named, "{i}: {error}");
        let report = verify(dir.path(), None).unwrap();
        assert!(report.is_derived_alone(), "{i}: {:?}", report.damage);
        let is_of_body = (64 * 8..(64 + 60) * 8).contains(&i);
        match Segment::<String>::open_with(dir.path(), &lazy()) {
            Err(_) => assert!(!is_of_body, "{i}"),
            Ok(segment) => {
                assert!(is_of_body, "{i}");
                segment.prefix.unwrap().verify(59..60).unwrap_err();
            }
        }
    }
}

#[test]
fn a_missing_prefix_is_named_and_can_be_passed_over() {
    let damages: [fn(&Path); 3] = [
        |path| fs::remove_file(path).unwrap(),
        |path| fs::write(path, "").unwrap(),
        |path| flip(path, &[70]),
    ];
    for (i, damage) in damages.into_iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        build(dir.path(), 9, LENS, 100);
        let path = dir.path().join(PREFIX);
        damage(&path);
        for options in all_options() {
            let opened = Segment::<String>::open_with(dir.path(), &options);
            if i == 0 {
                let what = "is corrupt at byte 0: missing, though MANIFEST names it";
                let expected = format!("{} {what}", path.display());
                assert_eq!(opened.unwrap_err().to_string(), expected);
            }
            let options = options.skip_derived(true);
            let segment = Segment::open_with(dir.path(), &options).unwrap();
            assert_holds(&segment, 9);
            assert!(segment.prefix.is_none() && segment.codes.is_none());
        }
        let report = verify(dir.path(), None).unwrap();
        assert!(report.is_derived_alone() && is_derived_file(&path));
        assert!(report.damage.iter().all(|found| found.path == path));
    }
}

#[test]
fn a_prefix_of_another_kind_or_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let [a, b] = ["a", "b"].map(|name| dir.path().join(name));
    for db in [&a, &b] {
        build(db, 4, [30, 30], 30);
    }
    let refused = |file: &[u8]| {
        fs::write(a.join(PREFIX), file).unwrap();
        assert!(!verify(&a, None).unwrap().is_whole());
        for options in all_options() {
            Segment::<String>::open_with(&a, &options).unwrap_err();
        }
        Segment::<String>::open(&a).unwrap_err().to_string()
    };
    let own = fs::read(a.join(PREFIX)).unwrap();
    let foreign = refused(&fs::read(b.join(PREFIX)).unwrap());
    assert!(
        foreign.contains("prefix.bin is corrupt at byte 16: it is of database"),
        "{foreign}"
    );
    let codes = refused(&fs::read(a.join(CODES)).unwrap());
    assert!(
        codes.contains("a file of kind 5 where kind 7 (Prefix) belongs"),
        "{codes}"
    );
    let mut other = own.clone();
    other[64] ^= 1;
    sign(&mut other);
    let other = refused(&other);
    assert!(other.contains("MANIFEST says "), "{other}");
    fs::write(a.join(PREFIX), own).unwrap();
    assert_all(&Segment::open(&a).unwrap(), [30, 30], 30);
}

#[test]
fn salvage_does_without_a_prefix() {
    for is_lost in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let [db, rescued] = ["db", "rescued"].map(|name| dir.path().join(name));
        build(&db, 5, LENS, 2 * BLOCK);
        match is_lost {
            true => fs::remove_file(db.join(PREFIX)).unwrap(),
            false => flip(&db.join(PREFIX), &[0, 80]),
        }
        let mut before = None;
        let salvaged = salvage::<Error>(
            &db,
            &rescued,
            false,
            None,
            |vectors, writer| {
                before = writer.before();
                derive(vectors, writer, LENS)
            },
            |row| {
                assert_eq!(row.loss, None);
                Ok(())
            },
        );
        assert_eq!(salvaged.unwrap().kept, 5);
        // What MANIFEST says, whatever became of the file.
        let before = before.unwrap();
        assert!(before.codes && before.fine && before.prefix);
        let segment = Segment::open(&rescued).unwrap();
        assert_holds(&segment, 5);
        assert_all(&segment, LENS, 0);
        check_damage(&rescued, &[]);
    }
}

#[test]
fn a_prefix_is_made_anew_and_removed_with_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path(), 9, LENS, 100);
    let open = || Segment::open(dir.path()).unwrap();
    let rederived = |lens, len| {
        let mut before = None;
        let made = rederive::<Error>(dir.path(), None, |vectors, writer| {
            before = writer.before();
            derive_all(vectors, writer, lens, len)
        });
        drop(made.unwrap());
        assert_holds(&open(), 9);
        assert_all(&open(), lens, len);
        check_damage(dir.path(), &[]);
        before.unwrap().prefix
    };
    fs::write(dir.path().join(PREFIX), "").unwrap();
    assert!(rederived(LENS, BLOCK + 1));
    // Without one the others stay, and the other way round.
    assert!(rederived(LENS, 0));
    assert!(!rederived([0, 0], 5));
    let files = names(&dir.path().join("segment-000004"));
    assert_eq!(
        files,
        ["offsets.bin", "payloads.bin", "prefix.bin", "vectors.bin"]
    );
    rederive::<Error>(dir.path(), None, no_files).unwrap();
    assert_all(&open(), [0, 0], 0);
    assert_eq!(
        names(dir.path()),
        ["LOCK", "MANIFEST", "segment-000005"],
        "the old segments are gone with their prefixes"
    );
}

#[test]
fn memory_that_there_is_not_is_an_error_that_names_the_file() {
    let memory = SegmentWriter::in_memory(3, PayloadCodec::Bincode).unwrap();
    let error = filled(memory, 3)
        .finish_with(|_, writer| writer.reserve(0, 0, usize::MAX))
        .unwrap_err()
        .to_string();
    let start = "cannot allocate memory for prefix.bin: ";
    assert!(error.starts_with(start), "{error}");
}

#[test]
fn damage_of_all_three_is_named_in_the_order_of_their_names() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path(), 5, [30, 30], 30);
    for name in [PREFIX, FINE, CODES] {
        flip(&dir.path().join(name), &[64]);
    }
    let all = [CODES, FINE, PREFIX].map(|name| (name, 64, BAD_BLOCK));
    check_damage(dir.path(), &all);
    // Without MANIFEST, too; what is not there was perhaps never written.
    fs::remove_file(dir.path().join("MANIFEST")).unwrap();
    let lost = [&[("MANIFEST", 0, "missing")], &all[..]].concat();
    check_damage(dir.path(), &lost);
    fs::remove_file(dir.path().join(PREFIX)).unwrap();
    check_damage(dir.path(), &lost[..3]);
}
