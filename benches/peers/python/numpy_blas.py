"""numpy: the norm of the row, plus that of the query, minus twice their product by BLAS, compared."""

import numpy as np

from bounds import squared

# Squared distances held at once.
BLOCK = 1 << 24


class Adapter:
    def __init__(self, threads):
        self.rows = self.norms = None

    def hello(self):
        return {
            "name": "numpy",
            "version": np.__version__,
            "numpy": "",
            "capabilities": ["ring", "disk", "batch"],
            "bounds": "inclusive, f32, squared",
        }

    def load(self, rows):
        self.rows = rows
        self.norms = np.einsum("ij,ij->i", rows, rows)

    def search(self, queries, rings):
        if len(queries) == 1:
            return [self.one(queries[0], *squared(rings[0]))]
        bounds = np.array([squared(ring) for ring in rings], dtype=np.float32)
        low, high = bounds[:, :1], bounds[:, 1:]
        norms = np.einsum("ij,ij->i", queries, queries)[:, None]
        found = [[] for _ in queries]
        block = max(1, BLOCK // len(queries))
        for start in range(0, len(self.rows), block):
            sums = queries @ self.rows[start : start + block].T
            sums *= -2
            sums += self.norms[start : start + block]
            sums += norms
            owners, ids = np.nonzero(within(sums, low, high))
            ends = np.searchsorted(owners, np.arange(1, len(queries)))
            for own, part in zip(found, np.split(ids, ends)):
                own.append(part + start)
        return [np.concatenate(parts) for parts in found]

    def one(self, query, low, high):
        sums = self.rows @ query
        sums *= -2
        sums += self.norms
        sums += query @ query
        return np.nonzero(within(sums, low, high))[0]

    def ids(self, found):
        return found


def within(sums, low, high):
    """Which lie inside; those of equal vectors come out a little below zero, and a disk holds them."""
    inside = sums <= high
    if np.any(low > 0):
        inside &= low <= sums
    return inside
