"""ImageJ's ROI files (.roi, and .zip of the ROI Manager) as boxes and masks, by ImageJ's own rule of what is inside."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import roifile
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
    box : tuple of int
        y0, x0, y1, x1, half-open; may reach out of the image.
    mask : array (y1 - y0, x1 - x0), bool
    """

    name: str
    box: tuple[int, int, int, int]
    mask: np.ndarray


def read_rois(path: str | Path) -> list[RoiMask]:
    """The ROIs of a file, in its order.

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
    >>> [roi.name for roi in read_rois("RoiSet.zip")]
    ['0123-0456', '0200-0311']
    """
    path = Path(path)
    if not path.is_file():
        raise RoiError(f"there is no ROI file '{path}'")
    try:
        found = roifile.roiread(path)
    except (OSError, ValueError, zipfile.BadZipFile, IndexError, TypeError) as error:
        raise RoiError(f"'{path}' cannot be read as a ROI file of ImageJ ({error}): save it anew in ImageJ") from None
    rois = found if isinstance(found, list) else [found]
    if not rois:
        raise RoiError(f"'{path}' holds no ROI: in the ROI Manager, choose More > Save with ROIs in its list")
    return [roi_mask(roi, f"ROI {number} of '{path.name}'") for number, roi in enumerate(rois, start=1)]


def roi_mask(roi: ImagejRoi, where: str = "ROI") -> RoiMask:
    """The pixels that ImageJ's ``Roi.getMask()`` gives.

    Parameters
    ----------
    roi : roifile.ImagejRoi
    where : str
        Begins the error.

    Raises
    ------
    RoiError
        For lines, points, angles, texts and images, which have no area, and for spline fits, rounded rectangles and
        composites with curves, whose pixels are not known exactly without ImageJ.
    """
    name = roi.name or ""
    kind, reason = _refused(roi)
    if kind:
        raise RoiError(f'{where}, "{name}", is {kind}: {reason}')
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
    return RoiMask(name, *fill([roi.coordinates()]))


def _refused(roi: ImagejRoi) -> tuple[str, str]:
    """What is wrong with a ROI, and what to do; blank if nothing."""
    no_area = _NOT_OUTLINES.get(roi.subtype) or (_NO_AREA.get(roi.roitype) if not roi.shape_roi_size else None)
    if no_area:
        return no_area, "it has no area to measure; remove it from the file"
    if roi.options & ROI_OPTIONS.SPLINE_FIT:
        return (
            "fitted with a spline",
            "its pixels are not known exactly; choose Edit > Selection > Interpolate",
        )
    if roi.roitype == ROI_TYPE.RECT and roi.rounded_rect_arc_size:
        return "a rounded rectangle", "its pixels are not known exactly; in ImageJ, set its corner diameter to 0"
    if not roi.shape_roi_size and roi.roitype not in (ROI_TYPE.RECT, ROI_TYPE.OVAL, *_POLYGONS):
        return f"of an unknown kind ({roi.roitype})", "save it anew in ImageJ"
    return "", ""


def fill(paths: Sequence[np.ndarray]) -> tuple[tuple[int, int, int, int], np.ndarray]:
    """The pixels inside closed paths, even-odd, as ImageJ's PolygonFiller decides.

    Parameters
    ----------
    paths : sequence of array (n, 2)
        x, y of the corners.

    Returns
    -------
    box : tuple of int
        y0, x0, y1, x1.
    mask : array (y1 - y0, x1 - x0), bool
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
                columns = np.floor(x + 1e-8 + 0.5).astype(int).clip(x0, x1)
                np.add.at(crossings, (rows - y0, columns - x0), 1)
    return (y0, x0, y1, x1), (crossings.cumsum(1)[:, :-1] % 2).astype(bool)


def oval(height: int, width: int) -> np.ndarray:
    """The pixels of ImageJ's oval in a box, as its ``OvalRoi`` decides."""
    y, x = (np.arange(length) + 0.5 - length / 2 for length in (height, width))
    return (x / (width / 2)) ** 2 + ((y / (height / 2)) ** 2)[:, None] <= 1
