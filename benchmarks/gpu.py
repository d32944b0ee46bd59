"""Channel-crops per second on a GPU: the network alone, cutting crops on the device, and from TIFF files to a table.

One run of a few minutes on any CUDA machine, with each of the shipped networks. Fields are of a 96-well plate (BBBC013)
where its file is at hand, else drawn, as five channels of 16 bit. Figures are written as they are measured: a run that
is stopped, or a part that fails, leaves the others.

    python benchmarks/gpu.py [--parts table,frames,windows,memory,stages] [--readers 8] [--out benchmarks/results]
    python benchmarks/gpu.py --device cpu    # a trial of everything in small; its figures mean nothing
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import numpy as np
import tifffile
import torch
from throughput import PLATE, RESULTS, machine, read_fields

from microsnoop_engine import __version__, load_model
from microsnoop_engine.distributor import reading
from microsnoop_engine.distributor.job import Job
from microsnoop_engine.distributor.run import run_job
from microsnoop_engine.errors import first_line
from microsnoop_engine.images.image_set import ImageSet, PlaneSource
from microsnoop_engine.model.backends.torch_network import for_inference
from microsnoop_engine.model.checkpoints import load_weights
from microsnoop_engine.model.embedder import Embedder
from microsnoop_engine.model.frame import LARGEST
from microsnoop_engine.modes.crops import crops
from microsnoop_engine.modes.device_crops import DeviceCropper
from microsnoop_engine.modes.regions import regions_of
from microsnoop_engine.modes.settings import CropSettings
from microsnoop_engine.segmentation.nuclei import segment_nuclei

CHANNELS = 5
MODELS = ("fast", "base")
PARTS = ("table", "frames", "windows", "memory", "stages")
"""From the one that matters most."""
SHARE_GOAL = 0.6
"""From files to the table, of what the network reaches by itself on crops of its size."""
ALONE = "the network alone, crops on the device"
SETTINGS = {"cells": CropSettings(diameter=24), "cells, not resized": CropSettings(scale="none")}
SETTINGS |= {"tile": CropSettings(mode="tile"), "image": CropSettings(mode="image")}


class Bench:
    """How long and how large the measurements are, on a device."""

    def __init__(self, device: str, seconds: float, batch: int):
        self.device, self.seconds, self.batch = device, seconds, batch
        self.cuda = device.startswith("cuda")

    def wait(self) -> None:
        """Until the device has done what it was given."""
        if self.cuda:
            torch.cuda.synchronize(self.device)

    def rate(self, step: Callable[[], int]) -> float:
        """What steps do per second; each returns how much it did."""
        with torch.inference_mode():
            step()
            self.wait()
            began, done, steps = time.perf_counter(), 0, 0
            while not steps or time.perf_counter() - began < self.seconds:
                done += step()
                steps += 1
                if steps % 4 == 0:
                    self.wait()
            self.wait()
        return done / (time.perf_counter() - began)

    def frames(self, size: int) -> torch.Tensor:
        """A batch of crops on the device."""
        return torch.rand(self.batch, 1, size, size, device=self.device)


def main() -> None:
    """Measure, print, and write gpu.json and gpu.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, .. or cpu, for a trial")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--readers", type=int, default=min(os.cpu_count() or 4, 16), help="threads that read files")
    parser.add_argument("--plate", type=Path, default=PLATE)
    parser.add_argument("--out", type=Path, help="folder of gpu.json and gpu.md; default: benchmarks/results on CUDA")
    parser.add_argument("--parts", default=",".join(PARTS), help="some of them, separated by commas")
    parser.add_argument("--models", default=",".join(MODELS))
    options = parser.parse_args()
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        print(f"PyTorch {torch.__version__} finds no CUDA device here", file=sys.stderr)
        raise SystemExit(1)
    device = "cuda:0" if options.device == "cuda" else options.device
    bench = Bench(device, options.seconds, options.batch)
    out = options.out or (RESULTS if bench.cuda else None)
    began = time.perf_counter()
    result: dict = {
        "version": __version__,
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(bench.device) if bench.cuda else "none: a trial on a CPU",
        "machine": machine(),
        "batch": bench.batch,
        "readers": options.readers,
        "tables": {},
        "failed": {},
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fields, result["source"] = make_fields(options.plate, bench.cuda, folder)
        for part, model in product(options.parts.split(","), options.models.split(",")):
            measures = {
                "table": lambda model: whole_rates(bench, model, fields, options.readers, folder),
                "frames": lambda model: resident_rates(bench, model),
                "windows": lambda model: window_rates(bench, model),
                "memory": lambda model: short_of_memory(bench, model) if bench.cuda else (),
                "stages": lambda model: stage_rates(bench, model, fields, options.readers),
            }
            try:
                for label, value in measures[part](model):
                    result["tables"].setdefault(part, {})[f"{model}, {label}"] = value
                    print(f"{part:8s} {model}, {label:40s} {value:10.1f}", flush=True)
                    result["seconds"] = time.perf_counter() - began
                    write(out, result)
            except (RuntimeError, ValueError, OSError) as error:  # the other parts are still worth their time
                traceback.print_exc()
                result["failed"][f"{part}, {model}"] = first_line(error)
                write(out, result)
    print(*goals(result), f"{time.perf_counter() - began:.0f} s in all, {result['device']}", sep="\n")
    if result["failed"]:
        raise SystemExit(1)


def write(out: Path | None, result: dict) -> None:
    """Write what is measured so far."""
    if out:
        out.mkdir(parents=True, exist_ok=True)
        (out / "gpu.json").write_text(json.dumps(result, indent=2) + "\n")
        (out / "gpu.md").write_text(as_markdown(result))


def resident_rates(bench: Bench, model: str) -> Iterator[tuple[str, float]]:
    """Crops per second of each precision, eager and compiled, at the size of the weights."""
    network, frame = load_model(model), load_weights(model)[1].sees
    crops = bench.frames(frame.size)
    kinds = (torch.float32, torch.bfloat16, torch.float16) if bench.cuda else (torch.float32,)
    for kind in kinds:
        embed = for_inference(network, frame, kind).eval().to(bench.device).embed
        name = f"{frame.size} px, {str(kind).removeprefix('torch.')}"

        def rate(function: Callable[[torch.Tensor], torch.Tensor]) -> float:
            return bench.rate(lambda: len(function(crops)))

        yield f"{name}, eager", rate(embed)
        if kind != torch.float32 or not bench.cuda:
            compiler = "inductor" if bench.cuda else "eager"
            began = time.perf_counter()
            compiled = torch.compile(embed, dynamic=False, backend=compiler)
            with torch.inference_mode():
                compiled(crops)
            bench.wait()
            yield f"{name}, seconds to compile", time.perf_counter() - began
            yield f"{name}, compiled", rate(compiled)


def window_rates(bench: Bench, model: str) -> Iterator[tuple[str, float]]:
    """Crops per second by size, in the precision that the engine chooses."""
    embedder = Embedder(model, device=bench.device, backend="torch", batch_size=bench.batch)
    for size in embedder.frame.sizes if bench.cuda else embedder.frame.sizes[:1]:
        crops = bench.frames(size)
        yield f"{size} px, {embedder.precision}", bench.rate(lambda: len(embedder.backend.launch(crops)))  # noqa: B023


def short_of_memory(bench: Bench, model: str) -> Iterator[tuple[str, float]]:
    """The size that batches of the largest crops shrink to with a third of the memory that they take."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(bench.device)
    embedder = Embedder(model, device=bench.device, backend="torch", batch_size=bench.batch)
    crops = bench.frames(LARGEST)
    wanted = embedder.start(crops)()
    peak = torch.cuda.max_memory_allocated(bench.device)
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(bench.device).total_memory
    torch.cuda.set_per_process_memory_fraction(peak / 3 / total, bench.device)
    try:
        found = embedder.start(crops)()
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, bench.device)
    yield "peak memory of a batch, GB", peak / 2**30
    yield f"batch with a third of that, instead of {bench.batch}", embedder.batch_size
    yield "lowest cosine to the full batch", float((found * wanted).sum(1).min())


def make_fields(plate: Path, all_of_them: bool, folder: Path) -> tuple[list[ImageSet], str]:
    """Fields of five channels as TIFF of 16 bit, with label images, and where their pixels are from."""
    planes, source = read_fields(plate, 16 if all_of_them else 1)
    planes = planes if all_of_them else [planes[0][:, :200, :200]]
    random = np.random.default_rng(0)
    image_sets = []
    for number, field in enumerate(planes, start=1):
        paths = {f"C{k}": folder / f"{number}_C{k}.tif" for k in range(CHANNELS)}
        for k, path in enumerate(paths.values()):  # copies of the real channels with noise of their own
            plane = field[k % len(field)].astype(np.uint16) * 200 + random.integers(100, 999, field[0].shape)
            tifffile.imwrite(path, plane.astype(np.uint16))
        labels = folder / f"{number}_labels.tif"
        tifffile.imwrite(labels, segment_nuclei(field[1]).astype(np.uint16))
        sources = {name: PlaneSource(path) for name, path in paths.items()}
        image_sets.append(ImageSet(number, sources, {"Nuclei": PlaneSource(labels)}, {}))
    return image_sets, source


def job_of(kind: str) -> Job:
    """What is measured."""
    names = tuple(f"C{k}" for k in range(CHANNELS))
    return Job(names, "Nuclei" if kind.startswith("cells") else "Image", SETTINGS[kind])


def stage_rates(bench: Bench, model: str, fields: list[ImageSet], readers: int) -> Iterator[tuple[str, float]]:
    """Crops of cells per second of each stage by itself."""
    embedder = Embedder(model, device=bench.device, backend="torch", batch_size=bench.batch)
    frame, job = embedder.frame, job_of("cells")
    pixels = [reading.read(field, job, None) for field in fields]
    regions = [regions_of(image.shape[1:], labels, job.settings, frame) for image, labels in pixels]
    count = sum(len(region) * CHANNELS for region in regions)
    with ThreadPoolExecutor(readers) as pool:

        def read_all() -> int:
            for _ in pool.map(lambda field: reading.read(field, job, None), fields):
                pass
            return count

        yield "reading files", bench.rate(read_all)

    def find_regions() -> int:
        for image, labels in pixels:
            regions_of(image.shape[1:], labels, job.settings, frame)
        return count

    yield "places of crops (one core)", bench.rate(find_regions)

    def cut_and_resize() -> int:
        for (image, _), region in zip(pixels, regions, strict=True):
            for _ in crops(image, region, job.settings, None, frame):
                pass
        return count

    yield "cutting and resizing (one core)", bench.rate(cut_and_resize)
    cropper, settings = DeviceCropper(bench.device, frame), SETTINGS["cells, not resized"]
    unresized = [regions_of(image.shape[1:], labels, settings, frame) for image, labels in pixels]
    windows: dict[int, list[torch.Tensor]] = {}

    def cut_all() -> int:
        windows.clear()
        for (image, _), region in zip(pixels, unresized, strict=True):
            for part in cropper.crops(image, region, settings, None, bench.batch):
                windows.setdefault(part.windows.shape[-1], []).append(part.windows)
        return sum(len(region) * CHANNELS for region in unresized)

    yield "cutting on the device, not resized", bench.rate(cut_all)
    batches = [part for group in windows.values() for part in torch.cat(group)[:, None].split(bench.batch)]
    batches = batches if bench.cuda else batches[:1]

    def embed_all() -> int:
        for batch in batches:
            embedder.backend.launch(batch)
        return sum(map(len, batches))

    yield "the network on these windows", bench.rate(embed_all)


def whole_rates(
    bench: Bench, model: str, fields: list[ImageSet], readers: int, folder: Path
) -> Iterator[tuple[str, float]]:
    """Crops per second from files (read before, so in the system's cache) to the table, beside the network alone."""
    reading.READERS = readers
    embedder = Embedder(model, device=bench.device, backend="torch", batch_size=bench.batch)
    sample = bench.frames(embedder.frame.size)
    yield ALONE, bench.rate(lambda: len(embedder.backend.launch(sample)))
    for kind in SETTINGS:
        embedder = Embedder(model, device=bench.device, backend="torch", batch_size=bench.batch)
        trial = 0.0
        for name, seconds in (("trial", 0.0), ("timed", 4 * bench.seconds)):
            count = max(int(seconds / trial), 1) if trial else len(fields)
            repeated = [
                ImageSet(k + 1, field.channels, field.labels if kind.startswith("cells") else {}, field.metadata)
                for k in range(count)
                for field in [fields[k % len(fields)]]
            ]
            began = time.perf_counter()
            report = run_job(repeated, job_of(kind), embedder, folder / f"{model}-{kind}-{name}", 8 << 30)
            spent = time.perf_counter() - began
            trial = spent / count
            if report.failures:
                raise RuntimeError(str(report.failures[0]))
            if not bench.cuda:
                break
        yield kind, report.crops / spent


def goals(result: dict) -> list[str]:
    """What is asked, and whether this run reached it, for each network whose table was measured."""
    found, rates = [], result["tables"].get("table", {})
    for model in MODELS:
        alone, whole = rates.get(f"{model}, {ALONE}"), rates.get(f"{model}, cells")
        if alone and whole:
            share = whole / alone
            verdict = "reached" if share >= SHARE_GOAL else "MISSED"
            found.append(f"{verdict}: from files to the table {SHARE_GOAL:.0%} of `{model}` alone: {share:.0%}")
    return [*found, *(f"failed: {part}: {problem}" for part, problem in result["failed"].items())]


def as_markdown(result: dict) -> str:
    """The figures as tables."""
    lines = [
        "# GPU",
        "",
        f"`python benchmarks/gpu.py`, microsnoop {result['version']}, PyTorch {result['torch']}, {result['device']}, "
        f"{result['machine']}; batches of {result['batch']}, {result['readers']} reading threads, fields of "
        f"{result['source']}. Channel-crops per second, where nothing else is said.",
    ]
    for table, rows in result["tables"].items():
        lines += ["", f"| {table} | |", "|---|---|", *(f"| {k} | {v:.6g} |" for k, v in rows.items())]
    return "\n".join([*lines, "", *(f"- {goal}" for goal in goals(result))]) + "\n"


if __name__ == "__main__":
    main()
