"""Find image sets in an OME-Zarr plate, image or collection of images.

Nothing of the first field stands for all: pixel sizes, channels and label images are those of each field.
"""

from __future__ import annotations

import logging
import math
import re
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

from ..errors import ImageError, InputError, StorageError, counted, first_line
from ..storage.paths import STORE_READERS, as_path, folders_in, is_remote, open_header, path_kind
from .image_set import ImageSet, Metadata, PlaneSource, Position
from .ome_zarr_image import METADATA_FILES, SPATIALDATA, OmeImage, channel_names, read_attributes, read_image
from .ome_zarr_planes import LABELS
from .pixel_sizes import report_rectangular
from .selection import PlaneSelection, positions, with_all_numbers
from .stacks import refuse_stack

log = logging.getLogger(__name__)

ACQUISITION = "Acquisition"
"""Metadata of a plate's field, if there are several acquisitions."""
ZIP_SUFFIXES = (".ozx", ".zarr.zip")
"""Of an OME-Zarr in one file."""
_SAME_SIZE = 1.02
"""Pixel sizes within this factor are the same: writers round those of a pyramid."""


@dataclass(frozen=True)
class Field:
    """One image of a plate or collection, with what its metadata say.

    Attributes
    ----------
    group : Path
        Its Zarr group.
    metadata : dict
        Plate, well, site and the like.
    image : OmeImage or ImageError
        Its metadata, or what is wrong with them.
    labels : dict of str to Path
        The groups of its label images by their name.
    """

    group: Path
    metadata: dict[str, str | int | float]
    image: OmeImage | ImageError
    labels: dict[str, Path]


def is_ome_zarr(path: Path) -> bool:
    """Return True if a folder is a Zarr group, by its name or its files.

    Raises
    ------
    StorageError
        If a store refuses the request.
    """
    return path.suffix == ".zarr" or any(path_kind(path / name) for name in (*METADATA_FILES, ".zgroup"))


def inside_zip(path: Path) -> Path:
    """Return the address of the OME-Zarr in a file of `ZIP_SUFFIXES`.

    Raises
    ------
    InputError
        If it is no zip file with an OME-Zarr.
    StorageError
        If a store refuses the file.
    MissingExtraError
        If universal-pathlib is not installed.
    """
    with open_header(path) as file:
        try:
            is_zip = is_zipfile(file)
        # a file of a store that is shorter than the directory of a zip file
        except ValueError:
            is_zip = False
    if not is_zip:
        raise InputError(f"'{path}' is damaged: it is no zip file")
    root = as_path(f"zip://::{path if is_remote(path) else path.resolve().as_posix()}")
    if not is_ome_zarr(root):
        folders = folders_in(root)
        if len(folders) != 1 or not is_ome_zarr(root / folders[0]):
            raise InputError(f"'{path}' holds no OME-Zarr, neither at its top nor in its only folder")
        root = root / folders[0]
    return root


def from_ome_zarr(
    path: Path,
    level: int | None = None,
    pixel_size: float | None = None,
    acquisition: str | int | None = None,
    selection: PlaneSelection | None = None,
) -> list[ImageSet]:
    """Find the image sets of an OME-Zarr plate, of a single OME-Zarr image, or of a collection of bioformats2raw.

    Metadata are ``Plate``, ``Well`` (``B03``), ``Site`` (from 1, in the order of the well) and ``Field`` (its path in
    the plate), with ``Acquisition`` if there are several; or ``File``, with ``Series`` in a collection. Channels have
    the names in ``omero``; those that have none or share one are numbered, and this is logged. Every image in the
    ``labels`` of a field is an object set of that name, also if it is not listed there.

    Parameters
    ----------
    path : Path
        The group of the plate or image.
    level : int, optional
        Resolution level, from 0, the finest and the default.
    pixel_size : float, optional
        In micrometers: takes the level of each field whose pixels are nearest to that.
    acquisition : str or int, optional
        Of a plate: the number or name of the acquisition to take. By default all that have the channels of the first;
        the others are logged.
    selection : PlaneSelection, optional
        The planes to take of stacks in depth and time, with metadata ``Plane`` and ``Time`` where all are taken. A
        label image follows them.

    Returns
    -------
    list of ImageSet
        One per field (and plane or time, if all are taken), in the order of rows, columns and fields. A field that
        cannot be read is reported when its pixels are.

    Raises
    ------
    InputError
        If it is none of these, no field can be read, all are stacks of which nothing is selected, or there is no such
        level or acquisition.
    StorageError
        If a store refuses the metadata.
    MissingExtraError
        If Zarr is not installed.
    """
    selection = selection or PlaneSelection()
    if selection.pages is not None:
        raise InputError("`pages` goes with TIFF files: OME-Zarr says what its axes are")
    try:
        attributes = read_attributes(path)
        places = _places(path, attributes)
        if acquisition is not None:
            places = _of_acquisition(places, str(acquisition), attributes.get("plate", {}))
        with ThreadPoolExecutor(STORE_READERS) as pool:
            fields = list(pool.map(lambda place: _read_field(*place), places))
        channels = _channels_by_acquisition(fields, selection)
    except ImageError as error:
        raise InputError(f"'{error.path}': {error}") from None
    fields = [field for field in fields if field.metadata.get(ACQUISITION) in channels]
    _log_further_channels(fields, channels)
    levels = _choose_levels(fields, level, pixel_size)
    with ThreadPoolExecutor(STORE_READERS) as pool:
        chosen = list(pool.map(lambda field, level: _positions(field, level, selection), fields, levels))
    image_sets: list[ImageSet] = []
    for field, number, places_in_stack in zip(fields, levels, chosen, strict=True):
        names = channels[field.metadata.get(ACQUISITION)]
        for position, numbers in places_in_stack:
            labels = {name: PlaneSource(group, level=number, position=position) for name, group in field.labels.items()}
            sources = _sources(field, names, number, position)
            image_sets.append(ImageSet(len(image_sets) + 1, sources, labels, {**field.metadata, **numbers}))
    return with_all_numbers(image_sets)


