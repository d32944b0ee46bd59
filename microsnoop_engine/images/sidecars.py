"""Find what a segmenter left beside images: it is no image, and its labels are those of the image."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path, PurePath

from ..storage.paths import is_remote
from .files_by_name import stem_of
from .image_set import ImageSet
from .label_files import is_one_stack, label_plane
from .unicode_names import composed

log = logging.getLogger(__name__)

LABEL_ENDINGS = (
    "_seg.npy",
    "_cp_masks.tif",
    "_cp_masks.tiff",
    "_cp_masks.png",
    "_masks.tif",
    "_masks.tiff",
    "_masks.png",
    "_labels.tif",
    "_labels.tiff",
    "_labels.png",
    "_label.tif",
    "_label.png",
    "_mask.tif",
    "_mask.png",
    "_Object Identities.tif",
    "_Object Identities.tiff",
    "_Object Identities.png",
    "_rois.zip",
    "_RoiSet.zip",
    ".geojson",
)
"""Endings of files that hold the labels of an image, the first that there is being taken."""
PRODUCT = "made of an image by a segmentation"
"""Why a file is no image."""
_OTHER_PRODUCT = re.compile(
    r"_(cp_output|(cp_)?outlines?|(cp_)?flows?|cellprob|probabilities|dP|overlay|simple segmentation|object identities)"
    r"(_cp_masks)?$",
    re.IGNORECASE,
)
_PRODUCT = re.compile(r"_(cp_masks|masks?|labels?)$", re.IGNORECASE)
_CELLPOSE = re.compile(r"_cp_(masks|output|outlines|flows)", re.IGNORECASE)


def find_products(images: Sequence[PurePath]) -> set[PurePath]:
    """Find the files that a segmenter made of other ones.

    Parameters
    ----------
    images : sequence of PurePath
        The images of a folder.

    Returns
    -------
    set of PurePath
        Those that have the name of another one, or its beginning, with an ending such as ``_cp_masks``, ``_flows`` or
        ``_outlines``.

    Examples
    --------
    >>> find_products([PurePath("A01_DNA.tif"), PurePath("A01_DNA_flows.tif"), PurePath("A02_flows.tif")])
    {PurePosixPath('A01_DNA_flows.tif')}
    """
    products = {path for path in images if _is_product(path)}
    stems: dict[PurePath, set[str]] = {}
    for path in images:
        if path not in products:
            stems.setdefault(path.parent, set()).add(stem_of(path).lower())
    return {path for path in products if _belongs(path, stems.get(path.parent, set()))}


def with_sidecar_labels(image_sets: Sequence[ImageSet], objects: str) -> list[ImageSet]:
    """Take the labels that lie beside the images.

    Parameters
    ----------
    image_sets : sequence of ImageSet
    objects : str
        Name of the object set.

    Returns
    -------
    list of ImageSet
        With the file beside one of their channels that has its name and one of `LABEL_ENDINGS`, if every one of them
        has such a file and none has labels; else as they are. Either is logged. A stack of labels has a plane for each
        plane of the image; a file that holds several images has no labels beside it.
    """
    if any(image_set.labels for image_set in image_sets):
        return list(image_sets)

    @cache
    def names_in(folder: Path) -> dict[str, str]:
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        # capitals count where they tell files apart
        return {**{composed(name).lower(): name for name in names}, **{composed(name): name for name in names}}

    files = [_labels_beside(image_set, names_in) for image_set in image_sets]
    found = [path for path in files if path is not None]
    if found and len(found) < len(files):
        log.warning(
            "%d of %d image sets have labels beside them, such as '%s': they are not used, since the others have none",
            len(found),
            len(files),
            found[0],
        )
    if not found or len(found) < len(files):
        return list(image_sets)
    owners: dict[Path, ImageSet] = {}
    for image_set, path in zip(image_sets, found, strict=True):
        if not is_one_stack([owners.setdefault(path, image_set), image_set]):
            log.warning("'%s' is not used: it lies beside a file of several images: choose by `labels`", path)
            return list(image_sets)
    log.info("labels beside the images are taken, such as '%s'; set `segment` to segment the images instead", found[0])
    return [
        replace(image_set, labels={objects: label_plane(path, image_set)})
        for image_set, path in zip(image_sets, found, strict=True)
    ]


def _is_product(path: PurePath) -> bool:
    return bool(_PRODUCT.search(stem_of(path)) or _OTHER_PRODUCT.search(stem_of(path)))


def _belongs(path: PurePath, stems: set[str]) -> bool:
    """Return True if a product was made of an image with one of these names; Cellpose's own endings are certain."""
    stem = stem_of(path).lower()
    base = _PRODUCT.sub("", _OTHER_PRODUCT.sub("", stem)).removesuffix(".ome")
    return bool(_CELLPOSE.search(stem)) or any(each == base or each.startswith(f"{base}_") for each in stems)


def _labels_beside(image_set: ImageSet, names_in: Callable[[Path], dict[str, str]]) -> Path | None:
    """Return the file with the labels of an image set; None if there is none."""
    for source in image_set.channels.values():
        if source.level is not None or source.row is not None or is_remote(source.path):
            continue
        names = names_in(source.path.parent)
        bases = dict.fromkeys((stem_of(source.path), composed(source.path.stem)))
        exact = [names[name] for base in bases for ending in LABEL_ENDINGS if (name := base + ending) in names]
        alike = (f"{base}{ending}".lower() for base in bases for ending in LABEL_ENDINGS)
        found = exact or [names[name] for name in alike if name in names]
        if len(found) > 1:
            log.info("'%s' has %s beside it: the first is taken", source.path.name, " and ".join(found))
        if found:
            return source.path.with_name(found[0])
    return None
