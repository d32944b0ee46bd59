"""The network that the tests of the model compare."""

import pytest


@pytest.fixture(scope="module")
def embedder(paper_embedder):
    """The paper's network, whose every step is compared."""
    return paper_embedder
