"""Draw label images."""

import numpy as np
from scipy import ndimage


def random_labels(seed, shape=(150, 170), count=25):
    """Draw connected blobs with gaps in their numbers, some at the border."""
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.normal(size=shape), 4)
    blobs, found = ndimage.label(noise > np.quantile(noise, 0.75))
    numbers = np.r_[0, rng.choice(np.arange(1, 10 * found + 1), found, replace=False)]
    return numbers[blobs]
