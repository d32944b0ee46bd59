"""Read the outlines of a GeoJSON file, as QuPath, StarDist, Cellpose and InstanSeg write them."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import counted
from .roi_masks import RoiError, RoiMask, StackPosition, fill

log = logging.getLogger(__name__)

OBJECTS = ("cell", "detection", "tile")
"""Types of QuPath that stand for objects, the first that a file has; annotations are regions around them."""
_TYPES_BY_ID = {
    "PathAnnotationObject": "annotation",
    "PathCellObject": "cell",
    "PathDetectionObject": "detection",
    "PathTileObject": "tile",
    "TMACoreObject": "tmaCore",
}
"""Types in the files of QuPath before version 0.3, where they stand in place of the id."""
_NO_AREA = ("Point", "MultiPoint", "LineString", "MultiLineString")


def read_geojson(path: Path) -> list[RoiMask]:
    """Read the polygons of a file, in its order.

    Parameters
    ----------
    path : Path
        A feature collection, a list of features, or one feature. Its coordinates are x, y in pixels; whole numbers are
        the upper left corners of pixels. Of a file with cells or detections of QuPath, annotations are no objects; how
        many are left out is logged. Of cells, the outline of the cell is taken, not that of its nucleus.

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
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise RoiError(f"'{path}' cannot be read as GeoJSON ({error}): export it again") from None
    features = list(_features(content, path))
    kinds = [_kind(feature) for feature in features]
    kept = next((kind for kind in OBJECTS if kind in kinds), None)
    left_out = Counter(kind or "object of no type" for kind in kinds if kept not in (None, kind))
    if left_out:
        listed = ", ".join(counted(count, f"{kind}s") for kind, count in left_out.items())
        _log_once(f"'{path}': left out {listed}: the {kept}s are measured")
    if any("nucleusGeometry" in feature for feature in features):
        _log_once(f"'{path}': the outlines of the cells are measured, not those of their nuclei")
    rois = []
    for number, (feature, kind) in enumerate(zip(features, kinds, strict=True), start=1):
        if kept in (None, kind):
            where = f"feature {number} of '{path.name}'"
            try:
                rois.append(_roi(feature, where))
            except RoiError:
                raise
            except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
                raise RoiError(f"{where} has no outline that can be read ({error!r}): export it again") from None
    if not rois:
        raise RoiError(f"'{path}' holds no polygon: export the detections as a feature collection")
    return rois


@lru_cache(maxsize=1024)
def _log_once(message: str) -> None:
    """Log what is the same each time that a file is read."""
    log.info(message)


def _features(content: Any, path: Path) -> Iterator[dict[str, Any]]:
    """Yield the features of any of the forms of the format."""
    if isinstance(content, list):
        for each in content:
            yield from _features(each, path)
        return
    if not isinstance(content, dict) or not isinstance(content.get("type"), str):
        keys = f": its keys are {', '.join(list(content)[:5])}" if isinstance(content, dict) and content else ""
        raise RoiError(f"'{path}' cannot be read as GeoJSON, which has a 'type'{keys}; export a feature collection")
    if content["type"] == "FeatureCollection":
        yield from _features(content.get("features") or [], path)
    elif content["type"] == "Feature":
        yield {**content, "properties": content.get("properties") or {}}
    else:
        yield {"geometry": content, "properties": {}}


def _kind(feature: dict[str, Any]) -> str:
    """Return the type of object of QuPath; empty if there is none."""
    properties = feature["properties"]
    kind = properties.get("objectType") or properties.get("object_type")
    return str(kind or _TYPES_BY_ID.get(str(feature.get("id")), ""))


def _roi(feature: dict[str, Any], where: str) -> RoiMask:
    geometry, properties = feature["geometry"], feature["properties"]
    if geometry is None or not geometry.get("coordinates", True):
        raise RoiError(f"{where} has no outline: remove it from the file")
    if geometry["type"] not in ("Polygon", "MultiPolygon"):
        problem = "which has no area to measure: remove it from the file"
        if geometry["type"] not in _NO_AREA:
            problem = "which cannot be read: export it as a polygon"
        raise RoiError(f"{where} is a {geometry['type']}, {problem}")
    polygons = [geometry["coordinates"]] if geometry["type"] == "Polygon" else geometry["coordinates"]
    paths = [_without_end(np.asarray(ring, np.float64)[:, :2]) for polygon in polygons for ring in polygon]
    name = next((properties[key] for key in ("name", "label", "Label") if properties.get(key) is not None), None)
    plane = geometry.get("plane") or {}
    # QuPath counts from 0, and -1 is every channel
    position = StackPosition(0, *(plane.get(axis, -1) + 1 for axis in "czt"))
    own_id = str(feature.get("id", ""))
    return RoiMask(
        str(name) if name is not None else "" if own_id in _TYPES_BY_ID else own_id,
        *fill(paths),
        _class_name(properties.get("classification")),
        position,
    )


def _class_name(classification: Any) -> str:
    """Return the class of a feature as QuPath shows it; empty if it has none."""
    if not isinstance(classification, dict):
        return str(classification or "")
    return str(classification.get("name") or ": ".join(map(str, classification.get("names") or [])))


def _without_end(ring: NDArray[np.float64]) -> NDArray[np.float64]:
    """Drop the last corner of a ring (n, 2) if it is the first one again; not all programs write it."""
    return ring[:-1] if len(ring) > 1 and (ring[0] == ring[-1]).all() else ring
