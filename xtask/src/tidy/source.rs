//! Rust source seen as text: what is code, what is a comment or a string, and what is compiled for tests only.
//!
//! Masking replaces with blanks and keeps line breaks, so that every view of a file has the same lines.

/// One file in three views.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) path: String,
    pub(super) text: String,
    /// Without comments, and without what stands in strings and characters.
    pub(super) code: String,
    /// `code` without items under `#[cfg(test)]`; all blank for a file that is compiled for tests only.
    pub(super) product: String,
    /// `product` with its strings.
    pub(super) quoted: String,
    /// Files that are compiled only because a `#[cfg(test)] mod name;` here says so, without `.rs` or `/mod.rs`.
    test_modules: Vec<String>,
}

impl Source {
    pub(super) fn new(path: &str, text: &str) -> Self {
        let code = mask(text, Strings::Blank);
        let mut product = code.clone();
        let mut quoted = mask(text, Strings::Keep);
        let mut test_modules = Vec::new();
        for (start, end) in test_items(&code) {
            let item = &code[start..end];
            if let Some(name) = item
                .trim_end()
                .strip_suffix(';')
                .and_then(|item| item.rsplit_once("mod "))
            {
                test_modules.push(format!("{}{}", children(path), name.1.trim()));
            }
            blank(&mut product, start, end);
            blank(&mut quoted, start, end);
        }
        if is_test_path(path) {
            blank_all(&mut product);
            blank_all(&mut quoted);
        }
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code,
            product,
            quoted,
            test_modules,
        }
    }

    /// True when the file is at `place`, or below it when `place` ends in `/`; `search.rs` includes `search/`.
    pub(super) fn is_at(&self, place: &str) -> bool {
        let below = place.strip_suffix(".rs").map(|stem| format!("{stem}/"));
        self.path == place
            || place.ends_with('/') && self.path.starts_with(place)
            || below.is_some_and(|folder| self.path.starts_with(&folder))
    }
}

/// Takes the product code away from files that only a `#[cfg(test)] mod name;` brings in.
pub(super) fn mark_test_files(sources: &mut [Source]) {
    let modules: Vec<String> = sources
        .iter()
        .flat_map(|source| source.test_modules.iter().cloned())
        .collect();
    for source in sources {
        let owned = modules.iter().any(|module| {
            source
                .path
                .strip_prefix(module.as_str())
                .is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        });
        if owned {
            blank_all(&mut source.product);
            blank_all(&mut source.quoted);
        }
    }
}

/// The line, counted from 1, of a byte position.
pub(super) fn line_at(text: &str, at: usize) -> usize {
    text[..at].bytes().filter(|&byte| byte == b'\n').count() + 1
}

pub(super) fn is_word(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric()
}

/// Where `word` occurs with no letter, digit or underscore on either side.
pub(super) fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |&at| {
            let before = code.as_bytes()[..at].last();
            let after = code.as_bytes().get(at + word.len());
            !before.is_some_and(|&byte| is_word(byte)) && !after.is_some_and(|&byte| is_word(byte))
        })
}

/// The name that `code` begins with, perhaps empty.
pub(super) fn leading_name(code: &str) -> &str {
    let end = code
        .bytes()
        .position(|byte| !is_word(byte))
        .unwrap_or(code.len());
    &code[..end]
}

/// The members of the group `{a, b::c, d::{e, f}}` that `code` begins with: where each starts, and its text.
pub(super) fn group_members(code: &str) -> Vec<(usize, &str)> {
    let mut members = Vec::new();
    let (mut depth, mut start) = (0_usize, 0);
    for (at, byte) in code.bytes().enumerate() {
        match byte {
            b'{' => {
                depth += 1;
                if depth == 1 {
                    start = at + 1;
                }
            }
            b',' if depth == 1 => {
                members.push((start, at));
                start = at + 1;
            }
            b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    members.push((start, at));
                    break;
                }
            }
            _ => {}
        }
    }
    let trimmed = members.into_iter().map(|(start, end)| {
        let member = &code[start..end];
        (
            start + member.len() - member.trim_start().len(),
            member.trim(),
        )
    });
    trimmed.filter(|(_, member)| !member.is_empty()).collect()
}

