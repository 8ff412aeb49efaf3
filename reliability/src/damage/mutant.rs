//! Every way in which a file is damaged, numbered.
//!
//! Invariant: a mutant differs from the file it was made of.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::fs::{CWD, Mode, mkfifoat};

/// Pieces of these lengths change places or are lost: an offset, a line of a cache, a sector of a disk, a
/// block of the format.
const PIECES: [usize; 4] = [8, 64, 512, 1 << 16];
/// Pieces of at least this length change places with all others, smaller ones with the next one.
const ALL_PAIRS_FROM: usize = 512;

/// Pieces of which a large file has as many or more are left as they are.
const LARGE_PIECES_MAX: usize = 64;

/// What is done to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mutant {
    /// A bit has the other value.
    Flipped { bit: usize },
    /// Only the first bytes are left.
    Cut { len: usize },
    /// One byte more.
    Longer { byte: u8 },
    /// Two pieces have changed places.
    Swapped { piece: usize, a: usize, b: usize },
    /// All bits of a piece are 0 or 1.
    Blank { piece: usize, at: usize, byte: u8 },
    /// There is something else under the name.
    Replaced(Stand),
}

/// What stands in the place of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stand {
    Nothing,
    Directory,
    /// A symbolic link to a device that can be read for ever.
    Endless,
    /// A pipe that nobody writes to.
    Pipe,
}

const STANDS: [Stand; 4] = [
    Stand::Nothing,
    Stand::Directory,
    Stand::Endless,
    Stand::Pipe,
];
const LONGER: [u8; 2] = [0, 0xff];

/// The mutants of a file.
#[derive(Debug, Clone)]
pub(super) struct Mutants {
    file_bytes: usize,
    /// Flipped bits and cuts: every one, or for a large file so many, from all over it.
    drawn: Option<u64>,
    others: Vec<Mutant>,
}

impl Mutants {
    pub(super) fn new(original: &[u8], drawn: Option<u64>) -> Self {
        let file_bytes = original.len();
        let longer = LONGER.map(|byte| Mutant::Longer { byte });
        let others = longer
            .into_iter()
            .chain(STANDS.map(Mutant::Replaced))
            .chain(
                PIECES
                    .into_iter()
                    .filter(|piece| drawn.is_none() || file_bytes / piece < LARGE_PIECES_MAX)
                    .flat_map(|piece| pieces(piece, file_bytes)),
            )
            // Pieces may be equal, or blank already.
            .filter(|mutant| {
                matches!(mutant, Mutant::Replaced(_)) || mutant.bytes(original).is_some()
            });
        Self {
            file_bytes,
            drawn,
            others: others.collect(),
        }
    }

    pub(super) fn len(&self) -> u64 {
        let bits_and_cuts = self.drawn.unwrap_or(self.bits_and_cuts());
        bits_and_cuts + self.others.len() as u64
    }

    fn bits_and_cuts(&self) -> u64 {
        9 * self.file_bytes as u64
    }

