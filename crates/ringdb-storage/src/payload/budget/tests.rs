//! The limits, and that nothing but the limits shows: bytes decode to what they decode to without a budget.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::thread;

use bincode::Options;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde::de::{DeserializeOwned, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::*;

const SEED: u64 = 0x4255_4447;

/// The stack of a thread unless it asks for another.
const STACK_BYTES: usize = 2 << 20;

fn options() -> impl Options {
    bincode::DefaultOptions::new()
        .with_fixint_encoding()
        .reject_trailing_bytes()
}

/// What the bytes are, and what that was charged.
type Decoded<T> = (Result<T, String>, u64);

fn by_bincode<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Decoded<T> {
    let budget = Budget::for_bytes(bytes.len());
    let decoded = options().deserialize_seed(Budgeted::new(&budget), bytes);
    (
        decoded.map_err(|error| error.to_string()),
        budget.charges_used(),
    )
}

/// The errors of postcard have no text of their own, so that which one it was is all there is to see.
fn by_postcard<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Decoded<T> {
    let budget = Budget::for_bytes(bytes.len());
    let mut format = postcard::Deserializer::from_bytes(bytes);
    let decoded = Budgeted::new(&budget).deserialize(&mut format);
    (
        decoded.map_err(|error| format!("{error:?}")),
        budget.charges_used(),
    )
}

const POSTCARD_CUSTOM: &str = "SerdeDeCustom";

fn bincode_bytes<T: Serialize>(value: &T) -> Vec<u8> {
    options().serialize(value).unwrap()
}

mod charges {
    use super::*;

    thread_local! { static MADE: Cell<u64> = const { Cell::new(0) }; }

    /// Takes no bytes, asks its format for nothing, and counts how often it was made.
    #[derive(PartialEq, Eq, Hash)]
    struct Counted;

    impl<'de> Deserialize<'de> for Counted {
        fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            MADE.set(MADE.get() + 1);
            Ok(Self)
        }
    }

    fn refused_after<T: DeserializeOwned>(charges_by_bincode: u64, charges_by_postcard: u64) {
        let count = 1_u64 << 60;
        let (decoded, charges) = by_bincode::<T>(&count.to_le_bytes());
        assert_eq!(decoded.err().unwrap(), "more than 65664 values for 8 bytes");
        assert_eq!(charges, charges_by_bincode);
        let bytes = postcard::to_stdvec(&count).unwrap();
        assert_eq!(bytes.len(), 9);
        let (decoded, charges) = by_postcard::<T>(&bytes);
        assert_eq!(decoded.err().unwrap(), POSTCARD_CUSTOM);
        assert_eq!(charges, charges_by_postcard);
    }

    #[test]
    fn endless_values_without_bytes_are_refused_after_a_known_number() {
        // 65 536 and 16 for each of 8 bytes, or 9.
        refused_after::<Vec<()>>(65_664, 65_680);
        refused_after::<HashSet<()>>(65_664, 65_680);
        refused_after::<HashMap<(), ()>>(65_664, 65_680);
        refused_after::<BTreeMap<(), ()>>(65_664, 65_680);
        refused_after::<Vec<[u64; 0]>>(65_664, 65_680);
        refused_after::<Vec<PhantomData<u8>>>(65_664, 65_680);
    }

    #[test]
    fn values_that_read_nothing_at_all_are_counted_too() {
        refused_after::<Vec<Counted>>(65_664, 65_680);
        assert_eq!(MADE.replace(0), 65_664 + 65_680);
        // A key and a value each.
        refused_after::<HashMap<Counted, Counted>>(65_664, 65_680);
        assert_eq!(MADE.replace(0), 65_664 + 65_680);
    }

    #[test]
    fn the_last_charge_of_a_budget_can_be_spent() {
        let (decoded, charges) = by_bincode::<Vec<()>>(&65_664_u64.to_le_bytes());
        assert_eq!((decoded.unwrap().len(), charges), (65_664, 65_664));
        assert!(by_bincode::<Vec<()>>(&65_665_u64.to_le_bytes()).0.is_err());
    }

    #[test]
    fn a_budget_does_not_overflow() {
        assert_eq!(charges_max(1 << 40), 65_536 + (1 << 44));
        assert_eq!(charges_max(1 << 63), u64::MAX);
        assert_eq!(charges_max(u64::MAX), u64::MAX);
    }

    #[test]
    fn a_type_that_goes_on_after_an_error_gets_no_further() {
        let budget = Budget::for_bytes(0);
        let place = Place::outermost(&budget);
        let charge = |charges| place.charge::<serde::de::value::Error>(charges);
        charge(65_535).unwrap();
        let error = charge(2).unwrap_err();
        assert_eq!(error.to_string(), "more than 65536 values for 0 bytes");
        assert_eq!(budget.charges_used(), 65_536);
        assert!(charge(1).is_err());
    }
}

