"""Compute which part of each stage of the encoder a crop changes.

A crop that is smaller than the frame lies in the middle of zeros. Away from the crop the output of every stage is a
fixed background that depends on the weights alone; each 3x3 convolution extends the crop's influence by one pixel. So
a stage is computed only on the square that differs from the background, with the few pixels around it that its
convolutions read.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

CONVOLUTIONS = 4
"""Number of successive 3x3 convolutions in a stage."""


@dataclass(frozen=True)
class StageWindow:
    """Describe the squares of one stage, each by its distance in pixels from the edge of the stage's map.

    Attributes
    ----------
    changed : int
        Distance of the square in which the stage's input differs from the background.
    edges : tuple of int
        Distances of the squares of the input that is read and of the output of each convolution, in order; the last
        one is the changed part of the stage's output.
    """

    changed: int
    edges: tuple[int, ...]

    @property
    def padding(self) -> tuple[int, ...]:
        """Zeros to pad around the input of each convolution: 1 if its square reaches the map's edge, else 0."""
        return tuple(1 - (after - before) for before, after in pairwise(self.edges))


def stage_windows(size: int, frame: int, stages: int) -> list[StageWindow]:
    """Compute the squares of every stage.

    Parameters
    ----------
    size : int
        Height and width of the crop in pixels, even.
    frame : int
        Height and width of the frame of zeros in pixels, even.
    stages : int
        Number of stages of the encoder; all but the last are followed by pooling of 2 x 2 pixels.

    Returns
    -------
    list of StageWindow
        One per stage.

    Examples
    --------
    >>> [window.edges for window in stage_windows(64, 224, 2)]
    [(72, 73, 74, 75, 76), (30, 31, 32, 33, 34)]
    """
    windows, changed = [], (frame - size) // 2
    for stage in range(stages):
        last = max(changed - CONVOLUTIONS, 0)
        if stage < stages - 1:
            last -= last % 2  # so that pooling sees whole pairs
        windows.append(StageWindow(changed, tuple(max(last - k, 0) for k in range(CONVOLUTIONS, -1, -1))))
        changed = last // 2
    return windows
