"""Show features in ImageJ: as a results table, and as an overlay colored by a column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from .imagej import ImageJError, check_image, java_class, outlines

TABLE = "Microsnoop Results"
COLORS = ("1f77b4", "ff7f0e", "2ca02c", "d62728", "9467bd", "8c564b", "e377c2", "bcbd22", "17becf", "7f7f7f")


def show(
    ij: Any,
    frame: pd.DataFrame,
    table: str = TABLE,
    imp: Any = None,
    rois: str | Sequence[Any] = "manager",
    color: str | None = None,
) -> Any:
    """Show a table of :func:`measure` in ImageJ.

    Parameters
    ----------
    ij : object
        The gateway, or None.
    frame : pandas.DataFrame
        Numbers go into columns of numbers, ``Label`` into the row labels, other text into columns of text.
    table : str
        Title of the table; one with this title is replaced. ``Results`` is the table of ImageJ's own measurements.
    imp : ij.ImagePlus, optional
        With ``color``: where to draw an overlay.
    rois : {'manager', 'overlay'} or sequence of ij.gui.Roi
        The outlines that were measured.
    color : str, optional
        A column of ``frame`` with few values, such as clusters: the outlines get a color for each value. They replace
        those of an earlier call in the image's overlay; all else in it stays.

    Returns
    -------
    ij.measure.ResultsTable

    Raises
    ------
    ImageJError
        If the overlay lacks its image or column, or the ROIs are not those of the table.
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
                results.setValue(name, row, str(value))
    if table == "Results":
        # before the decimal places, which it resets
        java_class("ij.plugin.filter.Analyzer").setResultsTable(results)
    for name in columns:
        digits = 0 if pd.api.types.is_integer_dtype(frame[name]) else 9
        results.setDecimalPlaces(results.getColumnIndex(name), digits)
    if not java_class("java.awt.GraphicsEnvironment").isHeadless():
        results.show(table)
    if imp is not None:
        _draw(check_image(imp), rois, frame, str(color))
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


def _draw(imp: Any, rois: str | Sequence[Any], frame: pd.DataFrame, color: str) -> None:
    """Draw the outlines of a table into the overlay, colored by a column."""
    if color not in frame:
        raise ImageJError(f"the table has no column '{color}'; it has {', '.join(map(str, frame.columns[:8]))}, ..")
    found = dict(outlines(imp, rois))
    overlay = imp.getOverlay() or java_class("ij.gui.Overlay")()
    for index in reversed(range(int(overlay.size()))):
        if overlay.get(index).getProperty("microsnoop") is not None:
            overlay.remove(index)
    values = sorted(frame[color].dropna().unique())
    paint = java_class("java.awt.Color")
    for number, value in zip(frame["ObjectNumber"], frame[color], strict=True):
        if number not in found:
            raise ImageJError(
                f"row ObjectNumber {number} is none of the {len(found)} ROIs: pass the ROIs that were measured"
            )
        roi = found[number].clone()
        shade = COLORS[values.index(value) % len(COLORS)] if value in values else "c0c0c0"
        roi.setFillColor(None)
        roi.setStrokeColor(paint(int(shade, 16)))
        roi.setStrokeWidth(float(max(2, int(imp.getWidth()) // 400)))
        roi.setProperty("microsnoop", f"{color} {value}")
        overlay.add(roi)
    imp.setOverlay(overlay)