/// The folder in which the modules of a file lie, with a `/` at its end.
fn children(path: &str) -> String {
    let stem = path.strip_suffix(".rs").unwrap_or(path);
    match stem.rsplit_once('/') {
        Some((folder, "lib" | "main" | "mod")) => format!("{folder}/"),
        _ => format!("{stem}/"),
    }
}

fn is_test_path(path: &str) -> bool {
    path.split('/')
        .any(|part| matches!(part, "tests" | "tests.rs" | "examples" | "benches"))
}

fn blank(text: &mut String, start: usize, end: usize) {
    let middle = blanks(&text[start..end]);
    text.replace_range(start..end, &middle);
}

fn blank_all(text: &mut String) {
    *text = blanks(text);
}

fn blanks(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte == b'\n' { '\n' } else { ' ' })
        .collect()
}

/// From the attribute to the end of each item that is compiled for tests only.
fn test_items(code: &str) -> Vec<(usize, usize)> {
    let mut items = Vec::new();
    let mut done = 0;
    for (start, attribute) in code.match_indices("#[cfg(") {
        let condition = &code[start + attribute.len()..];
        if start < done || !(condition.starts_with("test)") || condition.starts_with("all(test,")) {
            continue;
        }
        let mut depth = 0_usize;
        let body = code[start..].bytes().position(|byte| {
            match byte {
                b'{' | b'(' | b'[' => depth += 1,
                b'}' | b')' | b']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 && matches!(byte, b'}' | b';')
        });
        done = body.map_or(code.len(), |length| start + length + 1);
        // `use x::{y, z};` ends after its brace.
        done += usize::from(code[done..].starts_with(';'));
        items.push((start, done));
    }
    items
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Strings {
    Keep,
    Blank,
}

/// Blanks comments, and strings and characters when asked to.
fn mask(text: &str, strings: Strings) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text[at..];
        let after_word = at > 0 && is_word(bytes[at - 1]);
        let (length, keep) = if rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), false)
        } else if rest.starts_with("/*") {
            (block_comment(rest), false)
        } else if let Some(length) = string(rest, after_word).or_else(|| character(rest)) {
            (length, strings == Strings::Keep)
        } else {
            (rest.chars().next().map_or(1, char::len_utf8), true)
        };
        let piece = &text[at..at + length];
        if keep {
            // A letter of several bytes becomes as many blanks elsewhere: positions must agree between the views.
            out.extend(piece.chars().map(|c| {
                if c.is_ascii() {
                    c.to_string()
                } else {
                    " ".repeat(c.len_utf8())
                }
            }));
        } else {
            out.push_str(&blanks(piece));
        }
        at += length;
    }
    out
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        let pair = text.as_bytes().get(at..at + 2);
        match pair {
            Some(b"/*") => (depth, at) = (depth + 1, at + 2),
            Some(b"*/") => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of the string literal that `text` begins with.
fn string(text: &str, after_word: bool) -> Option<usize> {
    let prefix = if after_word {
        0
    } else {
        text.bytes()
            .take_while(|byte| b"bcr".contains(byte))
            .count()
    };
    let raw = text[..prefix].ends_with('r');
    let hashes = if raw {
        text[prefix..]
            .bytes()
            .take_while(|&byte| byte == b'#')
            .count()
    } else {
        0
    };
    let open = prefix + hashes;
    let inside = text[open..].strip_prefix('"')?;
    if raw {
        let end = format!("\"{}", "#".repeat(hashes));
        return Some(
            inside
                .find(&end)
                .map_or(text.len(), |at| open + 1 + at + end.len()),
        );
    }
    let mut escaped = false;
    let end = inside.bytes().position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    });
    Some(end.map_or(text.len(), |at| open + 1 + at + 1))
}

