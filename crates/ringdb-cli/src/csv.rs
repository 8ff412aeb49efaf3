//! Reads places out of a CSV file, one at a time: a point on earth of two columns, a JSON object of the others.
//!
//! Invariant: a row that is handed out has a field for each column of the first line, in UTF-8. CSV has no types, so the
//! values of the object are strings, as they stand in the file and in its order; names of columns are those of the first
//! line without blanks around them. Errors name the line of the file on which a row begins, as editors count them.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use csv_core::{ReadRecordResult, Reader};
use ringdb::geo;

use crate::error::Error;
use crate::rows::{ROW_BYTES_MAX, Row, Rows};
use crate::text::{counted, one_line};

/// What Excel and others write in front of UTF-8.
const UTF_8_MARK: &[u8] = b"\xef\xbb\xbf";

/// What texts in UTF-16 begin with.
const UTF_16_MARKS: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];

/// Columns of a terminal that a text out of the file can take in a message.
const QUOTED_MAX: usize = 200;

/// More columns are taken for a mistake; room for their ends is made before they are known.
const COLUMNS_MAX: usize = 65_536;

/// The names of the columns that say where a place is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LatLon {
    pub(crate) lat: String,
    pub(crate) lon: String,
}

/// Reads `lat,lon`.
pub(crate) fn lat_lon(text: &str) -> Result<LatLon, String> {
    let names: Vec<&str> = text.split(',').map(str::trim).collect();
    match names[..] {
        [lat, lon] if lat != lon => Ok(LatLon {
            lat: lat.into(),
            lon: lon.into(),
        }),
        _ => Err("write the names of two columns, such as lat,lon".into()),
    }
}

/// A row of the file.
pub(crate) struct PlaceRow<'a> {
    pub(crate) line: u64,
    pub(crate) point: [f32; 3],
    pub(crate) payload: &'a [u8],
}

pub(crate) struct Places {
    rows: Rows<Box<dyn BufRead>>,
    parser: Reader,
    /// The line on which the row begins.
    line: u64,
    /// The fields of the row, one behind the other, and where each ends.
    fields: Vec<u8>,
    ends: Vec<usize>,
    names: Vec<String>,
    lat: usize,
    lon: usize,
    payload: String,
}

impl Places {
    /// Opens a file and reads the names of its columns.
    pub(crate) fn open(path: &Path, columns: &LatLon) -> Result<Self, Error> {
        let failed = |op| {
            move |source| Error::File {
                op,
                path: path.into(),
                source,
            }
        };
        let mut file = File::open(path).map_err(failed("open"))?;
        let mut start = Vec::new();
        let mut marked = file.by_ref().take(UTF_8_MARK.len() as u64);
        marked.read_to_end(&mut start).map_err(failed("read"))?;
        if start == UTF_8_MARK {
            start.clear();
        }
        let is_utf_16 = UTF_16_MARKS.iter().any(|mark| start.starts_with(mark));
        let text = BufReader::with_capacity(1 << 16, io::Cursor::new(start).chain(file));
        let mut places = Self {
            rows: Rows::new(path, Box::new(text), ROW_BYTES_MAX),
            parser: Reader::new(),
            line: 1,
            fields: Vec::new(),
            ends: Vec::new(),
            names: Vec::new(),
            lat: 0,
            lon: 0,
            payload: String::new(),
        };
        if is_utf_16 {
            return Err(places.wrong("the text is in UTF-16, UTF-8 is needed"));
        }
        // Once it has read something, here a blank line, the parser takes no mark for one of UTF-8: one is enough.
        let _ = places.parser.read_record(b"\n", &mut [0], &mut [0]);
        places.read_names(columns)?;
        Ok(places)
    }

    pub(crate) fn path(&self) -> &Path {
        self.rows.path()
    }

