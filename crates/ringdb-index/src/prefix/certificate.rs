//! A query in integers against prefixes, and the bound that its estimates carry.
//!
//! With `z = s k + r` what is kept of a row, `w` the rest, `h = sigma p + e` what is kept of the query and
//! `g_t` its rest, the scaled sum of squares is `Y + G - 2 s sigma <k, p>` but for at most
//! `2 |r| |sigma p| + 2 |w| |g_t| + 2 |y| (|e| (1 + 2^-3) + 2 loss |h|)`. In the words of the code:
//!
//! ```text
//! t = fma(-2 sigma s, I, Y)            I = <k, p>, exact
//! E = fma(A', rest, fma(A, beta s, fma(B, Y, C)))
//! ```
//!
//! Invariant: as with codes, every rounding of these lines is paid for; docs/EXACTNESS.md has the account.

use crate::code::{
    Bound, CodeFrame, FramedQuery, Integers, Limits, P_MAX, Planes, Tier, UP, estimate, up,
};
use crate::prefix::encode::{norm_sq_of, rest};
use crate::prefix::frame::PrefixFrame;
use crate::prefix::layout::{NIBBLE_GROUP, NIBBLE_ZERO, nibble_groups};
use crate::ring::Thresholds;

/// The factors of the bound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct PrefixTier {
    /// Those that codes have as well; `a` is that of `beta s`.
    pub(crate) kept: Tier,
    /// Of the length of a row's rest.
    pub(crate) a_rest: f32,
}

/// A query as prefixes see it.
#[derive(Debug, Clone)]
pub(crate) struct PrefixQuery {
    /// `p`, then zeros to whole lines, as in the others.
    pub(crate) whole: Vec<i16>,
    /// `p = 256 high + low`
    #[cfg_attr(
        not(target_arch = "x86_64"),
        allow(dead_code, reason = "other kernels multiply words")
    )]
    pub(crate) high: Vec<i8>,
    #[cfg_attr(
        not(target_arch = "x86_64"),
        allow(dead_code, reason = "other kernels multiply words")
    )]
    pub(crate) low: Vec<i8>,
    /// Lines of codes in a tile.
    pub(crate) groups: usize,
    /// Whether tiles have lengths of rests.
    pub(crate) is_rotated: bool,
    /// 8 times the sum of `p`, as codes are stored with 8 added.
    pub(crate) bias: i32,
    pub(crate) tier: PrefixTier,
    pub(crate) limits: Limits,
}

impl PrefixQuery {
    /// The query for the prefixes of a frame, or `None` where the rows themselves have to be read because
    /// it is too far away. `rotate` multiplies it with the rotation, if there is one.
    pub(crate) fn new(
        codes: &CodeFrame,
        frame: &PrefixFrame,
        query: &[f32],
        thresholds: Thresholds,
        rotate: impl FnOnce(&[f64], &mut [f64]),
    ) -> Option<Self> {
        let FramedQuery { g, g_sq } = FramedQuery::new(codes, query)?;
        let limits = Limits::new(thresholds, codes.scale(), g_sq);
        let h = match frame.is_rotated() {
            true => {
                let mut h = vec![0.0; frame.kept()];
                rotate(&g, &mut h);
                h
            }
            false => g,
        };
        let integers = Integers::new(&h, P_MAX);
        let h_sq = norm_sq_of(&h);
        let g_rest = match frame.is_rotated() {
            true => rest(frame, g_sq, h_sq),
            false => 0.0,
        };
        // The loss takes part in what is kept of the row, at most 1 + 2^-3 of it, of the query likewise, and of
        // the row's rest, which the rotation should have left nothing of.
        let e_norm = integers.e_sq.sqrt() + frame.loss() * g_sq.sqrt();
        let bound = Bound {
            p_norm: integers.sigma * integers.p_sq.sqrt(),
            e_norm: 1.125 * e_norm + 2.0 * frame.loss() * h_sq.sqrt(),
            g_sq,
            typical: f64::from(codes.typical),
        };
        let groups = nibble_groups(frame.kept());
        let Planes { whole, high, low } = integers.planes(groups * NIBBLE_GROUP);
        Some(Self {
            whole,
            high,
            low,
            groups,
            is_rotated: frame.is_rotated(),
            bias: integers.bias(NIBBLE_ZERO.into()),
            tier: PrefixTier {
                kept: bound.tier(integers.sigma),
                a_rest: up(2.0 * g_rest * UP),
            },
            limits,
        })
    }
}

/// The estimate `t` and its bound `E`, for a row with this squared norm, step and `beta`, and a rest of this
/// length.
#[inline(always)]
pub(crate) fn estimate_prefix(tier: &PrefixTier, row: [f32; 3], rest: f32, dot: f32) -> (f32, f32) {
    let (t, e) = estimate(&tier.kept, row, dot);
    (t, tier.a_rest.mul_add(rest, e))
}

#[cfg(test)]
mod tests;
