"""Settings of crops: what is refused, and with which words."""

import math

import pytest

from microsnoop_engine.errors import InputError
from microsnoop_engine.modes.settings import CropSettings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode": "cell"}, "`mode` is 'cell': it must be one of cells, single-cell, tile, image"),
        ({"mask": "ring"}, "`mask` is 'ring': it must be one of box, object"),
        ({"normalize": "no"}, "`normalize` is 'no': it must be one of crop-first, pad-first"),
        ({"rescale_constant": 0.0}, "`rescale_constant` is 0.0: it must be a number from 0.1 to 20.0"),
        ({"rescale_constant": math.nan}, "`rescale_constant` is nan"),
        ({"rescale_constant": "2"}, "`rescale_constant` is '2'"),
        ({"rescale_constant": True}, "`rescale_constant` is True"),
        ({"scale": -1}, "`scale` is -1: it must be a number from 0.01 to 16.0"),
        ({"scale": math.inf}, "`scale` is inf"),
        ({"resize": 40}, "`resize` is 40: it must be a whole number from 48 to 224"),
        ({"resize": True}, "`resize` is True"),
        ({"resize": 96.0}, "`resize` is 96.0"),
        ({"resize": 96, "mode": "tile"}, "`resize` goes with the modes cells and single-cell, not with 'tile'"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(InputError, match=message):
        CropSettings(**settings)
