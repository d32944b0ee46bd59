"""Measure layers of napari and write the result back into them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from microsnoop_engine.errors import InputError
from microsnoop_engine.evaluation.clusters import clusters
from microsnoop_engine.evaluation.embedding_map import principal_components
from microsnoop_engine.model.embedder import Embedder
from microsnoop_engine.modes.measure import OnBatch, measure
from microsnoop_engine.modes.settings import CropSettings
from microsnoop_engine.storage.atomic import atomic_path
from microsnoop_engine.tables.columns import OBJECT_NUMBER, center_columns, feature_columns

if TYPE_CHECKING:
    from napari.layers import Image, Labels, Points

INDEX = "index"
"""Column by which napari finds the row of a label."""
CLUSTER = "cluster"
COLORS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#bcbd22", "#17becf", "#7f7f7f")
UNMEASURED = "#c0c0c0"


def measure_labels(
    labels: Labels,
    images: Sequence[Image],
    embedder: Embedder,
    settings: CropSettings | None = None,
    on_batch: OnBatch | None = None,
) -> pd.DataFrame:
    """Measure the objects of a labels layer in images that lie under it.

    Parameters
    ----------
    labels : napari.layers.Labels
        One plane (h, w).
    images : sequence of napari.layers.Image
        One channel each, named as its layer; of the shape and place of the labels.
    embedder : Embedder
    settings : CropSettings, optional
    on_batch : callable, optional
        Called after each batch with the crops done and the number of all crops; may raise to stop.

    Returns
    -------
    DataFrame
        One row per object: ``index`` (the label), the columns of its center, and the features of each channel, named
        as in the tables of microsnoop.

    Raises
    ------
    InputError
        If the layers do not fit each other, or hold anything but planes.
    """
    channels = _channel_names(labels, images)
    pixels = np.stack([np.asarray(image.data) for image in images])
    measurement = measure(embedder, pixels, np.asarray(labels.data), settings, on_batch)
    objects = re.sub(r"\W+", "_", labels.name).strip("_") or "Objects"
    columns = feature_columns(objects, channels, measurement.features.shape[1] // len(channels))
    centers = pd.DataFrame(measurement.regions.center[:, ::-1], columns=center_columns(objects))
    features = pd.DataFrame(measurement.features, columns=columns)
    return pd.concat([pd.Series(measurement.regions.object_number, name=INDEX), centers, features], axis=1)


def feature_values(table: pd.DataFrame) -> NDArray[np.float32]:
    """Return the embeddings (n, p) of a table of :func:`measure_labels`."""
    return table.filter(regex=r"_Microsnoop_E\d{3,}_").to_numpy(np.float32)


def add_clusters(labels: Labels, count: int) -> pd.DataFrame:
    """Group the measured objects of a labels layer and color them by their cluster.

    Parameters
    ----------
    labels : napari.layers.Labels
        With the table of :func:`measure_labels` as its features.
    count : int
        Number of clusters, 2 or more.

    Returns
    -------
    DataFrame
        The features of the layer, with ``cluster``: 1 is the largest, 0 an object with missing features.

    Raises
    ------
    InputError
        If the layer is not measured, or has fewer objects than clusters.
    """
    from napari.utils.colormaps import DirectLabelColormap

    table = _measured(labels).copy()
    table[CLUSTER] = clusters(feature_values(table), count)
    labels.features = table
    colors: dict[int | None, Any] = {
        int(label): cluster_color(cluster) for label, cluster in zip(table[INDEX], table[CLUSTER], strict=True)
    }
    labels.colormap = DirectLabelColormap(color_dict={None: UNMEASURED, 0: "transparent", **colors})
    return table


def cluster_color(cluster: int) -> str:
    """Return the color of a cluster, gray for 0."""
    return COLORS[(cluster - 1) % len(COLORS)] if cluster else UNMEASURED


def map_points(labels: Labels) -> Points:
    """Draw a map of the measured objects: near points look alike.

    Parameters
    ----------
    labels : napari.layers.Labels
        With the table of :func:`measure_labels` as its features.

    Returns
    -------
    napari.layers.Points
        The first two principal components, right of the labels and as high as they are; its features hold the label
        and the cluster of each point.

    Raises
    ------
    InputError
        If the layer is not measured, or fewer than 3 objects have all features.
    """
    from napari.layers import Points

    table = _measured(labels)
    values = feature_values(table)
    known = np.isfinite(values).all(1)
    coordinates, _ = principal_components(values[known].astype(np.float64))
    height, width = labels.data.shape
    low, span = coordinates.min(0), np.ptp(coordinates, 0).max()
    x, y = ((coordinates - low) / span * height).T
    cluster = table[CLUSTER][known] if CLUSTER in table else pd.Series(0, index=table.index[known])
    return Points(
        np.column_stack([height - y, x + 1.1 * width]),
        name=f"Map of {labels.name}",
        features={INDEX: table[INDEX][known].to_numpy(), CLUSTER: cluster.to_numpy()},
        face_color=[cluster_color(number) for number in cluster],
        border_width=0,
        size=max(height / 35, 3),
        scale=labels.scale,
        translate=labels.translate,
    )


def save_table(labels: Labels, path: Path) -> int:
    """Write the features of a labels layer as CSV.

    Parameters
    ----------
    labels : napari.layers.Labels
        With the table of :func:`measure_labels` as its features.
    path : Path

    Returns
    -------
    int
        Number of rows.

    Raises
    ------
    InputError
        If the layer is not measured.
    """
    table = _measured(labels).rename(columns={INDEX: OBJECT_NUMBER})
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False)
    return len(table)


def _measured(labels: Labels) -> pd.DataFrame:
    """Return the features of a labels layer that is measured."""
    table: pd.DataFrame = labels.features
    if INDEX not in table or not feature_values(table).size:
        raise InputError(f"the layer '{labels.name}' is not measured yet")
    return table


def _channel_names(labels: Labels, images: Sequence[Image]) -> list[str]:
    """Return the names of the channels, if the layers fit each other."""
    if not images:
        raise InputError("choose at least one image layer")
    for layer in (labels, *images):
        if getattr(layer, "rgb", False):
            raise InputError(f"the layer '{layer.name}' is a color image: split it first (right click, Split RGB)")
        if layer.multiscale:
            raise InputError(f"the layer '{layer.name}' has several resolutions: open one of them alone")
        if layer.data.ndim != 2:
            raise InputError(
                f"the layer '{layer.name}' has {layer.data.ndim} dimensions: measure one plane (right click, Split "
                "Stack or Projections)"
            )
        if layer.data.shape != labels.data.shape:
            raise InputError(
                f"'{layer.name}' has {_size(layer)} pixels and '{labels.name}' {_size(labels)}: they must be equal"
            )
        if not (np.allclose(layer.scale, labels.scale) and np.allclose(layer.translate, labels.translate)):
            raise InputError(f"'{layer.name}' and '{labels.name}' lie at different places or scales of the canvas")
    names = [re.sub(r"\W+", "_", image.name).strip("_") for image in images]
    if len(set(names)) < len(names):
        raise InputError(f"the image layers need different names, not {', '.join(names)}")
    return names


def _size(layer: Any) -> str:
    return " x ".join(map(str, layer.data.shape[::-1]))
