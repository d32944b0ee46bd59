"""Keep with a table by which weights, in which precision, of which crops and by which program its features are."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..storage.atomic import write_atomic
from ..storage.paths import path_kind, read_if_there, remove
from .columns import parse_feature
from .crop_settings import crops_by_objects, differing_crops

log = logging.getLogger(__name__)

KEYS = ("weights", "precision", "crops", "handcrafted")
"""Names in the metadata of a table: of the schema of Parquet, ``uns["microsnoop"]`` of AnnData, a file beside a CSV."""
ENTRY = "microsnoop"
"""The entry of ``uns`` of AnnData."""
_SEPARATOR = "; "
SHIFTS = {"microsnoop-fast": (0.024, 0.086), "microsnoop-base": (0.138, 1.047)}
"""Largest shift of the mean between bfloat16 and float32 on a CPU, in standard deviations of the cells: of whole boxes,
and with the mask ``object`` (benchmarks/results/precision.md)."""


@dataclass(frozen=True)
class Computed:
    """Describe how learned features were computed.

    Attributes
    ----------
    weights : str
        Name and hash.
    precision : str
        Several, joined by ``and``, where rows differ; blank where it is not known.
    crops : str
        Object set and settings of the crops (see :func:`.crops_text`); blank where they are not known.
    """

    weights: str
    precision: str
    crops: str = ""

    @property
    def name(self) -> str:
        """Name of the weights, with the beginning of their hash."""
        name, _, sha256 = self.weights.rpartition(" ")
        return f"{name} ({sha256[:12]})" if name else self.weights

    def __str__(self) -> str:
        return f"{self.name} in {self.precision}" if self.precision else self.name


@dataclass(frozen=True)
class Handcrafted:
    """Name the program that measured handcrafted features, since programs define them differently.

    Attributes
    ----------
    program : str
        With its version, such as ``CellProfiler 4.2.8.1``.
    """

    program: str

    @property
    def name(self) -> str:
        """Name of the program without its version."""
        return self.program.split(" ")[0]

    def __str__(self) -> str:
        return self.program


Provenance = tuple[Computed | Handcrafted, ...]
"""One for each network and object set, and for each program, of a table; empty if that is not known."""


def learned(provenance: Provenance) -> tuple[Computed, ...]:
    """Return what is known of the learned features."""
    return tuple(entry for entry in provenance if isinstance(entry, Computed))


def handcrafted(provenance: Provenance) -> tuple[Handcrafted, ...]:
    """Return what is known of the handcrafted features."""
    return tuple(entry for entry in provenance if isinstance(entry, Handcrafted))


def as_metadata(provenance: Provenance) -> dict[str, str]:
    """Return the entries of a table's metadata.

    Examples
    --------
    >>> as_metadata((Computed("microsnoop-fast 0a1b", "float32"), Handcrafted("cp_measure 0.3.0")))
    {'weights': 'microsnoop-fast 0a1b', 'precision': 'float32', 'handcrafted': 'cp_measure 0.3.0'}
    """
    computed, programs = learned(provenance), handcrafted(provenance)
    crops = [entry.crops for entry in computed]
    values = (
        [entry.weights for entry in computed],
        [entry.precision for entry in computed],
        crops if any(crops) else [],
        [entry.program for entry in programs],
    )
    return {key: _SEPARATOR.join(found) for key, found in zip(KEYS, values, strict=True) if found}


def from_metadata(metadata: Mapping[Any, Any] | None) -> Provenance:
    """Read the entries of a table's metadata, text or bytes; empty if there are none."""
    entries: dict[str, list[str]] = {}
    for key in KEYS:
        value = (metadata or {}).get(key, (metadata or {}).get(key.encode()))
        if value is not None:
            entries[key] = (value.decode() if isinstance(value, bytes) else str(value)).split(_SEPARATOR)
    weights, precisions, crops, programs = (entries.get(key, []) for key in KEYS)
    crops = crops if len(crops) == len(weights) else [""] * len(weights)
    computed = map(Computed, weights, precisions, crops) if len(weights) == len(precisions) and any(weights) else ()
    return (*computed, *(Handcrafted(program) for program in programs if program))


