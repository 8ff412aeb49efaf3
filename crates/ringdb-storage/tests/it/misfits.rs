//! Files that are whole and do not fit each other are a finding, whatever else is damaged.

use std::fs;
use std::path::Path;

use ringdb_storage::{Error, Segment, is_derived_file, verify, verify_with};

use crate::derived::{CODES, FINE, build, flip};
use crate::support::sign;

/// A database with derived files whose MANIFEST names another codec than its payloads have.
fn misfit(dir: &Path) {
    build(dir, 5, [100, 20]);
    let path = dir.join("MANIFEST");
    let mut bytes = fs::read(&path).unwrap();
    assert_eq!(bytes[64 + 8], 1);
    bytes[64 + 8] = 4;
    sign(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[test]
fn damage_of_derived_files_alone_does_not_hide_a_misfit() {
    let dir = tempfile::tempdir().unwrap();
    misfit(dir.path());
    let payloads = dir.path().join("segment-000001/payloads.bin");
    let paths = || {
        let report = verify(dir.path(), None).unwrap();
        assert!(!report.is_derived_alone());
        let paths = report.damage.into_iter().map(|damage| damage.path);
        paths.collect::<Vec<_>>()
    };
    assert_eq!(paths(), std::slice::from_ref(&payloads));
    flip(&dir.path().join(CODES), &[70]);
    assert_eq!(paths(), [dir.path().join(CODES), payloads.clone()]);
    fs::remove_file(dir.path().join(FINE)).unwrap();
    let all = [CODES, FINE].map(|name| dir.path().join(name));
    assert_eq!(paths()[..2], all);
    assert_eq!(paths()[2], payloads);
}

#[test]
fn what_a_check_of_the_caller_says_is_a_finding() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path(), 5, [100, 20]);
    let look = |segment: Segment<()>| match segment.codes {
        Some(codes) => Err(codes.corrupt("not mine")),
        None => Ok(()),
    };
    let report = verify_with(dir.path(), None, look).unwrap();
    assert!(report.is_derived_alone());
    assert_eq!(report.damage.len(), 1);
    let found = &report.damage[0];
    assert!(found.path == dir.path().join(CODES) && is_derived_file(&found.path));
    assert_eq!((found.offset, found.what.as_str()), (64, "not mine"));
    // Of what is damaged nothing is asked.
    flip(&dir.path().join(CODES), &[70]);
    let never = |_| {
        Err(Error::NotADatabase {
            path: "asked".into(),
        })
    };
    let report = verify_with(dir.path(), None, never).unwrap();
    assert_eq!(report.damage.len(), 1);
    assert!(!is_derived_file(
        &dir.path().join("segment-000001/vectors.bin")
    ));
}
