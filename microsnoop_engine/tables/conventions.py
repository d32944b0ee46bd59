"""Call the columns of other programs by the names that CellProfiler users know."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pandas as pd

from .columns import IMAGE_NUMBER, IMAGE_SET, METADATA, OBJECT_NUMBER, TABLE_NUMBER, WELL
from .source import TableSource

_OF_THE_IMAGE = f"{IMAGE_SET}_{METADATA}"
_IN_CARTA_WELL = "WELL LABEL"
_IN_CARTA = {
    _IN_CARTA_WELL: WELL,
    "OBJECT ID": OBJECT_NUMBER,
    "FOV": f"{METADATA}Site",
    **{name: f"{METADATA}{name}" for name in ("Row", "Column", "Z", "T")},
}


def conventional(source: TableSource) -> TableSource:
    """Rename the columns of CytoTable's and In Carta's tables; others stay as they are.

    Parameters
    ----------
    source : TableSource

    Returns
    -------
    TableSource
        ``Image_Metadata_Well`` of CytoTable is ``Metadata_Well``, its ``Metadata_ImageNumber`` is ``ImageNumber``.
        ``WELL LABEL`` of In Carta is ``Metadata_Well``, its ``OBJECT ID`` is ``ObjectNumber``.
    """
    names = {name: name for name in source.columns}
    taken = set(names)
    for name in source.columns:
        new = _conventional_name(name, taken)
        if new != name and new not in taken:
            names[name] = new
            taken.add(new)
    if all(old == new for old, new in names.items()):
        return source
    original = {new: old for old, new in names.items()}

    def read(columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        for chunk in source.read([original[name] for name in columns]):
            yield chunk.rename(columns=names)

    features = None if source.features is None else tuple(names[name] for name in source.features)
    return replace(source, columns=tuple(names.values()), read=read, features=features)


def _conventional_name(name: str, columns: set[str]) -> str:
    if _IN_CARTA_WELL in columns:
        return _IN_CARTA.get(name, name)
    if name.startswith(_OF_THE_IMAGE):
        return name.removeprefix(f"{IMAGE_SET}_")
    bare = name.removeprefix(METADATA)
    return bare if bare in (TABLE_NUMBER, IMAGE_NUMBER, OBJECT_NUMBER) else name
