"""Scores of features: neighbors, classifiers, separation, and the mechanism of action of treatments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, counted, listing
from .neighbors import METRICS, Distances, has_direction, nearest

CLASSIFIERS = ("linear", "mlp")
ORDERS = 200
"""Number of random orders that tied neighbors are averaged over."""
VOTES = 1 << 24
"""Number of votes that are compared together."""


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
    predictions: NDArray[Any] = names[_winners(votes)]
    return predictions


def knn_correct(
    features: NDArray[Any],
    labels: NDArray[Any],
    groups: NDArray[Any] | Sequence[Any] | None = None,
    k: int = 11,
    metric: str = "cosine",
    seed: int = 0,
) -> NDArray[np.float64]:
    """Predict labels as :func:`knn_predict` does, and average over the orders of neighbors at equal distances.

    Parameters
    ----------
    features, labels, groups, k, metric
        See :func:`knn_predict`.
    seed : int
        Of the orders that are drawn for k above 1.

    Returns
    -------
    array (n,)
        Share of the orders in which the prediction is right, from 0 to 1: 0 or 1 for a row without ties.

    Raises
    ------
    InputError
        As :func:`knn_predict`.
    """
    features, labels = _check_table(features, labels)
    codes = np.unique(labels, return_inverse=True)[1]
    distances = Distances(features, _group_codes(groups, len(labels)), metric)
    found, tied = distances.search(k)
    random = np.random.default_rng(seed)
    result: NDArray[np.float64] = np.asarray(_winners(codes[found]) == codes, np.float64)
    for row, values in distances.of(tied):
        if k == 1:
            equal = values <= values.min() + distances.tolerance
            result[row] = (codes[equal] == codes[row]).mean()
        else:
            near = distances.candidates(values, k)
            orders = np.argsort(distances.levels(values[near]) + random.random((ORDERS, len(near))), axis=1)
            result[row] = (_winners(codes[near[orders[:, :k]]]) == codes[row]).mean()
    return result


def _winners(votes: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the value (n,) with most votes (n, k), nearest first; in a tie, that of the nearest."""
    size = max(VOTES // votes.shape[1] ** 2, 1)
    winners = []
    for start in range(0, len(votes), size):
        part = votes[start : start + size]
        counts = (part[:, :, None] == part[:, None, :]).sum(2)
        winners.append(part[np.arange(len(part)), counts.argmax(1)])
    return np.concatenate(winners)


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
            f"folds is {folds}, but label '{names[counts.argmin()]}' has {counted(counts.min(), 'rows')}: "
            "use 2 or more folds and at least as many rows of each label"
        )
    codes = None
    if groups is None:
        splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    else:
        (codes,) = _group_codes(groups, len(labels))
        if codes.max() + 1 < folds:
            raise InputError(f"folds is {folds}, but there are {counted(codes.max() + 1, 'groups')}: use fewer folds")
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    model = {
        "mlp": MLPClassifier(max_iter=1000, random_state=seed),
        "linear": LogisticRegression(max_iter=1000),
    }[classifier]
    pipeline = make_pipeline(StandardScaler(), model)
    with threadpool_limits(1):  # on a busy machine threads make these small products up to 100 times slower
        return np.asarray(cross_val_predict(pipeline, features, labels, groups=codes, cv=splitter))


def silhouettes(features: NDArray[Any], labels: NDArray[Any], metric: str = "cosine") -> NDArray[np.float64]:
    """Compute the silhouette of each row under its label (Rousseeuw 1987; scikit-learn).

    Parameters
    ----------
    features : array (n, p)
    labels : array (n,)
    metric : {'cosine', 'euclidean'}

    Returns
    -------
    array (n,)
        From -1 to 1.

    Raises
    ------
    InputError
        If features are missing (NaN), a label has a single row, or there is only one label.
    """
    from sklearn.metrics import silhouette_samples

    features, labels = _check_table(features, labels)
    if metric not in METRICS:
        raise InputError(f"`metric` is '{metric}': choose one of {', '.join(METRICS)}")
    if (labels == labels[0]).all():
        raise InputError(f"all labels are '{labels[0]}': separation needs at least two")
    return np.asarray(silhouette_samples(features, labels, metric=metric), np.float64)


