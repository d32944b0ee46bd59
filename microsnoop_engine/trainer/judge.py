"""Judge a network while it is trained: neighbors and a linear probe of labeled cells, by :mod:`..evaluation`."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ..errors import InputError, counted
from ..evaluation.metrics import cross_validated_predict, knn_predict
from ..evaluation.scores import score_predictions
from ..storage.atomic import atomic_path
from .batches import normalize
from .trainer import SCORES, Trainer
from .whitening import crops_like_cells, fit_whitening

FILE = "judge.csv"
COLUMNS = ("step", "crops", "set", *SCORES)
GROUPS = ("groups", "batch", "plate", "well", "field")
"""Names of the arrays whose values tell which cells belong together; the first one of a file parts the folds."""
CELLS = 400
"""Cells of a set that are judged, drawn at random once."""
SMALLEST_LABEL = 20
"""A label with fewer cells is left out; a draw keeps as many of each."""
NEIGHBORS, FOLDS = 11, 5
BATCH = 256


@dataclass(frozen=True)
class LabeledCells:
    """A set of labeled cells.

    Attributes
    ----------
    name : str
    images : array (n, c, h, w)
    labels : array (n,)
    groups : tuple of array (n,)
        Cells that share a value in any of them are never compared.
    """

    name: str
    images: NDArray[Any]
    labels: NDArray[Any]
    groups: tuple[NDArray[Any], ...] = ()


def read_cells(folder: Path, count: int = CELLS) -> tuple[list[LabeledCells], list[str]]:
    """Read the sets of labeled cells in a folder, and draw some cells of each label.

    Parameters
    ----------
    folder : Path
        Each ``.npz`` file holds the arrays ``images`` (n, c, h, w) and ``labels`` (n,), and may hold ``groups``,
        ``batch``, ``plate``, ``well`` or ``field`` (n,).
    count : int
        About how many cells of a set are drawn.

    Returns
    -------
    sets : list of LabeledCells
        In the order of their files' names.
    notes : list of str
        Files that are left out, because they have fewer than two labels with 20 cells or more.

    Raises
    ------
    InputError
        If there is no such file, one is damaged, or all are left out.
    """
    files = sorted(Path(folder).glob("*.npz"))
    if not files:
        raise InputError(
            f"`judge`: there is no .npz file in '{folder}'; each must hold labeled cells, the arrays images and labels"
        )
    sets, notes = [], []
    for path in files:
        cells = _read(path, count)
        if len(np.unique(cells.labels)) > 1:
            sets.append(cells)
        else:
            notes.append(
                f"'{path.name}' takes no part in judging: fewer than two labels have {SMALLEST_LABEL} cells or more"
            )
    if not sets:
        raise InputError("`judge`: " + "; ".join(notes))
    return sets, notes


def _read(path: Path, count: int) -> LabeledCells:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in ("images", "labels", *GROUPS) if name in file.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"`judge`: '{path}' cannot be read: {error}") from None
    if missing := [name for name in ("images", "labels") if name not in arrays]:
        raise InputError(f"`judge`: '{path}' lacks the array {' and '.join(missing)}")
    images, labels = arrays["images"], arrays["labels"]
    if images.ndim != 4 or images.dtype.kind not in "uif":
        raise InputError(
            f"`judge`: '{path}': images have shape {images.shape} and type {images.dtype}: they must be numbers "
            "(cells, channels, height, width)"
        )
    for name, array in arrays.items():
        if name != "images" and array.shape != images.shape[:1]:
            raise InputError(
                f"`judge`: '{path}': {name} have shape {array.shape}: one is needed for each of "
                f"{counted(len(images), 'cells')}"
            )
    rows = _draw(labels, count)
    groups = [arrays[name][rows] for name in GROUPS if name in arrays]
    if not np.isfinite(images[rows]).all():
        raise InputError(f"`judge`: '{path}' has NaN or infinite pixels")
    return LabeledCells(path.stem, images[rows], labels[rows], tuple(g for g in groups if len(np.unique(g)) > 1))


def _draw(labels: NDArray[Any], count: int) -> NDArray[np.intp]:
    """Draw the rows of about ``count`` cells: each label's share, but no fewer than ``SMALLEST_LABEL`` of a label."""
    random, drawn = np.random.default_rng(0), [np.empty(0, np.intp)]
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        if len(members) >= SMALLEST_LABEL:
            size = max(SMALLEST_LABEL, round(len(members) * count / len(labels)))
            drawn.append(random.choice(members, min(size, len(members)), replace=False))
    return np.sort(np.concatenate(drawn))


