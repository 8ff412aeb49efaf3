//! What becomes of codes when a database is made of another, and what damage of them and under them does.

use std::fs;
use std::path::Path;

use ringdb::{
    Boxes, BuildOptions, Codes, OpenOptions, Rebuilt, RingDb, RingDbError, SealedRingDb, Tier,
    Verify, rebuild_codes, salvage, verify,
};
use ringdb_storage::{PayloadCodec, SegmentWriter};

use crate::code_bytes::body;

const DIMS: usize = 4;

/// `rows` vectors along a line, as far apart as their ids.
fn build(dir: &Path, rows: usize, codes: Codes, replace: bool) {
    let options = BuildOptions::new(DIMS).persist(dir).codes(codes);
    let mut db: RingDb = options.replace(replace).create().unwrap();
    let vectors: Vec<f32> = (0..rows)
        .flat_map(|id| [id as f32, 0.0, 0.0, 0.0])
        .collect();
    db.add_vectors(&vectors, vec![(); rows]).unwrap();
    db.build().unwrap();
}

fn flip(dir: &Path, name: &str, at: usize) {
    let path = dir.join(name);
    let mut bytes = fs::read(&path).unwrap();
    bytes[at] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

fn has_codes(dir: &Path) -> bool {
    OpenOptions::new().open::<()>(dir).unwrap().has_codes()
}

#[test]
fn codes_are_kept_by_the_name_that_manifest_gives_them() {
    let damages: [fn(&Path); 3] = [
        |_| {},
        |dir| flip(dir, "segment-000001/codes.bin", 80),
        |dir| {
            for name in ["codes.bin", "fine.bin", "prefix.bin"] {
                fs::remove_file(dir.join("segment-000001").join(name)).unwrap();
            }
        },
    ];
    for damage in damages {
        for (codes, expected) in [(Codes::On, true), (Codes::Off, false)] {
            let dir = tempfile::tempdir().unwrap();
            let [db, to] = ["db", "to"].map(|name| dir.path().join(name));
            build(&db, 50, codes, false);
            if expected {
                damage(&db);
            }
            salvage(&db, &to, false, |_| Ok(())).unwrap();
            assert_eq!(has_codes(&to), expected);
            let Rebuilt {
                vectors, has_codes, ..
            } = rebuild_codes(&db, Codes::Keep, Boxes::Keep).unwrap();
            assert_eq!((vectors, has_codes), (50, expected));
            assert!(verify(&db).unwrap().is_whole());
        }
    }
    // Where codes pay, too.
    let dir = tempfile::tempdir().unwrap();
    let [db, to] = ["db", "to"].map(|name| dir.path().join(name));
    let mut large: RingDb = BuildOptions::new(16)
        .persist(&db)
        .codes(Codes::Off)
        .create()
        .unwrap();
    large
        .add_vectors(&vec![0.5; 65_536 * 16], vec![(); 65_536])
        .unwrap();
    large.build().unwrap();
    salvage(&db, &to, false, |_| Ok(())).unwrap();
    assert!(!has_codes(&to));
    // Without a MANIFEST nothing tells, and they are as they would be in a new database.
    fs::remove_dir_all(&to).unwrap();
    fs::remove_file(db.join("MANIFEST")).unwrap();
    salvage(&db, &to, false, |_| Ok(())).unwrap();
    assert!(has_codes(&to));
}

#[test]
fn a_database_that_is_replaced_can_hand_its_rule_on() {
    let dir = tempfile::tempdir().unwrap();
    let steps = [
        (Codes::Keep, false),
        (Codes::On, true),
        (Codes::Keep, true),
        (Codes::Auto, false),
        (Codes::Keep, false),
    ];
    for (rows, (codes, expected)) in (20..).zip(steps) {
        build(dir.path(), rows, codes, true);
        assert_eq!(has_codes(dir.path()), expected, "{rows}");
    }
}

type Change = fn(&mut Vec<u8>);

/// Codes whose checksums are right, of other rows or of none.
#[test]
fn verify_finds_codes_that_do_not_open() {
    let whole = tempfile::tempdir().unwrap();
    build(whole.path(), 50, Codes::On, false);
    let segment = whole.path().join("segment-000001");
    let whole = ["codes.bin", "fine.bin", "prefix.bin"].map(|name| body(&segment.join(name)));
    let other_rows: Change = |body| body[8] += 1;
    let shorter: Change = |body| body.truncate(body.len() - 64);
    let longer: Change = |body| body.push(0);
    // Passed over by whoever opens it, so no damage.
    let unknown_form: Change = |body| body[0] = 9;
    let nothing: Change = |_| {};
    let cases = [
        (0, nothing, None),
        (0, other_rows, Some("codes.bin")),
        (0, shorter, Some("codes.bin")),
        (0, unknown_form, None),
        (1, longer, Some("fine.bin")),
        (2, other_rows, Some("prefix.bin")),
        (2, shorter, Some("prefix.bin")),
        (2, longer, Some("prefix.bin")),
        (2, unknown_form, None),
    ];
    for (changed, change, expected) in cases {
        let mut bodies = whole.clone();
        change(&mut bodies[changed]);
        let [codes, fine, prefix] = &bodies;
        let dir = tempfile::tempdir().unwrap();
        let mut writer =
            SegmentWriter::in_directory(dir.path(), false, DIMS, PayloadCodec::Bincode).unwrap();
        for id in 0..50_u8 {
            writer.push(&[f32::from(id), 0.0, 0.0, 0.0], ()).unwrap();
        }
        let written = writer.finish_with(|_, writer| {
            writer.codes(codes)?;
            writer.fine(fine)?;
            writer.prefix(prefix)
        });
        drop(written.unwrap());
        let report = verify(dir.path()).unwrap();
        let opened = OpenOptions::new().open::<()>(dir.path());
        let names = report.damage.iter().map(|damage| damage.path.file_name());
        let expected: Vec<_> = expected.into_iter().map(Path::new).collect();
        let expected: Vec<_> = expected.iter().map(|name| name.file_name()).collect();
        assert_eq!(names.collect::<Vec<_>>(), expected);
        assert_eq!(opened.is_ok(), expected.is_empty());
        if let Err(error) = opened {
            assert!(error.is_of_codes(), "{error}");
            assert!(report.is_derived_alone());
            assert!(
                rebuild_codes(dir.path(), Codes::Keep, Boxes::Keep)
                    .unwrap()
                    .has_codes
            );
            assert!(verify(dir.path()).unwrap().is_whole());
        }
    }
}

#[test]
fn an_error_tells_whether_it_is_of_codes_alone() {
    for (name, at, expected) in [
        ("codes.bin", 80, true),
        ("codes.bin", 8, true),
        ("fine.bin", 80, true),
        ("prefix.bin", 80, true),
        ("prefix.bin", 8, true),
        ("vectors.bin", 80, false),
        ("vectors.bin", 8, false),
        ("payloads.bin", 3, false),
    ] {
        let dir = tempfile::tempdir().unwrap();
        build(dir.path(), 50, Codes::On, false);
        let name = format!("segment-000001/{name}");
        flip(dir.path(), &name, at);
        let error = OpenOptions::new().open::<()>(dir.path()).unwrap_err();
        assert_eq!(error.is_of_codes(), expected, "{name} {at}: {error}");
        let without = OpenOptions::new().codes(false).open::<()>(dir.path());
        assert_eq!(without.is_ok(), expected);
        fs::remove_file(dir.path().join(&name)).unwrap();
        let error = OpenOptions::new().open::<()>(dir.path()).unwrap_err();
        assert_eq!(error.is_of_codes(), expected, "{name} missing: {error}");
    }
}

/// That a vector is a hit may be proven without reading it; its distance is not.
#[test]
fn the_distance_of_a_hit_whose_vector_is_damaged_is_an_error() {
    const ROWS: usize = 10_000;
    let dir = tempfile::tempdir().unwrap();
    build(dir.path(), ROWS, Codes::On, false);
    let path = dir.path().join("segment-000001/vectors.bin");
    // Row 9 000 in the third block, far from the row that is asked from.
    flip(
        dir.path(),
        "segment-000001/vectors.bin",
        64 + 9_000 * 4 * DIMS + 1,
    );
    let open = || -> SealedRingDb {
        let options = OpenOptions::new().verify(Verify::Lazy);
        options.open(dir.path()).unwrap()
    };
    let query = [0.0; DIMS];
    // Each search in a database of its own, in which nothing was looked at before.
    let db = open();
    let found = db.search(&query).within(1e6).run().unwrap();
    assert_eq!(found.ids.len(), ROWS);
    assert_eq!(found.explain.tier(Tier::Rows).rows, 0);
    assert_eq!(found.explain.tier(Tier::Scan).rows, 0);
    #[track_caller]
    fn check<R: std::fmt::Debug>(found: ringdb::Result<R>, path: &Path) {
        match found {
            Err(RingDbError::Corrupt(corruption)) => {
                assert_eq!(
                    (corruption.path(), corruption.offset()),
                    (path, 64 + 2 * 65_536)
                );
            }
            other => panic!("{other:?}"),
        }
    }
    check(open().search(&query).within(1e6).distances().run(), &path);
    let ring = [ringdb::Ring::within(1e6).unwrap()];
    check(open().query_many_distances(&query, &ring), &path);
    check(open().vector(9_000), &path);
    // Those of other blocks are what they are.
    let near = open()
        .search(&query)
        .within(4_000.0)
        .distances()
        .run()
        .unwrap();
    assert_eq!(near.distances.unwrap()[4_000], 4_000.0);
}
