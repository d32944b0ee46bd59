"""Find the image sets of any input: a LoadData CSV, a folder, an OME-Zarr plate, an image file or a .npz file."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath

from ..errors import InputError
from ..storage.paths import as_path, is_remote, path_kind
from .acquisitions.layouts import AUTO, FILES, LAYOUTS
from .archives import ARCHIVE, is_archive
from .channel_names import files_of_one_field
from .folders import NO_CHANNEL, from_folder
from .formats import SUFFIXES, UNREAD
from .illumination import add_illumination
from .image_set import ImageSet
from .label_files import match_labels, match_rois, stack_of
from .left_out import LeftOut, log_left_out
from .load_data import from_load_data, is_load_data
from .npz import from_npz
from .ome_zarr import ZIP_SUFFIXES, from_ome_zarr, inside_zip, is_ome_zarr
from .pixel_sizes import match_pixel_size, warn_of_pixel_sizes
from .projection import PROJECTIONS
from .reading_options import ReadingOptions
from .repeats import warn_of_repeats
from .selection import PlaneSelection, choose_planes, image_sets_of_file
from .sidecars import with_sidecar_labels
from .unicode_names import existing_form

log = logging.getLogger(__name__)

_LOOKED_AT = 8
"""Files whose headers stand for those of all."""
ZARR, FOLDER, INDEX, LOAD_DATA, NPZ, FILE = "OME-Zarr", "folder", "index of a plate", "LoadData", "npz", "file"


@dataclass(frozen=True)
class Inputs:
    """What an input holds.

    Attributes
    ----------
    image_sets : list of ImageSet
    left_out : list of LeftOut
        Files of a folder that are not measured.
    layout : str
        How the input was read: ``LoadData``, ``OME-Zarr``, ``npz``, ``file``, ``files`` (every file of a folder is an
        image set), ``pattern``, or the layout of an instrument.
    """

    image_sets: list[ImageSet]
    left_out: list[LeftOut] = field(default_factory=list)
    layout: str = FILES


def find_image_sets(
    path: str | Path,
    pattern: str | None = None,
    labels: str | Path | None = None,
    objects: str = "Nuclei",
    level: int | None = None,
    pixel_size: float | None = None,
    rois: str | Path | None = None,
    acquisition: str | int | None = None,
    *,
    layout: str = AUTO,
    channel_name: str | None = None,
    allow_unmatched: bool = False,
    selection: PlaneSelection | None = None,
    illumination: str | Path | None = None,
) -> list[ImageSet]:
    """Find the image sets of an input of any kind.

    No pixels are read, but the headers of image files and the metadata of OME-Zarr are. A single file that is damaged
    is reported when its pixels are read.

    Parameters
    ----------
    path : str or Path
        A LoadData CSV of CellProfiler, a folder of images, an OME-Zarr plate or image, an image file or a .npz file; or
        the address of one in an object store.
    pattern : str, optional
        For a folder: the form of a file's path in it, for example ``{Plate}/{Well}_s{Site}_{Channel}.tif``.
        ``{Channel}`` is the channel; every other name becomes metadata; see :class:`.patterns.Pattern`. Without it,
        every image of a file is an image set.
    labels : str or Path, optional
        A label image for a single image set, or for the planes of a single stack; or a folder of label images with the
        names of the images (of any of their channels), with or without one of the endings ``_labels``, ``_mask``,
        ``_cp_masks``, ``_Nuclei``, ``_Cells``; ``_seg.npy`` of Cellpose and other .npy files, and .geojson. By default
        those beside the images, if all have one. Not for OME-Zarr, which has its own.
    objects : str
        Name of the object set of ``labels`` and ``rois``.
    level : int, optional
        For OME-Zarr: the resolution level, from 0, the finest and the default.
    pixel_size : float, optional
        In micrometers: all images are resized to pixels of that size; of OME-Zarr, the level with the nearest pixel
        size is taken.
    rois : str or Path, optional
        Outlines in place of label images: ROIs of ImageJ (.zip, .roi), polygons of QuPath and others (.geojson) or
        shapes of napari (.csv); a file for a single image set, or for the planes of a single stack, or a folder of such
        files with the names of the images. Or the images themselves (.tif), of which ImageJ saved the overlay.
    layout : str
        For a folder without a pattern: ``auto`` recognizes what an instrument wrote and otherwise takes every file as
        an image set, ``files`` always does that; or the name of a layout (``phenix``, ``imagexpress``,
        ``cellvoyager``, ``incell``, ``incucyte``, ``scanr``, ``matrix``, ``pathway``).
    channel_name : str, optional
        For a folder whose file names hold no channel: its name.
    allow_unmatched : bool
        Accept that many images of a folder do not fit the pattern or layout.
    acquisition : str or int, optional
        For an OME-Zarr plate of several acquisitions: the number or name of the one to take. By default all that have
        the channels of the first.
    selection : PlaneSelection, optional
        The planes to take of stacks in depth and time. Without it, stacks are refused when they are read.
    illumination : str or Path, optional
        A folder of illumination functions, ``IllumDNA.npy`` and so on, by which the channels are divided.

    Returns
    -------
    list of ImageSet
        In the order of the input; ``number`` runs from 1 unless a LoadData CSV has a column ImageNumber.

    Raises
    ------
    InputError
        If the input does not exist, is of no known kind, holds no images, or a parameter does not go with it. Of a
        LoadData CSV, the message names the line and column.
    ImageError
        If a .npz file is damaged.
    MissingExtraError
        If OME-Zarr, or the store of an address, needs a package that is not installed.
    StorageError, UnreachableError
        If a store refuses the input, or does not answer.

    Examples
    --------
    >>> import tempfile
    >>> from microsnoop_engine.images.synthetic import write_screen
    >>> folder = tempfile.TemporaryDirectory()
    >>> screen = Path(folder.name)
    >>> load_data = write_screen(screen, plates=1, shape=(64, 64), n_cells=1)
    >>> image_sets = find_image_sets(load_data)
    >>> len(image_sets), list(image_sets[0].channels), image_sets[0].metadata["Compound"]
    (24, ['DNA', 'ER', 'Actin'], 'DMSO')

    The same images without the CSV, but with their label images:

    >>> image_sets = find_image_sets(screen / "images", "{Plate}/{Well}_s{Site}_{Channel}.tif", screen / "labels")
    >>> image_sets[0].metadata, list(image_sets[0].labels)
    ({'Plate': 'Plate1', 'Well': 'A01', 'Site': 1}, ['Nuclei'])
    >>> folder.cleanup()
    """
    options = ReadingOptions(
        pattern,
        labels,
        objects,
        level,
        pixel_size,
        rois,
        acquisition,
        layout,
        channel_name,
        allow_unmatched,
        selection,
        illumination,
    )
    return find_inputs(path, options).image_sets


def find_inputs(path: str | Path, options: ReadingOptions | None = None) -> Inputs:
    """Find the image sets of an input, and the files that are left out, which are logged.

    Parameters
    ----------
    path : str or Path
    options : ReadingOptions, optional
        See :func:`find_image_sets`, which raises the same errors.

    Returns
    -------
    Inputs
    """
    options = options or ReadingOptions()
    if options.labels is not None:
        options = replace(options, labels=existing_form(as_path(options.labels)))
    path, kind = _recognize(existing_form(as_path(path)))
    _refuse_unfit(path, kind, options)
    inputs = _READERS[kind](path, options)
    image_sets = _with_labels(inputs.image_sets, options)
    left_out = _name_labels(inputs.left_out, image_sets)
    log_left_out(left_out)
    warn_of_repeats(image_sets)
    # the columns of a LoadData table say what is taken
    if kind != LOAD_DATA:
        _report_colors(image_sets)
        _warn_of_channels(image_sets)
    if options.selection is not None and options.selection.project is not None:
        _warn_of_no_stack(image_sets)
    if options.illumination:
        image_sets = add_illumination(image_sets, as_path(options.illumination))
    if kind != ZARR and options.pixel_size is not None:
        image_sets = match_pixel_size(image_sets, options.pixel_size)
    # of a store, the headers of all files would take too long
    elif kind != ZARR and not is_remote(path):
        warn_of_pixel_sizes(image_sets)
    return Inputs(image_sets, left_out, inputs.layout)


def _recognize(path: Path) -> tuple[Path, str]:
    """Return the place to read, and the kind of input that it is."""
    # a server of HTTP lists no folders
    kind = "folder" if path.suffix == ".zarr" else path_kind(path)
    if kind == "file" and path.name.lower().endswith(ZIP_SUFFIXES):
        path, kind = inside_zip(path), "folder"
    if kind is None:
        raise InputError(f"there is no file or folder '{path}'")
    if kind == "folder":
        return path, ZARR if is_ome_zarr(path) else FOLDER
    if _layout_of_index(path) is not None:
        return path, INDEX
    if is_load_data(path):
        return path, LOAD_DATA
    if path.suffix.lower() == ".npz":
        return path, NPZ
    if path.suffix.lower() in SUFFIXES:
        return path, FILE
    if path.suffix.lower() in UNREAD:
        raise InputError(f"'{path}' is {UNREAD[path.suffix.lower()]}")
    if is_archive(path):
        raise InputError(f"'{path}' is {ARCHIVE}")
    if path.name.lower().endswith(".companion.ome"):
        raise InputError(f"'{path}' holds the metadata of OME-TIFF files: use their folder, or one of them")
    raise InputError(f"'{path}' is no input: use a LoadData .csv, a folder, an image ({', '.join(SUFFIXES)}) or a .npz")


def _layout_of_index(path: Path) -> str | None:
    """Return the layout of the plate that a file lists; None if it lists none."""
    return next((name for name, layout in LAYOUTS.items() if layout.is_index(PurePath(path.name))), None)


def _refuse_unfit(path: Path, kind: str, options: ReadingOptions) -> None:
    """Refuse options that do not go with a kind of input."""
    if kind == ZARR:
        for name in ("pattern", "labels"):
            if getattr(options, name):
                raise InputError(f"`{name}` goes with image files: OME-Zarr has its own channels and labels")
    elif options.acquisition is not None or options.level is not None:
        raise InputError(
            f"`{'level' if options.acquisition is None else 'acquisition'}` goes with an OME-Zarr plate or image"
        )
    elif kind != FOLDER and options.pattern:
        raise InputError(f"`pattern` goes with a folder, but '{path}' is a file")
    if kind not in (FOLDER, INDEX):
        for name, default in (("layout", AUTO), ("channel_name", None)):
            if getattr(options, name) not in (default, None, ""):
                raise InputError(f"`{name}` goes with a folder of image files, which '{path}' is not")


def _from_zarr(path: Path, options: ReadingOptions) -> Inputs:
    return Inputs(
        from_ome_zarr(path, options.level, options.pixel_size, options.acquisition, options.selection), [], ZARR
    )


def _from_folder(path: Path, options: ReadingOptions) -> Inputs:
    return Inputs(*from_folder(path, options))


def _from_index(path: Path, options: ReadingOptions) -> Inputs:
    return Inputs(*from_folder(path.parent, replace(options, layout=_layout_of_index(path) or AUTO)))


def _from_load_data(path: Path, options: ReadingOptions) -> Inputs:
    image_sets = from_load_data(path)
    return Inputs(choose_planes(image_sets, options.selection) if options.selection else image_sets, [], LOAD_DATA)


def _from_npz(path: Path, options: ReadingOptions) -> Inputs:
    return Inputs(from_npz(path), [], NPZ)


def _from_file(path: Path, options: ReadingOptions) -> Inputs:
    found, _ = image_sets_of_file(path, {}, options.selection)
    return Inputs([replace(each, number=number) for number, each in enumerate(found, start=1)], [], FILE)


_READERS: dict[str, Callable[[Path, ReadingOptions], Inputs]] = {
    ZARR: _from_zarr,
    FOLDER: _from_folder,
    INDEX: _from_index,
    LOAD_DATA: _from_load_data,
    NPZ: _from_npz,
    FILE: _from_file,
}


def _with_labels(image_sets: list[ImageSet], options: ReadingOptions) -> list[ImageSet]:
    """Match the labels and outlines of the options, or those that lie beside the images."""
    if not (options.labels or options.rois):
        return with_sidecar_labels(image_sets, options.objects)
    if options.labels:
        image_sets = match_labels(image_sets, as_path(options.labels), options.objects)
    return match_rois(image_sets, as_path(options.rois), options.objects) if options.rois else image_sets


def _name_labels(left_out: Sequence[LeftOut], image_sets: Sequence[ImageSet]) -> list[LeftOut]:
    """Give files that are used as labels that as the reason why they are no images."""
    used = {source.path for image_set in image_sets for source in image_set.labels.values()}
    return [replace(each, reason="the labels of an image") if each.path in used else each for each in left_out]


def _report_colors(image_sets: Sequence[ImageSet]) -> None:
    """Log the number of image sets that are color pictures, whose colors become channels."""
    count = sum(
        any(source.position and source.position.color is not None for source in each.channels.values())
        for each in image_sets
    )
    if count:
        log.info("%d of %d image sets are color pictures: each color is a channel", count, len(image_sets))


def _warn_of_channels(image_sets: Sequence[ImageSet]) -> None:
    """Log a warning if files that seem to be channels of one field are image sets of one channel each."""
    paths = dict.fromkeys(each.channels[NO_CHANNEL].path for each in image_sets if list(each.channels) == [NO_CHANNEL])
    first, second, *_ = [*files_of_one_field(list(paths)), None, None]
    if first and second:
        log.warning(
            "'%s' and '%s' seem to be channels of one field, but each of %d files is an image set with the one channel "
            "'%s': name wells and channels by `pattern`, such as {Well}_{Channel}.tif",
            first.name if first.name != second.name else first,
            second.name if first.name != second.name else second,
            len(paths),
            NO_CHANNEL,
        )


def _warn_of_no_stack(image_sets: Sequence[ImageSet]) -> None:
    """Log a warning if there is nothing to project."""
    sources = [source for each in image_sets for source in each.channels.values()]
    projected = [source for source in sources if source.position and source.position.plane in PROJECTIONS]
    # files that a table or pattern names are not looked into; the first ones stand for them
    looked_at = (projected or sources)[:_LOOKED_AT]
    images = [stack_of(source.path, (source.position and source.position.series) or 0) for source in looked_at]
    if any(source.depths for source in looked_at) or any(image is None or image.depth > 1 for image in images):
        return
    log.warning(
        "`project` changes nothing: '%s' holds one plane in depth. If planes are files of their own, name their "
        "numbers by `pattern` with {Plane}",
        looked_at[0].path,
    )
