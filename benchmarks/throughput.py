"""Crops per second of the network alone, of the whole chain from TIFF to Parquet, and of a classical module.

Everything in one run on one machine, on fields of a 96-well plate (BBBC013) where its file is at hand, else on drawn
fields. The machine may be shared: CPU time counts first, and of wall time the best of several.

    python benchmarks/throughput.py [--parts network,chain,modes,texture,cp_measure] [--fields 8] [--repeats 3]
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import tifffile
from arms import cpu_seconds
from get_data import DATA

from microsnoop_engine import __version__
from microsnoop_engine.errors import DeviceError
from microsnoop_engine.images.synthetic import render_field
from microsnoop_engine.model.checkpoints import load_weights
from microsnoop_engine.model.embedder import Embedder
from microsnoop_engine.model.frame import Frame
from microsnoop_engine.modes.batcher import Batcher
from microsnoop_engine.modes.measure import start_measurement
from microsnoop_engine.modes.resizing import resize
from microsnoop_engine.modes.settings import CropSettings
from microsnoop_engine.segmentation.nuclei import segment_nuclei

REPOSITORY = Path(__file__).resolve().parents[1]
PLATE = DATA / "eval" / "bbbc013_translocation.npz"
RESULTS = REPOSITORY / "benchmarks" / "results"
CELLPROFILER = REPOSITORY / ".venv-cellprofiler" / "bin" / "python"
BATCH = 64
MODEL = "fast"
PARTS = ("network", "chain", "modes", "texture", "cp_measure")
TEXTURE = "CellProfiler MeasureTexture, nuclei, one scale"
USUAL_TEXTURE = "CellProfiler MeasureTexture, nuclei and cells, three scales"
CP_MEASURE = "cp_measure, all its measurements, nuclei, one process"
EAGER = "PyTorch eager float32, the paper's network, 224 px"
NETWORK = "`fast` alone, 128 px, the engine's choice of precision"
CHAIN = "`fast` from TIFF images and label images to Parquet"
STARTED = "the same without what a run of one field takes"
SEGMENTED = "`fast` from TIFF images to Parquet, nuclei found by the command"
SMALL_PARENT = """
import resource, subprocess, sys, time
began = time.perf_counter()
status = subprocess.run(sys.argv[1:]).returncode
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
sys.exit(status)
"""
"""Runs a command. A process is said to use at least the memory of the one that starts it, so this one is small."""
CHAIN_GOAL = 0.75
"""Share of the network's own rate that the chain is to reach."""


@dataclass(frozen=True)
class Cost:
    """What a path took for a number of crops.

    Attributes
    ----------
    crops : int
    cpu, wall : float
        Seconds: of all cores together, and of the fastest repeat.
    memory : int
        Peak in bytes, of commands only.
    """

    crops: int
    cpu: float
    wall: float
    memory: int = 0


def main() -> None:
    """Measure, print, and write benchmarks/results/throughput.*."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plate", type=Path, default=PLATE)
    parser.add_argument("--parts", default=",".join(PARTS), help="some of them, separated by commas")
    parser.add_argument("--fields", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of throughput.json and .md")
    options = parser.parse_args()
    parts = options.parts.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"unknown part {', '.join(unknown)}: choose of {', '.join(PARTS)}")

    fields, source = read_fields(options.plate, options.fields)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        objects = write_fields(folder, fields)
        windows = all_windows(fields[:2])
        result: dict = {
            "version": __version__,
            "machine": machine(),
            "command": f"python benchmarks/throughput.py --parts {options.parts} --fields {options.fields} "
            f"--repeats {options.repeats}",
            "fields": len(fields),
            "source": source,
            "objects": objects,
            "paths": {},
            "modes": {},
        }
        print(f"{len(fields)} fields of {source}: {objects} nuclei in two channels\n")
        measures = {
            "network": lambda: network_costs(windows, options.repeats),
            "chain": lambda: chain_costs(folder, windows, 2 * objects, options.repeats),
            "texture": lambda: texture_costs(folder, 2 * objects),
            "cp_measure": lambda: [(CP_MEASURE, cost_of(lambda: run_cp_measure(folder), 2 * objects, 1))],
        }
        for part in [part for part in measures if part in parts]:
            for label, cost in measures[part]():
                result["paths"][label] = asdict(cost)
                print(f"{label:70s} {cost.crops / cost.cpu:8.1f} crops per CPU second, {cost.wall:7.2f} s", flush=True)
                write(options.out, result)
        if "modes" in parts:
            for mode in ("cells", "tile", "image"):
                cost = profile_cost(folder, options.repeats, "--mode", mode)
                result["modes"][mode] = asdict(cost)
                print(
                    f"mode {mode:20s} {cost.cpu:6.1f} CPU s, {cost.wall:6.1f} s, {cost.memory / 2**30:.2f} GB",
                    flush=True,
                )
                write(options.out, result)


def write(folder: Path, result: dict) -> None:
    """Write what is measured so far."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "throughput.json").write_text(json.dumps(result, indent=2) + "\n")
    (folder / "throughput.md").write_text(as_markdown(result))
    if result["modes"]:
        draw_modes(result, folder / "throughput.png")


