"""A request that keeps an engine busy for minutes."""

import numpy as np

LONG = {  # 10000 crops of 224 pixels
    "image": np.random.RandomState(0).rand(1, 600, 600).astype(np.float32),
    "labels": np.kron(np.arange(1, 10001).reshape(100, 100), np.ones((6, 6))).astype(np.int32),
    "rescale_constant": 20.0,
}
