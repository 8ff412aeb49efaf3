//! `salvage` keeps what is provably whole, bit for bit, and nothing else.

use std::fs;
use std::path::Path;

use ringdb_storage::{
    Error, Loss, PayloadCodec, Result, Salvaged, SalvagedRow, Segment, SegmentWriter, salvage,
    verify,
};

use crate::ruins::{
    BLOCK, DIMS, FILES, OFFSETS, PAYLOADS, ROWS, Ruins, VECTORS, build, no_nan, payload, row,
};
use crate::support::{names, no_files, sign};

/// The database of [`Ruins::new`] as it comes out of a salvage: what became of each row.
#[track_caller]
pub(crate) fn salvaged(ruins: &Ruins, keep_vectors: bool) -> Vec<SalvagedRow> {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("deep/new");
    let (result, rows) = run_each(ruins.dir(), &to, keep_vectors);
    if rows.iter().all(|row| row.new_id.is_none()) {
        assert_nothing(&result.unwrap_err(), &rows);
        assert_eq!(names(dir.path()), [""; 0]);
        return rows;
    }
    let sum = result.unwrap();
    assert_eq!(names(&to), ["LOCK", "MANIFEST", "segment-000001"]);
    assert!(verify(&to, None).unwrap().is_whole());

    let old_ids = rows.iter().map(|row| row.old_id);
    assert!(old_ids.eq(0..ROWS), "each old id once, in order");
    let segment = Segment::<String>::open(&to).unwrap();
    let kept: Vec<_> = rows.iter().filter(|row| row.new_id.is_some()).collect();
    let new_ids = kept.iter().filter_map(|row| row.new_id);
    assert!(new_ids.eq(0..segment.vectors.len() as u32));
    for (new_id, kept) in (0..).zip(&kept) {
        assert_eq!(segment.vectors.row(new_id).unwrap(), row(kept.old_id));
        match kept.loss {
            None => assert_eq!(
                segment.payloads.fetch(new_id).unwrap(),
                payload(kept.old_id)
            ),
            Some(_) => assert_eq!(segment.payloads.fetch_bytes(new_id).unwrap(), b""),
        }
    }
    let lost = rows.iter().filter(|row| row.new_id.is_none());
    assert!(lost.clone().all(|row| row.loss.is_some()));
    assert_eq!(sum.kept, kept.len() as u64);
    assert_eq!(sum.lost, lost.count() as u64);
    let without_payload = kept.iter().filter(|row| row.loss.is_some()).count();
    assert_eq!(sum.without_payload, without_payload as u64);
    rows
}

/// Asserts that `error` says how many rows were lost, and of how many the payload alone.
#[track_caller]
fn assert_nothing(error: &Error, lost: &[SalvagedRow]) {
    let Error::NothingToSalvage {
        rows,
        without_payload,
        ..
    } = error
    else {
        panic!("{error}");
    };
    let is_of_payload = |row: &&SalvagedRow| {
        matches!(
            row.loss,
            Some(Loss::PayloadDamaged | Loss::PayloadMissing | Loss::PayloadUnknown)
        )
    };
    let of_payload = lost.iter().filter(is_of_payload).count();
    assert_eq!(
        (*rows, *without_payload),
        (lost.len() as u64, of_payload as u64)
    );
}

/// Salvages into `to` and returns what it tells at the end and of each row.
pub(crate) fn run(
    from: &Path,
    to: &Path,
    keep_vectors: bool,
) -> Result<(Salvaged, Vec<SalvagedRow>)> {
    let (result, rows) = run_each(from, to, keep_vectors);
    Ok((result?, rows))
}

/// As [`run`], with what it tells of each row before an error too.
pub(crate) fn run_each(
    from: &Path,
    to: &Path,
    keep_vectors: bool,
) -> (Result<Salvaged>, Vec<SalvagedRow>) {
    let mut rows = Vec::new();
    let result = salvage(from, to, keep_vectors, Some(no_nan), no_files, |row| {
        rows.push(row);
        Ok::<_, Error>(())
    });
    assert!(rows.iter().all(|row| row.rows == rows.len() as u64));
    (result, rows)
}

