//! Who depends on whom, as `cargo metadata --locked` tells it.

use std::collections::{HashMap, HashSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

use super::{Finding, Tree};
use crate::run::{Result, cargo, output};

/// The members of the workspace that a member may have among its normal and build dependencies.
const EDGES: &[(&str, &[&str])] = &[
    ("ringdb-storage", &[]),
    ("ringdb-index", &[]),
    ("ringdb-npy", &[]),
    ("ringdb", &["ringdb-index", "ringdb-storage"]),
    ("ringdb-cli", &["ringdb", "ringdb-npy"]),
];

/// Members that nothing may depend on, not even for tests.
const LEAVES: &[&str] = &["xtask", "ringdb-benches", "ringdb-reliability"];

/// The libraries whose users should not have to build much.
const SMALL: &[&str] = &["ringdb-storage", "ringdb-index"];

/// Packages in the normal dependency tree of such a library, itself not counted. What other systems and processors
/// would add is left out: nobody compiles all of it.
const TREE_MAX: usize = 29;
const TREE_PLATFORM: &str = "x86_64-unknown-linux-gnu";

/// Members that depend on members they should not know, or do not depend on those they stand on.
pub(super) fn edges(tree: &Tree) -> Result<Vec<Finding>> {
    let members = tree.metadata.workspace_packages();
    let names: HashSet<&str> = members
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    let mut findings: Vec<Finding> = unknown(&names)
        .into_iter()
        .map(|what| Finding::new("Cargo.toml", 0, what))
        .collect();
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

/// The members that the laws name and that are not there.
fn unknown(members: &HashSet<&str>) -> Vec<String> {
    let named = EDGES.iter().map(|(name, _)| name).chain(LEAVES);
    let unknown = named.filter(|name| !members.contains(**name));
    unknown
        .map(|name| format!("{name} is no member, and a law names it"))
        .collect()
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
pub(super) fn sizes(_: &Tree) -> Result<Vec<Finding>> {
    let mut metadata = cargo("metadata --locked --format-version 1 --filter-platform");
    let metadata =
        MetadataCommand::parse(String::from_utf8(output(metadata.arg(TREE_PLATFORM))?)?)?;
    let whats = wrong_sizes(&metadata)?;
    let findings = whats
        .into_iter()
        .map(|what| Finding::new("Cargo.toml", 0, what));
    Ok(findings.collect())
}

fn wrong_sizes(metadata: &Metadata) -> Result<Vec<String>> {
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
    let members = metadata.workspace_packages();
    let mut whats = Vec::new();
    for name in SMALL {
        let Some(member) = members.iter().find(|member| member.name.as_str() == *name) else {
            whats.push(format!("{name} is no member, and a law names it"));
            continue;
        };
        let count = reachable(&edges, &member.id.repr);
        if count > TREE_MAX {
            whats.push(format!(
                "{name} needs {count} packages, more than {TREE_MAX}"
            ));
        }
    }
    Ok(whats)
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
        check_edges(
            "ringdb-npy",
            &["ringdb"],
            &[],
            &["ringdb-npy depends on ringdb"],
        );
        check_edges("ringdb-storage", &[], &["ringdb-index"], &[]);
        check_edges(
            "ringdb-cli",
            &["ringdb", "ringdb-npy", "ringdb-index"],
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
    fn a_member_that_is_not_there_is_found() {
        let mut members: HashSet<&str> = EDGES.iter().map(|(name, _)| *name).collect();
        members.extend(LEAVES);
        assert_eq!(unknown(&members), [""; 0]);
        members.remove("ringdb-cli");
        members.remove("xtask");
        assert_eq!(
            unknown(&members),
            [
                "ringdb-cli is no member, and a law names it",
                "xtask is no member, and a law names it"
            ]
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

    /// Members, each of which needs so many packages.
    fn check_sizes(members: &[(&str, usize)], expected: &[&str]) {
        let (mut packages, mut nodes) = (Vec::new(), Vec::new());
        for (name, count) in members {
            packages.push(format!(
                r#"{{"name":"{name}","version":"1.0.0","id":"{name}","source":null,"dependencies":[],"targets":[],
                    "features":{{}},"manifest_path":"/w/{name}/Cargo.toml"}}"#
            ));
            let needed: Vec<String> = (0..*count)
                .map(|n| format!(r#"{{"name":"d{n}","pkg":"d{n}","dep_kinds":[{{"kind":null,"target":null}}]}}"#))
                .chain([r#"{"name":"t","pkg":"t","dep_kinds":[{"kind":"dev","target":null}]}"#.to_owned()])
                .collect();
            nodes.push(format!(
                r#"{{"id":"{name}","deps":[{}],"dependencies":[],"features":[]}}"#,
                needed.join(",")
            ));
        }
        let ids: Vec<String> = members
            .iter()
            .map(|(name, _)| format!("\"{name}\""))
            .collect();
        let text = format!(
            r#"{{"packages":[{}],"workspace_members":[{}],"resolve":{{"nodes":[{}],"root":null}},
                "workspace_root":"/w","target_directory":"/w/target","version":1}}"#,
            packages.join(","),
            ids.join(","),
            nodes.join(",")
        );
        let metadata =
            MetadataCommand::parse(text).expect("the text has every field that is needed");
        let found = wrong_sizes(&metadata).expect("the metadata is resolved");
        assert_eq!(found, expected, "{members:?}");
    }

    #[test]
    fn the_small_libraries_stay_small() {
        check_sizes(
            &[
                ("ringdb-storage", TREE_MAX),
                ("ringdb-index", 0),
                ("xtask", 99),
            ],
            &[],
        );
        check_sizes(
            &[("ringdb-storage", 0), ("ringdb-index", TREE_MAX + 1)],
            &["ringdb-index needs 30 packages, more than 29"],
        );
        check_sizes(
            &[("ringdb-storage", 0)],
            &["ringdb-index is no member, and a law names it"],
        );
    }
}
