"""Find image sets in a folder of image files."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path, PurePath

from ..errors import InputError, counted
from ..storage.paths import STORE_READERS, as_path, is_remote
from .acquisitions.imagexpress import THUMBNAIL, is_thumbnail
from .acquisitions.layouts import AUTO, FILES, LAYOUT_CHOICES, LAYOUTS, recognize_layout
from .acquisitions.planes import group_planes
from .archives import ARCHIVE, is_archive
from .folder_files import ZARR, list_files
from .formats import SUFFIXES, UNREAD
from .illumination import is_function
from .image_set import ImageSet, PlaneSource, typed_metadata
from .image_set_file import CONTACT_SHEET, IMAGE_SETS, LABEL_FOLDER
from .left_out import LeftOut
from .patterns import Pattern
from .plane_files import choose_plane_files
from .reading_options import ReadingOptions
from .selection import PlaneSelection, image_sets_of_file, with_all_numbers
from .sidecars import PRODUCT, find_products

log = logging.getLogger(__name__)

PATTERN = "pattern"
MAX_UNMATCHED = 0.2
"""Share of the images of a folder that a pattern or layout may leave out."""
NO_CHANNEL = "Image"
"""Name of the channel where nothing names it."""


def from_folder(folder: Path, options: ReadingOptions) -> tuple[list[ImageSet], list[LeftOut], str]:
    """Find the image sets of a folder and its subfolders.

    Parameters
    ----------
    folder : Path
        On a disk or in a store. Hidden files and system folders are passed over; links are followed on a disk.
    options : ReadingOptions
        With a pattern, files that differ in ``{Channel}`` alone are one image set; see :class:`.patterns.Pattern`.
        Without it and without a layout, every image of every file is an image set; files of one image (multi-file
        OME-TIFF, NDTiff) are taken together. Files in the folder of labels are no images.

    Returns
    -------
    image_sets : list of ImageSet
        Numbered from 1, in the order of their metadata, or of the files.
    left_out : list of LeftOut
    layout : str
        How the folder was read: ``pattern``, ``files`` or a layout.

    Raises
    ------
    InputError
        If the folder holds no images, the pattern is wrong, fits none of them or some in two ways, or two files are the
        same channel of the same image set.
    UnreachableError
        If a store does not answer or accepts no credentials.
    """
    if options.layout not in LAYOUT_CHOICES:
        raise InputError(f"`layout` is '{options.layout}'; choose one of {', '.join(LAYOUT_CHOICES)}")
    if options.pattern is not None and options.layout not in (AUTO, FILES):
        raise InputError("`layout` and `pattern` exclude each other: both say how file names are made up")
    images, others, left_out = _sort_files(folder, options.labels)
    if options.pattern is not None:
        read_as, found = PATTERN, _by_pattern(folder, images, options.pattern, options.channel_name)
        fit = f"`pattern` '{options.pattern}'"
    else:
        read_as, found = _by_layout_or_file(folder, images, others, options)
        fit = f"layout '{read_as}'"
    image_sets, more = found
    if options.selection and read_as != FILES:
        image_sets = choose_plane_files(image_sets, options.selection)
    indexes = LAYOUTS[read_as].is_index if read_as in LAYOUTS else lambda path: False
    left_out += more
    left_out += [_no_image(folder.joinpath(*path.parts)) for path in others if not indexes(path)]
    _check_share(folder, left_out, len(images), fit, options.allow_unmatched)
    return image_sets, left_out, read_as


def _no_image(path: Path) -> LeftOut:
    """Say what a file is that is read neither as an image nor as an index."""
    suffix = path.suffix.lower()
    if suffix in UNREAD:
        return LeftOut(path, UNREAD[suffix], unexpected=True)
    return LeftOut(path, ARCHIVE if is_archive(path) else "not an image")


def _sort_files(folder: Path, labels: str | Path | None) -> tuple[list[PurePath], list[PurePath], list[LeftOut]]:
    """List the images of a folder, its other files, and what is left out whatever the images are called."""
    files, left_out = list_files(folder)
    if labels is not None:
        files, own = _without_labels(folder, files, as_path(labels))
        left_out += own
    images = [path for path in files if path.suffix.lower() in SUFFIXES]
    others = [path for path in files if path.suffix.lower() not in SUFFIXES]

    def leave_out(kind: Callable[[PurePath], bool], reason: str) -> None:
        nonlocal images
        left_out.extend(LeftOut(folder.joinpath(*path.parts), reason) for path in images if kind(path))
        images = [path for path in images if not kind(path)]

    leave_out(_results_among(files).__contains__, "of the results of microsnoop profile")
    leave_out(lambda path: is_function(path.stem), "an illumination function: apply it by `illumination`")
    if not images:
        unread = next((UNREAD[path.suffix.lower()] for path in others if path.suffix.lower() in UNREAD), None)
        if unread:
            raise InputError(f"folder '{folder}' holds {unread}")
        zarr = next((each.path for each in left_out if each.reason == ZARR), None)
        if zarr:
            raise InputError(f"folder '{folder}' holds no images but OME-Zarr: name one, such as '{zarr}'")
        archive = next((path for path in others if is_archive(folder.joinpath(*path.parts))), None)
        if archive:
            raise InputError(f"folder '{folder}' holds no images, but '{archive}' is {ARCHIVE}")
        hint = ": name one of its .npz files" if any(path.suffix.lower() == ".npz" for path in others) else ""
        raise InputError(f"folder '{folder}' holds no images ({', '.join(SUFFIXES)}){hint}")
    first = images[0]
    leave_out(is_thumbnail, THUMBNAIL)
    if not images:
        raise InputError(f"folder '{folder}' holds thumbnails alone, e.g. '{first}'")
    leave_out(find_products(images).__contains__, PRODUCT)
    if not images:
        raise InputError(f"folder '{folder}' holds no images, but what a segmentation made of them: '{first}'")
    return images, others, left_out


def _results_among(files: Sequence[PurePath]) -> set[PurePath]:
    """Find the label images and pictures that runs of microsnoop left in their results folders."""
    runs = {path.parent for path in files if path.name == IMAGE_SETS}
    # the shards of a run share them
    runs |= {run.parent for run in runs if run.name.startswith("shard-")}
    pictures, labels = {run / CONTACT_SHEET for run in runs}, {run / LABEL_FOLDER for run in runs}
    return {path for path in files if path in pictures or not labels.isdisjoint(path.parents)}


def _without_labels(folder: Path, files: Sequence[PurePath], labels: Path) -> tuple[list[PurePath], list[LeftOut]]:
    """Leave out labels, a file or the files of a folder, that lie inside the folder."""
    inside = folder.resolve() in labels.resolve().parents
    if not inside:
        return list(files), []
    base = PurePath(labels.resolve().relative_to(folder.resolve()).as_posix())
    kept = [path for path in files if base not in (path, *path.parents)]
    count = len(files) - len(kept)
    return kept, [LeftOut(labels, "label images", count)] if count else []


def _check_share(folder: Path, left_out: Sequence[LeftOut], images: int, fit: str, allowed: bool) -> None:
    """Refuse a run that would measure too few of the images."""
    unexpected = [each for each in left_out if each.unexpected]
    if len(unexpected) > MAX_UNMATCHED * images and not allowed:
        examples = ", ".join(f"'{each.path.relative_to(folder)}'" for each in unexpected[:3])
        raise InputError(
            f"{len(unexpected)} of {counted(images, 'images')} in '{folder}' do not fit the {fit}: {examples}"
            f"{', ...' if len(unexpected) > 3 else ''}\nMend it, or set `allow_unmatched` to measure the others alone"
        )


def _each_file(folder: Path, images: Sequence[PurePath], selection: PlaneSelection | None) -> list[ImageSet]:
    """Take every image of every file as an image set; its folder is metadata."""

    def read(path: PurePath) -> tuple[list[ImageSet], str]:
        metadata = {"Folder": path.parent.as_posix()} if len(path.parts) > 1 else {}
        return image_sets_of_file(folder.joinpath(*path.parts), metadata, selection)

    with ThreadPoolExecutor(STORE_READERS if is_remote(folder) else 1) as pool:
        found = list(pool.map(read, images))
    image_sets: list[ImageSet] = []
    taken: set[str] = set()
    for sets, set_identity in found:
        if not set_identity or set_identity not in taken:
            image_sets += sets
            taken.add(set_identity)
    return [replace(each, number=number) for number, each in enumerate(with_all_numbers(image_sets), start=1)]


def _by_layout_or_file(
    folder: Path, images: Sequence[PurePath], others: Sequence[PurePath], options: ReadingOptions
) -> tuple[str, tuple[list[ImageSet], list[LeftOut]]]:
    """Read a folder by the layout that is chosen or recognized, else file by file; return how it was read, too."""
    name = recognize_layout(images, others) if options.layout == AUTO else options.layout
    if name in LAYOUTS:
        laid_out = _by_layout(folder, images, others, name, options.channel_name)
        if laid_out is not None:
            return name, laid_out
        if options.layout != AUTO:
            raise InputError(f"no file of '{folder}' has a name of the `layout` '{name}' ({LAYOUTS[name].TITLE})")
    if options.channel_name is not None:
        raise InputError("`channel_name` goes with `pattern`, or with a `layout` of names without channel")
    return FILES, (_each_file(folder, images, options.selection), [])


def _by_layout(
    folder: Path, images: Sequence[PurePath], others: Sequence[PurePath], name: str, channel_name: str | None
) -> tuple[list[ImageSet], list[LeftOut]] | None:
    """Group the planes that a layout names; None if there are none."""
    acquisition = LAYOUTS[name].read(folder, images, others, channel_name or NO_CHANNEL)
    if not acquisition.planes:
        return None
    log.info("'%s' is read as a plate of %s", folder, LAYOUTS[name].TITLE)
    # an index of Windows may write names in other capitals than the disk
    spelled = {path.as_posix().lower(): path for path in images}
    existing = set(images)
    acquisition.planes = [
        plane if plane.path in existing else replace(plane, path=spelled.get(plane.path.as_posix().lower(), plane.path))
        for plane in acquisition.planes
    ]
    image_sets, left_out = group_planes(folder, acquisition.planes, existing)
    left_out += [replace(each, path=folder.joinpath(*each.path.parts)) for each in acquisition.left_out]
    known = {plane.path for plane in acquisition.planes} | {each.path for each in acquisition.left_out}
    reason = f"an image that is not of the layout '{name}'"
    left_out += [LeftOut(folder.joinpath(*path.parts), reason, unexpected=True) for path in images if path not in known]
    if not image_sets:
        raise InputError(
            f"'{folder}': none of the {counted(len(acquisition.planes), 'images')} that its index names is there"
        )
    return image_sets, left_out


def _by_pattern(
    folder: Path, images: Sequence[PurePath], pattern: str, channel_name: str | None
) -> tuple[list[ImageSet], list[LeftOut]]:
    """Group the files that fit the pattern by everything in their path but the channel."""
    expression = Pattern(pattern, needs_channel=channel_name is None)
    if channel_name is not None and "Channel" in expression.names:
        raise InputError("`channel_name` goes with a `pattern` without {Channel}: leave one of them out")
    left_out = []
    groups: dict[str, dict[tuple[tuple[str, str], ...], dict[str, PurePath]]] = {}
    for path in images:
        match = expression.match(path.as_posix())
        if match is None:
            reason = f"an image that does not fit the pattern '{pattern}'"
            left_out.append(LeftOut(folder.joinpath(*path.parts), reason, unexpected=True))
            continue
        values = dict(match.values)
        channel = values.pop("Channel", channel_name) or NO_CHANNEL
        files = groups.setdefault(match.deeper.rstrip("/"), {}).setdefault(tuple(values.items()), {})
        other = files.setdefault(channel, path)
        if other is not path:
            raise _same_place(expression, channel, other, path)
    if not groups:
        paths = [path.as_posix() for path in images]
        raise InputError(
            f"no file of '{folder}' fits the `pattern` '{pattern}'; one of its files: '{paths[0]}'"
            f"{expression.why_not(paths)}"
        )
    left_out += _drop_deeper_copies(folder, groups, expression)
    sets = [
        ({**dict(place), **({"Folder": deeper} if deeper else {})}, files)
        for deeper, places in groups.items()
        for place, files in places.items()
    ]
    sets.sort(key=lambda each: list(each[0].values()))
    image_sets = [
        ImageSet(
            number, {name: PlaneSource(folder.joinpath(*path.parts)) for name, path in files.items()}, {}, metadata
        )
        for number, (metadata, files) in enumerate(sets, start=1)
    ]
    return typed_metadata(image_sets), left_out


def _drop_deeper_copies(
    folder: Path, groups: dict[str, dict[tuple[tuple[str, str], ...], dict[str, PurePath]]], expression: Pattern
) -> list[LeftOut]:
    """Leave out files in deeper folders that have the well (and so on) of files where the pattern looks for them."""
    left_out = []
    owners = dict(groups.get("", {}))
    for deeper in sorted(name for name in groups if name):
        for place, files in list(groups[deeper].items()):
            if place in groups.get("", {}):
                reason = "deeper than the pattern, beside images of the same metadata"
                left_out += [LeftOut(folder.joinpath(*path.parts), reason, unexpected=True) for path in files.values()]
                del groups[deeper][place]
            elif place in owners:
                (channel, path), other = next(iter(files.items())), next(iter(owners[place].values()))
                raise _same_place(expression, channel, other, path)
            else:
                owners[place] = files
    return left_out


def _same_place(expression: Pattern, channel: str, first: PurePath, second: PurePath) -> InputError:
    return InputError(
        f"`pattern` '{expression.text}': two files are one image (channel '{channel}'): write what tells them apart "
        f"into the pattern, e.g. {{Time}} or {{Folder}}/\n  '{first.as_posix()}'\n  '{second.as_posix()}'"
    )
