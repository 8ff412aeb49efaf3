//! Splits a CSV file into its rows, without a look into their fields.
//!
//! Invariant: a row that is handed out is whole, and a quote at the beginning of a field opens it, as RFC 4180 has it, up
//! to the next quote that is not written twice, and that one ends the field. Parsers of CSV are lenient there, and a
//! quote left open takes in rows, up to one that was meant to open another field. Elsewhere in a field a quote is a
//! character like others, which RFC 4180 forbids, and no row is refused for it. Lines end with `\n`, `\r\n` or `\r` and are counted as
//! editors do; a blank one outside of quotes is no row.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// Bytes of a row at most, so that a quote that is not closed does not fill the memory with the rest of a large file.
pub(crate) const ROW_BYTES_MAX: usize = 1 << 26;

/// A row as it stands in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row<'a> {
    /// The line on which it begins, counted from 1.
    pub(crate) line: u64,
    /// Never empty, and without the ending of its last line.
    pub(crate) text: &'a [u8],
}

/// A file that is read row by row.
#[derive(Debug)]
pub(crate) struct Rows<R> {
    path: PathBuf,
    text: R,
    scan: Scan,
}

/// What was read of a row.
#[derive(Debug)]
struct Scan {
    at: At,
    row: Vec<u8>,
    bytes_max: usize,
    /// The line on which the row begins.
    begin: u64,
    /// The line on which its last quote was opened.
    opened: u64,
    /// The line that the next byte belongs to, unless that byte is the second of `\r\n`.
    line: u64,
    is_behind_return: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    FieldBegin,
    Unquoted,
    Quoted,
    /// Behind a quote that closes its field unless another one follows.
    QuoteInQuoted,
}

/// What is wrong with a row, and on which line.
#[derive(Debug)]
struct Wrong {
    line: u64,
    what: String,
}

impl<R: BufRead> Rows<R> {
    pub(crate) fn new(path: &Path, text: R, bytes_max: usize) -> Self {
        Self {
            path: path.into(),
            text,
            scan: Scan {
                at: At::FieldBegin,
                row: Vec::new(),
                bytes_max,
                begin: 1,
                opened: 1,
                line: 1,
                is_behind_return: false,
            },
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The next row, or `None` at the end of the file.
    pub(crate) fn next_row(&mut self) -> Result<Option<Row<'_>>, Error> {
        self.scan.row.clear();
        let is_row = self.advance()?;
        Ok(is_row.then_some(Row {
            line: self.scan.begin,
            text: &self.scan.row,
        }))
    }

    fn advance(&mut self) -> Result<bool, Error> {
        let Self { path, text, scan } = self;
        let wrong = |Wrong { line, what }| Error::Csv {
            path: path.clone(),
            line,
            what,
        };
        loop {
            let bytes = text.fill_buf().map_err(|source| Error::File {
                op: "read",
                path: path.clone(),
                source,
            })?;
            if bytes.is_empty() {
                return scan.end().map_err(wrong);
            }
            let (mut read, mut is_row) = (0, false);
            for &byte in bytes {
                read += 1;
                is_row = scan.push(byte).map_err(wrong)?;
                if is_row {
                    break;
                }
            }
            text.consume(read);
            if is_row {
                return Ok(true);
            }
        }
    }
}

impl Scan {
    /// Takes a byte of the file and tells whether a row ends with it.
    fn push(&mut self, byte: u8) -> Result<bool, Wrong> {
        let is_ending = matches!(byte, b'\n' | b'\r');
        let line = self.line;
        if is_ending && !(byte == b'\n' && self.is_behind_return) {
            self.line += 1;
        }
        self.is_behind_return = byte == b'\r';
        if self.row.is_empty() {
            if is_ending {
                return Ok(false);
            }
            self.begin = line;
        }
        self.at = match (self.at, byte) {
            (At::Quoted, b'"') => At::QuoteInQuoted,
            (At::Quoted, _) => At::Quoted,
            (_, b'\n' | b'\r') => {
                self.at = At::FieldBegin;
                return Ok(true);
            }
            (_, b',') => At::FieldBegin,
            (At::FieldBegin, b'"') => {
                self.opened = line;
                At::Quoted
            }
            (At::FieldBegin | At::Unquoted, _) => At::Unquoted,
            (At::QuoteInQuoted, b'"') => At::Quoted,
            (At::QuoteInQuoted, _) => return Err(self.text_behind_quote()),
        };
        if self.row.len() == self.bytes_max {
            return Err(self.row_too_long());
        }
        self.row.push(byte);
        Ok(false)
    }

    /// The file is at its end: tells whether a row ends with it.
    fn end(&self) -> Result<bool, Wrong> {
        match self.at {
            At::Quoted => Err(Wrong {
                line: self.opened,
                what: "a quote is not closed before the end of the file".into(),
            }),
            _ => Ok(!self.row.is_empty()),
        }
    }

    fn text_behind_quote(&self) -> Wrong {
        let opened = match self.opened == self.line {
            true => "on the same line".into(),
            false => format!("on line {}", self.opened),
        };
        Wrong {
            line: self.line,
            what: format!(
                "a quote opened {opened} is closed before the end of its field; a quote between quotes is written twice"
            ),
        }
    }

