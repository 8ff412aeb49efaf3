//! A query in integers, and the bound that its estimates carry.
//!
//! With `y = s k + r` a row and `g = sigma p + e` the query, both in the frame, the scaled sum of squares
//! is `Y + G - 2 s sigma <k, p>` but for at most `2 |sigma p| |r| + 2 |e| |y|`. In the words of the code:
//!
//! ```text
//! t = fma(-2 sigma s, I, Y)            I = <k, p>, exact
//! E = fma(A, beta s, fma(B, Y, C))     |F^2 S64 - G - t| <= E
//! ```
//!
//! Invariant: `A`, `B`, `C` and the four limits are rounded so that every rounding of these two lines, of
//! `t - E` and of `t + E` is paid for; docs/EXACTNESS.md has the account. So a verdict is a proof.

use crate::code::encode::FINE_STEPS;
use crate::code::frame::CodeFrame;
use crate::code::layout::{LINE, groups};
use crate::code::round::{down, up};
use crate::ring::Thresholds;

/// The largest `|p_j|`, `256 * 127`: the high byte of what it is split into stays within 127.
pub(crate) const P_MAX: f64 = 32_512.0;

/// The largest `|p_j|` of a query in bytes.
const SHORT_MAX: f64 = 127.0;

/// At most this much may the `|p_j|` sum up to, that 127 times it is an i32.
const P_SUM_MAX: f64 = 16_909_320.0;

/// A query farther away than this, squared and scaled, is no match for `f32`.
const G_MAX: f64 = 1e30;

/// No query step is smaller.
const SIGMA_MIN: f32 = 7.888_609e-31;

/// `1 + 2^-18`: pays for the roundings of the bound itself.
pub(crate) const UP: f64 = 1.0 + 1.0 / 262_144.0;

/// `2^-19`, 32 times the unit of rounding in `f32`: pays for the roundings of the estimate.
const SLACK: f64 = 1.0 / 524_288.0;

/// `2^-100`: pays for underflow.
const TINY: f64 = 7.888_609_052_210_118e-31;

/// What is known of a row after a look at its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Outside,
    Inside,
    Unsure,
}

/// The factors of one plane of codes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Tier {
    /// `-2 sigma`, over the fine steps in a step for fine codes.
    pub(crate) minus_two_sigma: f32,
    pub(crate) a: f32,
    pub(crate) b: f32,
    pub(crate) c: f32,
}

/// The thresholds of the ring on `t + E` and `t - E`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Limits {
    /// Outside if `t - E` is greater.
    pub(crate) outside_above: f32,
    /// Outside if `t + E` is less.
    pub(crate) outside_below: f32,
    /// Inside if `t + E` is at most this and
    pub(crate) inside_hi: f32,
    /// `t - E` at least this.
    pub(crate) inside_lo: f32,
}

/// A query in a byte for each dim.
#[derive(Debug, Clone)]
pub(crate) struct Short {
    /// `p`, then zeros to whole lines.
    pub(crate) plane: Vec<i8>,
    /// 128 times the sum of `p`.
    #[cfg_attr(
        not(target_arch = "x86_64"),
        allow(dead_code, reason = "other kernels take queries one by one")
    )]
    pub(crate) bias: i32,
    #[cfg_attr(
        not(target_arch = "x86_64"),
        allow(dead_code, reason = "other kernels take queries one by one")
    )]
    pub(crate) tier: Tier,
}

/// A query as codes see it.
#[derive(Debug, Clone)]
pub(crate) struct CodeQuery {
    /// `p`, then zeros to whole lines, as in the others.
    pub(crate) whole: Vec<i16>,
    /// `p = 256 high + low`
    pub(crate) high: Vec<i8>,
    pub(crate) low: Vec<i8>,
    /// The query once more in a byte each, for batches, where computing costs more than reading.
    pub(crate) short: Short,
    /// Lines of codes in a tile.
    pub(crate) groups: usize,
    /// 128 times the sum of `p`, as codes are stored with 128 added; wraps.
    pub(crate) bias: i32,
    pub(crate) coarse: Tier,
    pub(crate) fine: Tier,
    pub(crate) limits: Limits,
}

