"""Write a fitted MUSE to one file, and read it back: arrays and settings as JSON, no code."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..storage.atomic import write_atomic
from ..storage.paths import as_path, read_bytes
from ..tables.outputs import check_output
from .estimator import MUSE
from .joined_columns import JoinedColumns

SUFFIX = ".safetensors"
_ENTRY = "microsnoop_muse"
_COLUMNS = "microsnoop_columns"


def save_muse(estimator: MUSE, path: str | Path, columns: JoinedColumns | None = None) -> Path:
    """Write a fitted MUSE as safetensors: what :meth:`.MUSE.transform` needs, and the settings.

    Parameters
    ----------
    estimator : MUSE
    path : str or Path
        Ends in .safetensors.
    columns : JoinedColumns, optional
        The columns that it takes, to apply it to tables.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        If it ends differently or cannot be written.
    sklearn.exceptions.NotFittedError
        If the estimator was not fitted.
    """
    from safetensors.numpy import save

    target = as_path(path)
    check_output(target, (SUFFIX,))
    arrays = {name: np.ascontiguousarray(values) for name, values in estimator.arrays().items()}
    metadata = {_ENTRY: json.dumps(estimator.get_params())}
    if columns is not None:
        metadata[_COLUMNS] = json.dumps(columns.as_json())
    write_atomic(target, save(arrays, metadata=metadata))
    return target


def load_muse(path: str | Path) -> MUSE:
    """Read a MUSE that :func:`save_muse` wrote.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    MUSE
        Transforms cells as before; it knows nothing of the cells of the fit.

    Raises
    ------
    InputError
        If there is no such file, or it holds anything else.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> random = np.random.default_rng(0)
    >>> images, genes = random.normal(size=(2, 20, 5))
    >>> muse = MUSE(dimension=3, warmup=1, epochs=1).fit(images, genes)
    >>> with TemporaryDirectory() as folder:
    ...     again = load_muse(save_muse(muse, f"{folder}/muse.safetensors"))
    >>> bool((again.transform(images, genes) == muse.transform(images, genes)).all())
    True
    """
    return load_joint_model(path)[0]


def load_joint_model(path: str | Path) -> tuple[MUSE, JoinedColumns | None]:
    """Read a MUSE and the columns that it takes, None if the file does not say them; see :func:`load_muse`."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    source = as_path(path)
    try:
        content = read_bytes(source)
        arrays = load(content)
        metadata = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
        estimator = MUSE(**json.loads(metadata[_ENTRY])).with_arrays(arrays)
        columns = JoinedColumns.from_json(json.loads(metadata[_COLUMNS])) if _COLUMNS in metadata else None
        return estimator, columns
    except FileNotFoundError:
        raise InputError(f"there is no file '{source}': write one with save_muse") from None
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise InputError(f"'{source}' holds no MUSE ({type(error).__name__}): choose a file of save_muse") from None
