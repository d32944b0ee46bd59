"""Draw some cells of each row of a table, as small pictures in false colors."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import ImageError, InputError
from ..images.image_set import is_nuclear
from ..images.image_set_file import read_image_sets
from ..images.planes import read_channels
from ..modes.resizing import resize
from ..tables.columns import BOX_COLUMNS, IMAGE_NUMBER, METADATA, OBJECT_NUMBER
from ..tables.formats import open_table

SIDE = 64
"""Size of a crop in a thumbnail, in pixels."""
ACROSS = 3
"""Crops in a row of a thumbnail."""
_BLUE = (0.25, 0.45, 1.0)
_COLORS = ((0.1, 0.9, 0.3), (1.0, 0.25, 0.6), (1.0, 0.75, 0.1), (0.1, 0.8, 0.9))
_PERCENTILES = (1.0, 99.7)


def thumbnails(
    frame: pd.DataFrame, keys: Sequence[str], profiles: Path, cells: int = 6, most: int = 400, seed: int = 0
) -> dict[int, bytes]:
    """Draw a JPEG of some crops for each row of a table.

    The gray levels of a channel are the same in all pictures, so wells can be compared.

    Parameters
    ----------
    frame : DataFrame
        A table of wells, treatments or objects.
    keys : sequence of str
        Columns that match the profiles to the rows.
    profiles : Path
        Results folder of a profile run, whose images have not moved.
    cells : int
        Crops in a picture, drawn at random from one field.
    most : int
        Largest number of pictures; of a larger table, rows are drawn at random.
    seed : int
        Seed of the random draws.

    Returns
    -------
    dict of int to bytes
        Pictures by the number of the row, from 0; rows whose images cannot be read are left out.

    Raises
    ------
    InputError
        If the profiles have no such columns, or no image can be read.
    """
    random = np.random.default_rng(seed)
    image_sets, channels = read_image_sets(profiles)
    table = _read_metadata(profiles, keys)
    by_key = table.groupby([table[key].astype(str) for key in keys]).indices
    names = frame[list(keys)].astype(str).itertuples(index=False, name=None)
    keyed = [(row, key if len(key) > 1 else key[0]) for row, key in enumerate(names)]
    matched = [(row, by_key[key]) for row, key in keyed if key in by_key]
    if len(matched) > most:
        matched = [matched[n] for n in np.sort(random.choice(len(matched), most, replace=False))]
    crops, reason = {}, f"no row of the table matches by {', '.join(keys)}"
    for row, members in matched:
        number = table[IMAGE_NUMBER].iloc[random.choice(members)]
        field = members[(table[IMAGE_NUMBER].iloc[members] == number).to_numpy()]
        chosen = table.iloc[np.sort(random.choice(field, min(cells, len(field)), replace=False))]
        try:
            image = read_channels(image_sets[number], channels)
        except ImageError as error:
            reason = f"'{error.path}': {error}"
            continue
        boxes = chosen[BOX_COLUMNS].to_numpy() if BOX_COLUMNS[0] in chosen else [(0, 0, *image.shape[:0:-1])]
        crops[row] = np.stack([fit_square(image[:, y0:y1, x0:x1]) for x0, y0, x1, y1 in boxes])
    if not crops:
        raise InputError(f"`profiles`: no image of '{profiles}' can be shown: {reason}")
    low, high = np.percentile(np.concatenate([*crops.values()]), _PERCENTILES, axis=(0, 2, 3))
    colors = channel_colors(channels)
    return {row: jpeg(false_colors(cells_of_row, low, high, colors)) for row, cells_of_row in crops.items()}


def channel_colors(channels: Sequence[str]) -> NDArray[Any]:
    """Choose a color for each channel.

    Parameters
    ----------
    channels : sequence of str

    Returns
    -------
    array (c, 3)
        Red, green and blue, from 0 to 1: white for a single channel, blue for DNA, black from the sixth on.
    """
    if len(channels) == 1:
        return np.ones((1, 3))
    others = iter(_COLORS)
    black = (0.0, 0.0, 0.0)
    nuclear = next((name for name in channels if is_nuclear(name)), None)
    return np.array([_BLUE if name == nuclear else next(others, black) for name in channels])


def false_colors(crops: NDArray[Any], low: NDArray[Any], high: NDArray[Any], colors: NDArray[Any]) -> NDArray[Any]:
    """Mix the channels of crops into one picture, three crops in a row.

    Parameters
    ----------
    crops : array (n, c, s, s)
    low, high : array (c,)
        Gray levels shown black and in full color.
    colors : array (c, 3)
        Red, green and blue, from 0 to 1.

    Returns
    -------
    array (r * s, 3 * s, 3), uint8
        r rows, the last one filled up with black.
    """
    span = np.maximum(high - low, np.finfo(np.float32).tiny)
    level = ((crops - low[:, None, None]) / span[:, None, None]).clip(0, 1)
    mixed = np.rint(255 * np.einsum("ncyx,ck->nyxk", level, colors).clip(0, 1)).astype(np.uint8)
    empty = np.zeros((-len(mixed) % ACROSS, *mixed.shape[1:]), np.uint8)
    side = mixed.shape[1]
    rows = np.concatenate([mixed, empty]).reshape(-1, ACROSS, side, side, 3)
    picture: NDArray[np.uint8] = rows.swapaxes(1, 2).reshape(-1, ACROSS * side, 3)
    return picture


def _read_metadata(profiles: Path, keys: Sequence[str]) -> pd.DataFrame:
    source = open_table(profiles)
    missing = [key for key in (*keys, IMAGE_NUMBER) if key not in source.columns]
    if missing:
        raise InputError(f"`profiles`: '{profiles}' has no column {', '.join(missing)}, so its cells cannot be matched")
    known = [name for name in source.columns if name.startswith(METADATA) or name in (IMAGE_NUMBER, OBJECT_NUMBER)]
    return pd.concat([*source.chunks(known)], ignore_index=True)


def fit_square(crop: NDArray[Any]) -> NDArray[Any]:
    """Resize a crop to fit a black square.

    Parameters
    ----------
    crop : array (c, h, w)

    Returns
    -------
    array (c, s, s), float32
        s is :data:`SIDE`.
    """
    height, width = crop.shape[1:]
    factor = SIDE / max(height, width)
    shape = (max(round(height * factor), 1), max(round(width * factor), 1))
    result = np.zeros((len(crop), SIDE, SIDE), np.float32)
    top, left = ((SIDE - length) // 2 for length in shape)
    for plane, target in zip(crop, result, strict=True):
        target[top : top + shape[0], left : left + shape[1]] = resize(plane.astype(np.float32), shape)
    return result


def jpeg(picture: NDArray[Any]) -> bytes:
    """Encode a picture (h, w, 3), uint8, as JPEG."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=82)
    return buffer.getvalue()
