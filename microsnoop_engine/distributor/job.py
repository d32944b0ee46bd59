"""Resolve the channels, objects and segmentation of a run."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from ..errors import InputError, counted
from ..images.image_set import ImageSet, is_nuclear
from ..images.overlays import warn_of_outlines
from ..images.pixel_sizes import common_pixel_size
from ..modes.settings import CropSettings
from ..segmentation.segmenter import Segmenter, needs_pixel_size, segmenter
from ..segmentation.settings import SegmentationSettings
from ..tables.columns import IMAGE_SET

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """Define the measurement that is the same for every image set.

    Attributes
    ----------
    channels : tuple of str
        Channel names, in the order of the feature columns.
    objects : str
        Object set; ``Image`` where images are measured as a whole.
    settings : CropSettings
    segment : str, optional
        Segmentation method (see :func:`microsnoop_engine.segmentation.segmenter.segmenter`); None where labels are
        given.
    segment_channel : str, optional
        Channel that is segmented.
    segmentation : SegmentationSettings
    where : str, optional
        Query that chose the image sets.
    results : str, optional
        Results folder, where the segmented labels are to be saved.
    shared_folders : int
        Folders above all images, see :func:`.label_images.shared_folders`.
    classical : bool
        Handcrafted features of the objects are measured, too.
    """

    channels: tuple[str, ...]
    objects: str
    settings: CropSettings
    segment: str | None = None
    segment_channel: str | None = None
    segmentation: SegmentationSettings = field(default_factory=SegmentationSettings)
    where: str | None = None
    results: str | None = None
    shared_folders: int = 0
    classical: bool = False

    def segmenter(self, device: str) -> Segmenter | None:
        """Load the segmentation method.

        Parameters
        ----------
        device : str
            Where a segmentation network computes.

        Returns
        -------
        callable or None
            None where labels are given.

        Raises
        ------
        InputError
            If there is no such method.
        MissingExtraError
            If its package is not installed.
        """
        return segmenter(self.segment, device, self.segmentation) if self.segment else None


def resolve_job(
    image_sets: Sequence[ImageSet],
    settings: CropSettings,
    channels: Sequence[str] | None = None,
    objects: str | None = None,
    segment: str | None = None,
    segment_channel: str | None = None,
    segmentation: SegmentationSettings | None = None,
) -> Job:
    """Fill in the defaults of a job from the channels and labels of its image sets.

    Parameters
    ----------
    image_sets : sequence of ImageSet
    settings : CropSettings
    channels : sequence of str, optional
        Default: all channels.
    objects : str, optional
        Object set. Default: the one with label images; ``Nuclei`` where nuclei are segmented, ``Cells`` where anything
        else is.
    segment : str, optional
        Segmentation method. Default: ``nuclei`` where there are no label images.
    segment_channel : str, optional
        Channel to segment. Default: the only channel named like a DNA stain.
    segmentation : SegmentationSettings, optional

    Returns
    -------
    Job

    Raises
    ------
    InputError
        If a channel or object set does not exist, most image sets lack a channel, a default is ambiguous, or objects
        are focused on that are not measured by themselves.
    """
    counts = Counter(name for image_set in image_sets for name in image_set.channels)
    existing = list(counts)
    selected = _select_channels(channels, existing)
    _refuse_incomplete(image_sets, selected, counts)
    segmentation = segmentation or SegmentationSettings()
    focuses_objects = any(source.focuses_objects for image_set in image_sets for source in image_set.channels.values())
    if focuses_objects and not settings.masked:
        raise InputError(
            "`project` focus-object goes with `mode` cells and `mask` object: the pixels around an object would be of "
            "other planes"
        )
    if settings.mode != "cells":
        _refuse_settings(segmentation, "`mode` cells")
        for name, value in (("segment", segment), ("segment_channel", segment_channel), ("objects", objects)):
            if value:
                raise InputError(f"`{name}` goes with `mode` cells, not with `mode` {settings.mode}")
        return Job(selected, "Cells" if settings.mode == "single-cell" else IMAGE_SET, settings)
    labeled = list(dict.fromkeys(name for image_set in image_sets for name in image_set.labels))
    if segment is None and labeled:
        reason = "there are label images, set `segment` to ignore them"
        _refuse_settings(segmentation, f"a segmentation: {reason}")
        if settings.diameter and settings.scale != "auto":
            raise InputError(f"`diameter` goes with `scale` auto or a segmentation: {reason}")
        return Job(selected, _select_objects(objects, labeled), settings)
    if segment is None:
        warn_of_outlines(image_sets)
        segment = "nuclei"
        log.info("no label images: segmenting nuclei")
    if segment_channel is None:
        segment_channel = _default_segment_channel(existing)
    elif segment_channel not in existing:
        raise InputError(f"`segment_channel`: there is no channel '{segment_channel}'; there are {', '.join(existing)}")
    if needs_pixel_size(segment):
        segmentation = _with_pixel_size(segmentation, image_sets)
    elif segmentation.diameter is None:
        segmentation = replace(segmentation, diameter=settings.diameter)
    name = objects or ("Nuclei" if segment in ("nuclei", "cellpose:nuclei") else "Cells")
    if not re.fullmatch(r"[A-Za-z]\w*", name) or name == IMAGE_SET:
        raise InputError(f"`objects` is '{name}': it must be a word such as Nuclei or Cells")
    return Job(selected, name, settings, segment, segment_channel, segmentation)


def _with_pixel_size(segmentation: SegmentationSettings, image_sets: Sequence[ImageSet]) -> SegmentationSettings:
    """Fill in the pixel size that the image sets have."""
    if segmentation.segment_pixel_size is not None:
        return segmentation
    try:
        size = common_pixel_size(image_sets)
    except InputError as error:
        raise InputError(f"InstanSeg needs the pixel size: set `segment_pixel_size`; {error}") from None
    log.info("InstanSeg: pixels of %.4g micrometers", size)
    return replace(segmentation, segment_pixel_size=size)


def _refuse_settings(segmentation: SegmentationSettings, fit: str) -> None:
    """Refuse settings of a segmentation that does not take place."""
    default = asdict(SegmentationSettings())
    for name, value in asdict(segmentation).items():
        if value != default[name]:
            raise InputError(f"`{name}` goes with {fit}")


def _select_channels(channels: Sequence[str] | None, existing: list[str]) -> tuple[str, ...]:
    selected = tuple(channels) if channels else tuple(existing)
    for name in selected:
        if name not in existing:
            raise InputError(f"`channels`: there is no channel '{name}'; there are {', '.join(existing)}")
        if selected.count(name) > 1:
            raise InputError(f"`channels`: '{name}' is listed twice")
    return selected


def _refuse_incomplete(image_sets: Sequence[ImageSet], channels: Sequence[str], counts: Mapping[str, int]) -> None:
    """Refuse channels that most image sets do not have: a single file with another name would let all others fail."""
    complete = sum(all(name in image_set.channels for name in channels) for image_set in image_sets)
    if 2 * complete < len(image_sets):
        held = ", ".join(f"'{name}' in {counts[name]}" for name in channels)
        raise InputError(
            f"only {complete} of {counted(len(image_sets), 'image sets have', 'image set has')} all channels ({held}): "
            "choose some by `channels`, or correct the names of files (microsnoop inputs shows how they are read)"
        )


def _select_objects(objects: str | None, labeled: list[str]) -> str:
    if objects is None:
        if len(labeled) > 1:
            raise InputError(f"there are label images of {', '.join(labeled)}: choose one of them with `objects`")
        return labeled[0]
    if objects not in labeled:
        raise InputError(
            f"`objects`: there are no label images of '{objects}', only of {', '.join(labeled)}; set `segment` to "
            "segment the images instead"
        )
    return objects


def _default_segment_channel(existing: list[str]) -> str:
    candidates = existing if len(existing) == 1 else [name for name in existing if is_nuclear(name)]
    if len(candidates) != 1:
        raise InputError(f"`segment_channel`: the channel to segment is ambiguous; choose one of {', '.join(existing)}")
    return candidates[0]
