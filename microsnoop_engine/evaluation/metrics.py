"""Scores of features: neighbors, classifiers, separation, and the mechanism of action of treatments."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, MissingExtraError, listing

METRICS = ("cosine", "euclidean")
CLASSIFIERS = ("linear", "mlp")
BLOCK = 1024
"""Number of rows whose distances to all others are in memory together."""


def knn_predict(
    features: NDArray[Any],
    labels: NDArray[Any],
    groups: NDArray[Any] | Sequence[Any] | None = None,
    k: int = 11,
    metric: str = "cosine",
) -> NDArray[Any]:
    """Predict each row's label by the majority of its k nearest neighbors outside of its own groups.

    Parameters
    ----------
    features : array (n, p)
    labels : array (n,)
    groups : array (n,), or a sequence of such arrays, optional
        Rows that share a group are never neighbors; of several arrays (plate, well), sharing one is enough.
    k : int
        Number of neighbors, from 1.
    metric : {'cosine', 'euclidean'}

    Returns
    -------
    array (n,)
        The predicted labels. In a tie, the label of the nearest neighbor wins.

    Raises
    ------
    InputError
        If features are missing (NaN), a label has a single row, or a row has fewer than k candidates.
    """
    features, labels = _check_table(features, labels)
    names, codes = np.unique(labels, return_inverse=True)
    votes = codes[nearest(features, k, exclude=_group_codes(groups, len(labels)), metric=metric)]
    counts = (votes[:, :, None] == np.arange(len(names))).sum(1)
    winners = counts == counts.max(1, keepdims=True)
    # among the labels with most votes, that of the nearest neighbor
    first = winners[np.arange(len(votes))[:, None], votes].argmax(1)
    predictions: NDArray[Any] = names[votes[np.arange(len(votes)), first]]
    return predictions


def nearest(
    features: NDArray[Any], k: int, exclude: Sequence[NDArray[Any]] = (), metric: str = "cosine"
) -> NDArray[np.intp]:
    """Find the k nearest other rows of each row, without those that agree with it in an ``exclude`` array.

    Parameters
    ----------
    features : array (n, p)
    k : int
    exclude : sequence of arrays (n,)
    metric : {'cosine', 'euclidean'}

    Returns
    -------
    array (n, k), int
        Row numbers, nearest first.

    Raises
    ------
    InputError
        If a row has fewer than k candidates; with the cosine, if a row is all zeros.
    """
    if metric not in METRICS:
        raise InputError(f"`metric` is '{metric}': choose one of {', '.join(METRICS)}")
    if k < 1:
        raise InputError(f"k is {k}: it must be 1 or more")
    features = np.asarray(features, dtype=np.float64)
    if metric == "cosine":
        length = np.linalg.norm(features, axis=1, keepdims=True)
        if not length.all():
            raise InputError(f"row {np.flatnonzero(length[:, 0] == 0)[0]} is all zeros and has no direction: drop it")
        features = features / length
    squares = (features**2).sum(1)
    neighbors = []
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
                "own groups: use a smaller k or more rows"
            )
        distances[left_out] = np.inf
        neighbors.append(np.argsort(distances, axis=1, kind="stable")[:, :k])
    return np.concatenate(neighbors)


def cross_validated_predict(
    features: NDArray[Any],
    labels: NDArray[Any],
    groups: NDArray[Any] | None = None,
    classifier: str = "mlp",
    folds: int = 5,
    seed: int = 0,
) -> NDArray[Any]:
    """Predict each row's label by a scikit-learn classifier trained on the other folds.

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
        The predicted labels.

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

    features, labels = _check_table(features, labels)
    if classifier not in CLASSIFIERS:
        raise InputError(f"classifier is '{classifier}': choose one of {', '.join(CLASSIFIERS)}")
    names, counts = np.unique(labels, return_counts=True)
    if folds < 2 or counts.min() < folds:
        raise InputError(
            f"folds is {folds}, but label '{names[counts.argmin()]}' has {counts.min()} rows: "
            "use 2 or more folds and at least as many rows of each label"
        )
    codes = None
    if groups is None:
        splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    else:
        (codes,) = _group_codes(groups, len(labels))
        if codes.max() + 1 < folds:
            raise InputError(f"folds is {folds}, but there are {codes.max() + 1} groups: use fewer folds")
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    model = {
        "mlp": MLPClassifier(max_iter=1000, random_state=seed),
        "linear": LogisticRegression(max_iter=1000),
    }[classifier]
    pipeline = make_pipeline(StandardScaler(), model)
    with threadpool_limits(1):  # on a busy machine threads make these small products up to 100 times slower
        return np.asarray(cross_val_predict(pipeline, features, labels, groups=codes, cv=splitter))


