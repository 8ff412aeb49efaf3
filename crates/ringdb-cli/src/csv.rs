//! Reads places out of a CSV file, one at a time: a point on earth of two columns, a JSON object of the others.
//!
//! Invariant: a row that is handed out has a field for each column of the first line, in UTF-8. CSV has no types, so the
//! values of the object are strings, as they stand in the file and in its order. Errors name the line of the file
//! on which a row begins, as editors count them.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use csv::{ByteRecord, Reader, ReaderBuilder};
use ringdb::geo;

use crate::error::Error;
use crate::numbered::Numbered;
use crate::text::{counted, one_line};

/// Put behind the file, this is a row of its own, unless the file ends within quotes: there it is a quote more and
/// part of the last field. The parser says nothing of that, and rows would be lost.
const END: &[u8] = b"\n\"\"";

/// Bytes of a row at most, so that a quote that is not closed does not fill the memory with the rest of a large file.
const ROW_BYTES_MAX: u64 = 1 << 26;

/// Columns of a terminal that a text out of the file can take in a message.
const QUOTED_MAX: usize = 200;

/// The names of the columns that say where a place is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LatLon {
    pub(crate) lat: String,
    pub(crate) lon: String,
}

/// Reads `lat,lon`.
pub(crate) fn lat_lon(text: &str) -> Result<LatLon, String> {
    let names: Vec<&str> = text.split(',').collect();
    match names[..] {
        [lat, lon] if lat != lon => Ok(LatLon {
            lat: lat.into(),
            lon: lon.into(),
        }),
        _ => Err("write the names of two columns, such as lat,lon".into()),
    }
}

/// A row of the file.
pub(crate) struct Row<'a> {
    pub(crate) line: u64,
    pub(crate) point: [f32; 3],
    pub(crate) payload: &'a [u8],
}

pub(crate) struct Places {
    path: PathBuf,
    reader: Reader<Numbered<Box<dyn Read>>>,
    record: ByteRecord,
    /// The line on which the record begins.
    line: u64,
    names: Vec<String>,
    lat: usize,
    lon: usize,
    payload: String,
}

impl Places {
    /// Opens a file and reads the names of its columns.
    pub(crate) fn open(path: &Path, columns: &LatLon) -> Result<Self, Error> {
        let file = File::open(path).map_err(|source| Error::File {
            op: "open",
            path: path.into(),
            source,
        })?;
        let text: Box<dyn Read> = Box::new(file.chain(END));
        let mut places = Self {
            path: path.into(),
            // Passes over the mark that Excel and others write in front of UTF-8.
            reader: ReaderBuilder::new()
                .has_headers(false)
                .flexible(true)
                .from_reader(Numbered::new(text, ROW_BYTES_MAX)),
            record: ByteRecord::new(),
            line: 1,
            names: Vec::new(),
            lat: 0,
            lon: 0,
            payload: String::new(),
        };
        places.read_names(columns)?;
        Ok(places)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The next row, or `None` at the end of the file.
    pub(crate) fn next_row(&mut self) -> Result<Option<Row<'_>>, Error> {
        if !self.advance()? {
            return Ok(None);
        }
        if self.record.len() != self.names.len() {
            let fields = counted(self.record.len() as u64, "field");
            let columns = counted(self.names.len() as u64, "column");
            return Err(self.wrong(format!("{fields}, but the file has {columns}")));
        }
        let (lat, lon) = (self.degrees(self.lat)?, self.degrees(self.lon)?);
        let point = geo::point(lat, lon).map_err(|source| Error::Line {
            path: self.path.clone(),
            line: self.line,
            source,
        })?;
        self.payload = self.object()?;
        Ok(Some(Row {
            line: self.line,
            point,
            payload: self.payload.as_bytes(),
        }))
    }

    fn read_names(&mut self, columns: &LatLon) -> Result<(), Error> {
        if !self.advance()? {
            return Err(self.wrong("there are no names of columns"));
        }
        let names = (0..self.record.len()).map(|index| self.field(index).map(str::to_owned));
        let names: Vec<String> = names.collect::<Result<_, Error>>()?;
        for (index, name) in names.iter().enumerate() {
            if names[..index].contains(name) {
                return Err(self.wrong(format!("two columns are named {}", quoted(name))));
            }
        }
        let position = |wanted: &String| {
            let position = names.iter().position(|name| name == wanted);
            position.ok_or_else(|| {
                let all: Vec<String> = names.iter().map(|name| quoted(name)).collect();
                let all = one_line(all.join(", ").as_bytes(), Some(QUOTED_MAX));
                let wanted = quoted(wanted);
                self.wrong(format!("no column is named {wanted}, there are {all}"))
            })
        };
        (self.lat, self.lon) = (position(&columns.lat)?, position(&columns.lon)?);
        self.names = names;
        Ok(())
    }

    /// Reads a record. Blank lines are none.
    fn advance(&mut self) -> Result<bool, Error> {
        let read = self.reader.read_byte_record(&mut self.record);
        let is_record = read.map_err(|error| Error::File {
            op: "read",
            path: self.path.clone(),
            source: match error.into_kind() {
                csv::ErrorKind::Io(source) => source,
                kind => std::io::Error::other(format!("{kind:?}")),
            },
        })?;
        let from = self.record.position().map_or(0, csv::Position::byte);
        let text = self.reader.get_mut();
        let Some(line) = text.line_from(from).filter(|_| is_record) else {
            return Err(self.wrong("a quote is not closed before the end of the file"));
        };
        // A row of the file that looks like the one put behind it has an ending, which was read with it.
        let is_end = self.record == [""][..] && text.bytes_read() - line.byte < END.len() as u64;
        if !is_end {
            self.line = line.number;
        }
        Ok(!is_end)
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
        let bytes = self.record.get(index).unwrap_or_default();
        std::str::from_utf8(bytes)
            .map_err(|_| self.wrong(format!("field {} is not UTF-8", index + 1)))
    }

    fn wrong(&self, what: impl Into<String>) -> Error {
        Error::Csv {
            path: self.path.clone(),
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
        assert_eq!(lat_lon("lat,Long. (deg)"), Ok(expected));
        for text in ["", "lat", "lat,lon,name", "lat,lat", "lat lon"] {
            assert_eq!(
                lat_lon(text),
                Err("write the names of two columns, such as lat,lon".into()),
                "{text}"
            );
        }
    }
}
