//! `examples/read_ringdb.py`, which knows nothing of this library but docs/FORMAT.md, reads the same
//! rows and payloads, and refuses what was damaged.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use proptest::prelude::RngExt;
use proptest::test_runner::{RngAlgorithm, TestRng};
use ringdb_storage::{PayloadCodec, SegmentWriter};

use crate::contents::{FIXTURES, Fixture};
use crate::fixtures::{
    copy, dir, edit, edit_named, every_kind, files, named, payload_bytes, write_version,
};
use crate::support::skip;

/// The folder in which the reader lies.
fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

/// Whether there is a Python to run; `test` is left out where there is none.
fn has_python(test: &str) -> bool {
    let reason = match Command::new("python3").arg("--version").output() {
        Ok(output) if output.status.success() => return true,
        Ok(output) => format!("python3 ended with {}", output.status),
        Err(error) => format!("python3 cannot be started: {error}"),
    };
    skip(test, "python3", &reason);
    false
}

/// Python, told to leave no compiled module beside the source.
fn python() -> Command {
    let mut python = Command::new("python3");
    python.arg("-B").env("PYTHONIOENCODING", "utf-8");
    python
}

/// The reader as a program.
fn read(db: &Path) -> Command {
    let mut python = python();
    python.arg(examples().join("read_ringdb.py")).arg(db);
    python
}

/// The standard output of a program that must end well.
#[track_caller]
fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// A number as `repr` in Python writes it: the fewest digits that tell it from its neighbours, and an
/// exponent of two digits or more where the number is small or large.
fn repr(x: f32) -> String {
    let (plain, scientific) = (format!("{:?}", f64::from(x)), format!("{:e}", f64::from(x)));
    let (digits, exponent) = scientific.split_once('e').unwrap();
    match exponent.parse::<i32>().unwrap() {
        -4..16 => plain,
        exponent @ 0.. => format!("{digits}e+{exponent:02}"),
        exponent => format!("{digits}e-{:02}", -exponent),
    }
}

/// The line that stands for a row.
fn line(fixture: &Fixture, id: u32) -> String {
    let mut fields = vec![id.to_string()];
    fields.extend(fixture.row(id).into_iter().map(repr));
    let payload = payload_bytes(fixture, id);
    fields.push(payload.iter().map(|byte| format!("{byte:02x}")).collect());
    fields.join("\t")
}

#[test]
fn the_reader_in_python_prints_every_row() {
    if !has_python("python::the_reader_in_python_prints_every_row") {
        return;
    }
    let fresh = tempfile::tempdir().unwrap();
    for fixture in &FIXTURES {
        let built = fresh.path().join(fixture.name);
        fixture.build(&built).unwrap();
        for db in [dir(fixture), built] {
            let printed = output(&mut read(&db));
            let expected: Vec<_> = (0..fixture.len).map(|id| line(fixture, id)).collect();
            assert_eq!(
                printed.lines().collect::<Vec<_>>(),
                expected,
                "{}",
                db.display()
            );
        }
    }
}

#[test]
fn the_reader_in_python_refuses_a_newer_version() {
    if !has_python("python::the_reader_in_python_refuses_a_newer_version") {
        return;
    }
    for (fixture, place) in every_kind() {
        let db = tempfile::tempdir().unwrap();
        write_version(fixture, db.path(), place, 1);
        let printed = output(&mut read(db.path()));
        assert_eq!(printed.lines().count(), fixture.len as usize);
        let path = write_version(fixture, db.path(), place, 2);
        let output = read(db.path()).output().unwrap();
        let error = format!(
            "error: {} at byte 8: format version 2, this program reads version 1",
            path.display()
        );
        assert_eq!(String::from_utf8_lossy(&output.stderr).trim_end(), error);
        assert_eq!((output.status.code(), output.stdout), (Some(1), Vec::new()));
    }
}