/// Whether the vector of each row is provably whole, and its payload: by comparing the files with what
/// they were, and by what docs/FORMAT.md says the checksums cover. For a whole MANIFEST or whole headers,
/// which say where things lie.
fn provable(ruins: &Ruins) -> Vec<[bool; 2]> {
    let now = ruins.now();
    let same = |file: usize, range: std::ops::Range<usize>| {
        now[file].get(range.clone()) == Some(&ruins.whole[file][range])
    };
    let parts = ruins.parts(VECTORS);
    // The checksum of the file, in MANIFEST or in the footer, covers its header and all of its body.
    let is_sum_left = same(0, 0..ruins.whole[0].len()) || same(3, parts.footer.clone());
    let is_header_crc_left = same(3, 60..64) || same(3, parts.footer.clone());
    let is_all_whole = is_sum_left && is_header_crc_left && same(3, parts.body.clone());
    let is_block_whole = |block: usize| {
        let start = 64 + block * BLOCK;
        let entry = parts.table.start + 4 * block;
        same(3, start..parts.body.end.min(start + BLOCK)) && same(3, entry..entry + 4)
    };
    let is_vector_whole = |id: usize| {
        let (first, last) = (4 * DIMS * id, 4 * DIMS * (id + 1) - 1);
        is_all_whole || (first / BLOCK..=last / BLOCK).all(is_block_whole)
    };
    let offset = |id: usize| {
        let at = 64 + 8 * id;
        u64::from_le_bytes(ruins.whole[1][at..at + 8].try_into().unwrap()) as usize
    };
    let is_payload_whole = |id: usize| {
        let pair = 64 + 8 * id..64 + 8 * id + 16;
        same(1, pair) && same(2, 64 + offset(id)..64 + offset(id + 1))
    };
    let ids = 0..ROWS as usize;
    ids.map(|id| [is_vector_whole(id), is_payload_whole(id)])
        .collect()
}

/// Salvages what is left, and holds it to what is provable. Returns how many rows were kept.
#[track_caller]
fn check(ruins: &Ruins) -> usize {
    let before = ruins.now();
    let names_before = names(ruins.dir());
    let provable = provable(ruins);
    let rows = salvaged(ruins, false);
    for (row, [vector, payload]) in rows.iter().zip(&provable) {
        assert_eq!(row.new_id.is_some(), *vector && *payload, "{row:?}");
        assert_eq!(row.loss.is_none(), row.new_id.is_some(), "{row:?}");
    }
    for (row, [vector, payload]) in salvaged(ruins, true).iter().zip(&provable) {
        assert_eq!(row.new_id.is_some(), *vector, "{row:?}");
        assert_eq!(row.loss.is_none(), *vector && *payload, "{row:?}");
    }
    assert_eq!(ruins.now(), before, "what is salvaged is not changed");
    assert_eq!(names(ruins.dir()), names_before);
    rows.iter().filter(|row| row.new_id.is_some()).count()
}

const ALL: usize = ROWS as usize;

#[test]
fn a_whole_database_comes_out_whole() {
    assert_eq!(check(&Ruins::new()), ALL);
}

#[test]
fn a_damaged_byte_costs_the_rows_that_it_proves() {
    let row_bytes = 4 * DIMS;
    for (name, at, costs) in [
        // All rows that lie in the block, whole or in part.
        (VECTORS, 64, BLOCK.div_ceil(row_bytes)),
        (VECTORS, 64 + 3 * BLOCK + 7, 3278),
        // The payloads alone that it belongs to.
        (PAYLOADS, 64 + 70_000, 1),
        (OFFSETS, 64, 1),
        (OFFSETS, 64 + 8 * 9_000, 2),
        (OFFSETS, 64 + 8 * ALL, 1),
    ] {
        let ruins = Ruins::new();
        ruins.flip(name, at);
        assert_eq!(ALL - check(&ruins), costs, "{name} at {at}");
    }
}