mod levels {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct List {
        next: Option<Box<List>>,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Newtype(Option<Box<Newtype>>);

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct TupleStruct(u8, Option<Box<TupleStruct>>);

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(transparent)]
    struct Tuple(Option<Box<(u8, Tuple)>>);

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(transparent)]
    struct Sequence(Vec<Sequence>);

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(transparent)]
    struct Map(BTreeMap<u8, Map>);

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Tree {
        Leaf,
        Node(Box<Tree>),
        Pair(u8, Box<Tree>),
        Named { inner: Box<Tree> },
    }

    /// Nests without a level: serde reads it as it reads an option.
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(transparent)]
    struct Bare(Option<Box<Bare>>);

    fn in_a_small_stack(test: impl FnOnce() + Send + 'static) {
        let thread = thread::Builder::new().stack_size(STACK_BYTES).spawn(test);
        thread.unwrap().join().unwrap();
    }

    const TOO_DEEP: &str = "nested deeper than 128 levels";

    /// 200 KB in which a value is in a value is in a value, each of them `step`.
    fn overflows_nothing<T: DeserializeOwned>(step: &'static [u8], step_postcard: &'static [u8]) {
        in_a_small_stack(move || {
            let bytes: Vec<u8> = step.iter().copied().cycle().take(200_000).collect();
            let error = by_bincode::<T>(&bytes).0.err().unwrap();
            assert_eq!(error, TOO_DEEP);
            let bytes: Vec<u8> = step_postcard
                .iter()
                .copied()
                .cycle()
                .take(200_000)
                .collect();
            let error = by_postcard::<T>(&bytes).0.err().unwrap();
            assert_eq!(error, POSTCARD_CUSTOM);
        });
    }

    #[test]
    fn endless_nesting_is_an_error_in_a_stack_of_2_mib() {
        overflows_nothing::<List>(&[1], &[1]);
        overflows_nothing::<Newtype>(&[1], &[1]);
        overflows_nothing::<TupleStruct>(&[7, 1], &[7, 1]);
        overflows_nothing::<Tuple>(&[1, 7], &[1, 7]);
        overflows_nothing::<Sequence>(&[1, 0, 0, 0, 0, 0, 0, 0], &[1]);
        overflows_nothing::<Map>(&[1, 0, 0, 0, 0, 0, 0, 0, 7], &[1, 7]);
        overflows_nothing::<Tree>(&[1, 0, 0, 0], &[1]);
        overflows_nothing::<Tree>(&[2, 0, 0, 0, 7], &[2, 7]);
        overflows_nothing::<Tree>(&[3, 0, 0, 0], &[3]);
        overflows_nothing::<Bare>(&[1], &[1]);
    }

    /// `innermost` has `levels` by itself, and `around` puts one more around a value.
    fn ends_at_128<T>(levels: usize, innermost: fn() -> T, around: fn(T) -> T)
    where
        T: fmt::Debug + PartialEq + Serialize + DeserializeOwned + 'static,
    {
        in_a_small_stack(move || {
            let nested = |n: usize| (levels..n).fold(innermost(), |inner, _| around(inner));
            let (most, one_more) = (nested(128), nested(129));

            let (decoded, _) = by_bincode(&bincode_bytes(&most));
            assert_eq!(decoded.as_ref(), Ok(&most));
            let (decoded, _) = by_bincode::<T>(&bincode_bytes(&one_more));
            assert_eq!(decoded.unwrap_err(), TOO_DEEP);

            let (decoded, _) = by_postcard(&postcard::to_stdvec(&most).unwrap());
            assert_eq!(decoded.as_ref(), Ok(&most));
            let (decoded, _) = by_postcard::<T>(&postcard::to_stdvec(&one_more).unwrap());
            assert_eq!(decoded.unwrap_err(), POSTCARD_CUSTOM);
        });
    }

    #[test]
    fn a_level_of_each_kind_is_one_of_128() {
        ends_at_128(
            1,
            || List { next: None },
            |inner| List {
                next: Some(Box::new(inner)),
            },
        );
        ends_at_128(1, || Newtype(None), |inner| Newtype(Some(Box::new(inner))));
        ends_at_128(
            1,
            || TupleStruct(1, None),
            |inner| TupleStruct(2, Some(Box::new(inner))),
        );
        ends_at_128(0, || Tuple(None), |inner| Tuple(Some(Box::new((3, inner)))));
        ends_at_128(1, || Sequence(Vec::new()), |inner| Sequence(vec![inner]));
        ends_at_128(
            1,
            || Map(BTreeMap::new()),
            |inner| Map(BTreeMap::from([(4, inner)])),
        );
    }

    #[test]
    fn a_variant_with_fields_is_one_level_with_its_enum() {
        let leaf = || Tree::Leaf;
        ends_at_128(0, leaf, |inner| Tree::Node(Box::new(inner)));
        ends_at_128(0, leaf, |inner| Tree::Pair(5, Box::new(inner)));
        ends_at_128(0, leaf, |inner| Tree::Named {
            inner: Box::new(inner),
        });
    }

    #[test]
    fn options_are_counted_apart() {
        ends_at_128(0, || Bare(None), |inner| Bare(Some(Box::new(inner))));
    }

    #[test]
    fn a_level_ends_with_its_value() {
        #[derive(Debug, PartialEq, Clone, Serialize, Deserialize)]
        struct Outer {
            inner: Newtype,
        }
        #[derive(Debug, PartialEq, Clone, Serialize, Deserialize)]
        struct Newtype(Option<u8>);
        let inner = Newtype(Some(1));
        let rows = vec![Outer { inner }; 1_000];
        let (decoded, _) = by_bincode::<Vec<Outer>>(&bincode_bytes(&rows));
        assert_eq!(decoded.unwrap(), rows);
        let bytes = postcard::to_stdvec(&rows).unwrap();
        let (decoded, _) = by_postcard::<Vec<Outer>>(&bytes);
        assert_eq!(decoded.unwrap(), rows);
    }

    #[test]
    fn a_level_ends_with_an_error_too() {
        /// Goes on after an element that is none.
        #[derive(Debug, PartialEq)]
        struct Lenient(Result<Sequence, String>, Sequence);
        impl<'de> Deserialize<'de> for Lenient {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Elements;
                impl<'de> Visitor<'de> for Elements {
                    type Value = Lenient;
                    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                        formatter.write_str("two sequences")
                    }
                    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Lenient, A::Error> {
                        let first = seq.next_element().map_err(|error| error.to_string());
                        let second = seq.next_element()?;
                        Ok(Lenient(
                            first.map(Option::unwrap),
                            second.unwrap_or(Sequence(Vec::new())),
                        ))
                    }
                }
                deserializer.deserialize_tuple(2, Elements)
            }
        }

        // One level is the pair's. The first reads a length for each of 127 and one more, too many;
        // then 127 are left, as many as there may be.
        let lengths = [[1; 254].as_slice(), &[0]].concat();
        let (decoded, _) = by_postcard::<Lenient>(&lengths);
        let Lenient(first, second) = decoded.unwrap();
        assert!(first.is_err());
        let levels = std::iter::successors(Some(&second), |Sequence(inner)| inner.first()).count();
        assert_eq!(levels, 127);
    }
}

