//! `verify` names everything that is damaged, and nothing else.

use std::fs;
use std::path::Path;

use ringdb_storage::{Error, PayloadCodec, ReadOptions, RowCheck, Segment, SegmentWriter, verify};

use crate::ruins::{
    BLOCK, DIMS, FILES, OFFSETS, PAYLOADS, ROWS, Ruins, VECTORS, build, no_nan, payload,
};
use crate::support::{
    assert_holds, data_files, head_and_body, sealed, sign, while_replaced, write,
};

/// What `verify` finds: names relative to the directory, bytes, and what is said.
#[track_caller]
pub(crate) fn found(dir: &Path, row_check: Option<RowCheck>) -> Vec<(String, usize, String)> {
    let report = verify(dir, row_check).unwrap();
    let findings = report.damage.iter().map(|damage| {
        let name = damage.path.strip_prefix(dir).unwrap();
        let name = name.to_str().unwrap().to_string();
        let shown = damage.to_string();
        let expected = format!("{} at byte {}: ", damage.path.display(), damage.offset);
        assert!(shown.starts_with(&expected), "{shown}");
        (name, damage.offset as usize, damage.what.clone())
    });
    let findings: Vec<_> = findings.collect();
    assert_eq!(report.is_whole(), findings.is_empty());
    assert!(findings.is_sorted(), "{findings:?}");
    findings
}

/// Compares where `verify` finds something, and a part of what.
#[track_caller]
fn check(ruins: &Ruins, expected: &[(&str, usize, &str)]) {
    let before = ruins.now();
    let mut found = found(ruins.dir(), None);
    // Payloads that are lost with their blocks have a test of their own.
    found.retain(|(.., what)| !what.starts_with("payload"));
    let places = found.iter().map(|(name, at, _)| (name.as_str(), *at));
    let expected_places = expected.iter().map(|(name, at, _)| (*name, *at));
    assert!(places.eq(expected_places), "{found:#?}");
    for ((.., what), (.., part)) in found.iter().zip(expected) {
        assert!(what.contains(part), "{part} in {what}");
    }
    assert_eq!(ruins.now(), before, "it only reads");
    let is_open = Segment::<String>::open(ruins.dir()).is_ok();
    assert_eq!(is_open, expected.is_empty());
}

const BAD_BLOCK: &str = "computed over a block of ";
const BAD_TAIL: &str = "checksum of table and note";
const BAD_HEADER: &str = "header checksum";
const NO_MAGIC: &str = "it does not begin with RINGDB";

#[test]
fn a_whole_database_is_counted() {
    let ruins = Ruins::new();
    check(&ruins, &[]);
    let report = verify(ruins.dir(), None).unwrap();
    let blocks = FILES.map(|name| ruins.parts(name).blocks());
    assert_eq!(blocks[0], 1);
    assert!(blocks[1..].iter().all(|blocks| *blocks >= 3), "{blocks:?}");
    let bytes = ruins.whole.iter().map(|file| file.len() as u64);
    assert_eq!((report.files, report.bytes), (4, bytes.sum()));
    assert_eq!(report.blocks, blocks.iter().sum::<usize>() as u64);
    let rows = u64::from(ROWS);
    assert_eq!((report.rows, report.payloads), (rows, rows));
    assert!(report.is_whole());
}

#[test]
fn every_block_of_every_file_is_named_alone() {
    for name in &FILES[1..] {
        let parts = Ruins::new().parts(name);
        for block in 0..parts.blocks() {
            let ruins = Ruins::new();
            let start = 64 + block * BLOCK;
            let end = parts.body.end.min(start + BLOCK);
            // First byte, last byte: of no other block.
            for at in [start, end - 1] {
                ruins.flip(name, at);
                check(&ruins, &[(name, start, BAD_BLOCK)]);
                ruins.flip(name, at);
            }
            check(&ruins, &[]);
        }
    }
}

