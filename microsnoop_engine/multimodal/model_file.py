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

SUFFIX = ".safetensors"
_ENTRY = "microsnoop_muse"


def save_muse(estimator: MUSE, path: str | Path) -> Path:
    """Write a fitted MUSE as safetensors: what :meth:`.MUSE.transform` needs, and the settings.

    Parameters
    ----------
    estimator : MUSE
    path : str or Path
        Ends in .safetensors.

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
    write_atomic(target, save(arrays, metadata={_ENTRY: json.dumps(estimator.get_params())}))
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
    from safetensors import SafetensorError
    from safetensors.numpy import load

    source = as_path(path)
    try:
        content = read_bytes(source)
        arrays = load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        return MUSE(**json.loads(header["__metadata__"][_ENTRY])).with_arrays(arrays)
    except FileNotFoundError:
        raise InputError(f"there is no file '{source}': write one with save_muse") from None
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise InputError(f"'{source}' holds no MUSE ({type(error).__name__}): choose a file of save_muse") from None