def _positions(field: Field, level: int, selection: PlaneSelection) -> list[tuple[Position | None, Metadata]]:
    """Return the positions that a selection takes of a field; an only one if its array cannot be read."""
    if selection == PlaneSelection() or isinstance(field.image, ImageError):
        return [(None, {})]
    try:
        described = field.image.describe(field.image.open(level).shape)
    except (ImageError, StorageError) as error:
        log.debug("the array of '%s' cannot be read: %s", field.group, error)
        return [(None, {})]
    return [
        (None if position == Position() else position, numbers)
        for position, numbers, _ in positions(described, selection)
    ]


Place = tuple[Path, dict[str, str | int | float]]


def _places(path: Path, attributes: dict[str, Any]) -> list[Place]:
    """Return the groups of all images with the metadata of their image sets."""
    if "plate" in attributes:
        return _plate_fields(path, attributes["plate"])
    if "image-label" in attributes and SPATIALDATA not in attributes:
        raise InputError(f"'{path}' is a label image: use the image that it belongs to")
    if "multiscales" in attributes:
        if len(attributes["multiscales"]) > 1:
            log.warning("'%s' has %d multiscales: only the first is read", path, len(attributes["multiscales"]))
        return [(path, {"File": _name(path)})]
    if "bioformats2raw.layout" in attributes:
        return [(path / name, {"File": _name(path), "Series": name}) for name in _series(path)]
    raise InputError(_other_kind(path, attributes))


def _name(path: Path) -> str:
    """Return the name of a folder, or of the zip file whose top the path is."""
    return path.name or str(path).rpartition("/")[2]


def _stem(path: Path) -> str:
    return re.sub(r"((\.ome)?\.zarr)?(\.zip)?$|\.ozx$", "", _name(path))


def _plate_fields(plate_group: Path, plate: dict[str, Any]) -> list[Place]:
    """Return the groups of the fields of a plate with their metadata, in the order of rows, columns and fields."""
    try:
        rows, columns = ([str(entry["name"]) for entry in plate[key]] for key in ("rows", "columns"))
        positions = sorted((well["rowIndex"], well["columnIndex"], str(well["path"])) for well in plate["wells"])
        wells = [(path, f"{rows[row]}{columns[column].zfill(2)}") for row, column, path in positions]
        plate_name = str(plate.get("name") or _stem(plate_group))
        listed = plate.get("acquisitions") or []
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ImageError(f"its plate metadata are damaged ({error!r})", plate_group) from None
    if not wells:
        raise ImageError("the plate has no wells", plate_group)
    with ThreadPoolExecutor(STORE_READERS) as pool:
        images_by_well = list(pool.map(lambda well: _well_images(plate_group / well[0]), wells))
    # writers list none, or not all, in the plate
    acquisitions = {image.get("acquisition", "") for images in images_by_well for image in images if image["path"]}
    fields: list[Place] = []
    for (well_path, well), images in zip(wells, images_by_well, strict=True):
        for site, image in enumerate(images, start=1):
            field = f"{well_path}/{image['path']}" if image["path"] else well_path
            metadata: dict[str, str | int | float] = {"Plate": plate_name, "Well": well, "Site": site, "Field": field}
            if len(acquisitions) > 1 or len(listed) > 1:
                metadata[ACQUISITION] = image.get("acquisition", "")
            fields.append((plate_group / field, metadata))
    return fields


