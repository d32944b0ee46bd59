"""Write a classifier to one file, and read it back: arrays and a description as JSON, no code."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import InputError
from ..storage.atomic import write_atomic
from ..storage.paths import read_bytes
from ..tables.outputs import check_output
from ..tables.provenance import Provenance, as_metadata, from_metadata
from .classifier import Classifier

SUFFIX = ".safetensors"
_ARRAYS = ("mean", "scale", "weights", "bias")
_ENTRY = "microsnoop_classifier"


@dataclass(frozen=True)
class TableClassifier:
    """A classifier and the columns that it takes.

    Attributes
    ----------
    classifier : Classifier
    features : tuple of str
        p feature columns.
    network : Provenance
        Weights and precision of the features; empty where that is not known.
    scores : dict of str to float
        ``balanced_accuracy``, ``calibration_error`` and the number of ``cells`` of the training, as a note.
    crops : dict of str to float or str
        Settings of the crops around the objects, such as ``rescale_constant``; empty where they are not known.
    """

    classifier: Classifier
    features: tuple[str, ...]
    network: Provenance = ()
    scores: dict[str, float] = field(default_factory=dict)
    crops: dict[str, float | str] = field(default_factory=dict)


def save_classifier(path: Path, model: TableClassifier) -> None:
    """Write a classifier as safetensors.

    Parameters
    ----------
    path : Path
        Ends in .safetensors.
    model : TableClassifier

    Raises
    ------
    InputError
        If it ends differently or cannot be written.
    """
    from safetensors.numpy import save

    check_output(path, (SUFFIX,))
    classifier = model.classifier
    description = {
        "classes": classifier.classes,
        "regularization": classifier.regularization,
        "temperature": classifier.temperature,
        "features": model.features,
        "network": as_metadata(model.network),
        "scores": model.scores,
        "crops": model.crops,
    }
    arrays = {name: getattr(classifier, name) for name in _ARRAYS}
    write_atomic(path, save(arrays, metadata={_ENTRY: json.dumps(description)}))


def load_classifier(path: Path) -> TableClassifier:
    """Read a classifier that :func:`save_classifier` wrote.

    Parameters
    ----------
    path : Path

    Returns
    -------
    TableClassifier

    Raises
    ------
    InputError
        If there is no such file, or it holds anything else.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        content = read_bytes(path)
        arrays = load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        entry = json.loads(header["__metadata__"][_ENTRY])
        classifier = Classifier(
            tuple(entry["classes"]),
            **{name: arrays[name] for name in _ARRAYS},
            regularization=entry["regularization"],
            temperature=entry["temperature"],
        )
        if classifier.weights.shape != (len(entry["classes"]), len(entry["features"])):
            raise KeyError("weights")
        return TableClassifier(
            classifier,
            tuple(entry["features"]),
            from_metadata(entry["network"]),
            entry["scores"],
            entry.get("crops", {}),
        )
    except FileNotFoundError:
        raise InputError(f"there is no classifier '{path}': write one with 'microsnoop classify train'") from None
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"'{path}' holds no classifier of 'microsnoop classify train' ({type(error).__name__}): choose another file"
        ) from None
