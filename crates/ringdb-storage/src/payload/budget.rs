//! Bounds the steps and the nesting of decoding one payload, whatever its bytes say.
//!
//! Damaged or hostile bytes need not be many: eight can ask for 2^60 values that take no bytes, and a
//! few hundred thousand can nest a recursive type until the stack ends; no limit on bytes helps against
//! either.
//!
//! Invariant: while a payload is decoded, its type is handed nothing that has not been paid for, and
//! nothing nested deeper than [`LEVELS_MAX`].
//!
//! | charge | for |
//! |---|---|
//! | 1 | the place of a value in another: an element of a sequence or tuple, a key, a value of a map, a field of a struct, newtype or variant |
//! | 1 | a scalar: bool, integer, float, char, the tag of an enum |
//! | 1 a byte | text and byte strings |
//! | 0 | unit, unit struct, none, some: what matters is that their place is paid for |
//!
//! A level is a struct, tuple, newtype, sequence, map or variant with fields. An `Option` is none, so that
//! a list whose nodes hold an `Option` of the next spends one level a node. But a type that is
//! `#[serde(transparent)]` can contain itself through options alone; so the options open at once are
//! counted too, apart, up to the same number.
//!
//! Does not bound memory (a value that takes no bytes may still be large), nor the stack that one level of
//! a type needs, nor what a format does before it hands a value over: it must itself hold a string's
//! length against the bytes there are, as bincode and postcard do when they read from a slice.

mod metered;

use std::cell::Cell;
use std::marker::PhantomData;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error};

use metered::Metered;

/// What any payload may charge, were it empty: a `Vec<()>` pays for its elements and has no bytes for
/// them. So many are decoded in less than a millisecond.
const CHARGES_FREE: u64 = 65_536;

/// What each byte adds. A byte that is a value alone pays twice, for itself and for its place; 16 leaves
/// room for 14 newtypes or structs around every such byte.
const CHARGES_PER_BYTE: u64 = 16;

/// Levels that may be open at once; options likewise. Leaves 16 KiB to each level, with an option, of the
/// 2 MiB of stack that a thread has; unoptimised, a list whose nodes are of 300 bytes needs 4 KiB.
const LEVELS_MAX: u32 = 128;

/// What decoding one payload may still charge.
pub(crate) struct Budget {
    payload_bytes: u64,
    charges_left: Cell<u64>,
}

impl Budget {
    /// The budget of a payload of `payload_bytes` bytes. What was encoded into them fits, unless it has
    /// tens of thousands of values that take no bytes, as a long `Vec<()>` has, or 15 structs around each
    /// byte.
    pub(crate) fn for_bytes(payload_bytes: usize) -> Self {
        let payload_bytes = payload_bytes as u64;
        Self {
            payload_bytes,
            charges_left: Cell::new(charges_max(payload_bytes)),
        }
    }

    #[cfg(test)]
    pub(crate) fn charges_used(&self) -> u64 {
        charges_max(self.payload_bytes) - self.charges_left.get()
    }

    #[inline]
    fn charge<E: Error>(&self, charges: u64) -> Result<(), E> {
        let Some(left) = self.charges_left.get().checked_sub(charges) else {
            return Err(self.exceeded());
        };
        self.charges_left.set(left);
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn exceeded<E: Error>(&self) -> E {
        // So that a type which goes on after an error gets no further.
        self.charges_left.set(0);
        E::custom(format_args!(
            "more than {} values for {} bytes",
            charges_max(self.payload_bytes),
            self.payload_bytes
        ))
    }
}

fn charges_max(payload_bytes: u64) -> u64 {
    CHARGES_PER_BYTE
        .saturating_mul(payload_bytes)
        .saturating_add(CHARGES_FREE)
}

/// A `T` to be decoded within a budget: hands [`Deserialize`] a deserializer that charges it.
pub(crate) struct Budgeted<'b, T> {
    budget: &'b Budget,
    marker: PhantomData<fn() -> T>,
}

impl<'b, T> Budgeted<'b, T> {
    pub(crate) fn new(budget: &'b Budget) -> Self {
        Self {
            budget,
            marker: PhantomData,
        }
    }
}

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Budgeted<'_, T> {
    type Value = T;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        T::deserialize(Place::outermost(self.budget).metered(deserializer))
    }
}

/// How deep a value stands, and who pays for it. Handed down by value, so that where a value ends, in
/// whatever way, there is nothing to restore.
#[derive(Clone, Copy)]
struct Place<'b> {
    budget: &'b Budget,
    /// Open around this place.
    levels: u32,
    options: u32,
}

impl<'b> Place<'b> {
    #[inline]
    fn outermost(budget: &'b Budget) -> Self {
        Self {
            budget,
            levels: 0,
            options: 0,
        }
    }

    #[inline]
    fn metered<I>(self, inner: I) -> Metered<'b, I> {
        Metered { inner, place: self }
    }

    #[inline]
    fn charge<E: Error>(self, charges: u64) -> Result<(), E> {
        self.budget.charge(charges)
    }

    /// The places one level deeper.
    #[inline]
    fn inside<E: Error>(self) -> Result<Self, E> {
        let levels = self.levels + 1;
        if levels > LEVELS_MAX {
            return Err(too_deep());
        }
        Ok(Self { levels, ..self })
    }

    /// The place in an option.
    #[inline]
    fn inside_option<E: Error>(self) -> Result<Self, E> {
        let options = self.options + 1;
        if options > LEVELS_MAX {
            return Err(too_deep());
        }
        Ok(Self { options, ..self })
    }
}

#[cold]
#[inline(never)]
fn too_deep<E: Error>() -> E {
    E::custom(format_args!("nested deeper than {LEVELS_MAX} levels"))
}

#[cfg(test)]
mod tests;
