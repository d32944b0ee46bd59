"""An embedder that cuts its crops on the device."""

import pytest

from microsnoop_engine import Embedder


@pytest.fixture(scope="module")
def embedder(paper_embedder):
    """The paper's network, whose every step is compared."""
    return paper_embedder


@pytest.fixture(scope="module")
def on_device(paper_weights):
    """An embedder that cuts crops on its CPU as on a GPU."""
    embedder = Embedder(paper_weights, backend="torch", device="cpu", precision="float32", batch_size=5, threads=2)
    embedder.backend.takes_tensors = True
    return embedder
