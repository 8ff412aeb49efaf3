//! Every input of the committed corpus through its body: what once failed, or reached far, must pass.

use std::fs;
use std::path::{Path, PathBuf};

/// A test for each target, named like it.
macro_rules! replayed {
    ($($target:ident)*) => {
        const REPLAYED: &[&str] = &[$(stringify!($target)),*];
        $(
            #[test]
            fn $target() {
                replay(stringify!($target), ringdb_fuzz_bodies::$target);
            }
        )*
    };
}

replayed! {
    decode
    directory
    manifest
    npy
    payload_store
    search
}

/// A folder of the harness.
fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

fn paths(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap().to_string_lossy().into_owned()
}

fn replay(target: &str, body: fn(&[u8]) -> bool) {
    let paths = paths(&folder("corpus").join(target));
    assert!(!paths.is_empty(), "{target} has no corpus");
    for path in &paths {
        // Shown by the test runner only if the body panics.
        println!("{}", path.display());
        let opened = body(&fs::read(path).unwrap());
        let name = stem(path);
        assert!(
            opened || !name.starts_with("seed-"),
            "seeds are whole; this one was not opened"
        );
        assert!(
            !opened || !name.starts_with("bad-"),
            "bad seeds are damaged; this one was opened"
        );
    }
    println!("{} inputs of {target}", paths.len());
}

#[test]
fn every_target_is_replayed() {
    for name in ["fuzz_targets", "corpus"] {
        let stems: Vec<_> = paths(&folder(name)).iter().map(|path| stem(path)).collect();
        assert_eq!(stems, REPLAYED, "in {name}, sorted");
    }
    let manifest = fs::read_to_string(folder("Cargo.toml")).unwrap();
    for target in REPLAYED {
        let path = format!("path = \"fuzz_targets/{target}.rs\"");
        assert!(manifest.contains(&path), "the manifest lacks {target}");
    }
}
