"""What adapters share: bounds squared in f64 and rounded once to f32."""

import numpy as np


def squared(ring):
    """The least and the greatest squared distance of a ring, both inside."""
    d_min, d_max = ring
    return np.float32(d_min * d_min), np.float32(d_max * d_max)


def above(bound):
    """The next f32, for a library that leaves its bound out."""
    return np.nextafter(bound, np.float32(np.inf))
