"""Read a folder of CellProfiler exports, one per site or plate, as one table."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from ..errors import InputError
from ..storage.paths import files_in
from .cellprofiler_exports import open_csv_folder
from .columns import METADATA, TABLE_NUMBER
from .keys import key_column
from .provenance import below_each_other
from .source import TableSource

log = logging.getLogger(__name__)


def site_folders(folder: Path) -> list[Path]:
    """List the folders below a folder that hold a CellProfiler export; none if it holds one itself."""
    files = [name for name in files_in(folder) if name.name.endswith(("Image.csv", "Image.csv.gz"))]
    if any(len(name.parts) == 1 for name in files):
        return []
    return [folder.joinpath(*parts) for parts in sorted({name.parts[:-1] for name in files})]


def open_site_folders(folder: Path, sites: Sequence[Path], objects: str | None = None) -> TableSource:
    """Open CellProfiler exports as one table, to be read one after the other.

    Parameters
    ----------
    folder : Path
    sites : sequence of Path
        The folders below it, each with an export. Images of all are numbered from 1, so the column ``TableNumber``
        tells them apart: 1 for the first folder.
    objects : str, optional
        The object set whose rows to read; see :func:`.open_csv_folder`.

    Returns
    -------
    TableSource

    Raises
    ------
    InputError
        If a folder has other features than the first one, or features by other weights.
    """
    sources = [open_csv_folder(site, objects) for site in sites]
    columns = tuple(dict.fromkeys(name for source in sources for name in source.columns))
    for name in columns:
        lacks = [source for source in sources if name not in source.columns]
        if lacks and not name.startswith((METADATA, "Image_")):
            raise InputError(f"'{lacks[0].path}' has no column {name}, which other folders of '{folder}' have")
        if lacks:
            log.warning("%d of %d folders have no column %s ('%s')", len(lacks), len(sources), name, lacks[0].path)
    texts: set[str] = set()
    if TABLE_NUMBER not in columns:
        columns = (TABLE_NUMBER, *columns)

    def read(names: Sequence[str]) -> Iterator[pd.DataFrame]:
        if not texts:
            texts.update({TABLE_NUMBER}, _text_columns(sources))
        for number, source in enumerate(sources, 1):
            here = [name for name in names if name in source.columns]
            for chunk in source.read(here or list(source.columns[:1])):
                if TABLE_NUMBER in names and TABLE_NUMBER not in here:
                    chunk[TABLE_NUMBER] = number
                for name in texts.intersection(here) - {TABLE_NUMBER}:
                    chunk[name] = key_column(chunk[name].rename(None))
                yield chunk.reindex(columns=list(names))

    provenance = below_each_other([(source.path, source.provenance) for source in sources])
    return TableSource(folder, columns, read, provenance=provenance)


def _text_columns(sources: Sequence[TableSource]) -> set[str]:
    """Find the metadata that are text in one of the folders."""
    found = set()
    for source in sources:
        names = [name for name in source.columns if name.startswith(METADATA)]
        first = next(source.read(names), None) if names else None
        if first is not None:
            found |= {name for name in names if first[name].dtype == object and first[name].notna().any()}
    return found
