"""Choose a segmenter by its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .nuclei import inverted, segment_nuclei
from .settings import SegmentationSettings

if TYPE_CHECKING:
    from .cellpose_adapter import CellposeSegmenter
    from .instanseg_adapter import InstanSegSegmenter

Segmenter = Callable[[NDArray[Any]], NDArray[np.int32]]

FITTING = {
    "nuclei": {"diameter", "invert", "min_contrast"},
    "cellpose": {"diameter", "invert"},
    "instanseg": {"invert", "segment_pixel_size"},
}
"""Settings of each kind of segmenter."""


def segmenter(name: str, device: str = "cpu", settings: SegmentationSettings | None = None) -> Segmenter:
    """Return the function that finds the objects of a plane.

    Parameters
    ----------
    name : str
        ``nuclei``, ``cellpose:MODEL`` with the name of a Cellpose model or the path of its weights, or
        ``instanseg:MODEL`` with the path of an InstanSeg model.
    device : str
        The device of Cellpose and InstanSeg: ``cpu``, ``cuda``, ``cuda:1`` or ``mps``. Nuclei are found on the CPU.
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
        If the package is not installed, or its weights or the device cannot be used.

    Examples
    --------
    >>> plane = np.zeros((40, 40))
    >>> plane[10:20, 5:15] = plane[25:35, 20:30] = 1.0
    >>> segmenter("nuclei")(plane).max().item()
    2
    """
    settings = settings or SegmentationSettings()
    kind, _, model = name.partition(":")
    if kind not in FITTING or bool(model) == (kind == "nuclei"):
        raise InputError(
            f"segmentation '{name}' is unknown: use nuclei, cellpose:MODEL (name or path) or instanseg:MODEL (path)"
        )
    _refuse_others(kind, settings)
    if kind == "nuclei":
        return partial(
            segment_nuclei, diameter=settings.diameter, invert=settings.invert, min_contrast=settings.min_contrast
        )
    network = _load(kind, model, device, settings)
    return (lambda plane: network.segment(inverted(plane))) if settings.invert else network.segment


def needs_pixel_size(name: str | None) -> bool:
    """Tell if a segmenter must know the pixel size of its planes.

    Parameters
    ----------
    name : str, optional
        See :func:`segmenter`.

    Returns
    -------
    bool
    """
    return name is not None and "segment_pixel_size" in FITTING.get(name.partition(":")[0], ())


def _refuse_others(kind: str, settings: SegmentationSettings) -> None:
    """Refuse settings that a segmenter does not have."""
    default = asdict(SegmentationSettings())
    for setting, value in asdict(settings).items():
        if value != default[setting] and setting not in FITTING[kind]:
            owners = [other for other in FITTING if setting in FITTING[other]]
            raise InputError(f"`{setting}` goes with `segment` {' or '.join(owners)}, not with {kind}")


def _load(kind: str, model: str, device: str, settings: SegmentationSettings) -> CellposeSegmenter | InstanSegSegmenter:
    """Load the network of another program."""
    if kind == "cellpose":
        from .cellpose_adapter import CellposeSegmenter

        return CellposeSegmenter(model, device, settings.diameter)
    if settings.segment_pixel_size is None:
        raise InputError("InstanSeg needs the pixel size of the images: set `segment_pixel_size`")
    from .instanseg_adapter import InstanSegSegmenter

    return InstanSegSegmenter(model, settings.segment_pixel_size, device)
