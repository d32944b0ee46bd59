"""Refuse features that were computed in another way than those of a classifier."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from ..errors import InputError
from ..tables.provenance import Provenance, handcrafted, learned, weights_of

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
        names = [" and ".join(each.name for each in side) for side in (wanted, there)]
        if wanted and not there:
            what = "weights" if kind is learned else "program"
            log.warning("'%s' does not say which %s measured it; the classifier is for %s", table, what, names[0])
        elif wanted and not _goes_with(wanted, there):
            what = "weights" if kind is learned else "program"
            raise InputError(
                f"'{table}' was measured with {names[1]}, the classifier was trained on {names[0]}: measure with the "
                f"same {what}, or train another classifier"
            )
    precisions = [" and ".join(computed.precision for computed in learned(side)) for side in (expected, found)]
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