#[test]
fn damage_of_frames_costs_nothing() {
    for name in FILES {
        let parts = Ruins::new().parts(name);
        let footer = parts.footer.clone();
        for at in [0, 7, 8, 12, 17, 35, 41, 50, 57, 61]
            .into_iter()
            .chain([parts.table.start, parts.table.end - 1])
            .chain([
                footer.start,
                footer.start + 5,
                footer.start + 9,
                footer.end - 1,
            ])
            .chain(parts.note.clone().take(1))
        {
            let ruins = Ruins::new();
            ruins.flip(name, at);
            assert_eq!(check(&ruins), ALL, "{name} at {at}");
        }
        // Cut behind the body, and in MANIFEST anywhere.
        let mut lens = vec![parts.table.start, parts.table.end, footer.end - 1];
        if name == "MANIFEST" {
            lens.extend([0, 10, 64, 70]);
        }
        for len in lens {
            let ruins = Ruins::new();
            ruins.cut(name, len);
            assert_eq!(check(&ruins), ALL, "{len} bytes of {name}");
        }
    }
    let ruins = Ruins::new();
    ruins.remove("MANIFEST");
    assert_eq!(check(&ruins), ALL);
    // A header and a footer of another database, and bytes behind the end.
    let other = tempfile::tempdir().unwrap();
    build(other.path(), PayloadCodec::Bincode, 9, |writer, row, id| {
        writer.push(row, payload(id))
    });
    for name in &FILES[1..] {
        let foreign = fs::read(other.path().join(name)).unwrap();
        let ruins = Ruins::new();
        ruins.change(name, |bytes| bytes[..64].copy_from_slice(&foreign[..64]));
        assert_eq!(check(&ruins), ALL, "{name}");
        let ruins = Ruins::new();
        let (footer, last) = (ruins.parts(name).footer, foreign.len() - 16);
        ruins.change(name, |bytes| {
            bytes[footer].copy_from_slice(&foreign[last..]);
        });
        assert_eq!(check(&ruins), ALL, "{name}");
        let ruins = Ruins::new();
        ruins.change(name, |bytes| bytes.extend([7; 300]));
        assert_eq!(check(&ruins), ALL, "{name}");
    }
    // Header, table, note and footer of one file at once.
    let blocks = |ruins: &Ruins| verify(ruins.dir(), None).unwrap().blocks;
    let all_blocks = blocks(&Ruins::new());
    for name in &FILES[1..] {
        let ruins = Ruins::new();
        let parts = ruins.parts(name);
        ruins.flip(name, 20);
        ruins.cut(name, parts.table.start);
        assert_eq!(blocks(&ruins), all_blocks, "{name}");
        assert_eq!(check(&ruins), ALL, "{name}");
    }
}

#[test]
fn headers_are_made_up_for_where_manifest_is_lost_too() {
    for name in &FILES[1..] {
        for at in [0, 9, 14, 20, 35, 41, 50, 61] {
            let ruins = Ruins::new();
            ruins.remove("MANIFEST");
            ruins.flip(name, at);
            assert_eq!(check(&ruins), ALL, "{name} at {at}");
        }
    }
}

#[test]
fn a_cut_body_costs_what_lies_behind_the_cut_and_vectors_their_checksums() {
    for len in [64 + 3 * BLOCK, 64 + 3 * BLOCK + 1, 64, 10, 0] {
        let ruins = Ruins::new();
        ruins.cut(VECTORS, len);
        assert_eq!(check(&ruins), 0, "{len}");
        for name in [PAYLOADS, OFFSETS] {
            let ruins = Ruins::new();
            ruins.cut(name, len.min(64 + 2 * BLOCK + 5));
            let kept = check(&ruins);
            assert_eq!(kept > 0, len > 64, "{name}: {kept}");
        }
    }
    // The entries in front of the cut still count, where something else is damaged.
    let ruins = Ruins::new();
    ruins.cut(VECTORS, ruins.parts(VECTORS).table.start + 4 * 3);
    ruins.flip(VECTORS, 64 + 6 * BLOCK);
    assert_eq!(check(&ruins), 3 * BLOCK / (4 * DIMS));
}

