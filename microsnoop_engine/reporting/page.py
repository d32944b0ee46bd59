"""`microsnoop report`: one self-contained HTML page of a screen, drawn by Plotly in the reader's browser."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from html import escape
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from string import Template

import numpy as np
import pandas as pd

from .. import __version__
from ..errors import InputError
from ..evaluation.table import has_word
from ..sphering.spherize import Spherize
from ..tables.aggregation import COUNT
from ..tables.columns import IMAGE_NUMBER, METADATA, OBJECT_NUMBER, PLATE, WELL
from . import panels as show
from .figures import screen_scores
from .screen import ColumnRoles, Screen
from .thumbnails import thumbnails

PACKAGES = ("numpy", "pandas", "scikit-learn", "plotly", "umap-learn", "copairs")
KEYS = ((IMAGE_NUMBER, OBJECT_NUMBER), (PLATE, WELL), (WELL,), (IMAGE_NUMBER,))
"""Columns by which rows of one table are found in another, the first that both have."""


def make_report(
    frame: pd.DataFrame,
    features: Sequence[str],
    meaning: ColumnRoles,
    before: pd.DataFrame | None = None,
    profiles: Path | None = None,
    spherings: Mapping[str, Spherize] | None = None,
    commands: Sequence[str] = (),
    title: str = "Screen",
) -> str:
    """The page.

    Parameters
    ----------
    frame : DataFrame
        Profiles of wells (or treatments, or objects).
    features : sequence of str
        Its feature columns.
    meaning : ColumnRoles
        What its other columns mean; what is not known is not shown.
    before : DataFrame, optional
        The same rows before sphering, with the same features.
    profiles : Path, optional
        Folder of ``microsnoop profile``, for pictures of cells.
    spherings : dict of str to Spherize, optional
        By group, for their diagnostics.
    commands : sequence of str
        Command lines that led here.
    title : str

    Returns
    -------
    str
        HTML that needs no network.

    Raises
    ------
    InputError
        If columns are missing, or tables do not fit.
    """
    features = [name for name in features if before is None or name in before]
    if not features:
        raise InputError("the table before sphering has none of the features of the other one")
    in_all = len(frame)
    frame = frame.iloc[show.drawn(in_all)]
    metadata = frame.drop(columns=[name for name in frame if name in set(features)])
    after = Screen(metadata, frame[features].to_numpy(np.float64), meaning)
    earlier = None
    if before is not None:
        earlier = Screen(metadata, same_rows(before, frame)[features].to_numpy(np.float64), meaning)
    rows = np.flatnonzero(after.present if earlier is None else after.present & earlier.present)
    maps = [("After sphering" if earlier else "", after), ("Before sphering", earlier)]
    maps = [{"title": name, "kinds": show.maps(screen.values, rows)} for name, screen in reversed(maps) if screen]
    pictures = thumbnails(frame, _keys(frame, profiles), profiles) if profiles else {}
    described = [name for name in metadata if name.startswith(METADATA) or name in (IMAGE_NUMBER, OBJECT_NUMBER)]
    data = {
        "summary": _summary(after, features, in_all),
        "names": _names(metadata),
        "metadata": {name.removeprefix(METADATA): _plain(metadata[name]) for name in described},
        "treatment": None if after.treatment is None else after.treatment.tolist(),
        "negative": after.negative.tolist(),
        "scores": _scores(after, earlier),
        "map_rows": rows.tolist(),
        "maps": [entry for entry in maps if entry["kinds"]],
        "colors": show.colors(after),
        "plates": show.plates(metadata),
        "quantities": show.quantities(after, earlier),
        "features": show.feature_bytes(after.values, features),
        "doses": show.doses(after),
        "replicates": show.replicates(after, earlier),
        "nearest": show.nearest_treatments(after),
        "sphering": [
            {"group": group, "method": one.method, **asdict(one.diagnostics_), "warning": one.diagnostics_.warning}
            for group, one in (spherings or {}).items()
        ],
        "thumbnails": {
            row: f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}" for row, jpeg in pictures.items()
        },
        "has_thumbnails": bool(pictures),
        "thumbnail_note": "cells drawn at random from one field; the same gray levels in all pictures",
        "commands": list(commands),
        "versions": f"microsnoop {__version__}, {_versions()}; {date.today().isoformat()}",
    }
    return _page(title, data)


def same_rows(table: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of a table that belong to those of another one, in its order.

    Raises
    ------
    InputError
        If there are no common keys, or rows are missing or stand twice.
    """
    keys = next((list(keys) for keys in KEYS if set(keys) <= set(table) & set(frame)), None)
    if keys is None:
        if len(table) == len(frame):
            return table.set_axis(frame.index)
        raise InputError("the two tables share no keys (plate and well, or image and object number)")
    words = dict.fromkeys(keys, str)
    indexed = table.set_index(pd.MultiIndex.from_frame(table[keys].astype(words)))
    if not indexed.index.is_unique:
        raise InputError(f"the table before sphering has several rows of the same {', '.join(keys)}")
    wanted = pd.MultiIndex.from_frame(frame[keys].astype(words))
    missing = ~wanted.isin(indexed.index)
    if missing.any():
        raise InputError(f"the table before sphering lacks {', '.join(keys)} = {list(wanted[missing][0])}")
    return indexed.loc[wanted]


