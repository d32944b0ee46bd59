"""Match label images and ROI files to image sets: by the names of their files, or one file to the only image."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import takewhile
from pathlib import Path, PurePath

from ..errors import InputError
from ..storage.paths import files_in, path_kind
from .file_image import FileImage
from .formats import SUFFIXES, open_file
from .image_set import ImageSet, PlaneSource, Position
from .outline_files import IMAGEJ_SUFFIXES, OUTLINE_SUFFIXES
from .unicode_names import composed

log = logging.getLogger(__name__)

LABEL_ENDINGS = ("", "_labels", "_label", "_mask", "_masks", "_cp_masks", "_Nuclei", "_Cells")
"""Endings that the name of a label image may add to that of its image."""
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
        If there is no such file or folder, files and image sets do not match one to one, or one file is to serve
        several image sets.
    """
    kind = path_kind(path)
    if kind is None:
        raise InputError(f"`labels`: there is no file or folder '{path}'")
    if kind == "file":
        return _match_file(image_sets, path, objects)
    by_stem: dict[str, list[Path]] = {}
    for name in files_in(path):
        if name.suffix.lower() in (*SUFFIXES, *ARRAY_SUFFIXES):
            by_stem.setdefault(_stem(name), []).append(path.joinpath(*name.parts))
    matched = []
    owners: dict[Path, int] = {}
    for image_set in image_sets:
        file = _label_image(image_set, path, objects, by_stem)
        if file in owners and path_kind(file):
            raise InputError(f"`labels`: '{file}' fits image set {owners[file]} as well as {image_set.number}")
        owners[file] = image_set.number
        matched.append(replace(image_set, labels={objects: PlaneSource(file)}))
    return matched


def _match_file(image_sets: Sequence[ImageSet], path: Path, objects: str) -> list[ImageSet]:
    """Take a file as the labels of the only image set, or of all planes of the only stack."""
    if path.suffix.lower() not in (*SUFFIXES, *ARRAY_SUFFIXES):
        raise InputError(f"`labels`: '{path}' is no label image ({', '.join((*SUFFIXES, *ARRAY_SUFFIXES))})")
    if any(source.path.resolve() == path.resolve() for each in image_sets for source in each.channels.values()):
        raise InputError(f"`labels`: '{path}' is the image itself")
    if not _is_one_stack(image_sets):
        raise InputError(
            f"`labels`: '{path}' is one file, but there are {len(image_sets)} image sets: use a folder with a label "
            "image for each, named like its image"
        )
    return [replace(each, labels={objects: _label_plane(path, each)}) for each in image_sets]


def _is_one_stack(image_sets: Sequence[ImageSet]) -> bool:
    """Return True for a single image set, or planes in depth and time of one image in the same files."""
    images = {
        (tuple(source.path for source in each.channels.values()), *(each.metadata.get(name) for name in _IMAGES))
        for each in image_sets
    }
    return len(image_sets) == 1 or (
        len(images) == 1 and all(source.row is None for each in image_sets for source in each.channels.values())
    )


def _label_plane(path: Path, image_set: ImageSet) -> PlaneSource:
    """Return the plane of a label image that belongs to an image set; a single plane belongs to all of a stack."""
    source = next(iter(image_set.channels.values()))
    place = source.position or Position()
    labels, image = _stack_of(path), _stack_of(source.path, place.series or 0)
    if labels is None or image is None or labels.depth * labels.times == 1:
        return PlaneSource(path)
    if labels.depth * labels.times != image.depth * image.times or (labels.labeled and labels.depth != image.depth):
        raise InputError(
            f"`labels`: '{path}' has {labels.depth} planes in depth and {labels.times} time points, but the image has "
            f"{image.depth} and {image.times}"
        )
    plane = place.plane if isinstance(place.plane, int) else None
    if labels.labeled:
        return PlaneSource(path, position=Position(plane=plane, time=place.time))
    # pages without a meaning are those of the image, which has one axis
    return PlaneSource(path, position=Position(plane=place.time if plane is None else plane))


@lru_cache(maxsize=64)
def _stack_of(path: Path, series: int = 0) -> FileImage | None:
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


