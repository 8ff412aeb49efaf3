//! The derived files that came after the two of [`derived`](crate::derived): each comes back, damage of it is
//! named, and nothing else needs it.

use std::fs;
use std::path::Path;

use ringdb_storage::{
    Access, Derived, DerivedNames, DerivedWriter, Error, PayloadCodec, ReadOptions, Result,
    Segment, SegmentWriter, Vectors, Verify, is_derived_file, rederive, salvage, verify,
};

use crate::derived::{
    BAD_BLOCK, BLOCK, CODES, FINE, all_options, assert_derived, check_damage, derive, derived,
    filled, flip, found_at, lazy, mutants, writer,
};
use crate::support::{assert_holds, names, no_files, sign};

/// One of them.
struct Later {
    /// Below the directory of the database.
    name: &'static str,
    /// Its kind, as errors tell it.
    kind: &'static str,
    append: fn(&mut DerivedWriter<'_>, &[u8]) -> Result<()>,
    reserve: fn(&mut DerivedWriter<'_>, usize) -> Result<()>,
    of: fn(&Segment<String>) -> Option<&Derived>,
    is_named: fn(&DerivedNames) -> bool,
}

const LATER: [Later; 3] = [
    Later {
        name: "segment-000001/prefix.bin",
        kind: "kind 7 (Prefix)",
        append: |writer, bytes| writer.prefix(bytes),
        reserve: |writer, more| writer.reserve(0, 0, more),
        of: |segment| segment.prefix.as_ref(),
        is_named: |names| names.prefix,
    },
    Later {
        name: "segment-000001/blocks.bin",
        kind: "kind 8 (Blocks)",
        append: |writer, bytes| writer.blocks(bytes),
        reserve: |writer, more| writer.reserve_blocks(more, 0),
        of: |segment| segment.blocks.as_ref(),
        is_named: |names| names.blocks,
    },
    Later {
        name: "segment-000001/order.bin",
        kind: "kind 9 (Order)",
        append: |writer, bytes| writer.order(bytes),
        reserve: |writer, more| writer.reserve_blocks(0, more),
        of: |segment| segment.order.as_ref(),
        is_named: |names| names.order,
    },
];

impl Later {
    /// The name without the directory.
    fn file_name(&self) -> &'static str {
        &self.name["segment-000001/".len()..]
    }
}

const LENS: [usize; 2] = [BLOCK + 9, 17];

/// Writes codes and fine codes of `lens` bytes and the later files of `len`, in parts.
fn derive_all(
    vectors: &Vectors,
    writer: &mut DerivedWriter<'_>,
    lens: [usize; 2],
    len: usize,
) -> Result<()> {
    let bytes = derived(vectors, len);
    let (first, rest) = bytes.split_at(len / 3);
    for later in &LATER {
        (later.reserve)(writer, len)?;
        (later.append)(writer, first)?;
    }
    derive(vectors, writer, lens)?;
    for later in &LATER {
        rest.chunks(70_001)
            .try_for_each(|part| (later.append)(writer, part))?;
    }
    Ok(())
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
    for later in &LATER {
        let Some(found) = (later.of)(segment) else {
            assert_eq!(len, 0);
            continue;
        };
        found.verify(0..usize::MAX).unwrap();
        let is_it = found.bytes() == derived(&segment.vectors, len);
        assert!(is_it, "{} {len}", later.name);
        assert_eq!(found.bytes().as_ptr() as usize % 64, 0);
    }
}

#[test]
fn they_come_back_from_memory_and_from_disk() {
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
            for later in &LATER {
                let is_there = found.contains(&later.file_name().to_owned());
                assert_eq!(is_there, len > 0);
            }
            for options in all_options() {
                let segment = Segment::open_with(dir.path(), &options).unwrap();
                assert_all(&segment, lens, len);
                assert_holds(&segment, 9);
            }
            let report = verify(dir.path(), None).unwrap();
            assert_eq!(report.damage, []);
            assert_eq!(report.files, 1 + found.len() as u64);
            let blocks: usize = lens
                .iter()
                .chain([&len; 3])
                .map(|n| n.div_ceil(BLOCK))
                .sum();
            assert_eq!(report.blocks, 4 + blocks as u64);
        }
    }
}

