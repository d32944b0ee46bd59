"""Find out which network computed the features of a table, and refuse those of another one."""

from __future__ import annotations

import logging
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import InputError
from ..storage.paths import as_path, for_arrow, path_kind
from ..tables.parquet_files import TABLE, table_files

log = logging.getLogger(__name__)

KEYS = ("weights", "precision")
"""What the metadata of a table of ``microsnoop profile`` say of its features."""


def computed_by(table: object) -> dict[str, str]:
    """Read by which weights and in which precision the features of a table were computed.

    Parameters
    ----------
    table : str, Path or other
        A results folder of ``microsnoop profile``, or a Parquet file or data set.

    Returns
    -------
    dict of str to str
        ``weights`` (name and hash) and ``precision``; empty where the table does not say so.
    """
    if not isinstance(table, str | Path) and not hasattr(table, "__fspath__"):
        return {}
    path = as_path(table) if isinstance(table, str) else Path(table)
    path = path / TABLE if path_kind(path / TABLE) else path
    file = next(iter(table_files(path)), None) if path_kind(path) == "folder" else path
    if file is None or file.suffix not in (".parquet", ".pq"):
        return {}
    try:
        name, filesystem = for_arrow(file)
        metadata = pq.read_schema(name, filesystem=filesystem).metadata or {}
    except (pa.ArrowInvalid, OSError):  # reading the rows says what is wrong with it
        return {}
    return {key: metadata[key.encode()].decode() for key in KEYS if key.encode() in metadata}


def check_network(expected: dict[str, str], found: dict[str, str], table: object) -> None:
    """Check that a table was measured with the network that a classifier was trained on.

    Parameters
    ----------
    expected, found : dict of str to str
        Of the classifier, and of the table (see :func:`computed_by`).
    table : str, Path or other
        For messages.

    Raises
    ------
    InputError
        If the weights differ. Another precision, or a table that does not say it, is logged as a warning.
    """
    if not expected.get("weights"):
        return
    if not found.get("weights"):
        log.warning(
            "'%s' does not say which weights measured it; the classifier is for %s", table, short_name(expected)
        )
        return
    if found["weights"] != expected["weights"]:
        raise InputError(
            f"'{table}' was measured with {short_name(found)}, the classifier was trained on {short_name(expected)}: "
            "measure with the same weights, or train another classifier"
        )
    if found.get("precision") != expected.get("precision"):
        log.warning(
            "'%s' was measured in %s, the table that the classifier was trained on in %s: probabilities may shift",
            table,
            found.get("precision"),
            expected.get("precision"),
        )


def short_name(network: dict[str, str]) -> str:
    """Return the name of weights with the beginning of their hash.

    Examples
    --------
    >>> short_name({"weights": "microsnoop-fast 0123456789abcdef"})
    'microsnoop-fast (0123456789ab)'
    """
    name, _, sha256 = network["weights"].rpartition(" ")
    return f"{name} ({sha256[:12]})" if name else network["weights"]
