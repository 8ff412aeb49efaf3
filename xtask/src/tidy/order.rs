//! Reading order is dependency order: a module uses only modules that `lib.rs` lists above it.

use std::collections::HashMap;

use super::Finding;
use super::source::{Source, group_members, leading_name, line_at, words};

const LIBRARIES: &[&str] = &[
    "crates/ringdb-storage/src/",
    "crates/ringdb-index/src/",
    "crates/ringdb-npy/src/",
    "crates/ringdb/src/",
];

/// Uses of a module by one that is listed above it, and libraries in which nothing is listed.
pub(super) fn modules(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for library in LIBRARIES {
        let path = format!("{library}lib.rs");
        let root = sources.iter().find(|source| source.path == path);
        let order = root.map(|root| listed(&root.product)).unwrap_or_default();
        let Some(root) = root.filter(|_| !order.is_empty()) else {
            findings.push(Finding::new(&path, 0, "lists no modules"));
            continue;
        };
        let exports = exported(&root.product, &order);
        for source in sources
            .iter()
            .filter(|source| source.path.starts_with(library))
        {
            let inner = source.path[library.len()..]
                .trim_end_matches(".rs")
                .trim_end_matches("/mod");
            let own = inner.split('/').next().unwrap_or(inner);
            let Some(rank) = order.iter().position(|name| name == own) else {
                continue;
            };
            let depth = inner.split('/').count();
            for (at, name) in root_names(&source.product, depth) {
                let module = exports.get(name).map_or(name, String::as_str);
                if order.iter().skip(rank + 1).any(|below| below == module) {
                    let what = format!("`{own}` uses `{module}`, which lib.rs lists below it");
                    findings.push(Finding::new(
                        &source.path,
                        line_at(&source.product, at),
                        what,
                    ));
                }
            }
        }
    }
    findings
}

/// The modules of a crate in the order of their `mod` lines.
fn listed(code: &str) -> Vec<String> {
    let names = words(code, "mod")
        .map(|at| &code[at + "mod".len()..])
        .map(str::trim_start);
    names.map(|rest| leading_name(rest).to_owned()).collect()
}

/// For each name that the crate's root re-exports, the module that it comes from.
fn exported(code: &str, order: &[String]) -> HashMap<String, String> {
    let mut exports = HashMap::new();
    for at in words(code, "use") {
        let statement = code[at + "use".len()..]
            .split(';')
            .next()
            .unwrap_or_default()
            .trim();
        let path = statement
            .trim_start_matches("crate::")
            .trim_start_matches("self::");
        let module = leading_name(path);
        if order.iter().any(|name| name == module) {
            let names =
                path[module.len()..].split(|c: char| c != '_' && !c.is_ascii_alphanumeric());
            exports.extend(
                names
                    .filter(|name| !name.is_empty())
                    .map(|name| (name.to_owned(), module.to_owned())),
            );
        }
    }
    exports
}

/// The names that a file at `depth` takes from the root of its crate, by `crate::` or by enough `super::`.
fn root_names(code: &str, depth: usize) -> Vec<(usize, &str)> {
    let mut names = Vec::new();
    let supers = "super::".repeat(depth);
    for prefix in ["crate::", supers.as_str()] {
        for (at, _) in code.match_indices(prefix) {
            let joined = code[..at].ends_with("::")
                || code[..at].ends_with(|c: char| c == '_' || c.is_alphanumeric());
            let rest = &code[at + prefix.len()..];
            if joined {
                continue;
            }
            if rest.starts_with('{') {
                let start = at + prefix.len();
                names.extend(
                    group_members(rest)
                        .into_iter()
                        .map(|(offset, member)| (start + offset, leading_name(member))),
                );
            } else {
                names.push((at, leading_name(rest)));
            }
        }
    }
    names.retain(|(_, name)| !name.is_empty());
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "mod error;\nmod ring;\npub mod kernel;\nmod search;\n\
                        pub use error::Error;\npub use search::{Hit, Search as Run};\n#[cfg(test)]\nmod oracle;";

    fn check(file: &str, text: &str, expected: &[usize]) {
        let mut sources: Vec<Source> = LIBRARIES
            .iter()
            .map(|library| Source::new(&format!("{library}lib.rs"), ROOT))
            .collect();
        sources.push(Source::new(
            &format!("crates/ringdb-index/src/{file}"),
            text,
        ));
        let lines: Vec<usize> = modules(&sources)
            .iter()
            .map(|finding| finding.line)
            .collect();
        assert_eq!(lines, expected, "{file}: {text}");
    }

    #[test]
    fn a_module_may_use_what_is_above_it() {
        check(
            "search.rs",
            "use crate::ring::Ring; use super::kernel; use crate::Error;",
            &[],
        );
        check(
            "kernel/avx2.rs",
            "use super::scalar; use crate::kernel::mod_a; use super::super::ring;",
            &[],
        );
    }

    #[test]
    fn a_module_may_not_use_what_is_below_it() {
        check("ring.rs", "\nuse crate::search::Search;", &[2]);
        check("ring.rs", "use super::kernel::Kernel;", &[1]);
        check(
            "ring.rs",
            "use crate::{\n    error::Error,\n    search,\n};",
            &[3],
        );
        check("kernel/mod.rs", "use super::search;", &[1]);
        check("kernel/avx2.rs", "use super::super::search;", &[1]);
        check("kernel/avx2.rs", "let hit: crate::search::Hit;", &[1]);
    }

    #[test]
    fn a_name_re_exported_by_the_root_counts_as_its_module() {
        check("ring.rs", "use crate::Hit;", &[1]);
        check("ring.rs", "use crate::{Error, Run};", &[1]);
    }

    #[test]
    fn a_library_without_a_list_is_found() {
        let missing = |path: &&str| Finding::new(&format!("{path}lib.rs"), 0, "lists no modules");
        let all: Vec<Finding> = LIBRARIES.iter().map(missing).collect();
        assert_eq!(modules(&[]), all);
        let one = [
            Source::new("crates/ringdb-storage/src/lib.rs", "//! Empty."),
            Source::new("crates/ringdb-index/src/lib.rs", ROOT),
            Source::new("crates/ringdb-npy/src/lib.rs", ROOT),
            Source::new("crates/ringdb/src/lib.rs", ROOT),
        ];
        assert_eq!(modules(&one), all[..1]);
    }

    #[test]
    fn tests_may_use_everything() {
        check(
            "ring.rs",
            "#[cfg(test)]\nmod tests { use crate::search::Search; }",
            &[],
        );
        check("kernel/tests.rs", "use crate::search::Search;", &[]);
    }
}
