"""Images that cannot be measured are refused with the reason."""

import numpy as np
import pytest

from microsnoop_engine.errors import InputError
from microsnoop_engine.modes.validation import check_image


@pytest.mark.parametrize(
    "image",
    [np.zeros(5), np.zeros((1, 2, 3, 4)), np.zeros((3, 0, 5)), np.full((4, 4), "a"), np.zeros((4, 4), complex)],
)
def test_bad_image(image):
    with pytest.raises(
        InputError, match=r"`image` is .* of shape \(.*\): it must hold numbers of shape \(channels, height, width\)"
    ):
        check_image(image)
