//! Names that belong to one crate or to one file, and the keyword `unsafe`.

use super::Finding;
use super::source::{Source, group_members, leading_name, line_at, words};

/// A name that code under `within` may use only in `allowed`.
struct Ban {
    name: &'static str,
    within: &'static str,
    allowed: &'static [&'static str],
}

const STORAGE: &str = "crates/ringdb-storage/src/";
const INDEX: &str = "crates/ringdb-index/src/";
const NPY: &str = "crates/ringdb-npy/src/";
const FACADE: &str = "crates/ringdb/src/";
/// Where a database has its threads.
const POOL: &str = "crates/ringdb/src/pool.rs";
const KERNELS: &[&str] = &["crates/ringdb-index/src/kernel/"];
const PARALLEL: &[&str] = &[
    "crates/ringdb-index/src/build.rs",
    "crates/ringdb-index/src/arrange.rs",
    "crates/ringdb-index/src/choose.rs",
    "crates/ringdb-index/src/search.rs",
    "crates/ringdb-index/src/many.rs",
];

const BANS: &[Ban] = &[
    // Only storage touches the disk.
    Ban {
        name: "std::fs",
        within: INDEX,
        allowed: &[],
    },
    Ban {
        name: "std::fs",
        within: FACADE,
        allowed: &[],
    },
    Ban {
        name: "std::fs",
        within: NPY,
        allowed: &[],
    },
    Ban {
        name: "tempfile",
        within: INDEX,
        allowed: &[],
    },
    Ban {
        name: "tempfile",
        within: FACADE,
        allowed: &[],
    },
    Ban {
        name: "memmap2",
        within: INDEX,
        allowed: &[],
    },
    Ban {
        name: "memmap2",
        within: FACADE,
        allowed: &[],
    },
    Ban {
        name: "memmap2",
        within: NPY,
        allowed: &[],
    },
    Ban {
        name: "memmap2",
        within: STORAGE,
        allowed: &["crates/ringdb-storage/src/mapped.rs"],
    },
    Ban {
        name: "bincode",
        within: INDEX,
        allowed: &[],
    },
    Ban {
        name: "bincode",
        within: FACADE,
        allowed: &[],
    },
    Ban {
        name: "bincode",
        within: STORAGE,
        allowed: &["crates/ringdb-storage/src/payload/codec.rs"],
    },
    Ban {
        name: "postcard",
        within: STORAGE,
        allowed: &["crates/ringdb-storage/src/payload/codec.rs"],
    },
    Ban {
        name: "std::fs",
        within: STORAGE,
        allowed: &[
            "crates/ringdb-storage/src/disk/real.rs",
            "crates/ringdb-storage/src/platform.rs",
            "crates/ringdb-storage/src/mapped.rs",
        ],
    },
    Ban {
        name: "tempfile",
        within: STORAGE,
        allowed: &["crates/ringdb-storage/src/disk/real.rs"],
    },
    // Only the index computes, and it splits work and picks instructions in known places.
    Ban {
        name: "rayon",
        within: INDEX,
        allowed: PARALLEL,
    },
    Ban {
        name: "rayon",
        within: FACADE,
        allowed: &[POOL],
    },
    Ban {
        name: "std::arch",
        within: "crates/",
        allowed: KERNELS,
    },
    Ban {
        name: "core::arch",
        within: "crates/",
        allowed: KERNELS,
    },
];

/// Names used outside the crates and files that own them.
pub(super) fn bans(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources {
        for ban in BANS {
            if source.is_at(ban.within) && !ban.allowed.iter().any(|place| source.is_at(place)) {
                let found = uses(&source.product, ban.name);
                findings.extend(
                    found.map(|line| {
                        Finding::new(&source.path, line, format!("names `{}`", ban.name))
                    }),
                );
            }
        }
    }
    findings
}

