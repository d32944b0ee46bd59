"""Images and labels that cannot be measured are refused with the reason."""

import numpy as np
import pytest

from microsnoop_engine.errors import InputError
from microsnoop_engine.modes.validation import check_image, check_labels


@pytest.mark.parametrize(
    "image",
    [np.zeros(5), np.zeros((1, 2, 3, 4)), np.zeros((3, 0, 5)), np.full((4, 4), "a"), np.zeros((4, 4), complex)],
)
def test_bad_image(image):
    with pytest.raises(
        InputError, match=r"`image` is .* of shape \(.*\): it must hold numbers of shape \(channels, height, width\)"
    ):
        check_image(image)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros((4, 5)), "`labels` are float64 of shape .*: they must be integers"),
        (np.zeros((4, 5), bool), "`labels` are bool of shape"),
        (np.zeros(5, int), "`labels` are int64 of shape"),
        (np.zeros((0, 4, 5), int), "`labels` are int64 of shape"),
        (np.zeros((5, 4), int), "`labels` are 4 x 5 pixels, but the image is 5 x 4: use the labels"),
        (np.full((4, 5), -1), "`labels` run from -1 to -1: they must be 0"),
        (np.full((4, 5), 2**31), "`labels` run from 2147483648 to 2147483648"),
        (np.full((4, 5), 2**63, np.uint64), "`labels` run from 9223372036854775808"),
    ],
)
def test_bad_labels(labels, message):
    with pytest.raises(InputError, match=message):
        check_labels(labels, (4, 5))
