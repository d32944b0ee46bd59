"""Correct batch effects by sphering: transform features so that controls vary equally in every direction.

Fitted on controls, the transform shrinks the directions in which untreated wells differ among themselves (plates,
positions, staining) and keeps those in which treatments differ from them (Xun et al. 2023, Methods; Ando et al. 2017).
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ..errors import InputError, counted, listing
from ..storage.atomic import write_atomic

try:
    from sklearn.utils.validation import validate_data
except ImportError:  # scikit-learn before 1.6
    validate_data = BaseEstimator._validate_data

METHODS = ("zca-cor", "zca", "pca-cor", "pca")
RULES = ("knee", "ledoit-wolf")
SMALLEST_VARIANCE = 1e-3
"""Smallest variance of a column that is divided by, with the paper's rule."""
BLOCK = 4096
"""Number of rows that are multiplied together."""
ROWS_PER_COMPONENT = 5
"""Number of rows per component from which the last components are trusted."""
_ARRAYS = ("mean_", "matrix_", "inverse_")


class SpheringWarning(UserWarning):
    """Too few controls for the number of features."""


@dataclass(frozen=True)
class Diagnostics:
    """Facts about the fit of a sphering.

    Attributes
    ----------
    n, p : int
        Numbers of rows (controls) and columns.
    rank : int
        Number of directions in which the controls vary, at most n - 1.
    condition : float
        Ratio of the largest to the smallest eigenvalue after regularization, from 1; its square root is the ratio of
        the strongest to the weakest amplification.
    regularization : str
        The rule.
    epsilon : float
        Its strength: the floor of the eigenvalues (knee), their addend as a share of their mean (a number), or the
        shrinkage (ledoit-wolf).
    variance_kept : float
        Share of the controls' variance in directions that are whitened to at least 90 %, from 0 to 1.
    components : int, optional
        Number of directions that are kept; None for all.
    """

    n: int
    p: int
    rank: int
    condition: float
    regularization: str
    epsilon: float
    variance_kept: float
    components: int | None = None

    @property
    def warning(self) -> str:
        """A warning if there are no more rows than columns, or few for the components, else ''."""
        if self.n > self.p:
            return ""
        if self.components is not None:
            few = self.n < ROWS_PER_COMPONENT * self.components
            return (
                f"{counted(self.components, 'components')} of {counted(self.n, 'controls')}: the last ones are mostly "
                f"chance. Keep at most {max(self.n // ROWS_PER_COMPONENT, 1)}, or fit on more rows"
                if few
                else ""
            )
        return (
            f"only {counted(self.n, 'controls')} for {counted(self.p, 'features')} (rank {self.rank}): "
            f"{counted(self.p - self.rank, 'directions are', 'direction is')} unknown and depend on the regularization "
            "alone. Use more controls (of all plates; images instead of wells), or fewer features"
        )

    def __str__(self) -> str:
        kept = "" if self.components is None else f"{counted(self.components, 'components')}, "
        return (
            f"{counted(self.n, 'controls')}, {counted(self.p, 'features')}, rank {self.rank}, {kept}condition "
            f"{self.condition:.3g}, {self.regularization}: epsilon {self.epsilon:.3g}, {100 * self.variance_kept:.1f} "
            "% of the controls' variance whitened"
        )


class _Parts(NamedTuple):
    """What the matrices are made of: vectors (p, m), gains (p,) along them, and scales (p,) of the columns."""

    vectors: NDArray[np.float64]
    gain: NDArray[np.float64]
    scale: NDArray[np.float64]