def _label_image(image_set: ImageSet, folder: Path, objects: str, by_stem: dict[str, list[Path]]) -> Path:
    """Return the only label image of an image set; if there is none, the path that it would have."""
    sources = image_set.channels.values()
    stems = [_stem(source.path) for source in sources]
    stems += [stem.removesuffix(f"_{composed(name)}") for stem, name in zip(stems, image_set.channels, strict=True)]
    stems += [f"{stem}{place_ending(image_set, name)}" for stem, name in zip(stems, image_set.channels, strict=False)]
    # programs that take .ome for a part of the name: A01.ome_cp_masks.tif
    stems += [composed(source.path.stem) for source in sources]
    names = [f"{stem}{ending}" for stem in stems for ending in (*LABEL_ENDINGS, "_seg", f"_{objects}")]
    images = {source.path.resolve() for source in sources}
    matches = {path for name in names for path in by_stem.get(name, []) if path.resolve() not in images}
    matches = {path for path in matches if path.suffix.lower() in SUFFIXES} or matches
    if len(matches) > 1:
        matches = {path for path in matches if _is_of(path, folder, objects)} or matches
    if len(matches) > 1:
        # plates may have files of the same names, in folders of the same names
        equal = {path: max(_equal_folders(path, source.path) for source in sources) for path in matches}
        matches = {path for path in matches if equal[path] == max(equal.values())}
    if len(matches) > 1:
        listed = ", ".join(sorted(f"'{path}'" for path in matches))
        raise InputError(
            f"`labels`: image set {image_set.number} has more than one label image: {listed}\n"
            "Choose by `objects` the one whose name ends in it, such as _Nuclei"
        )
    return matches.pop() if matches else folder / f"{stems[0]}.tif"


def _equal_folders(first: PurePath, second: PurePath) -> int:
    """Count the folders around two files that have the same names, from the innermost one."""
    pairs = zip(first.parent.parts[::-1], second.parent.parts[::-1], strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _stem(path: PurePath) -> str:
    """Return the name of a file without its suffix, to which ``.ome`` belongs."""
    stem = path.stem
    return composed(stem[:-4] if stem.lower().endswith(".ome") else stem)


def _is_of(path: Path, folder: Path, objects: str) -> bool:
    """Return True if a label image has the name of an object set at its end, or lies in a folder of that name."""
    name = objects.lower()
    inside = [part.lower() for part in path.parent.parts[len(folder.parts) :]]
    return _stem(path).lower().endswith(f"_{name}") or name in inside


def match_rois(image_sets: Sequence[ImageSet], path: Path, objects: str) -> list[ImageSet]:
    """Match a file of outlines to the only image set or stack, or those of a folder to several.

    Parameters
    ----------
    image_sets : sequence of ImageSet
    path : Path
        A file with one of `OUTLINE_SUFFIXES`; or a folder, in which ``field1.tif`` has ``field1.zip``,
        ``field1_rois.zip`` or ``field1_RoiSet.zip``.
    objects : str
        Name of the object set.

    Returns
    -------
    list of ImageSet
        With these outlines in place of their labels. A ROI file that is missing is reported with its image set.

    Raises
    ------
    InputError
        If there is no such file or folder, one file is to serve several image sets, or several files one.
    """
    if path.is_dir():
        return [replace(each, labels={objects: PlaneSource(_roi_file(path, each))}) for each in image_sets]
    if not path.is_file() or path.suffix.lower() not in OUTLINE_SUFFIXES:
        known = ", ".join(OUTLINE_SUFFIXES)
        raise InputError(f"`rois`: '{path}' is no file of outlines ({known}) and no folder of such files")
    # the outlines of a stack know their planes
    if not _is_one_stack(image_sets):
        raise InputError(
            f"`rois`: '{path}' is one file, but there are {len(image_sets)} image sets: use a folder with a file for "
            "each, named like its image (field1.tif: field1.zip)"
        )
    return [replace(each, labels={objects: PlaneSource(path)}) for each in image_sets]


def _roi_file(folder: Path, image_set: ImageSet) -> Path:
    """Return the only ROI file of an image set; if there is none, the path that it would have."""
    sources = image_set.channels.values()
    stems = list(dict.fromkeys(stem for source in sources for stem in (_stem(source.path), source.path.stem)))
    names = [f"{stem}{ending}{suffix}" for suffix in OUTLINE_SUFFIXES for stem in stems for ending in ROI_ENDINGS]
    files = [folder / name for name in names if (folder / name).is_file()]
    # a .json or .csv beside ROIs of ImageJ is something else
    files = [file for file in files if file.suffix in IMAGEJ_SUFFIXES] or files
    if len(files) > 1:
        listed = ", ".join(f"'{file}'" for file in files)
        raise InputError(f"`rois`: image set {image_set.number} has more than one ROI file: {listed}")
    return files[0] if files else folder / names[0]


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
            if source.path.suffix.lower() in OUTLINE_SUFFIXES:
                raise InputError(f"`label_mask` goes with label images: '{source.path}' holds outlines")
        labels = {name: replace(source, is_mask=True) for name, source in image_set.labels.items()}
        masks.append(replace(image_set, labels=labels))
    return masks
