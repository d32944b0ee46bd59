"""Read and write a file that lists crops and a target vector for each, which a network learns to predict.

Not in the paper. Targets are another network's embeddings (knowledge distillation, Hinton, Vinyals and Dean 2015) or
classical features.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, counted, first_line
from ..storage.atomic import atomic_path
from .pool import Pool


@dataclass
class Targets:
    """List square crops and a target vector for each, one per row.

    Attributes
    ----------
    plane : array (n,), int
        Index of the crop's plane in the pool.
    center : array (n, 2), float
        y and x of the crop's center in pixels of the plane.
    side : array (n,), float
        Height and width of the crop in pixels of the plane.
    target : array (n, t), float
        Target vectors.
    sources : tuple of str
        Origin of the targets, for the card of the weights.
    sha256 : str
        Hash of the file.
    """

    plane: NDArray[np.integer[Any]]
    center: NDArray[np.floating[Any]]
    side: NDArray[np.floating[Any]]
    target: NDArray[np.floating[Any]]
    sources: tuple[str, ...] = ()
    sha256: str = field(default="", compare=False)

    def save(self, path: Path, pool: Pool) -> None:
        """Write the targets as a ``.npz`` file.

        Parameters
        ----------
        path : Path
        pool : Pool
            The images that the crops are of; the shapes of its planes are written with the targets.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        arrays = {name: getattr(self, name) for name in ("plane", "center", "side", "target")}
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez(file, sources=np.array(self.sources), shapes=_shapes(pool), **arrays)


def read_targets(path: Path, pool: Pool) -> Targets:
    """Read a file of targets and check that they are of these images.

    Parameters
    ----------
    path : Path
    pool : Pool
        The training images.

    Returns
    -------
    Targets

    Raises
    ------
    InputError
        If there is no such file, it holds something else, or it was made for other images.
    """
    if not path.is_file():
        raise InputError(f"targets: there is no file '{path}'")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            columns = {name: arrays[name] for name in ("plane", "center", "side", "target")}
            sources, shapes = tuple(arrays["sources"].tolist()), arrays["shapes"]
    except Exception as error:  # noqa: BLE001 damaged and foreign files fail in many ways
        raise InputError(f"targets: '{path}' is not a file of targets ({first_line(error)})") from None
    if not np.array_equal(shapes, _shapes(pool)):
        raise InputError(
            f"targets: '{path}' is for {counted(len(shapes), 'planes')} that are not these {len(pool.planes)}: compute "
            "it again for these images"
        )
    if not np.isfinite(columns["target"]).all():
        raise InputError(f"targets: '{path}' has NaN or infinite numbers: compute it again without them")
    return Targets(**columns, sources=sources, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


def _shapes(pool: Pool) -> NDArray[np.int32]:
    """Return height and width of the planes (p, 2), by which a file recognizes its images."""
    return np.array([plane.shape for plane in pool.planes], np.int32)