def _keys(frame: pd.DataFrame, profiles: Path) -> Sequence[str]:
    from ..tables.formats import open_table

    known = set(open_table(profiles).columns)
    keys = next((keys for keys in KEYS if set(keys) <= set(frame) & known), None)
    if keys is None:
        keys = [name for name in frame if name.startswith(METADATA) and name in known]
    if not keys:
        raise InputError(f"the table and '{profiles}' share no column that says which crops belong to a row")
    return keys


def _summary(screen: Screen, features: Sequence[str], in_all: int) -> str:
    rows, frame = len(screen.frame), screen.frame
    kind = "objects" if OBJECT_NUMBER in frame else "wells" if WELL in frame else "rows"
    parts = [f"{rows:,} {kind}" + (f" drawn at random from {in_all:,}" if in_all > rows else "")]
    if PLATE in frame:
        plates = frame[PLATE].nunique()
        parts.append(f"{plates} plate{'s' if plates > 1 else ''}")
    if COUNT in frame:
        parts.append(f"{int(frame[COUNT].sum()):,} objects")
    if screen.treatment is not None:
        parts.append(f"{len(np.unique(screen.treatment))} treatments")
    parts.append(f"{len(features)} features")
    missing = int((~screen.present).sum())
    return ", ".join(parts) + (f"; {missing} without features are not on the maps" if missing else "")


def _names(frame: pd.DataFrame) -> list[str]:
    """What a row is called."""
    columns = [name for name in (PLATE, WELL, IMAGE_NUMBER, OBJECT_NUMBER) if name in frame]
    if not columns:
        columns = [name for name in frame if name.startswith(METADATA) and name != COUNT][:3]
    if not columns:
        return [f"row {number + 1}" for number in range(len(frame))]
    return frame[columns].astype(str).agg(" ".join, axis=1).tolist()


def _plain(column: pd.Series) -> list:
    if pd.api.types.is_bool_dtype(column):
        return column.astype(str).tolist()
    if pd.api.types.is_numeric_dtype(column):
        return show.rounded(column.to_numpy(np.float64))
    return [str(value) if known else None for value, known in zip(column, has_word(column), strict=True)]


def _scores(after: Screen, before: Screen | None) -> list[dict]:
    earlier = {figure.name: figure.value for figure in screen_scores(before)} if before else {}
    return [
        {
            "name": figure.name,
            "meaning": figure.meaning,
            "after": figure.value,
            "before": earlier.get(figure.name),
            "higher_is_better": figure.higher_is_better,
            "chance": figure.chance,
        }
        for figure in screen_scores(after)
        if np.isfinite(figure.value)
    ]


def _versions() -> str:
    found = []
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def _page(title: str, data: dict) -> str:
    from plotly.offline import get_plotlyjs

    parts = {name: (files(__package__) / "assets" / f"page.{name}").read_text("utf-8") for name in ("css", "js")}
    template = (files(__package__) / "assets" / "page.html").read_text("utf-8")
    return Template(template).substitute(
        title=escape(title),
        style=parts["css"],
        script=parts["js"],
        plotly=get_plotlyjs(),
        data=json.dumps(data, allow_nan=False).replace("<", "\\u003c"),
    )
