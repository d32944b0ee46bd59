"""Find the typical diameter of a run's objects once, and keep it for all its parts."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import MicrosnoopError, ResumeError, counted
from ..images.image_set import ImageSet
from ..images.labels import has_own_shape, read_labels
from ..model.devices import best_device
from ..model.frame import Frame
from ..modes.measure import typical_sides, with_diameter
from ..modes.regions import longer_sides, object_bounds
from ..segmentation.segmenter import Segmenter
from ..storage.atomic import write_atomic
from ..storage.paths import path_kind, read_bytes
from .job import Job
from .reading import add_labels, attempt, read_image

log = logging.getLogger(__name__)

DIAMETER = "diameter.json"
"""File of a results folder, from which the shards of a run and its continuation take the diameter."""
OBJECTS = 100
"""Objects after which no more image sets are looked at."""
IMAGE_SETS = (3, 12)
"""Image sets that are looked at, at least and at most."""
MIXED_SIZES = 4.0
"""Spread of sizes of which one factor for all is warned of."""
SEED = 0


@dataclass(frozen=True)
class TypicalDiameter:
    """Describe the typical diameter of the objects of a run.

    Attributes
    ----------
    pixels : float or None
        Median of the objects' longer sides, in pixels; None if no objects were found.
    objects : int
        Objects it is the median of.
    image_sets : int
        Image sets they lie in.
    spread : float
        Percentile 95 of the objects' longer sides over percentile 5.
    """

    pixels: float | None
    objects: int
    image_sets: int
    spread: float = 1.0

    def complete(self, job: Job) -> Job:
        """Return the job with the diameter in its settings; crops are not resized if there is none."""
        sides = np.empty(0) if self.pixels is None else np.array([self.pixels])
        return replace(job, settings=with_diameter(job.settings, sides))

    def log(self, job: Job, frame: Frame) -> None:
        """Log the diameter and the factor by which the crops of the completed job are resized."""
        if self.pixels is None:
            log.warning("no objects in %s: crops are not resized", counted(self.image_sets, "image sets"))
            return
        log.info(
            "crops are resized by %.3g: the typical diameter is %.4g pixels (median of %d in %s)",
            job.settings.factor(frame),
            self.pixels,
            self.objects,
            counted(self.image_sets, "image sets"),
        )
        if self.spread >= MIXED_SIZES:
            log.warning(
                "objects differ %.1f-fold in size (5 to 95 percent of them): measure kinds of objects in runs of their "
                "own, or set `scale` to each",
                self.spread,
            )


def find_diameter(image_sets: Sequence[ImageSet], job: Job) -> TypicalDiameter:
    """Measure the objects of some image sets, drawn with a fixed seed.

    Parameters
    ----------
    image_sets : sequence of ImageSet
        Of the whole run.
    job : Job

    Returns
    -------
    TypicalDiameter
    """
    needed = replace(job, channels=(job.segment_channel or job.channels[0],), results=None)
    segment = job.segmenter(best_device() if job.segment != "nuclei" else "cpu")
    sides: list[float] = []
    looked_at = 0
    for index in np.random.default_rng(SEED).permutation(len(image_sets)):
        image_set = image_sets[index]
        found = attempt(image_set, partial(_sides, image_set, needed, segment))
        if isinstance(found, MicrosnoopError):
            continue
        looked_at += 1
        sides += (found * image_set.scale).tolist()
        if looked_at == IMAGE_SETS[1] or (len(sides) >= OBJECTS and looked_at >= IMAGE_SETS[0]):
            break
    if not sides:
        return TypicalDiameter(None, 0, looked_at)
    low, middle, high = np.percentile(sides, (5, 50, 95)).tolist()
    return TypicalDiameter(middle, len(sides), looked_at, round(high / low, 2))


def _sides(image_set: ImageSet, job: Job, segment: Segmenter | None) -> NDArray[Any]:
    """Measure the objects of an image set; the pixels of its channels are read only where they are needed."""
    labels = image_set.labels.get(job.objects)
    if segment is None and labels is not None and job.settings.mode == "cells" and has_own_shape(labels):
        return longer_sides(object_bounds(read_labels(labels, job.objects, None))[1])
    return typical_sides(*add_labels(image_set, read_image(image_set, job), job, segment), job.settings)


def read_diameter(folder: Path) -> TypicalDiameter | None:
    """Read the diameter of an earlier part of the run, if there is one.

    Raises
    ------
    ResumeError
        If the file cannot be used.
    """
    path = folder / DIAMETER
    if path_kind(path) != "file":
        return None
    try:
        return TypicalDiameter(**json.loads(read_bytes(path)))
    except (ValueError, TypeError):
        raise ResumeError(f"'{path}' is damaged: delete it, and the typical diameter is found again") from None


def write_diameter(folder: Path, diameter: TypicalDiameter) -> None:
    """Write the diameter for later parts of the run."""
    write_atomic(folder / DIAMETER, (json.dumps(diameter.__dict__) + "\n").encode())