/// The lines on which a path is named, in full or as `std::{fs, io}`.
fn uses<'a>(code: &'a str, path: &'a str) -> impl Iterator<Item = usize> + 'a {
    let parent_and_name = path.split_once("::");
    let grouped = parent_and_name.into_iter().flat_map(move |(parent, name)| {
        words(code, parent).flat_map(move |at| {
            let group = at + parent.len() + "::".len();
            let members = code
                .get(group..)
                .filter(|rest| rest.starts_with('{'))
                .map(group_members)
                .unwrap_or_default();
            let named = members
                .into_iter()
                .filter(move |(_, member)| leading_name(member) == name);
            named.map(move |(start, _)| group + start)
        })
    });
    words(code, path).chain(grouped).map(|at| line_at(code, at))
}

/// What conditions call Windows and macOS, as a name or in a string.
const PLATFORMS: &[&str] = &["windows", "macos", "apple"];
const PLATFORM_FILE: &str = "crates/ringdb-storage/src/platform.rs";

/// Conditions on Windows or macOS outside the one file for them. Those on unix and on Linux may stand everywhere.
pub(super) fn platforms(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources
        .iter()
        .filter(|source| source.is_at("crates/") && source.path != PLATFORM_FILE)
    {
        for (start, end) in conditions(&source.product) {
            let condition = &source.quoted[start..end];
            for name in PLATFORMS {
                // Not `slice.windows(2)`, which may stand in an arm of `cfg_select!`.
                let named = words(condition, name)
                    .filter(|at| !condition[at + name.len()..].starts_with('('));
                findings.extend(named.map(|at| {
                    let line = line_at(&source.quoted, start + at);
                    Finding::new(&source.path, line, format!("has a condition on {name}"))
                }));
            }
        }
    }
    findings
}

/// From the bracket to the end of what `cfg`, `cfg!`, `cfg_attr` and `cfg_select!` depend on.
fn conditions(code: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for macro_name in ["cfg", "cfg_attr", "cfg_select"] {
        for at in words(code, macro_name) {
            let rest = code[at + macro_name.len()..].trim_start();
            let rest = rest.strip_prefix('!').unwrap_or(rest).trim_start();
            if !rest.starts_with(['(', '{', '[']) {
                continue;
            }
            let mut depth = 0_usize;
            let length = rest.bytes().position(|byte| {
                match byte {
                    b'(' | b'{' | b'[' => depth += 1,
                    b')' | b'}' | b']' => depth -= 1,
                    // What `cfg_attr` would add is no condition.
                    b',' => return macro_name == "cfg_attr" && depth == 1,
                    _ => {}
                }
                depth == 0
            });
            let start = code.len() - rest.len();
            found.push((start, start + length.unwrap_or(rest.len())));
        }
    }
    found
}

const UNSAFE_FILES: &[&str] = &[
    "crates/ringdb-storage/src/mapped.rs",
    "crates/ringdb-index/src/kernel/avx2.rs",
    "crates/ringdb-index/src/kernel/avx512.rs",
    "crates/ringdb-index/src/kernel/neon.rs",
];

const FACADE_ROOT: &str = "crates/ringdb/src/lib.rs";

/// `unsafe` outside its files, and those of its files that do not say why it is there.
pub(super) fn unsafe_code(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources {
        let found: Vec<usize> = words(&source.code, "unsafe").collect();
        if UNSAFE_FILES.contains(&source.path.as_str()) {
            let dense: String = source.code.split_whitespace().collect();
            if !found.is_empty() && !dense.contains("#![expect(unsafe_code,reason=") {
                findings.push(Finding::new(
                    &source.path,
                    1,
                    "lacks `#![expect(unsafe_code, reason = ..)]`",
                ));
            }
        } else {
            let lines = found.into_iter().map(|at| line_at(&source.code, at));
            findings.extend(lines.map(|line| {
                Finding::new(&source.path, line, "has `unsafe` in a file not made for it")
            }));
        }
        let forbids = source
            .code
            .split_whitespace()
            .collect::<String>()
            .contains("#![forbid(unsafe_code)]");
        if source.path == FACADE_ROOT && !forbids {
            findings.push(Finding::new(
                &source.path,
                1,
                "lacks `#![forbid(unsafe_code)]`",
            ));
        }
    }
    findings
}

