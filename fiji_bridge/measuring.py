"""Measure an image of ImageJ from Python, with the same worker as the plugin."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

# this client of the worker needs no CellProfiler
from cellprofiler_plugins._microsnoop_client import Engine, find_engine, get_engine

from .imagej import ImageJError, channel_names, check_image, image_name, java_class, pixels, places
from .objects import Labels, Outlines, find_objects

log = logging.getLogger(__name__)

MOST_CHANNELS = 16
"""More than these are measured only if asked for: a color image of NumPy taken for channels has hundreds."""
MASKS = {"box": "box", "masked object": "object"}
WHOLE = {"tile": "tile", "rescale": "image"}


def measure(
    ij: Any,
    imp: Any,
    rois: Any = "auto",
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
        The gateway from ``imagej.init()``, or None: only objects of ImageJ2 need it, to be converted.
    imp : ij.ImagePlus
    rois : str, labels, ROIs or None
        The objects. ``'manager'`` or ``'overlay'``: the ROIs of the ROI Manager, of the image's overlay; ``'auto'``: of
        the ROI Manager, or headless, where there is none, of the overlay. Labels (0 is background): an array (h, w) or
        with a plane for each frame and slice, xarray.DataArray, ij.ImagePlus, ImageProcessor, Dataset,
        RandomAccessibleInterval, ImgLabeling. ROIs: one ij.gui.Roi, a sequence of them, an Overlay, a ROITree. None:
        the whole image.
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
        The slice and frame that are shown, or all of them. Labels of a stack go with it plane by plane; a ROI with a
        position is measured there alone, and a warning tells how many slices had ROIs.
    weights, device : str
        Of the engine.

    Returns
    -------
    pandas.DataFrame
        A row per object (and slice): Label, ObjectNumber, Slice and Frame of a stack, Group and Roi_<property> of ROIs
        that have them, Center_X, Center_Y, then Microsnoop_E000_<channel> to E255 (or as many as the weights make),
        channel after channel. ``attrs['microsnoop']`` holds version, weights and sha256 of the engine.

    Raises
    ------
    ImageJError
        If image, objects or options cannot be used.
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
    modes = WHOLE if rois is None else MASKS
    mode = mode or next(iter(modes))
    if mode not in modes:
        raise ImageJError(f"mode is '{mode}': it must be one of {', '.join(modes)}")
    names = channel_names(imp)
    chosen = _channels(channels, names)
    objects = None if rois is None else find_objects(ij, imp, rois)
    options: dict[str, Any] = {} if diameter is None or mode == "rescale" else {"diameter": float(diameter)}
    if objects is None:
        options["mode"] = WHOLE[mode]
    else:
        options |= {"mask": MASKS[mode], "rescale_constant": float(rescale_constant)}
    engine = _engine(weights, device)
    frames = []
    chosen_places = places(imp, slices)
    for place in chosen_places:
        inputs = {} if objects is None else objects.inputs(place)
        if inputs is not None:
            task = "measure_image" if objects is None else objects.task
            result = engine.run(task, image=pixels(imp, list(chosen), place), **inputs, **options)
            frames.append(_frame(imp, place, objects, result, list(chosen.values()), engine.info["dimension"]))
    if not frames and objects is not None:
        raise ImageJError(objects.nothing())
    if len(frames) < len(chosen_places):
        title = image_name(imp)
        log.warning("%s: measured %d of %d slices: the others have no objects", title, len(frames), len(chosen_places))
    frame = pd.concat(frames, ignore_index=True)
    frame.attrs["microsnoop"] = {key: engine.info[key] for key in ("version", "weights", "sha256")}
    return frame


def _frame(
    imp: Any,
    place: tuple[int, int],
    objects: Labels | Outlines | None,
    result: dict[str, Any],
    channels: list[str],
    dimension: int,
) -> pd.DataFrame:
    """Arrange the outputs of a task as rows of a table."""
    title, count = image_name(imp), len(result["features"])
    described = {"ObjectNumber": [1]} if objects is None else objects.columns(place, result["object_number"])
    labels = [title] if objects is None else [f"{title}:{name}" for name in described.pop("name")]
    columns: dict[str, Any] = {"Label": labels, "ObjectNumber": described.pop("ObjectNumber")}
    if int(imp.getNSlices()) > 1:
        columns["Slice"] = np.full(count, place[0])
    if int(imp.getNFrames()) > 1:
        columns["Frame"] = np.full(count, place[1])
    columns |= described
    if objects is not None:
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