#[test]
fn blocks_that_changed_places_are_left_out() {
    let ruins = Ruins::new();
    ruins.swap(VECTORS, 0, 1);
    assert_eq!(ALL - check(&ruins), (2 * BLOCK).div_ceil(4 * DIMS));
    let ruins = Ruins::new();
    ruins.swap(PAYLOADS, 0, 1);
    assert!(check(&ruins) < ALL);
    let ruins = Ruins::new();
    ruins.swap(OFFSETS, 0, 1);
    assert!(check(&ruins) < ALL);
}

#[test]
fn missing_files_cost_what_was_in_them() {
    for name in &FILES[1..] {
        let ruins = Ruins::new();
        ruins.remove(name);
        assert_eq!(check(&ruins), 0, "{name}");
    }
}

#[test]
fn many_damages_at_random() {
    let mut state = 0x5eed_u64;
    println!("seed {state:#x}");
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005);
        state = state.wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for case in 0..40 {
        let ruins = Ruins::new();
        for _ in 0..1 + random(5) {
            let name = FILES[1 + random(3)];
            let len = fs::metadata(ruins.path(name)).unwrap().len() as usize;
            let parts = ruins.parts(name);
            let at = match random(4) {
                0 => random(64),
                1 => parts.table.start + random(parts.footer.end - parts.table.start),
                _ => random(parts.body.end),
            };
            match random(10) {
                0 => ruins.cut(name, len.saturating_sub(random(200))),
                1 => ruins.swap(name, 0, parts.blocks() - 2),
                _ if at < len => ruins.flip(name, at),
                _ => {}
            }
        }
        let kept = check(&ruins);
        println!("case {case}: {kept} kept");
    }
}

#[test]
fn each_row_is_told_why_it_is_lost() {
    let losses = |ruins: &Ruins| {
        let rows = salvaged(ruins, false).into_iter();
        let mut losses: Vec<_> = rows.filter_map(|row| row.loss).collect();
        losses.dedup();
        losses
    };
    let ruins = Ruins::new();
    ruins.flip(PAYLOADS, 70);
    ruins.flip(VECTORS, 64 + 5 * BLOCK);
    assert_eq!(losses(&ruins), [Loss::PayloadDamaged, Loss::VectorDamaged]);
    ruins.cut(VECTORS, 64 + 2 * BLOCK);
    assert_eq!(
        losses(&ruins),
        [Loss::VectorUnproven, Loss::VectorMissing],
        "a vector comes before a payload"
    );
    ruins.remove(VECTORS);
    assert_eq!(losses(&ruins), [Loss::VectorMissing]);
    let ruins = Ruins::new();
    ruins.cut(OFFSETS, 64 + 16_000);
    assert_eq!(losses(&ruins), [Loss::PayloadMissing]);

    let texts = [
        (Loss::VectorDamaged, "vector damaged"),
        (Loss::VectorUnproven, "vector without a checksum"),
        (Loss::VectorForeign, "vector of another database"),
        (Loss::VectorMissing, "vector missing"),
        (Loss::PayloadDamaged, "payload damaged"),
        (Loss::PayloadMissing, "payload missing"),
        (Loss::PayloadUnknown, "payload of no known codec"),
    ];
    for (loss, text) in texts {
        assert_eq!(loss.to_string(), text);
    }
}