#[test]
fn a_damaged_block_is_named_at_opening_or_before_it_is_used() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path(), 5, LENS, 2 * BLOCK + 9);
    for (later, block) in LATER
        .iter()
        .flat_map(|later| (0..3).map(move |block| (later, block)))
    {
        let path = dir.path().join(later.name);
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
            let others = LATER.iter().filter(|other| other.name != later.name);
            let others = others.filter_map(|other| (other.of)(&segment));
            for other in others.chain(&segment.codes).chain(&segment.fine) {
                other.verify(0..usize::MAX).unwrap();
            }
            let found = (later.of)(&segment).unwrap();
            found.verify(0..block * BLOCK).unwrap();
            found.verify((block + 1) * BLOCK..usize::MAX).unwrap();
            for range in [block * BLOCK..block * BLOCK + 1, 0..usize::MAX] {
                let error = found.verify(range).unwrap_err();
                let start = format!("{} is corrupt at byte {at}: ", path.display());
                assert!(error.to_string().starts_with(&start), "{error}");
                assert_eq!(found_at(Err(error)), at as u64);
            }
            // Whoever asks for no checks gets none.
            let segment = open(Verify::Never).unwrap();
            (later.of)(&segment).unwrap().verify(0..usize::MAX).unwrap();
        }
        check_damage(dir.path(), &[(later.name, at as u64, BAD_BLOCK)]);
        flip(&path, &[at + 3]);
    }
    check_damage(dir.path(), &[]);
}

#[test]
fn every_flipped_bit_and_every_cut_of_them_is_an_error() {
    for later in &LATER {
        let dir = tempfile::tempdir().unwrap();
        build(dir.path(), 5, [7, 5], 60);
        let path = dir.path().join(later.name);
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
                    (later.of)(&segment).unwrap().verify(59..60).unwrap_err();
                }
            }
        }
    }
}

#[test]
fn a_missing_one_is_named_and_can_be_passed_over() {
    let damages: [fn(&Path); 3] = [
        |path| fs::remove_file(path).unwrap(),
        |path| fs::write(path, "").unwrap(),
        |path| flip(path, &[70]),
    ];
    let damages = damages.into_iter().enumerate();
    for ((i, damage), later) in damages.flat_map(|it| LATER.iter().map(move |later| (it, later))) {
        let dir = tempfile::tempdir().unwrap();
        build(dir.path(), 9, LENS, 100);
        let path = dir.path().join(later.name);
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
            assert!((later.of)(&segment).is_none() && segment.codes.is_none());
        }
        let report = verify(dir.path(), None).unwrap();
        assert!(report.is_derived_alone() && is_derived_file(&path));
        assert!(report.damage.iter().all(|found| found.path == path));
    }
}

#[test]
fn one_of_another_kind_or_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let [a, b] = ["a", "b"].map(|name| dir.path().join(name));
    for db in [&a, &b] {
        build(db, 4, [30, 30], 30);
    }
    for later in &LATER {
        check_refused(later, &a, &b);
    }
}

