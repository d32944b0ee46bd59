"""Classify the rows of a table."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import InputError, counted, listing, require_columns
from ..storage.paths import as_path
from ..tables.columns import IMAGE_NUMBER, METADATA, WELL
from ..tables.features import is_classical, is_microsnoop, select_features
from ..tables.formats import open_table, write_table
from ..tables.outputs import check_output
from ..tables.plates import plate_columns
from ..tables.source import TableSource, name_in_errors
from ..tables.spellings import one_spelling
from .model_file import TableClassifier, load_classifier
from .network import check_crops_of_table, check_network

log = logging.getLogger(__name__)

CLASS = f"{METADATA}Class"
PROBABILITY = f"{METADATA}Class_Probability_"
CELLS, UNCLASSIFIED = "Cells", "Unclassified"
ALIKE = (0.2, 5.0)
"""Root mean square of standardized features, between which a table looks like the one that was trained on (1)."""
_ALL = "all rows"


@dataclass(frozen=True)
class ClassifiedTable:
    """The classes of the rows of a table.

    Attributes
    ----------
    frame : DataFrame
        The columns that are no features, then ``Metadata_Class`` and ``Metadata_Class_Probability_NAME`` of each
        class. Rows with missing features have no class.
    counts : DataFrame
        A row per well and class: the columns that name the well, ``Class``, ``Cells`` of this class, ``Classified``
        cells, ``Unclassified`` ones, the ``Share`` of the class with its 95 % interval ``Low`` to ``High``, and
        ``Mean_Probability``.
    unclassified : int
        Number of rows with missing features.
    """

    frame: pd.DataFrame
    counts: pd.DataFrame
    unclassified: int


def apply_to_table(
    table: str | Path | pd.DataFrame | TableSource,
    model: str | Path | TableClassifier,
    *,
    objects: str | None = None,
    where: str | None = None,
    out: str | Path | None = None,
    counts: str | Path | None = None,
) -> ClassifiedTable:
    """Classify the rows of a table of any size.

    Parameters
    ----------
    table : str, Path, DataFrame or TableSource
        See :func:`.open_table`.
    model : str, Path or TableClassifier
        Written by :func:`.train_on_table`.
    objects : str, optional
        Object set of a CellProfiler export.
    where : str, optional
        Query of the rows, by default all (see :func:`.select`).
    out, counts : str or Path, optional
        Files to write classes and counts per well to (see :func:`.write_table`).

    Returns
    -------
    ClassifiedTable

    Raises
    ------
    InputError
        If the table was measured with other weights, lacks a feature, or a file cannot be written.
    """
    for path in (out, counts):
        if path is not None:
            check_output(as_path(path), inputs=(table, model))
    loaded = model if isinstance(model, TableClassifier) else load_classifier(as_path(model))
    source = one_spelling(open_table(table, objects, where))
    with name_in_errors(table):
        _check_features(source, loaded)
        check_network(loaded.network, source.provenance, source.path)
        check_crops_of_table(loaded, source.provenance, source.path)
        frame = _classified(source, loaded)
    tallies = count_classes(frame, loaded.classifier.classes)
    if out is not None:
        write_table(frame, out, [], table, source.rows)
    if counts is not None:
        write_table(tallies, counts, [])
    return ClassifiedTable(frame, tallies, int(frame[CLASS].isna().sum()))


def _check_features(source: TableSource, model: TableClassifier) -> None:
    """Refuse a table that lacks a feature, or has words in it."""
    columns = set(source.columns)
    if missing := [name for name in model.features if name not in columns]:
        there = [name for name in source.columns if is_microsnoop(name) or is_classical(name)]
        raise InputError(
            f"it lacks {len(missing)} of the {counted(len(model.features), 'features')} of the classifier "
            f"({listing(missing, 3)}); it has {listing(there, 3) or 'none'}: measure the same objects and channels, "
            "under the same names"
        )
    select_features(source, model.features)


def _classified(source: TableSource, model: TableClassifier) -> pd.DataFrame:
    """Read a table chunk by chunk, and put the classes in place of the features."""
    features, classes = list(model.features), np.array(model.classifier.classes, object)
    used = set(features)
    kept = [n for n in source.columns if n not in used and not is_microsnoop(n) and not is_classical(n)]
    replaced = [name for name in kept if name == CLASS or name.startswith(PROBABILITY)]
    if replaced:
        log.warning("'%s' has classes already (%s); they are replaced", source.path, listing(replaced))
    kept = [name for name in kept if name not in replaced]
    parts, squares, count = [], 0.0, 0
    for chunk in source.chunks([*kept, *features]):
        values = chunk[features].to_numpy(np.float64)
        probabilities = model.classifier.probabilities(values)
        known = np.isfinite(probabilities).all(1)
        standardized = (values[known] - model.classifier.mean) / model.classifier.scale
        squares, count = squares + float((standardized**2).sum()), count + standardized.size
        named = classes[np.nan_to_num(probabilities).argmax(1)]
        named[~known] = None
        columns = {f"{PROBABILITY}{name}": probabilities[:, number] for number, name in enumerate(classes)}
        parts.append(chunk[kept].assign(**{CLASS: named}, **columns))
    if not parts:
        raise InputError(f"'{source.path}' has no rows")
    if not count:
        raise InputError("no row has all features of the classifier")
    _warn_of_scale(source.path, (squares / count) ** 0.5)
    return pd.concat(parts, ignore_index=True)


def _warn_of_scale(path: Path, spread: float) -> None:
    """Warn of features that are distributed differently from those of the training, as sphered ones are."""
    if not ALIKE[0] < spread < ALIKE[1]:
        log.warning(
            "'%s': its features lie %.3g standard deviations of the training cells from their mean (about 1 is usual): "
            "was one of the two tables normalized or sphered, or aggregated? Then the classes mean nothing",
            path,
            spread,
        )


def count_classes(frame: pd.DataFrame, classes: tuple[str, ...]) -> pd.DataFrame:
    """Count the classes of each well, or of each image where no wells are known.

    Parameters
    ----------
    frame : DataFrame
        With ``Metadata_Class`` and probabilities.
    classes : tuple of str

    Returns
    -------
    DataFrame
        See :class:`ClassifiedTable`. The interval is that of Jeffreys' prior for the cells of the well, as if
        they were independent and every class was right.
    """
    from scipy.stats import beta

    require_columns(frame, [CLASS], "the table")
    columns = list(map(str, frame))
    keys = [*plate_columns(columns), WELL] if WELL in columns else [n for n in (IMAGE_NUMBER,) if n in columns]
    groups = frame.groupby(keys, dropna=False, sort=False) if keys else [((_ALL,), frame)]
    rows = []
    for key, group in groups:
        classified = int(group[CLASS].notna().sum())
        for name in classes:
            count = int((group[CLASS] == name).sum())
            low, high = beta.ppf([0.025, 0.975], count + 0.5, classified - count + 0.5)
            share = count / classified if classified else np.nan
            rows.append(
                {
                    **dict(zip(keys or ["Rows"], key, strict=True)),
                    "Class": name,
                    CELLS: count,
                    "Classified": classified,
                    UNCLASSIFIED: len(group) - classified,
                    "Share": share,
                    "Low": min(low, share) if classified else np.nan,
                    "High": max(high, share) if classified else np.nan,
                    "Mean_Probability": float(group[f"{PROBABILITY}{name}"].mean()),
                }
            )
    return pd.DataFrame(rows)