def draw_modes(result: dict, path: Path) -> None:
    """Draw CPU time and memory of the whole command by mode (as Xun et al. 2023, Extended Data Fig. 6h-i)."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    costs = {mode: Cost(**values) for mode, values in result["modes"].items()}
    panels = (
        ("CPU time per field, s", [cost.cpu / result["fields"] for cost in costs.values()]),
        ("CPU time per cell, ms", [1000 * cost.cpu / result["objects"] for cost in costs.values()]),
        ("peak memory, GB", [cost.memory / 2**30 for cost in costs.values()]),
    )
    figure, axes = plt.subplots(1, len(panels), figsize=(9, 2.8), layout="constrained")
    for axis, (title, values) in zip(axes, panels, strict=True):
        bars = axis.bar(list(costs), values, color="#1f77b4")
        axis.bar_label(bars, fmt="%.2g", padding=2)
        axis.set_title(title, fontsize=10)
        axis.spines[["top", "right"]].set_visible(False)
        axis.margins(y=0.15)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def read_fields(plate: Path, count: int) -> tuple[list[np.ndarray], str]:
    """Fields (2, h, w) with about 256 nuclei each, and where they are from."""
    if plate.exists():
        with np.load(plate) as data:
            images = data["images"]
        return list(images[np.linspace(0, len(images) - 1, count).astype(int)]), "BBBC013 (FKHR-GFP, DNA)"
    random = np.random.default_rng(0)
    drawn = [render_field("control", 0.0, random, (512, 512), 64)[0] for _ in range(4)]
    fields = []
    for _ in range(count):  # drawing takes long, turning does not
        a, b, c, d = (np.rot90(drawn[k][1::-1], int(random.integers(4)), (1, 2)) for k in random.permutation(4))
        fields.append(np.block([[a, b], [c, d]]))
    return fields, "drawn cells"


def write_fields(folder: Path, fields: list[np.ndarray]) -> int:
    """The fields as TIFF with a LoadData.csv and label images; the number of objects."""
    objects = 0
    with (folder / "LoadData.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["FileName_GFP", "FileName_DNA", "ObjectsFileName_Nuclei", "Metadata_Field"])
        for number, field in enumerate(fields):
            names = [f"{number}_{channel}.tif" for channel in ("GFP", "DNA")]
            for name, plane in zip(names, field, strict=True):
                tifffile.imwrite(folder / name, plane)
            labels = segment_nuclei(field[1])
            objects += int(labels.max())
            np.savez(folder / f"{number}.npz", image=field, labels=labels)
            tifffile.imwrite(folder / f"{number}_nuclei.tif", labels.astype(np.uint16))
            writer.writerow([*names, f"{number}_nuclei.tif", number])
    head, *rows = (folder / "LoadData.csv").read_text().splitlines(keepends=True)
    (folder / "one.csv").write_text(head + rows[0])
    names = [line.split(",") for line in (head, *rows)]
    (folder / "unlabeled.csv").write_text("".join(",".join([*line[:2], *line[3:]]) for line in names))
    return objects


class Collector:
    """Stands where the embedder stands, and keeps the windows that it is given."""

    batch_size = 1 << 30
    takes_tensors = False

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.windows: dict[int, list[np.ndarray]] = {}

    def embed(self, crops: np.ndarray) -> np.ndarray:
        self.windows.setdefault(crops.shape[-1], []).append(crops)
        return np.zeros((len(crops), 256), np.float32)


def all_windows(fields: list[np.ndarray]) -> np.ndarray:
    """All crops (n, 1, 128, 128) of all fields as the engine makes them with `fast`, each resized to fill the frame."""
    collector = Collector(load_weights(MODEL)[1].sees)
    batcher = Batcher(collector)
    for field in fields:
        start_measurement(batcher, field, segment_nuclei(field[1]), CropSettings(scale="each"), 256)
    batcher.flush()
    return np.concatenate(collector.windows[collector.frame.size])


def network_costs(windows: np.ndarray, repeats: int) -> Iterator[tuple[str, Cost]]:
    """The cost of each network, precision and size on crops (n, 1, 128, 128)."""
    windows = windows[: 4 * BATCH]
    frames = resize(windows[:BATCH], (224, 224))
    yield EAGER, eager_cost(frames[: BATCH // 4], repeats)
    yield NETWORK, own_cost(windows, repeats)
    for model in (MODEL, "base"):
        for precision in ("float32", "bfloat16"):
            try:
                embedder = Embedder(model, device="cpu", backend="openvino", precision=precision, batch_size=BATCH)
            except DeviceError:
                print(f"{precision}: not on this processor")
                continue
            for crops in (windows, frames):
                crops = crops if model == MODEL else crops[:BATCH]
                label = f"`{model}`, OpenVINO {precision}, {crops.shape[-1]} px"
                yield label, cost_of(partial(embedder.embed, crops), len(crops), repeats, warm=True)


def own_cost(windows: np.ndarray, repeats: int) -> Cost:
    """The cost of the default network by itself."""
    embedder = Embedder(MODEL, device="cpu", batch_size=BATCH)
    return cost_of(lambda: embedder.embed(windows), len(windows), repeats, warm=True)


def eager_cost(frames: np.ndarray, repeats: int) -> Cost:
    """The cost of the paper's network as the reference runs it."""
    import torch

    from microsnoop_engine import load_model

    model, crops = load_model("base"), torch.from_numpy(frames)
    return cost_of(lambda: model.embed(crops), len(frames), repeats, warm=True)


