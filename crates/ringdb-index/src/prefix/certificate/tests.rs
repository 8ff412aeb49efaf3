//! The certificate against the definition, as for codes: with rotations that suit the rows, that do not, and
//! that are none, and with parts of the bound weakened.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::code::{FramedRows, Line, TILE_ROWS, Verdict, judged};
use crate::data::{KINDS, Kind};
use crate::distance::s64;
use crate::prefix::layout::{PrefixTail, nibbles};
use crate::prefix::{KEPT_STEP, encode_tile, product};
use crate::ring::Ring;
use crate::rows::Rows;

const SEED: u64 = 0x09e5_1e5d;

/// What is made of rows with each frame that is tried on them.
struct Built<'r> {
    rows: &'r [f32],
    codes: CodeFrame,
    frame: PrefixFrame,
    /// The tile of each sixteen rows.
    tiles: Vec<(Vec<Line>, PrefixTail)>,
}

/// Rotations of every quality: columns of a random matrix that were made orthonormal and then disturbed.
fn rotation(dims: usize, kept: usize, disturbed: f32, rng: &mut SmallRng) -> Vec<f32> {
    let mut columns: Vec<Vec<f64>> = Vec::new();
    while columns.len() < kept {
        let mut column: Vec<f64> = (0..dims).map(|_| rng.random_range(-1.0..1.0)).collect();
        for _ in 0..2 {
            for other in &columns {
                let dot: f64 = column.iter().zip(other).map(|(a, b)| a * b).sum();
                column
                    .iter_mut()
                    .zip(other)
                    .for_each(|(a, b)| *a -= dot * b);
            }
        }
        let norm = norm_sq_of(&column).sqrt();
        column.iter_mut().for_each(|a| *a /= norm);
        columns.push(column);
    }
    let at = |i: usize| columns[i % kept][i / kept] as f32;
    (0..dims * kept)
        .map(|i| at(i) + disturbed * rng.random_range(-1.0..1.0))
        .collect()
}

impl<'r> Built<'r> {
    fn new(rows: &'r [f32], dims: usize, frame: PrefixFrame) -> Self {
        let codes = CodeFrame::of(Rows::new(rows, dims).unwrap());
        let tiles = rows.chunks(TILE_ROWS * dims).map(|rows| {
            let mut framed = FramedRows::default();
            framed.fill(&codes, rows);
            let mut lines = vec![[0; size_of::<Line>()]; frame.tile_lines()];
            encode_tile(&frame, &framed, &mut lines, &mut Vec::new());
            let tail = lines.split_off(nibble_groups(frame.kept()));
            (lines, PrefixTail::read(&tail))
        });
        let tiles = tiles.collect();
        Self {
            rows,
            codes,
            frame,
            tiles,
        }
    }

    /// With a rotation that is none, as it makes everything longer.
    fn stretched(rows: &'r [f32]) -> Self {
        let mut rotation = vec![0.0; KEPT_STEP * KEPT_STEP];
        rotation
            .iter_mut()
            .step_by(KEPT_STEP + 1)
            .for_each(|a| *a = 1.005);
        let len = rows.len() / KEPT_STEP;
        let frame = PrefixFrame::rotated(KEPT_STEP, len, KEPT_STEP, rotation);
        Self::new(rows, KEPT_STEP, frame.unwrap())
    }

    /// With all coordinates, and if there are enough with rotations from good to almost useless.
    fn all(rows: &'r [f32], dims: usize, rng: &mut SmallRng) -> Vec<Self> {
        let len = rows.len() / dims;
        let mut all = vec![Self::new(rows, dims, PrefixFrame::plain(dims, len))];
        if dims >= KEPT_STEP {
            for disturbed in [0.0, 1e-4, 1e-3] {
                let rotation = rotation(dims, KEPT_STEP, disturbed / (dims as f32).sqrt(), rng);
                let frame = PrefixFrame::rotated(dims, len, KEPT_STEP, rotation);
                all.push(Self::new(rows, dims, frame.unwrap()));
            }
        }
        all
    }

    fn len(&self) -> usize {
        self.frame.rows()
    }

    fn row(&self, row: usize) -> &[f32] {
        &self.rows[row * self.frame.dims()..][..self.frame.dims()]
    }

    fn query(&self, q: &[f32], thresholds: Thresholds) -> Option<PrefixQuery> {
        let (dims, kept) = (self.frame.dims(), self.frame.kept());
        let rotate = |g: &[f64], h: &mut [f64]| product(g, dims, self.frame.rotation(), kept, h);
        PrefixQuery::new(&self.codes, &self.frame, q, thresholds, rotate)
    }