/// Places that these checks name and that are not there: a check that looks at nothing finds nothing.
pub(super) fn absent(sources: &[Source]) -> Vec<Finding> {
    let mut places: Vec<&str> = BANS
        .iter()
        .flat_map(|ban| std::iter::once(&ban.within).chain(ban.allowed))
        .chain(UNSAFE_FILES)
        .chain([&PLATFORM_FILE, &FACADE_ROOT])
        .copied()
        .collect();
    places.sort_unstable();
    places.dedup();
    places.retain(|place| !sources.iter().any(|source| source.is_at(place)));
    places
        .iter()
        .map(|place| Finding::new(place, 0, "is not there, and a law names it"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(check: fn(&[Source]) -> Vec<Finding>, path: &str, text: &str) -> Vec<usize> {
        check(&[Source::new(path, text)])
            .iter()
            .map(|finding| finding.line)
            .collect()
    }

    fn check_bans(path: &str, text: &str, expected: &[usize]) {
        assert_eq!(lines(bans, path, text), expected, "{path}: {text}");
    }

    #[test]
    fn the_disk_belongs_to_storage() {
        check_bans(
            "crates/ringdb-index/src/rows.rs",
            "\nuse std::fs::File;",
            &[2],
        );
        check_bans(
            "crates/ringdb/src/builder.rs",
            "use std::{\n    fs,\n    io,\n};",
            &[2],
        );
        check_bans(
            "crates/ringdb/src/builder.rs",
            "use std::{io, path::Path};",
            &[],
        );
        check_bans(
            "crates/ringdb/src/builder.rs",
            "use tempfile::TempDir;",
            &[1],
        );
        check_bans(
            "crates/ringdb/src/builder.rs",
            "// std::fs\n#[cfg(test)]\nmod tests { use std::fs; }",
            &[],
        );
        check_bans(
            "crates/ringdb-storage/src/disk/real.rs",
            "use std::fs; use tempfile::TempDir;",
            &[],
        );
        check_bans("crates/ringdb-storage/src/staging.rs", "use std::fs;", &[1]);
        check_bans("crates/ringdb/tests/all.rs", "use std::fs;", &[]);
        check_bans(
            "crates/ringdb-npy/src/header.rs",
            "use std::fs::File;",
            &[1],
        );
        check_bans("crates/ringdb-cli/src/main.rs", "use std::fs;", &[]);
    }

    #[test]
    fn the_codec_and_the_map_are_named_once() {
        check_bans(
            "crates/ringdb-storage/src/payload/store.rs",
            "bincode::serialize(x)",
            &[1],
        );
        check_bans(
            "crates/ringdb-storage/src/payload/codec.rs",
            "bincode::serialize(x)",
            &[],
        );
        check_bans(
            "crates/ringdb-storage/src/vectors.rs",
            "memmap2::Mmap",
            &[1],
        );
        check_bans("crates/ringdb-storage/src/mapped.rs", "memmap2::Mmap", &[]);
        check_bans(
            "crates/ringdb/src/config.rs",
            "let codec = \"bincode\";",
            &[],
        );
    }

    #[test]
    fn threads_and_instructions_have_their_files() {
        check_bans(
            "crates/ringdb-index/src/segment.rs",
            "use rayon::prelude::*;",
            &[1],
        );
        check_bans(
            "crates/ringdb-index/src/search.rs",
            "use rayon::prelude::*;",
            &[],
        );
        check_bans(
            "crates/ringdb-index/src/code/encode.rs",
            "use std::arch::x86_64::*;",
            &[1],
        );
        check_bans(
            "crates/ringdb-index/src/code/encode.rs",
            "use core::{arch::x86_64, mem};",
            &[1],
        );
        check_bans(
            "crates/ringdb-index/src/kernel/avx2.rs",
            "use std::arch::x86_64::*;",
            &[],
        );
        check_bans(
            "crates/ringdb-storage/src/header.rs",
            "use std::arch::x86_64::*;",
            &[1],
        );
    }

    fn check_platforms(path: &str, text: &str, expected: &[usize]) {
        assert_eq!(lines(platforms, path, text), expected, "{path}: {text}");
    }

    #[test]
    fn platforms_have_one_file() {
        check_platforms(
            "crates/ringdb-storage/src/staged.rs",
            "\n#[cfg(windows)]",
            &[2],
        );
        for condition in [
            "#[cfg(not(windows))]",
            "#[cfg(any(windows, target_os = \"linux\"))]",
            "#[cfg(target_os = \"macos\")]",
            "#[cfg(target_vendor = \"apple\")]",
            "#[cfg_attr(windows, path = \"w.rs\")]",
            "if cfg!(windows) {}",
            "if cfg!(target_os = \"windows\") {}",
            "if cfg!(target_family=\"windows\") {}",
            "cfg_select! { windows => { f() } _ => { g() } }",
        ] {
            check_platforms("crates/ringdb/src/lib.rs", condition, &[1]);
        }
        check_platforms(
            "crates/ringdb/src/lib.rs",
            "#[cfg(any(\n    unix,\n    windows,\n))]",
            &[3],
        );
        check_platforms(PLATFORM_FILE, "#[cfg(windows)]", &[]);
    }

    #[test]
    fn unix_and_linux_may_be_named() {
        for text in [
            "#[cfg(unix)] // cfg(windows)",
            "#[cfg(any(unix, target_os = \"linux\"))]\nfn f() { x.windows(2) }",
            "#[cfg_attr(doc, doc = \"windows\")]",
            "cfg_select! { unix => { x.windows(2) } _ => {} }",
            "let cfg = windows;",
        ] {
            check_platforms("crates/ringdb/src/lib.rs", text, &[]);
        }
    }

    fn check_absent(place: &str, expected: &[&str]) {
        let all = BANS
            .iter()
            .flat_map(|ban| std::iter::once(&ban.within).chain(ban.allowed))
            .chain(UNSAFE_FILES)
            .chain([&PLATFORM_FILE, &FACADE_ROOT]);
        let sources: Vec<Source> = all
            .filter(|other| !other.starts_with(place))
            .map(|place| {
                Source::new(
                    &format!("{place}{}", if place.ends_with('/') { "a.rs" } else { "" }),
                    "",
                )
            })
            .collect();
        let found = absent(&sources);
        let files: Vec<&str> = found.iter().map(|finding| finding.file.as_str()).collect();
        assert_eq!(files, expected, "{place}");
    }

    #[test]
    fn a_place_that_is_not_there_is_found() {
        check_absent("nowhere", &[]);
        check_absent(PLATFORM_FILE, &[PLATFORM_FILE]);
        check_absent(FACADE_ROOT, &[FACADE_ROOT]);
        check_absent(UNSAFE_FILES[0], &[UNSAFE_FILES[0]]);
        check_absent(PARALLEL[0], &[PARALLEL[0]]);
        check_absent("crates/ringdb/", &[FACADE, FACADE_ROOT, POOL]);
    }

    fn check_unsafe(path: &str, text: &str, expected: &[usize]) {
        assert_eq!(lines(unsafe_code, path, text), expected, "{path}: {text}");
    }

    #[test]
    fn unsafe_has_its_files_and_a_reason() {
        check_unsafe(
            "crates/ringdb-index/src/search.rs",
            "\nunsafe { f() }",
            &[2],
        );
        check_unsafe("benches/benches/scan.rs", "unsafe { f() }", &[1]);
        check_unsafe(
            "crates/ringdb-index/src/search.rs",
            "// unsafe\n\"unsafe\"; #![deny(unsafe_code)]",
            &[],
        );
        check_unsafe(
            "crates/ringdb-storage/src/mapped.rs",
            "\nunsafe { f() }",
            &[1],
        );
        let excused = "#![expect(\n    unsafe_code,\n    reason = \"maps\"\n)]\nunsafe { f() }";
        check_unsafe("crates/ringdb-storage/src/mapped.rs", excused, &[]);
        check_unsafe(
            "crates/ringdb-index/src/kernel/neon.rs",
            "#![expect(unsafe_code)]\nunsafe fn f() {}",
            &[1],
        );
    }

    #[test]
    fn the_facade_forbids_unsafe() {
        check_unsafe("crates/ringdb/src/lib.rs", "//! Guide.", &[1]);
        check_unsafe(
            "crates/ringdb/src/lib.rs",
            "//! Guide.\n#![forbid(unsafe_code)]",
            &[],
        );
    }
}
