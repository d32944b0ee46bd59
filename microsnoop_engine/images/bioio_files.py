"""Read files of microscope makers by BioIO and its plugins, which are installed apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ..errors import ImageError, MissingExtraError
from ..storage.paths import is_remote

SUFFIXES: tuple[str, ...] = (".czi", ".nd2", ".lif", ".dv", ".r3d", ".ims", ".oir", ".vsi")


def read_array(path: Path, stack: bool = False) -> NDArray[Any]:
    """Read the channels (c, h, w) of the first scene of a file. A stack is refused. See `formats.read_array`."""
    channels: NDArray[Any] = _open(path).get_image_data("CYX")
    return channels


def channel_names(path: Path) -> list[str]:
    """Read the channel names of a file. See `formats.channel_names`."""
    return [str(name) for name in _open(path).channel_names]


def _open(path: Path) -> Any:
    """Open a file of one depth and time point."""
    try:
        from bioio import BioImage
    except ImportError:
        raise MissingExtraError("bioio", "bioio", f"reading '{path.name}'") from None
    if is_remote(path):
        raise ImageError(f"{path.suffix} files are read from a disk only: copy it, or write it as OME-TIFF", path)
    image = BioImage(path)
    if image.dims.T > 1 or image.dims.Z > 1:
        raise ImageError("is a stack in depth or time: write one plane each, or project it first", path)
    return image
