//! Counts the lines of a text on its way to a parser that knows only bytes.
//!
//! Invariant: a line ends with `\n`, `\r\n` or `\r`, as editors count them, and memory holds only lines that the parser
//! may still ask about. How far it can read without asking is limited.

use std::collections::VecDeque;
use std::io::{self, Read};

/// Where a line begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line {
    /// Counted from 1.
    pub(crate) number: u64,
    /// Counted from 0.
    pub(crate) byte: u64,
}

/// A text that is read and counted.
#[derive(Debug)]
pub(crate) struct Numbered<R> {
    text: R,
    /// The line that the next byte belongs to, and that byte.
    next: Line,
    /// The line last asked for, and how many bytes may be read from there on.
    asked: Line,
    unasked_max: u64,
    is_blank: bool,
    is_behind_return: bool,
    /// Lines that have more than their ending.
    lines: VecDeque<Line>,
}

impl<R> Numbered<R> {
    pub(crate) fn new(text: R, unasked_max: u64) -> Self {
        let first = Line { number: 1, byte: 0 };
        Self {
            text,
            next: first,
            asked: first,
            unasked_max,
            is_blank: true,
            is_behind_return: false,
            lines: VecDeque::new(),
        }
    }

    /// How many bytes were read.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.next.byte
    }

    /// The first line that begins at this byte or behind it, was read and is not blank. Lines before it are forgotten.
    pub(crate) fn line_from(&mut self, byte: u64) -> Option<Line> {
        while self.lines.pop_front_if(|line| line.byte < byte).is_some() {}
        let line = self.lines.front().copied();
        self.asked = line.unwrap_or(self.asked);
        line
    }

    fn count(&mut self, byte: u8) {
        match byte {
            b'\n' if self.is_behind_return => {}
            b'\n' | b'\r' => {
                self.next.number += 1;
                self.is_blank = true;
            }
            _ if self.is_blank => {
                self.lines.push_back(self.next);
                self.is_blank = false;
            }
            _ => {}
        }
        self.is_behind_return = byte == b'\r';
        self.next.byte += 1;
    }
}

impl<R: Read> Read for Numbered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.next.byte - self.asked.byte > self.unasked_max {
            let (number, max) = (self.asked.number, self.unasked_max);
            let text = format!("from line {number} on, a row has more than {max} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let read = self.text.read(buffer)?;
        buffer.iter().take(read).for_each(|&byte| self.count(byte));
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a text by so many bytes at a time and lists its lines.
    fn check(text: &str, expected: &[(u64, u64)]) {
        for at_once in [1, 2, 3, 100] {
            let mut numbered = Numbered::new(text.as_bytes(), 100);
            let mut buffer = vec![0; at_once];
            while numbered.read(&mut buffer).expect("memory is readable") > 0 {}
            assert_eq!(numbered.bytes_read(), text.len() as u64);
            let mut found = Vec::new();
            let mut from = 0;
            while let Some(Line { number, byte }) = numbered.line_from(from) {
                found.push((number, byte));
                from = byte + 1;
            }
            assert_eq!(found, expected, "{text:?} by {at_once}");
        }
    }

    #[test]
    fn lines_end_in_any_of_three_ways_and_blank_ones_count() {
        check("", &[]);
        check("\n\r\n\r", &[]);
        check("a", &[(1, 0)]);
        check("ab\ncd\n", &[(1, 0), (2, 3)]);
        check("ab\r\ncd\r\n", &[(1, 0), (2, 4)]);
        check("ab\rcd\r", &[(1, 0), (2, 3)]);
        check("\n\nab\n\r\n\rcd\n", &[(3, 2), (6, 8)]);
        check("a\n\rb", &[(1, 0), (3, 3)]);
    }

    #[test]
    fn a_line_is_found_from_the_ending_before_it() {
        let mut numbered = Numbered::new("ab\r\n\r\ncd\nef".as_bytes(), 100);
        io::copy(&mut numbered, &mut io::sink()).expect("memory is readable");
        let line = |number, byte| Some(Line { number, byte });
        assert_eq!(numbered.line_from(0), line(1, 0));
        assert_eq!(numbered.line_from(3), line(3, 6));
        assert_eq!(numbered.line_from(6), line(3, 6));
        assert_eq!(numbered.line_from(7), line(4, 9));
        assert_eq!(numbered.line_from(10), None);
    }

    #[test]
    fn a_row_without_end_is_not_read_to_it() {
        let mut numbered = Numbered::new(io::repeat(b'x').take(1_000), 100);
        let mut buffer = [0; 60];
        assert_eq!(numbered.read(&mut buffer).ok(), Some(60));
        assert_eq!(numbered.read(&mut buffer).ok(), Some(60));
        let error = numbered.read(&mut buffer).expect_err("120 bytes were read");
        assert_eq!(
            error.to_string(),
            "from line 1 on, a row has more than 100 bytes"
        );

        let rows = "1234567\n".repeat(100);
        let mut numbered = Numbered::new(rows.as_bytes(), 100);
        let mut from = 0;
        while numbered.read(&mut buffer).expect("rows are short") > 0 {
            while let Some(line) = numbered.line_from(from) {
                from = line.byte + 1;
            }
        }
        assert_eq!(numbered.bytes_read(), 800);
    }
}