impl CodeQuery {
    /// The query for the codes of a frame, or `None` where the rows themselves have to be read because
    /// it is too far away.
    pub(crate) fn new(frame: &CodeFrame, query: &[f32], thresholds: Thresholds) -> Option<Self> {
        let FramedQuery { g, g_sq } = FramedQuery::new(frame, query)?;
        let typical = f64::from(frame.typical);
        let (long, short) = (Integers::new(&g, P_MAX), Integers::new(&g, SHORT_MAX));
        let padded = g.len().next_multiple_of(LINE);
        let Planes { whole, high, low } = long.planes(padded);
        let mut short_plane = vec![0; padded];
        for (place, &p) in short_plane.iter_mut().zip(&short.p) {
            *place = p as i8;
        }
        let bound = long.bound(g_sq, typical);
        Some(Self {
            whole,
            high,
            low,
            short: Short {
                plane: short_plane,
                bias: short.bias(128),
                tier: short.bound(g_sq, typical).tier(short.sigma),
            },
            groups: groups(g.len()),
            bias: long.bias(128),
            coarse: bound.tier(long.sigma),
            fine: bound.tier(long.sigma / FINE_STEPS),
            limits: Limits::new(thresholds, frame.scale(), g_sq),
        })
    }
}

/// A query in the frame of the rows.
pub(crate) struct FramedQuery {
    /// `g = F (q - c)`
    pub(crate) g: Vec<f64>,
    /// `G = |g|^2`
    pub(crate) g_sq: f64,
}

impl FramedQuery {
    /// `None` if it is too far away for codes.
    pub(crate) fn new(frame: &CodeFrame, query: &[f32]) -> Option<Self> {
        let scale = frame.scale();
        let pairs = query.iter().zip(&frame.centre);
        let g: Vec<f64> = pairs
            .map(|(&q, &c)| (f64::from(q) - f64::from(c)) * scale)
            .collect();
        let g_sq: f64 = g.iter().map(|g| g * g).sum();
        (g_sq < G_MAX).then_some(Self { g, g_sq })
    }
}

/// The integers of a query, and their bytes, followed by zeros.
pub(crate) struct Planes {
    pub(crate) whole: Vec<i16>,
    /// `p = 256 high + low`
    pub(crate) high: Vec<i8>,
    pub(crate) low: Vec<i8>,
}

/// `g = sigma p + e`
pub(crate) struct Integers {
    pub(crate) sigma: f64,
    p: Vec<i32>,
    /// `|p|^2`
    pub(crate) p_sq: f64,
    /// `|e|^2`
    pub(crate) e_sq: f64,
}

impl Integers {
    /// With `|p_j|` up to `p_max`, at most [`P_MAX`].
    pub(crate) fn new(g: &[f64], p_max: f64) -> Self {
        let largest = g.iter().fold(0.0_f64, |largest, g| largest.max(g.abs()));
        let sum: f64 = g.iter().map(|g| g.abs()).sum();
        // Rounding to integers adds at most a half each to the sum of their magnitudes.
        let sum_max = P_SUM_MAX - g.len() as f64;
        let sigma = f64::from(up((largest / p_max).max(sum / sum_max)).max(SIGMA_MIN));
        let (mut p_sq, mut e_sq) = (0.0, 0.0);
        let p = g.iter().map(|&g| {
            let p = (g / sigma).round_ties_even();
            let e = g - sigma * p;
            (p_sq, e_sq) = (p_sq + p * p, e_sq + e * e);
            p as i32
        });
        let p = p.collect();
        Self {
            sigma,
            p,
            p_sq,
            e_sq,
        }
    }

    /// What codes that are stored with `zero` added make of this query too much; wraps, as the sums do that
    /// it is taken from.
    pub(crate) fn bias(&self, zero: i64) -> i32 {
        let sum: i64 = self.p.iter().map(|&p| i64::from(p)).sum();
        (sum * zero) as i32
    }