    /// Estimate and bound of a row.
    fn estimate(&self, row: usize, query: &PrefixQuery, weaken: Weaken<'_>) -> (f32, f32) {
        let (lines, tail) = &self.tiles[row / TILE_ROWS];
        let r = row % TILE_ROWS;
        let codes = nibbles(lines, r).zip(&query.whole);
        let dot: f64 = codes.map(|(k, &p)| k * f64::from(p)).sum();
        let mut tier = query.tier;
        let mut beta = tail.betas[r];
        weaken(&mut tier, &mut beta);
        let of_row = [tail.norms_sq[r], tail.steps[r], beta];
        estimate_prefix(&tier, of_row, tail.rests[r], dot as f32)
    }

    /// `F^2 S64 - G`, with `G` as the query has it.
    fn truth(&self, row: usize, q: &[f32]) -> f64 {
        let scale = self.codes.scale();
        let g_sq = FramedQuery::new(&self.codes, q).map_or(f64::NAN, |query| query.g_sq);
        scale * scale * s64(self.row(row), q) - g_sq
    }

    /// Queries made to be as far from their estimates as can be.
    fn adversaries(&self, rng: &mut SmallRng) -> Vec<Vec<f32>> {
        let row = rng.random_range(0..self.len());
        let (x, centre) = (self.row(row), &self.codes.centre);
        let limit = f64::from(f32::MAX);
        let pairs = |f: &dyn Fn(usize, f64, f64) -> f64| -> Vec<f32> {
            let pairs = x.iter().zip(centre).enumerate();
            pairs
                .map(|(i, (&x, &c))| f(i, x.into(), c.into()).clamp(-limit, limit) as f32)
                .collect()
        };
        let (residual, rest) = self.lost(row);
        vec![
            x.to_vec(),
            centre.clone(),
            pairs(&|_, x, c| 2.0 * c - x),
            pairs(&|_, x, _| x * (1.0 + 2.0_f64.powi(-23))),
            pairs(&|_, x, c| c + (x - c).signum()),
            pairs(&|_, x, c| c + 1e5 * (x - c)),
            pairs(&|i, _, c| c + residual[i]),
            pairs(&|i, _, c| c - 100.0 * residual[i]),
            pairs(&|i, _, c| c + rest[i]),
            pairs(&|i, _, c| c - 10.0 * (residual[i] + rest[i])),
        ]
    }

    /// What the codes of a row lose, and what its numbers leave out, in coordinates.
    fn lost(&self, row: usize) -> (Vec<f64>, Vec<f64>) {
        let (dims, kept) = (self.frame.dims(), self.frame.kept());
        let (lines, tail) = &self.tiles[row / TILE_ROWS];
        let r = row % TILE_ROWS;
        let y = FramedQuery::new(&self.codes, self.row(row)).unwrap().g;
        let z = match self.frame.is_rotated() {
            true => {
                let mut z = vec![0.0; kept];
                product(&y, dims, self.frame.rotation(), kept, &mut z);
                z
            }
            false => y.clone(),
        };
        let codes = nibbles(lines, r).map(|k| f64::from(tail.steps[r]) * k);
        let residual: Vec<f64> = z.iter().zip(codes).map(|(z, code)| z - code).collect();
        let back = |values: &[f64]| -> Vec<f64> {
            if !self.frame.is_rotated() {
                return values.to_vec();
            }
            let of_dim = self.frame.rotation().chunks_exact(kept);
            of_dim
                .map(|row| row.iter().zip(values).map(|(&a, b)| f64::from(a) * b).sum())
                .collect()
        };
        let scale = self.codes.scale();
        let rest = y.iter().zip(back(&z)).map(|(y, z)| (y - z) / scale);
        let residual = back(&residual).into_iter().map(|value| value / scale);
        (residual.collect(), rest.collect())
    }
}

type Weaken<'a> = &'a dyn Fn(&mut PrefixTier, &mut f32);

fn as_it_is(_: &mut PrefixTier, _: &mut f32) {}

#[test]
fn every_interval_holds_the_truth() {
    println!("seed {SEED:#x}");
    let mut rng = SmallRng::seed_from_u64(SEED);
    let anything = Ring::within(1.0).unwrap().thresholds();
    // With all coordinates, and with a rotation.
    let (mut pairs, mut worst) = (0_u64, [0.0_f64; 2]);
    for dims in (1..=20).chain([32, 33, 64, 100, 521, 1000]) {
        for kind in KINDS {
            let n = (20_000 / dims).clamp(17, 60);
            let rows = kind.rows(n, dims, &mut rng);
            for built in Built::all(&rows, dims, &mut rng) {
                let mut queries = built.adversaries(&mut rng);
                queries.push((0..dims).map(|_| kind.coordinate(&mut rng)).collect());
                for q in queries {
                    let Some(query) = built.query(&q, anything) else {
                        continue;
                    };
                    for row in 0..n {
                        let (t, e) = built.estimate(row, &query, &as_it_is);
                        let share = (built.truth(row, &q) - f64::from(t)).abs() / f64::from(e);
                        assert!(
                            share <= 1.0,
                            "{kind:?}, {dims} dims, row {row}: {share} of the bound"
                        );
                        let worst = &mut worst[usize::from(built.frame.is_rotated())];
                        *worst = worst.max(share);
                        pairs += 1;
                    }
                }
            }
        }
    }
    println!("{pairs} pairs, worst {worst:.4?} of the bound");
    assert!(worst[0] > 0.99 && worst[1] > 0.9, "{worst:?}");
}

