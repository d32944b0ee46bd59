"""Outlines that may overlap, each with a box and a mask of its own, as ImageJ has them: to labels, to embeddings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from .embedder import Embedder
from .errors import ImageError, InputError, MissingExtraError
from .images import ImageSet, Source
from .measuring import Measurement, Problem, check_image, measure
from .modes import CropSettings, Regions

ROI_SUFFIXES = (".zip", ".roi")
OUTSIDE = "no pixels inside the image"
PLANE_BYTES = 256 << 20
"""What the label planes of outlines that are measured together may take."""


def split_masks(boxes: np.ndarray, masks: np.ndarray) -> list[np.ndarray]:
    """The mask (h, w), bool, of every box.

    Parameters
    ----------
    boxes : array (n, 4), integer
        y0, x0, y1, x1, half-open; may reach out of the image.
    masks : array (sum of h * w,), integer or bool
        The masks one after the other, row by row; everything but 0 is inside.

    Raises
    ------
    InputError
        If boxes and masks do not go together.
    """
    boxes = np.asarray(boxes)
    if boxes.ndim != 2 or boxes.shape[1] != 4 or boxes.dtype.kind not in "ui" or not len(boxes):
        raise InputError(f"boxes are {boxes.dtype} of shape {boxes.shape}: give integers (n, 4), n at least 1")
    sizes = boxes[:, 2:].astype(np.int64) - boxes[:, :2]
    areas = sizes.prod(1)
    if (sizes < 1).any():
        raise InputError(f"box {int(np.flatnonzero((sizes < 1).any(1))[0]) + 1} is empty: give y0 < y1 and x0 < x1")
    if masks.ndim != 1 or masks.dtype.kind not in "uib" or masks.size != areas.sum():
        raise InputError(f"masks are {masks.dtype} of shape {masks.shape}, but the boxes cover {areas.sum()} pixels")
    ends = areas.cumsum()
    return [
        masks[end - area : end].reshape(size) != 0 for end, area, size in zip(ends, areas, sizes.tolist(), strict=True)
    ]


def label_planes(
    boxes: np.ndarray, masks: Sequence[np.ndarray], shape: tuple[int, int], most: int | None = None
) -> Iterator[np.ndarray]:
    """Label planes (p, h, w), int32, in which outlines that overlap lie in different planes.

    Parameters
    ----------
    boxes, masks
        See :func:`split_masks`.
    shape : tuple of int
        Of the image; what lies outside of it is cut off.
    most : int, optional
        At most so many planes at once: then there may be several arrays, each with some of the outlines.

    Yields
    ------
    array (p, h, w), int32
        The n-th outline has the number n, from 1.
    """
    todo = []
    for number, ((y0, x0, y1, x1), mask) in enumerate(zip(boxes.tolist(), masks, strict=True), start=1):
        top, left, bottom, right = max(y0, 0), max(x0, 0), min(y1, shape[0]), min(x1, shape[1])
        if top < bottom and left < right:
            inside = mask[top - y0 : bottom - y0, left - x0 : right - x0]
            if inside.any():
                todo.append((number, (slice(top, bottom), slice(left, right)), inside))
    while todo:
        planes: list[np.ndarray] = []
        left_over = []
        for number, place, inside in todo:
            plane = next((plane for plane in planes if not plane[place][inside].any()), None)
            if plane is None:
                if most is not None and len(planes) >= most:
                    left_over.append((number, place, inside))
                    continue
                plane = np.zeros(shape, np.int32)
                planes.append(plane)
            plane[place][inside] = number
        yield np.stack(planes)
        todo = left_over


def measure_rois(
    embedder: Embedder,
    image: np.ndarray,
    boxes: np.ndarray,
    masks: np.ndarray,
    settings: CropSettings | None = None,
    on_batch: Callable[[int, int], None] | None = None,
) -> Measurement:
    """The embeddings of outlines that may overlap and reach out of the image.

    Parameters
    ----------
    embedder : Embedder
    image : array (c, h, w) or (h, w)
    boxes, masks
        See :func:`split_masks`.
    settings : CropSettings, optional
        Of mode ``cells``.
    on_batch : callable, optional
        Called after each batch with the crops done and their number in all; may raise to stop.

    Returns
    -------
    Measurement
        One row per box, in their order; a box without pixels in the image is NaN.

    Raises
    ------
    InputError
    """
    image = check_image(image)
    split = split_masks(boxes, masks)
    count, channels = len(split), len(image)
    features = np.full((count, channels * embedder.card.dimension), np.nan, np.float32)
    regions = Regions(
        np.arange(1, count + 1, dtype=np.int32),
        np.zeros((count, 4), np.int32),
        np.full((count, 2), np.nan, np.float32),
        np.zeros(count, bool),
    )
    problems: list[Problem] = []
    done = 0

    def report(current: int, _: int) -> None:
        if on_batch:
            on_batch(done + current, count * channels)

    most = max(1, min(16, PLANE_BYTES // (4 * image.shape[1] * image.shape[2])))
    for labels in label_planes(boxes, split, image.shape[1:], most):
        part = measure(embedder, image, labels, settings, report)
        rows = part.regions.object_number - 1
        features[rows] = part.features
        regions.box[rows], regions.center[rows] = part.regions.box, part.regions.center
        regions.border[rows] = part.regions.border
        problems += part.problems
        done += len(rows) * channels
    outside = np.flatnonzero(np.isnan(regions.center[:, 0])) + 1
    problems += [Problem(int(number), channel, OUTSIDE) for number in outside for channel in range(channels)]
    return Measurement(regions, features, problems)


def read_roi_labels(path: Path, shape: tuple[int, int]) -> np.ndarray:
    """The outlines of an ImageJ ROI file (.roi, or .zip of the ROI Manager) as label planes (p, h, w), int32.

    Raises
    ------
    ImageError
        If the file cannot be read, or holds kinds of ROI whose pixels are not known exactly, named.
    MissingExtraError
        If roifile is not installed.
    """
    try:
        from fiji_bridge.roi import RoiError, read_rois
    except ImportError:
        raise MissingExtraError("roifile", "fiji", f"reading '{path.name}'") from None
    try:
        rois = read_rois(path)
    except RoiError as error:
        raise ImageError(str(error), path) from None
    boxes = np.array([roi.box for roi in rois])
    planes = next(label_planes(boxes, [roi.mask for roi in rois], shape), None)
    if planes is None:
        raise ImageError(f"none of its {len(rois)} ROIs lies in the image ({shape[1]} x {shape[0]} pixels)", path)
    return planes


def with_rois(sets: Sequence[ImageSet], path: Path, objects: str) -> list[ImageSet]:
    """The image sets with the ROI file of the only one, or with those of a folder, named like the image files.

    Parameters
    ----------
    sets : sequence of ImageSet
    path : Path
        A .zip or .roi file; or a folder, in which ``field1.tif`` has ``field1.zip`` or ``field1_RoiSet.zip``.
    objects : str
        Name of the object set.

    Raises
    ------
    InputError
        If there is no such file or folder, or one file is given for several image sets.
    """
    if path.is_dir():
        return [ImageSet(s.number, s.channels, {objects: Source(_roi_file(path, s))}, s.metadata) for s in sets]
    if not path.is_file() or path.suffix.lower() not in ROI_SUFFIXES:
        raise InputError(f"--rois: '{path}' is no ROI file of ImageJ (.zip, .roi) and no folder of such files")
    if len(sets) != 1:
        raise InputError(
            f"--rois: '{path}' is one file, but there are {len(sets)} image sets: give a folder with a file for each, "
            "named like its image (field1.tif: field1.zip)"
        )
    return [ImageSet(sets[0].number, sets[0].channels, {objects: Source(path)}, sets[0].metadata)]


def _roi_file(folder: Path, image_set: ImageSet) -> Path:
    stems = list(dict.fromkeys(source.path.stem for source in image_set.channels.values()))
    names = [f"{stem}{ending}{suffix}" for stem in stems for ending in ("", "_RoiSet") for suffix in ROI_SUFFIXES]
    found = [folder / name for name in names if (folder / name).is_file()]
    if len(found) > 1:
        raise InputError(
            f"--rois: image set {image_set.number} has more than one ROI file: {', '.join(map(str, found))}"
        )
    # one that is missing is reported with the image set
    return found[0] if found else folder / names[0]