#[test]
fn all_of_several_damages_are_named() {
    let ruins = Ruins::new();
    ruins.flip("MANIFEST", 70);
    ruins.flip(OFFSETS, 64 + 2 * BLOCK);
    ruins.flip(PAYLOADS, 30);
    for at in [64 + 5, 64 + 3 * BLOCK + 9, 64 + 3 * BLOCK + 10] {
        ruins.flip(PAYLOADS, at);
    }
    let vectors = ruins.parts(VECTORS);
    ruins.flip(VECTORS, 64 + BLOCK);
    ruins.flip(VECTORS, vectors.footer.start);
    check(
        &ruins,
        &[
            ("MANIFEST", 64, BAD_BLOCK),
            (OFFSETS, 64 + 2 * BLOCK, BAD_BLOCK),
            (PAYLOADS, 60, BAD_HEADER),
            (PAYLOADS, 64, BAD_BLOCK),
            (PAYLOADS, 64 + 3 * BLOCK, BAD_BLOCK),
            (VECTORS, 64 + BLOCK, BAD_BLOCK),
            (VECTORS, vectors.footer.start + 12, "footer checksum"),
        ],
    );
    // What is left is counted.
    let report = verify(ruins.dir(), None).unwrap();
    let row_bytes = 4 * DIMS;
    let is_hit = |id: &usize| {
        let (first, last) = (id * row_bytes, (id + 1) * row_bytes - 1);
        first / BLOCK == 1 || last / BLOCK == 1
    };
    let hit = (0..ROWS as usize).filter(is_hit).count() as u64;
    assert_eq!(report.rows, u64::from(ROWS) - hit);
    assert!((1..u64::from(ROWS)).contains(&report.payloads));
}

#[test]
fn blocks_that_changed_places_are_both_named() {
    for name in &FILES[1..] {
        let ruins = Ruins::new();
        ruins.swap(name, 0, 1);
        check(
            &ruins,
            &[(name, 64, BAD_BLOCK), (name, 64 + BLOCK, BAD_BLOCK)],
        );
    }
}

#[test]
fn damage_of_the_frame_does_not_make_blocks_damaged() {
    for name in &FILES[1..] {
        let ruins = Ruins::new();
        let parts = ruins.parts(name);
        let table = parts.table.start;
        for (at, found_at, what) in [
            (0, 0, NO_MAGIC),
            (6, 60, BAD_HEADER),
            (9, 8, "format version "),
            (13, 60, BAD_HEADER),
            (20, 60, BAD_HEADER),
            (33, 60, BAD_HEADER),
            (41, 60, BAD_HEADER),
            (50, 60, BAD_HEADER),
            (63, 60, BAD_HEADER),
            (table, table, BAD_TAIL),
            (table + 5, table, BAD_TAIL),
            (parts.footer.start, parts.footer.end - 4, "footer checksum"),
            (
                parts.footer.end - 1,
                parts.footer.end - 4,
                "footer checksum",
            ),
        ] {
            ruins.flip(name, at);
            check(&ruins, &[(name, found_at, what)]);
            ruins.flip(name, at);
        }
        // Even all of the table.
        ruins.change(name, |bytes| bytes[parts.table.clone()].fill(0));
        check(&ruins, &[(name, table, BAD_TAIL)]);
    }
    let ruins = Ruins::new();
    let note = ruins.parts(PAYLOADS).note;
    assert_eq!(note.len(), "String".len());
    ruins.flip(PAYLOADS, note.end - 1);
    check(&ruins, &[(PAYLOADS, note.start, BAD_TAIL)]);
}

#[test]
fn a_block_next_to_a_damaged_entry_of_the_table_cannot_be_told_whole() {
    let ruins = Ruins::new();
    let parts = ruins.parts(VECTORS);
    ruins.flip(VECTORS, 64);
    ruins.flip(VECTORS, parts.table.start + 4 * 2);
    check(
        &ruins,
        &[
            (VECTORS, 64, BAD_BLOCK),
            (VECTORS, 64 + 2 * BLOCK, BAD_BLOCK),
            (VECTORS, parts.table.start, BAD_TAIL),
        ],
    );
}