    fn row_too_long(&self) -> Wrong {
        let within = match self.at {
            At::Quoted => format!(", with a quote opened on line {}", self.opened),
            _ => String::new(),
        };
        Wrong {
            line: self.begin,
            what: format!("a row has more than {} bytes{within}", self.bytes_max),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, BufReader, Read};

    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    use super::*;

    const SEED: u64 = 0x0052_4f57;

    fn rows(text: impl Read, at_once: usize, bytes_max: usize) -> (Vec<(u64, Vec<u8>)>, String) {
        let text = BufReader::with_capacity(at_once, text);
        let mut rows = Rows::new(Path::new("p.csv"), text, bytes_max);
        let mut found = Vec::new();
        loop {
            match rows.next_row() {
                Ok(Some(Row { line, text })) => found.push((line, text.to_vec())),
                Ok(None) => return (found, String::new()),
                Err(error) => return (found, error.with_causes()),
            }
        }
    }

    /// Reads a text by so many bytes at a time and compares its rows and what is wrong behind them.
    #[track_caller]
    fn check(text: &str, expected: &[(u64, &str)], wrong: &str) {
        let expected: Vec<(u64, Vec<u8>)> = expected
            .iter()
            .map(|&(line, row)| (line, row.into()))
            .collect();
        for at_once in [1, 2, 3, 100] {
            let found = rows(text.as_bytes(), at_once, 100);
            assert_eq!(found, (expected.clone(), wrong.into()), "{text:?}");
        }
    }

    #[test]
    fn lines_end_in_any_of_three_ways_and_blank_ones_count() {
        check("", &[], "");
        check("\n\r\n\r", &[], "");
        check("a", &[(1, "a")], "");
        check("ab\ncd\n", &[(1, "ab"), (2, "cd")], "");
        check("ab\r\ncd\r\n", &[(1, "ab"), (2, "cd")], "");
        check("ab\rcd\r", &[(1, "ab"), (2, "cd")], "");
        check("\n\nab\n\r\n\rcd\n", &[(3, "ab"), (6, "cd")], "");
        check("a\n\rb", &[(1, "a"), (3, "b")], "");
        check(" \n,\n", &[(1, " "), (2, ",")], "");
    }

    #[test]
    fn quotes_that_open_a_field_hold_commas_lines_and_quotes() {
        check(
            "\"a,\nb\r\nc\r\",\"\"\"\"\nd",
            &[(1, "\"a,\nb\r\nc\r\",\"\"\"\""), (5, "d")],
            "",
        );
        check("\"\"\n\"\"", &[(1, "\"\""), (2, "\"\"")], "");
        check(
            "5\"\n a\"b, \"c\nd",
            &[(1, "5\""), (2, " a\"b, \"c"), (3, "d")],
            "",
        );
    }

    #[test]
    fn quotes_that_do_not_end_with_their_field_are_refused() {
        let twice =
            "is closed before the end of its field; a quote between quotes is written twice";
        let same = format!("p.csv line 2: a quote opened on the same line {twice}");
        check("a\n\"b\"c", &[(1, "a")], &same);
        check("a\nx,\"b\" ,c", &[(1, "a")], &same);
        check(
            "a\n1,\"6 inch\nb\n2,\"8 inch\"\n",
            &[(1, "a")],
            &format!("p.csv line 4: a quote opened on line 2 {twice}"),
        );
        let open = "p.csv line 2: a quote is not closed before the end of the file";
        check("a\n\"b\nc\n", &[(1, "a")], open);
        check("a\n\"b\"\"", &[(1, "a")], open);
        check("a\n\"b\nc\"\n", &[(1, "a"), (2, "\"b\nc\"")], "");
        // The row begins on the line before.
        check("\"a\nb\",\"c", &[], open);
    }

    #[test]
    fn a_row_can_have_so_many_bytes_and_not_one_more() {
        let row = "x".repeat(100);
        check(
            &format!("{row}\n\n{row}\r\n{row}"),
            &[(1, &row), (3, &row), (4, &row)],
            "",
        );
        check(
            &format!("{row}\n\n{row}y\nz"),
            &[(1, &row)],
            "p.csv line 3: a row has more than 100 bytes",
        );
        let blank = "\n".repeat(300);
        check(&format!("{blank}a{blank}b"), &[(301, "a"), (601, "b")], "");
        check(
            &format!("a\nb\n\n,\"{row}"),
            &[(1, "a"), (2, "b")],
            "p.csv line 4: a row has more than 100 bytes, with a quote opened on line 4",
        );
        let (found, wrong) = rows(io::repeat(b'x'), 60, 1_000);
        assert_eq!(found, []);
        assert_eq!(wrong, "p.csv line 1: a row has more than 1000 bytes");
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 20_000,
            rng_seed: RngSeed::Fixed(SEED),
            ..ProptestConfig::default()
        })]

        /// What is well formed to this file is split as a parser splits the file as a whole.
        #[test]
        fn rows_are_those_of_a_parser(text in "[a,\"\n\r]{0,16}") {
            let (found, wrong) = rows(text.as_bytes(), 5, 100);
            let parse = |text: &[u8]| -> Vec<csv::ByteRecord> {
                let mut options = csv::ReaderBuilder::new();
                let mut reader = options.has_headers(false).flexible(true).from_reader(text);
                reader.byte_records().collect::<Result<_, _>>().expect("in memory")
            };
            let all = parse(text.as_bytes());
            prop_assert!(all.len() >= found.len());
            for ((_, row), expected) in found.iter().zip(&all) {
                let [row] = &parse(row)[..] else {
                    return Err(TestCaseError::fail("a row is one record"));
                };
                prop_assert_eq!(row, expected);
            }
            prop_assert!(!wrong.is_empty() || all.len() == found.len());
        }
    }
}
