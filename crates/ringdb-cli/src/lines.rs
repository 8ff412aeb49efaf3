//! Reads payloads out of a file of JSON lines, one at a time.
//!
//! Invariant: a line that is handed out is one JSON value in UTF-8, byte for byte as in the file, without
//! its line ending. What the value means is nobody's business here.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde::de::IgnoredAny;

use crate::error::Error;

/// Bytes of a line at most, so that a file without line breaks does not fill the memory: as many as a
/// payload can have.
const LINE_BYTES_MAX: u64 = 1 << 30;

#[derive(Debug)]
pub(crate) struct Lines {
    path: PathBuf,
    reader: BufReader<File>,
    line: Vec<u8>,
    /// Lines read so far.
    count: u64,
}

impl Lines {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(|source| Error::File {
            op: "open",
            path: path.into(),
            source,
        })?;
        Ok(Self {
            path: path.into(),
            reader: BufReader::with_capacity(1 << 16, file),
            line: Vec::new(),
            count: 0,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The next line, or `None` at the end of the file.
    pub(crate) fn next_line(&mut self) -> Result<Option<&[u8]>, Error> {
        if !self.advance()? {
            return Ok(None);
        }
        self.check()?;
        Ok(Some(&self.line))
    }

    /// Reads the rest, whatever is in it, and tells how many lines the file has.
    pub(crate) fn count_all(mut self) -> Result<u64, Error> {
        while self.advance()? {}
        Ok(self.count)
    }

    /// Reads a line without its ending. A blank one that ends the file is none.
    fn advance(&mut self) -> Result<bool, Error> {
        self.line.clear();
        let failed = |source| Error::File {
            op: "read",
            path: self.path.clone(),
            source,
        };
        // One byte more than the longest line with its ending.
        let mut limited = (&mut self.reader).take(LINE_BYTES_MAX + 3);
        limited.read_until(b'\n', &mut self.line).map_err(failed)?;
        if self.line.is_empty() {
            return Ok(false);
        }
        if self.line.pop_if(|byte| *byte == b'\n').is_some() {
            self.line.pop_if(|byte| *byte == b'\r');
        }
        let is_blank = self.line.trim_ascii().is_empty();
        if is_blank && self.reader.fill_buf().map_err(failed)?.is_empty() {
            return Ok(false);
        }
        self.count += 1;
        if self.line.len() as u64 > LINE_BYTES_MAX {
            return Err(Error::LongLine {
                path: self.path.clone(),
                line: self.count,
                max: LINE_BYTES_MAX,
            });
        }
        Ok(true)
    }

    fn check(&self) -> Result<(), Error> {
        let text = std::str::from_utf8(&self.line).map_err(|error| Error::NotUtf8 {
            path: self.path.clone(),
            line: self.count,
            byte: error.valid_up_to() + 1,
        })?;
        check_json(text).map_err(|what| Error::NotJson {
            path: self.path.clone(),
            line: self.count,
            what,
        })
    }
}

/// Whether a text is one JSON value; if not, why and where.
pub(crate) fn check_json(text: &str) -> Result<(), String> {
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(IgnoredAny) => Ok(()),
        Err(error) => {
            let (line, column) = (error.line(), error.column());
            let what = error.to_string();
            // The parser counts lines inside the text, which would contradict the number of the line.
            let what = what.strip_suffix(&format!(" at line {line} column {column}"));
            match what {
                Some(what) if line == 1 => Err(format!("{what} at column {column}")),
                _ => Err(error.to_string()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<(), &str>) {
        assert_eq!(check_json(text), expected.map_err(str::to_owned), "{text}");
    }

    #[test]
    fn any_json_value_will_do() {
        for text in [
            "{}",
            "[1, 2]",
            "\"x\"",
            "null",
            "1e999",
            " 7 ",
            "{\"a\": {\"b\": []}}",
        ] {
            check(text, Ok(()));
        }
    }

    #[test]
    fn a_finding_names_the_column() {
        check("", Err("EOF while parsing a value at column 0"));
        check("{a}", Err("key must be a string at column 2"));
        check("1 2", Err("trailing characters at column 3"));
        check("NaN", Err("expected value at column 1"));
        check("[\n1 2]", Err("expected `,` or `]` at line 2 column 3"));
    }
}
