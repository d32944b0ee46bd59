"""Classify the rows of a host from labeled examples, or by a classifier that was saved."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..classification.application import CLASS, PROBABILITY, apply_to_table
from ..classification.model_file import SUFFIX, TableClassifier, load_classifier, save_classifier
from ..classification.network import check_crops, check_crops_of_table, check_network
from ..classification.summary import accuracy_sentence, training_lines
from ..classification.training import train_on_table
from ..errors import InputError, counted
from ..tables.columns import IMAGE_NUMBER, OBJECT_NUMBER, feature_columns, parse_feature
from ..tables.crop_settings import crops_text
from ..tables.outputs import check_output
from ..tables.provenance import Provenance, handcrafted, learned
from ..tables.source import TableSource, in_memory
from .arrays import ArrayTransport

OBJECTS = "Objects"
"""Begins the columns where the host gives no other name."""
LABEL = "Metadata_Label"
_ROWS = Path("the image")
"""What messages call the rows of a host."""

Task = Callable[[dict[str, Any], Callable[[int, int], None]], dict[str, Any]]


def class_tasks(exchange: ArrayTransport, provenance: Callable[[], Provenance]) -> dict[str, tuple[Task, set[str]]]:
    """Return the tasks on classes by name, each with the names of its inputs.

    Parameters
    ----------
    exchange : ArrayTransport
    provenance : callable
        Returns how the worker computes features.
    """
    return {
        "check_classifier": (
            lambda inputs, _: check_classifier(provenance(), inputs),
            {"path", "channels", "crops"},
        ),
        "classify": (
            lambda inputs, _: classify(exchange, provenance(), inputs),
            {"features", "channels", "objects", "image_number", "examples", "classifier", "save", "crops"},
        ),
    }


def check_classifier(provenance: Provenance, inputs: dict[str, Any]) -> dict[str, Any]:
    """Check, before anything is measured, that a saved classifier goes with the channels and settings of a host.

    Parameters
    ----------
    provenance : Provenance
        Of the worker.
    inputs : dict
        ``path``, ``channels`` and optionally ``crops``, the settings of the crops.

    Returns
    -------
    dict
        ``classes``, their names.

    Raises
    ------
    InputError
        If the file is no classifier, or it needs other channels, weights or settings.
    """
    path = _absolute("path", inputs["path"])
    model = load_classifier(path)
    objects = _object_set(model, path, [str(name) for name in inputs.get("channels") or ()])
    crops = dict(inputs.get("crops") or {})
    check_network(model.network, provenance, _ROWS)
    check_crops(model.crops, crops)
    check_crops_of_table(model, _with_crops(provenance, objects, crops), _ROWS)
    return {"classes": list(model.classifier.classes)}


def classify(exchange: ArrayTransport, provenance: Provenance, inputs: dict[str, Any]) -> dict[str, Any]:
    """Learn classes from the labeled rows, or take a saved classifier, and classify all rows.

    Parameters
    ----------
    exchange : ArrayTransport
    provenance : Provenance
        Of the worker, which measured the rows.
    inputs : dict
        ``features`` (n, channels x dimension), ``channels``, and either ``examples``, n names of classes (blank: none),
        or ``classifier``, the path of a saved one. With ``examples`` optionally ``image_number`` (n,): images that are
        held out together, ``objects``, which begins the names of the features, and ``save``, the path of the new
        classifier. Optionally ``crops``, the settings of the crops.

    Returns
    -------
    dict
        ``classes``, their k names; ``class`` (n,), int32, from 1, 0 for a row with missing features; ``probabilities``
        (n, k), float32; ``warnings``; of a training also ``accuracy``, a sentence, and ``training``, lines.

    Raises
    ------
    InputError
        If there are too few examples, or the classifier does not go with the rows.
    """
    features = exchange.receive("features", inputs["features"])
    channels = [str(name) for name in inputs.get("channels") or ()]
    if features.ndim != 2 or not channels or features.shape[1] % len(channels):
        raise InputError(f"features of shape {features.shape} do not go with {counted(len(channels), 'channels')}")
    given = [name for name in ("examples", "classifier") if inputs.get(name)]
    if len(given) != 1:
        raise InputError("classify needs either examples or a classifier")
    crops = dict(inputs.get("crops") or {})
    described: dict[str, Any] = {}
    with _warnings() as warnings:
        if given == ["examples"]:
            save = _absolute("save", inputs["save"]) if inputs.get("save") else None
            if save is not None:
                check_output(save, (SUFFIX,))
            objects = str(inputs.get("objects") or OBJECTS)
            source = _table(features, objects, channels, _with_crops(provenance, objects, crops))
            source = _with_examples(exchange, source, inputs, len(features))
            training = train_on_table(source, label=LABEL)
            model = replace(training.model, crops=crops)
            if save is not None:
                save_classifier(save, model)
            described = {"accuracy": accuracy_sentence(training), "training": training_lines(training)}
        else:
            path = _absolute("classifier", inputs["classifier"])
            model = load_classifier(path)
            check_crops(model.crops, crops)
            objects = _object_set(model, path, channels)
            source = _table(features, objects, channels, _with_crops(provenance, objects, crops))
        frame = apply_to_table(source, model).frame
    classes = list(model.classifier.classes)
    numbers = pd.Categorical(frame[CLASS], classes).codes.astype(np.int32) + 1
    probabilities = np.ascontiguousarray(frame[[f"{PROBABILITY}{name}" for name in classes]], np.float32)
    send = exchange.sender(inputs["features"])
    return {
        "classes": classes,
        "class": send("class", numbers.astype(np.int32)),
        "probabilities": send("probabilities", probabilities),
        "warnings": warnings,
        **described,
    }


def _with_crops(provenance: Provenance, objects: str, crops: dict[str, Any]) -> Provenance:
    """Add how a host has cropped the objects; its diameter has a meaning of its own."""
    text = crops_text({"objects": objects, "settings": {k: v for k, v in crops.items() if k != "diameter"}})
    if not crops:
        return provenance
    return (*(replace(computed, crops=text) for computed in learned(provenance)), *handcrafted(provenance))


def _table(features: NDArray[Any], objects: str, channels: Sequence[str], provenance: Provenance) -> TableSource:
    """Name the columns of features."""
    names = feature_columns(objects, channels, features.shape[1] // len(channels))
    return replace(in_memory(pd.DataFrame(features, columns=names), _ROWS), provenance=provenance)


def _with_examples(exchange: ArrayTransport, source: TableSource, inputs: dict[str, Any], count: int) -> TableSource:
    """Add labels and keys to the rows."""
    examples = inputs["examples"]
    images = np.ones(count, np.int64)
    if "image_number" in inputs:
        images = exchange.receive("image_number", inputs["image_number"])
    if not isinstance(examples, list) or len(examples) != count or len(images) != count:
        raise InputError(f"`examples` and `image_number` must have a value for each of the {counted(count, 'rows')}")
    (frame,) = source.chunks()
    labels = [str(name) if name else None for name in examples]
    keys = pd.DataFrame({IMAGE_NUMBER: images, OBJECT_NUMBER: np.arange(1, count + 1), LABEL: labels})
    return replace(in_memory(pd.concat([frame, keys], axis=1), _ROWS), provenance=source.provenance)


def _object_set(model: TableClassifier, path: Path, channels: Sequence[str]) -> str:
    """Return the object set whose learned features a classifier takes, if they are those of the channels."""
    features = [parse_feature(name) for name in model.features]
    known = [feature for feature in features if feature is not None]
    objects = {feature.objects for feature in known}
    if len(known) < len(features) or len(objects) != 1:
        raise InputError(
            f"the classifier '{path.name}' takes more than the learned features of one kind of objects: train another "
            "on these alone"
        )
    needed = list(dict.fromkeys(feature.channel for feature in known))
    if missing := [name for name in needed if name not in channels]:
        raise InputError(
            f"the classifier '{path.name}' needs the channels {', '.join(needed)}, but no {', '.join(missing)} is "
            f"among {', '.join(channels)}: choose these channels, or give yours these names, as in 1={needed[0]}"
        )
    return objects.pop()


def _absolute(name: str, path: object) -> Path:
    """Return a path of a host, whose folder is not that of the worker."""
    result = Path(str(path)).expanduser()
    if not result.is_absolute():
        raise InputError(f"`{name}` is '{path}': give the whole path of the file, from the root")
    return result


@contextmanager
def _warnings() -> Iterator[list[str]]:
    """Collect the warnings of the engine, which a host cannot see on standard error."""
    messages: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger(__package__.partition(".")[0])
    logger.addHandler(handler)
    try:
        yield messages
    finally:
        logger.removeHandler(handler)