mod values {
    use std::borrow::Cow;

    use super::*;

    /// A string of bytes, as `serde_bytes` has it.
    #[derive(Debug, PartialEq, Clone)]
    struct ByteBuf(Vec<u8>);

    impl Serialize for ByteBuf {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_bytes(&self.0)
        }
    }

    impl<'de> Deserialize<'de> for ByteBuf {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Bytes;
            impl Visitor<'_> for Bytes {
                type Value = ByteBuf;
                fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                    formatter.write_str("bytes")
                }
                fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<ByteBuf, E> {
                    Ok(ByteBuf(bytes.to_vec()))
                }
                fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<ByteBuf, E> {
                    Ok(ByteBuf(bytes))
                }
            }
            deserializer.deserialize_byte_buf(Bytes)
        }
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Unit;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Newtype(u16);

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct TupleStruct(u16, char);

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Struct {
        id: u64,
        #[serde(skip)]
        seen: bool,
        #[serde(default)]
        name: String,
    }

    #[derive(Debug, PartialEq, Clone, Serialize, Deserialize)]
    enum Enum {
        Unit,
        Newtype(u16),
        Tuple(u16, bool),
        Struct { name: String },
    }

    /// Both formats give `value` back, and decoding it charges `charges`.
    fn charged<T>(value: T, charges: u64)
    where
        T: fmt::Debug + PartialEq + Serialize + DeserializeOwned,
    {
        let (decoded, charged) = by_bincode::<T>(&bincode_bytes(&value));
        assert_eq!((decoded.as_ref(), charged), (Ok(&value), charges));
        let bytes = postcard::to_stdvec(&value).unwrap();
        let (decoded, charged) = by_postcard::<T>(&bytes);
        assert_eq!((decoded.as_ref(), charged), (Ok(&value), charges));
    }

    #[test]
    fn scalars_and_strings_come_back_for_their_charge() {
        charged((), 0);
        charged(true, 1);
        charged(i8::MIN, 1);
        charged(i16::MIN, 1);
        charged(i32::MIN, 1);
        charged(i64::MIN, 1);
        charged(i128::MIN, 1);
        charged(u8::MAX, 1);
        charged(u16::MAX, 1);
        charged(u32::MAX, 1);
        charged(u64::MAX, 1);
        charged(u128::MAX, 1);
        charged(1.5_f32, 1);
        charged(-0.1_f64, 1);
        charged('\u{1f3bb}', 1);
        charged(String::new(), 0);
        charged("violin".to_string(), 6);
        charged(ByteBuf(vec![1, 2, 255]), 3);
    }

    #[test]
    fn values_that_contain_others_come_back_for_their_charges() {
        charged(None::<u8>, 0);
        charged(Some(7_u8), 1);
        charged(Some(Some("two".to_string())), 3);
        charged(Unit, 0);
        charged(Newtype(1), 2);
        charged(TupleStruct(1, 'b'), 4);
        charged((1_u8, "two".to_string(), 3.0_f32, ()), 2 + 4 + 2 + 1);
        charged([1_u8, 2, 3], 6);
        charged(Vec::<u8>::new(), 0);
        charged(vec![1.5_f32, 2.5], 4);
        charged(vec![(), (), ()], 3);
        charged(
            BTreeMap::from([(1_u8, "one".to_string()), (2, String::new())]),
            (2 + 4) + (2 + 1),
        );
        charged(
            Struct {
                id: 1,
                seen: false,
                name: "n".to_string(),
            },
            2 + 2,
        );
    }

    #[test]
    fn variants_come_back_for_their_charges() {
        charged(Enum::Unit, 1);
        charged(Enum::Newtype(7), 1 + 2);
        charged(Enum::Tuple(7, true), 1 + 4);
        let name = "oboe".to_string();
        charged(Enum::Struct { name }, 1 + 5);
        charged(vec![Enum::Unit; 3], 3 * (1 + 1));
        charged(Ok::<u8, String>(7), 1 + 2);
    }

    #[test]
    fn what_is_borrowed_stays_where_it_is() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Borrowed<'a> {
            text: &'a str,
            bytes: &'a [u8],
            #[serde(borrow)]
            either: Cow<'a, str>,
        }
        let value = Borrowed {
            text: "viola",
            bytes: &[1, 2, 3],
            either: Cow::Borrowed("flute"),
        };
        let check = |bytes: &[u8], (decoded, charges): Decoded<Borrowed<'_>>| {
            let decoded = decoded.unwrap();
            assert_eq!(decoded, value);
            assert_eq!(charges, 3 + 5 + 3 + 5);
            let own = bytes.as_ptr_range();
            assert!(own.contains(&decoded.text.as_ptr()));
            assert!(own.contains(&decoded.bytes.as_ptr()));
            assert!(matches!(decoded.either, Cow::Borrowed(_)));
        };
        // Both write a slice of u8 as they write a string of bytes.
        let bytes = bincode_bytes(&value);
        check(&bytes, by_bincode(&bytes));
        let bytes = postcard::to_stdvec(&value).unwrap();
        check(&bytes, by_postcard(&bytes));
    }

    type Mixed = (
        Vec<Option<u16>>,
        BTreeMap<u8, (bool, char)>,
        String,
        Vec<Enum>,
    );

    fn enums() -> impl Strategy<Value = Enum> {
        prop_oneof![
            Just(Enum::Unit),
            any::<u16>().prop_map(Enum::Newtype),
            any::<(u16, bool)>().prop_map(|(a, b)| Enum::Tuple(a, b)),
            any::<String>().prop_map(|name| Enum::Struct { name }),
        ]
    }

    /// Mostly small, so that they pass for lengths and tags.
    fn damaged() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop_oneof![3 => 0..3_u8, 1 => any::<u8>()], 0..96)
    }

    proptest! {
        #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(SEED), cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_value_comes_back(value in (any::<Vec<Option<u16>>>(), any::<BTreeMap<u8, (bool, char)>>(), any::<String>(), prop::collection::vec(enums(), 0..8))) {
            let (decoded, _) = by_bincode::<Mixed>(&bincode_bytes(&value));
            prop_assert_eq!(decoded.as_ref(), Ok(&value));
            let bytes = postcard::to_stdvec(&value).unwrap();
            let (decoded, _) = by_postcard::<Mixed>(&bytes);
            prop_assert_eq!(decoded.as_ref(), Ok(&value));
        }

        #[test]
        fn any_bytes_give_what_they_give_without_a_budget(bytes in damaged()) {
            let plain = options().deserialize::<Mixed>(&bytes);
            prop_assert_eq!(by_bincode::<Mixed>(&bytes).0, plain.map_err(|error| error.to_string()));
            let plain = postcard::from_bytes::<Mixed>(&bytes);
            prop_assert_eq!(by_postcard::<Mixed>(&bytes).0, plain.map_err(|error| format!("{error:?}")));
        }
    }
}
