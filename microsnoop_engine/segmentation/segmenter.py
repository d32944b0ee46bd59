"""Choose a segmenter by its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .nuclei import inverted, segment_nuclei
from .settings import SegmentationSettings

Segmenter = Callable[[NDArray[Any]], NDArray[np.int32]]


def segmenter(name: str, device: str = "cpu", settings: SegmentationSettings | None = None) -> Segmenter:
    """Return the function that finds the objects of a plane.

    Parameters
    ----------
    name : str
        ``nuclei``, or ``cellpose:MODEL`` with the name of a Cellpose model or the path of its weights.
    device : str
        The device of Cellpose: ``cpu``, ``cuda``, ``cuda:1`` or ``mps``. The other segmenters use the CPU.
    settings : SegmentationSettings, optional

    Returns
    -------
    callable
        From a plane (h, w) to labels (h, w), int32: 0 is background, 1..n are the objects.

    Raises
    ------
    InputError
        If there is no such segmenter, no such model of the installed Cellpose, or a setting does not go with it.
    MissingExtraError, WeightsError, DeviceError
        If Cellpose is not installed, or its weights or the device cannot be used.

    Examples
    --------
    >>> plane = np.zeros((40, 40))
    >>> plane[10:20, 5:15] = plane[25:35, 20:30] = 1.0
    >>> segmenter("nuclei")(plane).max().item()
    2
    """
    settings = settings or SegmentationSettings()
    if name == "nuclei":
        return partial(segment_nuclei, **asdict(settings))
    kind, _, model = name.partition(":")
    if kind != "cellpose" or not model:
        raise InputError(f"segmentation '{name}' is unknown: use 'nuclei' or 'cellpose:MODEL' (name or path)")
    if settings.min_contrast != SegmentationSettings.min_contrast:
        raise InputError("`min_contrast` goes with `segment` nuclei, not with Cellpose")
    from .cellpose_adapter import CellposeSegmenter

    network = CellposeSegmenter(model, device, settings.diameter)
    return (lambda plane: network.segment(inverted(plane))) if settings.invert else network.segment
