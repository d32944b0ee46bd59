"""Describe a run in its manifest, and find what differs between two descriptions, also of different versions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ..images.image_set import ImageSet
from ..model.checkpoints import Card
from ..modes.settings import CropSettings
from .job import Job
from .keys import digest_of_inputs

OBJECT_QUALITY = "object quality"
"""Says that a table has the quality of its objects; tables of earlier versions lack these columns."""
_NOT_COMPARED = ("results", "shared_folders")
"""Parts of a job that change no number."""
_OTHER_BEFORE = ("normalize", "scale")
"""Settings without which earlier versions did something else than the default now does."""


def describe_run(
    image_sets: Sequence[ImageSet], job: Job, card: Card, precision: str, object_quality: bool = False
) -> dict[str, Any]:
    """Describe a run: all but its inputs must not change when it is continued.

    Parameters
    ----------
    image_sets : sequence of ImageSet
    job : Job
    card : Card
        Card of the weights.
    precision : str
        Precision in which the network computes.
    object_quality : bool
        The table has the quality of its objects.

    Returns
    -------
    dict
        JSON values.
    """
    return {
        "inputs": digest_of_inputs(image_sets),
        "image sets": len(image_sets),
        **_description(job),
        **({OBJECT_QUALITY: True} if object_quality else {}),
        "weights": f"{card.name} {card.sha256}",
        "precision": precision,
    }


def differing_settings(before: dict[str, Any], now: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Find the settings that differ between two runs.

    A setting that one of the versions did not have yet counts as its default, if that changes nothing.

    Parameters
    ----------
    before, now : dict
        Results of :func:`describe_run`, of any version.

    Returns
    -------
    dict of str to tuple
        Both values by the name of the setting; None where a description lacks it.

    Examples
    --------
    >>> differing_settings({"objects": "Cells"}, {"objects": "Cells", "classical": False, "where": None})
    {}
    >>> differing_settings({"objects": "Cells"}, {"objects": "Cells", "classical": True})
    {'classical': (None, True)}
    """
    old, new, default = _flat(before), _flat(now), _defaults()
    return {
        name: (old.get(name), new.get(name))
        for name in {**old, **new}
        if old.get(name, default.get(name)) != new.get(name, default.get(name))
    }


def _description(job: Job) -> dict[str, Any]:
    values = json.loads(json.dumps(asdict(job)))
    return {name.replace("_", " "): value for name, value in values.items() if name not in _NOT_COMPARED}


def _defaults() -> dict[str, Any]:
    """Return the settings of a run that chooses nothing but its channels and objects."""
    default = _flat(_description(Job((), "", CropSettings())))
    return {name: value for name, value in default.items() if name not in ("channels", "objects", *_OTHER_BEFORE)}


def _flat(run: dict[str, Any]) -> dict[str, Any]:
    """Move the settings of crops and of the segmentation beside the other settings."""
    flat: dict[str, Any] = {}
    for name, value in json.loads(json.dumps(run)).items():
        if isinstance(value, dict):
            prefix = "" if name == "settings" else f"{name} "
            flat |= {f"{prefix}{key}": part for key, part in value.items()}
        else:
            flat[name] = value
    return flat
