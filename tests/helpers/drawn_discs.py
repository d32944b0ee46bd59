"""Draw discs on noise, for networks that segment."""

import numpy as np

RADIUS = 6


def draw_discs(seed, shape, n):
    """Bright discs on noise, uint16, from 0 to 65535, and their labels."""
    rng = np.random.default_rng(seed)
    centers = []
    while len(centers) < n:
        center = rng.uniform(1.5 * RADIUS, np.array(shape) - 1.5 * RADIUS)
        if all(np.hypot(*(center - other)) > 2.5 * RADIUS for other in centers):
            centers.append(center)
    y, x = np.indices(shape)
    labels = np.zeros(shape, np.int32)
    for number, (cy, cx) in enumerate(centers, start=1):
        labels[np.hypot(y - cy, x - cx) < RADIUS] = number
    image = 8000 * (labels > 0) + rng.normal(0, 400, shape)
    image = (image - image.min()) * (65535 / np.ptp(image))
    return image.round().astype(np.uint16), labels


def draw_many(n_images, shape, n):
    """Images and labels of several seeds."""
    return zip(*(draw_discs(seed, shape, n) for seed in range(n_images)), strict=True)


def assert_found(found, truth):
    """Check that every disc is an object of its own that covers it."""
    assert found.dtype == np.int32
    assert found.shape == truth.shape
    assert set(np.unique(found)) == set(range(truth.max() + 1))
    for disc in range(1, truth.max() + 1):
        best = np.bincount(found[truth == disc]).argmax()
        assert best > 0
        overlap = np.sum((truth == disc) & (found == best)) / np.sum((truth == disc) | (found == best))
        assert overlap > 0.5
