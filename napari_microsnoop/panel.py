"""Panel of napari: choose layers and a network, measure, color by cluster, draw a map."""

from __future__ import annotations

from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from magicgui.widgets import CheckBox, ComboBox, Container, FileEdit, FloatSpinBox, Label, PushButton, Select, SpinBox
from napari.layers import Image, Labels
from napari.qt.threading import create_worker
from napari.utils.notifications import show_error, show_info

from microsnoop_engine.errors import MicrosnoopError, counted
from microsnoop_engine.model.embedder import Embedder
from microsnoop_engine.modes.settings import CropSettings

from .layers import add_clusters, map_points, measure_labels, save_table

if TYPE_CHECKING:
    from napari.viewer import Viewer

FILE = "a file"
BOXES = {"nuclei, with the cell around them": 2.0, "whole cells": 0.6}
"""Half width of the box around an object, in units of its longer side."""

_embedder = lru_cache(maxsize=2)(Embedder)


class MeasurePanel(Container):  # type: ignore[misc]  # magicgui has no types
    """Controls for the layers of a viewer.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        By this name napari passes its own.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        self._viewer = napari_viewer
        self.objects = ComboBox(label="Objects", choices=self._layers(Labels), nullable=False)
        self.channels = Select(label="Channels", choices=self._layers(Image))
        self.network = ComboBox(label="Network", choices=["fast", "base", FILE])
        self.weights_file = FileEdit(label="Weights", filter="*.safetensors", visible=False)
        self.box = ComboBox(label="Objects are", choices=list(BOXES))
        self.masked = CheckBox(text="Only the object's own pixels")
        self.typical_diameter = FloatSpinBox(label="Typical diameter, in pixels (0: measure it)", max=4096, step=1)
        self.measure_button = PushButton(text="Measure")
        self.cluster_count = SpinBox(label="Clusters", value=3, min=2, max=50)
        self.cluster_button = PushButton(text="Color by cluster")
        self.map_button = PushButton(text="Draw a map")
        self.table_file = FileEdit(label="Save the table as", mode="w", filter="*.csv")
        self.status = Label(value="")
        super().__init__(
            widgets=[
                self.objects,
                self.channels,
                self.network,
                self.weights_file,
                self.box,
                self.masked,
                self.typical_diameter,
                self.measure_button,
                self.cluster_count,
                self.cluster_button,
                self.map_button,
                self.table_file,
                self.status,
            ]
        )
        self.network.changed.connect(lambda model: setattr(self.weights_file, "visible", model == FILE))
        self.measure_button.changed.connect(self._start)
        self.cluster_button.changed.connect(lambda: self._attempt(self._add_clusters))
        self.map_button.changed.connect(lambda: self._attempt(self._add_map))
        self.table_file.changed.connect(lambda path: self._attempt(partial(self._save, path)))
        for event in (napari_viewer.layers.events.inserted, napari_viewer.layers.events.removed):
            event.connect(self.reset_choices)
        self.reset_choices()

    def _layers(self, kind: type) -> Any:
        return lambda _: [layer for layer in self._viewer.layers if isinstance(layer, kind)]

    def _settings(self) -> CropSettings:
        return CropSettings(
            rescale_constant=BOXES[self.box.value],
            mask="object" if self.masked.value else "box",
            diameter=self.typical_diameter.value or None,
        )

    def _start(self) -> None:
        """Measure in a thread, so that the window answers."""
        labels, images = self.objects.value, list(self.channels.value)
        if labels is None:
            show_error("There is no labels layer: draw or load one")
            return
        model = str(self.weights_file.value if self.network.value == FILE else self.network.value)
        settings = self._settings()
        self.measure_button.enabled = False
        worker = create_worker(
            lambda: measure_labels(labels, images, _embedder(model), settings),
            _progress={"desc": f"Measuring {labels.name}"},
        )
        worker.returned.connect(lambda table: self._show(labels, table))
        worker.errored.connect(self._report)
        worker.finished.connect(lambda: setattr(self.measure_button, "enabled", True))
        worker.start()

    def _show(self, labels: Labels, table: pd.DataFrame) -> None:
        labels.features = table
        unmeasured = int(table.isna().any(axis=1).sum())
        message = f"{counted(len(table), 'objects')} of {labels.name} measured"
        if unmeasured:
            message += f"; {unmeasured} of them lack features, because a channel is empty there"
        self.status.value = message
        show_info(message)

    def _report(self, error: Exception) -> None:
        self.status.value = ""
        if not isinstance(error, MicrosnoopError):
            raise error
        show_error(str(error))

    def _attempt(self, step: Any) -> None:
        """Run a step on the chosen labels; show its message if it fails."""
        if self.objects.value is None:
            show_error("There is no labels layer: draw or load one")
            return
        try:
            step(self.objects.value)
        except MicrosnoopError as error:
            show_error(str(error))

    def _add_clusters(self, labels: Labels) -> None:
        table = add_clusters(labels, self.cluster_count.value)
        counts = table["cluster"].value_counts().sort_index()
        self.status.value = ", ".join(f"cluster {number}: {count}" for number, count in counts.items())

    def _add_map(self, labels: Labels) -> None:
        points = map_points(labels)
        if points.name in self._viewer.layers:
            self._viewer.layers.remove(points.name)
        self._viewer.add_layer(points)
        self._viewer.reset_view()

    def _save(self, path: Path, labels: Labels) -> None:
        self.status.value = f"{counted(save_table(labels, path), 'rows')} saved as {path.name}"
