"""Find and read the label images and ROI files of image sets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import ImageError, InputError, MissingExtraError
from ..storage.paths import files_in, path_kind
from .formats import SUFFIXES
from .image_set import ImageSet, PlaneSource
from .outlines import label_planes
from .planes import plane_size, read_plane

ROI_SUFFIXES = (".zip", ".roi")


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
        from microsnoop_engine.images.imagej_roi import RoiError, read_rois
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
        return [ImageSet(s.number, s.channels, {objects: PlaneSource(_roi_file(path, s))}, s.metadata) for s in sets]
    if not path.is_file() or path.suffix.lower() not in ROI_SUFFIXES:
        raise InputError(f"--rois: '{path}' is no ROI file of ImageJ (.zip, .roi) and no folder of such files")
    if len(sets) != 1:
        raise InputError(
            f"--rois: '{path}' is one file, but there are {len(sets)} image sets: give a folder with a file for each, "
            "named like its image (field1.tif: field1.zip)"
        )
    return [ImageSet(sets[0].number, sets[0].channels, {objects: PlaneSource(path)}, sets[0].metadata)]


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


def read_labels(source: PlaneSource, objects: str, shape: tuple[int, int]) -> np.ndarray:
    """A label image of ``shape`` (h, w): 0 is background. Of an ImageJ ROI file, planes (p, h, w) of its outlines.

    Raises
    ------
    ImageError
        If it is unreadable, of another size, or does not hold whole numbers from 0.
    """
    if source.path.suffix.lower() in (".zip", ".roi"):
        return read_roi_labels(source.path, shape)
    plane = read_plane(source, objects)
    if plane.shape != tuple(shape):
        raise ImageError(f"is {plane_size(plane)}, but the image is {shape[1]} x {shape[0]}", source.path, objects)
    if plane.dtype.kind == "f":
        if not (np.isfinite(plane).all() and (plane == np.rint(plane)).all()):
            raise ImageError("does not hold whole numbers: give a label image, not intensities", source.path, objects)
        plane = plane.astype(np.int64)
    if plane.dtype == bool or (plane.dtype == np.uint8 and plane.any() and np.isin(plane, (0, 255)).all()):
        raise ImageError(
            "is a black-and-white mask: give a label image, in which every object has its own number",
            source.path,
            objects,
        )
    if plane.dtype.kind == "i" and plane.min(initial=0) < 0:
        raise ImageError("holds negative numbers: 0 must be the background", source.path, objects)
    return plane


LABEL_SUFFIXES = ("", "_labels", "_label", "_mask", "_masks", "_cp_masks", "_Nuclei", "_Cells")


def with_labels(sets: list[ImageSet], folder: Path, objects: str) -> list[ImageSet]:
    """The image sets with the label images of a folder, found by the names of their image files."""
    if path_kind(folder) != "folder":
        raise InputError(f"--labels: there is no folder '{folder}'")
    found: dict[str, list[Path]] = {}
    for place in files_in(folder):
        if place.suffix.lower() in SUFFIXES:
            found.setdefault(place.stem, []).append(folder.joinpath(*place.parts))
    result, taken = [], {}
    for image_set in sets:
        stems = [source.path.stem for source in image_set.channels.values()]
        stems += [stem.removesuffix(f"_{name}") for stem, name in zip(stems, image_set.channels, strict=True)]
        names = [f"{stem}{suffix}" for stem in stems for suffix in (*LABEL_SUFFIXES, f"_{objects}")]
        own = {source.path.resolve() for source in image_set.channels.values()}
        matches = {path for name in names for path in found.get(name, []) if path.resolve() not in own}
        if len(matches) > 1:
            parents = {source.path.parent.name for source in image_set.channels.values()}
            matches = {path for path in matches if path.parent.name in parents} or matches
        if len(matches) > 1:
            listed = ", ".join(sorted(f"'{path}'" for path in matches))
            raise InputError(f"--labels: image set {image_set.number} has more than one label image: {listed}")
        path = matches.pop() if matches else folder / f"{stems[0]}.tif"
        if path in taken and path_kind(path):
            raise InputError(f"--labels: '{path}' fits image set {taken[path]} as well as {image_set.number}")
        taken[path] = image_set.number
        result.append(ImageSet(image_set.number, image_set.channels, {objects: PlaneSource(path)}, image_set.metadata))
    return result
