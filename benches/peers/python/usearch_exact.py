"""usearch: its exact search knows the nearest k only, no radius; it can stand beside a disk whose
number of hits is known beforehand."""

import numpy as np
import usearch
import usearch.index


class Adapter:
    def __init__(self, threads):
        self.threads = threads
        self.rows = None

    def hello(self):
        return {
            "name": "usearch exact",
            "version": usearch.__version__,
            "capabilities": ["nearest", "batch"],
            "bounds": "none, the nearest k",
        }

    def load(self, rows):
        self.rows = rows

    def nearest(self, queries, count):
        return usearch.index.search(
            self.rows, queries, count, "l2sq", exact=True, threads=self.threads
        )

    def ids(self, found):
        return np.atleast_2d(found.keys)
