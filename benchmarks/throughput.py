"""Crops per second of the network alone, of the whole `microsnoop profile` command, and of a classical module.

Everything in one run on one machine, on fields of a 96-well plate (BBBC013) where its file is at hand, else on drawn
fields. The machine may be shared: look at the ratios, not at the seconds.

    python benchmarks/throughput.py [--plate bbbc013_translocation.npz] [--fields 4] [--repeats 3]
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
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile
from get_data import DATA

from microsnoop_engine import __version__
from microsnoop_engine.errors import DeviceError
from microsnoop_engine.images.synthetic import render_field
from microsnoop_engine.model.embedder import Embedder
from microsnoop_engine.modes.batcher import Batcher
from microsnoop_engine.modes.measure import start_measurement
from microsnoop_engine.modes.settings import CropSettings
from microsnoop_engine.segmentation.nuclei import segment_nuclei

REPOSITORY = Path(__file__).resolve().parents[1]
PLATE = DATA / "eval" / "bbbc013_translocation.npz"
RESULTS = REPOSITORY / "benchmarks" / "results"
CELLPROFILER = REPOSITORY / ".venv-cellprofiler" / "bin" / "python"
BATCH = 32
TEXTURE = "CellProfiler MeasureTexture, nuclei, one scale"
USUAL_TEXTURE = "CellProfiler MeasureTexture, nuclei and cells, three scales"
CP_MEASURE = "cp_measure, all its measurements, nuclei, one process"
EAGER = "PyTorch eager float32, 224 px (what the reference does)"


def main() -> None:
    """Measure, print, and write benchmarks/results/throughput.*."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plate", type=Path, default=PLATE)
    parser.add_argument("--fields", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()

    fields, source = read_fields(options.plate, options.fields)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        objects = write_fields(folder, fields)
        windows = all_windows(fields)
        crops = sum(len(group) for group in windows.values())
        print(f"{len(fields)} fields of {source}: {objects} nuclei, {crops} crops of {dict_of_counts(windows)} px\n")
        rows = {}

        def note(label: str, per_second: float) -> None:
            rows[label] = per_second
            print(f"{label:62s} {per_second:8.1f} crops/s {per_second / rows[EAGER]:6.1f} x eager", flush=True)

        for label, measure in network_rates(windows, options.repeats):
            note(label, measure)
        seconds, peak = run_profile(folder)
        note("microsnoop profile, the whole command", crops / seconds)
        for label, seconds in run_texture(folder).items():
            note(label, crops / seconds)
        note(CP_MEASURE, crops / cp_measure_seconds(folder))
    result = {
        "version": __version__,
        "machine": machine(),
        "fields": len(fields),
        "source": source,
        "objects": objects,
        "crops": crops,
        "crops_per_second": rows,
        "profile_peak_gb": peak / 2**30,
        "goals": goals(rows),
    }
    print(
        "\n" + "\n".join(f"{'reached' if reached else 'MISSED '}  {goal}" for goal, reached in result["goals"].items())
    )
    print(f"peak memory of the command: {peak / 2**30:.2f} GB; {result['machine']}")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "throughput.json").write_text(json.dumps(result, indent=2) + "\n")
    (RESULTS / "throughput.md").write_text(as_markdown(result))


def read_fields(plate: Path, count: int) -> tuple[list[np.ndarray], str]:
    """Fields (2, h, w) with about 256 nuclei each, and where they are from."""
    if plate.exists():
        with np.load(plate) as data:
            images = data["images"]
        return list(images[np.linspace(0, len(images) - 1, count).astype(int)]), "BBBC013 (FKHR-GFP, DNA)"
    random = np.random.default_rng(0)
    quarters = [[render_field("control", 0.0, random, (512, 512), 64)[0] for _ in range(4)] for _ in range(count)]
    return [np.block([[a[1::-1], b[1::-1]], [c[1::-1], d[1::-1]]]) for a, b, c, d in quarters], "drawn cells"