    /// The next row, or `None` at the end of the file.
    pub(crate) fn next_row(&mut self) -> Result<Option<PlaceRow<'_>>, Error> {
        if !self.advance()? {
            return Ok(None);
        }
        if self.ends.len() != self.names.len() {
            let fields = counted(self.ends.len() as u64, "field");
            let columns = counted(self.names.len() as u64, "column");
            return Err(self.wrong(format!("{fields}, but the file has {columns}")));
        }
        let (lat, lon) = (self.degrees(self.lat)?, self.degrees(self.lon)?);
        let point = geo::point(lat, lon).map_err(|source| Error::Line {
            path: self.path().into(),
            line: self.line,
            source,
        })?;
        self.payload = self.object()?;
        Ok(Some(PlaceRow {
            line: self.line,
            point,
            payload: self.payload.as_bytes(),
        }))
    }

    fn read_names(&mut self, columns: &LatLon) -> Result<(), Error> {
        if !self.advance()? {
            return Err(self.wrong("there are no names of columns"));
        }
        let names = (0..self.ends.len()).map(|index| Ok(self.field(index)?.trim().to_owned()));
        let names: Vec<String> = names.collect::<Result<_, Error>>()?;
        let mut seen = HashSet::new();
        if let Some(name) = names.iter().find(|name| !seen.insert(name.as_str())) {
            return Err(self.wrong(format!("two columns are named {}", quoted(name))));
        }
        let position = |wanted: &String| {
            let position = names.iter().position(|name| name == wanted);
            position.ok_or_else(|| {
                let all = names.iter().take(QUOTED_MAX).map(|name| quoted(name));
                let all: Vec<String> = all.collect();
                let all = one_line(all.join(", ").as_bytes(), Some(QUOTED_MAX));
                let wanted = quoted(wanted);
                self.wrong(format!("no column is named {wanted}, there are {all}"))
            })
        };
        (self.lat, self.lon) = (position(&columns.lat)?, position(&columns.lon)?);
        self.names = names;
        Ok(())
    }

    /// Reads a row and takes it apart.
    fn advance(&mut self) -> Result<bool, Error> {
        let Some(Row { line, text }) = self.rows.next_row()? else {
            return Ok(false);
        };
        self.line = line;
        // Each with room for one more: the parser stops where there is none, before it knows that it is done.
        self.fields.resize(text.len() + 1, 0);
        let commas = text.iter().filter(|&&byte| byte == b',').count();
        self.ends.resize(commas.min(COLUMNS_MAX) + 2, 0);
        let (fields, ends) = (&mut self.fields, &mut self.ends);
        let (_, _, len, count) = self.parser.read_record(text, fields, ends);
        // The row has no ending, which is read from here.
        let (fields, ends) = (&mut fields[len..], &mut ends[count..]);
        let (result, _, _, more) = self.parser.read_record(b"\n", fields, ends);
        // Of a row that is whole there is nothing else, but that its fields are too many for their ends.
        if !matches!(result, ReadRecordResult::Record) || count + more > COLUMNS_MAX {
            let max = counted(COLUMNS_MAX as u64, "field");
            return Err(self.wrong(format!("more than {max}")));
        }
        self.ends.truncate(count + more);
        Ok(true)
    }

    fn degrees(&self, index: usize) -> Result<f64, Error> {
        let field = self.field(index)?;
        field.trim().parse().map_err(|_| {
            let (name, field) = (&self.names[index], quoted(field));
            self.wrong(format!("{name} is {field}, which is no number"))
        })
    }

    /// The columns that do not say where the place is.
    fn object(&self) -> Result<String, Error> {
        let others = (0..self.names.len()).filter(|index| ![self.lat, self.lon].contains(index));
        let members = others.map(|index| {
            let (name, value) = (self.names[index].as_str(), self.field(index)?);
            let [name, value] = [name, value].map(|text| serde_json::Value::from(text).to_string());
            Ok(format!("{name}:{value}"))
        });
        let members: Vec<String> = members.collect::<Result<_, Error>>()?;
        Ok(format!("{{{}}}", members.join(",")))
    }

    fn field(&self, index: usize) -> Result<&str, Error> {
        let begin = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        std::str::from_utf8(&self.fields[begin..self.ends[index]])
            .map_err(|_| self.wrong(format!("field {} is not UTF-8", index + 1)))
    }

    fn wrong(&self, what: impl Into<String>) -> Error {
        Error::Csv {
            path: self.path().into(),
            line: self.line,
            what: what.into(),
        }
    }
}

fn quoted(text: &str) -> String {
    let text = one_line(text.as_bytes(), Some(QUOTED_MAX));
    format!("'{text}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_names_of_columns_are_written_with_a_comma() {
        let expected = LatLon {
            lat: "lat".into(),
            lon: "Long. (deg)".into(),
        };
        assert_eq!(lat_lon("lat,Long. (deg)"), Ok(expected.clone()));
        assert_eq!(lat_lon(" lat, Long. (deg) "), Ok(expected));
        for text in ["", "lat", "lat,lon,name", "lat,lat", "lat lon"] {
            assert_eq!(
                lat_lon(text),
                Err("write the names of two columns, such as lat,lon".into()),
                "{text}"
            );
        }
    }
}