/// Whether a row is decided wrongly somewhere when a part of the bound is weakened.
fn is_caught(is_rotated: bool, dims: &[usize], weaken: Weaken<'_>) -> bool {
    let mut rng = SmallRng::seed_from_u64(SEED);
    for _ in 0..20 {
        for &dims in dims {
            for kind in [Kind::Uniform, Kind::Lattice, Kind::Offset, Kind::Cluster] {
                let rows = kind.rows(40, dims, &mut rng);
                for built in Built::all(&rows, dims, &mut rng) {
                    if built.frame.is_rotated() != is_rotated {
                        continue;
                    }
                    let mut queries = built.adversaries(&mut rng);
                    queries.push((0..dims).map(|_| kind.coordinate(&mut rng)).collect());
                    if queries.iter().any(|q| has_wrong_verdict(&built, q, weaken)) {
                        return true;
                    }
                }
            }
        }
    }
    false
}

/// Whether a ring that begins or ends at the distance of a row itself gets that row wrong.
fn has_wrong_verdict(built: &Built<'_>, q: &[f32], weaken: Weaken<'_>) -> bool {
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
            let query = built.query(q, Thresholds { lo_s, hi_s }).unwrap();
            let (t, e) = built.estimate(row, &query, weaken);
            match judged(&query.limits, t, e) {
                Verdict::Outside => is_hit,
                Verdict::Inside => !is_hit,
                Verdict::Unsure => false,
            }
        })
    };
    (0..built.len()).any(is_wrong)
}

#[test]
fn the_bound_as_it_is_gives_no_wrong_verdict() {
    assert!(!is_caught(false, &[1, 2, 40], &as_it_is));
    assert!(!is_caught(true, &[40], &as_it_is));
}

#[test]
fn half_the_bound_gives_a_wrong_verdict() {
    let half = |tier: &mut PrefixTier, _: &mut f32| {
        let kept = &mut tier.kept;
        (kept.a, kept.b, kept.c) = (kept.a / 2.0, kept.b / 2.0, kept.c / 2.0);
        tier.a_rest /= 2.0;
    };
    assert!(is_caught(false, &[1, 2, 40], &half));
    assert!(is_caught(true, &[33, 40], &half));
}

#[test]
fn a_smaller_residual_of_the_rows_gives_a_wrong_verdict() {
    let less = |_: &mut PrefixTier, beta: &mut f32| *beta *= 0.8;
    assert!(is_caught(false, &[1, 2, 40], &less));
    assert!(is_caught(true, &[32, 33, 40], &less));
}

#[test]
fn a_bound_without_the_rest_gives_a_wrong_verdict() {
    let no_rest = |tier: &mut PrefixTier, _: &mut f32| tier.a_rest = 0.0;
    assert!(is_caught(true, &[33, 40], &no_rest));
    let less = |tier: &mut PrefixTier, _: &mut f32| tier.a_rest *= 0.8;
    assert!(is_caught(true, &[33, 40], &less));
}

#[test]
fn a_bound_without_the_loss_gives_a_wrong_verdict() {
    let mut rng = SmallRng::seed_from_u64(SEED);
    // Rows whose coordinates are one number and its negative, around a centre of zeros, so that codes lose
    // little of them.
    let sign = |_| if rng.random() { 1.0 } else { -1.0 };
    let half: Vec<f32> = (0..20 * KEPT_STEP).map(sign).collect();
    let rows: Vec<f32> = half
        .iter()
        .copied()
        .chain(half.iter().map(|x| -x))
        .collect();
    let wrong = |built: &Built<'_>| {
        let mut queries = (0..built.len()).map(|row| built.row(row));
        queries.any(|q| has_wrong_verdict(built, q, &as_it_is))
    };
    let mut built = Built::stretched(&rows);
    assert!(!wrong(&built));
    built.frame = built.frame.without_loss();
    let built = Built::new(&rows, KEPT_STEP, built.frame);
    assert!(wrong(&built));
}

/// What a rotation loses is small beside what codes lose, but for rows that codes say exactly.
#[test]
fn a_bound_without_slack_and_loss_gives_a_wrong_verdict() {
    let none = |tier: &mut PrefixTier, _: &mut f32| (tier.kept.b, tier.kept.c) = (0.0, 0.0);
    assert!(is_caught(false, &[1, 2], &none));
    assert!(is_caught(true, &[32, 33], &none));
}
