//! What all payloads of a store have in common: their codec, and the name of their type.
//!
//! The name is advice: it keeps a program from reading the values of another type by mistake, and shows
//! people what is in a file.

use std::path::Path;

use super::codec::PayloadCodec;
use crate::count::counted;
use crate::error::{Error, Result};
use crate::header::Header;
use crate::limits::TYPE_NAME_BYTES_MAX;
use crate::options::PayloadType;

/// The codec of the payloads and what is known of their type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PayloadKind {
    pub(crate) codec: PayloadCodec,
    /// Empty where no type is known.
    pub(crate) type_name: String,
    /// Bytes of each payload where all have the same, else 0.
    pub(crate) width: u32,
}

impl PayloadKind {
    /// Payloads of type `T`.
    pub(crate) fn of<T>(codec: PayloadCodec) -> Self {
        let (type_name, width) = match codec {
            PayloadCodec::Bincode | PayloadCodec::Postcard => (type_name::<T>(), 0),
            PayloadCodec::Pod => (type_name::<T>(), size_of::<T>() as u32),
            PayloadCodec::JsonText | PayloadCodec::Raw => (String::new(), 0),
        };
        Self {
            codec,
            type_name,
            width,
        }
    }

    /// Those of the payload file `path`, by its header and note.
    pub(crate) fn read(path: &Path, header: &Header, note: &str) -> Result<Self> {
        let Some(codec) = PayloadCodec::from_id(header.detail) else {
            let what = format!("payload codec {} is not known", header.detail);
            return Err(Error::corrupt(path, 12, what));
        };
        if header.width != 0 && codec != PayloadCodec::Pod {
            let what = format!(
                "payloads of {} each in {codec}",
                counted(u64::from(header.width), "byte")
            );
            return Err(Error::corrupt(path, 56, what));
        }
        Ok(Self {
            codec,
            type_name: note.to_string(),
            width: header.width,
        })
    }

    /// What stands for a payload that is lost: as little as a reader of such payloads takes.
    pub(crate) fn placeholder(&self) -> Vec<u8> {
        match self.codec {
            PayloadCodec::Pod => vec![0; self.width as usize],
            PayloadCodec::JsonText => b"null".to_vec(),
            PayloadCodec::Bincode | PayloadCodec::Postcard | PayloadCodec::Raw => Vec::new(),
        }
    }

    /// Another name for their type.
    pub(crate) fn named(self, type_name: String) -> Result<Self> {
        if type_name.len() > TYPE_NAME_BYTES_MAX {
            return Err(Error::TooLarge {
                what: "bytes of the payload type's name",
                value: type_name.len() as u64,
                max: TYPE_NAME_BYTES_MAX as u64,
            });
        }
        Ok(Self { type_name, ..self })
    }

    /// Fails if these are not the payloads that somebody wants who has the type `T`.
    pub(crate) fn expect<T>(&self, wanted: &PayloadType) -> Result<()> {
        let asked = match wanted {
            PayloadType::Own => type_name::<T>(),
            PayloadType::Named(name) => name.clone(),
            PayloadType::Any => return Ok(()),
        };
        if self.type_name.is_empty() || self.type_name == asked {
            return Ok(());
        }
        Err(Error::TypeMismatch {
            stored: self.type_name.clone(),
            asked,
        })
    }
}

/// The name under which payloads of type `T` are stored: that of Rust without the paths, and so the
/// same wherever the type is defined. A name that would be longer than
/// [`TYPE_NAME_BYTES_MAX`](crate::limits::TYPE_NAME_BYTES_MAX) is cut.
///
/// ```
/// assert_eq!(ringdb_storage::type_name::<(String, Option<Vec<u8>>)>(), "(String, Option<Vec<u8>>)");
/// ```
#[must_use]
pub fn type_name<T>() -> String {
    let full = std::any::type_name::<T>();
    let mut name = String::new();
    let mut word = String::new();
    let mut rest = full.chars().peekable();
    while let Some(c) = rest.next() {
        if c == ':' && rest.peek() == Some(&':') {
            // What was a module so far.
            rest.next();
            word.clear();
        } else if c.is_alphanumeric() || c == '_' {
            word.push(c);
        } else {
            name.push_str(&word);
            word.clear();
            name.push(c);
        }
    }
    name.push_str(&word);
    name.truncate(name.floor_char_boundary(TYPE_NAME_BYTES_MAX));
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Song;
    struct Pair<A, B>(A, B);

    #[test]
    fn names_have_no_paths() {
        assert_eq!(type_name::<()>(), "()");
        assert_eq!(type_name::<&str>(), "&str");
        assert_eq!(type_name::<Song>(), "Song");
        assert_eq!(type_name::<[Option<Song>; 3]>(), "[Option<Song>; 3]");
        assert_eq!(
            type_name::<Pair<Song, Vec<Song>>>(),
            "Pair<Song, Vec<Song>>"
        );
        let Pair(..) = Pair(Song, Song);
        type Long =
            Pair<Pair<Pair<Pair<Song, Song>, Pair<Song, Song>>, Song>, [[Song; 1000]; 1000]>;
        let name = type_name::<Pair<Long, Pair<Long, Pair<Long, Long>>>>();
        assert_eq!(name.len(), TYPE_NAME_BYTES_MAX, "{name}");
    }

    #[test]
    fn another_type_is_named() {
        let kind = PayloadKind::of::<Song>(PayloadCodec::Postcard);
        kind.expect::<Song>(&PayloadType::Own).unwrap();
        kind.expect::<u8>(&PayloadType::Any).unwrap();
        kind.expect::<u8>(&PayloadType::Named("Song".to_string()))
            .unwrap();
        let error = kind.expect::<u8>(&PayloadType::Own).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the payloads are of type Song, not u8: \
             ReadOptions::payload_type asks for another name, or for any"
        );
        let text = PayloadKind::of::<Song>(PayloadCodec::JsonText);
        text.expect::<u8>(&PayloadType::Own).unwrap();
    }

    #[test]
    fn a_name_past_the_limit_is_refused() {
        let kind = PayloadKind::of::<Song>(PayloadCodec::Bincode);
        let error = kind.named("x".repeat(256)).unwrap_err();
        let expected = "bytes of the payload type's name would be 256, the limit is 255";
        assert_eq!(error.to_string(), expected);
    }
}
