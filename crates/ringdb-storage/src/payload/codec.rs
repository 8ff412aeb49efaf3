//! How one payload becomes bytes and comes back: the only file that names bincode and postcard.
//!
//! Decoding reads from a slice alone, within a budget, and refuses bytes that are left over, so a value
//! of another type rarely passes for the one asked for.

use std::fmt;

use bincode::Options;
use serde::Serialize;
use serde::de::{DeserializeOwned, DeserializeSeed};

use super::budget::{Budget, Budgeted};
use crate::count::counted;
use crate::error::Error;
use crate::limits::PAYLOAD_BYTES_MAX;

/// How payloads are stored; kept in MANIFEST and in the header of the payload file.
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
    /// Values of any type with serde, in the encoding of postcard 1: integers take as many bytes as
    /// they need.
    Postcard,
    /// Bytes of any kind, added and read as they are, without serde.
    Raw,
    /// Values of a plain type ([`bytemuck::Pod`]), all of one size, stored as they lie in memory on a
    /// little-endian machine and read in place.
    Pod,
}

impl PayloadCodec {
    pub(crate) const ALL: [Self; 5] = [
        Self::Bincode,
        Self::JsonText,
        Self::Postcard,
        Self::Raw,
        Self::Pod,
    ];

    /// The name shown to people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bincode => "bincode",
            Self::JsonText => "json-text",
            Self::Postcard => "postcard",
            Self::Raw => "raw",
            Self::Pod => "pod",
        }
    }

    /// The number in file headers.
    pub(crate) fn id(self) -> u32 {
        match self {
            Self::Bincode => 1,
            Self::JsonText => 2,
            Self::Postcard => 3,
            Self::Raw => 4,
            Self::Pod => 5,
        }
    }

    pub(crate) fn from_id(id: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.id() == id)
    }

    /// Fails unless this, the codec of a store, is one of those that a call can use.
    pub(crate) fn expect(self, usable: &[Self]) -> Result<(), Error> {
        if usable.contains(&self) {
            return Ok(());
        }
        Err(Error::CodecMismatch {
            stored: self.name(),
            asked: usable.first().map_or("nothing", |codec| codec.name()),
            advice: self.calls(),
        })
    }

    /// Which calls take and give payloads of this codec, for whoever tried others.
    fn calls(self) -> &'static str {
        match self {
            Self::Bincode | Self::Postcard => "push adds them and fetch reads them",
            Self::JsonText | Self::Raw => "push_bytes adds them and fetch_bytes reads them",
            Self::Pod => "push_pod adds them and fetch_ref reads them",
        }
    }

    /// Fails if there is no type that this codec encodes, or a value has too many bytes.
    pub(crate) fn encode<T: Serialize>(self, value: &T) -> Result<Vec<u8>, Error> {
        let type_name = std::any::type_name::<T>();
        let failed = |what: String| Error::Encode { type_name, what };
        match self {
            Self::Postcard => {
                let bytes =
                    postcard::to_stdvec(value).map_err(|error| failed(error.to_string()))?;
                check_size(bytes.len() as u64)?;
                Ok(bytes)
            }
            Self::Bincode => {
                let failed = |error: bincode::Error| failed(error.to_string());
                // Sized once, before any memory is taken; `serialize`, or a limit, would do it again.
                let size = options().serialized_size(value).map_err(failed)?;
                check_size(size)?;
                let mut bytes = Vec::with_capacity(size as usize);
                options()
                    .serialize_into(&mut bytes, value)
                    .map_err(failed)?;
                Ok(bytes)
            }
            Self::JsonText | Self::Raw | Self::Pod => Err(Error::CodecMismatch {
                stored: self.name(),
                asked: Self::Bincode.name(),
                advice: self.calls(),
            }),
        }
    }

    /// The value of `bytes`, all of them, or the codec's reason why they are none of type `T`.
    pub(crate) fn decode<T: DeserializeOwned>(self, bytes: &[u8]) -> Result<T, String> {
        let budget = Budget::for_bytes(bytes.len());
        let value = Budgeted::new(&budget);
        match self {
            Self::Postcard => {
                let mut deserializer = postcard::Deserializer::from_bytes(bytes);
                let value = value
                    .deserialize(&mut deserializer)
                    .map_err(|error| error.to_string())?;
                match deserializer.finalize() {
                    Ok([]) => Ok(value),
                    Ok(rest) => Err(format!("{} left over", counted(rest.len() as u64, "byte"))),
                    Err(error) => Err(error.to_string()),
                }
            }
            Self::Bincode => options()
                .deserialize_seed(value, bytes)
                .map_err(|error| error.to_string()),
            Self::JsonText | Self::Raw | Self::Pod => {
                Err(format!("payloads in {self} are no values of serde"))
            }
        }
    }
}

impl fmt::Display for PayloadCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The codecs of values with serde.
pub(crate) const SERDE: [PayloadCodec; 2] = [PayloadCodec::Bincode, PayloadCodec::Postcard];
/// The codecs of bytes that are stored as they are given.
pub(crate) const BYTES: [PayloadCodec; 2] = [PayloadCodec::Raw, PayloadCodec::JsonText];

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
        let bytes = Bytes(vec![0; PAYLOAD_BYTES_MAX as usize]);
        let error = PayloadCodec::Bincode.encode(&bytes).unwrap_err();
        let expected = "payload bytes would be 1073741832, the limit is 1073741824";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn the_bytes_are_those_of_plain_bincode_1_and_postcard_1() {
        let value = (7_u32, "ring".to_string(), Some(-1_i64), vec![1.5_f32]);
        let plain = [
            bincode::serialize(&value).unwrap(),
            postcard::to_stdvec(&value).unwrap(),
        ];
        for (codec, plain) in SERDE.into_iter().zip(plain) {
            let bytes = codec.encode(&value).unwrap();
            assert_eq!(bytes, plain);
            let back: (u32, String, Option<i64>, Vec<f32>) = codec.decode(&bytes).unwrap();
            assert_eq!(back, value);
        }
    }

    #[test]
    fn bytes_left_over_or_missing_are_refused() {
        let bincode = PayloadCodec::Bincode;
        assert!(bincode.decode::<u32>(&[1, 0, 0, 0, 0]).is_err());
        assert!(bincode.decode::<u32>(&[1, 0, 0]).is_err());
        assert!(bincode.decode::<String>(&u64::MAX.to_le_bytes()).is_err());
        let postcard = PayloadCodec::Postcard;
        assert_eq!(postcard.decode::<u32>(&[1]), Ok(1));
        assert_eq!(
            postcard.decode::<u32>(&[1, 0]).unwrap_err(),
            "1 byte left over"
        );
        assert!(postcard.decode::<u32>(&[0x80]).is_err());
    }
}
