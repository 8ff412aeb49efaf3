//! What a search did: how many rows each tier saw, what it proved of them, and what that cost.
//!
//! Invariant: the rows that a tier leaves unsure are rows of the next one, which sees no others but those that
//! passed the prefix by, and outside plus inside over all tiers is the number of rows. Behind boxes come the
//! coordinates, and where only some rows are allowed, the filter sees those that are in boxes inside.

use std::fmt;
use std::ops::AddAssign;

/// One stage of a search.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// Boxes around rows of few coordinates, which decide all of their rows at once.
    Boxes,
    /// The rows that are allowed, where not all are: it tells which are not, without reading anything, and counts those as
    /// outside.
    Filter,
    /// Half a byte for the first coordinates of a rotation, or for each coordinate, read from the first row to
    /// the last.
    Prefix,
    /// A byte for each coordinate, of groups of sixteen rows of which the prefix left some unsure, or of all
    /// rows where prefixes were not looked at.
    Codes,
    /// Another byte for each coordinate, of the rows that codes left unsure.
    Fine,
    /// The coordinates, of the rows that fine codes or boxes left unsure, and of those that are allowed where they are
    /// few.
    Rows,
    /// The coordinates of rows whose codes or boxes were not looked at: there are none, or so many rows would
    /// have been unsure, or in boxes inside, that reading all of them costs less.
    Scan,
}

impl Tier {
    /// All of them, in the order in which a row meets them.
    pub const ALL: [Self; 7] = [
        Self::Boxes,
        Self::Filter,
        Self::Prefix,
        Self::Codes,
        Self::Fine,
        Self::Rows,
        Self::Scan,
    ];

    /// `"boxes"`, `"filter"`, `"prefix"`, `"codes"`, `"fine"`, `"rows"` or `"scan"`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Boxes => "boxes",
            Self::Filter => "filter",
            Self::Prefix => "prefix",
            Self::Codes => "codes",
            Self::Fine => "fine",
            Self::Rows => "rows",
            Self::Scan => "scan",
        }
    }
}

/// What one tier did.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TierReport {
    /// Rows that it saw.
    pub rows: u64,
    /// Rows that it proved outside the ring, or not allowed.
    pub outside: u64,
    /// Rows that it proved inside.
    pub inside: u64,
    /// Rows that it left to the next tier.
    pub unsure: u64,
    /// Bytes of codes or coordinates that it read.
    pub bytes: u64,
}

impl TierReport {
    pub(crate) fn of(rows: usize, inside: usize, unsure: usize, bytes: usize) -> Self {
        Self {
            rows: rows as u64,
            outside: (rows - inside - unsure) as u64,
            inside: inside as u64,
            unsure: unsure as u64,
            bytes: bytes as u64,
        }
    }
}

impl AddAssign for TierReport {
    fn add_assign(&mut self, other: Self) {
        self.rows += other.rows;
        self.outside += other.outside;
        self.inside += other.inside;
        self.unsure += other.unsure;
        self.bytes += other.bytes;
    }
}

/// What a search did, tier by tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Explain {
    tiers: [TierReport; Tier::ALL.len()],
    spans: u64,
    left_boxes: u64,
    left_prefix: u64,
    switched: u64,
}

impl Explain {
    /// What one tier did.
    #[must_use]
    pub fn tier(&self, tier: Tier) -> TierReport {
        self.tiers[tier as usize]
    }

    /// Bytes of codes and coordinates that were read, over all tiers.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.tiers.iter().map(|tier| tier.bytes).sum()
    }

    /// Rows inside the ring that are allowed.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.tiers.iter().map(|tier| tier.inside).sum()
    }

    /// Parts that the rows were searched in.
    #[must_use]
    pub fn spans(&self) -> u64 {
        self.spans
    }

    /// Searches that turned from boxes to codes or rows, because boxes left so many rows that going on would
    /// cost more than it saves.
    #[must_use]
    pub fn left_boxes(&self) -> u64 {
        self.left_boxes
    }

    /// Parts in which the search stopped looking at prefixes, because the first rows of the part showed that
    /// they leave too many rows unsure.
    #[must_use]
    pub fn left_prefix(&self) -> u64 {
        self.left_prefix
    }

    /// Parts in which the search turned from codes to the rows themselves, because the first rows of
    /// the part showed that codes would cost more than they save.
    #[must_use]
    pub fn switched(&self) -> u64 {
        self.switched
    }

    pub(crate) fn of_span() -> Self {
        Self {
            spans: 1,
            ..Self::default()
        }
    }

    pub(crate) fn add(&mut self, tier: Tier, report: TierReport) {
        self.tiers[tier as usize] += report;
    }

    /// Bytes that a tier read for nothing: its rows will be looked at by another.
    pub(crate) fn waste(&mut self, tier: Tier, TierReport { bytes, .. }: TierReport) {
        let nothing = TierReport::default();
        self.add(tier, TierReport { bytes, ..nothing });
    }

    pub(crate) fn begin_span(&mut self) {
        self.spans += 1;
    }

    pub(crate) fn leave_boxes(&mut self) {
        self.left_boxes = 1;
    }

    pub(crate) fn leave_prefix(&mut self) {
        self.left_prefix = 1;
    }

    pub(crate) fn switch(&mut self) {
        self.switched = 1;
    }
}

impl AddAssign for Explain {
    fn add_assign(&mut self, other: Self) {
        for (tier, other) in self.tiers.iter_mut().zip(other.tiers) {
            *tier += other;
        }
        self.spans += other.spans;
        self.left_boxes += other.left_boxes;
        self.left_prefix += other.left_prefix;
        self.switched += other.switched;
    }
}

/// A line for each tier that read anything or, as the filter, saw rows, one for the searches that left boxes if any did, and one for the
/// parts that were switched, by what.
impl fmt::Display for Explain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<6}{:>12}{:>12}{:>12}{:>12}{:>15}",
            "tier", "rows", "outside", "inside", "unsure", "bytes"
        )?;
        for tier in Tier::ALL {
            let report = self.tier(tier);
            if report.bytes > 0 || report.rows > 0 {
                writeln!(
                    f,
                    "{:<6}{:>12}{:>12}{:>12}{:>12}{:>15}",
                    tier.name(),
                    report.rows,
                    report.outside,
                    report.inside,
                    report.unsure,
                    report.bytes
                )?;
            }
        }
        if self.left_boxes > 0 {
            writeln!(f, "boxes left {} times", self.left_boxes)?;
        }
        if self.left_prefix > 0 {
            writeln!(
                f,
                "{} of {} spans left the prefix",
                self.left_prefix, self.spans
            )?;
        }
        write!(
            f,
            "{} of {} spans turned to the scan of rows",
            self.switched, self.spans
        )
    }
}
