"""Measure how `microsnoop profile` scales with image sets and processes.

Image sets from 1 to 1000, processes from 1 to 2, 64 px cells, cold start, and the time of a screen of 10^8 cells at the
measured rates.

Fields are pieces of a 96-well plate (BBBC013), turned and mirrored so that no two are the same. The machine may be
shared: look at the ratios within a run.

    python benchmarks/scale.py --out benchmarks/results
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import tifffile
from eval_sets import FOLDER
from throughput import BATCH, Collector, cost_of, eager_cost, machine

from microsnoop_engine import __version__
from microsnoop_engine.model.embedder import Embedder
from microsnoop_engine.modes.batcher import Batcher
from microsnoop_engine.modes.measure import start_measurement
from microsnoop_engine.modes.settings import CropSettings
from microsnoop_engine.segmentation.nuclei import segment_nuclei
from microsnoop_engine.tables.file_names import TABLE
from microsnoop_engine.tables.parquet_files import read_table

REPOSITORY = Path(__file__).resolve().parents[1]
PIECE = 213
"""Height and width of a field in pixels: nine of a well's image."""
COMPARED = 100
"""Image sets of the runs that compare processes."""
SCREEN_CELLS, SCREEN_CHANNELS, CELLS_PER_FIELD, FIELD_BYTES = 10**8, 5, 256, 5 * 1080 * 1080 * 2
"""A screen of the size of JUMP-CP: five channels, fields of 1080 x 1080 pixels of 16 bit."""


@dataclass(frozen=True)
class Run:
    """One run of the command.

    Attributes
    ----------
    cells : int
    seconds : float
        From its start to its end.
    memory : float
        Its peak in GB, the largest of its processes.
    bytes_per_cell : float
        Of the table on disk.
    """

    cells: int
    seconds: float
    memory: float
    bytes_per_cell: float