#[test]
fn with_a_lost_manifest_the_files_are_checked_by_themselves() {
    for name in &FILES[1..] {
        let ruins = Ruins::new();
        let parts = ruins.parts(name);
        ruins.remove("MANIFEST");
        let manifest = ("MANIFEST", 0, "missing");
        check(&ruins, &[manifest]);
        ruins.flip(name, 64 + BLOCK);
        let block = (*name, 64 + BLOCK, BAD_BLOCK);
        check(&ruins, &[manifest, block]);
        // Header: its length follows from those of file and note.
        ruins.flip(name, 50);
        let header = (*name, 60, BAD_HEADER);
        check(&ruins, &[manifest, header, block]);
        ruins.flip(name, 50);
        ruins.cut(name, parts.footer.start);
        check(&ruins, &[manifest, (*name, 48, "bytes, a body of"), block]);
    }
}

#[test]
fn damage_of_manifest_is_one_finding() {
    let whole = Ruins::new().whole[0].clone();
    let parts = crate::ruins::parts(&whole);
    for (at, found_at, what) in [
        (0, 0, NO_MAGIC),
        (9, 8, "format version "),
        (17, 60, BAD_HEADER),
        (34, 60, BAD_HEADER),
        (64, 64, BAD_BLOCK),
        (parts.body.end - 1, 64, BAD_BLOCK),
        (parts.table.start, parts.table.start, BAD_TAIL),
        (parts.footer.start, parts.footer.end - 4, "footer checksum"),
    ] {
        let ruins = Ruins::new();
        ruins.flip("MANIFEST", at);
        check(&ruins, &[("MANIFEST", found_at, what)]);
    }
    for len in [0, 5, 63, 64, 100, whole.len() - 1] {
        let ruins = Ruins::new();
        ruins.cut("MANIFEST", len);
        let found = found(ruins.dir(), None);
        let names: Vec<_> = found.iter().map(|(name, ..)| name.as_str()).collect();
        assert_eq!(names, ["MANIFEST"], "{len}: {found:?}");
    }
}

#[test]
fn cuts_are_named_with_what_they_leave_unproven() {
    for name in &FILES[1..] {
        let parts = Ruins::new().parts(name);
        let unproven = |blocks: usize| match blocks {
            1 => "1 block without a checksum".to_string(),
            blocks => format!("{blocks} blocks without a checksum"),
        };
        // Behind the body: MANIFEST proves all of it.
        for len in [
            parts.table.start,
            parts.table.start + 3,
            parts.table.end,
            parts.footer.start + 1,
            parts.footer.end - 1,
        ] {
            let ruins = Ruins::new();
            ruins.cut(name, len);
            let what = format!("{len} bytes, MANIFEST says {}", parts.footer.end);
            check(&ruins, &[(name, len, &what)]);
        }
        // In the body: the table is gone.
        for len in [parts.body.end - 1, 64 + 2 * BLOCK + 1, 64 + 2 * BLOCK] {
            let ruins = Ruins::new();
            ruins.cut(name, len);
            let what = unproven((len - 64).div_ceil(BLOCK));
            check(&ruins, &[(name, 64, &what), (name, len, "MANIFEST says")]);
        }
        // In the header.
        for (len, expected) in [
            (63, [(63, "too few for a header"), (63, "MANIFEST says")]),
            (5, [(0, NO_MAGIC), (5, "MANIFEST says")]),
            (0, [(0, "MANIFEST says"), (0, NO_MAGIC)]),
        ] {
            let ruins = Ruins::new();
            ruins.cut(name, len);
            check(&ruins, &expected.map(|(at, what)| (*name, at, what)));
        }
        // In the table, with a damaged block: those that still have an entry are told apart.
        let ruins = Ruins::new();
        ruins.flip(name, 64 + BLOCK);
        ruins.cut(name, parts.table.start + 4 * 2);
        let what = unproven(parts.blocks() - 2);
        check(
            &ruins,
            &[
                (name, 64 + BLOCK, BAD_BLOCK),
                (name, 64 + 2 * BLOCK, &what),
                (name, parts.table.start + 8, "MANIFEST says"),
            ],
        );
        let ruins = Ruins::new();
        ruins.change(name, |bytes| bytes.extend([7; 300]));
        check(&ruins, &[(name, parts.footer.end, "MANIFEST says")]);
    }
}