def write_fields(folder: Path, fields: list[np.ndarray]) -> int:
    """The fields as TIFF with a LoadData.csv and label images; the number of objects."""
    objects = 0
    with (folder / "LoadData.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["FileName_GFP", "FileName_DNA", "Metadata_Field"])
        for number, field in enumerate(fields):
            names = [f"{number}_{channel}.tif" for channel in ("GFP", "DNA")]
            for name, plane in zip(names, field, strict=True):
                tifffile.imwrite(folder / name, plane)
            labels = segment_nuclei(field[1])
            objects += int(labels.max())
            np.savez(folder / f"{number}.npz", image=field, labels=labels)
            writer.writerow([*names, number])
    return objects


class Collector:
    """Stands where the embedder stands, and keeps the windows that it is given."""

    batch_size = 1 << 30
    takes_tensors = False

    def __init__(self) -> None:
        self.windows: dict[int, list[np.ndarray]] = {}

    def embed(self, crops: np.ndarray) -> np.ndarray:
        self.windows.setdefault(crops.shape[-1], []).append(crops)
        return np.zeros((len(crops), 256), np.float32)


def all_windows(fields: list[np.ndarray]) -> dict[int, np.ndarray]:
    """All crops of all fields as the engine makes them, by size."""
    collector = Collector()
    batcher = Batcher(collector)
    for field in fields:
        start_measurement(batcher, field, segment_nuclei(field[1]), CropSettings(), 256)
    batcher.flush()
    return {size: np.concatenate(parts) for size, parts in sorted(collector.windows.items())}


def network_rates(windows: dict[int, np.ndarray], repeats: int):
    """(label, crops per second) of every backend: on whole frames, and on the crops' own windows."""
    size = max(windows, key=lambda size: len(windows[size]))
    sample = windows[size][: 2 * BATCH]
    before = (224 - size) // 2
    frames = np.pad(sample, ((0, 0), (0, 0), (before, 224 - size - before), (before, 224 - size - before)))
    yield EAGER, eager_rate(frames, repeats)
    for backend, precision in (("torch", "float32"), ("openvino", "float32"), ("openvino", "bfloat16")):
        try:
            embedder = Embedder(device="cpu", backend=backend, precision=precision, batch_size=BATCH)
        except DeviceError:
            print(f"{backend} {precision}: not on this processor")
            continue
        name = {"torch": "PyTorch", "openvino": "OpenVINO"}[backend]
        yield f"{name} {precision}, 224 px", rate(embedder.embed, frames, repeats)
        if backend == "openvino":
            share = {size: crops[: max(BATCH, len(crops) // 8)] for size, crops in windows.items()}
            yield f"{name} {precision}, exact windows", window_rate(embedder, list(share.values()), repeats)


def window_rate(embedder: Embedder, groups: list[np.ndarray], repeats: int) -> float:
    """Crops per second over groups of windows of several sizes, each in its own graph."""

    def embed() -> None:
        for group in groups:
            embedder.embed(group)

    embed()
    return sum(map(len, groups)) / statistics.median(timed(embed) for _ in range(repeats))


def eager_rate(frames: np.ndarray, repeats: int) -> float:
    """The network as the reference runs it."""
    import torch

    from microsnoop_engine import load_model

    model = load_model()
    return rate(lambda crops: model.embed(torch.from_numpy(crops)), frames[:BATCH], repeats)


def rate(embed: Callable[[np.ndarray], object], crops: np.ndarray, repeats: int) -> float:
    """Crops per second, the median of several."""
    embed(crops)
    return len(crops) / statistics.median(timed(lambda: embed(crops)) for _ in range(repeats))


def timed(function: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def run_profile(folder: Path) -> tuple[float, int]:
    """Seconds and peak memory in bytes of `microsnoop profile`, from its start to its end."""
    command = [sys.executable, "-m", "microsnoop_engine", "profile", "LoadData.csv", "--segment", "nuclei"]
    command += ["--segment-channel", "DNA", "--out", "out", "--quiet"]
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"microsnoop profile failed with status {status}")
    return time.perf_counter() - began, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def run_texture(folder: Path) -> dict[str, float]:
    """Seconds of MeasureTexture's own run on the same images and objects, in the CellProfiler environment."""
    if not CELLPROFILER.exists():
        print(f"{TEXTURE}: there is no CellProfiler environment (make cellprofiler-env)")
        return {}
    script = Path(__file__).with_name("measure_texture.py")
    done = subprocess.run([CELLPROFILER, script, folder], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return dict(zip((TEXTURE, USUAL_TEXTURE), map(float, done.stdout.split()[-2:]), strict=True))


def cp_measure_seconds(folder: Path) -> float:
    """Seconds of cp_measure on the same images and objects."""
    from cp_measure.bulk import get_core_measurements
    from threadpoolctl import threadpool_limits

    began = time.perf_counter()
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore")
        for path in sorted(folder.glob("*.npz")):
            with np.load(path) as data:
                image, labels = data["image"], data["labels"].astype(np.int32)
            for function in get_core_measurements().values():
                for plane in image:
                    function(labels, plane / np.float32(np.iinfo(plane.dtype).max))
    return time.perf_counter() - began


def goals(rows: dict[str, float]) -> dict[str, bool]:
    """What the project asks of the command, and whether this run reached it."""
    whole = rows["microsnoop profile, the whole command"]
    precision = "bfloat16" if "OpenVINO bfloat16, 224 px" in rows else "float32"
    frames, windows = rows[f"OpenVINO {precision}, 224 px"], rows[f"OpenVINO {precision}, exact windows"]
    found = {
        f"at least 5 x the eager float32 network: {whole / rows[EAGER]:.1f} x": whole >= 5 * rows[EAGER],
        f"at least 80 % of bare OpenVINO {precision} on frames: {whole / frames:.0%}": whole >= 0.8 * frames,
        f"at least 80 % of bare OpenVINO {precision} on windows: {whole / windows:.0%}": whole >= 0.8 * windows,
    }
    for label in (TEXTURE, USUAL_TEXTURE):
        if label in rows:
            cost = rows[label] / whole
            found[f"cheaper than {label}: {cost:.1f} x its time"] = cost < 1
    return found


def dict_of_counts(windows: dict[int, np.ndarray]) -> str:
    return ", ".join(f"{size}: {len(crops)}" for size, crops in windows.items())


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
    """The figures as a table."""
    eager = result["crops_per_second"][EAGER]
    lines = [
        "# Throughput",
        "",
        f"`make bench`, microsnoop {result['version']}, {result['machine']}. {result['fields']} fields of "
        f"{result['source']}: {result['objects']} nuclei, {result['crops']} crops of one channel. Peak memory of the "
        f"command {result['profile_peak_gb']:.2f} GB.",
        "",
        "| path | crops/s | x eager |",
        "|---|---|---|",
    ]
    lines += [f"| {label} | {value:.1f} | {value / eager:.1f} |" for label, value in result["crops_per_second"].items()]
    lines += ["", "| goal | reached |", "|---|---|"]
    lines += [f"| {goal} | {'yes' if reached else 'no'} |" for goal, reached in result["goals"].items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