#[cfg(unix)]
#[test]
fn the_reader_in_python_prints_nothing_that_a_terminal_obeys() {
    if !has_python("python::the_reader_in_python_prints_nothing_that_a_terminal_obeys") {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let harmful = place.path().join("d\x1b[2J\n\u{9b}\u{202e}é");
    fs::create_dir(&harmful).unwrap();
    let output = read(&harmful).output().unwrap();
    let error = format!(
        "error: {}/d\\x1b[2J\\n\\x9b\\u202eé/MANIFEST at byte 0: no regular file\n",
        place.path().display()
    );
    assert_eq!(String::from_utf8_lossy(&output.stderr), error);
    assert_eq!((output.status.code(), output.stdout), (Some(1), Vec::new()));
}

#[test]
fn the_reader_in_python_ends_quietly_when_nobody_reads_on() {
    if !has_python("python::the_reader_in_python_ends_quietly_when_nobody_reads_on") {
        return;
    }
    // One fills the buffer that Python writes through, the other does not.
    for name in ["blocks", "pod"] {
        let fixture = named(name);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = read(&dir(fixture)).stdout(writer).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{name}");
        assert!(output.status.success(), "{name}: {}", output.status);
    }
}

/// Edits one byte of the fixture `pod`, makes every checksum of a file right, and asserts that the reader
/// still sees it.
fn check_edit(place: usize, at: usize, byte: u8, expected: &str) {
    check_edit_of("pod", place, at, byte, expected);
}

/// The same of any fixture.
fn check_edit_of(fixture: &str, place: usize, at: usize, byte: u8, expected: &str) {
    let fixture = named(fixture);
    let db = tempfile::tempdir().unwrap();
    copy(fixture, db.path());
    let path = edit(db.path(), files(fixture), place, |file| {
        assert_ne!(file[at], byte);
        file[at] = byte;
    });
    let output = read(db.path()).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    let expected = format!("error: {} at byte {expected}", path.display());
    assert_eq!(error.trim_end(), expected);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn the_reader_in_python_looks_behind_the_checksums_of_files() {
    if !has_python("python::the_reader_in_python_looks_behind_the_checksums_of_files") {
        return;
    }
    let [manifest, offsets, payloads, vectors] = [0, 1, 2, 3];
    check_edit(manifest, 6, 2, "6: kind 2, expected 1");
    check_edit(manifest, 12, 0, "12: 0 dims");
    check_edit(manifest, 40, 2, "40: 2 segments");
    check_edit(manifest, 64, 2, "64: metric 2, elements of type 1");
    check_edit(manifest, 72, 6, "72: payload codec 6");
    // Behind a name of 8 bytes.
    check_edit(manifest, 92, 2, "92: 2 files");
    check_edit(
        manifest,
        104,
        10,
        "104: a file of kind 10, which is not known",
    );
    check_edit(manifest, 120, 4, "120: two files of kind 4");
    check_edit(vectors, 12, 3, "12: dims 3, expected 4");
    check_edit(
        vectors,
        32,
        2,
        "16: of another database or another commit than MANIFEST",
    );
    check_edit(vectors, 40, 29, "40: rows 29, expected 30");
    // The largest number becomes NaN.
    let row = "row 9 is not finite: (0.0, -0.0, nan, 1.1754943508222875e-38)";
    check_edit(vectors, 208 + 8 + 2, 0xff, &format!("208: {row}"));
    check_edit(offsets, 40, 30, "40: offsets 30, expected 31");
    check_edit(offsets, 64, 1, "64: the first offset is 1");
    check_edit(offsets, 64 + 8, 33, "72: record 0 from 0 to 33");
    check_edit(offsets, 64 + 8 * 30, 0, "304: the last offset is 768");
    check_edit(payloads, 12, 1, "12: codec 1, expected 5");
    check_edit(payloads, 64 + 32, 2, "96: checksum of payload 1");
    check_edit(payloads, 64 + 20, 1, "64: checksum of payload 0");
    check_edit(payloads, 64 + 31, 1, "64: checksum of payload 0");
    for (place, kind) in [(4, 5), (5, 6), (6, 7)] {
        let check = |at, byte, expected: &str| check_edit_of("prefix", place, at, byte, expected);
        check(6, 2, &format!("6: kind 2, expected {kind}"));
        check(12, 17, "12: dims 17, expected 68");
        check(40, 71, "40: rows 71, expected 72");
        check(56, 1, "56: width 1, expected 0");
        let what = "16: of another database or another commit than MANIFEST";
        check(32, 2, what);
    }
}

/// Two rows, and files derived from them.
fn write_derived(db: &Path) {
    let mut writer = SegmentWriter::<()>::in_directory(db, false, 1, PayloadCodec::Raw).unwrap();
    for x in [0.5, 1.5] {
        writer.push_bytes(&[x], b"\x01\xff").unwrap();
    }
    let written = writer.finish_with(|_, writer| {
        writer.codes(&[7; 70_000])?;
        writer.fine(b"finer")?;
        writer.prefix(b"fewer")
    });
    written.unwrap();
}

#[test]
fn the_reader_in_python_checks_derived_files_and_passes_over_them() {
    let test = "python::the_reader_in_python_checks_derived_files_and_passes_over_them";
    if !has_python(test) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let rows = "0\t0.5\t01ff\n1\t1.5\t01ff\n";
    let derived =
        ["codes.bin", "fine.bin", "prefix.bin"].map(|name| format!("segment-000001/{name}"));
    let [codes, fine, prefix] = derived.each_ref();
    let new = |name: &str| {
        let db = dir.path().join(name);
        write_derived(&db);
        assert_eq!(output(&mut read(&db)), rows);
        db
    };
    let refused = |db: &Path, path: &Path, expected: &str| {
        let output = read(db).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        let expected = format!("error: {} at byte {expected}", path.display());
        assert_eq!(error.trim_end(), expected);
    };
    let flip = |path: &Path, at: usize| {
        let mut bytes = fs::read(path).unwrap();
        bytes[at] ^= 1;
        fs::write(path, bytes).unwrap();
    };
    let db = new("damaged");
    for (name, at, what) in [
        (codes, 64, "64: checksum of block 0"),
        (codes, 64 + 65_536, "65600: checksum of block 1"),
        (fine, 68, "64: checksum of block 0"),
        (fine, 20, "60: checksum of the header"),
        (prefix, 68, "64: checksum of block 0"),
        (prefix, 20, "60: checksum of the header"),
    ] {
        let path = db.join(name);
        flip(&path, at);
        refused(&db, &path, what);
        flip(&path, at);
    }
    for (i, name) in derived.iter().enumerate() {
        let from_end = derived.len() - i;
        for (field, what) in [
            (12, "12: dims 9, expected 1"),
            (40, "40: rows 9, expected 2"),
        ] {
            let db = new(&format!("{field} of {i}"));
            let path = edit_named(&db, name, from_end, |file| file[field] = 9);
            refused(&db, &path, what);
        }
        let db = new(&format!("{i} is missing"));
        fs::remove_file(db.join(name)).unwrap();
        refused(&db, &db.join(name), "0: no regular file");
    }
    // Behind an empty name of the type: the flags of the fourth file.
    let db = new("flags");
    let path = edit(&db, &["MANIFEST"], 0, |file| file[64 + 32 + 3 * 16 + 2] = 0);
    refused(&db, &path, "146: flags 0 of a file of kind 5");

    // One that MANIFEST does not name is nobody's.
    let fixture = &FIXTURES[0];
    let db = dir.path().join("unnamed");
    copy(fixture, &db);
    fs::write(db.join(codes), "other").unwrap();
    assert_eq!(output(&mut read(&db)).lines().count(), fixture.len as usize);
}

const SEED: [u8; 32] = *b"one bit of a database, seed no 1";
const FLIPS: usize = 200;
const CUTS: usize = 30;

/// Reads the databases named on standard input. What is not refused in due form ends the program.
const LOOP: &str = "
import sys
from read_ringdb import Damage, read
for line in sys.stdin:
    try:
        print('read', len(read(line.rstrip())))
    except Damage as damage:
        print('refused', damage)
";

/// What the reader says of each database, all in one process.
fn read_all(dir: &Path, databases: &[PathBuf]) -> Vec<String> {
    let list = dir.join("list");
    let lines = databases.iter().map(|db| format!("{}\n", db.display()));
    fs::write(&list, lines.collect::<String>()).unwrap();
    let mut python = python();
    python.args(["-c", LOOP]).env("PYTHONPATH", examples());
    let printed = output(python.stdin(File::open(list).unwrap()));
    printed.lines().map(str::to_owned).collect()
}

/// One bit of the file at `path` in its opposite, or the file cut: somewhere.
fn damage(path: &Path, cut: bool, rng: &mut TestRng) -> String {
    let mut bytes = fs::read(path).unwrap();
    let at = rng.random_range(0..bytes.len());
    if cut {
        bytes.truncate(at);
        fs::write(path, bytes).unwrap();
        return format!("cut at {at}");
    }
    let bit = rng.random_range(0..8);
    bytes[at] ^= 1 << bit;
    fs::write(path, bytes).unwrap();
    format!("bit {bit} of byte {at}")
}

/// Damages copies of a fixture of `len` rows, and asserts that the reader refuses each and names the
/// file.
fn check_damage(fixture: &str, len: usize) {
    println!("{fixture}, seed {:?}", String::from_utf8_lossy(&SEED));
    let fixture = named(fixture);
    let files = files(fixture);
    let mut rng = TestRng::from_seed(RngAlgorithm::ChaCha, &SEED);
    let dir_of_copies = tempfile::tempdir().unwrap();
    let mut databases = Vec::new();
    let mut damages = Vec::new();
    for n in 0..FLIPS + CUTS {
        let db = dir_of_copies.path().join(n.to_string());
        copy(fixture, &db);
        // The longer a file, the more often it is hit.
        let length = |file: &&str| fs::metadata(db.join(file)).unwrap().len();
        let lengths: Vec<u64> = files.iter().map(length).collect();
        let mut at = rng.random_range(0..lengths.iter().sum());
        let hit = lengths.iter().position(|&length| {
            let here = at < length;
            at = at.saturating_sub(length);
            here
        });
        let path = db.join(files[hit.unwrap()]);
        let damage = damage(&path, n >= FLIPS, &mut rng);
        databases.push(db);
        damages.push((path, damage));
    }
    // One that is whole comes last: what refuses everything has shown nothing.
    databases.push(dir(fixture));
    let said = read_all(dir_of_copies.path(), &databases);
    assert_eq!(said.len(), databases.len());
    assert_eq!(said.last(), Some(&format!("read {len}")));
    for (said, (path, damage)) in said.iter().zip(damages) {
        let expected = format!("refused {} at byte ", path.display());
        assert!(said.starts_with(&expected), "{damage}: {said}");
    }
}

#[test]
fn the_reader_in_python_refuses_every_damage() {
    if !has_python("python::the_reader_in_python_refuses_every_damage") {
        return;
    }
    check_damage("type-name", 5);
    check_damage("pod", 30);
    check_damage("codes", 200);
    check_damage("prefix", 72);
}