#[test]
fn files_that_are_missing_or_no_files_are_named() {
    for name in &FILES[1..] {
        let ruins = Ruins::new();
        ruins.remove(name);
        check(&ruins, &[(name, 0, "missing")]);
        fs::create_dir(ruins.path(name)).unwrap();
        check(&ruins, &[(name, 0, "not a regular file")]);
    }
    let ruins = Ruins::new();
    fs::remove_dir_all(ruins.path("segment-000001")).unwrap();
    check(
        &ruins,
        &[
            (OFFSETS, 0, "missing"),
            (PAYLOADS, 0, "missing"),
            (VECTORS, 0, "missing"),
        ],
    );
}

#[test]
fn a_file_of_another_database_is_named_and_its_blocks_checked() {
    let other = tempfile::tempdir().unwrap();
    build(
        other.path(),
        PayloadCodec::Bincode,
        30_000,
        |writer, row, id| writer.push(row, payload(id)),
    );
    for name in &FILES[1..] {
        let ruins = Ruins::new();
        let foreign = fs::read(other.path().join(name)).unwrap();
        fs::write(ruins.path(name), &foreign).unwrap();
        let origin = (*name, 16, "it is of database");
        check(&ruins, &[origin]);
        ruins.flip(name, 64 + BLOCK);
        let block = (*name, 64 + BLOCK, BAD_BLOCK);
        check(&ruins, &[origin, block]);
        // Also where only the others can tell.
        ruins.remove("MANIFEST");
        check(&ruins, &[("MANIFEST", 0, "missing"), origin, block]);
    }
}

#[test]
fn a_header_or_footer_of_another_file_is_damage_of_a_header_or_footer() {
    let other = tempfile::tempdir().unwrap();
    build(other.path(), PayloadCodec::Bincode, 9, |writer, row, id| {
        writer.push(row, payload(id))
    });
    for name in &FILES[1..] {
        let foreign = fs::read(other.path().join(name)).unwrap();
        let footer = Ruins::new().parts(name).footer;
        let finding = (*name, footer.start + 8, "the footer is of a header ");
        let ruins = Ruins::new();
        ruins.change(name, |bytes| bytes[..64].copy_from_slice(&foreign[..64]));
        check(&ruins, &[finding]);
        ruins.flip(name, 64);
        check(&ruins, &[(name, 64, BAD_BLOCK), finding]);

        let ruins = Ruins::new();
        let last = foreign.len() - 16;
        ruins.change(name, |bytes| {
            bytes[footer].copy_from_slice(&foreign[last..]);
        });
        check(&ruins, &[finding]);
    }
}

#[test]
fn files_that_are_whole_but_do_not_fit_manifest_are_named() {
    let ruins = Ruins::new();
    ruins.change(VECTORS, |bytes| {
        bytes[64] ^= 1;
        sign(bytes);
    });
    check(&ruins, &[(VECTORS, 0, "MANIFEST says")]);
}