def below_each_other(tables: Sequence[tuple[object, Provenance]]) -> Provenance:
    """Return the provenance of the rows of several tables in the same columns.

    Parameters
    ----------
    tables : sequence of (name, Provenance)
        The name is for messages.

    Returns
    -------
    Provenance

    Raises
    ------
    InputError
        If their weights differ, or the programs of their handcrafted features: the numbers in a column would mean
        different things. Different precisions are logged as a warning, with the distance that was measured between
        them, and so are different crops.
    """
    return (
        *_learned_below([(name, learned(provenance)) for name, provenance in tables if learned(provenance)]),
        *_handcrafted_below(
            [(name, handcrafted(provenance)) for name, provenance in tables if handcrafted(provenance)]
        ),
    )


def _learned_below(tables: Sequence[tuple[object, tuple[Computed, ...]]]) -> Provenance:
    if not tables:
        return ()
    first, expected = tables[0]
    warned = False
    for name, provenance in tables[1:]:
        if weights_of(provenance) != weights_of(expected):
            raise InputError(
                f"'{first}' and '{name}' were measured with different weights ({_names(expected)}; "
                f"{_names(provenance)}), whose features cannot be compared: measure all with the same weights"
            )
        warned = warned or _warn_of_crops((first, expected), (name, provenance))
    merged = []
    for number, computed in enumerate(expected):
        alike = dict.fromkeys(_counterpart(computed, number, provenance).precision for _, provenance in tables)
        precisions = [precision for precision in alike if precision]
        if len(precisions) > 1:
            log.warning("%s", precision_warning(computed.weights, precisions))
        merged.append(replace(computed, precision=" and ".join(precisions)))
    return tuple(merged)


def _handcrafted_below(tables: Sequence[tuple[object, tuple[Handcrafted, ...]]]) -> Provenance:
    for name, programs in tables[1:]:
        first, expected = tables[0]
        if {program.name for program in programs} != {program.name for program in expected}:
            raise InputError(
                f"'{first}' and '{name}' hold handcrafted features of different programs ({_listed(expected)}; "
                f"{_listed(programs)}), which give other numbers under the same names: measure all with one program"
            )
    return tuple(dict.fromkeys(program for _, programs in tables for program in programs))


def side_by_side(
    first: tuple[object, Provenance, Iterable[str]], second: tuple[object, Provenance, Iterable[str]]
) -> Provenance:
    """Return the provenance of two tables whose columns are joined.

    Parameters
    ----------
    first, second : (name, Provenance, columns)
        The name is for messages.

    Returns
    -------
    Provenance

    Raises
    ------
    InputError
        If both hold learned features of one object set, by different weights. Different precisions are logged as a
        warning, with the distance that was measured between them, and so are different crops of one object set.
    """
    (name_a, all_of_a, columns_a), (name_b, all_of_b, columns_b) = first, second
    a, b = learned(all_of_a), learned(all_of_b)
    shared = _object_sets(columns_a) & _object_sets(columns_b)
    if shared and a and b and weights_of(a) != weights_of(b):
        raise InputError(
            f"'{name_a}' and '{name_b}' hold features of {', '.join(sorted(shared)) or 'objects'} by different weights "
            f"({_names(a)}; {_names(b)}), which cannot be compared: measure all channels with the same weights"
        )
    for computed in a:
        others = [other.precision for other in b if other.weights == computed.weights and other.precision]
        if others and computed.precision and others[0] != computed.precision:
            log.warning("%s", precision_warning(computed.weights, [computed.precision, *others]))
    _warn_of_crops((name_a, a), (name_b, b))
    return tuple(dict.fromkeys((*a, *b, *handcrafted(all_of_a), *handcrafted(all_of_b))))


