//! Kinds of data on which a search could go wrong, each generated from a seed.

use rand::Rng;
use rand::rngs::SmallRng;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Uniform,
    /// Small integers: many equal distances.
    Lattice,
    /// A quarter of the rows occurs twice.
    Duplicates,
    AllEqual,
    OneOutlier,
    /// Unit noise far from the origin, where differences lose most bits.
    Offset,
    /// All rows within 1e-3 of one another.
    Cluster,
    HeavyTails,
    /// One coordinate a million times larger than the others.
    HugeDimension,
    Scale(f32),
    Subnormals,
    /// Zeros of both signs.
    Zeros,
    /// The largest magnitudes of both signs.
    Largest,
}

pub(crate) const KINDS: [Kind; 16] = [
    Kind::Uniform,
    Kind::Lattice,
    Kind::Duplicates,
    Kind::AllEqual,
    Kind::OneOutlier,
    Kind::Offset,
    Kind::Cluster,
    Kind::HeavyTails,
    Kind::HugeDimension,
    Kind::Scale(1e-22),
    Kind::Scale(1e-15),
    Kind::Scale(1e15),
    Kind::Scale(1e19),
    Kind::Subnormals,
    Kind::Zeros,
    Kind::Largest,
];

impl Kind {
    /// `n` rows of `dims` coordinates.
    pub(crate) fn rows(self, n: usize, dims: usize, rng: &mut SmallRng) -> Vec<f32> {
        let mut data: Vec<f32> = (0..n * dims).map(|_| self.coordinate(rng)).collect();
        match self {
            Kind::Duplicates => data.copy_within(..n / 4 * dims, n / 2 * dims),
            Kind::AllEqual => {
                let row = data[..dims].to_vec();
                data.chunks_exact_mut(dims)
                    .for_each(|other| other.copy_from_slice(&row));
            }
            Kind::OneOutlier => {
                let outlier = rng.random_range(0..n) * dims;
                data[outlier..outlier + dims]
                    .iter_mut()
                    .for_each(|value| *value *= 1e6);
            }
            Kind::HugeDimension => {
                let huge = rng.random_range(0..dims);
                data.iter_mut()
                    .skip(huge)
                    .step_by(dims)
                    .for_each(|value| *value *= 1e6);
            }
            _ => {}
        }
        data
    }

    /// One coordinate, before what concerns whole rows is applied.
    pub(crate) fn coordinate(self, rng: &mut SmallRng) -> f32 {
        let unit = rng.random_range(-1.0_f32..1.0);
        match self {
            Kind::Uniform
            | Kind::Duplicates
            | Kind::AllEqual
            | Kind::OneOutlier
            | Kind::HugeDimension => unit,
            Kind::Lattice => f32::from(rng.random_range(-2_i8..=2)),
            Kind::Offset => 1e4 + unit,
            Kind::Cluster => 0.5 + unit * 1e-3,
            Kind::HeavyTails => unit.signum() * unit.abs().max(1e-6).powi(-3),
            Kind::Scale(scale) => unit * scale,
            Kind::Subnormals => f32::from_bits(rng.random_range(0..0x0080_0000)).copysign(unit),
            Kind::Zeros => 0.0_f32.copysign(unit),
            Kind::Largest => f32::MAX.copysign(unit),
        }
    }
}
