"""scikit-learn: BallTree.query_radius, all queries in one call, as its estimators call it for each of their
threads; rings by the distances that it returns."""

import numpy as np
import sklearn
from sklearn.neighbors import BallTree


class Adapter:
    def __init__(self, threads):
        # The class has one thread, whatever it is given.
        self.tree = None

    def hello(self):
        return {
            "name": "scikit-learn BallTree",
            "version": sklearn.__version__,
            "capabilities": ["ring", "disk", "batch"],
            "bounds": "inclusive, f64; a ring is a disk whose hits are filtered by the distances that it returns; "
            "on one thread, however many it is given",
        }

    def load(self, rows):
        self.tree = BallTree(rows)

    def search(self, queries, rings):
        radii = np.array([d_max for _, d_max in rings])
        lows = [d_min for d_min, _ in rings]
        if max(lows) <= 0:
            return self.tree.query_radius(queries, radii)
        found, distances = self.tree.query_radius(queries, radii, return_distance=True)
        lows = np.broadcast_to(lows, len(queries))
        return [ids[away >= low] for ids, away, low in zip(found, distances, lows)]

    def ids(self, found):
        return found
