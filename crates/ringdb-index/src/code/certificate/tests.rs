//! The certificate against the definition: the interval that every tier states holds the truth, on data
//! and queries made to break it, and a bound that is weakened by one of its parts gives a wrong set.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::code::layout::{TAIL_LINES, TILE_ROWS, TileTail, ZERO, fine_stride};
use crate::code::{Codes, Line};
use crate::data::{KINDS, Kind};
use crate::distance::s64;
use crate::ring::Ring;
use crate::rows::Rows;
use crate::{Encoded, encode};

const SEED: u64 = 0x0c0d_e5ee;

/// Codes, fine codes, and codes against the short form of a query.
const TIERS: usize = 3;

/// Rows and their codes.
struct Built {
    rows: Vec<f32>,
    dims: usize,
    frame: CodeFrame,
    codes: Vec<u8>,
    fine: Vec<u8>,
}

impl Built {
    fn new(rows: Vec<f32>, dims: usize) -> Self {
        let view = Rows::new(&rows, dims).unwrap();
        let frame = CodeFrame::of(view);
        let (mut codes, mut fine) = (Vec::new(), Vec::new());
        let write = |more: Encoded<'_>| {
            codes.extend_from_slice(more.codes);
            fine.extend_from_slice(more.fine);
            Ok::<(), crate::Error>(())
        };
        encode(view, &frame, None, write).unwrap();
        Self {
            rows,
            dims,
            frame,
            codes,
            fine,
        }
    }

    fn len(&self) -> usize {
        self.rows.len() / self.dims
    }

    fn row(&self, row: usize) -> &[f32] {
        &self.rows[row * self.dims..][..self.dims]
    }

    fn tile(&self, row: usize) -> (&[Line], TileTail) {
        let codes = Codes::new(&self.frame, &self.codes, &self.fine).unwrap();
        let tile = row / TILE_ROWS;
        let lines = codes.tiles(tile..tile + 1);
        let (codes, tail) = lines.split_last_chunk::<TAIL_LINES>().unwrap();
        (codes, TileTail::read(tail))
    }

    /// The codes of a row, as the numbers that they stand for.
    fn codes_of(&self, row: usize) -> Vec<i64> {
        let (lines, _) = self.tile(row);
        let r = row % TILE_ROWS;
        let bytes = lines.iter().flat_map(|line| &line[4 * r..4 * r + 4]);
        bytes
            .take(self.dims)
            .map(|&byte| i64::from(byte) - i64::from(ZERO))
            .collect()
    }

    fn fine_of(&self, row: usize) -> Vec<i64> {
        let stride = fine_stride(self.dims);
        let bytes = self.fine[row * stride..][..self.dims].iter();
        bytes
            .map(|&byte| i64::from(byte) - i64::from(ZERO))
            .collect()
    }

    /// What the row's codes lose, in coordinates of the rows.
    fn residual(&self, row: usize) -> Vec<f64> {
        let (_, tail) = self.tile(row);
        let step = f64::from(tail.steps[row % TILE_ROWS]) / self.frame.scale();
        let pairs = self.row(row).iter().zip(&self.frame.centre);
        pairs
            .zip(self.codes_of(row))
            .map(|((&x, &c), k)| f64::from(x) - f64::from(c) - step * k as f64)
            .collect()
    }

    /// Estimate and bound of a row by its codes, by its fine codes, and by its codes and the short form of the
    /// query, with `weaken` applied to what the
    /// row's tile and the query say.
    fn estimates(&self, row: usize, query: &CodeQuery, weaken: Weaken<'_>) -> [(f32, f32); TIERS] {
        let (_, tail) = self.tile(row);
        let r = row % TILE_ROWS;
        let dot = |codes: &[i64]| -> i64 {
            codes
                .iter()
                .zip(&query.whole)
                .map(|(&k, &p)| k * i64::from(p))
                .sum()
        };
        let coarse = dot(&self.codes_of(row));
        assert!(i32::try_from(coarse).is_ok(), "{coarse} is no i32");
        let fine = 254 * coarse + dot(&self.fine_of(row));
        let short: i64 = {
            let pairs = self.codes_of(row).into_iter().zip(&query.short.plane);
            pairs.map(|(k, &p)| k * i64::from(p)).sum()
        };
        let mut tiers = [query.coarse, query.fine, query.short.tier];
        let mut betas = [tail.beta, tail.beta_fine, tail.beta];
        weaken(&mut tiers, &mut betas);
        let mut estimates = [(0.0, 0.0); TIERS];
        for (i, dot) in [coarse, fine, short].into_iter().enumerate() {
            let of_row = [tail.norms_sq[r], tail.steps[r], betas[i]];
            estimates[i] = estimate(&tiers[i], of_row, dot as f32);
        }
        estimates
    }
}

