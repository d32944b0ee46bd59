"""Settings of crops: what is refused, and with which words."""

import math

import pytest

from microsnoop_engine.errors import InputError
from microsnoop_engine.model.frame import Frame
from microsnoop_engine.modes.settings import CropSettings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode": "cell"}, "`mode` is 'cell': it must be one of cells, single-cell, tile, image"),
        ({"mask": "ring"}, "`mask` is 'ring': it must be one of box, object"),
        ({"normalize": "no"}, "`normalize` is 'no': it must be one of crop-first, pad-first"),
        ({"rescale_constant": 0.0}, "`rescale_constant` is 0.0: it must be a number from 0.1 to 20"),
        ({"rescale_constant": math.nan}, "`rescale_constant` is nan"),
        ({"rescale_constant": "2"}, "`rescale_constant` is '2'"),
        ({"rescale_constant": True}, "`rescale_constant` is True"),
        ({"scale": -1}, "`scale` is -1: it must be a number from 0.01 to 16"),
        ({"scale": math.inf}, "`scale` is inf"),
        ({"scale": "all"}, "`scale` is 'all': it must be auto, each, none or a number"),
        ({"scale": "each", "mode": "tile"}, "`scale` each goes with the modes cells and single-cell"),
        ({"scale": 2, "mode": "image"}, "`scale` does not go with `mode` image"),
        ({"magnifications": ()}, "`magnifications` must hold one number or more"),
        ({"magnifications": (1, 9)}, "`magnifications` is 9: it must be a number from 0.25 to 4"),
        ({"magnifications": (1, 2), "mode": "tile"}, "`magnifications` goes with the modes cells and single-cell"),
        ({"diameter": 0.5}, "`diameter` is 0.5: it must be a number from 1 to 10000"),
        ({"diameter": 30, "mode": "image"}, "`diameter` does not go with `mode` image"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(InputError, match=message):
        CropSettings(**settings)


def test_the_same_size_at_other_pixel_sizes():
    """An image whose pixels count twice has objects of half the diameter, in its pixels."""
    frame = Frame(128, zeros=False)
    assert CropSettings(diameter=40).zoomed(2).factor(frame) == 2 * CropSettings(diameter=40).factor(frame)
    assert CropSettings(scale=0.5).zoomed(3).factor(frame) == 1.5
    assert CropSettings(scale="none").zoomed(3).factor(frame) == 3
    assert CropSettings(scale="each").zoomed(3) == CropSettings(scale="each")


def test_no_factor_before_the_diameter_is_known():
    with pytest.raises(InputError, match="`scale` auto needs the typical diameter of the objects: set `diameter`"):
        CropSettings().factor(Frame())
