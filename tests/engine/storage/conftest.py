"""A screen for the tests of stores."""

import pytest
from stores import write_screen_of_five


@pytest.fixture
def screen(tmp_path):
    """A LoadData CSV of five image sets on the disk, the third of which lacks a file."""
    return write_screen_of_five(tmp_path / "screen")