def _well_images(well: Path) -> list[dict[str, Any]]:
    """Return the images of a well; the well itself if its metadata cannot be read, for a field that reports it."""
    try:
        images = read_attributes(well)["well"]["images"]
        return [{**image, "path": str(image["path"])} for image in images]
    except (ImageError, KeyError, TypeError):
        return [{"path": ""}]


def _series(path: Path) -> list[str]:
    """Return the names of the images of a collection of bioformats2raw."""
    try:
        listed = read_attributes(path / "OME").get("series")
    except ImageError:
        listed = None
    names = [str(name) for name in listed or sorted(filter(str.isdecimal, folders_in(path)), key=int)]
    if not names:
        raise InputError(f"'{path}' is a collection of bioformats2raw without images: use an image, '{path / '0'}'")
    return names


def _of_acquisition(places: Sequence[Place], chosen: str, plate: dict[str, Any]) -> list[Place]:
    """Return the fields of an acquisition, by its number or name."""
    names = {str(entry.get("name") or ""): str(entry["id"]) for entry in plate.get("acquisitions") or []}
    existing = list(dict.fromkeys(str(metadata.get(ACQUISITION, "")) for _, metadata in places))
    if existing == [""]:
        raise InputError("`acquisition` goes with an OME-Zarr plate of several acquisitions")
    number = chosen if chosen in existing else names.get(chosen, chosen)
    found = [place for place in places if str(place[1][ACQUISITION]) == number]
    if not found:
        raise InputError(f"`acquisition`: there is no '{chosen}'; there are {', '.join(existing)}")
    return found


def _read_field(group: Path, metadata: dict[str, str | int | float]) -> Field:
    """Read the metadata of a field."""
    try:
        return Field(group, metadata, read_image(group), _label_groups(group))
    except ImageError as error:
        return Field(group, metadata, error, {})
    except StorageError as error:
        return Field(group, metadata, ImageError(error.reason, group), {})
    except OSError as error:
        return Field(group, metadata, ImageError(f"cannot be read ({first_line(error)})", group), {})


def _label_groups(group: Path) -> dict[str, Path]:
    """Return the groups of the label images of an image: those listed, then those that are there all the same."""
    folder = group / LABELS
    try:
        listed = [str(name) for name in read_attributes(folder)["labels"] or []]
    except (ImageError, KeyError, TypeError):
        listed = []
    try:
        # a server of HTTP lists no folders
        found = [name for name in folders_in(folder) if name not in listed]
    except (StorageError, NotImplementedError):
        found = []
    unlisted = []
    for name in found:
        try:
            read_image(folder / name)
            unlisted.append(name)
        except ImageError as error:
            log.warning("'%s' is not read as a label image: %s", folder / name, error)
    return {name: folder / name for name in (*listed, *unlisted)}


def _channels_by_acquisition(fields: Sequence[Field], selection: PlaneSelection) -> dict[Hashable, list[str]]:
    """Return the channels of every acquisition that is measured: those that most of its fields have.

    Tables have the same columns in all rows, so acquisitions with other channels than the first are left out.
    """
    by_acquisition: dict[Hashable, list[Field]] = {}
    for field in fields:
        by_acquisition.setdefault(field.metadata.get(ACQUISITION), []).append(field)
    channels: dict[Hashable, list[str]] = {}
    errors: dict[Hashable, ImageError] = {}
    for key, those in by_acquisition.items():
        votes = Counter(_named(field) for field in those)
        for field in sorted(those, key=lambda field: -votes[_named(field)]):
            try:
                channels[key] = _channels(field, selection)
                break
            except ImageError as error:
                errors.setdefault(key, error)
    if not channels:
        raise next(iter(errors.values()))
    first, wanted = next(iter(channels.items()))
    for failed in errors:
        # its fields are reported when their pixels are read
        channels.setdefault(failed, wanted)
    others = {key: names for key, names in channels.items() if set(names) != set(wanted)}
    for other, names in others.items():
        log.warning(
            "left out: acquisition %s (%s), which has channels %s, not %s as acquisition %s: measure it in a "
            "run of its own (`acquisition` %s)",
            *(other, counted(len(by_acquisition[other]), "images"), ", ".join(names), ", ".join(wanted), first, other),
        )
    return {key: names for key, names in channels.items() if key not in others}


def _named(field: Field) -> frozenset[str]:
    """Return the names of channels in the metadata of a field."""
    return frozenset(field.image.names if isinstance(field.image, OmeImage) else ())


