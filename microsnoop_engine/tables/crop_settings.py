"""Keep with a table how its objects were cropped, and tell where two tables differ."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

ALIKE = 1.1
"""Typical diameters within this factor are alike: each run finds its own, if none is given."""
_NO_NUMBER_CHANGES = ("drop_border",)


def crops_text(run: Mapping[str, Any]) -> str:
    """Return the settings of the crops of a run as JSON, with its object set; blank if it does not say them.

    Parameters
    ----------
    run : dict
        See :func:`.describe_run`.

    Returns
    -------
    str

    Examples
    --------
    >>> crops_text({"objects": "Nuclei", "settings": {"mask": "box", "drop_border": True}})
    '{"objects": "Nuclei", "mask": "box"}'
    """
    if not isinstance(run.get("settings"), Mapping) or "objects" not in run:
        return ""
    settings = {name: value for name, value in run["settings"].items() if name not in _NO_NUMBER_CHANGES}
    return json.dumps({"objects": run["objects"], **settings})


def crops_by_objects(texts: list[str]) -> dict[str, dict[str, Any]]:
    """Return settings by the object set.

    Parameters
    ----------
    texts : list of str
        Results of :func:`crops_text`.

    Returns
    -------
    dict of str to dict
    """
    found: dict[str, dict[str, Any]] = {}
    for text in texts:
        try:
            settings = json.loads(text) if text else None
        except ValueError:
            continue
        if isinstance(settings, dict):
            found[str(settings.pop("objects", ""))] = settings
    return found


def differing_crops(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Find the settings of crops that differ; one that either does not know is not compared.

    Typical diameters count where both tables were scaled by them, and only if they are not alike.

    Parameters
    ----------
    first, second : mapping

    Returns
    -------
    dict of str to tuple
        Both values by the name of the setting.

    Examples
    --------
    >>> differing_crops({"scale": "auto", "diameter": 30.0}, {"scale": "auto", "diameter": 31.0, "mask": "box"})
    {}
    >>> differing_crops({"mask": "object", "diameter": 30.0}, {"mask": "box", "diameter": 90.0})
    {'mask': ('object', 'box')}
    """
    shared = [name for name in first if name in second and first[name] != second[name]]
    differing = {name: (first[name], second[name]) for name in shared if name != "diameter"}
    if all(settings.get("scale") == "auto" and settings.get("diameter") for settings in (first, second)):
        diameters = float(first["diameter"]), float(second["diameter"])
        if max(diameters) > ALIKE * min(diameters):
            differing["diameter"] = diameters
    return differing