def score(features: NDArray[Any], cells: LabeledCells) -> dict[str, float]:
    """Score features by the balanced accuracy of neighbors (cosine) and of a linear probe.

    Parameters
    ----------
    features : array (n, p)
    cells : LabeledCells

    Returns
    -------
    dict of str to float
        The ``SCORES``, from 0 to 1.

    Raises
    ------
    InputError
        If the set has too few cells or groups.
    """
    labels, first = cells.labels, cells.groups[0] if cells.groups else None
    folds = FOLDS if first is None else min(FOLDS, len(np.unique(first)))
    try:
        predictions = (
            knn_predict(features, labels, list(cells.groups) or None, NEIGHBORS),
            cross_validated_predict(features, labels, first, "linear", folds),
        )
    except InputError as error:
        raise InputError(f"`judge`: '{cells.name}': {error}") from None
    values = [score_predictions(labels, p, resamples=1)["balanced_accuracy"].value for p in predictions]
    return dict(zip(SCORES, values, strict=True))


class Judge:
    """Judge a run's network on labeled cells, and keep the scores in the run's ``judge.csv``.

    Each cell is resized to the size that the finished network sees, as a box that fills the frame. Embeddings are
    whitened as the finished ones will be, on crops of the training images.

    Parameters
    ----------
    cells : sequence of LabeledCells
    folder : Path
        Folder of the run.
    step : int
        Steps that the run has done; later scores of a killed run are dropped.
    """

    def __init__(self, cells: Sequence[LabeledCells], folder: Path, step: int) -> None:
        self._cells, self._path = cells, folder / FILE
        self._rows = [row for row in read_scores(folder) if row["step"] <= step]

    @property
    def last(self) -> int:
        """Number of steps after which the run was last judged; -1: never."""
        return max((row["step"] for row in self._rows), default=-1)

    def __call__(self, trainer: Trainer) -> dict[str, float]:
        """Judge the network as it is now.

        Returns
        -------
        dict of str to float
            Mean of each score over the sets, from 0 to 1.
        """
        config = trainer.config
        whitening = None
        if config.whitening:
            crops = crops_like_cells(trainer.batches, config.whitening, config.sees)
            whitening = fit_whitening(np.concatenate([_embed(trainer, part) for part in crops]))
        found: list[dict[str, Any]] = []
        for cells in self._cells:
            features = _features(trainer, cells.images, whitening)
            found.append(
                {"step": trainer.step, "crops": trainer.step * config.batch, "set": cells.name} | score(features, cells)
            )
        self._rows += found
        with atomic_path(self._path) as temporary, temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(self._rows)
        return {name: float(np.mean([row[name] for row in found])) for name in SCORES}


def read_scores(folder: Path) -> list[dict[str, Any]]:
    """Read the scores of a run, in their order; none if it was not judged.

    Parameters
    ----------
    folder : Path
        Folder of the run.

    Returns
    -------
    list of dict
        By the names ``step``, ``crops``, ``set`` and ``SCORES``.
    """
    if not (folder / FILE).exists():
        return []
    with (folder / FILE).open(newline="") as file:
        return [
            {"step": int(row["step"]), "crops": int(row["crops"]), "set": row["set"]}
            | {name: float(row[name]) for name in SCORES}
            for row in csv.DictReader(file)
        ]


def mean_scores(rows: Sequence[dict[str, Any]]) -> list[dict[str, float]]:
    """Compute the mean scores over the sets after each number of crops.

    Parameters
    ----------
    rows : sequence of dict
        As :func:`read_scores` returns them.

    Returns
    -------
    list of dict of str to float
        ``crops`` and ``SCORES``.
    """
    counts = sorted({row["crops"] for row in rows})
    return [
        {"crops": n} | {name: float(np.mean([row[name] for row in rows if row["crops"] == n])) for name in SCORES}
        for n in counts
    ]


def _features(
    trainer: Trainer, images: NDArray[Any], whitening: tuple[NDArray[np.float32], NDArray[np.float32]] | None
) -> NDArray[np.float32]:
    """Compute the features (n, c * d) of cells (n, c, h, w), their channels side by side."""
    planes = images.reshape(-1, 1, *images.shape[2:])
    size, parts = trainer.config.sees.size, []
    for start in range(0, len(planes), BATCH):
        crops = torch.from_numpy(planes[start : start + BATCH].astype(np.float32)).to(trainer.device)
        resized = F.interpolate(normalize(crops), size=(size, size), mode="bilinear", antialias=True)
        parts.append(_embed(trainer, resized))
    embeddings = np.concatenate(parts)
    if whitening is not None:
        weight, bias = whitening
        embeddings = embeddings @ weight + bias
        embeddings /= np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-12)
    return embeddings.reshape(len(images), -1)


def _embed(trainer: Trainer, crops: Tensor) -> NDArray[np.float32]:
    embeddings: NDArray[np.float32] = trainer.embed(crops).cpu().numpy()
    return embeddings
