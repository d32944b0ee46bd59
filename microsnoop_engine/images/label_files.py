"""Match label images and ROI files to image sets: by the names of their files, or one file to the only image."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from ..errors import InputError, counted
from ..storage.paths import path_kind
from .file_image import FileImage
from .files_by_name import FilesByName, stem_of, stems_of
from .formats import SUFFIXES, open_file
from .image_set import ImageSet, PlaneSource, Position
from .outline_files import IMAGEJ_SUFFIXES, OUTLINE_SUFFIXES, is_outlines
from .overlays import OVERLAY_SUFFIXES, files_with_outlines
from .projection import PROJECTIONS
from .unicode_names import composed

log = logging.getLogger(__name__)

_WORDS = ("label", "labels", "mask", "masks", "cp_masks", "seg", "segmentation", "instances", "Object Identities")
LABEL_ENDINGS = ("", *(f"{separator}{word}" for word in (*_WORDS, "Nuclei", "Cells") for separator in "_-. "))
"""Endings that the name of a label image may add to that of its image."""
CLASS_ENDINGS = tuple(f"{separator}Simple Segmentation" for separator in "_-. ")
"""Endings of images of classes (ilastik), which are taken where an image has no labels of objects."""
ARRAY_SUFFIXES = (".npy", ".geojson")
"""Files of labels that are no images; taken where an image set has no label image."""
_IMAGES = ("Series", "Page")
"""Metadata of several images in one file."""
ROI_ENDINGS = ("", "_RoiSet", "_rois", "_cp_rois")


def place_ending(image_set: ImageSet, channel: str) -> str:
    """Return the ending of the name of a label image that tells the images and planes of one file apart.

    Parameters
    ----------
    image_set : ImageSet
    channel : str
        Channel that was segmented.

    Returns
    -------
    str
        Empty for the only image of a file.

    Examples
    --------
    >>> source = PlaneSource(Path("a.tif"), position=Position(series=1, plane=4))
    >>> place_ending(ImageSet(1, {"DNA": source}), "DNA")
    '_s1_z4'
    """
    source = image_set.channels[channel]
    place = source.position or Position()
    # the first plane may be that of a file with a plane for each channel
    frame = min(each.index or 0 for each in image_set.channels.values()) if source.level is None else 0
    numbers = {
        "": None if source.row is None else source.row + 1,
        "f": frame or None,
        "s": place.series,
        "z": place.plane if isinstance(place.plane, int) else None,
        "t": place.time,
    }
    return "".join(f"_{letter}{number}" for letter, number in numbers.items() if number is not None)


def match_labels(image_sets: Sequence[ImageSet], path: Path, objects: str) -> list[ImageSet]:
    """Match a label image to the only image set or stack, or those of a folder to several.

    Parameters
    ----------
    image_sets : sequence of ImageSet
    path : Path
        A file of labels; a stack of labels has a plane for each plane of the stack of images. Or a folder, whose files,
        or those of its subfolders, have the name of one of the image set's files, with or without the name of the
        channel, and with or without one of `LABEL_ENDINGS` or the name of the object set. ``.ome`` may belong to the
        suffix of either.
    objects : str
        Name of the object set. If several files fit an image set, it chooses the one that ends in it or lies in a
        folder of that name.

    Returns
    -------
    list of ImageSet
        With these labels in place of their own. A label image that is missing is reported with its image set.

    Raises
    ------
    InputError
        If there is no such file or folder, no image set has a label image, files and image sets do not match one to
        one, or one file is to serve several image sets.
    """
    kind = path_kind(path)
    if kind is None:
        raise InputError(f"`labels`: there is no file or folder '{path}'")
    if kind == "file":
        return _match_file(image_sets, path, objects)
    files = FilesByName(path, (*SUFFIXES, *ARRAY_SUFFIXES))
    found = [_label_image(image_set, files, objects) for image_set in image_sets]
    _refuse_shared(image_sets, found, "`labels`", "label images")
    missing = [image_set for image_set, file in zip(image_sets, found, strict=True) if file is None]
    files.report_missing(missing, len(image_sets), "label image", "_labels", "labels")
    return [
        # one that is missing is reported when it is read
        replace(each, labels={objects: label_plane(file or path / f"{stems_of(each)[0]}.tif", each)})
        for each, file in zip(image_sets, found, strict=True)
    ]


def _refuse_shared(image_sets: Sequence[ImageSet], files: Sequence[Path | None], setting: str, things: str) -> None:
    """Refuse a file that fits image sets of several images; the planes of a stack share theirs."""
    owners: dict[Path, ImageSet] = {}
    for image_set, file in zip(image_sets, files, strict=True):
        if file is not None and not is_one_stack([owners.setdefault(file, image_set), image_set]):
            raise InputError(
                f"{setting}: '{file}' fits image set {owners[file].number} as well as {image_set.number}: put the "
                f"{things} into folders named like those of the images"
            )


def _match_file(image_sets: Sequence[ImageSet], path: Path, objects: str) -> list[ImageSet]:
    """Take a file as the labels of the only image set, or of all planes of the only stack."""
    if path.suffix.lower() not in (*SUFFIXES, *ARRAY_SUFFIXES):
        raise InputError(f"`labels`: '{path}' is no label image ({', '.join((*SUFFIXES, *ARRAY_SUFFIXES))})")
    if any(source.path.resolve() == path.resolve() for each in image_sets for source in each.channels.values()):
        raise InputError(f"`labels`: '{path}' is the image itself")
    if not is_one_stack(image_sets):
        raise InputError(
            f"`labels`: '{path}' is one file, but there are {counted(len(image_sets), 'image sets')}: use a folder "
            "with a label image for each, named like its image"
        )
    return [replace(each, labels={objects: label_plane(path, each)}) for each in image_sets]


def is_one_stack(image_sets: Sequence[ImageSet]) -> bool:
    """Return True for a single image set, or planes in depth and time of one image in the same files."""
    images = {
        (tuple(source.path for source in each.channels.values()), *(each.metadata.get(name) for name in _IMAGES))
        for each in image_sets
    }
    return len({each.number for each in image_sets}) == 1 or (
        len(images) == 1 and all(source.row is None for each in image_sets for source in each.channels.values())
    )


def label_plane(path: Path, image_set: ImageSet) -> PlaneSource:
    """Return the plane of a label image that belongs to an image set; a single plane belongs to all of a stack.

    Raises
    ------
    InputError
        If the labels are a stack that does not go with the image.
    """
    source = next(iter(image_set.channels.values()))
    place = source.position or Position()
    if place.plane is None and place.time is None:
        return PlaneSource(path)
    labels, image = stack_of(path), stack_of(source.path, place.series or 0)
    if labels is not None and labels.depth > 1 and place.plane in PROJECTIONS:
        raise InputError(
            f"`labels`: '{path}' has {counted(labels.depth, 'planes')} in depth, but the image is projected to one: "
            "choose `plane`, find nuclei with `segment`, or write labels of one plane"
        )
    if labels is None or image is None or labels.depth * labels.times == 1:
        return PlaneSource(path)
    if labels.depth * labels.times != image.depth * image.times or (labels.labeled and labels.depth != image.depth):
        raise InputError(
            f"`labels`: '{path}' has {counted(labels.depth, 'planes')} in depth and "
            f"{counted(labels.times, 'time points')}, but the image has {image.depth} and {image.times}"
        )
    plane = place.plane if isinstance(place.plane, int) else None
    if labels.labeled:
        return PlaneSource(path, position=Position(plane=plane, time=place.time))
    # pages without a meaning are those of the image, which has one axis
    return PlaneSource(path, position=Position(plane=place.time if plane is None else plane))


@lru_cache(maxsize=64)
def stack_of(path: Path, series: int = 0) -> FileImage | None:
    """Return the axes of an image file; None if it is no image or cannot be read."""
    if path.suffix.lower() not in SUFFIXES:
        return None
    try:
        with open_file(path, pixels=False) as file:
            return file.images[series]
    # whatever is wrong with the file, the reader of its pixels meets it again and reports it with the file's name
    except Exception:
        log.debug("the header of '%s' cannot be read", path, exc_info=True)
        return None


def _label_image(image_set: ImageSet, files: FilesByName, objects: str) -> Path | None:
    """Return the only label image of an image set; None if there is none."""
    stems = stems_of(image_set)
    for name, source in image_set.channels.items():
        stems += [stem_of(source.path).removesuffix(f"_{composed(name)}")]
        stems += [f"{stem_of(source.path)}{place_ending(image_set, name)}"]
    endings = (*LABEL_ENDINGS, *(f"{separator}{objects}" for separator in ("_", "-", ".", " ", "")))
    matches = files.find(image_set, [f"{stem}{ending}" for stem in stems for ending in endings])
    matches = matches or files.find(image_set, [f"{stem}{ending}" for stem in stems for ending in CLASS_ENDINGS])
    matches = {path for path in matches if path.suffix.lower() in SUFFIXES} or matches
    if len(matches) > 1:
        matches = {path for path in matches if _is_of(path, files.folder, objects)} or matches
    if len(matches) > 1:
        matches = files.nearest(image_set, matches)
    if len(matches) > 1:
        matches = files.one_format(matches)
    if len(matches) > 1:
        listed = ", ".join(sorted(f"'{path}'" for path in matches))
        raise InputError(
            f"`labels`: image set {image_set.number} has more than one label image: {listed}\n"
            "Choose by `objects` the one whose name ends in it, such as _Nuclei"
        )
    return matches.pop() if matches else None


def _is_of(path: Path, folder: Path, objects: str) -> bool:
    """Return True if a label image has the name of an object set at its end, or lies in a folder of that name."""
    name = objects.lower()
    inside = [part.lower() for part in path.parent.parts[len(folder.parts) :]]
    return stem_of(path).lower().endswith(f"_{name}") or name in inside


def match_rois(image_sets: Sequence[ImageSet], path: Path, objects: str) -> list[ImageSet]:
    """Match a file of outlines to the only image set or stack, or those of a folder to several.

    Parameters
    ----------
    image_sets : sequence of ImageSet
    path : Path
        A file with one of `OUTLINE_SUFFIXES`; or a folder, in which, or in whose subfolders, ``field1.tif`` has
        ``field1.zip``, ``field1_rois.zip`` or ``field1_RoiSet.zip``. Or the images themselves, of which ImageJ saved
        the overlay: a TIFF file, or the folder of the images.
    objects : str
        Name of the object set.

    Returns
    -------
    list of ImageSet
        With these outlines in place of their labels. A ROI file that is missing is reported with its image set.

    Raises
    ------
    InputError
        If there is no such file or folder, no image set has a file, one file is to serve the image sets of several
        images, or several files one.
    """
    if path.is_dir():
        return _match_roi_files(image_sets, path, objects)
    if not path.is_file() or path.suffix.lower() not in (*OUTLINE_SUFFIXES, *OVERLAY_SUFFIXES):
        known = ", ".join(OUTLINE_SUFFIXES)
        raise InputError(f"`rois`: '{path}' is no file of outlines ({known}) and no folder of such files")
    # the outlines of a stack know their planes
    if not is_one_stack(image_sets):
        raise InputError(
            f"`rois`: '{path}' is one file, but there are {counted(len(image_sets), 'image sets')}: use a folder with "
            "a file for each, named like its image (field1.tif: field1.zip)"
        )
    return [replace(each, labels={objects: _outlines(path)}) for each in image_sets]


def _outlines(path: Path) -> PlaneSource:
    return PlaneSource(path, in_image=path.suffix.lower() in OVERLAY_SUFFIXES)


def _match_roi_files(image_sets: Sequence[ImageSet], folder: Path, objects: str) -> list[ImageSet]:
    files = FilesByName(folder, OUTLINE_SUFFIXES)
    found = [_roi_file(image_set, files) or _image_with_outlines(image_set, folder) for image_set in image_sets]
    _refuse_shared(image_sets, found, "`rois`", "outlines")
    missing = [image_set for image_set, file in zip(image_sets, found, strict=True) if file is None]
    files.report_missing(missing, len(image_sets), "ROI file", "_rois", "rois")
    return [
        # one that is missing is reported when it is read
        replace(each, labels={objects: _outlines(file or folder / f"{stems_of(each)[0]}.zip")})
        for each, file in zip(image_sets, found, strict=True)
    ]


def _roi_file(image_set: ImageSet, files: FilesByName) -> Path | None:
    """Return the only ROI file of an image set; None if there is none."""
    matches = files.find(image_set, [f"{stem}{ending}" for stem in stems_of(image_set) for ending in ROI_ENDINGS])
    # a .json or .csv beside ROIs of ImageJ is something else
    matches = {path for path in matches if path.suffix.lower() in IMAGEJ_SUFFIXES} or matches
    if len(matches) > 1:
        matches = files.nearest(image_set, matches)
    if len(matches) > 1:
        listed = ", ".join(sorted((f"'{path}'" for path in matches), reverse=True))
        raise InputError(f"`rois`: image set {image_set.number} has more than one ROI file: {listed}")
    return matches.pop() if matches else None


def _image_with_outlines(image_set: ImageSet, folder: Path) -> Path | None:
    """Return the only file of an image set in a folder in which ImageJ saved outlines; None if there is none."""
    inside = [path for path in files_with_outlines(image_set) if folder.resolve() in path.resolve().parents]
    if len(inside) > 1:
        listed = ", ".join(f"'{path}'" for path in inside)
        raise InputError(
            f"`rois`: image set {image_set.number} has outlines in {listed}: save those to measure as ROI files"
        )
    return inside[0] if inside else None


def as_masks(image_sets: Sequence[ImageSet]) -> list[ImageSet]:
    """Take the label images of image sets as black-and-white masks, whose unconnected objects are to be numbered.

    Parameters
    ----------
    image_sets : sequence of ImageSet

    Returns
    -------
    list of ImageSet

    Raises
    ------
    InputError
        If none has labels, or an object set is given by outlines.
    """
    if not any(image_set.labels for image_set in image_sets):
        raise InputError("`label_mask` goes with label images: there are none")
    masks = []
    for image_set in image_sets:
        for source in image_set.labels.values():
            if is_outlines(source):
                raise InputError(f"`label_mask` goes with label images: '{source.path}' holds outlines")
        labels = {name: replace(source, is_mask=True) for name, source in image_set.labels.items()}
        masks.append(replace(image_set, labels=labels))
    return masks