#[test]
fn rows_that_no_row_may_be_are_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    let mut writer = SegmentWriter::in_directory(&from, false, 2, PayloadCodec::Bincode).unwrap();
    for row in [[1.0, 2.0], [3.0, f32::NAN], [5.0, 6.0]] {
        writer.push(&row, ()).unwrap();
    }
    writer.finish().unwrap();
    let (sum, rows) = run(&from, &to, true).unwrap();
    assert_eq!((sum.kept, sum.lost), (2, 1));
    let loss = rows[1].loss.clone().unwrap();
    assert_eq!(loss.to_string(), "coordinate 1 is NaN");
    let segment = Segment::<()>::open(&to).unwrap();
    assert_eq!(segment.vectors.as_slice(), [1.0, 2.0, 5.0, 6.0]);
}

#[test]
fn the_vectors_of_another_database_are_not_taken_for_its_own() {
    let other = tempfile::tempdir().unwrap();
    build(
        other.path(),
        PayloadCodec::Bincode,
        ROWS,
        |writer, row, id| writer.push(row, payload(id)),
    );
    let ruins = Ruins::new();
    fs::copy(other.path().join(VECTORS), ruins.path(VECTORS)).unwrap();
    let is_foreign = |row: &SalvagedRow| row.loss == Some(Loss::VectorForeign);
    for keep_vectors in [false, true] {
        assert!(salvaged(&ruins, keep_vectors).iter().all(is_foreign));
    }
    // Nor where the other files alone tell that it is one.
    ruins.remove("MANIFEST");
    let to = other.path().join("to");
    let error = run(ruins.dir(), &to, true).unwrap_err();
    assert!(error.to_string().ends_with("the number of dims"), "{error}");
    // Right in itself, but not what MANIFEST was written for.
    let ruins = Ruins::new();
    ruins.change(VECTORS, |bytes| {
        bytes[64] ^= 1;
        sign(bytes);
    });
    assert_eq!(salvaged(&ruins, false)[9].loss, Some(Loss::VectorForeign));
}

#[test]
fn a_database_without_rows_comes_out_so() {
    for width in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        let codec = if width {
            PayloadCodec::Pod
        } else {
            PayloadCodec::Raw
        };
        build(&from, codec, 0, |_: &mut SegmentWriter<[u8; 7]>, _, _| {
            Ok(())
        });
        // With no record to measure, the width in the damaged header is tried.
        let mut bytes = fs::read(from.join(PAYLOADS)).unwrap();
        bytes[20] ^= 1;
        fs::write(from.join(PAYLOADS), bytes).unwrap();
        let (sum, rows) = run(&from, &to, false).unwrap();
        assert_eq!((sum, rows), (Salvaged::default(), vec![]));
        assert!(Segment::<[u8; 7]>::open(&to).unwrap().vectors.is_empty());
    }
}

#[test]
fn what_nothing_tells_is_an_error_and_nothing_is_left_of_the_try() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("deep/new");
    let refused = |ruins: &Ruins, keep_vectors: bool| {
        let error = run(ruins.dir(), &to, keep_vectors).unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{error}");
        assert_eq!(names(dir.path()), [""; 0]);
        error.to_string()
    };
    let ruins = Ruins::new();
    for name in &FILES[1..] {
        ruins.flip(name, 20);
    }
    ruins.flip("MANIFEST", 70);
    assert!(refused(&ruins, false).ends_with("nothing whole tells the number of rows"));
    let ruins = Ruins::new();
    ruins.remove("MANIFEST");
    ruins.remove(VECTORS);
    assert!(refused(&ruins, true).ends_with("nothing whole tells the number of dims"));
    let ruins = Ruins::new();
    ruins.remove("MANIFEST");
    ruins.remove(PAYLOADS);
    let (result, rows) = run_each(ruins.dir(), &to, false);
    assert_nothing(&result.unwrap_err(), &rows);
    assert_eq!(rows[0].loss, Some(Loss::PayloadMissing));
    // Then the vectors can still be had.
    let (sum, _) = run(ruins.dir(), &to, true).unwrap();
    assert_eq!((sum.kept, sum.without_payload), (ALL as u64, ALL as u64));
    let segment = Segment::<()>::open(&to).unwrap();
    assert_eq!(segment.payloads.codec(), PayloadCodec::Raw);
    assert_eq!(segment.vectors.row(77).unwrap(), row(77));
}

