"""Crops as the modes give them to a network."""

import numpy as np

from microsnoop_engine.model.frame import PAPER
from microsnoop_engine.modes.normalization import center, normalize


def normalized_windows(crops, frame=PAPER):
    """Normalize crops of one size and center them in what the network sees, (n, 1, s, s)."""
    return np.stack([center(normalize(crop)[0], frame) for crop in crops])[:, None]
