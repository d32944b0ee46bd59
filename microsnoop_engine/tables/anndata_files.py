"""Read and write tables as AnnData (.h5ad): features in X, everything else in obs, positions in obsm["spatial"]."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd

from ..errors import InputError, MissingExtraError, first_line
from ..storage.atomic import atomic_path
from .columns import parse_feature
from .source import TableSource, rows_per_chunk


def open_h5ad(path: Path) -> TableSource:
    """Open an .h5ad file, to be read in chunks: the columns of obs, then those of X.

    Parameters
    ----------
    path : Path

    Returns
    -------
    TableSource

    Raises
    ------
    InputError
        If it is no such file.
    MissingExtraError
        If anndata is not installed.
    """
    anndata = _anndata("reading .h5ad files")
    try:
        data = anndata.read_h5ad(path, backed="r")
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f"'{path}' cannot be read as AnnData: {first_line(error)}; write it again") from None
    features = list(data.var_names)
    if data.X is None or not data.var_names.is_unique:
        reason = "there is no X" if data.X is None else "var has a name more than once"
        raise InputError(f"'{path}': {reason}; write it again")
    metadata = [name for name in data.obs.columns if name not in features]

    def read(columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        chosen = [name for name in columns if name in features]
        positions = [features.index(name) for name in chosen]
        size = rows_per_chunk(len(features))
        for start in range(0, data.n_obs, size):
            part = data[start : start + size].to_memory()
            values = part.X.toarray() if hasattr(part.X, "toarray") else np.asarray(part.X)
            frame = pd.DataFrame(values[:, positions], columns=chosen)
            for name in columns:
                if name not in features:
                    column = part.obs[name]
                    is_category = isinstance(column.dtype, pd.CategoricalDtype)
                    frame[name] = (column.astype(object) if is_category else column).to_numpy()
            yield frame[list(columns)]

    return TableSource(path, (*metadata, *features), read)


def write_h5ad(frame: pd.DataFrame, features: Sequence[str], path: Path) -> None:
    """Write a table as .h5ad; ``var`` holds object set, channel and index of learned features.

    Parameters
    ----------
    frame : DataFrame
    features : sequence of str
        The columns that become X, float32.
    path : Path

    Raises
    ------
    MissingExtraError
        If anndata is not installed.
    """
    anndata = _anndata("writing .h5ad files")
    features = list(features)
    parsed = [parse_feature(name) for name in features]
    var = pd.DataFrame(
        {
            "objects": [name.objects if name else "" for name in parsed],
            "channel": [name.channel if name else "" for name in parsed],
            "index": [name.index if name else -1 for name in parsed],
        },
        index=features,
    )
    obs = frame.drop(columns=features).copy()
    obs.index = pd.Index([str(number) for number in range(len(obs))])
    for name in obs.columns:
        if obs[name].dtype == object:
            obs[name] = obs[name].map(lambda value: "" if pd.isna(value) else str(value))
    data = anndata.AnnData(X=frame[features].to_numpy(np.float32), obs=obs, var=var)
    centers = [name for name in obs.columns if name.endswith(("_Location_Center_X", "_Location_Center_Y"))]
    if len(centers) == 2:
        data.obsm["spatial"] = obs[sorted(centers)].to_numpy(np.float32)
    with atomic_path(path) as temporary:
        data.write_h5ad(temporary)


def _anndata(purpose: str) -> ModuleType:
    """Import anndata, or name the command that installs it."""
    try:
        return import_module("anndata")
    except ImportError:
        raise MissingExtraError("anndata", "anndata", purpose) from None