#[test]
fn records_and_offsets_are_checked_where_blocks_are_whole() {
    // Without MANIFEST, which would know that the files are not the ones that were committed.
    let manifest = ("MANIFEST", 0, "missing");
    let ruins = Ruins::new();
    ruins.remove("MANIFEST");
    let offset = |id: usize| {
        let at = 64 + 8 * id;
        u64::from_le_bytes(ruins.whole[1][at..at + 8].try_into().unwrap()) as usize
    };
    ruins.change(PAYLOADS, |bytes| {
        bytes[64 + offset(7)] ^= 1;
        bytes[64 + offset(15_000)] ^= 1;
        sign(bytes);
    });
    let record = |id: usize| (PAYLOADS, 64 + offset(id), "checksum of payload ");
    check(&ruins, &[manifest, record(7), record(15_000)]);

    ruins.change(OFFSETS, |bytes| {
        let at = 64 + 8 * 12_000;
        let moved = offset(12_001) as u64 + 1;
        bytes[at..at + 8].copy_from_slice(&moved.to_le_bytes());
        sign(bytes);
    });
    // The record before it now reaches too far.
    let order = (
        OFFSETS,
        64 + 8 * 12_001,
        "offset 12001 is below offset 12000",
    );
    check(
        &ruins,
        &[manifest, order, record(7), record(11_999), record(15_000)],
    );
}

#[test]
fn rows_are_held_to_the_check_once_a_block() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer =
        SegmentWriter::in_directory(dir.path(), false, DIMS, PayloadCodec::Bincode).unwrap();
    for id in 0..ROWS {
        let value = if [5, 6, 19_000].contains(&id) {
            f32::NAN
        } else {
            1.0
        };
        writer.push(&[0.0, value, 0.0, value, 0.0], ()).unwrap();
    }
    writer.finish().unwrap();
    assert_eq!(found(dir.path(), None), []);
    let expected = [5, 6, 19_000].map(|id| {
        let at = 64 + 4 * (DIMS * id + 1);
        let what = format!("coordinate 1 of row {id} is NaN");
        (VECTORS.to_string(), at, what)
    });
    assert_eq!(found(dir.path(), Some(no_nan)), expected);
    assert_eq!(verify(dir.path(), Some(no_nan)).unwrap().rows, 20_000);
}

#[test]
fn which_segment_it_is_follows_from_manifest_as_far_as_it_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), false, 3).unwrap();
    let old = dir.path().join("segment-000001");
    let kept = dir.path().join("kept");
    fs::rename(&old, &kept).unwrap();
    write(dir.path(), true, 4).unwrap();
    fs::rename(&kept, &old).unwrap();
    // Two of the same database; MANIFEST's header tells which, while it is whole.
    let rows = || verify(dir.path(), None).unwrap().rows;
    assert_eq!(rows(), 4);
    let manifest = dir.path().join("MANIFEST");
    let whole = fs::read(&manifest).unwrap();
    let flip = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&manifest, bytes).unwrap();
    };
    flip(70);
    assert_eq!(found(dir.path(), None).len(), 1);
    assert_eq!(rows(), 4);
    // Else it could be either, and both are read.
    flip(40);
    let found = found(dir.path(), None);
    let what: Vec<_> = found.iter().map(|(.., what)| what.as_str()).collect();
    assert_eq!(what[0], "2 segments could be the one of the database");
    assert!(what[1].starts_with(BAD_HEADER), "{what:?}");
    assert_eq!(what.len(), 2);
    assert_eq!(rows(), 7);

    // A third one of somebody else is not asked.
    let other = tempfile::tempdir().unwrap();
    write(other.path(), false, 9).unwrap();
    let foreign = dir.path().join("segment-000009");
    fs::rename(other.path().join("segment-000001"), foreign).unwrap();
    assert_eq!(rows(), 7);
}

#[test]
fn a_database_that_is_replaced_meanwhile_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    while_replaced(dir.path(), || assert_eq!(found(dir.path(), None), []));
}

