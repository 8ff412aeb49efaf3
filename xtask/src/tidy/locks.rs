//! What lock files hold, as `cargo metadata --locked` tells it: packages, under which licence, from where.

use std::path::Path;

use cargo_metadata::{Metadata, MetadataCommand, Package};

use super::files::LOCK_FILES;
use super::{Finding, Tree};
use crate::run::{Result, cargo, output};

const LICENCES: &[&str] = &[
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "Unicode-3.0",
    "Unlicense",
    "CC0-1.0",
    "0BSD",
    "BSL-1.0",
    // Of libfuzzer, in fuzz/: `(MIT OR Apache-2.0) AND NCSA`. As permissive as BSD-3-Clause.
    "NCSA",
];

/// What cargo tells about the packages of one lock file; nothing when it would have to change that file first.
pub(super) struct Lock {
    file: &'static str,
    metadata: Option<Metadata>,
}

/// Reads every lock file, that of the workspace among them.
pub(super) fn read(root: &Path) -> Vec<Lock> {
    let files = LOCK_FILES.iter();
    files
        .map(|file| Lock {
            file,
            metadata: locked(&root.join(file).with_extension("toml")),
        })
        .collect()
}

/// Why there is nothing, cargo says itself.
fn locked(manifest: &Path) -> Option<Metadata> {
    let mut metadata = cargo("metadata --locked --format-version 1 --manifest-path");
    let text = String::from_utf8(output(metadata.arg(manifest)).ok()?).ok()?;
    MetadataCommand::parse(text).ok()
}

/// Lock files that cargo would have to change.
pub(super) fn stale(tree: &Tree) -> Result<Vec<Finding>> {
    Ok(stale_in(&tree.locks))
}

fn stale_in(locks: &[Lock]) -> Vec<Finding> {
    let stale = locks.iter().filter(|lock| lock.metadata.is_none());
    stale
        .map(|lock| {
            let manifest = lock.file.replace(".lock", ".toml");
            let what = format!(
                "cannot be used as it is; when it lags behind, `cargo update --workspace --manifest-path {manifest}`"
            );
            Finding::new(lock.file, 0, what)
        })
        .collect()
}

/// The packages of all lock files, each with the name of the file.
fn packages(locks: &[Lock]) -> impl Iterator<Item = (&'static str, &Package)> {
    locks.iter().flat_map(|lock| {
        let packages = lock.metadata.iter().flat_map(|metadata| &metadata.packages);
        packages.map(|package| (lock.file, package))
    })
}

/// Packages whose licence leaves no permissive choice.
pub(super) fn licences(tree: &Tree) -> Result<Vec<Finding>> {
    Ok(wrong_licences(&tree.locks))
}

fn wrong_licences(locks: &[Lock]) -> Vec<Finding> {
    let findings = packages(locks).filter_map(|(lock, package)| {
        let what = wrong_licence(package.license.as_deref())?;
        let what = format!("{} {} {what}", package.name, package.version);
        Some(Finding::new(lock, 0, what))
    });
    findings.collect()
}

fn wrong_licence(licence: Option<&str>) -> Option<String> {
    let Some(text) = licence else {
        return Some("states no licence".to_owned());
    };
    // Older packages write `MIT/Apache-2.0`.
    let mode = spdx::ParseMode {
        allow_slash_as_or_operator: true,
        ..spdx::ParseMode::STRICT
    };
    match spdx::Expression::parse_mode(text, mode) {
        Err(error) => Some(format!(
            "states a licence that is no SPDX expression: {}",
            error.reason
        )),
        Ok(expression) => {
            let allowed =
                expression.evaluate(|licence| LICENCES.contains(&licence.to_string().as_str()));
            (!allowed).then(|| format!("is licensed under {text}"))
        }
    }
}

/// Packages from elsewhere.
pub(super) fn origins(tree: &Tree) -> Result<Vec<Finding>> {
    // Cargo's spelling of the root, which is that of the manifests.
    Ok(foreign(
        tree.metadata.workspace_root.as_std_path(),
        &tree.locks,
    ))
}

