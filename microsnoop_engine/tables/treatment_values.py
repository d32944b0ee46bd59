"""Take doses of treatments that differ by rounding alone for one, and name doses and names that may be one."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import counted, listing
from ..evaluation.table import has_word
from .keys import key_text

log = logging.getLogger(__name__)

EQUAL = 1e-6
"""Numbers within this share of each other are equal: the rounding of 32 bits is ten times smaller."""
SIMILAR = 0.03
"""Within this share, a number that is another one with fewer decimals may be the same."""


def unify_treatments(frame: pd.DataFrame, columns: Sequence[str | None]) -> pd.DataFrame:
    """Write numbers of treatments that are equal but for the rounding of 32 bits in one way.

    Numbers of one compound of which one has fewer decimals, and names that differ in blanks, in capitals or in how a
    number is written, may be one: a warning names them, and they stay what they are.

    Parameters
    ----------
    frame : DataFrame
    columns : sequence of str or None
        Those that name a treatment; None is no column.

    Returns
    -------
    DataFrame
        The same, or a copy where numbers have changed.
    """
    names = [name for name in dict.fromkeys(columns) if name is not None and name in frame]
    for name in names:
        if not pd.api.types.is_float_dtype(frame[name]):
            _warn_of_similar_words(frame[name])
            continue
        values = frame[name].to_numpy(np.float64)
        written, merged = _written_alike(values)
        if merged:
            log.info("%s: %s differ by rounding alone and are one number each", name, listing(merged, 3))
            frame = frame.assign(**{name: written})
        others = [other for other in names if other != name]
        if pairs := _similar(frame[name].to_numpy(np.float64), frame[others]):
            log.warning(
                "%s: %s may be one number with more and with fewer decimals, but count as two. If they are one, write "
                "them alike in the table, or in the platemap that goes to aggregate",
                *(name, listing(pairs, 3)),
            )
    return frame


def _warn_of_similar_words(column: pd.Series) -> None:
    """Warn of names that differ in blanks, in capitals or in how a number is written."""
    if pd.api.types.is_numeric_dtype(column):
        return
    words = sorted(set(column[has_word(column)].astype(str)))
    by_plain: dict[str, list[str]] = {}
    for word in words:
        by_plain.setdefault(key_text(" ".join(word.split())).casefold(), []).append(word)
    several = [alike for alike in by_plain.values() if len(alike) > 1]
    if several:
        log.warning(
            "%s: %s in several spellings, such as '%s' and '%s', which count as different treatments. If they are one, "
            "write them alike in the table, or in the platemap that goes to aggregate",
            *(column.name, counted(len(several), "names are", "name is"), *several[0][:2]),
        )


def _written_alike(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], list[str]]:
    """Replace each of several equal numbers by the one with the fewest digits; return what was replaced, as text."""
    unique = np.unique(values[np.isfinite(values)])
    if len(unique) < 2:
        return values, []
    apart = np.abs(np.diff(unique)) > EQUAL * np.maximum(np.abs(unique[1:]), np.abs(unique[:-1]))
    groups = np.split(unique, np.flatnonzero(apart) + 1)
    result, merged = values.copy(), []
    for group in groups:
        if len(group) > 1:
            shortest = min(group, key=lambda number: len(repr(float(number))))
            result[np.isin(values, group)] = shortest
            merged.append(" and ".join(repr(float(number)) for number in group))
    return result, merged


def _similar(values: NDArray[np.float64], others: pd.DataFrame) -> list[str]:
    """Return pairs of numbers of one compound of which one is the other with fewer decimals."""
    unique = np.unique(values[np.isfinite(values)])
    keys = np.zeros(len(values)) if others.empty else others.groupby(list(others), dropna=False).ngroup().to_numpy()
    return [
        f"{float(low)!r} and {float(high)!r}"
        for low, high in pairwise(unique)
        if high - low <= SIMILAR * max(abs(low), abs(high))
        and _is_rounded(low, high)
        and np.intersect1d(keys[values == low], keys[values == high]).size
    ]


def _is_rounded(first: float, second: float) -> bool:
    """Return True if one of two numbers is the other one, rounded to its decimals."""
    decimals = [max(-int(Decimal(repr(float(number))).as_tuple().exponent), 0) for number in (first, second)]
    few, many = (first, second) if decimals[0] < decimals[1] else (second, first)
    whole = float(few).is_integer()
    return decimals[0] != decimals[1] and round(many, 0 if whole else min(decimals)) == few
