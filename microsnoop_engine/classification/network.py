"""Refuse features that another network computed than those of a classifier."""

from __future__ import annotations

import logging

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
