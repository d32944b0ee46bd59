"""Read PNG, JPEG and other pictures of one plane or of colors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError
from ..storage.paths import open_whole

SUFFIXES: tuple[str, ...] = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")


def read_array(path: Path, stack: bool = False) -> NDArray[Any]:
    """Read a picture: (h, w), or (colors, h, w) without alpha. It is no stack. See `formats.read_array`."""
    import imageio.v3 as imageio

    array = imageio.imread(open_whole(path), plugin="pillow")
    if array.ndim == 4:
        if len(array) > 1:
            raise ImageError(f"is an animation of {len(array)} frames: save each frame as an image of its own", path)
        array = array[0]
    if array.ndim == 2:
        return array
    return array[..., 0] if array.shape[-1] == 2 else np.moveaxis(array[..., :3], -1, 0)


def channel_names(path: Path) -> list[str]:
    """Name the colors of a picture; empty for a gray one. See `formats.channel_names`."""
    array = read_array(path)
    return [] if array.ndim == 2 else ["Red", "Green", "Blue"][: len(array)]