#[test]
fn several_segments_that_could_be_it_are_refused() {
    let ruins = Ruins::new();
    ruins.remove("MANIFEST");
    let other = tempfile::tempdir().unwrap();
    build(
        other.path(),
        PayloadCodec::Raw,
        1,
        |writer: &mut SegmentWriter<()>, row, _| writer.push_bytes(row, b""),
    );
    let second = ruins.path("segment-000002");
    fs::rename(other.path().join("segment-000001"), second).unwrap();
    let error = run(ruins.dir(), &other.path().join("new"), false).unwrap_err();
    let text = error.to_string();
    assert!(
        text.ends_with("tells which segment is the one of the database"),
        "{text}"
    );
}

#[test]
fn a_database_or_what_is_left_of_one_is_not_written_over() {
    let ruins = Ruins::new();
    let refused = |to: &Path| {
        let before = names(to);
        let error = run(ruins.dir(), to, false).unwrap_err();
        assert!(
            matches!(&error, Error::AlreadyExists { path } if path == to),
            "{error}"
        );
        assert_eq!(names(to), before);
    };
    let other = Ruins::new();
    refused(other.dir());
    other.flip("MANIFEST", 70);
    refused(other.dir());
    other.remove("MANIFEST");
    refused(other.dir());
    ruins.remove("MANIFEST");
    refused(ruins.dir());
    // Into a directory with other things in it.
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("notes"), "mine").unwrap();
    run(ruins.dir(), dir.path(), false).unwrap();
    assert_eq!(
        names(dir.path()),
        ["LOCK", "MANIFEST", "notes", "segment-000001"]
    );
}

#[test]
fn what_is_no_database_is_said_to_be_none() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("to");
    let error = run(&dir.path().join("none"), &to, false).unwrap_err();
    assert!(error.to_string().starts_with("cannot open "), "{error}");
    let error = run(dir.path(), &to, false).unwrap_err();
    assert!(matches!(error, Error::NotADatabase { .. }), "{error}");
    for name in ["meta.bin", "vectors.bin"] {
        fs::write(dir.path().join(name), [0; 16]).unwrap();
    }
    let error = run(dir.path(), &to, false).unwrap_err();
    let text = error.to_string();
    assert!(
        text.ends_with("have no checksums that tell what is whole"),
        "{text}"
    );
    assert!(!to.exists());
}

#[test]
fn nothing_is_written_into_what_is_salvaged() {
    let dir = tempfile::tempdir().unwrap();
    let db = dir.path().join("db");
    crate::support::write(&db, false, 3).unwrap();
    let before = crate::support::names(&db);
    for inner in ["new", "segment-000001", "segment-000001/new"] {
        let error = run(&db, &db.join(inner), false).unwrap_err();
        let text = error.to_string();
        assert!(
            text.ends_with("it lies in what is to be salvaged"),
            "{text}"
        );
    }
    assert_eq!(crate::support::names(&db), before);
}

#[test]
fn an_error_of_the_caller_ends_it_and_nothing_is_left() {
    #[derive(Debug, PartialEq)]
    enum Mine {
        Enough,
        Other(String),
    }
    impl From<Error> for Mine {
        fn from(error: Error) -> Self {
            Self::Other(error.to_string())
        }
    }
    let ruins = Ruins::new();
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("a/b");
    let result = salvage(ruins.dir(), &to, false, None, no_files, |row| {
        match row.old_id {
            15_000 => Err(Mine::Enough),
            _ => Ok(()),
        }
    });
    assert_eq!(result, Err(Mine::Enough));
    assert_eq!(names(dir.path()), [""; 0]);
    let result = salvage(dir.path(), &to, false, None, no_files, |_| {
        Err(Mine::Enough)
    });
    assert!(matches!(result, Err(Mine::Other(_))));
}
