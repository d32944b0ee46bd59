"""Run the tasks of the worker protocol: inputs as a host sends them, outputs as it receives them."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal

from numpy.typing import NDArray

from .. import __version__
from ..errors import InputError
from ..model.embedder import Embedder
from ..modes.measure import Measurement, measure
from ..modes.outlines import measure_rois
from ..modes.settings import CropSettings
from ..tables.provenance import Computed, Provenance
from .arrays import ArrayTransport
from .classes import class_tasks
from .table_files import table_tasks

PROTOCOL = 1
NEEDED = {"image", "labels", "boxes", "masks", "features", "path"}
"""Inputs that are required by every task that has them."""

OBJECT_SETTINGS = ("rescale_constant", "mask", "normalize", "scale", "diameter")
"""Settings of the crops around objects."""
TILE_SETTINGS = ("normalize", "scale", "diameter")

OnBatch = Callable[[int, int], None]
Task = Callable[[dict[str, Any], OnBatch], dict[str, Any]]


class Tasks:
    """Hold the tasks of one worker, by their names.

    Parameters
    ----------
    exchange : ArrayTransport
    make_embedder : callable
        Makes the embedder when the first task needs it.
    """

    def __init__(self, exchange: ArrayTransport, make_embedder: Callable[[], Embedder]) -> None:
        self._exchange = exchange
        self._make_embedder = make_embedder
        self._tasks: dict[str, tuple[Task, set[str]]] = {
            "info": (self._info, set()),
            "measure_objects": (
                self._measure_objects,
                {"image", "labels", *OBJECT_SETTINGS},
            ),
            "measure_rois": (
                self._measure_rois,
                {"image", "boxes", "masks", *OBJECT_SETTINGS},
            ),
            "measure_image": (self._measure_image, {"image", "mode", *TILE_SETTINGS}),
            "measure_tiles": (self._measure_tiles, {"image", *TILE_SETTINGS}),
            **table_tasks(exchange, self._provenance),
            **class_tasks(exchange, self._provenance),
        }

    @cached_property
    def embedder(self) -> Embedder:
        """The embedder, loaded once."""
        return self._make_embedder()

    def _provenance(self) -> Provenance:
        card = self.embedder.card
        return (Computed(f"{card.name} {card.sha256}", self.embedder.precision),)

    def check(self, script: Any, inputs: Any) -> None:
        """Check the name and the inputs of a task.

        Parameters
        ----------
        script : str
            Name of the task.
        inputs : dict

        Raises
        ------
        InputError
            If there is no such task, or an input is unknown or missing.
        """
        if not isinstance(script, str) or script not in self._tasks:
            raise InputError(f"there is no task {script!r:.100}; there are {', '.join(self._tasks)}")
        known = self._tasks[script][1]
        if not isinstance(inputs, dict):
            raise InputError(f"the inputs of {script} are not a JSON object")
        unknown = sorted(set(inputs) - known)
        if unknown:
            raise InputError(f"{script} has no input {', '.join(unknown)}; it has {', '.join(sorted(known)) or 'none'}")
        missing = sorted(NEEDED & known - set(inputs))
        if missing:
            raise InputError(f"{script} needs the input {', '.join(missing)}")

    def run(self, script: str, inputs: dict[str, Any], on_batch: OnBatch) -> dict[str, Any]:
        """Run a task.

        Parameters
        ----------
        script : str
        inputs : dict
            Passed by :meth:`check`.
        on_batch : callable
            Called after each batch with the crops done and the number of all crops; may raise to stop.

        Returns
        -------
        dict
            The outputs: numbers, texts and arrays in the form of the protocol.

        Raises
        ------
        MicrosnoopError
            If an input cannot be used.
        """
        return self._tasks[script][0](inputs, on_batch)

    def _info(self, inputs: dict[str, Any], on_batch: OnBatch) -> dict[str, Any]:
        card = self.embedder.card
        return {
            "version": __version__,
            "protocol": PROTOCOL,
            "weights": card.name,
            "sha256": card.sha256,
            "dimension": card.dimension,
            "input_size": card.input_size,
            "frame": card.frame,
            "device": self.embedder.device,
            "precision": self.embedder.precision,
            "backend": self.embedder.backend.name,
            "python": platform.python_version(),
            "folder": str(self._exchange.folder),
        }

    def _measure_objects(self, inputs: dict[str, Any], on_batch: OnBatch) -> dict[str, Any]:
        began = time.perf_counter()
        settings = _settings(inputs, *OBJECT_SETTINGS)
        return self._object_outputs(inputs, self._measure(inputs, settings, on_batch), began)

    def _measure_rois(self, inputs: dict[str, Any], on_batch: OnBatch) -> dict[str, Any]:
        began = time.perf_counter()
        settings = _settings(inputs, *OBJECT_SETTINGS)
        image, boxes, masks = (self._exchange.receive(name, inputs[name]) for name in ("image", "boxes", "masks"))
        measurement = measure_rois(self.embedder, image, boxes, masks, settings, on_batch)
        return self._object_outputs(inputs, measurement, began)

    def _object_outputs(self, inputs: dict[str, Any], measurement: Measurement, began: float) -> dict[str, Any]:
        regions = measurement.regions
        arrays = {
            "object_number": regions.object_number,
            "features": measurement.features,
            "box": regions.box,
            "center": regions.center,
            "border": regions.border,
        }
        return self._outputs(inputs, arrays, measurement, began)

    def _measure_image(self, inputs: dict[str, Any], on_batch: OnBatch) -> dict[str, Any]:
        began = time.perf_counter()
        mode = inputs.get("mode", "tile")
        if mode not in ("tile", "image"):
            raise InputError(f"`mode` is {mode!r:.100}: it must be 'tile' or 'image'")
        measurement = self._measure(inputs, _settings({**inputs, "mode": mode}, "mode", *TILE_SETTINGS), on_batch)
        return self._outputs(inputs, {"features": measurement.features}, measurement, began)

    def _measure_tiles(self, inputs: dict[str, Any], on_batch: OnBatch) -> dict[str, Any]:
        began = time.perf_counter()
        settings = _settings({**inputs, "mode": "tile"}, "mode", *TILE_SETTINGS)
        measurement = self._measure(inputs, settings, on_batch, reduce=None)
        arrays = {"features": measurement.features, "box": measurement.regions.box}
        return self._outputs(inputs, arrays, measurement, began)

    def _measure(
        self,
        inputs: dict[str, Any],
        settings: CropSettings,
        on_batch: OnBatch,
        reduce: Literal["mean"] | None = "mean",
    ) -> Measurement:
        image = self._exchange.receive("image", inputs["image"])
        labels = self._exchange.receive("labels", inputs["labels"]) if "labels" in inputs else None
        return measure(self.embedder, image, labels, settings, on_batch, reduce)

    def _outputs(
        self, inputs: dict[str, Any], arrays: dict[str, NDArray[Any]], measurement: Measurement, began: float
    ) -> dict[str, Any]:
        send = self._exchange.sender(inputs["image"])
        failed = [
            {"object_number": problem.object_number, "channel": problem.channel, "reason": problem.reason}
            for problem in measurement.problems
        ]
        outputs = {name: send(name, array) for name, array in arrays.items()}
        return {**outputs, "failed": failed, "seconds": time.perf_counter() - began}


def _settings(inputs: dict[str, Any], *names: str) -> CropSettings:
    """Make settings of those of the named inputs that a host has sent.

    Without a diameter every box fills the network's view: the median of one image would be another one in the next.
    """
    settings = CropSettings(**{name: inputs[name] for name in names if name in inputs})
    return replace(settings, scale="each") if settings.needs_diameter else settings