fn foreign(root: &Path, locks: &[Lock]) -> Vec<Finding> {
    let strange = packages(locks).filter(|(_, package)| match &package.source {
        Some(source) => !source.is_crates_io(),
        None => !package.manifest_path.starts_with(root),
    });
    let what = |package: &Package| {
        let origin = package
            .source
            .as_ref()
            .map_or(package.manifest_path.as_str(), |source| {
                source.repr.as_str()
            });
        format!("{} {} comes from {origin}", package.name, package.version)
    };
    strange
        .map(|(lock, package)| Finding::new(lock, 0, what(package)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_licence(licence: Option<&str>, expected: Option<&str>) {
        assert_eq!(wrong_licence(licence).as_deref(), expected);
    }

    #[test]
    fn a_licence_must_leave_a_permissive_choice() {
        check_licence(Some("MIT OR Apache-2.0"), None);
        check_licence(Some("MIT/Apache-2.0"), None);
        check_licence(Some("(MIT OR Apache-2.0) AND Unicode-3.0"), None);
        check_licence(Some("Apache-2.0 WITH LLVM-exception"), None);
        check_licence(Some("(MIT OR Apache-2.0) AND NCSA"), None);
        check_licence(Some("GPL-3.0-only OR MIT"), None);
        check_licence(Some("MPL-2.0"), Some("is licensed under MPL-2.0"));
        check_licence(
            Some("MIT AND MPL-2.0"),
            Some("is licensed under MIT AND MPL-2.0"),
        );
        check_licence(None, Some("states no licence"));
        assert!(wrong_licence(Some("as you like")).is_some());
    }

    /// The lock file of the harness, outside the workspace in `/w`, with one package in it.
    fn lock(source: &str, manifest: &str, licence: &str) -> Lock {
        let package = format!(
            r#"{{"name":"p","version":"1.0.0","id":"p","source":{source},"dependencies":[],"targets":[],"features":{{}},
                "manifest_path":"{manifest}","license":"{licence}"}}"#
        );
        let text = format!(
            r#"{{"packages":[{package}],"workspace_members":[],"resolve":null,"workspace_root":"/w/fuzz",
                "target_directory":"/w/target","version":1}}"#
        );
        let metadata =
            MetadataCommand::parse(text).expect("the text has every field that is needed");
        Lock {
            file: "fuzz/Cargo.lock",
            metadata: Some(metadata),
        }
    }

    const REGISTRY: &str = r#""registry+https://github.com/rust-lang/crates.io-index""#;

    fn check_origin(source: &str, manifest: &str, expected: &[&str]) {
        let found = foreign(Path::new("/w"), &[lock(source, manifest, "MIT")]);
        let found: Vec<String> = found.iter().map(Finding::to_string).collect();
        assert_eq!(found, expected, "{source} {manifest}");
    }

    #[test]
    fn packages_come_from_the_registry_or_from_here() {
        check_origin(REGISTRY, "/c/p/Cargo.toml", &[]);
        check_origin(
            r#""git+https://example.org/p""#,
            "/c/p/Cargo.toml",
            &["fuzz/Cargo.lock: p 1.0.0 comes from git+https://example.org/p"],
        );
        check_origin("null", "/w/crates/p/Cargo.toml", &[]);
        check_origin(
            "null",
            "/elsewhere/p/Cargo.toml",
            &["fuzz/Cargo.lock: p 1.0.0 comes from /elsewhere/p/Cargo.toml"],
        );
    }

    #[test]
    fn licences_are_read_from_every_lock_file() {
        let found = wrong_licences(&[
            lock(REGISTRY, "/c/p/Cargo.toml", "MIT"),
            lock(REGISTRY, "/c/p/Cargo.toml", "MPL-2.0"),
        ]);
        assert_eq!(
            found,
            [Finding::new(
                "fuzz/Cargo.lock",
                0,
                "p 1.0.0 is licensed under MPL-2.0"
            )]
        );
    }

    #[test]
    fn a_lock_file_that_cargo_would_change_is_found() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).expect("it can be written");
        };
        let manifest =
            "[package]\nname = \"p\"\nedition = \"2024\"\n[lib]\npath = \"p.rs\"\n[workspace]\n";
        write("Cargo.toml", manifest);
        write("p.rs", "");
        let stale = |file| {
            let metadata = locked(&folder.path().join("Cargo.toml"));
            stale_in(&[Lock { file, metadata }]).len()
        };
        write(
            "Cargo.lock",
            "version = 4\n\n[[package]]\nname = \"other\"\nversion = \"1.0.0\"\n",
        );
        assert_eq!(stale("Cargo.lock"), 1);
        write(
            "Cargo.lock",
            "version = 4\n\n[[package]]\nname = \"p\"\nversion = \"0.0.0\"\n",
        );
        assert_eq!(stale("Cargo.lock"), 0);
    }
}
