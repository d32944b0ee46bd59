"""Places of the training images with what something else says of them, which a network learns to predict.

Not in the paper. With another network's embeddings this is knowledge distillation (Hinton, Vinyals and Dean 2015);
classical features do as well.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import InputError, first_line
from ..storage.atomic import atomic_path
from .pool import Pool


@dataclass
class Targets:
    """Square places, one per row, and what is to be predicted of them.

    Attributes
    ----------
    plane : array (n,), int
        Index in the pool's planes.
    center : array (n, 2), float
        y, x in pixels of the plane.
    side : array (n,), float
        Height and width in pixels of the plane.
    target : array (n, t), float
    sources : tuple of str
        What the targets come from, for the card of the weights.
    sha256 : str
        Of the file.
    """

    plane: np.ndarray
    center: np.ndarray
    side: np.ndarray
    target: np.ndarray
    sources: tuple[str, ...] = ()
    sha256: str = field(default="", compare=False)

    def save(self, path: Path, pool: Pool) -> None:
        """Write the targets, with what tells the pool that they are of, as .npz."""
        path.parent.mkdir(parents=True, exist_ok=True)
        arrays = {name: getattr(self, name) for name in ("plane", "center", "side", "target")}
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez(file, sources=np.array(self.sources), shapes=_shapes(pool), **arrays)


def read_targets(path: Path, pool: Pool) -> Targets:
    """The targets in a file, checked against the pool.

    Raises
    ------
    InputError
        If there is no such file, it holds something else, or it was made for other images.
    """
    if not path.is_file():
        raise InputError(f"targets: there is no file '{path}'")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in ("plane", "center", "side", "target")}
            sources, shapes = tuple(arrays["sources"].tolist()), arrays["shapes"]
    except Exception as error:
        raise InputError(f"targets: '{path}' is not a file of targets ({first_line(error)})") from None
    if not np.array_equal(shapes, _shapes(pool)):
        raise InputError(
            f"targets: '{path}' was made for {len(shapes)} other images than these {len(pool.planes)}: make it anew"
        )
    if not np.isfinite(found["target"]).all():
        raise InputError(f"targets: '{path}' holds NaN or infinite numbers: make it anew")
    return Targets(**found, sources=sources, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


def _shapes(pool: Pool) -> np.ndarray:
    return np.array([plane.shape for plane in pool.planes], np.int32)
