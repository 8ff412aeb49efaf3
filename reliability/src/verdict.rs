//! What can come of one case: a note when all is well, a flaw when not, and the counts of both.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

/// What came of a case: in one word what happened, where all is well.
pub(crate) type Checked = Result<&'static str, Flaw>;

/// What ought never to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An answer that is not the right one, nor an error.
    Wrong,
    /// An answer that lacks something, and is no error.
    Missing,
    /// A panic.
    Panic,
    /// A database that had been there, or was acknowledged, and is not found whole.
    Loss,
    /// Anything else: files touched or left that ought not to be, a writer refused without a reason, or a
    /// case that could not be set up.
    Other,
}

/// A case that went wrong: how, and in words.
#[derive(Debug)]
pub(crate) struct Flaw {
    pub(crate) kind: Kind,
    pub(crate) what: String,
}

impl Flaw {
    pub(crate) fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self {
            kind,
            what: what.into(),
        }
    }

    pub(crate) fn wrong(what: impl Into<String>) -> Self {
        Self::new(Kind::Wrong, what)
    }

    pub(crate) fn missing(what: impl Into<String>) -> Self {
        Self::new(Kind::Missing, what)
    }

    pub(crate) fn loss(what: impl Into<String>) -> Self {
        Self::new(Kind::Loss, what)
    }

    pub(crate) fn other(what: impl Into<String>) -> Self {
        Self::new(Kind::Other, what)
    }

    /// The same flaw, with what was being done.
    pub(crate) fn during(self, doing: &str) -> Self {
        Self {
            what: format!("{doing}: {}", self.what),
            ..self
        }
    }
}

/// The case could not be set up.
impl From<std::io::Error> for Flaw {
    fn from(error: std::io::Error) -> Self {
        Self::other(format!("the case cannot be set up: {error}"))
    }
}

/// How many cases came out how.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) done: u64,
    pub(crate) wrong: u64,
    pub(crate) missing: u64,
    pub(crate) panics: u64,
    pub(crate) losses: u64,
    pub(crate) other: u64,
    notes: BTreeMap<&'static str, u64>,
}

impl Counts {
    pub(crate) fn add(&mut self, checked: &Checked) {
        self.done += 1;
        match checked {
            Ok(note) => *self.notes.entry(note).or_default() += 1,
            Err(flaw) => {
                *match flaw.kind {
                    Kind::Wrong => &mut self.wrong,
                    Kind::Missing => &mut self.missing,
                    Kind::Panic => &mut self.panics,
                    Kind::Loss => &mut self.losses,
                    Kind::Other => &mut self.other,
                } += 1;
            }
        }
    }

    pub(crate) fn flaws(&self) -> u64 {
        self.wrong + self.missing + self.panics + self.losses + self.other
    }
}

/// The notes, the most frequent first.
impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut notes: Vec<_> = self.notes.iter().collect();
        notes.sort_by_key(|(note, count)| (std::cmp::Reverse(**count), **note));
        let mut text = String::new();
        for (note, count) in notes {
            let gap = if text.is_empty() { "" } else { ", " };
            write!(text, "{gap}{} {note}", grouped(*count))?;
        }
        f.write_str(&text)
    }
}

/// A number in groups of three digits.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1 000"),
            (1_234_567, "1 234 567"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn every_case_is_counted_once_and_where_it_belongs() {
        let mut counts = Counts::default();
        for checked in [
            Ok("new"),
            Ok("old"),
            Ok("new"),
            Err(Flaw::wrong("1")),
            Err(Flaw::missing("2").during("opening")),
            Err(Flaw::loss("3")),
            Err(Flaw::new(Kind::Panic, "4")),
            Err(std::io::Error::other("5").into()),
        ] {
            counts.add(&checked);
        }
        assert_eq!(counts.to_string(), "2 new, 1 old");
        let flaws = [
            counts.wrong,
            counts.missing,
            counts.losses,
            counts.panics,
            counts.other,
        ];
        assert_eq!((counts.done, flaws, counts.flaws()), (8, [1; 5], 5));
    }
}
