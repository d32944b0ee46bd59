"""An embedder that cuts its crops on the device."""

import pytest

from microsnoop_engine import Embedder


@pytest.fixture(scope="module")
def on_device():
    """An embedder that cuts crops on its CPU as on a GPU."""
    embedder = Embedder(backend="torch", device="cpu", precision="float32", batch_size=5, threads=2)
    embedder.backend.takes_tensors = True
    return embedder
