//! The wrapper that charges: around the deserializer of a format, and in turn around each visitor, seed
//! and access that a type and its format hand each other.
//!
//! Invariant: nothing passes between the two unwrapped, so the inside of a value is metered as its outside
//! is; and each call arrives as the call that it was, with the hints that it had. Knows no format and makes
//! no decision: what is charged and how deep is too deep stands in the module above.

use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::Place;

/// Any of serde's parts in decoding, at a place that pays.
pub(super) struct Metered<'b, I> {
    pub(super) inner: I,
    pub(super) place: Place<'b>,
}

/// Methods of `Deserializer`, with what they take before the visitor.
macro_rules! forward {
    ($($method:ident($($argument:ident: $type:ty),*);)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, $($argument: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            self.inner.$method($($argument,)* self.place.metered(visitor))
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Metered<'_, D> {
    type Error = D::Error;

    forward! {
        deserialize_any();
        deserialize_bool();
        deserialize_i8();
        deserialize_i16();
        deserialize_i32();
        deserialize_i64();
        deserialize_i128();
        deserialize_u8();
        deserialize_u16();
        deserialize_u32();
        deserialize_u64();
        deserialize_u128();
        deserialize_f32();
        deserialize_f64();
        deserialize_char();
        deserialize_str();
        deserialize_string();
        deserialize_bytes();
        deserialize_byte_buf();
        deserialize_option();
        deserialize_unit();
        deserialize_unit_struct(name: &'static str);
        deserialize_newtype_struct(name: &'static str);
        deserialize_seq();
        deserialize_tuple(len: usize);
        deserialize_tuple_struct(name: &'static str, len: usize);
        deserialize_map();
        deserialize_struct(name: &'static str, fields: &'static [&'static str]);
        deserialize_enum(name: &'static str, variants: &'static [&'static str]);
        deserialize_identifier();
        deserialize_ignored_any();
    }

    #[inline]
    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

/// Methods of `Visitor` that receive a whole value, with its charge.
macro_rules! receive {
    ($($method:ident($value:ident: $type:ty) = $charges:expr;)*) => {$(
        #[inline]
        fn $method<E: Error>(self, $value: $type) -> Result<V::Value, E> {
            self.place.charge($charges)?;
            self.inner.$method($value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Metered<'_, V> {
    type Value = V::Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(formatter)
    }

    receive! {
        visit_bool(value: bool) = 1;
        visit_i8(value: i8) = 1;
        visit_i16(value: i16) = 1;
        visit_i32(value: i32) = 1;
        visit_i64(value: i64) = 1;
        visit_i128(value: i128) = 1;
        visit_u8(value: u8) = 1;
        visit_u16(value: u16) = 1;
        visit_u32(value: u32) = 1;
        visit_u64(value: u64) = 1;
        visit_u128(value: u128) = 1;
        visit_f32(value: f32) = 1;
        visit_f64(value: f64) = 1;
        visit_char(value: char) = 1;
        visit_str(text: &str) = text.len() as u64;
        visit_borrowed_str(text: &'de str) = text.len() as u64;
        visit_string(text: String) = text.len() as u64;
        visit_bytes(bytes: &[u8]) = bytes.len() as u64;
        visit_borrowed_bytes(bytes: &'de [u8]) = bytes.len() as u64;
        visit_byte_buf(bytes: Vec<u8>) = bytes.len() as u64;
    }

    #[inline]
    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    #[inline]
    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    #[inline]
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        let inside = self.place.inside_option()?;
        self.inner.visit_some(inside.metered(deserializer))
    }

    #[inline]
    fn visit_newtype_struct<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<V::Value, D::Error> {
        let inside = self.place.inside()?;
        inside.charge(1)?;
        self.inner
            .visit_newtype_struct(inside.metered(deserializer))
    }

    #[inline]
    fn visit_seq<A: SeqAccess<'de>>(self, elements: A) -> Result<V::Value, A::Error> {
        let inside = self.place.inside()?;
        self.inner.visit_seq(inside.metered(elements))
    }

    #[inline]
    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<V::Value, A::Error> {
        let inside = self.place.inside()?;
        self.inner.visit_map(inside.metered(entries))
    }

    /// Opens no level: the variant does, if it has fields.
    #[inline]
    fn visit_enum<A: EnumAccess<'de>>(self, variant: A) -> Result<V::Value, A::Error> {
        self.inner.visit_enum(self.place.metered(variant))
    }
}

/// The seed of an enum's tag, which is charged as a scalar and has no place beside the variant's.
impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Metered<'_, S> {
    type Value = S::Value;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.inner.deserialize(self.place.metered(deserializer))
    }
}

/// The seed of an element, a key, a value or a field: pays for its place before anything is read, since
/// what stands there may have no charge of its own.
struct Contained<'b, S>(Metered<'b, S>);

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Contained<'_, S> {
    type Value = S::Value;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.0.place.charge(1)?;
        self.0.deserialize(deserializer)
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Metered<'_, A> {
    type Error = A::Error;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        self.inner
            .next_element_seed(Contained(self.place.metered(seed)))
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Metered<'_, A> {
    type Error = A::Error;

    #[inline]
    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        self.inner
            .next_key_seed(Contained(self.place.metered(seed)))
    }

    #[inline]
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.inner
            .next_value_seed(Contained(self.place.metered(seed)))
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'b, 'de, A: EnumAccess<'de>> EnumAccess<'de> for Metered<'b, A> {
    type Error = A::Error;
    type Variant = Metered<'b, A::Variant>;

    #[inline]
    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Self::Variant), A::Error> {
        let (tag, variant) = self.inner.variant_seed(self.place.metered(seed))?;
        Ok((tag, self.place.metered(variant)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Metered<'_, A> {
    type Error = A::Error;

    #[inline]
    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    #[inline]
    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        let inside = self.place.inside()?;
        self.inner
            .newtype_variant_seed(Contained(inside.metered(seed)))
    }

    /// The level is opened by what the visitor receives, as for a tuple.
    #[inline]
    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.inner.tuple_variant(len, self.place.metered(visitor))
    }

    /// The level is opened by what the visitor receives, as for a struct.
    #[inline]
    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.inner
            .struct_variant(fields, self.place.metered(visitor))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde::de::IntoDeserializer;
    use serde::de::value::{Error as Refusal, MapDeserializer, SeqDeserializer, U32Deserializer};

    use super::super::Budget;
    use super::*;

    fn metered<I>(budget: &Budget, inner: I) -> Metered<'_, I> {
        Place::outermost(budget).metered(inner)
    }

    /// A format that answers each call with its name and what it was given, and a type that keeps the
    /// same of what it receives.
    struct Echo {
        human_readable: bool,
    }

    const ECHO: Echo = Echo {
        human_readable: false,
    };

    macro_rules! echo_calls {
        ($($method:ident($($argument:ident: $type:ty = $value:expr),*);)*) => {
            impl<'de> Deserializer<'de> for Echo {
                type Error = Refusal;

                $(fn $method<V: Visitor<'de>>(self, $($argument: $type,)* _: V) -> Result<V::Value, Refusal> {
                    Err(Error::custom(format_args!("{} {:?}", stringify!($method), ($($argument,)*))))
                })*

                fn is_human_readable(&self) -> bool {
                    self.human_readable
                }
            }

            #[test]
            fn a_format_receives_the_calls_that_the_type_makes() {
                let budget = Budget::for_bytes(0);
                $(
                    let plain = ECHO.$method($($value,)* ECHO).unwrap_err();
                    assert!(plain.to_string().starts_with(stringify!($method)));
                    assert_eq!(metered(&budget, ECHO).$method($($value,)* ECHO).unwrap_err(), plain);
                )*
                assert_eq!(budget.charges_used(), 0);
            }
        };
    }

    echo_calls! {
        deserialize_any();
        deserialize_bool();
        deserialize_i8();
        deserialize_i16();
        deserialize_i32();
        deserialize_i64();
        deserialize_i128();
        deserialize_u8();
        deserialize_u16();
        deserialize_u32();
        deserialize_u64();
        deserialize_u128();
        deserialize_f32();
        deserialize_f64();
        deserialize_char();
        deserialize_str();
        deserialize_string();
        deserialize_bytes();
        deserialize_byte_buf();
        deserialize_option();
        deserialize_unit();
        deserialize_unit_struct(name: &'static str = "Unit");
        deserialize_newtype_struct(name: &'static str = "Newtype");
        deserialize_seq();
        deserialize_tuple(len: usize = 2);
        deserialize_tuple_struct(name: &'static str = "Tuple", len: usize = 3);
        deserialize_map();
        deserialize_struct(name: &'static str = "Struct", fields: &'static [&'static str] = &["a", "b"]);
        deserialize_enum(name: &'static str = "Enum", variants: &'static [&'static str] = &["A"]);
        deserialize_identifier();
        deserialize_ignored_any();
    }

    macro_rules! echo_values {
        ($($method:ident($($type:ty = $value:expr)?) charges $charges:expr;)*) => {
            impl<'de> Visitor<'de> for Echo {
                type Value = String;

                fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                    formatter.write_str("an echo")
                }

                $(echo_values! { @visit $method($($type)?) })*

                fn visit_some<D: Deserializer<'de>>(self, _: D) -> Result<String, D::Error> {
                    Ok("visit_some".to_string())
                }

                fn visit_newtype_struct<D: Deserializer<'de>>(self, _: D) -> Result<String, D::Error> {
                    Ok("visit_newtype_struct".to_string())
                }

                fn visit_seq<A: SeqAccess<'de>>(self, elements: A) -> Result<String, A::Error> {
                    Ok(format!("visit_seq {:?}", elements.size_hint()))
                }

                fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<String, A::Error> {
                    Ok(format!("visit_map {:?}", entries.size_hint()))
                }

                fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<String, A::Error> {
                    Ok("visit_enum".to_string())
                }
            }

            #[test]
            fn a_type_receives_and_pays_for_the_values_that_the_format_has() {
                $({
                    let budget = Budget::for_bytes(0);
                    let plain = ECHO.$method::<Refusal>($($value)?).unwrap();
                    assert!(plain.starts_with(stringify!($method)));
                    let received = metered(&budget, ECHO).$method::<Refusal>($($value)?);
                    assert_eq!(received.unwrap(), plain);
                    assert_eq!(budget.charges_used(), $charges, "{plain}");
                })*
            }
        };
        (@visit $method:ident()) => {
            fn $method<E: Error>(self) -> Result<String, E> {
                Ok(stringify!($method).to_string())
            }
        };
        (@visit $method:ident($type:ty)) => {
            fn $method<E: Error>(self, value: $type) -> Result<String, E> {
                Ok(format!("{} {value:?}", stringify!($method)))
            }
        };
    }

    echo_values! {
        visit_bool(bool = true) charges 1;
        visit_i8(i8 = -1) charges 1;
        visit_i16(i16 = -2) charges 1;
        visit_i32(i32 = -3) charges 1;
        visit_i64(i64 = -4) charges 1;
        visit_i128(i128 = -5) charges 1;
        visit_u8(u8 = 1) charges 1;
        visit_u16(u16 = 2) charges 1;
        visit_u32(u32 = 3) charges 1;
        visit_u64(u64 = 4) charges 1;
        visit_u128(u128 = 5) charges 1;
        visit_f32(f32 = 0.5) charges 1;
        visit_f64(f64 = 0.25) charges 1;
        visit_char(char = 'c') charges 1;
        visit_str(&str = "text") charges 4;
        visit_borrowed_str(&'de str = "\u{e9}") charges 2;
        visit_string(String = String::new()) charges 0;
        visit_bytes(&[u8] = &[1, 2, 3]) charges 3;
        visit_borrowed_bytes(&'de [u8] = &[1]) charges 1;
        visit_byte_buf(Vec<u8> = vec![1; 5]) charges 5;
        visit_unit() charges 0;
        visit_none() charges 0;
    }

    #[test]
    fn values_that_contain_others_arrive_as_what_they_are() {
        let budget = Budget::for_bytes(0);
        let visitor = || metered(&budget, ECHO);
        let number = || -> U32Deserializer<Refusal> { 7_u32.into_deserializer() };
        assert_eq!(visitor().visit_some(number()).unwrap(), "visit_some");
        assert_eq!(visitor().visit_enum(number()).unwrap(), "visit_enum");
        assert_eq!(budget.charges_used(), 0);
        assert_eq!(
            visitor().visit_newtype_struct(number()).unwrap(),
            "visit_newtype_struct"
        );
        assert_eq!(budget.charges_used(), 1);
        let elements = SeqDeserializer::<_, Refusal>::new([1_u8, 2, 3].into_iter());
        assert_eq!(visitor().visit_seq(elements).unwrap(), "visit_seq Some(3)");
        let entries = MapDeserializer::<_, Refusal>::new([(1_u8, 2_u8)].into_iter());
        assert_eq!(visitor().visit_map(entries).unwrap(), "visit_map Some(1)");
        assert_eq!(budget.charges_used(), 1);
    }

    #[test]
    fn whether_people_read_the_format_is_told_as_it_is() {
        let budget = Budget::for_bytes(0);
        for human_readable in [false, true] {
            let format = metered(&budget, Echo { human_readable });
            assert_eq!(format.is_human_readable(), human_readable);
        }
    }

    #[test]
    fn an_error_of_the_format_says_what_the_type_expects() {
        let budget = Budget::for_bytes(0);
        let error: Refusal = Error::invalid_length(3, &metered(&budget, ECHO));
        assert_eq!(error.to_string(), "invalid length 3, expected an echo");
    }

    #[test]
    fn a_struct_with_named_fields_pays_for_the_names_and_for_what_it_ignores() {
        #[derive(Debug, PartialEq, Deserialize)]
        struct Named {
            id: u8,
            #[serde(default)]
            absent: u8,
        }
        let entries = [("id", 7_u8), ("other", 9)].into_iter();
        let format = MapDeserializer::<_, Refusal>::new(entries);
        let budget = Budget::for_bytes(0);
        let value = Named::deserialize(metered(&budget, format)).unwrap();
        assert_eq!(value, Named { id: 7, absent: 0 });
        // A place and its bytes for each name, a place and a scalar for each value.
        assert_eq!(budget.charges_used(), (1 + 2) + (1 + 1) + (1 + 5) + (1 + 1));
    }
}