def main() -> None:
    """Measure, print, and write scale.json and scale.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=lambda text: [int(n) for n in text.split(",")], default=[1, 10, 100, 1000])
    parser.add_argument("--out", type=Path, help="folder for scale.json and scale.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_fields(folder, max(*options.sets, COMPARED))
        runs = {count: said(f"{count} image sets", run_profile(folder, count)) for count in options.sets}
        compared = {
            "one process, one thread": ["--threads", "1"],
            "one process, all cores": [],
            "two processes, the cores shared": ["--devices", "cpu,cpu"],
        }
        processes = {name: said(name, run_profile(folder, COMPARED, *more)) for name, more in compared.items()}
        result = {
            "version": __version__,
            "machine": machine(),
            "image_sets": {count: vars(run) for count, run in runs.items()},
            "processes": {name: vars(run) for name, run in processes.items()},
            "cold_start_seconds": cold_start(folder),
            "preparation": preparation_share(folder),
            "small_cells": small_cells(folder),
        }
    result["plan"] = plan(result)
    print(
        json.dumps({key: result[key] for key in ("cold_start_seconds", "preparation", "small_cells", "plan")}, indent=1)
    )
    if options.out:
        (options.out / "scale.json").write_text(json.dumps(result, indent=2) + "\n")
        (options.out / "scale.md").write_text(as_markdown(result))


def write_fields(folder: Path, count: int) -> None:
    """That many fields of the DNA channel as TIFF, listed in all.csv."""
    with np.load(FOLDER / "bbbc013_translocation.npz") as data:
        wells = data["images"][:, 1]
    with (folder / "all.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["FileName_DNA", "Metadata_Field"])
        for number, field in enumerate(islice(pieces(wells), count)):
            tifffile.imwrite(folder / f"{number:04d}.tif", field)
            writer.writerow([f"{number:04d}.tif", number])


def pieces(wells: np.ndarray):
    """Pieces (h, w) of images (n, h, w): as they are, then turned by 90, 180 and 270 degrees."""
    starts = range(0, wells.shape[1] - PIECE + 1, PIECE)
    for turns in range(4):
        for y in starts:
            for x in starts:
                for well in wells:
                    yield np.rot90(well[y : y + PIECE, x : x + PIECE], turns)


def run_profile(folder: Path, count: int, *options: str) -> Run:
    """The command on the first image sets, in a process of its own."""
    lines = (folder / "all.csv").read_text().splitlines()
    (folder / "LoadData.csv").write_text("\n".join(lines[: count + 1]) + "\n")
    out = tempfile.mkdtemp(dir=folder)
    command = [sys.executable, "-m", "microsnoop_engine", "profile", "LoadData.csv", "--out", out, "--quiet"]
    began = time.perf_counter()
    process = subprocess.Popen([*command, *options], cwd=folder)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    if status:
        raise SystemExit(f"microsnoop profile failed with status {status}")
    cells = read_table(Path(out)).num_rows
    written = sum(part.stat().st_size for part in (Path(out) / TABLE).iterdir())
    memory = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Run(cells, seconds, memory / 2**30, written / cells)


def said(name: str, run: Run) -> Run:
    """The run, after a line about it."""
    print(f"{name}: {run.cells} cells, {run.seconds:.1f} s, {run.cells / run.seconds:.1f} cells/s, {run.memory:.2f} GB")
    return run


def cold_start(folder: Path) -> float:
    """Seconds from the start of `microsnoop worker` to the embeddings of a field's cells."""
    image = tifffile.imread(folder / "0000.tif")
    np.save(folder / "image.npy", image)
    np.save(folder / "labels.npy", segment_nuclei(image))
    inputs = {name: {"npy": str(folder / f"{name}.npy")} for name in ("image", "labels")}
    request = {"requestType": "EXECUTE", "task": "1", "script": "measure_objects", "inputs": inputs}
    began = time.perf_counter()
    command = [sys.executable, "-m", "microsnoop_engine", "worker"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as worker:
        worker.stdin.write(json.dumps(request).encode() + b"\n")
        worker.stdin.flush()
        for line in worker.stdout:
            answer = json.loads(line)["responseType"]
            if answer == "FAILURE":
                raise SystemExit(line.decode())
            if answer == "COMPLETION":
                seconds = time.perf_counter() - began
                break
        worker.stdin.close()
    return seconds


def preparation_share(folder: Path) -> dict[str, float]:
    """CPU seconds that cutting and normalizing the crops takes beside the network's, and its share of both."""
    fields = [tifffile.imread(path)[None] for path in sorted(folder.glob("0*.tif"))[:40]]
    labels = [segment_nuclei(field[0]) for field in fields]
    embedder = Embedder(device="cpu")
    collector = Collector(embedder.frame)

    def prepare() -> None:
        collector.windows.clear()
        batcher = Batcher(collector)
        for field, objects in zip(fields, labels, strict=True):
            start_measurement(batcher, field, objects, CropSettings(scale="each"), 256)
        batcher.flush()

    preparing = cost_of(prepare, 0, 3).cpu
    groups = [np.concatenate(parts) for parts in collector.windows.values()]

    def embed() -> None:
        for group in groups:
            embedder.embed(group)

    embedding = cost_of(embed, 0, 2, warm=True).cpu
    return {"crops": sum(map(len, groups)), "seconds": preparing, "share": preparing / (preparing + embedding)}


def small_cells(folder: Path) -> dict[str, float]:
    """Crops per second of the whole command on nuclei of 64 px, and of the eager float32 network on their frames."""
    with np.load(FOLDER / "mitocheck_phenotype.npz") as data:
        images = data["images"]
    np.savez(folder / "cells.npz", images=images)
    out = folder / "small"
    command = ["profile", "cells.npz", "--mode", "single-cell", "--out", str(out), "--quiet"]
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "microsnoop_engine", *command], cwd=folder, check=True)
    seconds = time.perf_counter() - began
    frames = np.pad(images[:BATCH].astype(np.float32) / 255, ((0, 0), (0, 0), (80, 80), (80, 80)))
    cost = eager_cost(frames, 3)
    eager = cost.crops / cost.wall
    rate = len(images) / seconds
    return {"cells": len(images), "profile": rate, "eager": eager, "ratio": rate / eager}


