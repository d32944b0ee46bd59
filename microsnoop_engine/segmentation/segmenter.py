"""Choose a segmenter by its name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..errors import InputError
from .nuclei import segment_nuclei

Segmenter = Callable[[np.ndarray], np.ndarray]


def segmenter(name: str, device: str = "cpu") -> Segmenter:
    """The function that turns a plane (h, w) into labels (h, w).

    Parameters
    ----------
    name : str
        ``nuclei``, or ``cellpose:MODEL`` with the name of a Cellpose model or the path of its weights.
    device : str
        Where Cellpose computes.

    Raises
    ------
    InputError
        For any other name.
    """
    if name == "nuclei":
        return segment_nuclei
    kind, _, model = name.partition(":")
    if kind != "cellpose" or not model:
        raise InputError(f"segmentation '{name}' is unknown: give 'nuclei' or 'cellpose:MODEL' (name or path)")
    from .cellpose_adapter import CellposeSegmenter

    return CellposeSegmenter(model, device=device).segment
