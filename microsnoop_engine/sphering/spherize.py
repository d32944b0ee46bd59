"""Batch correction by sphering: features in which the negative controls vary equally in every direction.

Fitted on controls, the transform shrinks the directions in which untreated wells differ among themselves (plates,
positions, staining) and leaves those in which treatments stand out (Xun et al. 2023, Methods; Ando et al. 2017).
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from ..errors import InputError
from ..storage.atomic import write_atomic

METHODS = ("zca-cor", "zca", "pca-cor", "pca")
RULES = ("knee", "ledoit-wolf")
SMALLEST_VARIANCE = 1e-3
"""Of a column, with the paper's rule."""
BLOCK = 4096
"""Rows that are worked on at once."""


class SpheringWarning(UserWarning):
    """The controls are too few for what is asked of them."""


@dataclass(frozen=True)
class Diagnostics:
    """What a sphering was fitted on.

    Attributes
    ----------
    n, p : int
        Rows (controls) and columns.
    rank : int
        Directions in which the controls vary at all, at most n - 1.
    condition : float
        Largest eigenvalue over the smallest, after regularization: the square of how much more the weakest direction is
        amplified than the strongest.
    regularization : str
        The rule.
    epsilon : float
        What it came to: the floor of the eigenvalues (knee), their addend as a share of their mean (a number), or the
        shrinkage (ledoit-wolf).
    variance_kept : float
        Share of the controls' variance in directions that are whitened fully, to at least 90 %.
    """

    n: int
    p: int
    rank: int
    condition: float
    regularization: str
    epsilon: float
    variance_kept: float

    @property
    def warning(self) -> str:
        """What to know of a fit on no more rows than columns; '' if there are more."""
        if self.n > self.p:
            return ""
        return (
            f"only {self.n} controls for {self.p} features (rank {self.rank}): {self.p - self.rank} directions are "
            "unknown and rest on the regularization alone. Use more controls (of all plates; images instead of wells), "
            "or fewer features"
        )

    def __str__(self) -> str:
        return (
            f"{self.n} controls, {self.p} features, rank {self.rank}, condition {self.condition:.3g}, "
            f"{self.regularization}: epsilon {self.epsilon:.3g}, {100 * self.variance_kept:.1f} % of the controls' "
            "variance whitened"
        )


