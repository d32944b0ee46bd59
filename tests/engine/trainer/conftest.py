"""Training images that several test files share."""

import pytest
from training_runs import write_images

from microsnoop_engine.trainer.pool import read_pool


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """A folder of 24 images in two categories."""
    return write_images(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="session")
def pool(images):
    """The training images of the folder."""
    return read_pool(images)