def cost_of(function: Callable[[], object], crops: int, repeats: int, warm: bool = False) -> Cost:
    """The cost of a call in this process: the median of CPU time, the best wall time."""
    if warm:
        function()
    cpu, wall = [], []
    for _ in range(repeats):
        spent, began = cpu_seconds(), time.perf_counter()
        function()
        wall.append(time.perf_counter() - began)
        cpu.append(cpu_seconds() - spent)
    return Cost(crops, statistics.median(cpu), min(wall))


def chain_costs(folder: Path, windows: np.ndarray, crops: int, repeats: int) -> Iterator[tuple[str, Cost]]:
    """The cost of the whole command, beside that of the network by itself in turn."""
    runs: list[tuple[Cost, Cost, Cost]] = []
    for _ in range(repeats):
        one = profile_cost(folder, 1, table="one.csv")
        runs.append((own_cost(windows, 1), profile_cost(folder, 1), one))
    own, whole, one = (summary(costs) for costs in zip(*runs, strict=True))
    yield f"{NETWORK}, in turn with the next two", own
    yield CHAIN, replace(whole, crops=crops)
    rest = crops - 2 * int(np.load(folder / "0.npz")["labels"].max())
    yield STARTED, Cost(rest, whole.cpu - one.cpu, whole.wall - one.wall, whole.memory)
    options = ("--segment", "nuclei", "--segment-channel", "DNA")
    yield SEGMENTED, replace(profile_cost(folder, repeats, *options, table="unlabeled.csv"), crops=crops)


def profile_cost(folder: Path, repeats: int, *options: str, table: str = "LoadData.csv") -> Cost:
    """The cost of `microsnoop profile`, from its start to its end; its crops are not counted."""
    command = [sys.executable, "-m", "microsnoop_engine", "profile", table, "--model", MODEL, "--quiet", *options]
    costs = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as out:
            done = subprocess.run(
                [sys.executable, "-c", SMALL_PARENT, *command, "--out", f"{out}/results"],
                cwd=folder,
                stdout=subprocess.PIPE,
                text=True,
            )
        if done.returncode:
            raise SystemExit(f"microsnoop profile failed with status {done.returncode}")
        wall, cpu, peak = map(float, done.stdout.split()[-3:])
        costs.append(Cost(0, cpu, wall, int(peak) * (1 if sys.platform == "darwin" else 1024)))
    return summary(costs)


def summary(costs: Sequence[Cost]) -> Cost:
    """The median of CPU times, the best wall time and the largest memory of repeats."""
    cpu, wall = statistics.median(cost.cpu for cost in costs), min(cost.wall for cost in costs)
    return Cost(costs[0].crops, cpu, wall, max(cost.memory for cost in costs))


