"""Image sets and measurements of made-up numbers, for the tests of tables of profiles."""

import numpy as np

from microsnoop_engine.images.image_set import ImageSet
from microsnoop_engine.modes.measure import Measurement
from microsnoop_engine.modes.regions import Regions
from microsnoop_engine.tables.layout import Layout

RUN = {"inputs": "abc", "mode": "cells", "channels": ("DNA", "GFP")}
LAYOUT = Layout("Nuclei", ("DNA", "GFP"), {"Well": str, "Site": int, "Dose": float}, dimension=4)


def image_set(number):
    return ImageSet(number, {}, {}, {"Well": f"A{number:02d}", "Site": number, "Dose": number / 4})


def measurement(number, rows=3, width=8):
    """Numbers that tell image, row and column apart."""
    rng = np.random.default_rng(number)
    features = rng.normal(size=(rows, width)).astype(np.float32)
    box = rng.integers(0, 500, (rows, 4)).astype(np.int32)
    regions = Regions(
        np.arange(5, 5 + rows, dtype=np.int32), box, rng.random((rows, 2)).astype(np.float32), rng.random(rows) < 0.5
    )
    return Measurement(regions, features)
