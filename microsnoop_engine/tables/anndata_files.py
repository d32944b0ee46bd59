"""Read and write tables as AnnData (.h5ad, .zarr, .h5mu): features in X, everything else in obs, positions in obsm."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError, MissingExtraError, first_line, listing
from ..storage.atomic import atomic_path
from ..storage.paths import path_kind
from .columns import parse_feature
from .mudata_files import is_modality, read_modality
from .provenance import ENTRY, Provenance, as_metadata, from_metadata
from .source import TableSource, rows_per_chunk

log = logging.getLogger(__name__)

SPATIAL = "spatial"
"""The entry of obsm that holds centers, as squidpy and napari look for them."""


def open_anndata(path: Path) -> TableSource:
    """Open an .h5ad file or .zarr folder, to be read in chunks: the columns of obs, then those of X.

    Parameters
    ----------
    path : Path
        Of a modality of MuData, ``FILE.h5mu/NAME``.

    Returns
    -------
    TableSource
        Its features are the variables of X; without X there are none.

    Raises
    ------
    InputError
        If it is no such file.
    MissingExtraError
        If anndata is not installed.
    """
    data = read_anndata(path)
    names = [str(name) for name in data.var_names] if _has_x(data) else []
    if not data.var_names.is_unique and names:
        raise InputError(f"'{path}': var has a name more than once; write it again")
    features = dict.fromkeys(names)
    positions = {name: position for position, name in enumerate(names)}
    metadata = [name for name in data.obs.columns if name not in features]

    def read(columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        chosen = [name for name in columns if name in features]
        where = [positions[name] for name in chosen]
        size = rows_per_chunk(len(features))
        for start in range(0, data.n_obs, size):
            rows = slice(start, start + size)
            frame = data.obs.iloc[rows][[name for name in columns if name not in features]].reset_index(drop=True)
            frame = frame.apply(_plain)
            if chosen:
                block = data.X[rows]
                block = block.toarray() if hasattr(block, "toarray") else np.asarray(block)
                frame = pd.concat([frame, pd.DataFrame(block[:, where], columns=chosen)], axis=1)
            yield frame[list(columns)]

    return TableSource(path, (*metadata, *names), read, tuple(names), _provenance(data))


def row_names(path: Path) -> list[str]:
    """Return the names of the rows of an .h5ad file or .zarr folder.

    Parameters
    ----------
    path : Path

    Returns
    -------
    list of str

    Raises
    ------
    InputError
        If it is no such file.
    MissingExtraError
        If anndata is not installed.
    """
    return [str(name) for name in read_anndata(path).obs_names]


def read_anndata(path: Path) -> Any:
    """Open a file, or a modality of MuData; X stays on the disk if it is an .h5ad file.

    Raises
    ------
    InputError
        If it is no such file.
    MissingExtraError
        If anndata or mudata is not installed.
    """
    if is_modality(path):
        return read_modality(path)
    anndata = import_anndata("reading AnnData")
    try:
        if path_kind(path) == "folder":
            return anndata.read_zarr(path)
        return anndata.read_h5ad(path, backed="r")
    except ImportError:
        raise MissingExtraError("zarr", "zarr", f"reading '{path}'") from None
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f"'{path}' cannot be read as AnnData: {first_line(error)}; write it again") from None


def _provenance(data: Any) -> Provenance:
    entry = data.uns.get(ENTRY)
    return from_metadata(entry) if isinstance(entry, Mapping) else ()


def _has_x(data: Any) -> bool:
    try:
        return data.X is not None
    except KeyError:  # of a file that is read row by row
        return False


def _plain(column: pd.Series) -> pd.Series:
    """Return categories as their values, and text as Python's own."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        values = column.astype(object)
        return values if column.cat.categories.inferred_type in ("string", "empty") else values.infer_objects()
    return column.astype(object) if isinstance(column.dtype, pd.StringDtype) else column


def write_anndata(
    frame: pd.DataFrame,
    features: Sequence[str],
    path: Path,
    like: Path | None = None,
    rows: NDArray[np.intp] | None = None,
    provenance: Provenance = (),
) -> None:
    """Write a table as .h5ad (see :func:`as_anndata`).

    Raises
    ------
    MissingExtraError
        If anndata is not installed.
    """
    data = as_anndata(frame, features, like, rows, provenance)
    with atomic_path(path) as temporary:
        data.write_h5ad(temporary)


