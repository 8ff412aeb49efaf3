//! What the tests share: tests that a machine cannot run, tests in a process of their own, and files with
//! their checksums made right.

use std::io::Write;
use std::process::Command;

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
        let mut file = std::fs::File::options()
            .append(true)
            .create(true)
            .open(path)
            .unwrap();
        writeln!(file, "{test}: needs {need}: {reason}").unwrap();
    }
}

const CHILD: &str = "RINGDB_TEST_CHILD";

/// Whether this process was started by [`run_in_child`].
pub(crate) fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// Runs the one test of this full name again, in a process of its own for which the shell command
/// `prepare` is run first.
#[track_caller]
pub(crate) fn run_in_child(test: &str, prepare: &str) {
    let mut child = Command::new("sh");
    child.arg("-c").arg(format!("{prepare} && exec \"$@\""));
    child.arg("sh").arg(std::env::current_exe().unwrap());
    child.args(["--exact", test, "--nocapture"]).env(CHILD, "1");
    let output = child.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    // A name that no test has would end well, too.
    let ran = text.contains("1 passed");
    assert!(output.status.success() && ran, "{}: {text}", output.status);
}

/// Makes the checksums of a file right by docs/FORMAT.md. Returns the last, which stands for the file.
pub(crate) fn sign(file: &mut [u8]) -> [u8; 4] {
    let crc = |bytes: &[u8]| crc32fast::hash(bytes).to_le_bytes();
    let footer = file.len() - 16;
    let body_bytes = u64::from_le_bytes(file[48..56].try_into().unwrap());
    let table = 64 + body_bytes as usize;
    let crcs: Vec<u8> = file[64..table].chunks(1 << 16).flat_map(crc).collect();
    file[table..table + crcs.len()].copy_from_slice(&crcs);
    let (header_crc, tail_crc) = (crc(&file[..60]), crc(&file[table..footer]));
    file[60..64].copy_from_slice(&header_crc);
    file[footer + 4..footer + 8].copy_from_slice(&tail_crc);
    file[footer + 8..footer + 12].copy_from_slice(&header_crc);
    let checksum = crc(&file[footer..footer + 12]);
    file[footer + 12..].copy_from_slice(&checksum);
    checksum
}
