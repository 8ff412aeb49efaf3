//! Rounding `f64` to `f32` in a chosen direction.
//!
//! Invariant: the result is on the stated side of the value, infinities included; a finite value beyond
//! the largest `f32` becomes that one or infinity, whichever is on the stated side.

/// The least `f32` that is not below `value`.
pub(crate) fn up(value: f64) -> f32 {
    let nearest = value as f32;
    if f64::from(nearest) < value {
        nearest.next_up()
    } else {
        nearest
    }
}

/// The greatest `f32` that is not above `value`.
pub(crate) fn down(value: f64) -> f32 {
    -up(-value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_rounded_to_the_stated_side() {
        let tenth = 0.1_f64;
        for (value, below, above) in [
            (0.0, 0.0, 0.0),
            (1.0, 1.0, 1.0),
            (tenth, 0.1_f32.next_down(), 0.1),
            (-tenth, -0.1, -0.1_f32.next_down()),
            (1.0 + 1e-12, 1.0, 1.0_f32.next_up()),
            (1e-300, 0.0, f32::from_bits(1)),
            (-1e-300, -f32::from_bits(1), -0.0),
            (1e300, f32::MAX, f32::INFINITY),
            (-1e300, f32::NEG_INFINITY, -f32::MAX),
            (f64::INFINITY, f32::INFINITY, f32::INFINITY),
            (f64::NEG_INFINITY, f32::NEG_INFINITY, f32::NEG_INFINITY),
        ] {
            assert_eq!((down(value), up(value)), (below, above), "{value:e}");
        }
    }
}
