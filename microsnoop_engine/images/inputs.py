"""What the user points at - a LoadData CSV, a folder, a file, a .npz - as a list of image sets."""

from __future__ import annotations

from pathlib import Path

from ..errors import InputError
from ..storage.paths import as_path, path_kind
from .folders import from_folder, image_set_of_file
from .formats import SUFFIXES
from .image_set import ImageSet
from .labels import with_labels
from .load_data import from_load_data
from .npz import from_npz
from .ome_zarr import from_ome_zarr, is_ome_zarr


def find_image_sets(
    path: str | Path,
    pattern: str | None = None,
    labels: Path | None = None,
    objects: str = "Nuclei",
    level: int | None = None,
    pixel_size: float | None = None,
) -> list[ImageSet]:
    """The image sets of an input of any kind.

    Parameters
    ----------
    path : str or Path
        A LoadData CSV, a folder of images, an OME-Zarr plate or image, an image file or a .npz file; or the address of
        one in an object store.
    pattern : str, optional
        For a folder: how a file's path inside it is made up, for example ``{Plate}/{Well}_s{Site}_{Channel}.tif``.
        ``{Channel}`` names the channel; everything else becomes metadata.
    labels : Path, optional
        A folder of label images with the names of the images (of any of their channels), with or without one of
        the endings ``_labels``, ``_mask``, ``_cp_masks``, ``_Nuclei``, ``_Cells``.
    objects : str
        Name of the object set of those labels.
    level, pixel_size : int, float, optional
        For OME-Zarr: see :func:`microsnoop_engine.images.ome_zarr.from_ome_zarr`.

    Returns
    -------
    list of ImageSet

    Raises
    ------
    InputError
        If nothing can be made of the input.
    """
    path = as_path(path)
    # by HTTP, folders do not show
    found = "folder" if path.suffix == ".zarr" else path_kind(path)
    if found == "folder" and is_ome_zarr(path):
        for option, value in (("--pattern", pattern), ("--labels", labels)):
            if value:
                raise InputError(f"{option} goes with image files: OME-Zarr has its own channels and labels")
        return from_ome_zarr(path, level, pixel_size)
    for option, value in (("--level", level), ("--pixel-size", pixel_size)):
        if value is not None:
            raise InputError(f"{option} goes with an OME-Zarr plate or image")
    if found == "folder":
        sets = from_folder(path, pattern)
    elif found is None:
        raise InputError(f"there is no file or folder '{path}'")
    elif pattern:
        raise InputError(f"--pattern goes with a folder, but '{path}' is a file")
    elif path.suffix.lower() == ".csv":
        sets = from_load_data(path)
    elif path.suffix.lower() == ".npz":
        sets = from_npz(path)
    elif path.suffix.lower() in SUFFIXES:
        sets = [image_set_of_file(1, path, {})]
    else:
        raise InputError(
            f"'{path}' is no input: give a LoadData .csv, a folder, an image ({', '.join(SUFFIXES)}) or .npz"
        )
    return with_labels(sets, labels, objects) if labels else sets
