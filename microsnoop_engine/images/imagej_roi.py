"""Read the ROI files of ImageJ (.roi, .zip) as boxes and masks, whose pixels are exactly those that ImageJ takes."""

from __future__ import annotations

import logging
import zipfile
from pathlib import Path

import numpy as np
import roifile
from roifile import ROI_OPTIONS, ROI_SUBTYPE, ROI_TYPE, ImagejRoi

from .overlays import embedded_outlines
from .roi_masks import RoiError, RoiMask, StackPosition, fill, oval

log = logging.getLogger(__name__)

GROUP_FOUND = "microsnoop_group"
"""Property of ROIs with the group that the plugin's *Classify Cells* has set, which no user has given."""
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


def read_overlay(path: str | Path) -> list[RoiMask]:
    """Read the outlines that ImageJ saved in an image: its overlay, or its selection if there is none.

    Parameters
    ----------
    path : str or Path
        A TIFF file.

    Returns
    -------
    list of RoiMask
        Without texts, arrows, lines, points and scale bars, which are counted in the log.

    Raises
    ------
    RoiError
        If it holds no outline, or one that :func:`roi_mask` refuses.
    """
    path = Path(path)
    try:
        outlines, left_out = embedded_outlines(path)
        rois = [ImagejRoi.frombytes(outline) for outline in outlines]
    except (ValueError, IndexError, TypeError) as error:
        raise RoiError(f"the outlines in '{path}' cannot be read ({error}): save the image again in ImageJ") from None
    if not outlines:
        raise RoiError(f"'{path}' holds no outlines: in ImageJ, add them to the overlay and save the image as TIFF")
    if left_out:
        log.info("'%s': left out %d texts, arrows, lines, points or scale bars of the overlay", path, left_out)
    return [roi_mask(roi, f"outline {number} in '{path.name}'") for number, roi in enumerate(rois, start=1)]


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
    group = str(roi.group) if roi.group and roi.properties.get(GROUP_FOUND) != roi.group else ""
    position = StackPosition(roi.position, roi.c_position, roi.z_position, roi.t_position)
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
        return RoiMask(name, *fill(paths), group, position)
    if roi.roitype == ROI_TYPE.RECT:
        return RoiMask(name, box, np.ones((box[2] - box[0], box[3] - box[1]), bool), group, position)
    if roi.roitype == ROI_TYPE.OVAL:
        return RoiMask(name, box, oval(box[2] - box[0], box[3] - box[1]), group, position)
    return RoiMask(name, *fill([np.asarray(roi.coordinates())]), group, position)


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