fn check_refused(later: &Later, a: &Path, b: &Path) {
    let refused = |file: &[u8]| {
        fs::write(a.join(later.name), file).unwrap();
        assert!(!verify(a, None).unwrap().is_whole());
        for options in all_options() {
            Segment::<String>::open_with(a, &options).unwrap_err();
        }
        Segment::<String>::open(a).unwrap_err().to_string()
    };
    let own = fs::read(a.join(later.name)).unwrap();
    let foreign = refused(&fs::read(b.join(later.name)).unwrap());
    assert!(
        foreign.contains(&format!(
            "{} is corrupt at byte 16: it is of database",
            later.file_name()
        )),
        "{foreign}"
    );
    let codes = refused(&fs::read(a.join(CODES)).unwrap());
    assert!(
        codes.contains(&format!("a file of kind 5 where {} belongs", later.kind)),
        "{codes}"
    );
    let mut other = own.clone();
    other[64] ^= 1;
    sign(&mut other);
    let other = refused(&other);
    assert!(other.contains("MANIFEST says "), "{other}");
    fs::write(a.join(later.name), own).unwrap();
    assert_all(&Segment::open(a).unwrap(), [30, 30], 30);
}

#[test]
fn salvage_does_without_them() {
    for (later, is_lost) in LATER
        .iter()
        .flat_map(|later| [(later, true), (later, false)])
    {
        let dir = tempfile::tempdir().unwrap();
        let [db, rescued] = ["db", "rescued"].map(|name| dir.path().join(name));
        build(&db, 5, LENS, 2 * BLOCK);
        match is_lost {
            true => fs::remove_file(db.join(later.name)).unwrap(),
            false => flip(&db.join(later.name), &[0, 80]),
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
        assert!(before.codes && before.fine);
        assert!(LATER.iter().all(|later| (later.is_named)(&before)));
        let segment = Segment::open(&rescued).unwrap();
        assert_holds(&segment, 5);
        assert_all(&segment, LENS, 0);
        check_damage(&rescued, &[]);
    }
}

#[test]
fn they_are_made_anew_and_removed_with_the_rest() {
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
        let before = before.unwrap();
        let named = LATER.iter().filter(|later| (later.is_named)(&before));
        named.count()
    };
    for later in &LATER {
        fs::write(dir.path().join(later.name), "").unwrap();
    }
    assert_eq!(rederived(LENS, BLOCK + 1), 3);
    // Without them the others stay, and the other way round.
    assert_eq!(rederived(LENS, 0), 3);
    assert_eq!(rederived([0, 0], 5), 0);
    let files = names(&dir.path().join("segment-000004"));
    assert_eq!(
        files,
        [
            "blocks.bin",
            "offsets.bin",
            "order.bin",
            "payloads.bin",
            "prefix.bin",
            "vectors.bin"
        ]
    );
    rederive::<Error>(dir.path(), None, no_files).unwrap();
    assert_all(&open(), [0, 0], 0);
    assert_eq!(
        names(dir.path()),
        ["LOCK", "MANIFEST", "segment-000005"],
        "the old segments are gone with all that was in them"
    );
}

#[test]
fn memory_that_there_is_not_is_an_error_that_names_the_file() {
    for later in &LATER {
        let memory = SegmentWriter::in_memory(3, PayloadCodec::Bincode).unwrap();
        let error = filled(memory, 3)
            .finish_with(|_, writer| (later.reserve)(writer, usize::MAX))
            .unwrap_err()
            .to_string();
        let start = format!("cannot allocate memory for {}: ", later.file_name());
        assert!(error.starts_with(&start), "{error}");
    }
}

#[test]
fn damage_of_all_is_named_in_the_order_of_their_names() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path(), 5, [30, 30], 30);
    let [prefix, blocks, order] = LATER.map(|later| later.name);
    for name in [order, prefix, FINE, blocks, CODES] {
        flip(&dir.path().join(name), &[64]);
    }
    let all = [blocks, CODES, FINE, order, prefix].map(|name| (name, 64, BAD_BLOCK));
    check_damage(dir.path(), &all);
    // Without MANIFEST, too; what is not there was perhaps never written.
    fs::remove_file(dir.path().join("MANIFEST")).unwrap();
    let lost = [&[("MANIFEST", 0, "missing")], &all[..]].concat();
    check_damage(dir.path(), &lost);
    fs::remove_file(dir.path().join(prefix)).unwrap();
    check_damage(dir.path(), &lost[..5]);
}
