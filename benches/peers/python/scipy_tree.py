"""scipy: cKDTree.query_ball_point, which returns no distances and so can do disks only."""

import numpy as np
import scipy
import scipy.spatial


class Adapter:
    def __init__(self, threads):
        self.threads = threads
        self.tree = None

    def hello(self):
        return {
            "name": "scipy cKDTree",
            "version": scipy.__version__,
            "capabilities": ["disk", "batch"],
            "bounds": "inclusive, f64",
        }

    def load(self, rows):
        self.tree = scipy.spatial.cKDTree(rows)

    def search(self, queries, rings):
        if any(d_min > 0 for d_min, _ in rings):
            raise ValueError("only disks can be searched")
        radii = np.array([d_max for _, d_max in rings])
        return self.tree.query_ball_point(queries, radii, workers=self.threads)

    def ids(self, found):
        return found
