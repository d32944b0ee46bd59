"""Write the report of a screen as one HTML page, which Plotly draws in the reader's browser without network."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import date
from html import escape
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
import pandas as pd

from .. import __version__
from ..errors import InputError, counted, listing
from ..evaluation.missing import complete_part
from ..evaluation.scores import Estimate
from ..evaluation.table import has_word
from ..sphering.spherize import Spherize, load_spherings
from ..storage.atomic import write_atomic
from ..storage.paths import as_path, make_folder
from ..tables.columns import COUNT, IMAGE_NUMBER, METADATA, OBJECT_NUMBER, PLATE, TABLE_NUMBER, WELL
from ..tables.features import CHOICES, select_features
from ..tables.formats import open_table
from ..tables.keys import key_rows
from ..tables.outputs import refuse_inputs
from ..tables.plates import plate_columns, replicate_columns
from ..tables.provenance import Provenance, below_each_other, describe
from ..tables.source import TableSource, in_memory, read_frame
from ..tables.treatment_values import unify_treatments
from . import answers, panels
from .classes import CLASS, class_counts, read_classes
from .quality import quality
from .roles import ColumnRoles
from .scores import screen_scores
from .screen import Screen, short_name
from .thumbnails import thumbnails

PACKAGES = ("numpy", "pandas", "scikit-learn", "umap-learn")
SCRIPTS = ("page.js", "answers.js", "classes.js", "start.js")
KEYS = ((IMAGE_NUMBER, OBJECT_NUMBER), (PLATE, WELL), (WELL,), (IMAGE_NUMBER,))
"""Columns that match the rows of two tables: the first of these that both have."""


def report(
    table: str | Path | pd.DataFrame,
    out: str | Path = "report.html",
    roles: ColumnRoles | None = None,
    *,
    features: str = "all",
    where: str | None = None,
    before: str | Path | pd.DataFrame | None = None,
    profiles: str | Path | None = None,
    transform: str | Path | None = None,
    corrections: str | Path | pd.DataFrame | None = None,
    activity: str | Path | pd.DataFrame | None = None,
    explained: str | Path | pd.DataFrame | None = None,
    classes: str | Path | pd.DataFrame | None = None,
    commands: Sequence[str] = (),
    title: str | None = None,
) -> Path:
    """Write the report of a screen.

    Parameters
    ----------
    table : str, Path or DataFrame
        Profiles of wells, treatments or objects.
    out : str or Path
        HTML file.
    roles : ColumnRoles, optional
        Roles of the columns; panels whose columns are not named are skipped.
    features : str
        ``microsnoop``, ``classical``, ``all``, or a regular expression for the names of feature columns.
    where : str, optional
        Query of the rows to show, by default all (see :func:`.select`); of ``before``, too.
    before : str, Path or DataFrame, optional
        The same rows before a correction.
    profiles : str or Path, optional
        Results folder of :func:`microsnoop_engine.profile`, to show cells of each row.
    transform : str or Path, optional
        File of the sphering, to show its diagnostics.
    corrections : str, Path or DataFrame, optional
        Result of :func:`.compare_corrections`, to be shown.
    activity : str, Path or DataFrame, optional
        Table of :func:`microsnoop_engine.activity`, to be shown; without it, treatments are tested here.
    explained : str, Path or DataFrame, optional
        Result of :func:`.explain`, to be shown.
    classes : str, Path or DataFrame, optional
        Classes of the cells by :func:`.apply_to_table`, to be counted; by default those of the table, if it has any.
    commands : sequence of str
        Command lines that led to the table, to be shown.
    title : str, optional
        Default: the name of the table.

    Returns
    -------
    Path
        The HTML file, readable without network.

    Raises
    ------
    InputError
        If a table or column does not exist, or the tables do not match.
    """
    out = as_path(out)
    if out.suffix not in (".html", ".htm"):
        raise InputError(f"`out`: '{out}' must end in .html")
    refuse_inputs(out, (table, before, profiles, transform, corrections, activity, explained, classes))
    source = _opened(table, "table", where)
    if title is None:
        title = "Screen" if isinstance(table, pd.DataFrame) else as_path(table).stem
    names = select_features(source, features)
    before_frame, before_names = None, []
    if before is not None:
        earlier = _opened(before, "before", where)
        before_frame = read_frame(earlier)
        below_each_other([(source.path, source.provenance), (earlier.path, earlier.provenance)])
        if not set(names) & set(earlier.columns):
            before_names = select_features(earlier, features if features in CHOICES else "all")
    page = make_page(
        read_frame(source),
        names,
        roles or ColumnRoles(),
        before_frame,
        before_names,
        None if profiles is None else as_path(profiles),
        None if transform is None else load_spherings(Path(transform))[0],
        commands,
        title,
        source.provenance,
        None if corrections is None else answers.corrections(corrections),
        None if activity is None else read_frame(_opened(activity, "activity")),
        None if explained is None else answers.explained(explained),
        None if classes is None else read_classes(classes, roles or ColumnRoles()),
    )
    make_folder(out.parent)
    write_atomic(out, page.encode())
    return out


def _opened(table: str | Path | pd.DataFrame, name: str, where: str | None = None) -> TableSource:
    """Open a table; messages call one in memory by the name of the parameter."""
    return open_table(in_memory(table, Path(name)) if isinstance(table, pd.DataFrame) else table, where=where)


def make_page(
    frame: pd.DataFrame,
    features: Sequence[str],
    roles: ColumnRoles,
    before: pd.DataFrame | None = None,
    before_features: Sequence[str] = (),
    profiles: Path | None = None,
    spherings: Mapping[str, Spherize] | None = None,
    commands: Sequence[str] = (),
    title: str = "Screen",
    provenance: Provenance = (),
    corrections: list[panels.Panel] | None = None,
    activity: pd.DataFrame | None = None,
    explained: list[panels.Panel] | None = None,
    classes: pd.DataFrame | None = None,
) -> str:
    """Make the page of a screen.

    Parameters
    ----------
    frame : DataFrame
        Profiles of wells, treatments or objects.
    features : sequence of str
        Its feature columns.
    roles : ColumnRoles
        Roles of its other columns.
    before : DataFrame, optional
        The same rows before a correction.
    before_features : sequence of str
        Its feature columns, if they have other names (principal components); else those of both tables are compared.
    profiles : Path, optional
        Results folder of a profile run, for pictures of cells.
    spherings : dict of str to Spherize, optional
        Spherings by group, for their diagnostics.
    commands : sequence of str
        Command lines that led to the table.
    title : str
    provenance : Provenance
        Weights and precision of its learned features.
    corrections : list of dict, optional
        See :func:`.answers.corrections`.
    activity : DataFrame, optional
        See :func:`.answers.activity`.
    explained : list of dict, optional
        See :func:`.answers.explained`.
    classes : DataFrame, optional
        See :func:`.class_counts`; by default the table itself, if it has classes.

    Returns
    -------
    str
        HTML that needs no network.

    Raises
    ------
    InputError
        If columns are missing, or the tables do not match.
    """
    shared = [name for name in features if before is None or name in before]
    features, before_features = (shared, shared) if shared else (list(features), list(before_features))
    if before is not None and not before_features:
        raise InputError("`before`: this table has no features")
    total = len(frame)
    _, columns = complete_part(frame[features].to_numpy(np.float64))
    if not columns.any():
        raise InputError("more than a fifth of the rows lack each of the features: there is nothing to show")
    lacking = [name for name, kept in zip(features, columns, strict=True) if not kept]
    features = [name for name, kept in zip(features, columns, strict=True) if kept]
    frame = unify_treatments(frame.drop(columns=lacking), [*roles.treatment, roles.label, roles.compound, roles.dose])
    everything = frame.drop(columns=features)
    cells = everything if classes is None and CLASS in frame else classes
    frame = frame.iloc[panels.draw_rows(total) if OBJECT_NUMBER in frame else panels.draw_plates(frame)]
    sampled = f"{len(frame):,} of {counted(total, 'rows')} drawn at random" if len(frame) < total else ""
    metadata = frame.drop(columns=features)
    after = Screen(metadata, frame[features].to_numpy(np.float64), roles)
    earlier = None
    if before is not None:
        values = matching_rows(before, frame)[before_features].to_numpy(np.float64)
        earlier = Screen(metadata, values[:, complete_part(values)[1]], roles)
    rows = np.flatnonzero(after.present if earlier is None else after.present & earlier.present)
    shown = rows[panels.draw_rows(len(rows))]
    drawn = f"{len(shown):,} of {counted(total, 'rows')} drawn at random" if len(shown) < len(rows) else sampled
    rows = shown
    screens = [("Before the correction", earlier), ("After the correction" if earlier else "", after)]
    maps = [
        {
            "title": ": ".join(filter(None, (name, drawn or f"{len(rows):,} {after.rows}"))),
            "kinds": panels.maps(screen.values, rows),
        }
        for name, screen in screens
        if screen
    ]
    pictures = thumbnails(frame, _thumbnail_keys(frame, profiles), profiles) if profiles else {}
    described = [
        name for name in map(str, metadata) if name.startswith(METADATA) or name in (IMAGE_NUMBER, OBJECT_NUMBER)
    ]
    data = {
        "summary": _summary(after, features, total, lacking),
        "names": _names(metadata),
        "metadata": {name.removeprefix(METADATA): _plain(metadata[name]) for name in described},
        "treatment": None if after.treatment is None else [name or None for name in after.treatment.tolist()],
        "negative": after.negative.tolist(),
        "scores": _scores(after, earlier),
        "map_rows": rows.tolist(),
        "maps": [entry for entry in maps if entry["kinds"]],
        "colors": panels.colors(after),
        "plates": panels.plates(metadata),
        "sample": sampled,
        "rows": after.rows,
        "quantities": panels.quantities(after, earlier),
        "features": panels.feature_bytes(after.values, features),
        "doses": panels.doses(after, earlier),
        "replicates": panels.replicates(after, earlier),
        "nearest": panels.nearest_treatments(after),
        "activity": answers.activity(after, earlier, activity),
        "clusters": answers.clusters(after),
        "corrections": corrections,
        "explained": explained,
        "classes": None if cells is None else class_counts(cells, everything, roles),
        "quality": quality(profiles),
        "sphering": [
            {
                "group": group,
                "method": sphering.method,
                **asdict(sphering.diagnostics_),
                "warning": sphering.diagnostics_.warning,
            }
            for group, sphering in (spherings or {}).items()
        ],
        "thumbnails": {
            row: f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}" for row, jpeg in pictures.items()
        },
        "has_thumbnails": bool(pictures),
        "thumbnail_note": "cells drawn at random from one field; the same gray levels in all pictures",
        "commands": list(commands),
        "versions": f"{_features_by(provenance)}microsnoop {__version__}, {_versions()}; {date.today().isoformat()}",
    }
    return _fill_template(title, data)


def matching_rows(table: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    """Select the rows of a table that match those of another one by their keys.

    Keys are image and object number, plate and well, well or image number, with all columns that tell plates apart.
    Where they repeat, columns of replicates join them, and then all shared metadata. Keys are compared by value.

    Parameters
    ----------
    table : DataFrame
        The table before the correction.
    frame : DataFrame
        The other table.

    Returns
    -------
    DataFrame
        In the order of ``frame``.

    Raises
    ------
    InputError
        If there are no shared keys, or rows are missing or not unique.
    """
    choices = list(_keys(list(map(str, frame)), set(map(str, table))))
    if not choices:
        raise InputError("`before`: the tables share no keys (plate and well, or image and object number)")
    for keys in choices:
        known, expected = key_rows(table, keys), key_rows(frame, keys)
        if known.is_unique and expected.is_unique:
            break
    else:
        which = "this" if not known.is_unique else "the other"
        raise InputError(f"`before`: several rows of {which} table have the same {', '.join(keys)}")
    places = known.get_indexer(expected)
    if (places < 0).any():
        raise InputError(f"`before`: this table lacks {', '.join(keys)} = {list(expected[places < 0][0])}")
    return table.iloc[places]


def _keys(columns: Sequence[str], others: set[str]) -> Iterator[list[str]]:
    """Yield the keys that two tables may be matched by, from few to all of the metadata they share."""
    shared = [name for name in columns if name in others]
    keys = next((list(keys) for keys in KEYS if set(keys) <= set(shared)), [])
    metadata = [name for name in shared if name.startswith(METADATA)]
    plates = set(plate_columns(shared))
    apart = [name for name in shared if name == TABLE_NUMBER or name in plates]
    for more in (apart, replicate_columns(shared), metadata):
        keys = list(dict.fromkeys([*keys, *more]))
        if set(keys) - set(apart) or (keys and more is metadata):
            yield keys


def _thumbnail_keys(frame: pd.DataFrame, profiles: Path) -> Sequence[str]:
    known = open_table(profiles).columns
    choices = list(_keys(list(map(str, frame)), set(known)))
    if not choices:
        raise InputError(f"`profiles`: '{profiles}' shares no column with the table, so its cells cannot be matched")
    return next((keys for keys in choices if key_rows(frame, keys).is_unique), choices[-1])


def _summary(screen: Screen, features: Sequence[str], total: int, lacking: Sequence[str]) -> str:
    rows, kind = len(screen.frame), screen.rows
    parts = [counted(rows, kind) + (f" drawn at random from {total:,}" if total > rows else "")]
    if screen.treatment is not None:
        parts.append(counted(len(np.unique(screen.treatment[screen.annotated])), "treatments"))
        if not screen.annotated.all():
            parts.append(f"{counted(int((~screen.annotated).sum()), kind)} not annotated")
    parts.append(counted(len(features), "features"))
    missing = int((~screen.present).sum())
    notes = [f"{missing:,} without all features {'is' if missing == 1 else 'are'} not on the maps"] if missing else []
    for column in dict.fromkeys(name for name in (screen.roles.groups, screen.roles.batch) if name):
        if without := int((~screen.known(column)).sum()):
            notes.append(f"{counted(without, kind)} without {short_name(column)}, left out of the scores that use it")
    if lacking:
        left = counted(len(lacking), "features")
        notes.append(f"{left} left out, missing in more than a fifth of the rows: {listing(lacking)}")
    return "; ".join([", ".join(parts), *notes])


def _names(frame: pd.DataFrame) -> list[str]:
    """Name each row."""
    columns = [name for name in (PLATE, WELL, IMAGE_NUMBER, OBJECT_NUMBER) if name in frame]
    if not columns:
        columns = [name for name in map(str, frame) if name.startswith(METADATA) and name != COUNT][:3]
    if not columns:
        return [f"row {number + 1}" for number in range(len(frame))]
    return frame[columns].astype(str).agg(" ".join, axis=1).tolist()


def _plain(column: pd.Series) -> list[Any]:
    """Turn a column into JSON values; None where it is blank."""
    if pd.api.types.is_bool_dtype(column):
        return column.astype(str).tolist()
    if pd.api.types.is_numeric_dtype(column):
        return panels.rounded(column.to_numpy(np.float64))
    return [str(value) if known else None for value, known in zip(column, has_word(column), strict=True)]


def _scores(after: Screen, before: Screen | None) -> list[dict[str, Any]]:
    earlier = {score.name: _estimate(score.estimate, after.rows) for score in screen_scores(before)} if before else {}
    return [
        {
            "name": score.name,
            "meaning": score.meaning,
            "after": _estimate(score.estimate, after.rows),
            "before": earlier.get(score.name),
            "higher_is_better": score.higher_is_better,
            "chance": score.chance,
        }
        for score in screen_scores(after)
        if np.isfinite(score.value)
    ]


def _estimate(estimate: Estimate, rows: str) -> dict[str, Any]:
    """Turn a score into JSON values: ``value``, the interval ``low`` to ``high`` or None, and what was ``counted``."""
    value, low, high = panels.rounded(np.array([estimate.value, estimate.low, estimate.high]))
    units = "" if estimate.units == estimate.rows else f", {_counted_units(estimate)}"
    return {"value": value, "low": low, "high": high, "counted": counted(estimate.rows, rows) + units}


def _counted_units(estimate: Estimate) -> str:
    """Count units: wells, treatments, compounds, or values of a column."""
    known = estimate.unit in ("wells", "images", "objects", "treatments", "compounds", "rows")
    return (
        counted(estimate.units, estimate.unit) if known else f"{counted(estimate.units, 'values')} of {estimate.unit}"
    )


def _features_by(provenance: Provenance) -> str:
    return f"features by {describe(provenance)}; " if provenance else ""


def _versions() -> str:
    versions = []
    for package in PACKAGES:
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(versions)


def _fill_template(title: str, data: dict[str, Any]) -> str:
    def asset(name: str) -> str:
        return (files(__package__) / "assets" / name).read_text("utf-8")

    return Template(asset("page.html")).substitute(
        title=escape(title),
        style=asset("page.css"),
        script="".join(map(asset, SCRIPTS)),
        plotly=asset("plotly.min.js"),
        data=json.dumps(data, allow_nan=False).replace("<", "\\u003c"),
    )
