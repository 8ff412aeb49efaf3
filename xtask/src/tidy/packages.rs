//! What `cargo metadata --locked` tells: who depends on whom, under which licence, from where.

use std::collections::{HashMap, HashSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

use super::{Finding, Tree};
use crate::run::{Result, cargo, output};

/// The members of the workspace that a member may have among its normal and build dependencies.
const EDGES: &[(&str, &[&str])] = &[
    ("ringdb-storage", &[]),
    ("ringdb-index", &[]),
    ("ringdb", &["ringdb-index", "ringdb-storage"]),
    ("ringdb-cli", &["ringdb"]),
];

/// Members that nothing may depend on, not even for tests.
const LEAVES: &[&str] = &["xtask", "ringdb-benches"];

/// Packages in the normal dependency tree of a library, itself not counted. What other systems and processors would add
/// is left out: nobody compiles all of it.
const TREE_MAX: usize = 29;
const TREE_PLATFORM: &str = "x86_64-unknown-linux-gnu";

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
];

/// Members that depend on members they should not know, or do not depend on those they stand on.
pub(super) fn edges(tree: &Tree) -> Result<Vec<Finding>> {
    let members = tree.metadata.workspace_packages();
    let names: HashSet<&str> = members
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    let mut findings = Vec::new();
    for package in &members {
        let all = package
            .dependencies
            .iter()
            .filter(|dependency| names.contains(dependency.name.as_str()));
        let (dev, built): (Vec<_>, Vec<_>) =
            all.partition(|dependency| dependency.kind == DependencyKind::Development);
        let built: Vec<&str> = built
            .iter()
            .map(|dependency| dependency.name.as_str())
            .collect();
        let dev: Vec<&str> = dev
            .iter()
            .map(|dependency| dependency.name.as_str())
            .collect();
        let whats = wrong_edges(package.name.as_str(), &built, &dev);
        findings.extend(
            whats
                .into_iter()
                .map(|what| Finding::new(&manifest(package, tree), 0, what)),
        );
    }
    Ok(findings)
}

fn wrong_edges(name: &str, built: &[&str], dev: &[&str]) -> Vec<String> {
    let mut whats = Vec::new();
    if let Some((_, expected)) = EDGES.iter().find(|(member, _)| *member == name) {
        let strange = built.iter().filter(|other| !expected.contains(other));
        whats.extend(strange.map(|other| format!("{name} depends on {other}")));
        let missing = expected.iter().filter(|other| !built.contains(other));
        whats.extend(missing.map(|other| format!("{name} does not depend on {other}")));
    }
    let leaves = built
        .iter()
        .chain(dev)
        .filter(|other| LEAVES.contains(other));
    whats.extend(leaves.map(|other| format!("{name} depends on {other}, which nothing may")));
    whats
}

/// Libraries that have gathered too many dependencies.
pub(super) fn sizes(tree: &Tree) -> Result<Vec<Finding>> {
    let mut metadata = cargo("metadata --locked --format-version 1 --filter-platform");
    let metadata =
        MetadataCommand::parse(String::from_utf8(output(metadata.arg(TREE_PLATFORM))?)?)?;
    let resolve = metadata
        .resolve
        .as_ref()
        .ok_or("cargo metadata resolved nothing")?;
    let edges: HashMap<&str, Vec<&str>> = resolve
        .nodes
        .iter()
        .map(|node| {
            let normal = node.deps.iter().filter(|dep| {
                dep.dep_kinds
                    .iter()
                    .any(|kind| kind.kind == DependencyKind::Normal)
            });
            (
                node.id.repr.as_str(),
                normal.map(|dep| dep.pkg.repr.as_str()).collect(),
            )
        })
        .collect();
    let mut findings = Vec::new();
    for package in tree.metadata.workspace_packages() {
        let count = reachable(&edges, &package.id.repr);
        if matches!(package.name.as_str(), "ringdb-storage" | "ringdb-index") && count > TREE_MAX {
            let what = format!(
                "{} needs {count} packages, more than {TREE_MAX}",
                package.name
            );
            findings.push(Finding::new(&manifest(package, tree), 0, what));
        }
    }
    Ok(findings)
}

/// How many nodes can be reached from `start`, itself not counted.
fn reachable(edges: &HashMap<&str, Vec<&str>>, start: &str) -> usize {
    let mut seen = HashSet::from([start]);
    let mut open = vec![start];
    while let Some(node) = open.pop() {
        for next in edges.get(node).into_iter().flatten() {
            if seen.insert(next) {
                open.push(next);
            }
        }
    }
    seen.len() - 1
}

