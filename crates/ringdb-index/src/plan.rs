//! The plan of a span: codes or rows, decided by doing.
//!
//! Invariant: a plan changes what a search costs, never what it finds. The first chunk of each span is
//! searched with prefixes and codes; that is work done, not a rehearsal, and it tells what the rest would cost.

use crate::code::{TILE_ROWS, fine_stride, tile_bytes};

/// By how much reading single rows is dearer, byte for byte, than reading all of them in order, as long
/// as few are read.
const SINGLE: f64 = 4.0;

/// What it takes to pick a row and judge it alone, in bytes read in order meanwhile.
const PICK: f64 = 128.0;

/// What it takes to pick a row beside looking at it, in bytes that are scanned meanwhile.
const PICK_SCANNED: f64 = 192.0;

/// How many rows are told whether they are allowed, in the order of boxes, while one row that is allowed is read.
const SINGLE_ALLOWED: usize = 10;

/// What codes cost for a set of rows, in bytes a row, relative to a scan.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Costs {
    tile: f64,
    fine: f64,
    row: f64,
}

impl Costs {
    pub(crate) fn new(dims: usize) -> Self {
        Self {
            tile: (tile_bytes(dims) / TILE_ROWS) as f64,
            fine: fine_stride(dims) as f64,
            row: (size_of::<f32>() * dims) as f64,
        }
    }

    /// Whether rows like these, of which so many were unsure after their codes, and so many after their
    /// fine codes, are better scanned without codes.
    pub(crate) fn prefer_scan(&self, rows: usize, unsure: usize, unsure_fine: usize) -> bool {
        let share = |n: usize| n as f64 / rows.max(1) as f64;
        let picked = |share: f64, bytes: f64| PICK * share + bytes * (SINGLE * share).min(1.0);
        let fine = picked(share(unsure), self.fine);
        self.tile + fine + picked(share(unsure_fine), self.row) > self.row
    }

    /// Whether the coordinates of some rows, in so many tiles, cost less than the codes of those tiles.
    pub(crate) fn prefer_rows(&self, rows: usize, tiles: usize) -> bool {
        self.row * rows as f64 <= self.tile * (tiles * TILE_ROWS) as f64
    }

    /// Whether to pick so many of some rows that are scanned, and not to read all of them.
    pub(crate) fn prefer_picks(&self, picked: usize, rows: usize) -> bool {
        self.as_scanned(picked, rows) < rows
    }

    /// How many rows of so many are scanned in the time that it takes to look at those of them that are picked.
    pub(crate) fn as_scanned(&self, picked: usize, rows: usize) -> usize {
        rows.min((picked as f64 * (1.0 + PICK_SCANNED / self.row)) as usize)
    }

    /// Whether codes cost more than they can save, whatever they prove.
    pub(crate) fn never_pay(&self) -> bool {
        self.tile >= self.row
    }

    /// Whether prefixes of so many bytes a tile, which left unsure rows in some of these tiles, cost less than
    /// they spared.
    pub(crate) fn prefix_pays(&self, tile_bytes: usize, tiles: usize, open: usize) -> bool {
        let of_row = (tile_bytes / TILE_ROWS) as f64;
        of_row < self.tile * (tiles - open) as f64 / tiles.max(1) as f64
    }

    /// Whether most rows were unsure after their codes, and a scan is better even if fine codes were to
    /// decide all of them.
    pub(crate) fn give_up(&self, rows: usize, unsure: usize) -> bool {
        2 * unsure > rows && self.prefer_scan(rows, unsure, 0)
    }
}

/// What a row costs that boxes leave, in rows of a scan.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BoxCosts {
    inside: f64,
    unsure: f64,
}

impl BoxCosts {
    /// The most threads on which a scan is as many times faster: memory is soon the limit.
    const SCAN_THREADS_MAX: usize = 4;

