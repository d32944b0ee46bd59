"""Aggregate objects to images, wells and treatments."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import InputError, counted, require_columns
from ..evaluation.table import has_word
from ..storage.paths import as_path
from .columns import COUNT, IMAGE_NUMBER, PLATE, TABLE_NUMBER, WELL, is_quality
from .consensus import modz
from .features import select_features
from .formats import open_table, write_table
from .grouping import aggregate_groups
from .mixtures import Rows, images_are_told_apart, wells_are_told_apart
from .outputs import check_output
from .platemaps import join_platemap
from .plates import holds_clock_times, plate_columns
from .source import FeatureTable, TableSource, in_memory, name_in_errors
from .spellings import one_spelling
from .treatment_values import unify_treatments

log = logging.getLogger(__name__)

LEVELS = ("image", "well", "treatment")
POOLS = ("images", "cells")


def aggregate(
    table: str | Path | pd.DataFrame | TableSource,
    level: str = "well",
    treatment: Sequence[str] = (),
    *,
    features: str | Sequence[str] = "all",
    statistic: str = "mean",
    pool: str = "images",
    min_objects: int = 1,
    plates: Sequence[str] = (),
    platemap: str | Path | pd.DataFrame | None = None,
    on: Sequence[str] = (PLATE, WELL),
    keep_values: Sequence[str] = (),
    objects: str | None = None,
    where: str | None = None,
    out: str | Path | None = None,
) -> FeatureTable:
    """Aggregate objects to images, images to wells and wells to treatments (Xun et al. 2023, Methods).

    Each level is computed from the one below: a well is the mean (or median) of its images, not of all its objects.
    Rows of different plates, batches, experiments and acquisitions are never aggregated to one image or well. ``A1``
    and ``A01`` are one well (see :func:`.one_spelling`).

    Parameters
    ----------
    table : str, Path, DataFrame or TableSource
        See :func:`.open_table`. It need not fit into memory.
    level : {'image', 'well', 'treatment'}
        What a row of the result describes.
    treatment : sequence of str
        With level ``treatment``: the columns that define a treatment, such as compound and concentration. Wells without
        a value in the first of them are not annotated: they are left out and counted.
    features : str or sequence of str
        See :func:`.select_features`.
    statistic : {'mean', 'median', 'modz'}
        ``modz`` weights the wells of a treatment by their agreement (see :func:`.modz`); images and wells are means.
    pool : {'images', 'cells'}
        Rows whose mean a well is: its images, which count alike, or all its objects.
    min_objects : int
        Rows of the result with fewer objects are left out.
    plates : sequence of str
        Columns that tell plates, batches, experiments and acquisitions apart. By default those whose names say so (see
        :func:`.plate_columns`).
    platemap : str, Path or DataFrame, optional
        Table with a row per well, joined to the wells.
    on : sequence of str
        Columns that it is joined on.
    keep_values : sequence of str
        With level ``treatment``: columns of the wells whose different values a treatment keeps, joined by spaces, such
        as its weeks (the batch of NSCB). Other columns that differ among the wells of a treatment are left out.
    objects : str, optional
        Object set of a CellProfiler export.
    where : str, optional
        Query of the rows to aggregate, by default all (see :func:`.select`).
    out : str or Path, optional
        File to write the result to, whole or not at all (see :func:`.write_table`).

    Returns
    -------
    FeatureTable
        ``Metadata_Object_Count`` counts the objects behind each row. Columns of the quality of objects, such as
        ``Nuclei_QC_Area``, are aggregated, too, and are no features.

    Raises
    ------
    InputError
        If an argument or the table cannot be used, or ``out`` cannot be written; checked before any work is done.
    """
    if out is not None:
        check_output(as_path(out), inputs=(table, platemap))
    source = one_spelling(open_table(table, objects, where))
    with name_in_errors(table):
        _check_level(source, level, treatment)
        names = select_features(source, features)
        quality = [name for name in source.columns if is_quality(name) and name not in names]
        numbers = [*quality, *names]
        if pool not in POOLS:
            raise InputError(f"`pool` is '{pool}': choose one of {', '.join(POOLS)}")
        require_columns(source.columns, plates, f"`plates`: '{source.path}'")
        if statistic == "modz" and level != "treatment":
            raise InputError("`statistic` modz needs `level` treatment: it weights the wells of a treatment")
        apart = list(plates) or _plate_columns(source, names)
        least = 1 if level == "treatment" else min_objects
        frame = _images_or_wells(source, level, numbers, statistic, least, apart, pool)
        if level != "image":
            frame = _known_wells(frame, apart, source.path)
        if platemap is not None:
            frame = join_platemap(frame, platemap, on)
        if level == "treatment":
            frame = _treatments(frame, source.path, treatment, numbers, names, statistic, min_objects, keep_values)
    if out is not None:
        write_table(frame, out, names, table, provenance=source.provenance)
    return FeatureTable(frame, names)


def _check_level(source: TableSource, level: str, treatment: Sequence[str]) -> None:
    if level not in LEVELS:
        raise InputError(f"`level` is '{level}': choose one of {', '.join(LEVELS)}")
    if level == "treatment" and not treatment:
        raise InputError("`level` treatment needs `treatment`: the columns that define one, such as Metadata_Compound")
    if level == "image" and IMAGE_NUMBER not in source.columns:
        raise InputError(f"'{source.path}' has no column {IMAGE_NUMBER}: its rows cannot be assigned to images")
    if level != "image" and WELL not in source.columns:
        raise InputError(f"'{source.path}' has no column {WELL}: add it, or rename the column that holds the well")


def _plate_columns(source: TableSource, features: Sequence[str]) -> list[str]:
    """Find the columns that tell plates apart; dates with times of day, which differ from image to image, do not."""
    found = [name for name in plate_columns(source.columns) if name not in features]
    first = next(source.chunks(found), pd.DataFrame(columns=found)) if found else pd.DataFrame()
    clocks = [name for name in found if holds_clock_times(first[name])]
    if clocks:
        log.warning(
            "%s holds times of day and is not used to tell plates apart; name it in `plates` if it does", *clocks
        )
    found = [name for name in found if name not in clocks]
    if found not in ([], [PLATE]):
        log.info("plates are told apart by %s", ", ".join(found))
    return found


def _images_or_wells(
    source: TableSource,
    level: str,
    features: Sequence[str],
    statistic: str,
    min_objects: int,
    apart: Sequence[str],
    pool: str,
) -> pd.DataFrame:
    """Aggregate to images where the table knows them and, unless images are the level, on to wells."""
    statistic = "mean" if statistic == "modz" else statistic
    rows = Rows(source, apart)
    well = list(dict.fromkeys([*apart, *(name for name in (WELL,) if name in source.columns)]))
    if IMAGE_NUMBER in source.columns:
        image = [*well, *(name for name in (TABLE_NUMBER, IMAGE_NUMBER) if name in source.columns)]
        images_only = level == "image"
        paths = [] if apart else rows.paths
        images = aggregate_groups(rows.source, image, features, statistic, min_objects if images_only else 1, paths)
        rows.refuse_repeats(apart)
        if images_only:
            return images.drop(columns=paths, errors="ignore")
        images_are_told_apart(images, apart, source.path)
        images = images.drop(columns=paths, errors="ignore")
        if pool == "images":
            return aggregate_groups(in_memory(images, source.path), well, features, statistic, min_objects)
        return aggregate_groups(source, well, features, statistic, min_objects)
    wells = aggregate_groups(rows.source, well, features, statistic, min_objects)
    rows.refuse_repeats(apart)
    wells_are_told_apart(rows, len(wells), apart, source.path)
    return wells


def _known_wells(wells: pd.DataFrame, apart: Sequence[str], path: Path) -> pd.DataFrame:
    """Leave out what has no well, and warn of plates without a name where others have one."""
    known = has_word(wells[WELL])
    if not known.any():
        raise InputError(f"'{path}': no row has a value in {WELL}: fill it in")
    if not known.all():
        objects = counted(int(wells.loc[~known, COUNT].sum()), "rows")
        log.warning("'%s': %s without a %s, left out", path, objects, WELL)
        wells = wells[known].reset_index(drop=True)
    for name in apart:
        unnamed = ~has_word(wells[name])
        if name == PLATE and unnamed.any() and not unnamed.all():
            log.warning("'%s': %s without a %s, taken for one plate", path, counted(int(unnamed.sum()), "wells"), name)
    return wells


def _treatments(
    wells: pd.DataFrame,
    path: Path,
    treatment: Sequence[str],
    numbers: Sequence[str],
    features: Sequence[str],
    statistic: str,
    min_objects: int,
    keep_values: Sequence[str],
) -> pd.DataFrame:
    """Aggregate the numbers of wells to treatments; the features among them by consensus, if that is asked for."""
    require_columns(wells, keep_values, "`keep_values`: the table of wells")
    treatment = list(treatment)
    require_columns(wells, treatment, f"'{path}'")
    unannotated = wells[treatment[0]].isna() | (wells[treatment[0]].astype(str).str.strip() == "")
    if unannotated.all():
        raise InputError(f"no well has a value in '{treatment[0]}': annotate the wells, with `platemap`")
    if unannotated.any():
        log.warning("%d of %d wells have no %s and are left out", unannotated.sum(), len(wells), treatment[0])
    wells = unify_treatments(wells[~unannotated], treatment)
    plain = "mean" if statistic == "modz" else statistic
    result = aggregate_groups(in_memory(wells, path), treatment, numbers, plain, min_objects)
    groups = wells.groupby(treatment, dropna=False)
    keys = pd.MultiIndex.from_frame(result[treatment]) if len(treatment) > 1 else pd.Index(result[treatment[0]])
    kept = {name: groups[name].agg(lambda column: " ".join(sorted(set(map(str, column))))) for name in keep_values}
    if statistic == "modz":
        values, codes = wells[list(features)].to_numpy(np.float64), groups.ngroup().to_numpy()
        consensus = [modz(values[codes == code]) for code in range(codes.max() + 1)]
        table = pd.DataFrame(consensus, index=groups.size().index)
        result[list(features)] = table.reindex(keys).to_numpy()
    return result.assign(**{name: column.reindex(keys).tolist() for name, column in kept.items()})
