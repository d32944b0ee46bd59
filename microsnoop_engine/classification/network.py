"""Refuse features that were computed in another way than those of a classifier."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from ..errors import InputError
from ..tables.provenance import Provenance, weights_of

log = logging.getLogger(__name__)


def check_network(expected: Provenance, found: Provenance, table: object) -> None:
    """Check that a table was measured with the network that a classifier was trained on.

    Parameters
    ----------
    expected, found : Provenance
        Of the classifier, and of the table.
    table : str, Path or other
        For messages.

    Raises
    ------
    InputError
        If the weights differ. Another precision, or a table that does not say it, is logged as a warning.
    """
    if not expected:
        return
    names, precisions = (
        [" and ".join(getattr(each, part) for each in side) for side in (expected, found)]
        for part in ("name", "precision")
    )
    if not found:
        log.warning("'%s' does not say which weights measured it; the classifier is for %s", table, names[0])
        return
    if weights_of(found) != weights_of(expected):
        raise InputError(
            f"'{table}' was measured with {names[1]}, the classifier was trained on {names[0]}: measure with the same "
            "weights, or train another classifier"
        )
    if precisions[0] != precisions[1]:
        log.warning(
            "'%s' was measured in %s, the table that the classifier was trained on in %s: probabilities may shift",
            table,
            precisions[1],
            precisions[0],
        )


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
            raise InputError(
                f"`{name}` is {found[name]}, but the classifier was trained on objects measured with {expected[name]}: "
                "measure with the same, or train another classifier"
            )