type Weaken<'a> = &'a dyn Fn(&mut [Tier; TIERS], &mut [f32; TIERS]);

fn as_it_is(_: &mut [Tier; TIERS], _: &mut [f32; TIERS]) {}

fn anything() -> Thresholds {
    Ring::within(1.0).unwrap().thresholds()
}

/// `F^2 S64 - G`, with `G` as the query has it.
fn truth(built: &Built, row: usize, q: &[f32]) -> f64 {
    let scale = built.frame.scale();
    let g = q.iter().zip(&built.frame.centre);
    let g_sq: f64 = g
        .map(|(&q, &c)| (f64::from(q) - f64::from(c)) * scale)
        .map(|g| g * g)
        .sum();
    scale * scale * s64(built.row(row), q) - g_sq
}

/// The worst error of each tier over all rows, as a share of its bound. `None` if the query is too far away
/// for codes.
fn worst_shares(built: &Built, q: &[f32], weaken: Weaken<'_>) -> Option<[f64; TIERS]> {
    let query = CodeQuery::new(&built.frame, q, anything())?;
    let p_sum: i64 = query.whole.iter().map(|&p| i64::from(p).abs()).sum();
    assert!(127 * p_sum <= i64::from(i32::MAX), "{p_sum}");
    let mut worst = [0.0_f64; TIERS];
    for row in 0..built.len() {
        let truth = truth(built, row, q);
        for (worst, (t, e)) in worst.iter_mut().zip(built.estimates(row, &query, weaken)) {
            let share = (truth - f64::from(t)).abs() / f64::from(e);
            assert!(!share.is_nan(), "row {row}: {t} +- {e} of {truth}");
            *worst = worst.max(share);
        }
    }
    Some(worst)
}

/// Queries made to be as far from their estimates as can be.
fn adversaries(built: &Built, rng: &mut SmallRng) -> Vec<Vec<f32>> {
    let row = rng.random_range(0..built.len());
    let (x, centre) = (built.row(row), &built.frame.centre);
    let finite = |values: Vec<f64>| -> Vec<f32> {
        let limit = f64::from(f32::MAX);
        values
            .into_iter()
            .map(|value| value.clamp(-limit, limit) as f32)
            .collect()
    };
    let along = |alpha: f64| {
        let pairs = centre.iter().zip(built.residual(row));
        finite(pairs.map(|(&c, r)| f64::from(c) + alpha * r).collect())
    };
    let pairs = |f: &dyn Fn(f64, f64) -> f64| {
        finite(
            x.iter()
                .zip(centre)
                .map(|(&x, &c)| f(x.into(), c.into()))
                .collect(),
        )
    };
    vec![
        x.to_vec(),
        centre.clone(),
        along(1.0),
        along(-100.0),
        along(1e6),
        pairs(&|x, c| 2.0 * c - x),
        pairs(&|x, _| x * (1.0 + 2.0_f64.powi(-23))),
        pairs(&|x, c| c + (x - c).signum()),
        pairs(&|x, c| c + 1e5 * (x - c)),
    ]
}

#[test]
fn every_interval_holds_the_truth() {
    println!("seed {SEED:#x}");
    let mut rng = SmallRng::seed_from_u64(SEED);
    let (mut pairs, mut worst) = (0_u64, [0.0_f64; TIERS]);
    for dims in (1..=20).chain([63, 64, 65, 128, 521, 1000, 4097]) {
        for kind in KINDS {
            let rows = (40_000 / dims).clamp(17, 100);
            let built = Built::new(kind.rows(rows, dims, &mut rng), dims);
            let mut queries = adversaries(&built, &mut rng);
            queries.push((0..dims).map(|_| kind.coordinate(&mut rng)).collect());
            queries.push(
                (0..dims)
                    .map(|_| Kind::Uniform.coordinate(&mut rng))
                    .collect(),
            );
            for query in queries {
                let Some(shares) = worst_shares(&built, &query, &as_it_is) else {
                    continue;
                };
                assert!(
                    shares.iter().all(|&share| share <= 1.0),
                    "{kind:?}, {dims} dims: {shares:?} of the bound"
                );
                for (worst, share) in worst.iter_mut().zip(shares) {
                    *worst = worst.max(share);
                }
                pairs += rows as u64;
            }
        }
    }
    println!("{pairs} pairs, worst {worst:.4?} of the bound");
    // A bound that is never nearly reached would be a waste, and a test with tame data.
    assert!(
        worst[0] > 0.99 && worst[1] > 0.9 && worst[2] > 0.9,
        "{worst:?}"
    );
}