def silhouette(features: NDArray[Any], labels: NDArray[Any], metric: str = "cosine") -> float:
    """Compute the mean silhouette of the rows under their labels (Rousseeuw 1987; scikit-learn).

    Parameters
    ----------
    features : array (n, p)
    labels : array (n,)
    metric : {'cosine', 'euclidean'}

    Returns
    -------
    float
        From -1 to 1.

    Raises
    ------
    InputError
        If features are missing (NaN), a label has a single row, or there is only one label.
    """
    from sklearn.metrics import silhouette_score

    features, labels = _check_table(features, labels)
    if metric not in METRICS:
        raise InputError(f"`metric` is '{metric}': choose one of {', '.join(METRICS)}")
    if (labels == labels[0]).all():
        raise InputError(f"all labels are '{labels[0]}': separation needs at least two")
    return float(silhouette_score(features, labels, metric=metric))


@dataclass(frozen=True)
class TreatmentMatch:
    """The label of each treatment's nearest allowed neighbor.

    Attributes
    ----------
    rows : array (m,), int
        The treatments that took part.
    predictions : array (m,)
        Their predicted labels.
    accuracy : float
        Share of correct predictions, from 0 to 1; NaN if no treatment took part.
    left_out : int
        Number of treatments without an allowed neighbor of their own label.
    """

    rows: NDArray[np.intp]
    predictions: NDArray[Any]
    accuracy: float
    left_out: int


def nsc(
    features: NDArray[Any], labels: NDArray[Any], compounds: NDArray[Any], batches: NDArray[Any] | None = None
) -> TreatmentMatch:
    """Match treatments by NSC (not same compound; Ljosa et al. 2013) or NSCB (nor same batch; Ando et al. 2017).

    A treatment takes the label of its nearest neighbor by cosine among those of another compound (and batch). A
    treatment without such a neighbor of its own label cannot be matched correctly: it takes no part, neither as a
    query nor as a neighbor, and is counted.

    Parameters
    ----------
    features : array (n, p)
        One row per treatment (compound and concentration).
    labels : array (n,)
        Mechanisms of action.
    compounds : array (n,)
    batches : array (n,), optional
        Makes it NSCB.

    Returns
    -------
    TreatmentMatch

    Raises
    ------
    InputError
        If features are missing (NaN) or columns differ in length.
    """
    features, labels = _check_table(features, labels, members=1)
    columns = _group_codes([compounds] if batches is None else [compounds, batches], len(labels))
    allowed = np.ones((len(labels), len(labels)), bool)
    for column in columns:
        allowed &= column[:, None] != column
    rows = np.flatnonzero((allowed & (labels[:, None] == labels)).any(1))
    if not len(rows):
        return TreatmentMatch(rows, labels[rows], float("nan"), len(labels))
    neighbors = nearest(features[rows], 1, exclude=[column[rows] for column in columns])[:, 0]
    predictions = labels[rows][neighbors]
    return TreatmentMatch(rows, predictions, float((predictions == labels[rows]).mean()), len(labels) - len(rows))


def mean_average_precision(
    features: NDArray[Any], labels: NDArray[Any], groups: NDArray[Any] | None = None
) -> dict[str, float]:
    """Compute the mean average precision of retrieving rows of the same label (copairs; Kalinin et al. 2025).

    For each row, the rows of other groups are ranked by cosine.

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

    logging.getLogger("copairs").setLevel(logging.WARNING)  # it logs each of its steps
    features, labels = _check_table(features, labels)
    table = pd.DataFrame({"label": labels.astype(str)})
    other = []
    if groups is not None:
        (table["group"],) = _group_codes(groups, len(labels))
        other = ["group"]
    rows = average_precision(table, features, ["label"], other, [], ["label", *other], progress_bar=False)
    precisions: dict[str, float] = rows.groupby("label")["average_precision"].mean().to_dict()
    return precisions


def _check_table(features: NDArray[Any], labels: NDArray[Any], members: int = 2) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return features (n, p) and labels (n,) if they can be scored and each label has enough members."""
    features, labels = np.asarray(features), np.asarray(labels)
    if features.ndim != 2 or labels.shape != features.shape[:1] or not features.size:
        raise InputError(
            f"`features` have shape {features.shape} and labels {labels.shape}: they must be (n, p) and (n,), n from 1"
        )
    bad = np.flatnonzero(~np.isfinite(features).all(1))
    if len(bad):
        raise InputError(
            f"{len(bad)} of {len(features)} rows hold NaN or infinite features (rows {listing(bad)}): drop these rows"
        )
    names, counts = np.unique(labels, return_counts=True)
    if (counts < members).any():
        raise InputError(
            f"labels with fewer than {members} rows: {listing(names[counts < members])}; drop or merge these labels"
        )
    return features, labels


def _group_codes(groups: NDArray[Any] | Sequence[Any] | None, count: int) -> list[NDArray[np.intp]]:
    """Return group columns as integers from 0, from one column (n,) or several."""
    if groups is None:
        return []
    several = isinstance(groups, list | tuple) and len(groups) and not np.isscalar(groups[0])
    columns = [np.asarray(column) for column in (groups if several else [groups])]
    for column in columns:
        if column.shape != (count,):
            raise InputError(
                f"`groups` have shape {column.shape}, but there are {count} rows: one group per row is needed"
            )
    return [np.unique(column, return_inverse=True)[1] for column in columns]
