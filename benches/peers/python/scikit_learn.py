"""scikit-learn: radius_neighbors by a ball tree, a k-d tree or brute force; rings by the distances
that it returns."""

import numpy as np
import sklearn
from sklearn.neighbors import NearestNeighbors

NAMES = {"ball": "BallTree", "kd": "KDTree", "brute": "brute force"}
ALGORITHMS = {"ball": "ball_tree", "kd": "kd_tree", "brute": "brute"}


class Adapter:
    def __init__(self, threads, variant):
        self.variant = variant
        self.threads = threads
        self.neighbours = NearestNeighbors(algorithm=ALGORITHMS[variant])

    def hello(self):
        return {
            "name": f"scikit-learn {NAMES[self.variant]}",
            "version": sklearn.__version__,
            "capabilities": ["ring", "disk", "batch"],
            "bounds": "inclusive, f64; a ring is a disk whose hits are filtered by the distances that it returns",
        }

    def load(self, rows):
        self.neighbours.fit(rows)

    def search(self, queries, rings):
        if len(rings) == 1:
            return self.all(queries, rings[0])
        return [self.all(queries[n : n + 1], ring)[0] for n, ring in enumerate(rings)]

    def all(self, queries, ring):
        d_min, d_max = ring
        # One query is no work to share, and sharing it costs more than a search.
        self.neighbours.n_jobs = self.threads if len(queries) > 1 else 1
        if d_min <= 0:
            return self.neighbours.radius_neighbors(queries, d_max, return_distance=False)
        pairs = zip(*self.neighbours.radius_neighbors(queries, d_max))
        return [ids[distances >= d_min] for distances, ids in pairs]

    def ids(self, found):
        return found
