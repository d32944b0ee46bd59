"""Train a classifier on the labeled rows of a table."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError
from ..storage.paths import as_path
from ..tables.features import provenance_of, select_features
from ..tables.formats import open_table
from ..tables.outputs import check_output
from ..tables.provenance import Provenance
from ..tables.source import TableSource, name_in_errors, read_frame
from ..tables.spellings import one_spelling
from .classifier import Training, train_classifier
from .folds import choose_groups
from .labels import MOST_UNMATCHED, Labels, labels_of_column, read_labels
from .model_file import SUFFIX, TableClassifier, save_classifier
from .rows import group_kinds, is_key, rows_of, warn_of_groups
from .validation import Validation, validate, warn_of_chance

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TableTraining:
    """A classifier of a table, and what it was trained on.

    Attributes
    ----------
    model : TableClassifier
    validation : Validation
        Scores of cells in groups that were held out.
    unit : str
        What was held out: ``wells``, ``images`` or single ``cells``.
    units : int
        Number of these among the labeled cells.
    labels : Labels
    incomplete : int
        Number of labeled rows with missing features, which took no part.
    """

    model: TableClassifier
    validation: Validation
    unit: str
    units: int
    labels: Labels
    incomplete: int


def train_on_table(
    table: str | Path | pd.DataFrame | TableSource,
    labels: Sequence[str | Path] = (),
    label: str | None = None,
    *,
    on: Sequence[str] | None = None,
    features: str | Sequence[str] = "microsnoop",
    groups: str | None = None,
    most_unmatched: float = MOST_UNMATCHED,
    objects: str | None = None,
    where: str | None = None,
    out: str | Path | None = None,
    seed: int = 0,
) -> TableTraining:
    """Train a classifier on the labeled rows of a table.

    Parameters
    ----------
    table : str, Path, DataFrame or TableSource
        See :func:`.open_table`.
    labels : sequence of str or Path
        Files of labels (see :func:`.read_labels`). Without any, ``label`` is a column of the table.
    label : str, optional
        Column of the labels.
    on, most_unmatched
        See :func:`.read_labels`.
    features : str or sequence of str
        See :func:`.select_features`.
    groups : str, optional
        Column of the groups that are held out together. By default wells, or images where a class lies in a single
        well.
    objects : str, optional
        Object set of a CellProfiler export.
    where : str, optional
        Query of the rows, by default all (see :func:`.select`).
    out : str or Path, optional
        File ending in .safetensors to write the classifier to.
    seed : int
        Of the folds.

    Returns
    -------
    TableTraining

    Raises
    ------
    InputError
        If labels or features cannot be used, or there are too few of them.
    """
    if out is not None:
        check_output(as_path(out), (SUFFIX,), inputs=(table, *labels))
    if not labels and label is None:
        raise InputError("`labels` is missing: pass files of labels, or a column of the table as `label`")
    source = one_spelling(open_table(table, objects, where))
    names = select_features(source, features)
    chosen = set(names)
    named = {label, groups, *(on or ())}
    others = [name for name in source.columns if name not in chosen and (is_key(name) or name in named)]
    frame = read_frame(source, others)
    with name_in_errors(table):
        known = read_labels(frame, labels, label, on, most_unmatched) if labels else labels_of_column(frame, str(label))
        rows = np.flatnonzero(pd.notna(known.values))
        if not len(rows):
            raise InputError("no row has a label: label some cells")
        values = rows_of(source, names, rows)
        complete = np.isfinite(values).all(1)
        if not complete.any():
            raise InputError("no labeled row has all features: choose others with `features`")
        rows, values = rows[complete], values[complete]
        words = known.values[rows].astype(str)
        kinds = group_kinds(frame.iloc[rows], groups)
        unit, group_of = choose_groups(words, kinds)
        if groups is not None and group_of is None:
            raise InputError(f"`groups`: a class lies in a single '{groups}': choose another column")
        warn_of_groups(unit, group_of, kinds)
        training = train_classifier(values, words, group_of, seed)
    result = _described(
        training, names, provenance_of(names, source.provenance), words, unit, group_of, known, int((~complete).sum())
    )
    scores = result.validation
    warn_of_chance(scores.balanced_accuracy, len(scores.classes), "label more wells, or classes that look different")
    if out is not None:
        save_classifier(as_path(out), result.model)
    return result


def _described(
    training: Training,
    names: Sequence[str],
    network: Provenance,
    words: NDArray[Any],
    unit: str,
    group_of: NDArray[Any] | None,
    labels: Labels,
    incomplete: int,
) -> TableTraining:
    validation = validate(training.classifier.classes, words, training.held_out, {unit: group_of})
    scores = {
        "balanced_accuracy": validation.balanced_accuracy.value,
        "calibration_error": validation.calibration_error,
        "cells": len(words),
    }
    model = TableClassifier(training.classifier, tuple(names), network, scores)
    units = len(words) if group_of is None else len(np.unique(group_of))
    return TableTraining(model, validation, unit, units, labels, incomplete)
