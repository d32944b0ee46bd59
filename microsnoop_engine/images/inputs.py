"""Find the image sets of any input: a LoadData CSV, a folder, an OME-Zarr plate, an image file or a .npz file."""

from __future__ import annotations

from pathlib import Path

from ..errors import InputError
from ..storage.paths import as_path, path_kind
from .folders import from_folder, image_set_of_file
from .formats import SUFFIXES
from .image_set import ImageSet
from .label_files import match_labels, match_rois
from .load_data import from_load_data
from .npz import from_npz
from .ome_zarr import from_ome_zarr, is_ome_zarr
from .repeats import warn_of_repeats
from .sidecars import with_sidecar_labels, without_sidecars


def find_image_sets(
    path: str | Path,
    pattern: str | None = None,
    labels: str | Path | None = None,
    objects: str = "Nuclei",
    level: int | None = None,
    pixel_size: float | None = None,
    rois: str | Path | None = None,
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
        ``{Channel}`` is the channel; every other name becomes metadata. Without it, every file is an image set.
    labels : str or Path, optional
        A folder of label images with the names of the images (of any of their channels), with or without one of
        the endings ``_labels``, ``_mask``, ``_cp_masks``, ``_Nuclei``, ``_Cells``; ``_seg.npy`` of Cellpose and other
        .npy files, and .geojson. By default those beside the images, if all have one. Not for OME-Zarr, which has its
        own.
    objects : str
        Name of the object set of ``labels`` and ``rois``.
    level : int, optional
        For OME-Zarr: the resolution level, from 0, the finest and the default.
    pixel_size : float, optional
        For OME-Zarr, in micrometers: takes the level whose pixels are nearest to that.
    rois : str or Path, optional
        Outlines in place of label images: ROIs of ImageJ (.zip, .roi), polygons of QuPath and others (.geojson) or
        shapes of napari (.csv); a file for a single image set, or for the planes of a single stack, or a folder of such
        files with the names of the images.

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
    path = as_path(path)
    # a server of HTTP lists no folders
    kind = "folder" if path.suffix == ".zarr" else path_kind(path)
    if kind == "folder" and is_ome_zarr(path):
        for name, value in (("pattern", pattern), ("labels", labels)):
            if value:
                raise InputError(f"`{name}` goes with image files: OME-Zarr has its own channels and labels")
        image_sets = from_ome_zarr(path, level, pixel_size)
    elif level is not None or pixel_size is not None:
        raise InputError(f"`{'pixel_size' if level is None else 'level'}` goes with an OME-Zarr plate or image")
    elif kind == "folder":
        image_sets = from_folder(path, pattern)
    elif kind is None:
        raise InputError(f"there is no file or folder '{path}'")
    elif pattern:
        raise InputError(f"`pattern` goes with a folder, but '{path}' is a file")
    elif path.suffix.lower() == ".csv":
        image_sets = from_load_data(path)
    elif path.suffix.lower() == ".npz":
        image_sets = from_npz(path)
    elif path.suffix.lower() in SUFFIXES:
        image_sets = [image_set_of_file(1, path, {})]
    else:
        raise InputError(
            f"'{path}' is no input: use a LoadData .csv, a folder, an image ({', '.join(SUFFIXES)}) or a .npz"
        )
    if kind == "folder":
        image_sets = without_sidecars(image_sets)
    warn_of_repeats(image_sets)
    if not (labels or rois):
        image_sets = with_sidecar_labels(image_sets, objects)
    if labels:
        image_sets = match_labels(image_sets, as_path(labels), objects)
    if rois:
        image_sets = match_rois(image_sets, as_path(rois), objects)
    return image_sets
