//! How one payload becomes bytes and comes back: the only file that names bincode.
//!
//! Decoding reads from a slice alone and refuses bytes that are left over, so a value of another type
//! rarely passes for the one asked for.

use std::fmt;

use bincode::Options;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::limits::PAYLOAD_BYTES_MAX;

/// How payloads are stored; kept in the header of the payload file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum PayloadCodec {
    /// Values of any type with serde, in the encoding of bincode 1 with fixed-width integers: the
    /// bytes that ring-db wrote.
    #[default]
    Bincode,
    /// Each payload is the UTF-8 text of one JSON value, stored as it was given. Added and read as raw
    /// bytes, without serde.
    JsonText,
}

impl PayloadCodec {
    /// The name shown to people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bincode => "bincode",
            Self::JsonText => "json-text",
        }
    }

    /// The number in file headers.
    pub(crate) fn id(self) -> u32 {
        match self {
            Self::Bincode => 1,
            Self::JsonText => 2,
        }
    }

    /// Fails unless this, the codec of a store, is the one that a call needs.
    pub(crate) fn expect(self, asked: Self) -> Result<(), Error> {
        if self == asked {
            return Ok(());
        }
        Err(Error::CodecMismatch {
            stored: self.name(),
            asked: asked.name(),
        })
    }

    pub(crate) fn from_id(id: u32) -> Option<Self> {
        [Self::Bincode, Self::JsonText]
            .into_iter()
            .find(|codec| codec.id() == id)
    }
}

impl fmt::Display for PayloadCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn options() -> impl Options {
    bincode::DefaultOptions::new()
        .with_fixint_encoding()
        .reject_trailing_bytes()
}

/// Fails for a payload that has more bytes than any may have.
pub(crate) fn check_size(value: u64) -> Result<(), Error> {
    if value <= PAYLOAD_BYTES_MAX {
        return Ok(());
    }
    Err(Error::TooLarge {
        what: "payload bytes",
        value,
        max: PAYLOAD_BYTES_MAX,
    })
}

/// The bytes of `value`: [`Error::Encode`] if it has none, [`Error::TooLarge`] if it has too many.
pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, Error> {
    let type_name = std::any::type_name::<T>();
    let failed = |error: bincode::Error| Error::Encode {
        type_name,
        what: error.to_string(),
    };
    // Sized once, before any memory is taken; `serialize`, or a limit, would do it again.
    let size = options().serialized_size(value).map_err(failed)?;
    check_size(size)?;
    let mut bytes = Vec::with_capacity(size as usize);
    options()
        .serialize_into(&mut bytes, value)
        .map_err(failed)?;
    Ok(bytes)
}

/// The value of `bytes`, all of them, or the codec's reason why they are none of type `T`.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    options()
        .deserialize(bytes)
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_past_the_limit_is_named_before_it_is_written() {
        struct Bytes(Vec<u8>);
        impl Serialize for Bytes {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_bytes(&self.0)
            }
        }
        // Zeros that nobody reads take no memory.
        let error = encode(&Bytes(vec![0; PAYLOAD_BYTES_MAX as usize])).unwrap_err();
        let expected = "payload bytes would be 1073741832, the limit is 1073741824";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn the_bytes_are_those_of_plain_bincode_1() {
        let value = (7_u32, "ring".to_string(), Some(-1_i64), vec![1.5_f32]);
        let bytes = encode(&value).unwrap();
        assert_eq!(bytes, bincode::serialize(&value).unwrap());
        assert_eq!(
            decode::<(u32, String, Option<i64>, Vec<f32>)>(&bytes).unwrap(),
            value
        );
    }

    #[test]
    fn bytes_left_over_or_missing_are_refused() {
        assert!(decode::<u32>(&[1, 0, 0, 0, 0]).is_err());
        assert!(decode::<u32>(&[1, 0, 0]).is_err());
        assert!(decode::<String>(&u64::MAX.to_le_bytes()).is_err());
    }
}
