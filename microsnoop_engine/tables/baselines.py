"""Score simple numbers beside the features: how many objects there are, and how bright they are."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..errors import InputError
from ..evaluation.table import evaluate_frame
from .columns import COUNT

TASKS = ("knn", "linear", "mlp")
"""Tasks that a few numbers can be scored by: the others compare angles."""
OBJECT_COUNT, INTENSITY = "object count", "mean intensity"
_INTENSITY = re.compile(r"^(.+_)?(Intensity_MeanIntensity|Mean_?Intensity)(_.+)?$")


def baseline_columns(frame: pd.DataFrame) -> dict[str, list[str]]:
    """Find the columns of simple numbers.

    Parameters
    ----------
    frame : DataFrame

    Returns
    -------
    dict of str to list of str
        ``object count`` and ``mean intensity``, as far as the table has them and they vary.

    Examples
    --------
    >>> table = pd.DataFrame({"Metadata_Object_Count": [3, 4], "Nuclei_Intensity_MeanIntensity_DNA": [0.1, 0.2]})
    >>> baseline_columns(table)
    {'object count': ['Metadata_Object_Count'], 'mean intensity': ['Nuclei_Intensity_MeanIntensity_DNA']}
    """
    found = {
        OBJECT_COUNT: [COUNT] if COUNT in frame else [],
        INTENSITY: [name for name in map(str, frame) if _INTENSITY.match(name)],
    }
    varying = {
        kind: [name for name in names if pd.api.types.is_numeric_dtype(frame[name]) and frame[name].nunique() > 1]
        for kind, names in found.items()
    }
    return {kind: names for kind, names in varying.items() if names}


def evaluate_baselines(
    frame: pd.DataFrame,
    label: str,
    tasks: Sequence[str],
    features: Sequence[str] = (),
    *,
    groups: str | None = None,
    neighbors: int = 11,
    units: Mapping[str, Sequence[str]] | None = None,
) -> list[dict[str, Any]]:
    """Score simple numbers by the same tasks as the features.

    Parameters
    ----------
    frame : DataFrame
    label : str
        Column of the labels.
    tasks : sequence of str
        Those of ``knn``, ``linear`` and ``mlp`` are scored.
    features : sequence of str
        Columns of the features: rows without any of them take no part.
    groups, neighbors, units
        See :func:`.evaluate_frame`.

    Returns
    -------
    list of dict
        As :func:`.evaluate_frame`, with the name of the numbers as ``features``. Numbers are standardized and compared
        by Euclidean distance.
    """
    some = (
        np.isfinite(frame[list(features)].to_numpy(np.float64)).any(1) if len(features) else np.ones(len(frame), bool)
    )
    rows = frame[some].drop(columns=list(features))
    columns = baseline_columns(frame)
    chosen = [task for task in tasks if task in TASKS]
    results: list[dict[str, Any]] = []
    for kind, names in columns.items() if chosen else ():
        numbers = frame.loc[some, names].astype(np.float64)
        scaled = (numbers - numbers.mean()) / numbers.std(ddof=0).where(lambda of: of > 0, 1)
        scaled.columns = [f"{kind} {number}" for number in range(len(names))]
        try:
            scores = evaluate_frame(
                rows.drop(columns=names, errors="ignore").join(scaled),
                list(map(str, scaled)),
                label,
                chosen,
                groups=groups,
                neighbors=neighbors,
                metric="euclidean",
                units=units,
            )
        except InputError as error:
            raise InputError(f"{kind}: {error}") from None
        results += [{"features": kind, **score} for score in scores]
    return results
