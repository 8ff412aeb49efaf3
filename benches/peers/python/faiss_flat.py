"""Faiss: IndexFlatL2.range_search, one query or a batch; rings by the distances that it returns."""

import faiss
import numpy as np

from bounds import above, squared

# A ring makes Faiss return the whole disk first, 12 bytes a hit, more than once; so a batch of rings
# goes in blocks that return at most this many hits, and never in fewer queries than 32: from 20 on it
# multiplies matrices.
HITS_MAX = 1 << 28
BLOCK_MIN = 32

# Rows of a join that are queries together.
JOIN_ROWS = 4096


class Adapter:
    def __init__(self, threads):
        faiss.omp_set_num_threads(threads)
        self.index = None

    def hello(self):
        return {
            "name": "Faiss IndexFlatL2",
            "version": faiss.__version__,
            "capabilities": ["ring", "disk", "batch", "nearest", "join"],
            "bounds": "f32, squared, the upper one strict (the next number is passed);"
            " a ring is a disk whose hits are filtered by the distances that it returns",
        }

    def load(self, rows):
        self.index = faiss.IndexFlatL2(rows.shape[1])
        self.index.add(rows)

    def search(self, queries, rings):
        if len(rings) == 1:
            block = len(queries)
            if rings[0][0] > 0:
                block = max(BLOCK_MIN, HITS_MAX // self.index.ntotal)
            starts = range(0, len(queries), block)
            blocks = [(queries[start : start + block], rings[0]) for start in starts]
        else:
            blocks = [(queries[n : n + 1], ring) for n, ring in enumerate(rings)]
        return [self.block(queries, squared(ring)) for queries, ring in blocks]

    def block(self, queries, bounds):
        low, high = bounds
        ends, distances, ids = self.index.range_search(queries, float(above(high)))
        if low > 0:
            ends, ids = kept(ends, ids, distances >= low)
        return ends, ids

    def join(self, ring):
        """Every pair in order, with the lower id first: the others are found too, and dropped."""
        found = []
        for start in range(0, self.index.ntotal, JOIN_ROWS):
            count = min(JOIN_ROWS, self.index.ntotal - start)
            ends, ids = self.block(self.index.reconstruct_n(start, count), squared(ring))
            owners = np.repeat(np.arange(start, start + count), np.diff(ends.astype(np.int64)))
            found.append(kept(ends, ids, ids > owners))
        return found

    def nearest(self, queries, count):
        _, ids = self.index.search(queries, count)
        return [(np.arange(len(queries) + 1) * count, ids.ravel())]

    def ids(self, found):
        for ends, ids in found:
            ends = ends.astype(np.int64)
            for start, end in zip(ends[:-1], ends[1:]):
                yield ids[start:end]


def kept(ends, ids, which):
    """The hits that are meant, and where those of each query end."""
    ends = ends.astype(np.int64)
    counts = [np.count_nonzero(which[start:end]) for start, end in zip(ends[:-1], ends[1:])]
    return np.cumsum([0] + counts), ids[which]
