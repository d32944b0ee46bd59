"""Read the outlines of a GeoJSON file, as QuPath, StarDist, Cellpose and InstanSeg write them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .roi_masks import RoiError, RoiMask, StackPosition, fill

OBJECTS = ("cell", "detection", "tile")
"""Types of QuPath that stand for objects, the first that a file has; annotations are regions around them."""


def read_geojson(path: Path) -> list[RoiMask]:
    """Read the polygons of a file, in its order.

    Parameters
    ----------
    path : Path
        A feature collection, a list of features, or one feature. Its coordinates are x, y in pixels; whole numbers are
        the upper left corners of pixels. Of a file with cells or detections of QuPath, annotations are no objects.

    Returns
    -------
    list of RoiMask
        The name is ``name``, ``label`` or the id of the feature, the group is its class.

    Raises
    ------
    RoiError
        If the file is damaged, holds no polygon, or something that has no area.
    """
    try:
        features = list(_features(json.loads(path.read_text(encoding="utf-8-sig"))))
        kinds = [str(feature.get("properties", {}).get("objectType", "")) for feature in features]
        kept = next((kind for kind in OBJECTS if kind in kinds), None)
        rois = [
            _roi(feature, f"feature {number} of '{path.name}'")
            for number, (feature, kind) in enumerate(zip(features, kinds, strict=True), start=1)
            if kept in (None, kind)
        ]
    except RoiError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        raise RoiError(f"'{path}' cannot be read as GeoJSON ({error!r}): export it again") from None
    if not rois:
        raise RoiError(f"'{path}' holds no polygon: export the detections as a feature collection")
    return rois


def _features(content: Any) -> Iterator[dict[str, Any]]:
    """Yield the features of any of the forms of the format."""
    if isinstance(content, list):
        for each in content:
            yield from _features(each)
    elif content["type"] == "FeatureCollection":
        yield from _features(content["features"])
    elif content["type"] == "Feature":
        yield {**content, "properties": content.get("properties") or {}}
    else:
        yield {"geometry": content, "properties": {}}


def _roi(feature: dict[str, Any], where: str) -> RoiMask:
    geometry, properties = feature["geometry"], feature["properties"]
    if geometry["type"] not in ("Polygon", "MultiPolygon"):
        raise RoiError(f"{where} is a {geometry['type']}, which has no area to measure: remove it from the file")
    polygons = [geometry["coordinates"]] if geometry["type"] == "Polygon" else geometry["coordinates"]
    # the last corner of a ring is the first one again
    paths = [np.asarray(ring, np.float64)[:-1, :2] for polygon in polygons for ring in polygon]
    name = next((properties[key] for key in ("name", "label", "Label") if properties.get(key) is not None), None)
    group = properties.get("classification") or ""
    plane = geometry.get("plane") or {}
    # QuPath counts from 0, and -1 is every channel
    position = StackPosition(0, *(plane.get(axis, -1) + 1 for axis in "czt"))
    return RoiMask(
        str(feature.get("id", "") if name is None else name),
        *fill(paths),
        str(group.get("name", "") if isinstance(group, dict) else group),
        position,
    )