class Spherize(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is untyped
    """Whitening fitted on controls (Xun et al. 2023, Methods), a transformer of scikit-learn.

    Parameters
    ----------
    method : {'zca-cor', 'zca', 'pca-cor', 'pca'}
        Rotate back to the original columns (zca) or not (pca); from the correlations (-cor) or the covariances.
        ``zca-cor`` is the paper's: z = (x - mean) V^-1/2 G T^-1/2 G^T, V the variances, G and T eigenvectors and
        eigenvalues of the correlation matrix.
    regularization : {'knee', 'ledoit-wolf'} or float
        ``knee`` (the paper's): eigenvalues are at least a tenth of the one at the knee of their curve, variances at
        least 0.001. ``ledoit-wolf``: the correlations (covariances) are shrunk by that formula. A number from 0: it is
        added to the eigenvalues, as a share of their mean; with 0, directions without variance are treated as the one
        with the smallest.
    components : int, optional
        Number of directions to keep, those in which the controls vary most, with ``pca`` and ``pca-cor``; default: all.

    Attributes
    ----------
    mean_ : array (p,), float64
    matrix_ : array (p, q), float64
        ``(X - mean_) @ matrix_`` is the result; q is p, or ``components``. With no more rows than columns, it is made
        when it is asked for.
    inverse_ : array (q, p), float64
        ``Z @ inverse_ + mean_`` undoes it; with ``components``, up to what the other directions held.
    n_features_in_ : int
        p.
    diagnostics_ : Diagnostics

    Examples
    --------
    >>> controls = np.random.default_rng(0).normal(size=(100, 3)) * [1, 10, 100]
    >>> sphered = Spherize(regularization=0.0).fit_transform(controls)
    >>> bool(np.allclose(np.cov(sphered.T), np.eye(3)))
    True
    """

    def __init__(
        self, method: str = "zca-cor", regularization: str | float = "knee", components: int | None = None
    ) -> None:
        self.method = method
        self.regularization = regularization
        self.components = components

    def fit(self, X: ArrayLike, y: object = None) -> Spherize:
        """Fit on the rows of controls.

        Parameters
        ----------
        X : array (n, p)
            Better more rows than columns.
        y : None
            Ignored.

        Returns
        -------
        Spherize
            Itself.

        Raises
        ------
        InputError
            If there are fewer than two rows, columns have missing values or are constant, a setting is unknown, or
            the rows do not vary in as many directions as ``components``.

        Warns
        -----
        SpheringWarning
            If there are no more rows than columns.
        """
        X = self._validated(X, reset=True, ensure_min_samples=2)
        if self.method not in METHODS:
            raise InputError(f"`method` is '{self.method}': choose one of {', '.join(METHODS)}")
        if self.components is not None and not self.method.startswith("pca"):
            raise InputError(f"`components` need `method` pca or pca-cor, not {self.method}")
        n, p = X.shape
        self.mean_ = X.mean(0, dtype=np.float64)
        covariance = None if n <= p else _scatter(X, self.mean_) / (n - 1)
        variance = X.var(0, dtype=np.float64, ddof=1) if covariance is None else covariance.diagonal().copy()
        constant = np.flatnonzero(variance <= 1e-12 * np.maximum(self.mean_**2, variance.max()))
        if len(constant):
            raise InputError(f"columns {listing(constant)} are constant over the controls: drop them")
        scale = np.ones(p)
        if self.method.endswith("-cor"):
            scale = np.sqrt(variance.clip(min=SMALLEST_VARIANCE if self.regularization == "knee" else 0))
        if covariance is None:
            values, vectors = _decompose((X - self.mean_) / scale / np.sqrt(n - 1))
        else:
            values, vectors = np.linalg.eigh(covariance / (scale * scale[:, None]))
            values, vectors = values[::-1].clip(min=0), vectors[:, ::-1]
        rank = int((values > values[0] * max(n, p) * np.finfo(X.dtype).eps).sum())
        rank = min(rank, n - 1)
        if self.components is not None and not 1 <= self.components <= rank:
            raise InputError(
                f"`components` is {self.components}: {counted(n, 'rows')} of {counted(p, 'features')} vary in "
                f"{counted(rank, 'directions')}, keep 1 to {rank}"
            )
        regularized, epsilon = self._regularize(values, rank, X, scale)
        for name in ("matrix_", "inverse_"):  # of an earlier fit
            self.__dict__.pop(name, None)
        total, kept = values.sum(), slice(self.components)
        values, vectors, regularized = values[kept], vectors[:, kept], regularized[kept]
        self._parts: _Parts | None = _Parts(vectors, 1 / np.sqrt(regularized), scale)
        if n > p:
            self.matrix_, self.inverse_, self._parts = self.matrix_, self.inverse_, None
        whitened = values / regularized >= 0.9
        self.diagnostics_ = Diagnostics(
            n=n,
            p=p,
            rank=rank,
            condition=float(regularized.max() / regularized.min()),
            regularization=str(self.regularization),
            epsilon=float(epsilon),
            variance_kept=float(values[whitened].sum() / total),
            components=self.components,
        )
        if self.diagnostics_.warning:
            warnings.warn(self.diagnostics_.warning, SpheringWarning, stacklevel=2)
        return self

    @cached_property
    def matrix_(self) -> NDArray[np.float64]:
        vectors, gain, scale = self._of_fit()
        if self.method.startswith("zca"):
            return _rotated_back(gain, vectors) / scale[:, None]
        return self._directions(vectors) * gain / scale[:, None]

    @cached_property
    def inverse_(self) -> NDArray[np.float64]:
        vectors, gain, scale = self._of_fit()
        if self.method.startswith("zca"):
            return _rotated_back(1 / gain, vectors) * scale
        return (self._directions(vectors) / gain).T * scale

    def _directions(self, vectors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the vectors (p, q) of the columns of the result."""
        return _completed(vectors) if self.components is None else vectors

    def _of_fit(self) -> _Parts:
        check_is_fitted(self)
        assert self._parts is not None
        return self._parts

    def _regularize(
        self, values: NDArray[Any], rank: int, X: NDArray[Any], scale: NDArray[Any]
    ) -> tuple[NDArray[Any], float]:
        """Return eigenvalues (p,) above 0, and the strength of the regularization."""
        rule = self.regularization
        if rule == "knee":
            floor = float(values[knee(values[:rank])] / 10)
            return values.clip(min=floor), floor
        if rule == "ledoit-wolf":
            from sklearn.covariance import ledoit_wolf_shrinkage

            shrinkage = float(ledoit_wolf_shrinkage((X - self.mean_) / scale, assume_centered=True))
            shrunk = (1 - shrinkage) * values + shrinkage * values.mean()
            if shrunk.min() <= np.finfo(np.float64).eps * shrunk.max():
                raise InputError(
                    f"`regularization` ledoit-wolf does not shrink {counted(len(X), 'controls')}: choose a number, or "
                    "more controls"
                )
            return shrunk, shrinkage
        if isinstance(rule, bool) or not isinstance(rule, int | float) or not 0 <= rule < np.inf:
            raise InputError(f"`regularization` is {rule!r}: choose {', '.join(RULES)}, or a number from 0")
        if rule == 0:
            return np.where(np.arange(len(values)) < rank, values, values[rank - 1]), 0.0
        return values + rule * values.mean(), rule

    def transform(self, X: ArrayLike) -> NDArray[Any]:
        """Sphere rows.

        Parameters
        ----------
        X : array (n, p)

        Returns
        -------
        array (n, q)
            float32 for float32, else float64.

        Raises
        ------
        NotFittedError
            Before :meth:`fit`.
        InputError
            If there are missing values, or the number of columns differs.
        """
        check_is_fitted(self)
        X = self._validated(X, reset=False, ensure_min_samples=0)
        if self._parts is not None and self.method.startswith("zca"):
            return _along(X, self.mean_, *self._parts)
        return _multiply(X, self.matrix_, before=self.mean_)

    def inverse_transform(self, X: ArrayLike) -> NDArray[Any]:
        """Undo :meth:`transform`.

        Parameters
        ----------
        X : array (n, q)
            Sphered rows.

        Returns
        -------
        array (n, p)

        Raises
        ------
        NotFittedError
            Before :meth:`fit`.
        InputError
            If there are missing values, or the number of columns differs.
        """
        check_is_fitted(self)
        if self.components is None:
            X = self._validated(X, reset=False, ensure_min_samples=0)
        elif (X := np.asarray(X, np.float64)).shape[1:] != (self.components,) or not np.isfinite(X).all():
            raise InputError(
                f"`X` of shape {X.shape} must hold {counted(self.components, 'components')} per row, without gaps"
            )
        return _multiply(X, self.inverse_, after=self.mean_)

    def _validated(self, X: ArrayLike, reset: bool, ensure_min_samples: int) -> NDArray[Any]:
        """Return a finite array (n, p), float32 or float64, as scikit-learn validates it."""
        try:
            return np.asarray(
                validate_data(
                    self, X, reset=reset, dtype=[np.float64, np.float32], ensure_min_samples=ensure_min_samples
                )
            )
        except ValueError as error:
            if "NaN" in str(error) or "infinity" in str(error):
                missing = np.flatnonzero(~np.isfinite(np.asarray(X, dtype=np.float64)).all(0))
                error = InputError(
                    f"columns {listing(missing)} hold NaN or infinite numbers: drop these columns, or the rows"
                )
            raise InputError(str(error)) from None


def _multiply(
    X: NDArray[Any], matrix: NDArray[Any], before: NDArray[Any] | None = None, after: NDArray[Any] | None = None
) -> NDArray[Any]:
    """Multiply rows by a matrix, block by block; subtract a row ``before``, or add one ``after``."""
    matrix = matrix.astype(X.dtype)
    result = np.empty((len(X), matrix.shape[1]), X.dtype)
    for start in range(0, len(X), BLOCK):
        rows = slice(start, start + BLOCK)
        part = X[rows] if before is None else (X[rows] - before).astype(X.dtype)
        np.matmul(part, matrix, out=result[rows])
        if after is not None:
            result[rows] += after.astype(X.dtype)
    return result


def knee(values: NDArray[Any]) -> int:
    """Find where a falling curve bends most: the point farthest below the line from its first to its last point.

    Parameters
    ----------
    values : array (n,)
        Sorted from the largest to the smallest.

    Returns
    -------
    int
        Its index.

    Examples
    --------
    >>> knee(np.array([50.0, 20.0, 1.0, 0.9, 0.8]))
    2
    """
    if len(values) < 3 or values[0] == values[-1]:
        return len(values) - 1
    line = np.linspace(values[0], values[-1], len(values))
    return int((line - values).argmax())


def save_spherings(path: Path, spherings: Mapping[str, Spherize], columns: Sequence[str]) -> None:
    """Write fitted transforms: their arrays as safetensors, their settings and diagnostics as .json.

    Parameters
    ----------
    path : Path
        The .safetensors file; the .json file has the same name otherwise.
    spherings : mapping of str to Spherize
        By group.
    columns : sequence of str
        The columns that they were fitted on.
    """
    from safetensors.numpy import save

    arrays, groups = {}, []
    for number, (group, sphering) in enumerate(spherings.items()):
        for name in _ARRAYS:
            arrays[f"{number}.{name}"] = np.ascontiguousarray(getattr(sphering, name))
        groups.append({"group": group, **sphering.get_params(), "diagnostics": asdict(sphering.diagnostics_)})
    description = {"columns": list(columns), "groups": groups}
    write_atomic(path, save(arrays))
    write_atomic(path.with_suffix(".json"), (json.dumps(description, indent=1) + "\n").encode())


def load_spherings(path: Path) -> tuple[dict[str, Spherize], list[str]]:
    """Read the transforms that :func:`save_spherings` wrote.

    Parameters
    ----------
    path : Path
        The .safetensors file.

    Returns
    -------
    spherings : dict of str to Spherize
        By group.
    columns : list of str
        The columns that they were fitted on.

    Raises
    ------
    InputError
        If files are missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(path.read_bytes())
        description = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        spherings = {}
        for number, entry in enumerate(description["groups"]):
            sphering = Spherize(entry["method"], entry["regularization"], entry.get("components"))
            for name in _ARRAYS:
                setattr(sphering, name, arrays[f"{number}.{name}"])
            sphering.diagnostics_ = Diagnostics(**entry["diagnostics"])
            sphering._parts, sphering.n_features_in_ = None, len(sphering.mean_)
            spherings[entry["group"]] = sphering
        return spherings, description["columns"]
    except FileNotFoundError as error:
        raise InputError(
            f"there is no sphering at '{error.filename}': write one with `save` of 'microsnoop sphere'"
        ) from None
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"'{path}' or the .json beside it is damaged: {error}") from None


def _decompose(rows: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the eigenvalues (p,) of ``rows.T @ rows`` and the vectors (p, n) of the first n, for n rows up to p."""
    _, singular, vectors = np.linalg.svd(rows, full_matrices=False)
    values = np.zeros(rows.shape[1])
    values[: len(singular)] = singular**2
    return values, vectors.T


def _rotated_back(gain: NDArray[Any], vectors: NDArray[Any]) -> NDArray[np.float64]:
    """Scale along vectors (p, m) by gains (p,); directions beyond the m vectors share the last gain."""
    known, rest = gain[: vectors.shape[1]], gain[-1] if vectors.shape[1] < len(gain) else 0.0
    result = vectors * (known - rest) @ vectors.T
    result[np.diag_indices_from(result)] += rest
    return np.asarray(result)


def _along(
    X: NDArray[Any], mean: NDArray[Any], vectors: NDArray[Any], gain: NDArray[Any], scale: NDArray[Any]
) -> NDArray[Any]:
    """Multiply centered rows by the matrix of :func:`_rotated_back` and a scale, without making the matrix."""
    known, rest = gain[: vectors.shape[1]], gain[-1] if vectors.shape[1] < len(gain) else 0.0
    result = np.empty_like(X)
    for start in range(0, len(X), BLOCK):
        part = (X[start : start + BLOCK] - mean) / scale
        result[start : start + BLOCK] = (part @ vectors * (known - rest)) @ vectors.T + rest * part
    return result


def _completed(vectors: NDArray[Any]) -> NDArray[np.float64]:
    """Return orthonormal vectors (p, p), of which the first m are these (p, m)."""
    m = vectors.shape[1]
    if m == len(vectors):
        return vectors
    from scipy.linalg import qr

    return np.hstack([vectors, qr(vectors)[0][:, m:]])


def _scatter(X: NDArray[Any], mean: NDArray[Any]) -> NDArray[np.float64]:
    """Sum the outer products of the centered rows, (p, p)."""
    total = np.zeros((X.shape[1],) * 2)
    for start in range(0, len(X), BLOCK):
        centered = (X[start : start + BLOCK] - mean).astype(X.dtype)
        total += centered.T @ centered
    return total
