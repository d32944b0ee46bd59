"""Show features in ImageJ: as a results table, and as an overlay colored by a column."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from .imagej import ImageJError, check_image, headless, java_class
from .labels import Labels
from .objects import find_objects
from .outlines import DRAWN, Outlines

TABLE = "Microsnoop Results"
COLORS = ("1f77b4", "ff7f0e", "2ca02c", "d62728", "9467bd", "8c564b", "e377c2", "bcbd22", "17becf", "7f7f7f")
OTHER = 0xC0C0C0
"""The color of rows without a value."""

Colored = dict[int, tuple[Any, int]]
"""Value and color of each object."""


def show(
    ij: Any,
    frame: pd.DataFrame,
    table: str = TABLE,
    imp: Any = None,
    rois: Any = "auto",
    color: str | None = None,
) -> Any:
    """Show a table of :func:`measure` in ImageJ.

    Parameters
    ----------
    ij : object
        The gateway, or None: only objects of ImageJ2 need it.
    frame : pandas.DataFrame
        Numbers go into columns of numbers, ``Label`` into the row labels, other text into columns of text.
    table : str
        Title of the table; one with this title is replaced. ``Results`` is the table of ImageJ's own measurements.
    imp : ij.ImagePlus, optional
        With ``color``: where to draw an overlay.
    rois : str, labels or ROIs
        The objects that were measured, as in :func:`measure`.
    color : str, optional
        A column of ``frame`` with few values, such as clusters: outlines, or the areas of labels, get a color for each
        value. They replace those of an earlier call in the image's overlay; all else in it stays.

    Returns
    -------
    ij.measure.ResultsTable
        Without windows (headless), nothing is shown, and this is all of it.

    Raises
    ------
    ImageJError
        If the overlay lacks its image or column, or the objects are not those of the table.
    """
    if (imp is None) != (color is None):
        raise ImageJError("an overlay needs both the image (imp=) and the column that gives the colors (color=)")
    results = java_class("ij.measure.ResultsTable")()
    results.setNaNEmptyCells(True)
    if table == "Results":
        # the first places belong to Area, Mean, ...
        results.setDefaultHeadings()
    for _ in range(len(frame)):
        results.incrementCounter()
    for row, label in enumerate(frame.get("Label", [])):
        results.setLabel(str(label), row)
    columns = [name for name in frame.columns if name != "Label"]
    for name in columns:
        if pd.api.types.is_numeric_dtype(frame[name]):
            _set_numbers(results, name, frame[name].to_numpy(np.float64))
        else:
            for row, value in enumerate(frame[name]):
                results.setValue(name, row, "" if pd.isna(value) else str(value))
    if table == "Results":
        # before the decimal places, which it resets
        java_class("ij.plugin.filter.Analyzer").setResultsTable(results)
    for name in columns:
        index = int(results.getColumnIndex(name))
        # an empty table has no columns of text
        if index >= 0:
            results.setDecimalPlaces(index, 0 if pd.api.types.is_integer_dtype(frame[name]) else 9)
    if not headless():
        results.show(table)
    if imp is not None:
        _draw(check_image(imp), find_objects(ij, imp, rois), frame, str(color))
    return results


def _set_numbers(results: Any, name: str, values: np.ndarray) -> None:
    """Fill a column of numbers."""
    import jpype

    if hasattr(results, "setValues"):
        results.setValues(name, jpype.JArray(jpype.JDouble)(values))
        return
    # ImageJ before 1.53p
    column = results.getFreeColumn(name)
    for row, value in enumerate(values):
        results.setValue(column, row, float(value))


def _draw(imp: Any, objects: Labels | Outlines, frame: pd.DataFrame, color: str) -> None:
    """Draw the objects of a table into the overlay, colored by a column."""
    if color not in frame:
        raise ImageJError(f"the table has no column '{color}'; it has {', '.join(map(str, frame.columns[:8]))}, ...")
    values = sorted(frame[color].dropna().unique())
    shades = {value: int(COLORS[index % len(COLORS)], 16) for index, value in enumerate(values)}
    drawn = []
    for place, rows in _by_place(frame):
        colored = {
            int(number): (value, shades.get(value, OTHER))
            for number, value in zip(rows["ObjectNumber"], rows[color], strict=True)
        }
        paint = _paint_labels if isinstance(objects, Labels) else _paint_outlines
        for roi, value in paint(imp, objects, place, colored):
            roi.setProperty(DRAWN, f"{color} {value}")
            _set_position(imp, roi, place)
            drawn.append(roi)
    overlay = imp.getOverlay() or java_class("ij.gui.Overlay")()
    for index in reversed(range(int(overlay.size()))):
        if overlay.get(index).getProperty(DRAWN) is not None:
            overlay.remove(index)
    for roi in drawn:
        overlay.add(roi)
    imp.setOverlay(overlay)


def _by_place(frame: pd.DataFrame) -> Iterator[tuple[tuple[int, int], pd.DataFrame]]:
    """Split a table by slice and frame."""
    slices, frames = (frame.get(name, pd.Series(1, frame.index)) for name in ("Slice", "Frame"))
    for (t, z), rows in frame.groupby([frames.to_numpy(), slices.to_numpy()]):
        yield (int(z), int(t)), rows


def _paint_outlines(imp: Any, outlines: Outlines, place: Any, colored: Colored) -> Iterator[tuple[Any, Any]]:
    """Yield an outline in its color for every row, and the row's value."""
    for number, (value, shade) in colored.items():
        if number not in outlines.rois:
            raise ImageJError(
                f"row ObjectNumber {number} is none of the {len(outlines.rois)} ROIs: pass the ROIs that were measured"
            )
        roi = outlines.rois[number].clone()
        roi.setFillColor(None)
        roi.setStrokeColor(java_class("java.awt.Color")(shade))
        roi.setStrokeWidth(float(max(2, int(imp.getWidth()) // 400)))
        yield roi, value


def _paint_labels(imp: Any, labels: Labels, place: tuple[int, int], colored: Colored) -> Iterator[tuple[Any, Any]]:
    """Yield one transparent picture of the objects of a plane in their colors."""
    import jpype

    plane = labels.plane(place)
    known = np.unique(plane)
    if missing := sorted(set(colored) - set(known.tolist())):
        raise ImageJError(f"row ObjectNumber {missing[0]} is none of the labels: pass the labels that were measured")
    shades = np.array([colored.get(number, (None, 0))[1] for number in known.tolist()], np.int32)
    picture = shades[np.searchsorted(known, plane)]
    for layer in picture.reshape(-1, *picture.shape[-2:]):
        height, width = layer.shape
        processor = java_class("ij.process.ColorProcessor")(width, height, jpype.JArray(jpype.JInt)(layer.ravel()))
        roi = java_class("ij.gui.ImageRoi")(0, 0, processor)
        roi.setZeroTransparent(True)
        roi.setOpacity(0.4)
        yield roi, "labels"


def _set_position(imp: Any, roi: Any, place: tuple[int, int]) -> None:
    """Show a ROI on its slice and frame alone."""
    if int(imp.getNSlices()) * int(imp.getNFrames()) == 1:
        return
    if imp.isHyperStack():
        roi.setPosition(0, *place)
    else:
        roi.setPosition(imp.getStackIndex(1, *place))
