"""Read the ROI files of ImageJ (.roi, .zip) as boxes and masks, whose pixels are exactly those that ImageJ takes."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import roifile
from numpy.typing import NDArray
from roifile import ROI_OPTIONS, ROI_SUBTYPE, ROI_TYPE, ImagejRoi

_NO_AREA = {
    ROI_TYPE.LINE: "a line",
    ROI_TYPE.FREELINE: "a freehand line",
    ROI_TYPE.POLYLINE: "a segmented line",
    ROI_TYPE.ANGLE: "an angle",
    ROI_TYPE.POINT: "points",
    ROI_TYPE.NOROI: "no outline",
}
_NOT_OUTLINES = {ROI_SUBTYPE.TEXT: "a text", ROI_SUBTYPE.IMAGE: "an image", ROI_SUBTYPE.ARROW: "an arrow"}
_POLYGONS = (ROI_TYPE.POLYGON, ROI_TYPE.FREEHAND, ROI_TYPE.TRACED)


class RoiError(ValueError):
    """A ROI file that cannot be read, or a kind of ROI whose pixels are not known exactly."""


@dataclass(frozen=True)
class RoiMask:
    """The pixels of a ROI.

    Attributes
    ----------
    name : str
        Blank if the ROI has none.
    box : tuple of int
        y0, x0, y1, x1 in pixels, half-open; may reach out of the image.
    mask : array (y1 - y0, x1 - x0), bool
        True inside.
    """

    name: str
    box: tuple[int, int, int, int]
    mask: NDArray[np.bool_]


def read_rois(path: str | Path) -> list[RoiMask]:
    """Read the ROIs of a file, in its order.

    Parameters
    ----------
    path : str or Path
        A .roi file, or the .zip that the ROI Manager saves.

    Returns
    -------
    list of RoiMask

    Raises
    ------
    RoiError
        If the file is missing or damaged, holds no ROI, or one that :func:`roi_mask` refuses.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = Path(folder.name, "cell.roi")
    >>> ImagejRoi.frompoints([[2, 1], [6, 1], [6, 4], [2, 4]], name="cell 1").tofile(path)
    >>> (roi,) = read_rois(path)
    >>> roi.name, roi.box, roi.mask.sum().item()
    ('cell 1', (1, 2, 5, 7), 12)
    >>> folder.cleanup()
    """
    path = Path(path)
    if not path.is_file():
        raise RoiError(f"there is no ROI file '{path}'")
    try:
        content = roifile.roiread(path)
    except (OSError, ValueError, zipfile.BadZipFile, IndexError, TypeError) as error:
        raise RoiError(f"'{path}' cannot be read as a ROI file of ImageJ ({error}): save it again in ImageJ") from None
    rois = content if isinstance(content, list) else [content]
    if not rois:
        raise RoiError(f"'{path}' holds no ROI: in the ROI Manager, choose More > Save with ROIs in its list")
    return [roi_mask(roi, f"ROI {number} of '{path.name}'") for number, roi in enumerate(rois, start=1)]


def roi_mask(roi: ImagejRoi, where: str = "ROI") -> RoiMask:
    """Return the pixels of a ROI, those of ImageJ's ``Roi.getMask()``.

    Parameters
    ----------
    roi : roifile.ImagejRoi
    where : str
        The ROI, to begin the error with.

    Returns
    -------
    RoiMask

    Raises
    ------
    RoiError
        For lines, points, angles, texts and images, which have no area, and for spline fits, rounded rectangles and
        composites with curves, whose pixels are not known exactly without ImageJ.
    """
    name = roi.name or ""
    if refusal := _refusal(roi):
        raise RoiError(f'{where}, "{name}", is {refusal}')
    box = (roi.top, roi.left, roi.bottom, roi.right)
    if roi.shape_roi_size > 0 and roi.multi_coordinates is not None:
        try:
            paths = ImagejRoi.path2coords(roi.multi_coordinates)
        except NotImplementedError:
            raise RoiError(
                f'{where}, "{name}", is a composite with curves, whose pixels are not known exactly: in ImageJ, choose '
                "Edit > Selection > Create Mask, then Create Selection, and add that"
            ) from None
        return RoiMask(name, *fill(paths))
    if roi.roitype == ROI_TYPE.RECT:
        return RoiMask(name, box, np.ones((box[2] - box[0], box[3] - box[1]), bool))
    if roi.roitype == ROI_TYPE.OVAL:
        return RoiMask(name, box, oval(box[2] - box[0], box[3] - box[1]))
    return RoiMask(name, *fill([np.asarray(roi.coordinates())]))


def _refusal(roi: ImagejRoi) -> str:
    """Return the kind of a ROI that cannot be measured, and the remedy; blank if it can."""
    no_area = _NOT_OUTLINES.get(roi.subtype) or (_NO_AREA.get(roi.roitype) if not roi.shape_roi_size else None)
    if no_area:
        return f"{no_area}: it has no area to measure; remove it from the file"
    if roi.options & ROI_OPTIONS.SPLINE_FIT:
        return "fitted with a spline: its pixels are not known exactly; choose Edit > Selection > Interpolate"
    if roi.roitype == ROI_TYPE.RECT and roi.rounded_rect_arc_size:
        return "a rounded rectangle: its pixels are not known exactly; in ImageJ, set its corner diameter to 0"
    if not roi.shape_roi_size and roi.roitype not in (ROI_TYPE.RECT, ROI_TYPE.OVAL, *_POLYGONS):
        return f"of an unknown kind ({roi.roitype}): save it again in ImageJ"
    return ""


def fill(paths: Sequence[NDArray[Any]]) -> tuple[tuple[int, int, int, int], NDArray[np.bool_]]:
    """Fill closed paths by the even-odd rule, as ImageJ's ``PolygonFiller`` does.

    A pixel is inside if its center is: each row of centers is crossed by the edges, and the pixels from an odd crossing
    to the next one are filled.

    Parameters
    ----------
    paths : sequence of array (n, 2)
        x, y of the corners, in pixels; whole numbers are the upper left corners of pixels.

    Returns
    -------
    box : tuple of int
        y0, x0, y1, x1, half-open, around all corners.
    mask : array (y1 - y0, x1 - x0), bool
        True inside.
    """
    corners = np.concatenate(paths).astype(np.float64)
    x0, y0 = np.floor(corners.min(0)).astype(int).tolist()
    x1, y1 = (np.floor(corners.max(0)).astype(int) + 1).tolist()
    crossings = np.zeros((y1 - y0, x1 - x0 + 1), np.int64)
    for path in paths:
        points = path.astype(np.float64)
        for (xa, ya), (xb, yb) in zip(points, np.roll(points, -1, axis=0), strict=True):
            if ya > yb:
                xa, ya, xb, yb = xb, yb, xa, ya
            rows = np.arange(int(np.floor(ya + 0.5)), int(np.floor(yb + 0.5)))
            if rows.size:
                x = xa + (rows + 0.5 - ya) * (xb - xa) / (yb - ya)
                # ImageJ rounds half up, after adding this
                columns = np.floor(x + 1e-8 + 0.5).astype(int).clip(x0, x1)
                np.add.at(crossings, (rows - y0, columns - x0), 1)
    return (y0, x0, y1, x1), (crossings.cumsum(1)[:, :-1] % 2).astype(bool)


def oval(height: int, width: int) -> NDArray[np.bool_]:
    """Return the pixels of an oval in a box, as ImageJ's ``OvalRoi`` does.

    Parameters
    ----------
    height, width : int
        Of the box, in pixels.

    Returns
    -------
    array (height, width), bool
        True where the center of a pixel lies in the ellipse.

    Examples
    --------
    >>> oval(3, 4).astype(int)
    array([[0, 1, 1, 0],
           [1, 1, 1, 1],
           [0, 1, 1, 0]])
    """
    y, x = (np.arange(length) + 0.5 - length / 2 for length in (height, width))
    inside: NDArray[np.bool_] = (x / (width / 2)) ** 2 + ((y / (height / 2)) ** 2)[:, None] <= 1
    return inside
