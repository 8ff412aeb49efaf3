//! Links from one document to another file of the repository.

use super::{Finding, Tree};
use crate::run::Result;

/// Relative links in documents that lead to no file.
pub(super) fn broken(tree: &Tree) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for path in tree.paths.iter().filter(|path| path.ends_with(".md")) {
        let bytes = std::fs::read(tree.root.join(path))?;
        let text = String::from_utf8_lossy(&bytes);
        findings.extend(broken_in(path, &text, &tree.paths));
    }
    Ok(findings)
}

/// `paths` are all files of the repository; what git does not see is on nobody else's machine.
fn broken_in(path: &str, text: &str, paths: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut fenced = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        for link in links(&without_code(line)) {
            if !leads_somewhere(path, link, paths) {
                let what = format!("links to {link}, which is not there");
                findings.push(Finding::new(path, index + 1, what));
            }
        }
    }
    findings
}

/// The line with blanks for what stands between backticks, one or several.
fn without_code(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find('`') {
        let ticks = rest[at..].bytes().take_while(|&byte| byte == b'`').count();
        let (mark, inside) = rest[at..].split_at(ticks);
        out.push_str(&rest[..at]);
        rest = match inside.find(mark) {
            Some(end) => &inside[end + ticks..],
            None => inside,
        };
        out.push(' ');
    }
    out + rest
}

/// What `[..](target)`, `[..](<target> "title")` and a definition `[..]: target` lead to.
fn links(line: &str) -> Vec<&str> {
    let inline = line.match_indices("](").map(|(at, open)| {
        let rest = &line[at + open.len()..];
        rest.split(')').next().unwrap_or(rest)
    });
    let definition = line
        .trim_start()
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("]: "));
    inline
        .chain(definition.map(|(_, target)| target))
        .filter_map(|target| target.split_whitespace().next())
        .map(|target| target.trim_start_matches('<').trim_end_matches('>'))
        .collect()
}

fn leads_somewhere(from: &str, link: &str, paths: &[String]) -> bool {
    let target = link.split('#').next().unwrap_or(link);
    let scheme = target.split('/').next().unwrap_or(target);
    // A place in the same document, or an address such as `https:` or `mailto:`.
    if target.is_empty() || scheme.contains(':') {
        return true;
    }
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "." | "" => {}
            ".." if parts.pop().is_none() => return false,
            ".." => {}
            name => parts.push(name),
        }
    }
    let (file, folder) = (parts.join("/"), parts.join("/") + "/");
    let known = |path: &String| *path == file || path.starts_with(&folder);
    !target.starts_with('/') && (parts.is_empty() || paths.iter().any(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let paths = ["README.md", "docs/FORMAT.md", "docs/MAP.md"].map(str::to_owned);
        let found: Vec<String> = broken_in("docs/MAP.md", text, &paths)
            .iter()
            .map(Finding::to_string)
            .collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn a_link_that_leads_nowhere_is_found() {
        let gone = "docs/MAP.md:1: links to GONE.md, which is not there";
        check("see [it](GONE.md)", &[gone]);
        check("[a](FORMAT.md) and [it](<GONE.md> \"title\")", &[gone]);
        check("[it]: GONE.md", &[gone]);
        check("one ` and [it](GONE.md)", &[gone]);
        check(
            "\n[![image](docs/FORMAT.md)](/README.md)",
            &[
                "docs/MAP.md:2: links to docs/FORMAT.md, which is not there",
                "docs/MAP.md:2: links to /README.md, which is not there",
            ],
        );
        check(
            "[it](GONE.md#part) [up](../../README.md)",
            &[
                "docs/MAP.md:1: links to GONE.md#part, which is not there",
                "docs/MAP.md:1: links to ../../README.md, which is not there",
            ],
        );
    }

    #[test]
    fn a_link_may_lead_to_a_file_a_folder_or_out() {
        check(
            "[a](FORMAT.md#header), [b](../README.md), [c](../docs/), [d](..), [e](./MAP.md)",
            &[],
        );
        check(
            "[a](#here) [b](https://example.org/x.md) [c](mailto:me@example.org)",
            &[],
        );
        check("[a]: https://example.org", &[]);
    }

    #[test]
    fn code_has_no_links() {
        check("`[a](GONE.md)` and ``b`[c](GONE.md)``", &[]);
        check("```\n[a](GONE.md)\n```", &[]);
        check(
            "```\nx\n```\n[a](GONE.md)",
            &["docs/MAP.md:4: links to GONE.md, which is not there"],
        );
    }
}
