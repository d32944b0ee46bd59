"""Read modalities of MuData files (.h5mu), and write such files: several tables of the same cells."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError, MissingExtraError, first_line, listing
from ..storage.atomic import atomic_path

H5MU = ".h5mu"


def is_modality(path: Path) -> bool:
    """Return True for a path such as ``cells.h5mu/rna``, as mudata writes modalities, and for ``cells.h5mu`` itself.

    Examples
    --------
    >>> is_modality(Path("cells.h5mu/rna")), is_modality(Path("cells.h5ad"))
    (True, False)
    """
    return container(path) is not None


def container(path: Path) -> Path | None:
    """Return the file of a modality; None for any other path."""
    return next((file for file in (path, path.parent) if file.name.lower().endswith(H5MU)), None)


def read_modality(path: Path) -> Any:
    """Read a modality of a MuData file into memory.

    Parameters
    ----------
    path : Path
        ``FILE.h5mu/NAME``.

    Returns
    -------
    AnnData

    Raises
    ------
    InputError
        If there is no such file or modality; the message lists those of the file.
    MissingExtraError
        If mudata is not installed.
    """
    file = container(path)
    mudata = import_mudata("reading .h5mu files")
    if file is None or not file.is_file():
        raise InputError(f"there is no file '{file or path}'")
    import h5py

    try:
        with h5py.File(file) as opened:
            names = list(opened.get("mod", ()))
        if path.name not in names:
            example = f": write '{file}/{names[-1]}'" if names else ""
            raise InputError(f"'{file}' holds the modalities {listing(names) or 'none'}{example}")
        return mudata.read_h5ad(file, path.name)
    except (OSError, KeyError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"'{file}' cannot be read as MuData: {first_line(error)}; write it again") from None


def write_mudata(
    path: Path, modalities: Mapping[str, Any], obs: pd.DataFrame, obsm: Mapping[str, NDArray[np.float32]]
) -> None:
    """Write modalities of the same cells as one MuData file, whole or not at all.

    Parameters
    ----------
    path : Path
    modalities : mapping of str to AnnData
        Their rows are the same cells, in one order; all get the names of rows of the last one.
    obs : DataFrame
        Columns that describe the cells.
    obsm : mapping of str to array (n, d)

    Raises
    ------
    MissingExtraError
        If mudata is not installed.
    """
    mudata = import_mudata("writing .h5mu files")
    *_, names = (data.obs_names for data in modalities.values())
    for data in modalities.values():
        data.obs_names = names
    with warnings.catch_warnings(), mudata.set_options(pull_on_update=False):
        warnings.simplefilter("ignore")  # of equal names of variables in two modalities, which stay apart
        joined = mudata.MuData(dict(modalities))
        for name in obs:
            joined.obs[name] = obs[name].to_numpy()
        for key, values in obsm.items():
            joined.obsm[key] = values
        with atomic_path(path) as temporary:
            joined.write_h5mu(temporary)


def import_mudata(purpose: str) -> Any:
    """Import mudata, or name the command that installs it.

    Raises
    ------
    MissingExtraError
        If mudata is not installed.
    """
    try:
        return import_module("mudata")
    except ImportError:
        raise MissingExtraError("mudata", "mudata", purpose) from None