#[test]
fn the_largest_products_fit() {
    for dims in [520, 521, 1000, 65_536] {
        // Codes of 127 everywhere, against a query of one sign.
        let mut rows = vec![1.0_f32; 17 * dims];
        rows[..dims].fill(-1.0);
        let built = Built::new(rows, dims);
        let q: Vec<f32> = built.frame.centre.iter().map(|c| c - 3.0).collect();
        let shares = worst_shares(&built, &q, &as_it_is).unwrap();
        assert!(shares.iter().all(|&share| share <= 1.0), "{shares:?}");
    }
}

/// Whether a row is decided wrongly somewhere when a part of the bound is weakened.
fn is_caught(tier: usize, kinds: &[Kind], dims: &[usize], weaken: Weaken<'_>) -> bool {
    let mut rng = SmallRng::seed_from_u64(SEED);
    for _ in 0..40 {
        for &dims in dims {
            for &kind in kinds {
                let built = Built::new(kind.rows(40, dims, &mut rng), dims);
                let mut queries = adversaries(&built, &mut rng);
                queries.push((0..dims).map(|_| kind.coordinate(&mut rng)).collect());
                if queries
                    .iter()
                    .any(|q| has_wrong_verdict(&built, q, tier, weaken))
                {
                    return true;
                }
            }
        }
    }
    false
}

/// Whether a ring that begins or ends at the distance of a row itself gets that row wrong.
fn has_wrong_verdict(built: &Built, q: &[f32], tier: usize, weaken: Weaken<'_>) -> bool {
    let is_wrong = |row: usize| {
        let s = s64(built.row(row), q);
        // Rings that have the row just inside, and just outside, either end.
        let rings = [
            (0.0, s, true),
            (s, f64::MAX, true),
            (0.0, s.next_down(), false),
            (s.next_up(), f64::MAX, false),
        ];
        rings.into_iter().any(|(lo_s, hi_s, is_hit)| {
            let query = CodeQuery::new(&built.frame, q, Thresholds { lo_s, hi_s }).unwrap();
            let (t, e) = built.estimates(row, &query, weaken)[tier];
            match judged(&query.limits, t, e) {
                Verdict::Outside => is_hit,
                Verdict::Inside => !is_hit,
                Verdict::Unsure => false,
            }
        })
    };
    (0..built.len()).any(is_wrong)
}

const TAME: [Kind; 4] = [Kind::Uniform, Kind::Lattice, Kind::Offset, Kind::Cluster];

#[test]
fn the_bound_as_it_is_gives_no_wrong_verdict() {
    for tier in 0..TIERS {
        assert!(!is_caught(tier, &TAME, &[1, 2, 64], &as_it_is));
    }
}

#[test]
fn half_the_bound_gives_a_wrong_verdict() {
    let half = |tiers: &mut [Tier; TIERS], _: &mut [f32; TIERS]| {
        for tier in tiers {
            (tier.a, tier.b, tier.c) = (tier.a / 2.0, tier.b / 2.0, tier.c / 2.0);
        }
    };
    for tier in 0..TIERS {
        assert!(is_caught(tier, &TAME, &[1, 2, 64], &half), "tier {tier}");
    }
}

#[test]
fn a_bound_without_slack_for_rounding_gives_a_wrong_verdict() {
    let no_slack = |tiers: &mut [Tier; TIERS], _: &mut [f32; TIERS]| {
        for tier in tiers {
            let g_sq = tier.a * tier.a / 4.0;
            tier.b -= SLACK as f32;
            tier.c -= SLACK as f32 * g_sq;
        }
    };
    for tier in 0..TIERS {
        assert!(is_caught(tier, &TAME, &[1, 2], &no_slack), "tier {tier}");
    }
}

#[test]
fn a_bound_without_the_residual_of_the_query_gives_a_wrong_verdict() {
    let no_e = |tiers: &mut [Tier; TIERS], _: &mut [f32; TIERS]| {
        for tier in tiers {
            let g_sq = tier.a * tier.a / 4.0;
            tier.b = SLACK as f32;
            tier.c = SLACK as f32 * g_sq;
        }
    };
    for tier in 0..TIERS {
        assert!(is_caught(tier, &TAME, &[2, 3, 4], &no_e), "tier {tier}");
    }
}

#[test]
fn a_smaller_residual_of_the_rows_gives_a_wrong_verdict() {
    let less = |_: &mut [Tier; TIERS], betas: &mut [f32; TIERS]| {
        for beta in betas {
            *beta *= 0.9;
        }
    };
    for tier in 0..TIERS {
        assert!(is_caught(tier, &TAME, &[1, 2, 64], &less), "tier {tier}");
    }
}
