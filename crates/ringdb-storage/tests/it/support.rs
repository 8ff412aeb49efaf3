//! What the tests share: small databases and files with their checksums made right again.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use ringdb_storage::{DerivedWriter, PayloadCodec, Result, Segment, SegmentWriter, Vectors};

/// Rows and payloads of the databases that the tests write.
pub(crate) fn entry(id: u32) -> ([f32; 3], String) {
    let x = id as f32;
    ([x, -x, 0.5 * x], format!("payload {id}"))
}

/// Writes `entry(0)` to `entry(len - 1)` as a database.
pub(crate) fn write(dir: &Path, replace: bool, len: u32) -> Result<Segment<String>> {
    let mut writer = SegmentWriter::in_directory(dir, replace, 3, PayloadCodec::Bincode)?;
    for id in 0..len {
        let (row, payload) = entry(id);
        writer.push(&row, payload)?;
    }
    writer.finish()
}

/// Writes a database of one row, and calls `look` again and again while it is replaced by those of 2 to
/// 59 rows.
pub(crate) fn while_replaced(dir: &Path, mut look: impl FnMut()) {
    write(dir, false, 1).unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for len in 2..60 {
                write(dir, true, len).unwrap();
            }
        });
        while !writer.is_finished() {
            look();
        }
    });
}

/// Asserts that `segment` holds what [`write`] writes.
#[track_caller]
pub(crate) fn assert_holds(segment: &Segment<String>, len: u32) {
    assert_eq!(segment.vectors.len(), len as usize);
    assert_eq!(segment.payloads.len(), len as usize);
    for id in 0..len {
        let (row, payload) = entry(id);
        assert_eq!(segment.vectors.row(id).unwrap(), row);
        assert_eq!(segment.payloads.fetch(id).unwrap(), payload);
    }
}

/// Derives nothing.
pub(crate) fn no_files<E>(_: &Vectors, _: &mut DerivedWriter<'_>) -> std::result::Result<(), E> {
    Ok(())
}

/// Every file below `dir` except LOCK, which holds no data.
pub(crate) fn data_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(data_files(&path));
        } else if path.file_name().unwrap() != "LOCK" {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The bytes of a file that lie before its table: header and body.
pub(crate) fn head_and_body(file: &[u8]) -> &[u8] {
    &file[..64 + u64::from_le_bytes(file[48..56].try_into().unwrap()) as usize]
}

/// A file of `head_and_body` with the length and all the checksums that docs/FORMAT.md asks for, so
/// that a test reaches the checks behind them.
pub(crate) fn sealed(head_and_body: &[u8], note: &str) -> Vec<u8> {
    let mut file = head_and_body.to_vec();
    let body_bytes = file.len() as u64 - 64;
    file[48..56].copy_from_slice(&body_bytes.to_le_bytes());
    let header_crc = crc32fast::hash(&file[..60]).to_le_bytes();
    file[60..64].copy_from_slice(&header_crc);
    let table = file[64..].chunks(1 << 16).map(crc32fast::hash);
    let mut tail: Vec<u8> = table.flat_map(u32::to_le_bytes).collect();
    tail.extend_from_slice(note.as_bytes());
    let mut footer = (note.len() as u32).to_le_bytes().to_vec();
    footer.extend_from_slice(&crc32fast::hash(&tail).to_le_bytes());
    footer.extend_from_slice(&header_crc);
    let crc = crc32fast::hash(&footer).to_le_bytes();
    [&file[..], &tail, &footer, &crc].concat()
}

/// Makes the checksums of `file` right again after a change of its header or body.
pub(crate) fn sign(file: &mut Vec<u8>) {
    let note_bytes = u32::from_le_bytes(file[file.len() - 16..][..4].try_into().unwrap()) as usize;
    let note = &file[file.len() - 16 - note_bytes..][..note_bytes];
    let note = String::from_utf8(note.to_vec()).unwrap();
    *file = sealed(head_and_body(file), &note);
}

/// Leaves a test out because the machine lacks `need`, and leaves a line about it for the gate. Where
/// `RINGDB_REQUIRE` names the need, leaving out is failing.
pub(crate) fn skip(test: &str, need: &str, reason: &str) {
    let required = std::env::var("RINGDB_REQUIRE").unwrap_or_default();
    let is_required = required.split(',').any(|required| required.trim() == need);
    assert!(
        !is_required,
        "{test} needs {need}, which is required here: {reason}"
    );
    println!("skipped {test}: needs {need}: {reason}");
    if let Some(path) = std::env::var_os("RINGDB_SKIPPED") {
        let mut file = fs::File::options()
            .append(true)
            .create(true)
            .open(path)
            .unwrap();
        writeln!(file, "{test}: needs {need}: {reason}").unwrap();
    }
}

/// The names in `dir`, sorted.
pub(crate) fn names(dir: &Path) -> Vec<String> {
    let name =
        |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(name).collect();
    names.sort();
    names
}

const CHILD: &str = "RINGDB_TEST_CHILD";

/// Whether this process was started by [`run_in_child`].
pub(crate) fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// Runs the one test of this full name again, in a process of its own that `set_up` prepares.
#[track_caller]
pub(crate) fn run_in_child(test: &str, set_up: impl FnOnce(&mut Command) -> &mut Command) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    let child = set_up(child.args(["--exact", test]).env(CHILD, "1"));
    let output = child.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    // A name that no test has would end well, too.
    let ran = text.contains("1 passed");
    assert!(output.status.success() && ran, "{text}");
}
