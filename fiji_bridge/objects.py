"""Tell labels from ROIs among the objects that users of ImageJ pass."""

from __future__ import annotations

from typing import Any

import numpy as np

from .imagej import ImageJError, is_java, java_class
from .labels import Labels, find_labels
from .outlines import Outlines, find_rois


def find_objects(ij: Any, imp: Any, rois: Any) -> Labels | Outlines:
    """Return the objects of an image, in any form that :func:`fiji_bridge.measure` takes as ``rois``.

    Raises
    ------
    ImageJError
        If ``rois`` is nothing of the kind, or does not go with the image.
    """
    if isinstance(rois, str | java_class("java.lang.String")):
        return Outlines(imp, find_rois(imp, str(rois)))
    labels = find_labels(ij, imp, rois)
    if labels is not None:
        return labels
    if is_java(rois, "net.imagej.roi.ROITree"):
        if not hasattr(ij, "convert"):
            raise ImageJError("rois is a ROITree, which only PyImageJ's gateway converts: pass it, measure(ij, ...)")
        rois = ij.convert().convert(rois, java_class("ij.gui.Overlay"))
    if is_java(rois, "ij.gui.Roi"):
        return Outlines(imp, [rois])
    if is_java(rois, "ij.gui.Overlay"):
        return Outlines(imp, rois.toArray())
    if is_java(rois, "ij.plugin.frame.RoiManager"):
        return Outlines(imp, rois.getRoisAsArray())
    if is_java(rois, "java.util.Collection", "ij.gui.Roi[]") or isinstance(rois, list | tuple | np.ndarray):
        return Outlines(imp, rois)
    raise ImageJError(
        f"rois is a {type(rois).__name__}: it must be 'manager', 'overlay', labels, ROIs, or None (the whole image)"
    )