    /// For a search on so many threads, for ids or for their number. Threads share all work but that of putting
    /// ids in order, which a scan does not have.
    pub(crate) fn new(dims: usize, threads: usize, wants_ids: bool) -> Self {
        let threads = threads.clamp(1, Self::SCAN_THREADS_MAX) as f64;
        // Rows of more dims than eight are scanned one by one, but judged sixteen by sixteen in blocks.
        let [judge, id, maybe_id] = match dims {
            1..=8 => [1.4, 2.0, 1.6],
            _ => [0.55, 0.7, 0.35],
        };
        match wants_ids {
            true => Self {
                inside: id * threads,
                unsure: judge + maybe_id * threads,
            },
            false => Self {
                inside: 0.0,
                unsure: judge,
            },
        }
    }

    /// Whether a scan of so many rows costs less than looking at those that boxes left.
    pub(crate) fn prefer_scan(&self, rows: usize, inside: usize, unsure: usize) -> bool {
        self.inside * inside as f64 + self.unsure * unsure as f64 > rows as f64
    }
}

/// Whether a histogram costs less by the coordinates of so many rows that are allowed, wherever they are, than by all rows
/// that boxes left, allowed or not, in the order of boxes.
pub(crate) fn prefer_allowed(allowed: usize, left: usize) -> bool {
    SINGLE_ALLOWED * allowed < left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_given_up_where_they_do_not_pay() {
        let prefers = |dims: usize, unsure: usize, unsure_fine: usize| {
            Costs::new(dims).prefer_scan(1000, unsure, unsure_fine)
        };
        // A ring at the median distance of uniform rows, and a narrow one of embeddings.
        assert!(!prefers(64, 50, 1) && !prefers(384, 170, 2));
        // Rows at a bound itself.
        assert!(prefers(16, 1000, 1000) && prefers(64, 1000, 1000) && prefers(768, 1000, 1000));
        // What fine codes decide is still worth it where rows are long.
        assert!(!prefers(768, 1000, 0) && prefers(16, 1000, 0));
        let gives_up = |dims: usize, unsure: usize| Costs::new(dims).give_up(1000, unsure);
        assert!(gives_up(16, 1000) && !gives_up(16, 400) && !gives_up(768, 1000));
        let pays = |open: usize| Costs::new(64).prefix_pays(640, 16, open);
        assert!(pays(0) && pays(7) && !pays(8) && !pays(16));
        let never_pay = |dims: usize| Costs::new(dims).never_pay();
        assert!(never_pay(1) && never_pay(3) && !never_pay(4) && !never_pay(16));
    }

    #[test]
    fn few_rows_that_are_allowed_are_read_at_once() {
        assert!(prefer_allowed(0, 1) && prefer_allowed(50_000, 5_000_000));
        assert!(!prefer_allowed(0, 0) && !prefer_allowed(50_000, 50_000));
        assert!(!prefer_allowed(2_500_000, 5_000_000));
    }

    #[test]
    fn boxes_are_given_up_where_they_do_not_pay() {
        let prefers = |dims: usize, threads: usize, [inside, unsure]: [usize; 2]| {
            let [ids, number] = [true, false].map(|ids| BoxCosts::new(dims, threads, ids));
            [ids, number].map(|costs| costs.prefer_scan(1000, inside, unsure))
        };
        assert_eq!(prefers(3, 1, [70, 60]), [false, false]);
        assert_eq!(prefers(3, 1, [410, 190]), [true, false]);
        // The scan is shared, the order of ids is not.
        assert_eq!(prefers(3, 1, [0, 250]), [false, false]);
        assert_eq!(prefers(3, 2, [0, 250]), [true, false]);
        assert_eq!(prefers(3, 4, [0, 250]), prefers(3, 64, [0, 250]));
        // Nothing is known of a row for nothing, but for those that are inside and not named.
        assert_eq!(prefers(3, 1, [0, 750]), [true, true]);
        assert_eq!(prefers(3, 1, [1000, 0]), [true, false]);
        assert_eq!(prefers(10, 1, [0, 1000]), [false, false]);
    }
}
