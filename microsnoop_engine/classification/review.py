"""Choose the cells whose class is most doubtful, and write a page and a list to label them."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import ImageError, InputError, require_columns
from ..images.image_set_file import read_image_sets
from ..images.planes import read_channels
from ..reporting.thumbnails import SIDE, channel_colors, false_colors, fit_square, jpeg
from ..storage.atomic import write_atomic
from ..storage.paths import as_path, make_folder
from ..tables.columns import BOX_COLUMNS, IMAGE_NUMBER, OBJECT_NUMBER, PLATE, TABLE_NUMBER, WELL
from ..tables.formats import write_table
from ..tables.outputs import check_output
from .application import PROBABILITY, apply_to_table
from .labels import read_labels
from .model_file import TableClassifier, load_classifier

log = logging.getLogger(__name__)

LABEL, PREDICTION = "Label", "Prediction"
_PERCENTILES = (1.0, 99.7)
_PER_IMAGE = 5
"""Largest number of cells of one image on a page, as far as there are others."""


@dataclass(frozen=True)
class Review:
    """Cells to label.

    Attributes
    ----------
    cells : DataFrame
        Their keys, an empty ``Label``, the ``Prediction`` and its ``Probability``; the most doubtful first.
    shown : int
        Number of them with a picture.
    """

    cells: pd.DataFrame
    shown: int


def doubtful(
    probabilities: NDArray[np.float64], count: int, images: NDArray[Any] | None = None, most_per_image: int = _PER_IMAGE
) -> NDArray[np.intp]:
    """Choose the rows whose two most probable classes are closest to each other (margin sampling).

    Parameters
    ----------
    probabilities : array (n, k)
        Rows with NaN are never chosen.
    count : int
    images : array (n,), optional
        The image of each row: similar cells lie in one image.
    most_per_image : int
        Rows of one image, before others of it fill up the count.

    Returns
    -------
    array (m,), int
        Rows, the most doubtful first.

    Examples
    --------
    >>> doubtful(np.array([[0.9, 0.1], [0.5, 0.5], [np.nan, np.nan], [0.3, 0.7]]), 2)
    array([1, 3])
    """
    known = np.flatnonzero(np.isfinite(probabilities).all(1))
    top = np.sort(probabilities[known], axis=1)[:, -2:]
    order = known[np.argsort(top[:, 1] - top[:, 0], kind="stable")]
    if images is None:
        return order[:count]
    rank = pd.Series(order).groupby(np.asarray(images)[order], sort=False).cumcount().to_numpy()
    first = order[np.argsort(rank >= most_per_image, kind="stable")][:count]
    return order[np.isin(order, first)]


def review(
    table: str | Path,
    model: str | Path | TableClassifier,
    out: str | Path = "review.html",
    csv: str | Path = "review.csv",
    *,
    profiles: str | Path | None = None,
    labeled: Sequence[str | Path] = (),
    count: int = 60,
    where: str | None = None,
) -> Review:
    """Write a page of the most doubtful cells, and a list of them to fill in.

    Parameters
    ----------
    table : str or Path
        Table of cells, with ImageNumber and ObjectNumber.
    model : str, Path or TableClassifier
    out, csv : str or Path
        The page, and the list: :func:`.read_labels` takes it once its column ``Label`` is filled in.
    profiles : str or Path, optional
        Results folder of the profile run, for the pictures. Default: the table.
    labeled : sequence of str or Path
        Files of labels; their cells are left out.
    count : int
        Number of cells.
    where : str, optional
        Query of the rows, by default all (see :func:`.select`).

    Returns
    -------
    Review

    Raises
    ------
    InputError
        If the table cannot be classified, its rows are no objects, or no image can be read.
    """
    out, csv = as_path(out), as_path(csv)
    check_output(out, (".html", ".htm"), (table, *labeled))
    check_output(csv, (".csv",), (table, *labeled))
    loaded = model if isinstance(model, TableClassifier) else load_classifier(as_path(model))
    frame = apply_to_table(table, loaded, where=where).frame
    require_columns(frame, [IMAGE_NUMBER, OBJECT_NUMBER], f"'{table}'")
    classes = loaded.classifier.classes
    probabilities = frame[[f"{PROBABILITY}{name}" for name in classes]].to_numpy(np.float64)
    if labeled:
        known = pd.notna(read_labels(frame, labeled).values)
        probabilities = np.where(known[:, None], np.nan, probabilities)
    keys = [name for name in (TABLE_NUMBER, IMAGE_NUMBER, OBJECT_NUMBER) if name in frame]
    images = frame.groupby(keys[:-1], dropna=False).ngroup().to_numpy()
    rows = doubtful(probabilities, count, images)
    if not len(rows):
        raise InputError(f"'{table}': every cell that has all features is labeled already")
    described = [name for name in (PLATE, WELL, "Metadata_Site", *keys) if name in frame]
    cells = frame.iloc[rows][described].reset_index(drop=True)
    chosen = probabilities[rows]
    cells[LABEL] = ""
    cells[PREDICTION] = np.array(classes, object)[chosen.argmax(1)]
    cells["Probability"] = chosen.max(1).round(4)
    pictures = draw_cells(frame.iloc[rows], as_path(table if profiles is None else profiles))
    write_table(cells, csv, [])
    make_folder(out.parent)
    write_atomic(out, _page(cells, described, chosen, classes, pictures, csv.name).encode())
    return Review(cells, sum(picture is not None for picture in pictures))


def draw_cells(frame: pd.DataFrame, profiles: Path) -> list[bytes | None]:
    """Draw each cell in false colors, with the same gray levels in all pictures.

    Parameters
    ----------
    frame : DataFrame
        Cells with ``ImageNumber`` and their crops.
    profiles : Path
        Results folder of the profile run, whose images have not moved.

    Returns
    -------
    list of bytes or None
        A JPEG per cell; None where its image cannot be read, which is logged as a warning.

    Raises
    ------
    InputError
        If no image can be read, or the table has no crops.
    """
    require_columns(frame, BOX_COLUMNS, "the table of cells")
    image_sets, channels = read_image_sets(profiles)
    crops: list[NDArray[Any] | None] = [None] * len(frame)
    reason = "the table has other images"
    numbers = frame[IMAGE_NUMBER].to_numpy(np.int64)
    for number in np.unique(numbers).tolist():
        if number not in image_sets:
            continue
        try:
            image = read_channels(image_sets[number], channels)
        except ImageError as error:
            reason = f"'{error.path}': {error}"
            continue
        for row in np.flatnonzero(numbers == number):
            x0, y0, x1, y1 = (int(value) for value in frame[BOX_COLUMNS].iloc[row])
            crops[row] = fit_square(image[:, max(y0, 0) : y1, max(x0, 0) : x1])
    drawn = [crop for crop in crops if crop is not None]
    if not drawn:
        raise InputError(f"`profiles`: no image of '{profiles}' can be shown: {reason}")
    if len(drawn) < len(crops):
        log.warning("%d of %d cells have no picture: %s", len(crops) - len(drawn), len(crops), reason)
    low, high = np.percentile(np.stack(drawn), _PERCENTILES, axis=(0, 2, 3))
    colors = channel_colors(channels)
    return [None if crop is None else jpeg(false_colors(crop[None], low, high, colors)[:, :SIDE]) for crop in crops]


def _page(
    cells: pd.DataFrame,
    keys: Sequence[str],
    probabilities: NDArray[np.float64],
    classes: Sequence[str],
    pictures: Sequence[bytes | None],
    name: str,
) -> str:
    """Fill in the page: a picture, the probabilities and a menu of classes for each cell."""
    options = "".join(f"<option>{escape(each)}</option>" for each in classes)
    figures = []
    for number, (picture, chances) in enumerate(zip(pictures, probabilities, strict=True)):
        source = "" if picture is None else f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}"
        image = (
            f'<img src="{source}" alt="" width="128" height="128">' if source else '<div class="none">no image</div>'
        )
        where = " · ".join(
            f"{escape(key.removeprefix('Metadata_'))} {escape(str(cells[key].iloc[number]))}" for key in keys
        )
        order = np.argsort(-chances, kind="stable")[:2]
        likely = ", ".join(f"{escape(classes[code])} {100 * chances[code]:.0f} %" for code in order)
        figures.append(
            f"<figure>{image}<figcaption><b>{likely}</b><br><small>{where}</small></figcaption>"
            f'<select data-cell="{number}" aria-label="class of cell {number + 1}"><option value="">skip</option>'
            f"{options}</select></figure>"
        )
    rows = [[str(value) for value in row] for row in cells[[*keys, PREDICTION]].to_numpy().tolist()]
    data = json.dumps({"keys": [*keys, PREDICTION], "rows": rows, "label": LABEL, "name": name}).replace("<", "\\u003c")
    template = Template((files(__package__) / "assets" / "review.html").read_text(encoding="utf-8"))
    return template.substitute(count=len(cells), cells="\n".join(figures), data=data, name=escape(name))