    /// Mutant `number` below [`Self::len`].
    pub(super) fn nth(&self, number: u64) -> Option<Mutant> {
        let Some(number) = number.checked_sub(self.others.len() as u64) else {
            return self.others.get(number as usize).copied();
        };
        let number = match self.drawn {
            None => number,
            // The golden section spreads them evenly over file and bits.
            Some(_) => {
                let turn = u128::from(number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
                ((turn * u128::from(self.bits_and_cuts())) >> 64) as u64
            }
        } as usize;
        match number.checked_sub(8 * self.file_bytes) {
            None => Some(Mutant::Flipped { bit: number }),
            Some(len) => (len < self.file_bytes).then_some(Mutant::Cut { len }),
        }
    }
}

/// Pieces of a length that are blanked or change places.
fn pieces(piece: usize, file_bytes: usize) -> Vec<Mutant> {
    let blanks = (0..file_bytes.div_ceil(piece))
        .flat_map(|at| [0, 0xff].map(|byte| Mutant::Blank { piece, at, byte }));
    // Only whole pieces: with the last one the length of the file would change.
    let whole = file_bytes / piece;
    let swaps = (0..whole).flat_map(|a| {
        let last = match piece >= ALL_PAIRS_FROM {
            true => whole,
            false => whole.min(a + 2),
        };
        (a + 1..last).map(move |b| Mutant::Swapped { piece, a, b })
    });
    blanks.chain(swaps).collect()
}

impl Mutant {
    /// The bytes of the damaged file; `None` if they are the same, or none at all.
    pub(super) fn bytes(self, original: &[u8]) -> Option<Vec<u8>> {
        let mut bytes = original.to_vec();
        match self {
            Self::Flipped { bit } => *bytes.get_mut(bit / 8)? ^= 1 << (bit % 8),
            Self::Cut { len } => bytes.truncate(len),
            Self::Longer { byte } => bytes.push(byte),
            Self::Swapped { piece, a, b } => {
                let (before, behind) = bytes.split_at_mut_checked(b * piece)?;
                let first = before.get_mut(a * piece..)?.get_mut(..piece)?;
                first.swap_with_slice(behind.get_mut(..piece)?);
            }
            Self::Blank { piece, at, byte } => {
                let end = bytes.len().min((at + 1) * piece);
                bytes.get_mut(at * piece..end)?.fill(byte);
            }
            Self::Replaced(_) => return None,
        }
        (bytes != original).then_some(bytes)
    }
}

impl Stand {
    /// Puts it in the place of the file `path`.
    pub(super) fn put(self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)?;
        match self {
            Self::Nothing => Ok(()),
            Self::Directory => fs::create_dir(path),
            Self::Endless => symlink("/dev/zero", path),
            Self::Pipe => Ok(mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR)?),
        }
    }
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flipped { bit } => write!(f, "bit {} of byte {} flipped", bit % 8, bit / 8),
            Self::Cut { len } => write!(f, "cut to {len} bytes"),
            Self::Longer { byte } => write!(f, "with byte {byte:#04x} at its end"),
            Self::Swapped { piece, a, b } => {
                write!(f, "pieces {a} and {b} of {piece} bytes swapped")
            }
            Self::Blank { piece, at, byte } => {
                write!(f, "piece {at} of {piece} bytes all {byte:#04x}")
            }
            Self::Replaced(Stand::Nothing) => write!(f, "removed"),
            Self::Replaced(Stand::Directory) => write!(f, "replaced by a directory"),
            Self::Replaced(Stand::Endless) => write!(f, "replaced by a link to /dev/zero"),
            Self::Replaced(Stand::Pipe) => write!(f, "replaced by a pipe"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_bit_and_every_cut_is_there_once() {
        let original: Vec<u8> = (0..=250).cycle().take(1100).collect();
        let mutants = Mutants::new(&original, None);
        let all: Vec<Mutant> = (0..mutants.len())
            .map(|number| mutants.nth(number).unwrap())
            .collect();
        assert_eq!(mutants.nth(mutants.len()), None);
        let count = |is: fn(&Mutant) -> bool| all.iter().filter(|mutant| is(mutant)).count();
        assert_eq!(count(|it| matches!(it, Mutant::Flipped { .. })), 8800);
        assert_eq!(count(|it| matches!(it, Mutant::Cut { .. })), 1100);
        assert_eq!(count(|it| matches!(it, Mutant::Longer { .. })), 2);
        let swaps = 136 + 16 + 1;
        assert_eq!(count(|it| matches!(it, Mutant::Swapped { .. })), swaps);
        let blanks = 2 * (138 + 18 + 3 + 1);
        assert_eq!(count(|it| matches!(it, Mutant::Blank { .. })), blanks);
        let texts: HashSet<String> = all.iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), all.len());
        let bytes: Vec<_> = all.iter().filter_map(|it| it.bytes(&original)).collect();
        assert!(bytes.iter().all(|bytes| *bytes != original));
        assert_eq!(bytes.len(), all.len() - STANDS.len());
    }

    #[test]
    fn what_changes_nothing_is_no_mutant() {
        let zeros = [0; 1024];
        let blank = |byte| Mutant::Blank {
            piece: 512,
            at: 1,
            byte,
        };
        assert_eq!(blank(0).bytes(&zeros), None);
        assert!(blank(1).bytes(&zeros).is_some());
        let swapped = Mutant::Swapped {
            piece: 512,
            a: 0,
            b: 1,
        };
        assert_eq!(swapped.bytes(&zeros), None);
        let mutants = Mutants::new(&zeros, None);
        let all = (0..mutants.len()).filter_map(|number| mutants.nth(number));
        assert!(!all.into_iter().any(|it| it == blank(0) || it == swapped));
        assert_eq!(Mutant::Replaced(Stand::Nothing).bytes(&zeros), None);
    }

    #[test]
    fn some_can_be_drawn_from_all_over_a_large_file() {
        let mutants = Mutants::new(&vec![7; 1 << 20], Some(1000));
        let others = mutants.len() - 1000;
        let (mut low, mut cuts) = (0, 0);
        for number in others..mutants.len() {
            match mutants.nth(number).unwrap() {
                Mutant::Flipped { bit } => low += u32::from(bit < 4 << 20),
                Mutant::Cut { .. } => cuts += 1,
                other => panic!("{other}"),
            }
        }
        assert!((400..490).contains(&low), "{low}");
        assert!((100..125).contains(&cuts), "{cuts}");
    }
}