/// The length of the character literal that `text` begins with; a lifetime is none.
fn character(text: &str) -> Option<usize> {
    let inside = text.strip_prefix('\'')?;
    let first = inside.chars().next()?;
    if first == '\\' {
        return inside[2..].find('\'').map(|at| 1 + 2 + at + 1);
    }
    let length = first.len_utf8();
    inside[length..].starts_with('\'').then_some(1 + length + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_code(text: &str, expected: &str) {
        let source = Source::new("src/a.rs", text);
        assert_eq!(
            source.code.split_whitespace().collect::<Vec<_>>().join(" "),
            expected,
            "{text}"
        );
        assert_eq!(source.code.len(), text.len(), "{text}");
        assert_eq!(source.quoted.len(), text.len(), "{text}");
    }

    #[test]
    fn comments_and_strings_are_not_code() {
        check_code("a // b\nc", "a c");
        check_code("a /* b /* c */ d */ e", "a e");
        check_code(r#"f("x // y", 'z', '\'', b'"', "\"")"#, "f( , , , b , )");
        check_code(r###"a r#"b "c" d"# e"###, "a e");
        check_code("fn f<'a>(x: &'a str) {} // é", "fn f<'a>(x: &'a str) {}");
        check_code("for x in b\"ab\" {}", "for x in {}");
        check_code("\"é\" + bar\"\"", "+ bar");
    }

    fn check_product(path: &str, text: &str, expected: &str) {
        let source = Source::new(path, text);
        assert_eq!(
            source
                .product
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" "),
            expected,
            "{path}: {text}"
        );
    }

    #[test]
    fn what_is_compiled_for_tests_is_no_product() {
        check_product(
            "src/a.rs",
            "a\n#[cfg(test)]\nmod tests { b { c } }\nd",
            "a d",
        );
        check_product("src/a.rs", "#[cfg(test)]\nuse x::{y, z};\nd", "d");
        check_product(
            "src/a.rs",
            "#[cfg(all(test, unix))]\nfn f() -> [u8; 2] { }\nd",
            "d",
        );
        check_product("src/a.rs", "#[cfg(unix)]\nmod b;", "#[cfg(unix)] mod b;");
        check_product("src/kernel/tests.rs", "a", "");
        check_product("tests/b.rs", "a", "");
    }

    #[test]
    fn a_test_module_in_its_own_file_is_no_product() {
        let mut sources = vec![
            Source::new(
                "src/kernel/mod.rs",
                "#[cfg(test)]\nmod oracle;\nmod scalar;",
            ),
            Source::new("src/kernel/oracle.rs", "a"),
            Source::new("src/kernel/scalar.rs", "#[cfg(test)] pub(crate) mod deep;"),
            Source::new("src/kernel/scalar/deep.rs", "b"),
        ];
        mark_test_files(&mut sources);
        let products: Vec<&str> = sources.iter().map(|source| source.product.trim()).collect();
        assert_eq!(products, ["mod scalar;", "", "", ""]);
    }

    #[test]
    fn quoted_keeps_strings_and_drops_comments() {
        let source = Source::new("src/a.rs", "cfg(target_os = \"linux\") // \"x\"");
        assert_eq!(source.quoted.trim_end(), "cfg(target_os = \"linux\")");
    }

    #[test]
    fn words_have_borders() {
        assert_eq!(
            words("rayon; rayon_core; x.rayon", "rayon").collect::<Vec<_>>(),
            [0, 21]
        );
    }

    #[test]
    fn groups_are_taken_apart() {
        assert_eq!(
            group_members("{a, b::{c, d},\n e}; f"),
            [(1, "a"), (4, "b::{c, d}"), (16, "e")]
        );
    }

    #[test]
    fn places_are_files_or_folders() {
        let source = Source::new("crates/x/src/search/span.rs", "");
        assert!(source.is_at("crates/x/src/search.rs"));
        assert!(source.is_at("crates/x/src/"));
        assert!(!source.is_at("crates/x/src/build.rs"));
        assert!(!source.is_at("crates/x/src/sea"));
    }
}