def plan(result: dict) -> dict[str, float]:
    """What a screen of the size of JUMP-CP takes at the measured rates."""
    run = list(result["image_sets"].values())[-1]
    rate = run["cells"] / run["seconds"]
    crops = SCREEN_CELLS * SCREEN_CHANNELS
    return {
        "crops": crops,
        "crops_per_second_here": rate,
        "core_hours": crops / rate / 3600 * os.cpu_count(),
        "gpu_hours_at_10000_per_second": crops / 10_000 / 3600,
        "table_terabytes": SCREEN_CELLS * SCREEN_CHANNELS * run["bytes_per_cell"] / 1e12,
        "image_terabytes": SCREEN_CELLS / CELLS_PER_FIELD * FIELD_BYTES / 1e12,
    }


def marginal(runs: dict, count: int, smallest: int) -> float:
    """Milliseconds per cell of a run, without what the smallest run took to start."""
    run, start = runs[count], runs[smallest]
    return 1000 * (run["seconds"] - start["seconds"]) / (run["cells"] - start["cells"])


def as_markdown(result: dict) -> str:
    """The figures as tables."""
    runs, screen, small = result["image_sets"], result["plan"], result["small_cells"]
    smallest = min(runs)
    lines = [
        "# Scale",
        "",
        f"`python benchmarks/scale.py --out benchmarks/results`, microsnoop {result['version']}, {result['machine']}. "
        f"Fields of {PIECE} x {PIECE} pixels of BBBC013's DNA channel; one process start to end, nuclei found by the "
        "command itself. Per cell: without the time of the smallest run.",
        "",
        "| image sets | cells | seconds | ms per cell | peak memory, GB |",
        "|---|---|---|---|---|",
    ]
    for count, run in runs.items():
        each = "" if count == smallest else f"{marginal(runs, count, smallest):.2f}"
        lines.append(f"| {count} | {run['cells']} | {run['seconds']:.1f} | {each} | {run['memory']:.2f} |")
    lines += ["", f"| {COMPARED} image sets | seconds | cells/s | peak memory of a process, GB |", "|---|---|---|---|"]
    for name, run in result["processes"].items():
        rate = run["cells"] / run["seconds"]
        lines.append(f"| {name} | {run['seconds']:.1f} | {rate:.1f} | {run['memory']:.2f} |")
    share = result["preparation"]
    lines += [
        "",
        f"- Cold start of `microsnoop worker` to the first result: {result['cold_start_seconds']:.1f} s.",
        f"- Cutting and normalizing crops: {share['share']:.1%} of the time beside the network's "
        f"({share['crops']} crops).",
        f"- {small['cells']} nuclei of 64 px (MitoCheck), `profile --mode single-cell` from start to end: "
        f"{small['profile']:.0f} crops/s; eager float32 on 224 px frames (what the reference does): "
        f"{small['eager']:.1f}: {small['ratio']:.1f} times.",
        "",
        "## A screen of 10^8 cells in five channels, on paper",
        "",
        f"At the {screen['crops_per_second_here']:.0f} crops/s of the largest run above: {screen['core_hours']:,.0f} "
        f"core hours ({screen['core_hours'] * 0.04:,.0f} USD at an assumed 0.04 USD per core hour). At the 10,000 "
        f"crops/s that are the goal on a large GPU, not measured: {screen['gpu_hours_at_10000_per_second']:.0f} GPU "
        f"hours ({screen['gpu_hours_at_10000_per_second'] * 3:.0f} USD at an assumed 3 USD). Images to read "
        f"{screen['image_terabytes']:.1f} TB (uncompressed), table to write {screen['table_terabytes']:.2f} TB. "
        "In shares of one plate each (`--shard`), nothing but the table of profiles grows with the screen.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
