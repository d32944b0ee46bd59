"""Read labels from .npy files: plain arrays, and the ``_seg.npy`` of Cellpose."""

from __future__ import annotations

import pickle
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError, first_line
from ..storage.paths import open_header
from .npz_arrays import read_header

_NUMPY = {
    "numpy": ("ndarray", "dtype"),
    "numpy.core.multiarray": ("_reconstruct", "scalar"),
    "numpy._core.multiarray": ("_reconstruct", "scalar"),
    "numpy.core.numeric": ("_frombuffer",),
    "numpy._core.numeric": ("_frombuffer",),
}


class _PlainUnpickler(pickle.Unpickler):
    """Unpickle arrays and plain values, and run no code of the file."""

    def find_class(self, module: str, name: str) -> Any:
        if name in _NUMPY.get(module, ()):
            return super().find_class(module, name)
        # names of files, of any system
        if module.partition(".")[0] == "pathlib":
            return PurePosixPath
        raise pickle.UnpicklingError(f"holds {module}.{name}, not arrays alone")


def read_npy(path: Path) -> NDArray[Any]:
    """Read the labels of a .npy file.

    Parameters
    ----------
    path : Path
        An array, or the dictionary that Cellpose saves, whose ``masks`` are taken. No code in the file is run.

    Returns
    -------
    array (h, w)

    Raises
    ------
    ImageError
        If the file is damaged, holds other objects than arrays and plain values, or is not one plane.
    """
    with open_header(path) as file:
        try:
            shape, fortran_order, dtype = read_header(file)
            if dtype.hasobject:
                content = _PlainUnpickler(file).load()
                content = content.item() if isinstance(content, np.ndarray) and content.shape == () else content
                if not isinstance(content, dict) or "masks" not in content:
                    raise ImageError("is no _seg.npy of Cellpose: it holds no 'masks'", path)
                labels = np.asarray(content["masks"])
            else:
                labels = np.frombuffer(file.read(), dtype).reshape(shape, order="F" if fortran_order else "C")
        except ImageError:
            raise
        # pickle runs the instructions of a file, which may fail in any way
        except Exception as error:
            raise ImageError(f"cannot be read ({first_line(error)}): is it damaged or incomplete?", path) from error
    if labels.ndim == 3 and len(labels) == 1:
        labels = labels[0]
    if labels.ndim != 2 or labels.dtype.kind not in "uifb" or not labels.size:
        raise ImageError(
            f"holds {labels.dtype} of shape {labels.shape}, not the labels of one plane: save a stack as TIFF", path
        )
    return labels