    /// The integers in the forms of the kernels, each this long.
    pub(crate) fn planes(&self, len: usize) -> Planes {
        let (mut whole, mut high, mut low) = (vec![0; len], vec![0; len], vec![0; len]);
        for (j, &p) in self.p.iter().enumerate() {
            let upper = (p + 128) >> 8;
            (whole[j], high[j], low[j]) = (p as i16, upper as i8, (p - 256 * upper) as i8);
        }
        Planes { whole, high, low }
    }

    fn bound(&self, g_sq: f64, typical: f64) -> Bound {
        Bound {
            p_norm: self.sigma * self.p_sq.sqrt(),
            e_norm: self.e_sq.sqrt() + g_sq.sqrt() * 2.0_f64.powi(-50),
            g_sq,
            typical,
        }
    }
}

/// What the bound of a query is made of.
pub(crate) struct Bound {
    /// `|sigma p|`
    pub(crate) p_norm: f64,
    /// `|e|`
    pub(crate) e_norm: f64,
    pub(crate) g_sq: f64,
    pub(crate) typical: f64,
}

impl Bound {
    pub(crate) fn tier(&self, sigma: f64) -> Tier {
        let Self {
            p_norm,
            e_norm,
            g_sq,
            typical,
        } = *self;
        // 2 |e| |y| is at most |e| (tau + |y|^2 / tau) for any tau.
        Tier {
            minus_two_sigma: (-2.0 * sigma) as f32,
            a: up(2.0 * p_norm * UP),
            b: up(SLACK + e_norm / typical * UP),
            c: up(SLACK * g_sq + e_norm * typical * UP + TINY),
        }
    }
}

impl Limits {
    pub(crate) fn new(Thresholds { lo_s, hi_s }: Thresholds, scale: f64, g_sq: f64) -> Self {
        let hi = scale * scale * hi_s - g_sq;
        let (outside_below, inside_lo) = if lo_s == 0.0 {
            (f32::NEG_INFINITY, f32::NEG_INFINITY)
        } else {
            let lo = scale * scale * lo_s - g_sq;
            (down(lo.next_down()), up(lo.next_up()))
        };
        Self {
            outside_above: up(hi.next_up()),
            outside_below,
            inside_hi: down(hi.next_down()).min(f32::MAX),
            inside_lo,
        }
    }
}

/// The estimate `t` and its bound `E`, for a row with this squared norm, step and `beta`.
#[inline(always)]
pub(crate) fn estimate(tier: &Tier, [norm_sq, step, beta]: [f32; 3], dot: f32) -> (f32, f32) {
    let t = (tier.minus_two_sigma * step).mul_add(dot, norm_sq);
    let e = tier.a.mul_add(beta * step, tier.b.mul_add(norm_sq, tier.c));
    (t, e)
}

/// What the dot product of a row's codes with the query proves.
#[inline(always)]
pub(crate) fn verdict(tier: &Tier, limits: &Limits, row: [f32; 3], dot: f32) -> Verdict {
    let (t, e) = estimate(tier, row, dot);
    judged(limits, t, e)
}

/// What an estimate proves.
#[inline(always)]
pub(crate) fn judged(limits: &Limits, t: f32, e: f32) -> Verdict {
    match sides(limits, t, e) {
        (true, _) => Verdict::Outside,
        (_, true) => Verdict::Inside,
        _ => Verdict::Unsure,
    }
}

/// Whether an estimate proves a row outside, and whether inside; never both. Without a branch: where a ring
/// cuts through the bulk of the rows, a branch for each would be mispredicted for every few of them (16
/// dims, AVX2: 3.4 times the time of a scan instead of less than one).
#[inline(always)]
pub(crate) fn sides(limits: &Limits, t: f32, e: f32) -> (bool, bool) {
    let (low, high) = (t - e, t + e);
    // NaN makes every comparison false.
    let is_outside = (low > limits.outside_above) | (high < limits.outside_below);
    let is_inside = (high <= limits.inside_hi) & (low >= limits.inside_lo);
    (is_outside, is_inside & !is_outside)
}

#[cfg(test)]
mod tests;
