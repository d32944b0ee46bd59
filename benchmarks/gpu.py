"""Channel-crops per second on a GPU: the network alone, cutting crops on the device, and from TIFF files to a table.

One run of a few minutes on any CUDA machine. Fields are of a 96-well plate (BBBC013) where its file is at hand, else
drawn, as five channels of 16 bit.

    python benchmarks/gpu.py [--readers 8] [--out benchmarks/results]
    python benchmarks/gpu.py --device cpu    # a trial of everything in small; its figures mean nothing
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import tifffile
import torch
from throughput import PLATE, RESULTS, machine, read_fields

from microsnoop_engine import __version__, load_model
from microsnoop_engine.distributor import reading
from microsnoop_engine.distributor.job import Job
from microsnoop_engine.distributor.run import run_job
from microsnoop_engine.images.image_set import ImageSet, PlaneSource
from microsnoop_engine.model.backends.torch_network import for_inference
from microsnoop_engine.model.embedder import Embedder
from microsnoop_engine.model.frame import SIZES
from microsnoop_engine.modes.device_crops import DeviceCropper
from microsnoop_engine.modes.regions import regions_of
from microsnoop_engine.modes.settings import CropSettings
from microsnoop_engine.segmentation.nuclei import segment_nuclei

CHANNELS = 5
RESIDENT_GOAL, WHOLE_GOAL = 20_000, 10_000
"""Channel-crops per second on a GPU like the H200: whole frames on the device; from files to the table."""
FULL = "float16, compiled"


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
    options = parser.parse_args()
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        print(f"PyTorch {torch.__version__} finds no CUDA device here", file=sys.stderr)
        raise SystemExit(1)
    bench = Bench(options.device, options.seconds, options.batch)
    out = options.out or (RESULTS if bench.cuda else None)
    began = time.perf_counter()
    result: dict = {
        "version": __version__,
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(bench.device) if bench.cuda else "none: a trial on a CPU",
        "machine": machine(),
        "batch": bench.batch,
        "readers": options.readers,
    }

    def note(table: str, label: str, value: float) -> None:
        result.setdefault(table, {})[label] = value
        print(f"{table:30s} {label:34s} {value:10.1f} /s", flush=True)

    for label, value in resident_rates(bench):
        note("whole frames, resident", label, value)
    for label, value in window_rates(bench):
        note("windows, resident", label, value)
    if bench.cuda:
        result["peak_gb"] = torch.cuda.max_memory_allocated(bench.device) / 2**30
        result["batch_when_short_of_memory"] = short_of_memory(bench)
    with tempfile.TemporaryDirectory() as name:
        fields, result["source"] = make_fields(options.plate, bench.cuda, Path(name))
        for label, value in stage_rates(bench, fields, options.readers):
            note("stages", label, value)
        for label, value in whole_rates(bench, fields, options.readers, Path(name)):
            note("files to table", label, value)
    result["goals"] = goals(result)
    result["seconds"] = time.perf_counter() - began
    print("\n".join(result["goals"]), f"{result['seconds']:.0f} s in all, {result['device']}", sep="\n")
    if out:
        out.mkdir(parents=True, exist_ok=True)
        (out / "gpu.json").write_text(json.dumps(result, indent=2) + "\n")
        (out / "gpu.md").write_text(as_markdown(result))


def resident_rates(bench: Bench) -> Iterator[tuple[str, float]]:
    """Whole frames per second of each precision, with and without compilation."""
    frames = bench.frames(SIZES[-1])
    for kind in (torch.float32, torch.bfloat16, torch.float16) if bench.cuda else (torch.float32,):
        embed = for_inference(load_model(), SIZES[-1], kind).to(bench.device).embed
        name = str(kind).removeprefix("torch.")

        def rate(function: Callable[[torch.Tensor], torch.Tensor]) -> float:
            return bench.rate(lambda: len(function(frames)))

        yield f"{name}, eager", rate(embed)
        if kind == torch.float16:
            with torch.backends.cudnn.flags(enabled=True, benchmark=True):
                yield f"{name}, eager, cuDNN benchmark", rate(embed)
        if kind != torch.float32 or not bench.cuda:
            compiler = "inductor" if bench.cuda else "eager"
            yield f"{name}, compiled", rate(torch.compile(embed, dynamic=False, backend=compiler))


def window_rates(bench: Bench) -> Iterator[tuple[str, float]]:
    """Crops per second by size, in the precision that the engine chooses."""
    embedder = Embedder(device=bench.device, backend="torch", batch_size=bench.batch)
    for size in SIZES if bench.cuda else SIZES[:1]:
        crops = bench.frames(size)
        yield f"{size} px, {embedder.precision}", bench.rate(lambda: len(embedder.backend.launch(crops)))  # noqa: B023


def short_of_memory(bench: Bench) -> int:
    """The size that batches of whole frames shrink to with a third of the memory that they take."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(bench.device)
    embedder = Embedder(device=bench.device, backend="torch", batch_size=bench.batch)
    frames = bench.frames(SIZES[-1])
    wanted = embedder.start(frames)()
    third = torch.cuda.max_memory_allocated(bench.device) / 3
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(bench.device).total_memory
    torch.cuda.set_per_process_memory_fraction(third / total, bench.device)
    found = embedder.start(frames)()
    torch.cuda.set_per_process_memory_fraction(1.0, bench.device)
    cosine = (found * wanted).sum(1).min()
    print(f"short of memory: batches of {embedder.batch_size} instead of {bench.batch}, cosine {cosine:.6f}")
    return embedder.batch_size