class Spherize(TransformerMixin, BaseEstimator):
    """Whitening fitted on controls.

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

    Attributes
    ----------
    mean_ : array (p,), float64
    matrix_ : array (p, p), float64
        ``(X - mean_) @ matrix_`` is the result.
    inverse_ : array (p, p), float64
    diagnostics_ : Diagnostics

    Examples
    --------
    >>> controls = np.random.default_rng(0).normal(size=(100, 3)) * [1, 10, 100]
    >>> np.cov(Spherize(regularization=0.0).fit_transform(controls).T).round(6)
    array([[ 1.,  0.,  0.],
           [ 0.,  1., -0.],
           [ 0., -0.,  1.]])
    """

    def __init__(self, method: str = "zca-cor", regularization: str | float = "knee"):
        self.method = method
        self.regularization = regularization

    def fit(self, X: np.ndarray, y: None = None) -> Spherize:
        """Fit on the rows of controls (n, p).

        Raises
        ------
        InputError
            If there are fewer than two rows, columns are missing (NaN) or constant, or a setting is unknown.
        """
        X = _checked(X, at_least=2)
        if self.method not in METHODS:
            raise InputError(f"method is '{self.method}': give one of {', '.join(METHODS)}")
        n, p = X.shape
        self.mean_ = X.mean(0, dtype=np.float64)
        covariance = _scatter(X, self.mean_) / (n - 1)
        variance = covariance.diagonal().copy()
        constant = np.flatnonzero(variance <= 1e-12 * np.maximum(self.mean_**2, variance.max()))
        if len(constant):
            raise InputError(f"columns {_some(constant)} are constant over the controls: drop them")
        scale = np.ones(p)
        if self.method.endswith("-cor"):
            scale = np.sqrt(variance.clip(min=SMALLEST_VARIANCE if self.regularization == "knee" else 0))
            covariance /= scale * scale[:, None]
        values, vectors = np.linalg.eigh(covariance)
        values, vectors = values[::-1].clip(min=0), vectors[:, ::-1]
        rank = int((values > values[0] * max(n, p) * np.finfo(X.dtype).eps).sum())
        rank = min(rank, n - 1)
        regular, epsilon = self._regularize(values, rank, X, scale)
        gain = 1 / np.sqrt(regular)
        back = vectors.T if self.method.startswith("zca") else np.eye(p)
        self.matrix_ = (vectors * gain @ back) / scale[:, None]
        self.inverse_ = (back.T / gain @ vectors.T) * scale
        self.n_features_in_ = p
        whitened = values / regular >= 0.9
        self.diagnostics_ = Diagnostics(
            n=n,
            p=p,
            rank=rank,
            condition=float(regular.max() / regular.min()),
            regularization=str(self.regularization),
            epsilon=float(epsilon),
            variance_kept=float(values[whitened].sum() / values.sum()),
        )
        if self.diagnostics_.warning:
            warnings.warn(self.diagnostics_.warning, SpheringWarning, stacklevel=2)
        return self

    def _regularize(self, values: np.ndarray, rank: int, X: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, float]:
        """Eigenvalues (p,) that can be divided by, and the strength that led to them."""
        rule = self.regularization
        if rule == "knee":
            floor = values[knee(values[:rank])] / 10
            return values.clip(min=floor), floor
        if rule == "ledoit-wolf":
            from sklearn.covariance import ledoit_wolf_shrinkage

            shrinkage = ledoit_wolf_shrinkage((X - self.mean_) / scale, assume_centered=True)
            return (1 - shrinkage) * values + shrinkage * values.mean(), shrinkage
        if isinstance(rule, bool) or not isinstance(rule, int | float) or not 0 <= rule < np.inf:
            raise InputError(f"regularization is {rule!r}: give {', '.join(RULES)}, or a number from 0")
        if rule == 0:
            return np.where(np.arange(len(values)) < rank, values, values[rank - 1]), 0.0
        return values + rule * values.mean(), rule

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Sphered rows (n, p), float32 for float32."""
        return self._apply(X, self.matrix_, before=self.mean_, after=None)

    def inverse_transform(self, X: np.ndarray) -> np.ndarray:
        """Rows (n, p) as they were before :meth:`transform`."""
        return self._apply(X, self.inverse_, before=None, after=self.mean_)

    def _apply(
        self, X: np.ndarray, matrix: np.ndarray, before: np.ndarray | None, after: np.ndarray | None
    ) -> np.ndarray:
        X = _checked(X, at_least=0)
        if X.shape[1] != len(matrix):
            raise InputError(f"there are {X.shape[1]} columns, but the sphering was fitted on {len(matrix)}")
        matrix = matrix.astype(X.dtype)
        result = np.empty_like(X)
        for start in range(0, len(X), BLOCK):
            rows = slice(start, start + BLOCK)
            part = X[rows] if before is None else (X[rows] - before).astype(X.dtype)
            np.matmul(part, matrix, out=result[rows])
            if after is not None:
                result[rows] += after.astype(X.dtype)
        return result


def knee(values: np.ndarray) -> int:
    """Where a falling curve bends most: the point farthest below the line from its first to its last point."""
    if len(values) < 3 or values[0] == values[-1]:
        return len(values) - 1
    line = np.linspace(values[0], values[-1], len(values))
    return int((line - values).argmax())


def save_spherings(path: Path, spherings: dict[str, Spherize], columns: Sequence[str]) -> None:
    """Write fitted transforms by group as ``path`` (safetensors) with what they are beside it (.json)."""
    from safetensors.numpy import save

    arrays, words = {}, {"columns": list(columns), "groups": []}
    for number, (group, sphering) in enumerate(spherings.items()):
        for name in ("mean_", "matrix_", "inverse_"):
            arrays[f"{number}.{name}"] = np.ascontiguousarray(getattr(sphering, name))
        words["groups"].append({"group": group, **sphering.get_params(), "diagnostics": asdict(sphering.diagnostics_)})
    write_atomic(path, save(arrays))
    write_atomic(path.with_suffix(".json"), (json.dumps(words, indent=1) + "\n").encode())


def load_spherings(path: Path) -> tuple[dict[str, Spherize], list[str]]:
    """The transforms that :func:`save_spherings` wrote, by group, and the columns they are for.

    Raises
    ------
    InputError
        If files are missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(path.read_bytes())
        words = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        spherings = {}
        for number, entry in enumerate(words["groups"]):
            sphering = Spherize(entry["method"], entry["regularization"])
            for name in ("mean_", "matrix_", "inverse_"):
                setattr(sphering, name, arrays[f"{number}.{name}"])
            sphering.diagnostics_ = Diagnostics(**entry["diagnostics"])
            sphering.n_features_in_ = len(sphering.mean_)
            spherings[entry["group"]] = sphering
        return spherings, words["columns"]
    except FileNotFoundError as error:
        raise InputError(
            f"there is no sphering at '{error.filename}': fit one with 'microsnoop sphere --save'"
        ) from None
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"'{path}' or the .json beside it is damaged: {error}") from None


def _scatter(X: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Sum of the outer products of the rows' distances from the mean, (p, p) float64."""
    total = np.zeros((X.shape[1],) * 2)
    for start in range(0, len(X), BLOCK):
        centered = (X[start : start + BLOCK] - mean).astype(X.dtype)
        total += centered.T @ centered
    return total


def _checked(X: np.ndarray, at_least: int) -> np.ndarray:
    X = np.asarray(X)
    X = X if X.dtype == np.float32 else X.astype(np.float64, copy=False)
    if X.ndim != 2 or not X.shape[1]:
        raise InputError(f"features have shape {X.shape}: give (rows, columns)")
    if len(X) < at_least:
        raise InputError(f"there are {len(X)} control rows: sphering needs {at_least} or more, better many")
    missing = np.flatnonzero(~np.isfinite(X).all(0))
    if len(missing):
        raise InputError(f"columns {_some(missing)} hold NaN or infinite numbers: drop these columns, or the rows")
    return X


def _some(values: np.ndarray) -> str:
    return ", ".join(map(str, values[:5])) + (", .." if len(values) > 5 else "")
