"""How good features are: neighbors, classifiers, separation, and the mechanism of action of treatments."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import InputError, MissingExtraError

METRICS = ("cosine", "euclidean")
CLASSIFIERS = ("linear", "mlp")
BLOCK = 1024
"""Rows whose distances to all others are in memory at once."""


def knn_predict(
    features: np.ndarray,
    labels: np.ndarray,
    groups: Sequence | None = None,
    k: int = 11,
    metric: str = "cosine",
) -> np.ndarray:
    """The label that most of a row's k nearest neighbors have, the row itself and its groups left out.

    Parameters
    ----------
    features : array (n, p)
    labels : array (n,)
    groups : array (n,), or a sequence of such arrays, optional
        Rows that share a group are never neighbors; of several arrays (plate, well), sharing one is enough.
    k : int
    metric : {'cosine', 'euclidean'}

    Returns
    -------
    array (n,)
        The predicted labels. Among labels with equally many neighbors the one with the nearest wins.

    Raises
    ------
    InputError
        If features are missing (NaN), a label has a single row, or a row has fewer than k candidates.
    """
    features, labels = check_table(features, labels)
    names, codes = np.unique(labels, return_inverse=True)
    votes = codes[nearest(features, k, exclude=columns_of(groups, len(labels)), metric=metric)]
    counts = (votes[:, :, None] == np.arange(len(names))).sum(1)
    winners = counts == counts.max(1, keepdims=True)
    first = winners[np.arange(len(votes))[:, None], votes].argmax(1)
    return names[votes[np.arange(len(votes)), first]]


def nearest(features: np.ndarray, k: int, exclude: Sequence[np.ndarray] = (), metric: str = "cosine") -> np.ndarray:
    """The k nearest other rows of each row, nearest first; rows that agree in an ``exclude`` array are left out.

    Parameters
    ----------
    features : array (n, p)
    k : int
    exclude : sequence of arrays (n,)
    metric : {'cosine', 'euclidean'}

    Returns
    -------
    array (n, k), int
        Row numbers.

    Raises
    ------
    InputError
        If a row has fewer than k candidates; with the cosine, if a row is all zeros.
    """
    if metric not in METRICS:
        raise InputError(f"metric is '{metric}': give one of {', '.join(METRICS)}")
    if k < 1:
        raise InputError(f"k is {k}: give 1 or more")
    features = np.asarray(features, dtype=np.float64)
    if metric == "cosine":
        length = np.linalg.norm(features, axis=1, keepdims=True)
        if not length.all():
            raise InputError(f"row {np.flatnonzero(length[:, 0] == 0)[0]} is all zeros and has no direction: drop it")
        features = features / length
    squares = (features**2).sum(1)
    found = []
    for start in range(0, len(features), BLOCK):
        rows = np.arange(start, min(start + BLOCK, len(features)))
        distances = squares[rows, None] + squares - 2 * features[rows] @ features.T
        left_out = rows[:, None] == np.arange(len(features))
        for group in exclude:
            left_out |= group[rows, None] == group
        candidates = (~left_out).sum(1)
        if candidates.min() < k:
            raise InputError(
                f"k is {k}, but row {rows[candidates.argmin()]} has {candidates.min()} candidates outside of its "
                "own groups: give a smaller k or more rows"
            )
        distances[left_out] = np.inf
        found.append(np.argsort(distances, axis=1, kind="stable")[:, :k])
    return np.concatenate(found)


def cross_validated_predict(
    features: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray | None = None,
    classifier: str = "mlp",
    folds: int = 5,
    seed: int = 0,
) -> np.ndarray:
    """Each row's label by a scikit-learn classifier that was trained on the other folds.

    Features are standardized with the training rows' mean and deviation. ``mlp`` is one hidden layer of 100,
    ``linear`` logistic regression; both run for at most 1000 iterations (the paper's setting for its MLP).

    Parameters
    ----------
    features : array (n, p)
    labels : array (n,)
    groups : array (n,), optional
        Rows of a group lie in one fold; without groups the folds are stratified only.
    classifier : {'mlp', 'linear'}
    folds : int
    seed : int

    Returns
    -------
    array (n,)

    Raises
    ------
    InputError
        If features are missing (NaN), a label has too few rows, or there are too few groups.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_predict
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    features, labels = check_table(features, labels)
    if classifier not in CLASSIFIERS:
        raise InputError(f"classifier is '{classifier}': give one of {', '.join(CLASSIFIERS)}")
    names, counts = np.unique(labels, return_counts=True)
    if folds < 2 or counts.min() < folds:
        raise InputError(
            f"folds is {folds}, but label '{names[counts.argmin()]}' has {counts.min()} rows: "
            "give 2 or more folds and at least as many rows of each label"
        )
    if groups is None:
        splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    else:
        (groups,) = columns_of(groups, len(labels))
        if groups.max() + 1 < folds:
            raise InputError(f"folds is {folds}, but there are {groups.max() + 1} groups: give fewer folds")
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    model = {
        "mlp": MLPClassifier(max_iter=1000, random_state=seed),
        "linear": LogisticRegression(max_iter=1000),
    }[classifier]
    pipeline = make_pipeline(StandardScaler(), model)
    with threadpool_limits(1):  # on a busy machine threads make these small products up to 100 times slower
        return cross_val_predict(pipeline, features, labels, groups=groups, cv=splitter)


def silhouette(features: np.ndarray, labels: np.ndarray, metric: str = "cosine") -> float:
    """Mean silhouette of the rows under their labels, from -1 to 1 (scikit-learn).

    Raises
    ------
    InputError
        If features are missing (NaN), a label has a single row, or there is only one label.
    """
    from sklearn.metrics import silhouette_score

    features, labels = check_table(features, labels)
    if metric not in METRICS:
        raise InputError(f"metric is '{metric}': give one of {', '.join(METRICS)}")
    if (labels == labels[0]).all():
        raise InputError(f"all labels are '{labels[0]}': separation needs at least two")
    return float(silhouette_score(features, labels, metric=metric))


@dataclass(frozen=True)
class TreatmentMatch:
    """Each treatment's label by its nearest allowed neighbor.

    Attributes
    ----------
    rows : array (m,), int
        The treatments that could be asked.
    predictions : array (m,)
        Their predicted labels.
    accuracy : float
        Share of right ones; NaN where none could be asked.
    left_out : int
        Treatments without any neighbor of their own label among those allowed.
    """

    rows: np.ndarray
    predictions: np.ndarray
    accuracy: float
    left_out: int


def nsc(
    features: np.ndarray, labels: np.ndarray, compounds: np.ndarray, batches: np.ndarray | None = None
) -> TreatmentMatch:
    """NSC (not same compound; Ljosa et al. 2013) and, with batches, NSCB (nor same batch; Ando et al. 2017).

    A treatment takes the label of its nearest neighbor by cosine among those of another compound (and batch). A
    treatment that has no such neighbor of its own label could not be answered rightly: it is left out, as a question
    and as a neighbor, and counted.

    Parameters
    ----------
    features : array (n, p)
        One row per treatment (compound and concentration).
    labels : array (n,)
        Mechanisms of action.
    compounds : array (n,)
    batches : array (n,), optional

    Raises
    ------
    InputError
        If features are missing (NaN) or columns differ in length.
    """
    features, labels = check_table(features, labels, members=1)
    columns = columns_of([compounds] if batches is None else [compounds, batches], len(labels))
    allowed = np.ones((len(labels), len(labels)), bool)
    for column in columns:
        allowed &= column[:, None] != column
    rows = np.flatnonzero((allowed & (labels[:, None] == labels)).any(1))
    if not len(rows):
        return TreatmentMatch(rows, labels[rows], float("nan"), len(labels))
    neighbors = nearest(features[rows], 1, exclude=[column[rows] for column in columns])[:, 0]
    predictions = labels[rows][neighbors]
    return TreatmentMatch(rows, predictions, float((predictions == labels[rows]).mean()), len(labels) - len(rows))


def treatment_scores(
    features: np.ndarray,
    labels: np.ndarray,
    compounds: np.ndarray,
    plates: np.ndarray | None = None,
    weeks: np.ndarray | None = None,
) -> dict[str, TreatmentMatch]:
    """``nsc``, and ``nscb_plate`` and ``nscb_week`` where those columns are given (see :func:`nsc`)."""
    batches = {"nscb_plate": plates, "nscb_week": weeks}
    result = {"nsc": nsc(features, labels, compounds)}
    return result | {
        name: nsc(features, labels, compounds, column) for name, column in batches.items() if column is not None
    }


def mean_average_precision(
    features: np.ndarray, labels: np.ndarray, groups: np.ndarray | None = None
) -> dict[str, float]:
    """How far up its own kind stands when all rows of other groups are ranked by cosine (copairs; Kalinin et al. 2025).

    Parameters
    ----------
    features : array (n, p)
    labels : array (n,)
    groups : array (n,), optional
        Rows that share a group are not compared.

    Returns
    -------
    dict of str to float
        The mean of the average precision per label, from 0 to 1; NaN for a label that lies in one group only.

    Raises
    ------
    InputError
        If features are missing (NaN) or a label has a single row.
    MissingExtraError
        If copairs is not installed.
    """
    try:
        from copairs.map import average_precision
    except ImportError:
        raise MissingExtraError("copairs", "map", "mean average precision") from None
    import pandas as pd

    logging.getLogger("copairs").setLevel(logging.WARNING)  # it tells each of its steps
    features, labels = check_table(features, labels)
    table = pd.DataFrame({"label": labels.astype(str)})
    other = []
    if groups is not None:
        (table["group"],) = columns_of(groups, len(labels))
        other = ["group"]
    found = average_precision(table, features, ["label"], other, [], ["label", *other], progress_bar=False)
    return found.groupby("label")["average_precision"].mean().to_dict()


def check_table(features: np.ndarray, labels: np.ndarray, members: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, p) and labels (n,), if they can be evaluated.

    Raises
    ------
    InputError
        If shapes do not fit, features are missing or infinite, or a label has fewer than ``members`` rows.
    """
    features, labels = np.asarray(features), np.asarray(labels)
    if features.ndim != 2 or labels.shape != features.shape[:1] or not features.size:
        raise InputError(f"features are {features.shape} and labels {labels.shape}: give (n, p) and (n,), n at least 1")
    bad = np.flatnonzero(~np.isfinite(features).all(1))
    if len(bad):
        raise InputError(
            f"{len(bad)} of {len(features)} rows hold NaN or infinite features (rows {_some(bad)}): drop these rows"
        )
    names, counts = np.unique(labels, return_counts=True)
    if (counts < members).any():
        raise InputError(
            f"labels with fewer than {members} rows: {_some(names[counts < members])}; drop or merge these labels"
        )
    return features, labels


def columns_of(groups: Sequence | None, count: int) -> list[np.ndarray]:
    """Group columns as whole numbers from 0, from one column (n,) or several.

    Raises
    ------
    InputError
        If a column is not of length ``count``.
    """
    if groups is None:
        return []
    several = isinstance(groups, list | tuple) and len(groups) and not np.isscalar(groups[0])
    columns = [np.asarray(column) for column in (groups if several else [groups])]
    for column in columns:
        if column.shape != (count,):
            raise InputError(f"groups have shape {column.shape}, but there are {count} rows: give one group per row")
    return [np.unique(column, return_inverse=True)[1] for column in columns]


def _some(values: np.ndarray) -> str:
    return ", ".join(map(str, values[:5])) + (", .." if len(values) > 5 else "")
