"""Find the pixels of a crop that belong to its object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .regions import Regions


@dataclass(frozen=True)
class LabelMasks:
    """Take the pixels of objects from label planes.

    Attributes
    ----------
    planes : array (p, h, w), integer
        Labels of the size of the image.
    regions : Regions
        The crops.
    """

    planes: NDArray[Any]
    regions: Regions

    def inside(self, row: int) -> NDArray[np.bool_]:
        """Return the pixels (h, w) of the object in the crop of a row of the regions."""
        y0, x0, y1, x1 = self.regions.box[row].tolist()
        mask: NDArray[np.bool_] = (self.planes[:, y0:y1, x0:x1] == self.regions.object_number[row]).any(0)
        return mask


@dataclass(frozen=True)
class OutlineMasks:
    """Take the pixels of objects from their outlines.

    Attributes
    ----------
    boxes : array (n, 4), integer
        y0, x0, y1, x1 of the outlines, by object number from 1.
    masks : sequence of array (y1 - y0, x1 - x0), bool
        Their pixels.
    regions : Regions
        The crops.
    """

    boxes: NDArray[Any]
    masks: Sequence[NDArray[np.bool_]]
    regions: Regions

    def inside(self, row: int) -> NDArray[np.bool_]:
        """Return the pixels (h, w) of the object in the crop of a row of the regions."""
        y0, x0, y1, x1 = self.regions.box[row].tolist()
        index = int(self.regions.object_number[row]) - 1
        mask, (top, left, _, _) = self.masks[index], self.boxes[index].tolist()
        y, x = np.arange(y0, y1) - top, np.arange(x0, x1) - left
        within_y, within_x = (y >= 0) & (y < mask.shape[0]), (x >= 0) & (x < mask.shape[1])
        inside = np.zeros((y1 - y0, x1 - x0), bool)
        inside[np.ix_(within_y, within_x)] = mask[np.ix_(y[within_y], x[within_x])]
        return inside


ObjectMasks = LabelMasks | OutlineMasks
