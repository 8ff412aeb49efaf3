//! What holds for files whatever is in them: headers, lengths, sizes, traces of a machine, lock files.

use std::process::Command;

use super::source::Source;
use super::{Finding, Tree};
use crate::run::Result;

const LINES_MAX: usize = 600;
const FILE_BYTES_MAX: u64 = 5_000_000;
/// That of the workspace, and those of the packages outside it.
pub(super) const LOCK_FILES: &[&str] = &[
    "Cargo.lock",
    "benches/peers/Cargo.lock",
    "compat/v0_3_0/Cargo.lock",
    "compat/v0_3_1/Cargo.lock",
    "fuzz/Cargo.lock",
];

/// Source files that do not begin with `//!`.
pub(super) fn headers(sources: &[Source]) -> Vec<Finding> {
    let bare = sources
        .iter()
        .filter(|source| !source.text.starts_with("//!"));
    bare.map(|source| Finding::new(&source.path, 1, "does not begin with `//!`"))
        .collect()
}

/// Source files that have grown too long to read at once.
pub(super) fn lengths(sources: &[Source]) -> Vec<Finding> {
    let counted = sources
        .iter()
        .map(|source| (&source.path, source.text.lines().count()));
    let long = counted.filter(|(_, lines)| *lines > LINES_MAX);
    long.map(|(path, lines)| {
        Finding::new(path, 0, format!("has {lines} lines, more than {LINES_MAX}"))
    })
    .collect()
}

/// Text files that name a home folder or a drive.
pub(super) fn machine_paths(tree: &Tree) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for path in &tree.paths {
        let bytes = std::fs::read(tree.root.join(path))?;
        if let Some(text) = String::from_utf8(bytes)
            .ok()
            .filter(|text| !text.contains('\0'))
        {
            findings.extend(machine_paths_in(path, &text));
        }
    }
    Ok(findings)
}

fn machine_paths_in(path: &str, text: &str) -> Vec<Finding> {
    // Put together here, or this file would accuse itself.
    let marks = ["home", "root", "Users"]
        .map(|folder| format!("/{folder}/"))
        .into_iter()
        .chain([format!("C:{}", '\\')]);
    let marks: Vec<String> = marks.collect();
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let found = marks.iter().filter(|mark| line.contains(mark.as_str()));
        findings.extend(
            found.map(|mark| Finding::new(path, index + 1, format!("names a path with `{mark}`"))),
        );
    }
    findings
}

/// Files that do not belong in a repository of source.
pub(super) fn weights(tree: &Tree) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for path in &tree.paths {
        findings.extend(weight(path, std::fs::metadata(tree.root.join(path))?.len()));
    }
    Ok(findings)
}

fn weight(path: &str, bytes: u64) -> Option<Finding> {
    let what = || format!("has {bytes} bytes, more than {FILE_BYTES_MAX}");
    (bytes > FILE_BYTES_MAX).then(|| Finding::new(path, 0, what()))
}

/// Lock files that git does not hold.
pub(super) fn lock_files(tree: &Tree) -> Result<Vec<Finding>> {
    let mut list = Command::new("git");
    list.args(["ls-files", "--"])
        .args(LOCK_FILES)
        .current_dir(&tree.root);
    Ok(missing_locks(&String::from_utf8(crate::run::output(
        &mut list,
    )?)?))
}

fn missing_locks(tracked: &str) -> Vec<Finding> {
    let missing = LOCK_FILES
        .iter()
        .filter(|lock| !tracked.lines().any(|path| path == **lock));
    missing
        .map(|lock| Finding::new(lock, 0, "is not tracked by git"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_header(text: &str, expected: usize) {
        assert_eq!(
            headers(&[Source::new("src/a.rs", text)]).len(),
            expected,
            "{text}"
        );
    }

    #[test]
    fn a_file_says_what_it_is_for() {
        check_header("//! Counts.\n", 0);
        check_header("// Counts.\n", 1);
        check_header("\n//! Counts.\n", 1);
        check_header("", 1);
    }

    fn check_length(lines: usize, expected: &[&str]) {
        let found = lengths(&[Source::new("src/a.rs", &"x\n".repeat(lines))]);
        assert_eq!(
            found.iter().map(Finding::to_string).collect::<Vec<_>>(),
            expected
        );
    }

    #[test]
    fn a_file_can_be_read_at_once() {
        check_length(LINES_MAX, &[]);
        check_length(LINES_MAX + 1, &["src/a.rs: has 601 lines, more than 600"]);
    }

    fn check_machine_path(line: &str, expected: usize) {
        assert_eq!(
            machine_paths_in("a.md", &format!("first\n{line}")).len(),
            expected,
            "{line}"
        );
    }

    #[test]
    fn no_machine_is_named() {
        check_machine_path(&format!("cd /{}/me", "home"), 1);
        check_machine_path(&format!("cd /{}/me", "Users"), 1);
        check_machine_path(&format!("cd /{}/.cargo", "root"), 1);
        check_machine_path(&format!("cd C:{}temp", '\\'), 1);
        check_machine_path("cd ~/me; cd /tmp/x; https://example.org/homes/", 0);
    }

    #[test]
    fn a_large_file_is_found() {
        assert_eq!(weight("a.bin", FILE_BYTES_MAX), None);
        assert_eq!(
            weight("a.bin", FILE_BYTES_MAX + 1)
                .map(|finding| finding.file)
                .as_deref(),
            Some("a.bin")
        );
    }

    #[test]
    fn a_lock_that_git_does_not_hold_is_found() {
        assert_eq!(missing_locks(&LOCK_FILES.join("\n")), []);
        assert_eq!(
            missing_locks(&LOCK_FILES[1..].join("\n")),
            [Finding::new("Cargo.lock", 0, "is not tracked by git")]
        );
    }
}
