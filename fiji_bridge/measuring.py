"""Measure an image of ImageJ from Python, with the same worker as the plugin."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

# this client of the worker needs no CellProfiler
from cellprofiler_plugins._microsnoop_client import Engine, find_engine, get_engine

from .imagej import ImageJError, at, channel_names, check_image, java_class, outlines, pixels, places, roi_masks

MOST_CHANNELS = 16
"""More than these are measured only if asked for: a color image of NumPy taken for channels has hundreds."""
MASKS = {"box": "box", "masked object": "object"}
WHOLE = {"tile": "tile", "rescale": "image"}


def measure(
    ij: Any,
    imp: Any,
    rois: str | np.ndarray | Sequence[Any] | None = "manager",
    channels: str | Sequence[str | int] | Mapping[str | int, str] | None = None,
    *,
    mode: str | None = None,
    rescale_constant: float = 2.0,
    diameter: float | None = None,
    slices: str = "current",
    weights: str = "fast",
    device: str = "auto",
) -> pd.DataFrame:
    """Measure the features of the objects of an image.

    Parameters
    ----------
    ij : object
        The gateway from ``imagej.init()``, or None: only classes of original ImageJ are used, which any gateway has.
    imp : ij.ImagePlus
    rois : {'manager', 'overlay'}, array (h, w), sequence of ij.gui.Roi, or None
        The objects: of the ROI Manager, of the image's overlay, labels (0 is background), ROIs; None: the whole image.
    channels : str, sequence of str or int, or mapping, optional
        Names, or numbers from 1, or one text with commas as in macros (``'all'``, ``'DNA,3'``, ``'1=DNA'``). A mapping
        gives names to channels: ``{1: 'DNA'}``. By default all, of which there may be 16.
    mode : str, optional
        ``box`` (default) or ``masked object``, with everything outside the object set to zero; of a whole image
        ``tile`` (default) or ``rescale``.
    rescale_constant : float
        Half the width of the box in units of the object's longer side: 2.0 for nuclei, 0.6 for whole cells.
    diameter : float, optional
        Longer side of a typical object in pixels: all boxes (and the tiles of a whole image) are scaled by one factor,
        so that its box fills what the network sees. By default every box is scaled to fill it.
    slices : {'current', 'all'}
    weights, device : str
        Of the engine.

    Returns
    -------
    pandas.DataFrame
        A row per object (and slice): Label, ObjectNumber, Slice and Frame of a stack, Center_X, Center_Y, then
        Microsnoop_E000_<channel> to E255 (or as many as the weights make), channel after channel.
        ``attrs['microsnoop']`` holds version, weights and sha256 of the engine.

    Raises
    ------
    ImageJError
        If image, ROIs or options cannot be used.
    EngineError
        If the engine is missing, stopped or refuses.

    Examples
    --------
    >>> ij = imagej.init()  # doctest: +SKIP
    >>> imp = ij.IJ.openImage("cells.tif")  # doctest: +SKIP
    >>> measure(ij, imp, rois=labels, channels=["DNA"]).shape  # doctest: +SKIP
    (114, 260)
    """
    imp = check_image(imp)
    whole = rois is None
    modes = WHOLE if whole else MASKS
    mode = mode or next(iter(modes))
    if mode not in modes:
        raise ImageJError(f"mode is '{mode}': it must be one of {', '.join(modes)}")
    names = channel_names(imp)
    chosen = _channels(channels, names)
    labels = rois if isinstance(rois, np.ndarray) else None
    found = outlines(imp, rois) if labels is None and not whole else []
    scale = {} if diameter is None else {"diameter": float(diameter)}
    engine = _engine(weights, device)
    frames = []
    for place in places(imp, slices):
        here = [(number, roi) for number, roi in found if at(imp, roi, place)]
        if found and not here:
            continue
        image = pixels(imp, list(chosen), place)
        if whole:
            tiles = scale if WHOLE[mode] == "tile" else {}
            result = engine.run("measure_image", image=image, mode=WHOLE[mode], **tiles)
        else:
            options = {"mask": MASKS[mode], "rescale_constant": float(rescale_constant), **scale}
            result = _measure_objects(engine, image, labels, here, options)
        frames.append(_frame(imp, place, here, result, list(chosen.values()), whole, engine.info["dimension"]))
    if not frames:
        raise ImageJError(f"all {len(found)} ROIs belong to other slices: use slices='all'")
    frame = pd.concat(frames, ignore_index=True)
    frame.attrs["microsnoop"] = {key: engine.info[key] for key in ("version", "weights", "sha256")}
    return frame


def _measure_objects(
    engine: Engine, image: np.ndarray, labels: np.ndarray | None, here: list[tuple[int, Any]], options: dict[str, Any]
) -> dict[str, Any]:
    """Run the task for labels or for outlines."""
    if labels is not None:
        return engine.run("measure_objects", image=image, labels=np.ascontiguousarray(labels), **options)
    masks = list(roi_masks(here))
    return engine.run(
        "measure_rois",
        image=image,
        boxes=np.array([mask.box for mask in masks], np.int32),
        masks=np.concatenate([mask.mask.ravel() for mask in masks]),
        **options,
    )


def _frame(
    imp: Any,
    place: tuple[int, int],
    here: list[tuple[int, Any]],
    result: dict[str, Any],
    channels: list[str],
    whole: bool,
    dimension: int,
) -> pd.DataFrame:
    """Arrange the outputs of a task as rows of a table."""
    title, count = str(imp.getTitle()), len(result["features"])
    numbers = np.ones(1, int) if whole else result["object_number"]
    if here:
        names = [mask.name for mask in roi_masks(here)]
        labels = [f"{title}:{names[number - 1]}" for number in numbers]
        numbers = np.array([here[number - 1][0] for number in numbers])
    else:
        labels = [title] if whole else [f"{title}:{number}" for number in numbers]
    columns: dict[str, Any] = {"Label": labels, "ObjectNumber": numbers}
    if int(imp.getNSlices()) > 1:
        columns["Slice"] = np.full(count, place[0])
    if int(imp.getNFrames()) > 1:
        columns["Frame"] = np.full(count, place[1])
    if not whole:
        columns["Center_X"], columns["Center_Y"] = result["center"][:, 1], result["center"][:, 0]
    names = [f"Microsnoop_E{index:03d}_{channel}" for channel in channels for index in range(dimension)]
    return pd.concat([pd.DataFrame(columns), pd.DataFrame(result["features"], columns=names)], axis=1)


def _channels(wanted: Any, names: list[str]) -> dict[int, str]:
    """Return the channels to measure (from 0), with their names for the columns."""
    if wanted is None and len(names) > MOST_CHANNELS:
        raise ImageJError(
            f"the image has {len(names)} channels: if it comes from a NumPy array (h, w, c), convert it with "
            "ij.py.to_imageplus(xarray.DataArray(array, dims=('row', 'col', 'ch'))); if they are channels, pass "
            "channels='all'"
        )
    if wanted is None:
        return dict(enumerate(names))
    if isinstance(wanted, Mapping):
        pairs = [(_channel(channel, names), str(name)) for channel, name in wanted.items()]
    else:
        if isinstance(wanted, int):
            wanted = [wanted]
        elif isinstance(wanted, str | java_class("java.lang.String")):
            wanted = range(1, len(names) + 1) if str(wanted).lower() == "all" else str(wanted).split(",")
        pairs = []
        for channel in wanted:
            which, _, name = str(channel).partition("=")
            number = _channel(which, names)
            pairs.append((number, name.strip() or names[number]))
    chosen = dict(pairs)
    if not chosen or len(chosen) < len(pairs) or len(set(chosen.values())) < len(pairs):
        raise ImageJError(f"channels is {wanted!r}: name each once, of {', '.join(names)}")
    return chosen


def _channel(channel: Any, names: list[str]) -> int:
    """Find a channel (from 0) by its name, or its number from 1."""
    word = str(channel).strip()
    for number, name in enumerate(names):
        if name.lower() == word.lower():
            return number
    if word.isdecimal() and 1 <= int(word) <= len(names):
        return int(word) - 1
    raise ImageJError(f"there is no channel {word!r}; there are {', '.join(names[:16])} (or 1 to {len(names)})")


def _engine(weights: str, device: str) -> Engine:
    """Return the engine of this Python: in its own environment, or in that which MICROSNOOP_PYTHON names."""
    command = find_engine() if os.environ.get("MICROSNOOP_PYTHON") else (sys.executable, "-m", "microsnoop_engine")
    return get_engine(command, ("--model", weights, "--device", device))
