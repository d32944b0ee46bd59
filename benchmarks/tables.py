"""Time and memory of the commands on large tables, beside pycytominer, and copairs for the activity of treatments.

    python benchmarks/tables.py --out benchmarks/results      # sphering of 100,000 rows, aggregation of 200,000 cells
    python benchmarks/tables.py --cells 2000000 --out ...     # a table of 10 GB on disk, written first
    python benchmarks/tables.py --parts wide,knn              # single parts

The other program does the same work on the same numbers in the same run, each in a process of its own. Where other
programs run on the machine, compare the CPU seconds.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sqlite3
import tempfile
import time
import warnings
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from microsnoop_engine.classification.explanation import explain
from microsnoop_engine.classification.training import train_on_table
from microsnoop_engine.evaluation.table import evaluate_frame
from microsnoop_engine.sphering.comparison import compare_corrections
from microsnoop_engine.sphering.harmony import Harmony
from microsnoop_engine.sphering.normalized_table import normalize_frame
from microsnoop_engine.sphering.selection import select_informative
from microsnoop_engine.sphering.spherize import SpheringWarning, Spherize
from microsnoop_engine.sphering.table import sphere_frame
from microsnoop_engine.tables.activity import find_activity
from microsnoop_engine.tables.columns import feature_columns
from microsnoop_engine.tables.consensus import modz
from microsnoop_engine.tables.features import select_features
from microsnoop_engine.tables.formats import open_table
from microsnoop_engine.tables.grouping import aggregate_groups

CHANNELS = [f"C{k}" for k in range(5)]
CELLS_PER_WELL = 500
RATIO = "`ratio`: CPU seconds of pycytominer over ours (of copairs, for activity)."
PARTS = (
    *("sphering", "wide", "normalize", "select", "modz", "knn", "activity", "harmony", "compare", "classify"),
    *("explain", "aggregation", "sqlite"),
)


class Measured:
    """Measure a block: ``found`` has wall seconds, CPU seconds of all threads, and GB beside what was there before."""

    def __enter__(self) -> Measured:
        self._peak, self._cpu, self._began = peak(), time.process_time(), time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        seconds, cpu = time.perf_counter() - self._began, time.process_time() - self._cpu
        self.found = {"seconds": seconds, "cpu": cpu, "gb": peak() - self._peak}


def sphering(rows: int, peer: bool) -> dict[str, float]:
    """Fit on and apply to all rows, float32."""
    features = np.random.default_rng(0).standard_normal((rows, 1280), dtype=np.float32)
    if peer:
        from pycytominer.operations import Spherize as PeerSpherize

        frame = pd.DataFrame(features)
        with Measured() as measured:
            PeerSpherize(method="ZCA-cor", epsilon=1e-6).fit(frame).transform(frame)
    else:
        with Measured() as measured:
            Spherize("zca-cor", "knee").fit(features).transform(features)
    return measured.found | {"input_gb": features.nbytes / 1e9}


def wide_sphering(columns: int, peer: bool) -> dict[str, float]:
    """Handcrafted columns of 384 wells, sphered on 96 controls."""
    random = np.random.default_rng(0)
    names = [f"Cells_Texture_F{number}_DNA" for number in range(columns)]
    frame = pd.DataFrame(random.standard_normal((384, columns)), columns=names)
    frame["Metadata_Role"] = np.resize(["negative", "treated", "treated", "treated"], 384)
    if peer:
        from pycytominer import normalize

        options = {"features": names, "meta_features": ["Metadata_Role"], "samples": "Metadata_Role == 'negative'"}
        with Measured() as measured:
            robust = normalize(frame, method="mad_robustize", **options)
            normalize(robust, method="spherize", spherize_method="ZCA-cor", **options)
        return measured.found
    with Measured() as measured, warnings.catch_warnings():
        warnings.simplefilter("ignore", SpheringWarning)
        sphere_frame(frame, names, "Metadata_Role == 'negative'", regularization=0.1)
    return measured.found


def normalization(rows: int, peer: bool) -> dict[str, float]:
    """Robust z-scores of 1280 columns on a fifth of the rows."""
    names = feature_columns("Cells", CHANNELS)
    frame = pd.DataFrame(np.random.default_rng(0).standard_normal((rows, len(names)), dtype=np.float32), columns=names)
    frame["Metadata_Role"] = np.resize(["negative", *["treated"] * 4], rows)
    query = "Metadata_Role == 'negative'"
    if peer:
        from pycytominer import normalize

        with Measured() as measured:
            normalize(frame, names, ["Metadata_Role"], samples=query, method="mad_robustize")
        return measured.found
    with Measured() as measured:
        normalize_frame(frame, names, controls=query)
    return measured.found


def selection(rows: int, peer: bool) -> dict[str, float]:
    """Constant and correlated features of 1280 columns, 400 of which repeat others."""
    random = np.random.default_rng(0)
    names = feature_columns("Cells", CHANNELS)
    values = random.standard_normal((rows, len(names)))
    values[:, -400:] = values[:, :400] + 0.1 * values[:, -400:]
    frame = pd.DataFrame(values, columns=names)
    if peer:
        from pycytominer import feature_select

        operations = ["variance_threshold", "drop_na_columns", "correlation_threshold"]
        with Measured() as measured:
            feature_select(frame, names, operation=operations)
        return measured.found
    with Measured() as measured:
        select_informative(frame)
    return measured.found


def weighted_consensus(treatments: int, peer: bool) -> dict[str, float]:
    """MODZ of six wells of 1280 columns each."""
    names = feature_columns("Cells", CHANNELS)
    values = np.random.default_rng(0).standard_normal((6 * treatments, len(names)))
    if peer:
        from pycytominer.cyto_utils import modz as peer_modz

        frame = pd.DataFrame(values, columns=names).assign(Metadata_Treatment=np.arange(len(values)) // 6)
        with Measured() as measured:
            peer_modz(frame, ["Metadata_Treatment"], names)
        return measured.found
    with Measured() as measured:
        for wells in values.reshape(treatments, 6, -1):
            modz(wells)
    return measured.found


def active_treatments(wells: int, peer: bool) -> dict[str, float]:
    """Activity of treatments of four wells on 16 controls of each plate of 384, 768 columns, 10,000 permutations.

    The other program ranks among the controls of all plates, and draws ranks independently of each other.
    """
    random = np.random.default_rng(0)
    names = feature_columns("Cells", CHANNELS[:3])
    frame = pd.DataFrame(random.standard_normal((wells, len(names)), dtype=np.float32), columns=names)
    number = np.arange(wells)
    frame["Metadata_Plate"] = number // 384
    control = number % 384 < 16
    frame["Metadata_Compound"] = np.where(control, "DMSO", np.char.add("c", (number // 4).astype(str)))
    if peer:
        from copairs import map as peer_map

        meta = frame[["Metadata_Compound"]].assign(Metadata_Control=control)
        values, treatment = frame[names].to_numpy(), ["Metadata_Compound"]
        with Measured() as measured:
            for same, other in (([*treatment, "Metadata_Control"], "Metadata_Control"), (treatment, treatment[0])):
                rows = np.ones(wells, bool) if other == "Metadata_Control" else ~control
                scores = peer_map.average_precision(meta[rows], values[rows], same, [], [], [other], progress_bar=False)
                scores = scores[~scores["Metadata_Control"]]
                peer_map.mean_average_precision(scores, treatment, 10_000, 0.05, 0, progress_bar=False, max_workers=1)
        return measured.found
    with Measured() as measured:
        find_activity(frame, names, "Metadata_Compound == 'DMSO'", ["Metadata_Compound"], by="Metadata_Plate")
    return measured.found


def corrections(wells: int) -> dict[str, float]:
    """Twelve corrections of four plates, 768 columns, with their scores."""
    random = np.random.default_rng(0)
    names = feature_columns("Cells", CHANNELS[:3])
    frame = pd.DataFrame(random.standard_normal((wells, len(names)), dtype=np.float32), columns=names)
    number = np.arange(wells)
    frame["Metadata_Plate"] = [f"P{of}" for of in number // -(-wells // 4)]
    frame["Metadata_Compound"] = np.where(number % 12 == 0, "DMSO", np.char.add("c", (number % 90).astype(str)))
    with Measured() as measured:
        compare_corrections(frame, "Metadata_Plate", ["Metadata_Compound"], controls="Metadata_Compound == 'DMSO'")
    return measured.found


def classified(cells: int, named: bool) -> dict[str, float]:
    """Training on cells of 40 wells in four classes, 768 columns; or the explanation of two groups by 500 features."""
    random = np.random.default_rng(0)
    names = feature_columns("Cells", CHANNELS[:3])
    label, well = np.arange(cells) % (2 if named else 4), np.arange(cells) // 2 % 40
    values = random.standard_normal((cells, len(names))) + 0.1 * random.standard_normal((4, len(names)))[label]
    frame = pd.DataFrame(values.astype(np.float32), columns=names)
    frame["Metadata_Well"], frame["Metadata_Label"] = [f"W{of:02d}" for of in well], [f"class {of}" for of in label]
    if named:
        others = [f"Cells_Texture_F{number}_DNA" for number in range(500)]
        frame = frame.join(pd.DataFrame(random.standard_normal((cells, 500)), columns=others))
    with Measured() as measured:
        if named:
            explain(frame, "Metadata_Label == 'class 0'", "Metadata_Label == 'class 1'")
        else:
            train_on_table(frame, label="Metadata_Label")
    return measured.found


def harmony(rows: int) -> dict[str, float]:
    """Harmony of ten batches, 50 components."""
    random = np.random.default_rng(0)
    values, batch = random.standard_normal((rows, 50)), random.integers(0, 10, rows)
    values += (
        3 * random.standard_normal((20, 50))[random.integers(0, 20, rows)] + random.standard_normal((10, 50))[batch]
    )
    with Measured() as measured:
        Harmony().fit_transform(values, batch)
    return measured.found


def neighbors(wells: int) -> dict[str, float]:
    """The score of 11 neighbors of wells of 768 columns, float32."""
    random = np.random.default_rng(0)
    names = feature_columns("Cells", CHANNELS[:3])
    frame = pd.DataFrame(random.standard_normal((wells, len(names)), dtype=np.float32), columns=names)
    frame["Metadata_MoA"] = random.integers(0, 30, wells).astype(str)
    with Measured() as measured:
        evaluate_frame(frame, names, "Metadata_MoA")
    return measured.found


def aggregation(table: Path, statistic: str, peer: bool) -> dict[str, float]:
    """Cells to wells, from the file."""
    by = ["Metadata_Plate", "Metadata_Well"]
    if peer:
        from pycytominer import aggregate

        with Measured() as measured:
            frame = pd.read_parquet(table)
            features = [name for name in frame if "_Microsnoop_" in name]
            aggregate(frame, by, features, operation=statistic)
        return measured.found
    with Measured() as measured:
        source = open_table(table)
        aggregate_groups(source, by, select_features(source), statistic)
    return measured.found


def write_cells(table: Path, cells: int) -> None:
    """A table of cells in parts, as the profiler writes it."""
    table.mkdir()
    random = np.random.default_rng(0)
    names = feature_columns("Cells", CHANNELS)
    for part, start in enumerate(range(0, cells, 20 * CELLS_PER_WELL)):
        number = np.arange(start, min(start + 20 * CELLS_PER_WELL, cells))
        well = number // CELLS_PER_WELL
        frame = pd.DataFrame({"Metadata_Plate": well // 384, "Metadata_Well": well % 384, "ImageNumber": well + 1})
        values = random.standard_normal((len(number), len(names)), dtype=np.float32)
        frame = pd.concat([frame, pd.DataFrame(values, columns=names)], axis=1)
        pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), table / f"part-{part:05d}.parquet")


def write_sqlite(table: Path, cells: int) -> None:
    """As CellProfiler's ExportToDatabase: images with plate and well, objects with 256 numbers."""
    with closing(sqlite3.connect(table)) as connection, connection:
        image = np.arange(-(-cells // CELLS_PER_WELL)) + 1
        place = {"Image_Metadata_Plate": image // 384, "Image_Metadata_Well": [f"W{n % 384:03d}" for n in image]}
        pd.DataFrame({"ImageNumber": image, **place}).to_sql("Per_Image", connection, index=False)
        random = np.random.default_rng(0)
        names = feature_columns("Cells", CHANNELS[:1])
        for start in range(0, cells, 20 * CELLS_PER_WELL):
            number = np.arange(start, min(start + 20 * CELLS_PER_WELL, cells))
            keys = {"ImageNumber": number // CELLS_PER_WELL + 1, "ObjectNumber": number % CELLS_PER_WELL + 1}
            values = pd.DataFrame(random.standard_normal((len(number), len(names))), columns=names)
            pd.DataFrame(keys).join(values).to_sql("Per_Cells", connection, index=False, if_exists="append")


def peak() -> float:
    """Most memory this process has held so far, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def in_own_process(function, *arguments):
    """The result of a function, whose memory is not that of others."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def main() -> None:
    """Measure, print, and write tables.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000, help="of the sphering")
    parser.add_argument("--cells", type=int, default=200_000, help="of the aggregation")
    parser.add_argument("--columns", type=int, default=8000, help="of the sphering on 96 controls")
    parser.add_argument("--wells", type=int, default=115_200, help="of the score of neighbors")
    parser.add_argument("--parts", default=",".join(PARTS), help=f"some of {', '.join(PARTS)}")
    parser.add_argument("--out", type=Path, help="folder for tables.md")
    options = parser.parse_args()
    head = ["what", "rows", "seconds", "CPU seconds", "memory, GB", "input, GB", "other", "CPU seconds", "ratio"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]

    def note(what: str, rows: int, found: dict[str, float], size: float, peer: dict[str, float] | None = None) -> None:
        words = [what, f"{rows:,}", *(f"{found[key]:.1f}" for key in ("seconds", "cpu")), f"{found['gb']:.2f}"]
        words += [f"{size:.2f}"]
        words += (
            [f"{peer['seconds']:.1f}", f"{peer['cpu']:.1f}", f"{peer['cpu'] / found['cpu']:.1f}"] if peer else [""] * 3
        )
        lines.append(f"| {' | '.join(words)} |")
        print(lines[-1], flush=True)

    parts = options.parts.split(",")
    if "sphering" in parts:
        found, peer = (in_own_process(sphering, options.rows, peer) for peer in (False, True))
        note("sphering, fit and apply (memory beside the input)", options.rows, found, found["input_gb"], peer)
    if "wide" in parts:
        found, peer = (in_own_process(wide_sphering, options.columns, peer) for peer in (False, True))
        note(
            f"sphering of {options.columns} handcrafted columns on 96 controls",
            384,
            found,
            384 * options.columns * 8e-9,
            peer,
        )
    if "knn" in parts:
        found = in_own_process(neighbors, options.wells)
        note("score of 11 neighbors, 768 columns", options.wells, found, options.wells * 768 * 4e-9)
    if "normalize" in parts:
        rows = options.rows // 5
        found, peer = (in_own_process(normalization, rows, peer) for peer in (False, True))
        note("robust z-scores, 1280 columns", rows, found, rows * 1280 * 4e-9, peer)
    if "select" in parts:
        rows = options.rows // 50
        found, peer = (in_own_process(selection, rows, peer) for peer in (False, True))
        note("selection of features, 1280 columns", rows, found, rows * 1280 * 8e-9, peer)
    if "modz" in parts:
        treatments = options.rows // 500
        found, peer = (in_own_process(weighted_consensus, treatments, peer) for peer in (False, True))
        note("MODZ of six wells each, 1280 columns", 6 * treatments, found, 6 * treatments * 1280 * 8e-9, peer)
    if "activity" in parts:
        wells = options.wells // 30
        found, peer = (in_own_process(active_treatments, wells, peer) for peer in (False, True))
        note("activity, 768 columns, 10,000 permutations", wells, found, wells * 768 * 4e-9, peer)
    if "compare" in parts:
        found = in_own_process(corrections, 384)
        note("comparison of twelve corrections, four plates, 768 columns", 384, found, 384 * 768 * 4e-9)
    if "classify" in parts:
        found = in_own_process(classified, 2000, False)
        note("training of a classifier, four classes, 768 columns", 2000, found, 2000 * 768 * 4e-9)
    if "explain" in parts:
        found = in_own_process(classified, 2000, True)
        note("explanation by 500 named features, 768 columns", 2000, found, 2000 * (768 * 4e-9 + 500 * 8e-9))
    if "harmony" in parts:
        found = in_own_process(harmony, options.rows // 5)
        note("Harmony, ten batches, 50 columns", options.rows // 5, found, options.rows // 5 * 50 * 8e-9)
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "cells.parquet"
        if "aggregation" in parts:
            in_own_process(write_cells, table, options.cells)
        for statistic in ("mean", "median") if "aggregation" in parts else ():
            found, peer = (in_own_process(aggregation, table, statistic, peer) for peer in (False, True))
            note(f"aggregation to wells, {statistic}", options.cells, found, options.cells * 1280 * 4 / 1e9, peer)
        table, cells = Path(folder) / "cells.sqlite", options.cells // 10
        if "sqlite" in parts:
            in_own_process(write_sqlite, table, cells)
            found = in_own_process(aggregation, table, "mean", False)
            note("aggregation of an SQLite export, 256 columns, mean", cells, found, table.stat().st_size / 1e9)
    if options.out:
        words = f"`python benchmarks/tables.py --rows {options.rows} --cells {options.cells}`, 1280 columns, float32."
        (options.out / "tables.md").write_text("\n\n".join(["# Large tables", words, "\n".join(lines), RATIO]) + "\n")


if __name__ == "__main__":
    main()