/// Packages whose licence leaves no permissive choice.
pub(super) fn licences(tree: &Tree) -> Result<Vec<Finding>> {
    let whats = tree.metadata.packages.iter().filter_map(|package| {
        let what = wrong_licence(package.license.as_deref())?;
        Some(Finding::new(
            "Cargo.lock",
            0,
            format!("{} {} {what}", package.name, package.version),
        ))
    });
    Ok(whats.collect())
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
    Ok(foreign(&tree.metadata))
}

fn foreign(metadata: &Metadata) -> Vec<Finding> {
    let root = &metadata.workspace_root;
    let strange = metadata
        .packages
        .iter()
        .filter(|package| match &package.source {
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
        .map(|package| Finding::new("Cargo.lock", 0, what(package)))
        .collect()
}

fn manifest(package: &Package, tree: &Tree) -> String {
    let path = package
        .manifest_path
        .strip_prefix(&tree.metadata.workspace_root)
        .unwrap_or(&package.manifest_path);
    path.as_str().replace('\\', "/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_edges(name: &str, built: &[&str], dev: &[&str], expected: &[&str]) {
        assert_eq!(wrong_edges(name, built, dev), expected);
    }

    #[test]
    fn arrows_point_down_only() {
        check_edges("ringdb", &["ringdb-storage", "ringdb-index"], &[], &[]);
        check_edges(
            "ringdb",
            &["ringdb-storage"],
            &[],
            &["ringdb does not depend on ringdb-index"],
        );
        check_edges(
            "ringdb-index",
            &["ringdb-storage"],
            &[],
            &["ringdb-index depends on ringdb-storage"],
        );
        check_edges("ringdb-storage", &[], &["ringdb-index"], &[]);
        check_edges(
            "ringdb-cli",
            &["ringdb", "ringdb-index"],
            &[],
            &["ringdb-cli depends on ringdb-index"],
        );
        check_edges(
            "ringdb-fuzz-bodies",
            &["xtask"],
            &[],
            &["ringdb-fuzz-bodies depends on xtask, which nothing may"],
        );
        check_edges(
            "ringdb-storage",
            &[],
            &["xtask"],
            &["ringdb-storage depends on xtask, which nothing may"],
        );
    }

    #[test]
    fn a_tree_is_counted_once_per_package() {
        let edges = HashMap::from([
            ("a", vec!["b", "c"]),
            ("b", vec!["c"]),
            ("c", vec!["a"]),
            ("d", vec!["a"]),
        ]);
        assert_eq!(reachable(&edges, "a"), 2);
        assert_eq!(reachable(&edges, "d"), 3);
        assert_eq!(reachable(&edges, "unknown"), 0);
    }

    fn check_licence(licence: Option<&str>, expected: Option<&str>) {
        assert_eq!(wrong_licence(licence).as_deref(), expected);
    }

    #[test]
    fn a_licence_must_leave_a_permissive_choice() {
        check_licence(Some("MIT OR Apache-2.0"), None);
        check_licence(Some("MIT/Apache-2.0"), None);
        check_licence(Some("(MIT OR Apache-2.0) AND Unicode-3.0"), None);
        check_licence(Some("Apache-2.0 WITH LLVM-exception"), None);
        check_licence(Some("GPL-3.0-only OR MIT"), None);
        check_licence(Some("MPL-2.0"), Some("is licensed under MPL-2.0"));
        check_licence(
            Some("MIT AND MPL-2.0"),
            Some("is licensed under MIT AND MPL-2.0"),
        );
        check_licence(None, Some("states no licence"));
        assert!(wrong_licence(Some("as you like")).is_some());
    }

    /// Metadata of one package in `/w` with this source.
    fn metadata(source: &str, manifest: &str) -> Metadata {
        let package = format!(
            r#"{{"name":"p","version":"1.0.0","id":"p","source":{source},"dependencies":[],"targets":[],"features":{{}},
                "manifest_path":"{manifest}"}}"#
        );
        let text = format!(
            r#"{{"packages":[{package}],"workspace_members":[],"resolve":null,"workspace_root":"/w",
                "target_directory":"/w/target","version":1}}"#
        );
        MetadataCommand::parse(text).expect("the text has every field that is needed")
    }

    fn check_origin(source: &str, manifest: &str, expected: usize) {
        assert_eq!(
            foreign(&metadata(source, manifest)).len(),
            expected,
            "{source} {manifest}"
        );
    }

    #[test]
    fn packages_come_from_the_registry_or_from_here() {
        check_origin(
            r#""registry+https://github.com/rust-lang/crates.io-index""#,
            "/c/p/Cargo.toml",
            0,
        );
        check_origin(r#""git+https://example.org/p""#, "/c/p/Cargo.toml", 1);
        check_origin("null", "/w/p/Cargo.toml", 0);
        check_origin("null", "/elsewhere/p/Cargo.toml", 1);
    }
}
