"""Resolve the channels, objects and segmentation of a run."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import (
    InputError,
)
from ..images.image_set import ImageSet, is_nuclear
from ..modes.settings import CropSettings
from ..segmentation.segmenter import Segmenter, segmenter
from ..tables.columns import IMAGE_SET

log = logging.getLogger(__name__)


def resolve_job(
    image_sets: Sequence[ImageSet],
    settings: CropSettings,
    channels: Sequence[str] | None = None,
    objects: str | None = None,
    segment: str | None = None,
    segment_channel: str | None = None,
) -> Job:
    """The job for these image sets.

    Parameters
    ----------
    image_sets : sequence of ImageSet
    settings : CropSettings
    channels : sequence of str, optional
        By default all of them.
    objects : str, optional
        The object set. By default the one that has label images, ``Nuclei`` where nuclei are segmented and ``Cells``
        where anything else is.
    segment : str, optional
        How objects are found. By default ``nuclei``, where there are no label images.
    segment_channel : str, optional
        By default the only channel that is named like a stain of DNA.

    Raises
    ------
    InputError
        If something does not exist, or cannot be chosen without being told.
    """
    existing = list(dict.fromkeys(name for image_set in image_sets for name in image_set.channels))
    chosen = tuple(channels) if channels else tuple(existing)
    for name in chosen:
        if name not in existing:
            raise InputError(f"--channels: there is no channel '{name}'; there are {', '.join(existing)}")
        if chosen.count(name) > 1:
            raise InputError(f"--channels: '{name}' stands twice")
    if settings.mode != "cells":
        for option, value in (("--segment", segment), ("--segment-channel", segment_channel), ("--objects", objects)):
            if value:
                raise InputError(f"{option} goes with --mode cells, not with --mode {settings.mode}")
        return Job(chosen, "Cells" if settings.mode == "single-cell" else IMAGE_SET, settings)
    labeled = list(dict.fromkeys(name for image_set in image_sets for name in image_set.labels))
    if segment is None and labeled:
        return Job(chosen, _choose_objects(objects, labeled), settings)
    if segment is None:
        log.info("no label images: finding nuclei (--segment nuclei)")
    segment = segment or "nuclei"
    if segment_channel is None:
        segment_channel = _choose_segment_channel(existing)
    elif segment_channel not in existing:
        raise InputError(f"--segment-channel: there is no channel '{segment_channel}'; there are {', '.join(existing)}")
    name = objects or ("Nuclei" if segment in ("nuclei", "cellpose:nuclei") else "Cells")
    if not re.fullmatch(r"[A-Za-z]\w*", name) or name == IMAGE_SET:
        raise InputError(f"--objects is '{name}': give a word such as Nuclei or Cells")
    return Job(chosen, name, settings, segment, segment_channel)


def _choose_objects(objects: str | None, labeled: list[str]) -> str:
    if objects is None:
        if len(labeled) > 1:
            raise InputError(f"there are label images of {', '.join(labeled)}: choose one with --objects")
        return labeled[0]
    if objects not in labeled:
        raise InputError(
            f"--objects: there are no label images of '{objects}', only of {', '.join(labeled)}; to find objects, "
            "give --segment"
        )
    return objects


def _choose_segment_channel(existing: list[str]) -> str:
    candidates = existing if len(existing) == 1 else [name for name in existing if is_nuclear(name)]
    if len(candidates) != 1:
        raise InputError(f"which channel shows the objects? Choose one of {', '.join(existing)} with --segment-channel")
    return candidates[0]


@dataclass(frozen=True)
class Job:
    """What is measured in every image set.

    Attributes
    ----------
    channels : tuple of str
        Their names, in the order of the columns.
    objects : str
        The object set; ``Image`` where images are measured as a whole.
    settings : CropSettings
    segment : str, optional
        How objects are found (see :func:`~.segmentation.segmenter.segmenter`); None where labels are given.
    segment_channel : str, optional
        The channel in which they are found.
    """

    channels: tuple[str, ...]
    objects: str
    settings: CropSettings
    segment: str | None = None
    segment_channel: str | None = None

    def segmenter(self, device: str) -> Segmenter | None:
        """What finds the objects; None where labels are given. Raises what :func:`.segmentation.segmenter` does."""
        return segmenter(self.segment, device) if self.segment else None
