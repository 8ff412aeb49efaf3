//! Every input of the committed corpus through its body: what once failed, or reached far, must pass.

use std::fs;
use std::path::Path;

fn replay(target: &str, body: fn(&[u8]) -> bool) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../corpus")
        .join(target);
    let mut paths: Vec<_> = fs::read_dir(&corpus)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "no corpus in {}", corpus.display());
    for path in &paths {
        // Shown by the test runner only if the body panics.
        println!("{}", path.display());
        let opened = body(&fs::read(path).unwrap());
        let is_seed = path
            .file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with("seed-");
        assert!(
            opened || !is_seed,
            "seeds are whole; this one was not opened"
        );
    }
    println!("{} inputs of {target}", paths.len());
}

#[test]
fn payload_store() {
    replay("payload_store", ringdb_fuzz_bodies::payload_store);
}
