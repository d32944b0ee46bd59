"""Refuse features that were computed in another way, or of other crops, than those of a classifier."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from ..errors import InputError
from ..tables.columns import parse_feature
from ..tables.crop_settings import differing_crops
from ..tables.provenance import Provenance, crops_of, handcrafted, learned, weights_of
from .model_file import TableClassifier

log = logging.getLogger(__name__)


def check_network(expected: Provenance, found: Provenance, table: object) -> None:
    """Check that a table was measured with the network, and the program, that a classifier was trained on.

    Parameters
    ----------
    expected, found : Provenance
        Of the classifier, and of the table.
    table : str, Path or other
        For messages.

    Raises
    ------
    InputError
        If the weights differ, or the programs of handcrafted features. Another precision, or a table that does not say
        it, is logged as a warning.
    """
    for kind in (learned, handcrafted):
        wanted, there = kind(expected), kind(found)
        names = [" and ".join(dict.fromkeys(each.name for each in side)) for side in (wanted, there)]
        if wanted and not there:
            what = "weights" if kind is learned else "program"
            log.warning("'%s' does not say which %s measured it; the classifier is for %s", table, what, names[0])
        elif wanted and not _goes_with(wanted, there):
            what = "weights" if kind is learned else "program"
            raise InputError(
                f"'{table}' was measured with {names[1]}, the classifier was trained on {names[0]}: measure with the "
                f"same {what}, or train another classifier"
            )
    precisions = [
        " and ".join(dict.fromkeys(computed.precision for computed in learned(side))) for side in (expected, found)
    ]
    if all(precisions) and precisions[0] != precisions[1]:
        log.warning(
            "'%s' was measured in %s, the table that the classifier was trained on in %s: probabilities may shift",
            table,
            precisions[1],
            precisions[0],
        )


def _goes_with(wanted: Provenance, there: Provenance) -> bool:
    """Return True for the same weights; a table may hold handcrafted features of further programs."""
    programs = [{program.name for program in handcrafted(side)} for side in (wanted, there)]
    return weights_of(wanted) == weights_of(there) and programs[0] <= programs[1]


def check_crops_of_table(model: TableClassifier, found: Provenance, table: object) -> None:
    """Check that the objects of a table were cropped as those that a classifier was trained on.

    Parameters
    ----------
    model : TableClassifier
    found : Provenance
        Of the table.
    table : str, Path or other
        For messages.

    Raises
    ------
    InputError
        If a setting differs. Another typical diameter, by which crops were scaled, or a table that does not say how its
        objects were cropped, is logged as a warning.
    """
    known = crops_of(found)
    for objects, expected in trained_crops(model).items():
        if objects not in known:
            if found:
                settings = ", ".join(f"{name} {value}" for name, value in expected.items() if value is not None)
                log.warning(
                    "'%s' does not say how its %s were cropped; the classifier is for %s", table, objects, settings
                )
            continue
        differing = differing_crops(expected, known[objects])
        if diameters := differing.pop("diameter", None):
            log.warning(
                "'%s' was measured with a typical diameter of %.4g pixels, the table that the classifier was trained "
                "on with %.4g: if cells are of one size in both, measure with one `diameter`",
                table,
                *reversed(diameters),
            )
        for name, (before, now) in differing.items():
            raise InputError(_other_crops(name, now, before))


def trained_crops(model: TableClassifier) -> dict[str, dict[str, Any]]:
    """Return the settings of the crops that a classifier was trained on, by the object set.

    Settings that a host named are without the diameter, of which it keeps another one.
    """
    if not model.crops:
        return crops_of(model.network)
    features = [parse_feature(name) for name in model.features]
    settings = {name: value for name, value in model.crops.items() if name != "diameter"}
    return {feature.objects: settings for feature in features if feature is not None}


def check_crops(expected: Mapping[str, float | str], found: Mapping[str, float | str]) -> None:
    """Check that objects were cropped as those that a classifier was trained on.

    Parameters
    ----------
    expected, found : mapping
        Settings of the crops of the classifier and of the objects; one that either does not know is not compared.

    Raises
    ------
    InputError
        If a setting differs.
    """
    for name in expected.keys() & found.keys():
        if expected[name] != found[name]:
            raise InputError(_other_crops(name, found[name], expected[name]))


def _other_crops(name: str, now: Any, before: Any) -> str:
    return (
        f"`{name}` is {now}, but the classifier was trained on objects measured with {before}: measure with the same, "
        "or train another classifier"
    )
