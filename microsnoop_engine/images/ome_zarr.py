"""Find image sets in an OME-Zarr plate or image.

Of a plate, the metadata of all wells are read, and those of one field; the other fields are read with their pixels.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ..errors import ImageError, InputError
from ..storage.paths import STORE_READERS, path_kind
from .image_set import ImageSet, PlaneSource
from .ome_zarr_image import METADATA_FILES, OmeImage, read_attributes, read_image

log = logging.getLogger(__name__)


def is_ome_zarr(path: Path) -> bool:
    """Return True if a folder is a Zarr group, by its name or its files.

    Raises
    ------
    StorageError
        If a store refuses the request.
    """
    return path.suffix == ".zarr" or any(path_kind(path / name) for name in (*METADATA_FILES, ".zgroup"))


def from_ome_zarr(path: Path, level: int | None = None, pixel_size: float | None = None) -> list[ImageSet]:
    """Find the image sets of an OME-Zarr plate, or of a single OME-Zarr image.

    Metadata are ``Plate``, ``Well`` (``B03``), ``Site`` (from 1, in the order of the well) and ``Field`` (its path in
    the plate), with ``Acquisition`` if there are several. Channels have the names in ``omero`` of the first field, else
    ``C1``, ``C2``, ..; every image in its ``labels`` is an object set of that name.

    Parameters
    ----------
    path : Path
        The group of the plate or image.
    level : int, optional
        Resolution level, from 0, the finest and the default.
    pixel_size : float, optional
        In micrometers: takes the level whose pixels are nearest to that.

    Returns
    -------
    list of ImageSet
        One per field, in the order of rows, columns and fields. A field that cannot be read is reported when its pixels
        are.

    Raises
    ------
    InputError
        If it is neither a plate nor an image, no field can be read, or there is no such level.
    MissingExtraError
        If Zarr is not installed.
    """
    try:
        attributes = read_attributes(path)
        fields: list[tuple[Path, dict[str, str | int | float]]]
        if "plate" in attributes:
            fields = _plate_fields(path, attributes["plate"])
        elif "multiscales" in attributes:
            fields = [(path, {"File": path.name})]
        else:
            raise InputError(_other_kind(path, attributes))
        first, channels = _first_readable([group for group, _ in fields])
    except ImageError as error:
        raise InputError(f"'{error.path}': {error}") from None
    level = _choose_level(first, level, pixel_size)
    objects = _label_names(first.group)
    return [
        ImageSet(
            number,
            {name: PlaneSource(group, index, level=level) for index, name in enumerate(channels)},
            {name: PlaneSource(group / "labels" / name, level=level) for name in objects},
            metadata,
        )
        for number, (group, metadata) in enumerate(fields, start=1)
    ]


def _plate_fields(plate_group: Path, plate: dict[str, Any]) -> list[tuple[Path, dict[str, str | int | float]]]:
    """Return the groups of the fields of a plate with their metadata, in the order of rows, columns and fields."""
    try:
        rows, columns = ([str(entry["name"]) for entry in plate[key]] for key in ("rows", "columns"))
        positions = sorted((well["rowIndex"], well["columnIndex"], str(well["path"])) for well in plate["wells"])
        wells = [(path, f"{rows[row]}{columns[column].zfill(2)}") for row, column, path in positions]
        plate_name = str(plate.get("name") or plate_group.name.removesuffix(".zarr").removesuffix(".ome"))
        several_acquisitions = len(plate.get("acquisitions") or []) > 1
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ImageError(f"its plate metadata are damaged ({error!r})", plate_group) from None
    if not wells:
        raise ImageError("the plate has no wells", plate_group)
    with ThreadPoolExecutor(STORE_READERS) as pool:
        images_by_well = list(pool.map(lambda well: _well_images(plate_group / well[0]), wells))
    fields = []
    for (well_path, well), images in zip(wells, images_by_well, strict=True):
        for site, image in enumerate(images, start=1):
            field = f"{well_path}/{image['path']}" if image["path"] else well_path
            metadata: dict[str, str | int | float] = {"Plate": plate_name, "Well": well, "Site": site, "Field": field}
            if several_acquisitions:
                metadata["Acquisition"] = image.get("acquisition", "")
            fields.append((plate_group / field, metadata))
    return fields


def _well_images(well: Path) -> list[dict[str, Any]]:
    """Return the images of a well; the well itself if its metadata cannot be read, for a field that reports it."""
    try:
        images = read_attributes(well)["well"]["images"]
        return [{**image, "path": str(image["path"])} for image in images]
    except (ImageError, KeyError, TypeError):
        return [{"path": ""}]


def _first_readable(groups: Sequence[Path]) -> tuple[OmeImage, list[str]]:
    """Return the first image whose metadata can be read, and its channels; raise the first error if there is none."""
    errors = []
    for group in groups:
        try:
            image = read_image(group)
            return image, image.channels(image.open(0).shape)
        except ImageError as error:
            errors.append(error)
    raise errors[0]


def _choose_level(image: OmeImage, level: int | None, pixel_size: float | None) -> int:
    """Return the level that is asked for by its number or its pixel size; it is checked."""
    sizes = image.pixel_sizes
    if pixel_size is not None:
        if not all(size > 0 for size in sizes):
            raise InputError(f"`pixel_size`: the metadata of '{image.group}' hold no pixel sizes: use `level`")
        level = min(range(len(sizes)), key=lambda n: abs(math.log(sizes[n] / pixel_size)))
        log.info("level %d, with pixels of %.3g micrometers", level, sizes[level])
    if level is not None and not 0 <= level < len(sizes):
        raise InputError(f"`level` {level}: '{image.group}' has levels 0 to {len(sizes) - 1}")
    return level or 0


def _label_names(group: Path) -> list[str]:
    """Return the names of the label images of an image."""
    try:
        return [str(name) for name in read_attributes(group / "labels")["labels"]]
    except (ImageError, KeyError, TypeError):
        return []


def _other_kind(path: Path, attributes: dict[str, Any]) -> str:
    """Return the message for a Zarr group that is neither a plate nor an image."""
    if "bioformats2raw.layout" in attributes:
        return f"'{path}' holds several images: use one of them, such as '{path / '0'}'"
    if "well" in attributes:
        return f"'{path}' is a well: use its plate, or one of its images"
    return f"'{path}' is no OME-Zarr plate and no OME-Zarr image: its metadata have neither 'plate' nor 'multiscales'"