@dataclass(frozen=True)
class TreatmentMatch:
    """The label of each treatment's nearest allowed neighbor.

    Attributes
    ----------
    rows : array (m,), int
        The treatments that took part.
    predictions : array (m,)
        Their predicted labels.
    correct : array (m,)
        1 where the prediction is right, 0 where it is wrong; of neighbors at equal distances, the share that is right.
    accuracy : float
        Mean of ``correct``; NaN if no treatment took part.
    left_out : int
        Number of treatments without an allowed neighbor of their own label, or without direction (all zeros).
    """

    rows: NDArray[np.intp]
    predictions: NDArray[Any]
    correct: NDArray[np.float64]
    left_out: int

    @property
    def accuracy(self) -> float:
        """Mean of ``correct``."""
        return float(self.correct.mean()) if len(self.correct) else float("nan")


def nsc(
    features: NDArray[Any],
    labels: NDArray[Any],
    compounds: NDArray[Any],
    batches: NDArray[Any] | None = None,
    separator: str | None = None,
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
    separator : str, optional
        Separates several labels of a treatment, such as ``|``: treatments that share one are alike.

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
    rows = np.flatnonzero(has_direction(features))
    rows = rows[_has_partner(labels[rows], [column[rows] for column in columns], separator)]
    if not len(rows):
        return TreatmentMatch(rows, labels[rows], np.zeros(0), len(labels))
    left_out, labels = len(labels) - len(rows), labels[rows]
    distances = Distances(features[rows], [column[rows] for column in columns])
    found, tied = distances.nearest(1)
    predictions, alike = labels[found[:, 0]], _alike(labels, separator)
    correct = (predictions == labels).astype(np.float64)
    if separator is not None:
        correct = np.array([alike(row)[other] for row, other in enumerate(found[:, 0])], np.float64)
    for row, values in distances.of(tied):
        equal = values <= values.min() + distances.tolerance
        correct[row] = alike(row)[equal].mean()
    return TreatmentMatch(rows, predictions, correct, left_out)


def _alike(labels: NDArray[Any], separator: str | None) -> Callable[[int | np.intp], NDArray[np.bool_]]:
    """Return a function of a row: which rows (n,) have its label, or with a separator one of its labels."""
    if separator is None:
        codes = np.unique(labels, return_inverse=True)[1]
        return lambda row: np.asarray(codes == codes[row])
    from scipy.sparse import csr_array

    words = [{word.strip() for word in str(label).split(separator)} - {""} for label in labels]
    number = {word: column for column, word in enumerate(sorted(set().union(*words)))}
    rows = np.repeat(np.arange(len(words)), [len(of) for of in words])
    columns = [number[word] for of in words for word in of]
    members = csr_array((np.ones(len(rows), np.float32), (rows, columns)), (len(words), max(len(number), 1)))
    return lambda row: np.asarray(members @ members[[row]].toarray().ravel() > 0)


def _has_partner(
    labels: NDArray[Any], columns: Sequence[NDArray[np.intp]], separator: str | None = None
) -> NDArray[np.bool_]:
    """Find the rows (n,) with another one that is alike and differs from them in every column."""
    alike, result = _alike(labels, separator), np.zeros(len(labels), bool)
    groups = np.unique(labels) if separator is None else np.arange(len(labels))
    for group in groups:
        rows = np.flatnonzero(labels == group if separator is None else alike(group))
        for row in rows if separator is None else [group]:
            result[row] = np.logical_and.reduce([column[rows] != column[row] for column in columns]).any()
    return result


def mean_average_precision(
    features: NDArray[Any], labels: NDArray[Any], groups: NDArray[Any] | None = None
) -> dict[str, float]:
    """Compute the mean average precision of retrieving rows of the same label (Kalinin et al. 2025).

    Parameters
    ----------
    features, labels, groups
        See :func:`average_precisions`.

    Returns
    -------
    dict of str to float
        The mean of the average precision per label, from 0 to 1; NaN for a label that lies in one group only.

    Raises
    ------
    InputError
        As :func:`average_precisions`.
    """
    precisions, labels = average_precisions(features, labels, groups), np.asarray(labels)
    means = {}
    for name in np.unique(labels):
        known = precisions[(labels == name) & np.isfinite(precisions)]
        means[str(name)] = float(known.mean()) if len(known) else float("nan")
    return means


def average_precisions(
    features: NDArray[Any],
    labels: NDArray[Any],
    groups: NDArray[Any] | None = None,
    separator: str | None = None,
) -> NDArray[np.float64]:
    """Compute the average precision of each row, of retrieving the other rows of its label.

    The rows of other groups are ranked by cosine. Rows at equal distances are averaged over their orders (McSherry and
    Najork 2008), so that ties are worth as much as chance. Rows without direction take no part.

    Parameters
    ----------
    features : array (n, p)
    labels : array (n,)
    groups : array (n,), optional
        Rows that share a group are not compared.
    separator : str, optional
        Separates several labels of a row, such as ``|``: rows that share one are to be found.

    Returns
    -------
    array (n,)
        From 0 to 1; NaN for a row without direction, or without another row of its label to find.

    Raises
    ------
    InputError
        If features are missing (NaN) or a label has a single row.
    """
    features, labels = _check_table(features, labels, members=2 if separator is None else 1)
    rows = np.flatnonzero(has_direction(features))
    alike = _alike(labels[rows], separator)
    result = np.full(len(labels), np.nan)
    distances = Distances(features[rows], [column[rows] for column in _group_codes(groups, len(labels))])
    for block, values in distances.blocks():
        for row, row_distances in zip(block, values, strict=True):
            compared = np.flatnonzero(np.isfinite(row_distances))
            relevant = alike(row)[compared]
            if relevant.any():
                result[rows[row]] = average_precision(row_distances[compared], relevant, distances.tolerance)
    return result


def average_precision(distances: NDArray[Any], relevant: NDArray[np.bool_], tolerance: float = 0.0) -> float:
    """Compute the average precision of a ranking, averaged over the orders of items at equal distances.

    Parameters
    ----------
    distances : array (n,)
    relevant : array (n,), bool
        At least one is True.
    tolerance : float
        Distances that differ by no more are equal.

    Returns
    -------
    float
        From 0 to 1.

    Examples
    --------
    >>> average_precision(np.array([1.0, 2.0, 3.0]), np.array([False, True, False]))
    0.5
    >>> average_precision(np.array([1.0, 1.0]), np.array([False, True]))
    0.75
    """
    ranked, hit = np.sort(distances), np.sort(distances[relevant])
    starts = np.flatnonzero(np.diff(ranked, prepend=-np.inf) > tolerance)  # of runs of equal distances
    run = np.searchsorted(starts, np.searchsorted(ranked, hit), side="right") - 1
    runs, hits = np.unique(run, return_counts=True)
    start, sizes = starts[runs], np.diff(starts, append=len(ranked))[runs]
    before = np.cumsum(hits) - hits
    item = np.repeat(np.arange(len(runs)), sizes)
    position = np.arange(len(item)) - (np.cumsum(sizes) - sizes)[item]
    others = ((hits - 1) / np.maximum(sizes - 1, 1))[item]
    precision = (before[item] + 1 + position * others) / (start[item] + position + 1)
    return float(((hits / sizes)[item] * precision).sum() / hits.sum())


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
            f"{len(bad)} of {counted(len(features), 'rows hold', 'row holds')} NaN or infinite features (rows "
            f"{listing(bad)}): drop these rows"
        )
    names, counts = np.unique(labels, return_counts=True)
    if (counts < members).any():
        raise InputError(
            f"labels with fewer than {counted(members, 'rows')}: {listing(names[counts < members])}; drop or merge "
            "these labels"
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
                f"`groups` have shape {column.shape}, but there are {counted(count, 'rows')}: one group per row is "
                "needed"
            )
    return [np.unique(column, return_inverse=True)[1] for column in columns]