def _channels(field: Field, selection: PlaneSelection) -> list[str]:
    """Return the names of the channels of a field, and log what replaces them.

    The shape of its array is read for them, so a stack of which no plane is selected is refused here.
    """
    if isinstance(field.image, ImageError):
        raise field.image
    image = field.image
    described = image.describe(image.open(0).shape)
    refuse_stack(described, next(positions(described, selection))[0], field.group)
    names = list(described.channels)
    problem = channel_names(image.names, len(names))[1]
    if problem:
        log.warning("'%s': %s (%s): they are %s", field.group, problem, ", ".join(image.names), ", ".join(names))
    return names


def _sources(field: Field, wanted: Sequence[str], level: int, position: Position | None) -> dict[str, PlaneSource]:
    """Return the planes of the channels of a field, wherever it has them."""
    own = list(field.image.names) if isinstance(field.image, OmeImage) else []
    # a channel that the field lacks is reported when it is read
    places = [own.index(name) if own.count(name) == 1 else n for n, name in enumerate(wanted)]
    return {
        name: PlaneSource(field.group, n, level=level, position=position)
        for name, n in zip(wanted, places, strict=True)
    }


def _log_further_channels(fields: Sequence[Field], channels: Mapping[Hashable, Sequence[str]]) -> None:
    """Log the channels that only some fields have, and that are not measured."""
    further: dict[str, list[Field]] = {}
    for field in fields:
        wanted = channels[field.metadata.get(ACQUISITION)]
        own = field.image.names if isinstance(field.image, OmeImage) else ()
        if set(wanted) < set(own):
            for name in set(own) - {*wanted, ""}:
                further.setdefault(name, []).append(field)
    for name, those in further.items():
        log.warning("left out: channel %s of %s, such as '%s'", name, counted(len(those), "images"), those[0].group)


def _choose_levels(fields: Sequence[Field], level: int | None, pixel_size: float | None) -> list[int]:
    """Return the level of every field that is asked for by its number or its pixel size."""
    images = [field.image for field in fields if isinstance(field.image, OmeImage)]
    if level is not None:
        highest = max(images, key=lambda image: len(image.levels))
        if not 0 <= level < len(highest.levels):
            raise InputError(f"`level` {level}: '{highest.group}' has levels 0 to {len(highest.levels) - 1}")
    if pixel_size is not None:
        unknown = [image for image in images if not all(size > 0 for size in image.pixel_sizes)]
        if unknown:
            of_all = f" ({len(unknown)} of {counted(len(images), 'images')})" if len(images) > 1 else ""
            raise InputError(
                f"`pixel_size`: the metadata of '{unknown[0].group}'{of_all} hold no pixel sizes: use `level`"
            )
    finest = [(image.group, *image.levels[0].scale[::-1]) for image in images if image.levels]
    report_rectangular(finest, resized=pixel_size is not None)
    levels = []
    sizes: dict[float, list[OmeImage]] = {}
    for field in fields:
        number = level or 0
        if isinstance(field.image, OmeImage):
            known = field.image.pixel_sizes
            if pixel_size is not None:
                number = min(range(len(known)), key=lambda n: abs(math.log(known[n] / pixel_size)))
            if number < len(known) and known[number] > 0:
                same = (size for size in sizes if 1 / _SAME_SIZE < size / known[number] < _SAME_SIZE)
                sizes.setdefault(next(same, known[number]), []).append(field.image)
        levels.append(number)
    if pixel_size is not None:
        chosen = Counter(
            number for field, number in zip(fields, levels, strict=True) if isinstance(field.image, OmeImage)
        )
        log.info(
            "%s, with pixels of %s micrometers",
            ", ".join(f"level {number}{_of(count, len(images))}" for number, count in sorted(chosen.items())),
            _listed(f"{size:.3g}" for size in sorted(sizes)),
        )
    if len(sizes) > 1:
        examples = [f"{size:.3g} (such as '{of[0].group}')" for size, of in sorted(sizes.items())]
        advice = "choose one with `pixel_size`" if pixel_size is None else "not all have levels of that size"
        log.warning("images have different pixel sizes in micrometers: %s: %s", _listed(examples), advice)
    return levels


def _of(count: int, total: int) -> str:
    return "" if count == total else f" of {counted(count, 'images')}"


def _listed(words: Iterable[str]) -> str:
    *others, last = words
    return f"{', '.join(others)} and {last}" if others else last


def _other_kind(path: Path, attributes: dict[str, Any]) -> str:
    """Return the message for a Zarr group that is no input."""
    if SPATIALDATA in attributes:
        return (
            f"'{path}' is a SpatialData folder, which keeps images and labels apart: write both as OME-Zarr (the "
            "labels in 'labels' of the image) or TIFF"
        )
    if "well" in attributes:
        return f"'{path}' is a well: use its plate, or one of its images"
    return f"'{path}' is no OME-Zarr plate and no OME-Zarr image: its metadata have neither 'plate' nor 'multiscales'"