def texture_costs(folder: Path, crops: int) -> Iterator[tuple[str, Cost]]:
    """The cost of MeasureTexture's own run on the same images and objects, in the CellProfiler environment."""
    if not CELLPROFILER.exists():
        print(f"{TEXTURE}: there is no CellProfiler environment (make cellprofiler-env)")
        return
    script = Path(__file__).with_name("measure_texture.py")
    done = subprocess.run([CELLPROFILER, script, folder], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    numbers = list(map(float, done.stdout.split()[-4:]))
    yield TEXTURE, Cost(crops, numbers[1], numbers[0])
    yield USUAL_TEXTURE, Cost(crops, numbers[3], numbers[2])


def run_cp_measure(folder: Path) -> None:
    """Measure the same images and objects with cp_measure."""
    from cp_measure.bulk import get_core_measurements
    from threadpoolctl import threadpool_limits

    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore")
        for path in sorted(folder.glob("*.npz")):
            with np.load(path) as data:
                image, labels = data["image"], data["labels"].astype(np.int32)
            for function in get_core_measurements().values():
                for plane in image:
                    function(labels, plane / np.float32(np.iinfo(plane.dtype).max))


def machine() -> str:
    """Processor, cores and what matters of its instructions."""
    name, flags = platform.processor() or platform.machine(), ""
    if Path("/proc/cpuinfo").exists():
        lines = dict(line.split(":", 1) for line in Path("/proc/cpuinfo").read_text().splitlines() if ":" in line)
        lines = {key.strip(): value.strip() for key, value in lines.items()}
        name = lines.get("model name", name)
        present = set(lines.get("flags", "").split()) & {"avx2", "avx512f", "avx512_bf16", "amx_bf16"}
        flags = ", " + " ".join(sorted(present))
    return f"{name}, {os.cpu_count()} cores{flags}"


def as_markdown(result: dict) -> str:
    """The figures as tables."""
    lines = [
        "# Throughput",
        "",
        f"`{result['command']}`, microsnoop {result['version']}, {result['machine']}, other work beside it. "
        f"{result['fields']} fields of {result['source']}: {result['objects']} nuclei in two channels. CPU time is the "
        "median of the repeats, wall time the best of them. CPU time is of all cores together, so that a core computes "
        "that many crops in a second.",
        "",
        "| path | crops per CPU second | crops/s, best wall time | CPU time of the path / of `fast` alone |",
        "|---|---|---|---|",
    ]
    paths = {label: Cost(**cost) for label, cost in result["paths"].items()}
    own = paths.get(f"{NETWORK}, in turn with the next two", paths.get(NETWORK))
    for label, cost in paths.items():
        ratio = f"{cost.cpu / cost.crops / (own.cpu / own.crops):.1f}" if own else ""
        lines.append(f"| {label} | {cost.crops / cost.cpu:.0f} | {cost.crops / cost.wall:.0f} | {ratio} |")
    if STARTED in paths and own:
        reached = own.cpu / own.crops / (paths[STARTED].cpu / paths[STARTED].crops)
        whole = own.cpu / own.crops / (paths[CHAIN].cpu / paths[CHAIN].crops)
        lines += [
            "",
            f"Goal: the chain reaches {CHAIN_GOAL:.0%} of the rate of `fast` alone. By CPU time it reaches "
            f"{reached:.0%} once it runs, and {whole:.0%} with its start (imports, reading the weights, compiling). "
            f"Peak memory {paths[CHAIN].memory / 2**30:.2f} GB. {'Reached' if reached >= CHAIN_GOAL else 'Missed'}.",
        ]
    if result["modes"]:
        lines += [
            "",
            "The whole command by mode, its start included, two channels (throughput.png):",
            "",
            "| mode | CPU s | ms of CPU per cell | s of CPU per field | best wall time, s | peak memory, GB |",
            "|---|---|---|---|---|---|",
        ]
        for mode, values in result["modes"].items():
            cost = Cost(**values)
            per_cell = f"{1000 * cost.cpu / result['objects']:.1f}"
            numbers = (f"{cost.cpu / result['fields']:.2f}", f"{cost.wall:.1f}", f"{cost.memory / 2**30:.2f}")
            lines.append(f"| {mode} | {cost.cpu:.1f} | {per_cell} | " + " | ".join(numbers) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