#[test]
fn where_there_is_nothing_to_look_at_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let error = verify(&dir.path().join("none"), None).unwrap_err();
    assert!(error.to_string().starts_with("cannot open "), "{error}");
    for name in ["segment-000001", "segment-000002"] {
        fs::create_dir(dir.path().join(name)).unwrap();
    }
    fs::write(dir.path().join("segment-000001/vectors.bin"), "mine").unwrap();
    let error = verify(dir.path(), None).unwrap_err();
    assert!(matches!(error, Error::NotADatabase { .. }), "{error}");
    // A manifest alone is something.
    fs::write(dir.path().join("MANIFEST"), "mine").unwrap();
    assert_eq!(found(dir.path(), None).len(), 1);

    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), false, 2).unwrap();
    let path = dir.path().join("MANIFEST");
    let mut newer = fs::read(&path).unwrap();
    newer[8] = 2;
    fs::write(&path, &newer).unwrap();
    assert_eq!(
        found(dir.path(), None).len(),
        1,
        "a flipped bit, no version"
    );
    sign(&mut newer);
    fs::write(&path, &newer).unwrap();
    let error = verify(dir.path(), None).unwrap_err();
    assert!(
        matches!(error, Error::UnsupportedVersion { found: 2, .. }),
        "{error}"
    );
}

#[test]
fn directories_of_ring_db_are_opened() {
    let dir = tempfile::tempdir().unwrap();
    let mut meta = 1_u64.to_le_bytes().to_vec();
    meta.extend(2_u64.to_le_bytes());
    for (name, bytes) in [
        ("meta.bin", meta.as_slice()),
        ("vectors.bin", &[0; 8]),
        ("norms_sq.bin", &[0; 8]),
        ("payloads.bin", &[]),
        ("offsets.bin", &[0; 24]),
    ] {
        fs::write(dir.path().join(name), bytes).unwrap();
    }
    let report = verify(dir.path(), Some(no_nan)).unwrap();
    assert!(report.is_whole());
    assert_eq!((report.files, report.bytes, report.rows), (5, 56, 2));
    assert_eq!((report.blocks, report.payloads), (0, 0));
    fs::write(dir.path().join("vectors.bin"), [0xff; 8]).unwrap();
    let nan = "coordinate 0 of row 0 is NaN".to_string();
    let expected = [("vectors.bin".to_string(), 0, nan)];
    assert_eq!(found(dir.path(), Some(no_nan)), expected);
    fs::remove_file(dir.path().join("norms_sq.bin")).unwrap();
    let missing = found(dir.path(), None);
    let expected = [("norms_sq.bin".to_string(), 0, "missing".to_string())];
    assert_eq!(missing, expected);
}

#[test]
fn what_does_not_open_is_not_whole_and_the_damaged_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), false, 5).unwrap();
    let dir = dir.path();
    let opens = || Segment::<String>::open_with(dir, &ReadOptions::new()).is_ok();
    let mut mutants = 0;
    let mut check = |path: &Path, what: String| {
        mutants += 1;
        let Ok(report) = verify(dir, None) else {
            panic!("{what} of {}: it is there", path.display());
        };
        let names: Vec<_> = report.damage.iter().map(|damage| &damage.path).collect();
        let is_named = !names.is_empty() && names.iter().all(|name| *name == path);
        assert!(
            is_named,
            "{what} of {}: {:?}",
            path.display(),
            report.damage
        );
        assert!(!opens(), "{what}");
    };
    for path in data_files(dir) {
        let whole = fs::read(&path).unwrap();
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, flipped).unwrap();
            check(&path, format!("bit {bit}"));
        }
        for len in 0..whole.len() {
            fs::write(&path, &whole[..len]).unwrap();
            check(&path, format!("{len} bytes"));
        }
        fs::write(&path, [&whole[..], b"\0"].concat()).unwrap();
        check(&path, "one byte more".to_string());
        // Right in itself, but another header, body or note; which file is wrong then, nobody knows.
        for at in [12, 16, 32, 40, 64] {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            fs::write(&path, sealed(head_and_body(&changed), "")).unwrap();
            let is_whole = verify(dir, None).unwrap().is_whole();
            assert!(!is_whole && !opens(), "byte {at} of {}", path.display());
        }
        fs::write(&path, whole).unwrap();
    }
    assert!(verify(dir, None).unwrap().is_whole());
    assert_holds(&Segment::open(dir).unwrap(), 5);
    println!("{mutants} mutants, each named");
}