def make_fields(plate: Path, all_of_them: bool, folder: Path) -> tuple[list[ImageSet], str]:
    """Fields of five channels as TIFF of 16 bit, with label images, and where their pixels are from."""
    planes, source = read_fields(plate, 16 if all_of_them else 1)
    planes = planes if all_of_them else [planes[0][:, :120, :120]]
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


def job_of(mode: str) -> Job:
    """What is measured."""
    names = tuple(f"C{k}" for k in range(CHANNELS))
    return Job(names, "Nuclei" if mode == "cells" else "Image", CropSettings(mode=mode))


def stage_rates(bench: Bench, fields: list[ImageSet], readers: int) -> Iterator[tuple[str, float]]:
    """Crops of cells per second of each stage by itself."""
    job = job_of("cells")
    pixels = [reading.read(field, job, None) for field in fields]
    regions = [regions_of(image.shape[1:], labels, job.settings) for image, labels in pixels]
    crops = [len(region) * CHANNELS for region in regions]
    with ThreadPoolExecutor(readers) as pool:

        def read_all() -> int:
            for _ in pool.map(lambda field: reading.read(field, job, None), fields):
                pass
            return sum(crops)

        yield "reading files", bench.rate(read_all)

    def find_regions() -> int:
        for image, labels in pixels:
            regions_of(image.shape[1:], labels, job.settings)
        return sum(crops)

    yield "places of crops (one core)", bench.rate(find_regions)
    cropper = DeviceCropper(bench.device)
    windows: dict[int, list[torch.Tensor]] = {}

    def cut_all() -> int:
        windows.clear()
        for (image, _), region in zip(pixels, regions, strict=True):
            for part in cropper.crops(image, region, job.settings, None, bench.batch):
                windows.setdefault(part.windows.shape[-1], []).append(part.windows)
        return sum(crops)

    yield "cutting on the device", bench.rate(cut_all)
    embedder = Embedder(device=bench.device, backend="torch", batch_size=bench.batch)
    batches = [part for group in windows.values() for part in torch.cat(group)[:, None].split(bench.batch)]
    batches = batches if bench.cuda else batches[:1]

    def embed_all() -> int:
        for batch in batches:
            embedder.backend.launch(batch)
        return sum(map(len, batches))

    yield "the network on these windows", bench.rate(embed_all)


def whole_rates(bench: Bench, fields: list[ImageSet], readers: int, folder: Path) -> Iterator[tuple[str, float]]:
    """Crops per second from files (read before, so in the system's cache) to the table, of cells and of tiles."""
    reading.READERS = readers
    for mode in ("cells", "tile"):
        embedder = Embedder(device=bench.device, backend="torch", batch_size=bench.batch)
        embedder.backend.takes_tensors = True
        trial = 0.0
        for name, seconds in (("trial", 0.0), ("timed", 8 * bench.seconds)):
            count = max(int(seconds / trial), 1) if trial else len(fields)
            repeated = [
                ImageSet(k + 1, field.channels, field.labels if mode == "cells" else {}, field.metadata)
                for k in range(count)
                for field in [fields[k % len(fields)]]
            ]
            began = time.perf_counter()
            report = run_job(repeated, job_of(mode), embedder, folder / f"{mode}-{name}", 8 << 30)
            spent = time.perf_counter() - began
            trial = spent / count
            if report.failures:
                raise SystemExit(str(report.failures[0]))
            if not bench.cuda:
                break
        yield mode, report.crops / spent


def goals(result: dict) -> list[str]:
    """What is asked of a GPU like the H200, whether this run reached it, and the slowest stage."""
    frames = result["whole frames, resident"].get(FULL, 0.0)
    whole, stages = result["files to table"]["cells"], result["stages"]
    slowest = min(stages, key=stages.get)
    return [
        f"{'reached' if frames >= RESIDENT_GOAL else 'MISSED'}: {RESIDENT_GOAL} whole frames/s resident: {frames:.0f}",
        f"{'reached' if whole >= WHOLE_GOAL else 'MISSED'}: {WHOLE_GOAL} crops/s from files to table: {whole:.0f}",
        f"slowest stage by itself: {slowest}, {stages[slowest]:.0f} crops/s",
    ]


def as_markdown(result: dict) -> str:
    """The figures as tables."""
    lines = [
        "# GPU",
        "",
        f"`python benchmarks/gpu.py`, microsnoop {result['version']}, PyTorch {result['torch']}, {result['device']}, "
        f"{result['machine']}; batches of {result['batch']}, {result['readers']} reading threads, fields of "
        f"{result['source']}. Channel-crops per second.",
    ]
    if "peak_gb" in result:
        lines[-1] += (
            f" Peak memory of the network {result['peak_gb']:.1f} GB. With a third of what a batch takes, batches "
            f"shrink to {result['batch_when_short_of_memory']}."
        )
    for table, rows in result.items():
        if isinstance(rows, dict):
            lines += ["", f"| {table} | /s |", "|---|---|", *(f"| {k} | {v:.0f} |" for k, v in rows.items())]
    return "\n".join([*lines, "", *(f"- {goal}" for goal in result["goals"])]) + "\n"


if __name__ == "__main__":
    main()
