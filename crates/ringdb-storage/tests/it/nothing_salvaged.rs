//! A `salvage` that would keep nothing fails, says why, and leaves nothing.

use std::fs;

use crate::ruins::{BLOCK, OFFSETS, PAYLOADS, ROWS, Ruins, VECTORS};
use crate::salvage::{run, run_each};
use crate::support::names;

#[test]
fn a_salvage_that_would_keep_nothing_says_why_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("deep/new");
    let refused = |ruins: &Ruins, keep_vectors: bool| {
        let (result, rows) = run_each(ruins.dir(), &to, keep_vectors);
        assert_eq!(names(dir.path()), [""; 0]);
        assert_eq!(rows.len(), ROWS as usize, "each row is told all the same");
        let error = result.unwrap_err().to_string();
        let start = format!(
            "none of 20000 rows of {} can be kept: ",
            ruins.dir().display()
        );
        error.strip_prefix(&start).expect(&error).to_string()
    };
    let ruins = Ruins::new();
    ruins.cut(VECTORS, 64 + BLOCK);
    for keep_vectors in [false, true] {
        assert_eq!(
            refused(&ruins, keep_vectors),
            "vector without a checksum (3276), vector missing (16724); \
             whole but for the payload: 0 vectors"
        );
    }
    let ruins = Ruins::new();
    ruins.remove(OFFSETS);
    assert_eq!(
        refused(&ruins, false),
        "payload missing (20000); whole but for the payload: 20000 vectors"
    );
    run(ruins.dir(), &dir.path().join("kept"), true).unwrap();

    // Nothing is said to be missing that is there.
    fs::remove_dir_all(dir.path().join("kept")).unwrap();
    let ruins = Ruins::new();
    ruins.remove("MANIFEST");
    ruins.flip(PAYLOADS, 12);
    ruins.flip(PAYLOADS, 61);
    ruins.flip(PAYLOADS, ruins.parts(PAYLOADS).footer.start);
    assert_eq!(
        refused(&ruins, false),
        "payload of no known codec (20000); whole but for the payload: 20000 vectors"
    );
}
