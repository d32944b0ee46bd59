"""Match label images and ROI files to image sets by the names of their files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePath

from ..errors import InputError
from ..storage.paths import files_in, path_kind
from .formats import SUFFIXES
from .image_set import ImageSet, PlaneSource
from .outline_files import IMAGEJ_SUFFIXES, OUTLINE_SUFFIXES
from .unicode_names import composed

LABEL_ENDINGS = ("", "_labels", "_label", "_mask", "_masks", "_cp_masks", "_Nuclei", "_Cells")
"""Endings that the name of a label image may add to that of its image."""
ARRAY_SUFFIXES = (".npy", ".geojson")
"""Files of labels that are no images; taken where an image set has no label image."""
ROI_ENDINGS = ("", "_RoiSet", "_rois", "_cp_rois")


def match_labels(image_sets: Sequence[ImageSet], folder: Path, objects: str) -> list[ImageSet]:
    """Match the label images of a folder to image sets.

    Parameters
    ----------
    image_sets : sequence of ImageSet
    folder : Path
        Its files, or those of its subfolders, have the name of one of the image set's files, with or without the name
        of the channel, and with or without one of `LABEL_ENDINGS` or the name of the object set. ``.ome`` may belong to
        the suffix of either.
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
        If there is no such folder, or files and image sets do not match one to one.
    """
    if path_kind(folder) != "folder":
        raise InputError(f"`labels`: there is no folder '{folder}'")
    by_stem: dict[str, list[Path]] = {}
    for path in files_in(folder):
        if path.suffix.lower() in (*SUFFIXES, *ARRAY_SUFFIXES):
            by_stem.setdefault(_stem(path), []).append(folder.joinpath(*path.parts))
    matched = []
    owners: dict[Path, int] = {}
    for image_set in image_sets:
        file = _label_image(image_set, folder, objects, by_stem)
        if file in owners and path_kind(file):
            raise InputError(f"`labels`: '{file}' fits image set {owners[file]} as well as {image_set.number}")
        owners[file] = image_set.number
        matched.append(replace(image_set, labels={objects: PlaneSource(file)}))
    return matched


def _label_image(image_set: ImageSet, folder: Path, objects: str, by_stem: dict[str, list[Path]]) -> Path:
    """Return the only label image of an image set; if there is none, the path that it would have."""
    sources = image_set.channels.values()
    stems = [_stem(source.path) for source in sources]
    stems += [stem.removesuffix(f"_{composed(name)}") for stem, name in zip(stems, image_set.channels, strict=True)]
    # programs that take .ome for a part of the name: A01.ome_cp_masks.tif
    stems += [composed(source.path.stem) for source in sources]
    names = [f"{stem}{ending}" for stem in stems for ending in (*LABEL_ENDINGS, "_seg", f"_{objects}")]
    images = {source.path.resolve() for source in sources}
    matches = {path for name in names for path in by_stem.get(name, []) if path.resolve() not in images}
    matches = {path for path in matches if path.suffix.lower() in SUFFIXES} or matches
    if len(matches) > 1:
        matches = {path for path in matches if _is_of(path, folder, objects)} or matches
    if len(matches) > 1:
        # plates may have files of the same names, in folders of the same name
        parents = {source.path.parent.name for source in sources}
        matches = {path for path in matches if path.parent.name in parents} or matches
    if len(matches) > 1:
        listed = ", ".join(sorted(f"'{path}'" for path in matches))
        raise InputError(
            f"`labels`: image set {image_set.number} has more than one label image: {listed}\n"
            "Choose by `objects` the one whose name ends in it, such as _Nuclei"
        )
    return matches.pop() if matches else folder / f"{stems[0]}.tif"


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
    stacks = {source.path for image_set in image_sets for source in image_set.channels.values()}
    # the outlines of a stack know their planes
    if len(image_sets) != 1 and len(stacks) > 1:
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
