"""How far into the zeros around it a crop changes what the encoder answers, stage by stage.

A crop of s < 224 pixels stands in the middle of a frame of zeros. Away from the crop every stage answers with a fixed
background that depends on the weights alone; each 3x3 convolution carries the crop's influence one pixel further. So
a stage is computed on the square that differs from the background, and on the few pixels around it that its
convolutions read.
"""

from __future__ import annotations

from dataclasses import dataclass

CONVOLUTIONS = 4
"""3x3 convolutions of a stage, one after the other."""


@dataclass(frozen=True)
class StageWindow:
    """The squares of one stage, each as its distance in pixels from the edge of the stage's map.

    Attributes
    ----------
    changed : int
        Of what differs from the background in the stage's input.
    edges : tuple of int
        Of the input that is read, then of what each convolution answers; the last is the changed part of the output.
    """

    changed: int
    edges: tuple[int, ...]

    @property
    def padding(self) -> tuple[int, ...]:
        """Zeros around the input of each convolution: 1 where its square ends with the map, else 0."""
        return tuple(1 - (after - before) for before, after in zip(self.edges, self.edges[1:], strict=False))


def stage_windows(size: int, frame: int, stages: int) -> list[StageWindow]:
    """The squares of every stage.

    Parameters
    ----------
    size : int
        Height and width of the crop in pixels; even, as the frame is.
    frame : int
        Height and width of the frame of zeros in pixels.
    stages : int
        Stages of the encoder; each but the last is followed by pooling of 2 x 2 pixels.
    """
    result, changed = [], (frame - size) // 2
    for stage in range(stages):
        last = max(changed - CONVOLUTIONS, 0)
        if stage < stages - 1:
            last -= last % 2  # so that pooling sees whole pairs
        result.append(StageWindow(changed, tuple(max(last - k, 0) for k in range(CONVOLUTIONS, -1, -1))))
        changed = last // 2
    return result