def crops_of(provenance: Provenance) -> dict[str, dict[str, Any]]:
    """Return the settings of the crops by the object set, as far as they are known."""
    return crops_by_objects([computed.crops for computed in learned(provenance)])


def _counterpart(computed: Computed, number: int, provenance: tuple[Computed, ...]) -> Computed:
    """Return the entry of another table that is like one of a table with the same weights."""
    same = [each for each in provenance if each.weights == computed.weights]
    return next((each for each in same if each is provenance[min(number, len(provenance) - 1)]), same[0])


def _warn_of_crops(first: tuple[object, Provenance], second: tuple[object, Provenance]) -> bool:
    """Warn if one object set was cropped in two ways; return True then."""
    (name_a, a), (name_b, b) = first, second
    settings_a, settings_b = crops_of(a), crops_of(b)
    for objects in sorted(settings_a.keys() & settings_b.keys()):
        for setting, values in differing_crops(settings_a[objects], settings_b[objects]).items():
            log.warning(
                "'%s' and '%s' hold %s that were measured with different crops (`%s`: %s and %s), by which their "
                "features differ, too",
                *(name_a, name_b, objects, setting, *values),
            )
            return True
    return False


def precision_warning(weights: str, precisions: Sequence[str]) -> str:
    """Describe how far features of the same weights lie apart that were computed in different precisions."""
    name = weights.rpartition(" ")[0] or weights
    kinds = " and ".join(precisions)
    shifts = SHIFTS.get(name) if {*kinds.split(" and ")} == {"bfloat16", "float32"} else None
    distance = "by how much was not measured for these weights"
    if shifts:
        distance = (
            f"by up to {shifts[0]:.2f} standard deviations of the cells, with the mask object by up to {shifts[1]:.2f}"
        )
    return (
        f"features by {name} were computed in {kinds}, which moves all cells together: {distance}. To be sure, measure "
        "all in float32 (`precision`)"
    )


def weights_of(provenance: Provenance) -> tuple[str, ...]:
    """Return the weights of a provenance, each once."""
    return tuple(dict.fromkeys(computed.weights for computed in learned(provenance)))


def describe(provenance: Provenance) -> str:
    """Describe a provenance in a line, for a report; blank if it is not known."""
    return ", ".join(dict.fromkeys(map(str, provenance)))


def write_beside(path: Path, provenance: Provenance) -> None:
    """Write a provenance beside a table whose format has no metadata, as ``NAME.json``, or remove an old one.

    It states the size of the table, so that it does not count for another table of that name. A file of that name that
    is none of ours stays, with a warning.
    """
    companion = path.with_name(f"{path.name}.json")
    if provenance and path_kind(companion) and _read(companion) is None:
        log.warning("'%s' is not ours and stays: '%s' does not keep weights and precision", companion, path.name)
    elif provenance:
        content = {**as_metadata(provenance), "bytes": _size(path)}
        write_atomic(companion, (json.dumps(content, indent=1) + "\n").encode())
    elif _read(companion) is not None:
        remove(companion)


def read_beside(path: Path) -> Provenance:
    """Read the provenance beside a table; empty if there is none, or it is that of another table."""
    content = _read(path.with_name(f"{path.name}.json"))
    return from_metadata(content) if content and content["bytes"] == _size(path) else ()


def _read(companion: Path) -> dict[str, Any] | None:
    """Read a companion; None for a file that is none."""
    if not path_kind(companion):
        return None
    try:
        content = json.loads(read_if_there(companion) or b"")
    except ValueError:
        return None
    ours = isinstance(content, dict) and "bytes" in content and bool(from_metadata(content))
    return content if ours else None


def _size(path: Path) -> int:
    return path.stat().st_size


def _object_sets(columns: Iterable[str]) -> set[str]:
    return {feature.objects for name in columns if (feature := parse_feature(str(name)))}


def _names(provenance: Provenance) -> str:
    return ", ".join(dict.fromkeys(computed.name for computed in learned(provenance)))


def _listed(programs: Sequence[Handcrafted]) -> str:
    return " and ".join(map(str, programs))
