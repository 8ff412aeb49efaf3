//! Many queries over one block of rows, on one thread.
//!
//! Invariant: each query finds in a block what it would find alone. A block is small enough to stay near
//! the processor while all queries pass over it, its rows and fine codes included, so that memory is read
//! once for all of them and unsure rows are decided while they are near.

use std::ops::Range;

use crate::code::{BATCH_QUERIES, CodeBatch, CodeQuery, Codes, TILE_ROWS};
use crate::distance::check_environment;
use crate::explain::{Explain, Tier, TierReport};
use crate::field::{Ask, Field, Found, Room, chunk_of};
use crate::guard::Guard;
use crate::kernel::{CHUNK_ROWS, CHUNK_TILES, Judged};
use crate::plan::Costs;

/// Coordinates of a block where there are no codes: 256 KB.
const BLOCK_COORDINATES: usize = 64 * 1024;

/// What a block gave.
#[derive(Debug)]
pub(crate) struct BlockFound {
    /// The ids of each query, one query after the other, ascending within it.
    pub(crate) ids: Vec<u32>,
    /// How many of them are of each query.
    pub(crate) counts: Vec<u32>,
    pub(crate) explain: Explain,
}

/// Room for a block, reused for the next.
pub(crate) struct BlockRoom {
    judged: Box<[Judged; BATCH_QUERIES]>,
    room: Room,
}

impl BlockRoom {
    pub(crate) fn new() -> Self {
        Self {
            judged: Box::new(std::array::from_fn(|_| Judged::new())),
            room: Room::new(),
        }
    }
}

/// Queries that go over a block together.
#[derive(Debug)]
pub(crate) struct Group<'a> {
    asks: &'a [Ask],
    /// Those that have codes to look at, in order; `None` if there are none.
    batch: Option<CodeBatch<'a>>,
}

impl<'a> Group<'a> {
    /// Of all queries, in order.
    pub(crate) fn all(asks: &'a [Ask]) -> Vec<Self> {
        let groups = asks.chunks(BATCH_QUERIES).map(|asks| {
            let queries: Vec<&CodeQuery> =
                asks.iter().filter_map(|ask| ask.codes.as_ref()).collect();
            let batch = CodeBatch::new(&queries);
            Self { asks, batch }
        });
        groups.collect()
    }
}

impl<'a, G: Guard> Field<'a, G> {
    /// How many rows a block has.
    pub(crate) fn block_rows(&self) -> usize {
        match self.codes {
            Some(_) => (self.chunk_rows() / 2).next_multiple_of(TILE_ROWS),
            None => (BLOCK_COORDINATES / self.rows.dims()).clamp(1, CHUNK_ROWS),
        }
    }

    /// Searches the rows of one block for each query. Checks its thread as every span does.
    pub(crate) fn search_block(
        &self,
        groups: &[Group<'_>],
        rows: Range<usize>,
        room: &mut BlockRoom,
    ) -> Result<BlockFound, G::Error> {
        self.guard.go_on()?;
        check_environment()?;
        let costs = Costs::new(self.rows.dims());
        let mut found = Found::nothing(true);
        let mut counts = Vec::with_capacity(groups.len() * BATCH_QUERIES);
        for Group { asks, batch } in groups {
            let judged = self.codes.as_ref().zip(batch.as_ref());
            if let Some((codes, batch)) = judged {
                self.judge_block(codes, batch, rows.clone(), &mut room.judged)?;
            }
            let mut all_judged = room.judged.iter_mut();
            for ask in *asks {
                let before = found.ids.len();
                let near = judged.zip(ask.codes.as_ref());
                match near.and_then(|near| Some((near, all_judged.next()?))) {
                    Some((((codes, _), query), judged)) => {
                        let chunk = chunk_of(codes, query, rows.clone());
                        let by_filter = self.keep_allowed(rows.clone(), judged);
                        let allowed = by_filter.map_or(chunk.rows, |it| it.unsure as usize);
                        let (inside, unsure) = (judged.n_inside(), judged.n_unsure());
                        let bytes = size_of_val(chunk.tiles);
                        let by_codes = TierReport::of(allowed, inside, unsure, bytes);
                        if costs.give_up(allowed, unsure) {
                            found.explain.waste(Tier::Codes, by_codes);
                            found.explain.switch();
                            self.scan(ask, rows.clone(), &mut found)?;
                        } else {
                            let by_filter = by_filter.unwrap_or_default();
                            found.explain.add(Tier::Filter, by_filter);
                            found.explain.add(Tier::Codes, by_codes);
                            self.refine(ask, codes, &chunk, judged, &mut room.room, &mut found)?;
                        }
                    }
                    None => self.scan(ask, rows.clone(), &mut found)?,
                }
                counts.push((found.ids.len() - before) as u32);
            }
        }
        Ok(BlockFound {
            ids: found.ids,
            counts,
            explain: found.explain,
        })
    }

    /// Forgets what was found of rows that are not allowed, and what the filter did if there is one.
    fn keep_allowed(&self, rows: Range<usize>, judged: &mut Judged) -> Option<TierReport> {
        let mut masks = [0; CHUNK_TILES];
        let allowed = self.filter?.masks(rows.clone(), &mut masks);
        judged.keep(&masks[..rows.len().div_ceil(TILE_ROWS)]);
        Some(TierReport::of(rows.len(), 0, allowed, 0))
    }

    fn judge_block(
        &self,
        codes: &Codes<'a>,
        batch: &CodeBatch<'_>,
        rows: Range<usize>,
        judged: &mut [Judged; BATCH_QUERIES],
    ) -> Result<(), G::Error> {
        let tiles = rows.start / TILE_ROWS..rows.end.div_ceil(TILE_ROWS);
        self.guard.codes(codes.tile_bytes(tiles.clone()))?;
        self.kernel
            .judge_batch(codes.tiles(tiles), rows.len(), batch, judged);
        Ok(())
    }
}
