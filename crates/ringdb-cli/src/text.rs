//! How numbers, times and payloads are shown to people. Nothing here is meant to be read back.

use std::borrow::Cow;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::time::Duration;

/// Columns of the terminal that standard output is; `None` if it is none.
pub(crate) fn terminal_width() -> Option<usize> {
    if !io::stdout().is_terminal() {
        return None;
    }
    let (_, columns) = console::Term::stdout().size_checked()?;
    Some(columns.into())
}

/// Digits in groups of three: `4 996`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// A number of things: `1 file`, `4 996 files`.
pub(crate) fn counted(number: u64, thing: &str) -> String {
    match number {
        1 => format!("1 {thing}"),
        number => format!("{} {thing}s", grouped(number)),
    }
}

pub(crate) fn time(elapsed: Duration) -> String {
    match elapsed.as_secs_f64() {
        seconds if seconds < 1.0 => format!("{:.2} ms", seconds * 1e3),
        seconds => format!("{seconds:.2} s"),
    }
}

/// Six decimals where they tell something, as many digits in powers of ten where they do not: a
/// distance that is not 0 never looks like 0.
pub(crate) fn distance(distance: f64) -> String {
    match distance {
        0.0 => "0.000000".into(),
        d if (1e-3..1e7).contains(&d) => format!("{d:.6}"),
        d => format!("{d:.6e}"),
    }
}

/// Ascending distances, as [`distance`] shows them; all digits of each where else two would look alike.
pub(crate) fn distances(distances: &[f64]) -> Vec<String> {
    let shown: Vec<String> = distances.iter().map(|&it| distance(it)).collect();
    match shown.windows(2).any(|two| two[0] == two[1]) {
        true => distances.iter().map(|it| format!("{it:?}")).collect(),
        false => shown,
    }
}

/// Bytes as one line that a terminal can do no harm with, cut to `width` columns if there is one.
pub(crate) fn one_line(bytes: &[u8], width: Option<usize>) -> String {
    let text: Cow<'_, str> = String::from_utf8_lossy(bytes);
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' | '\n' | '\r' => line.push(' '),
            c if c.is_control() => line.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => line.push(c),
        }
    }
    match width {
        Some(width) => console::truncate_str(&line, width, "…").into_owned(),
        None => line,
    }
}

/// The command that makes the codes of `db` anew, as it can be typed; without a name that cannot be shown as
/// it is.
pub(crate) fn rebuild(db: &Path) -> String {
    const COMMAND: &str = "ringdb rebuild-codes";
    let shown = db.to_str().filter(|name| !name.contains(char::is_control));
    let Some(name) = shown else {
        return COMMAND.into();
    };
    // What begins with a dash would be an option.
    let name = match name.starts_with('-') {
        true => format!("./{name}"),
        false => name.into(),
    };
    // No name of a file has the zeros that cannot be quoted. PowerShell reads these quotes as well.
    let quoted = shlex::try_quote(&name).unwrap_or_default();
    format!("{COMMAND} {quoted}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_grouped(number: u64, expected: &str) {
        assert_eq!(grouped(number), expected);
    }

    #[test]
    fn digits_stand_in_threes() {
        check_grouped(0, "0");
        check_grouped(999, "999");
        check_grouped(4996, "4 996");
        check_grouped(117_659, "117 659");
        check_grouped(u64::MAX, "18 446 744 073 709 551 615");
    }

    fn check_distance(d: f64, expected: &str) {
        assert_eq!(distance(d), expected);
    }

    #[test]
    fn only_zero_looks_like_zero() {
        check_distance(0.0, "0.000000");
        check_distance(1.0372451, "1.037245");
        check_distance(1e-9, "1.000000e-9");
        check_distance(5e-324, "4.940656e-324");
        check_distance(1.5e30, "1.500000e30");
    }

    fn check_line(bytes: &[u8], width: Option<usize>, expected: &str) {
        assert_eq!(one_line(bytes, width), expected);
    }

    #[test]
    fn payloads_stay_on_their_line() {
        check_line(b"{\"a\":\n\t1}", None, "{\"a\":  1}");
        check_line(b"\x1b[31mred\x7f", None, "\\u001b[31mred\\u007f");
        check_line(b"\xff!", None, "\u{fffd}!");
        check_line("abcdef".as_bytes(), Some(4), "abc…");
        check_line("abcd".as_bytes(), Some(4), "abcd");
        check_line("日本語".as_bytes(), Some(5), "日本…");
    }

    #[test]
    fn times_have_units() {
        assert_eq!(time(Duration::from_micros(1234)), "1.23 ms");
        assert_eq!(time(Duration::from_millis(2350)), "2.35 s");
    }
}