def as_anndata(
    frame: pd.DataFrame,
    features: Sequence[str],
    like: Path | None = None,
    rows: NDArray[np.intp] | None = None,
    provenance: Provenance = (),
) -> Any:
    """Arrange a table as AnnData; ``var`` holds object set, channel and index of learned features.

    Text becomes plain arrays or categories, which every version of anndata from 0.8 on reads. Missing text, whole
    numbers and truth values stay what they are.

    Parameters
    ----------
    frame : DataFrame
    features : sequence of str
        The columns that become X, float32.
    like : Path, optional
        AnnData that the rows come from: its names of rows, its ``obsm``, ``obsp`` and ``uns`` are kept, and its ``var``
        and ``layers`` if it has all features. What is not kept is named in a warning.
    rows : array (n,), int, optional
        The number in ``like`` of each row; by default all in their order, if there are as many.
    provenance : Provenance
        Becomes ``uns['microsnoop']``.

    Returns
    -------
    AnnData

    Raises
    ------
    MissingExtraError
        If anndata is not installed.
    """
    anndata = import_anndata("writing .h5ad files")
    features = list(features)
    obs = frame.drop(columns=features)
    obs = pd.DataFrame({str(name): _storable(obs[name]) for name in obs}, index=range(len(obs)))
    obs.index = _index(str(number) for number in range(len(obs)))
    data = anndata.AnnData(
        X=frame[features].to_numpy(np.float32) if features else None, obs=obs, var=_variables(features)
    )
    centers = [name for name in obs.columns if name.endswith(("_Location_Center_X", "_Location_Center_Y"))]
    if len(centers) == 2:
        data.obsm[SPATIAL] = obs[sorted(centers)].to_numpy(np.float32)
    if like is not None:
        _keep(data, read_anndata(like), features, rows, like)
    data.uns.pop(ENTRY, None)
    if provenance:
        data.uns[ENTRY] = as_metadata(provenance)
    return data


def _variables(features: list[str]) -> pd.DataFrame:
    parsed = [parse_feature(name) for name in features]
    columns = {
        "objects": _text(pd.Series([name.objects if name else "" for name in parsed], dtype=object)),
        "channel": _text(pd.Series([name.channel if name else "" for name in parsed], dtype=object)),
        "index": np.array([name.index if name else -1 for name in parsed], np.int64),
    }
    return pd.DataFrame(columns, index=range(len(features))).set_axis(_index(features))


def _keep(data: Any, source: Any, features: list[str], rows: NDArray[np.intp] | None, path: Path) -> None:
    """Take over what a source of the same rows knows beside X and obs; warn of the rest."""
    same_rows = rows is not None or source.n_obs == data.n_obs
    same_features = same_rows and bool(features) and set(features) <= set(source.var_names)
    kept = ("obsm", "obsp") * same_rows + ("layers", "varm", "varp") * same_features
    known = {kind: list(getattr(source, kind)) for kind in ("obsm", "obsp", "layers", "varm", "varp")}
    lost = [f"{kind} {listing(names)}" for kind, names in known.items() if names and kind not in kept]
    lost += ["raw"] if source.raw is not None else []
    if lost:
        log.warning("'%s': of its rows and features, and not written: %s", path, ", ".join(lost))
    if not same_rows:
        return
    part = source[slice(None) if rows is None else rows, features if same_features else slice(None)]
    data.obs.index = _index(map(str, part.obs_names))
    data.uns.update(source.uns)
    for kind in kept:
        for name in known[kind]:
            getattr(data, kind)[name] = getattr(part, kind)[name].copy()
    if same_features:
        var = {name: _storable(part.var[name]) for name in part.var}
        var |= {name: data.var[name].array for name in data.var if name not in var}
        data.var = pd.DataFrame(var, index=range(len(features))).set_axis(_index(features))


def _index(names: Any) -> Any:
    return pd.Index(np.array(list(names), object), dtype=object)


def _storable(column: pd.Series) -> Any:
    """Return a column as AnnData stores it: text with gaps as categories, times as text."""
    kind = column.dtype
    if kind.kind in "mM" or isinstance(kind, pd.DatetimeTZDtype):
        column = column.map(lambda value: None if pd.isna(value) else str(value)).astype(object)
    if isinstance(kind, pd.CategoricalDtype):
        column = column.astype(object)
    if column.dtype != object and not isinstance(column.dtype, pd.StringDtype):
        return column.array
    values: Any = column.astype(object)
    missing = values.isna()
    types = set(map(type, values[~missing]))
    if types == {bool}:
        return pd.array(values.where(~missing, None), dtype="boolean")
    if types and types <= {int, np.int64}:
        return pd.array(values.where(~missing, None), dtype="Int64")
    if types and types <= {int, float, np.int64, np.float64}:
        return values.astype(np.float64).array
    return _text(values.where(missing, values.map(str)))


def _text(values: pd.Series) -> Any:
    """Return text as an array, or as categories where values are missing or repeated."""
    codes, categories = pd.factorize(values, sort=True)
    if len(categories) == len(values):
        return pd.Series(values.to_numpy(object), dtype=object)  # as an array, pandas 3 would make its own type of it
    return pd.Categorical.from_codes(codes, pd.Index(np.array(categories, object), dtype=object))


def import_anndata(purpose: str) -> Any:
    """Import anndata, or name the command that installs it.

    Parameters
    ----------
    purpose : str
        The task that needs it; begins the message.

    Returns
    -------
    module

    Raises
    ------
    MissingExtraError
        If anndata is not installed.
    """
    try:
        return import_module("anndata")
    except ImportError:
        raise MissingExtraError("anndata", "anndata", purpose) from None
