//! Ranges of distances as people write them, `(0, 0.25]` or `0.1..0.2`.
//!
//! Whether a range makes sense is decided by [`Ring`]; this file knows only how it is written.

use std::ops::Bound::{self, Excluded, Included, Unbounded};

use ringdb::Ring;

/// Why a text is no range. The text itself is shown by whoever has it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RangeError {
    #[error(
        "write [a, b], (a, b], [a, b), (a, b), a..b, a..=b, a.., ..b or ..=b, where b may be inf"
    )]
    Form,
    #[error("'{0}' is no number")]
    Number(String),
    #[error(transparent)]
    Bounds(#[from] ringdb::RingError),
}

/// Reads a range in any of its forms.
pub(crate) fn parse(text: &str) -> Result<Ring, RangeError> {
    Ok(Ring::from_bounds(bounds(text)?)?)
}

/// Reads an upper bound, which is included.
pub(crate) fn within(text: &str) -> Result<Ring, RangeError> {
    let d_max = text
        .parse()
        .map_err(|_| RangeError::Number(text.to_owned()))?;
    Ok(Ring::within(d_max)?)
}

fn bounds(text: &str) -> Result<(Bound<f64>, Bound<f64>), RangeError> {
    let trimmed = text.trim();
    let opening: Option<fn(f64) -> Bound<f64>> = match trimmed.chars().next() {
        Some('[') => Some(Included),
        Some('(') => Some(Excluded),
        _ => None,
    };
    if let Some(lower) = opening {
        let inner = trimmed.get(1..).unwrap_or_default();
        let (inner, upper): (_, fn(f64) -> Bound<f64>) =
            match (inner.strip_suffix(']'), inner.strip_suffix(')')) {
                (Some(inner), _) => (inner, Included),
                (_, Some(inner)) => (inner, Excluded),
                _ => return Err(RangeError::Form),
            };
        let (a, b) = inner.split_once(',').ok_or(RangeError::Form)?;
        return Ok((lower(number(a)?), upper(number(b)?)));
    }
    // `1...2` could be 1. to 2 or 1 to .2: not guessed at.
    if trimmed.contains("...") {
        return Err(RangeError::Form);
    }
    let (a, b) = trimmed.split_once("..").ok_or(RangeError::Form)?;
    let lower = match a.trim() {
        "" => Unbounded,
        a => Included(number(a)?),
    };
    let upper = match (b.strip_prefix('='), b.trim()) {
        (Some(b), _) => Included(number(b)?),
        (None, "") => Unbounded,
        (None, b) => Excluded(number(b)?),
    };
    Ok((lower, upper))
}

fn number(word: &str) -> Result<f64, RangeError> {
    match word.trim() {
        "" => Err(RangeError::Form),
        word => word.parse().map_err(|_| RangeError::Number(word.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let found = match parse(text) {
            Ok(ring) => ring.to_string(),
            Err(error) => error.to_string(),
        };
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn brackets_include_and_parentheses_exclude() {
        check("[0.1, 0.2]", "[0.1, 0.2]");
        check("(0.1, 0.2]", "(0.1, 0.2]");
        check("[0.1, 0.2)", "[0.1, 0.2)");
        check("(0.1, 0.2)", "(0.1, 0.2)");
        check("  ( 0 ,1e-3 ]  ", "(0.0, 0.001]");
        check("[0.5,inf)", "[0.5, inf)");
        check("[0.5, inf]", "[0.5, inf]");
    }

    #[test]
    fn dots_mean_what_they_mean_in_rust() {
        check("0.1..0.2", "[0.1, 0.2)");
        check("0.1..=0.2", "[0.1, 0.2]");
        check("0.9..", "[0.9, inf]");
        check("..=0.5", "[0.0, 0.5]");
        check("..0.5", "[0.0, 0.5)");
        check("0.9..inf", "[0.9, inf)");
        check("..", "[0.0, inf]");
        check(" 1 .. 2 ", "[1.0, 2.0)");
        check("1 ..= 2", "[1.0, 2.0]");
        check("1...2", FORM);
        check("0...5", FORM);
        check("0..=.5", "[0.0, 0.5]");
    }

    #[test]
    fn bounds_are_f64() {
        check("[0.6000000000000001, 1]", "[0.6000000000000001, 1.0]");
        check("[-0.0, 1]", "[0.0, 1.0]");
    }

    const FORM: &str =
        "write [a, b], (a, b], [a, b), (a, b), a..b, a..=b, a.., ..b or ..=b, where b may be inf";

    #[test]
    fn what_is_no_range_is_answered_with_the_accepted_forms() {
        for text in [
            "", " ", "0.5", "[", "[]", "[1]", "[1, 2", "1, 2", "[1, 2}", "(,)", "[, 2]", "..=",
            "1..=", "1.2", "{1, 2}", "[1; 2]", "[é", "(",
        ] {
            check(text, FORM);
        }
    }

    #[test]
    fn what_is_no_number_is_named() {
        check("[a, 2]", "'a' is no number");
        check("[1, 2, 3]", "'2, 3' is no number");
        check("[0,5, 1]", "'5, 1' is no number");
        check("1..2..3", "'2..3' is no number");
        check("0.1m..2", "'0.1m' is no number");
        check("é..2", "'é' is no number");
    }

    /// The library's words for what is wrong with a ring.
    fn check_bounds(text: &str, a: f64, b: f64) {
        let error = Ring::between(a, b).expect_err(text);
        check(text, &error.to_string());
    }

    #[test]
    fn what_cannot_be_a_ring_is_refused_by_the_library() {
        check_bounds("[2, 1]", 2.0, 1.0);
        check_bounds("2..1", 2.0, 1.0);
        check_bounds("-1..2", -1.0, 2.0);
        check_bounds("[NaN, 1]", f64::NAN, 1.0);
        check_bounds("[0, nan]", 0.0, f64::NAN);
    }
}
