"""How far lower precision moves features from those in float32, for each shipped network, mask and size of crop.

Real nuclei: cells of MitoCheck that the benchmark of the representation does not use, with the nucleus by Otsu's
threshold as the object. Every box is resized to the size, so that all crops have it.

    python benchmarks/precision.py [--out benchmarks/results]

Compared with float32 on the CPU: bfloat16 of the CPU where it has that, and what `--precision auto` takes on each GPU.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from classical import otsu_mask
from eval_sets import read_development_set
from throughput import Collector, machine

from microsnoop_engine import __version__
from microsnoop_engine.errors import DeviceError, MicrosnoopError
from microsnoop_engine.model.backends.openvino_compact import CompactGraphs
from microsnoop_engine.model.checkpoints import DIMENSION
from microsnoop_engine.model.embedder import Embedder
from microsnoop_engine.model.frame import LARGEST, Frame
from microsnoop_engine.modes.batcher import Batcher
from microsnoop_engine.modes.measure import start_measurement
from microsnoop_engine.modes.settings import MASKS, CropSettings

NETWORKS = ("fast", "base")
SIZES = (64, 128, 160, 192, 224)
SHIFT, COSINE = 0.05, 0.999
"""Targets: largest shift of a mean in standard deviations of the cells, and lowest cosine."""
HEADS = ("network", "computed in", "mask", "px", "largest shift, sd", "median shift, sd", "lowest cosine")
HEADS = (*HEADS, "squared error / variance", "target")


def main() -> None:
    """Measure, print, and write precision.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", help="name or file of weights, instead of the shipped ones")
    parser.add_argument("--cells", type=int, default=200)
    parser.add_argument("--sizes", type=lambda text: list(map(int, text.split(","))), default=list(SIZES))
    parser.add_argument("--masks", type=lambda text: text.split(","), default=list(MASKS))
    parser.add_argument("--threads", type=int)
    parser.add_argument("--out", type=Path, help="folder for precision.md")
    options = parser.parse_args()
    cells = read_development_set("mitocheck_phenotype", options.cells).images
    lines = ["| " + " | ".join(HEADS) + " |", "|---" * len(HEADS) + "|"]
    print(*lines, sep="\n")
    for row in measure(options, cells):
        lines.append("| " + " | ".join(row) + " |")
        print(lines[-1], flush=True)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "precision.md").write_text(f"{head(len(cells))}\n\n" + "\n".join(lines) + "\n")


def measure(options: argparse.Namespace, cells: np.ndarray) -> Iterator[tuple[str, ...]]:
    """The rows of the table, of cells (n, 1, h, w)."""
    labels = [otsu_mask(image.astype(np.float64)) for image in cells]
    for model in options.model or NETWORKS:
        exact = Embedder(model, device="cpu", precision="float32", threads=options.threads)
        lower = lower_precisions(model, options.threads)
        for mask in options.masks:
            for size in options.sizes if not exact.frame.zeros else (LARGEST,):
                windows = windows_of(cells, labels, mask, size, exact.frame.zeros)
                wanted = exact.embed(windows)
                for name, embedder in lower.items():
                    found = distances(wanted, embedder.embed(windows))
                    reached = "reached" if found[0] <= SHIFT and found[2] >= COSINE else "**missed**"
                    numbers = (f"{found[0]:.3f}", f"{found[1]:.3f}", f"{found[2]:.5f}", f"{found[3]:.5f}")
                    yield (exact.card.name, name, mask, str(size), *numbers, reached)


def lower_precisions(model: str, threads: int | None) -> dict[str, Embedder]:
    """The embedders that are compared, by name."""
    found = {}
    try:
        found["bfloat16, CPU"] = Embedder(
            model, device="cpu", backend="openvino", precision="bfloat16", threads=threads
        )
    except DeviceError:
        print("bfloat16: not on this processor")
    for device in ("cuda", "mps"):
        try:
            embedder = Embedder(model, device=device)
            found[f"{embedder.precision}, {device}"] = embedder
        except MicrosnoopError:
            print(f"{device}: not on this machine")
    return found


def windows_of(cells: np.ndarray, labels: list[np.ndarray], mask: str, size: int, zeros: bool) -> np.ndarray:
    """The crops (m, 1, size, size) of the cells that can be measured."""
    collector = Collector(Frame(size, zeros))
    batcher = Batcher(collector)
    for image, objects in zip(cells, labels, strict=True):
        start_measurement(batcher, image, objects, CropSettings(mask=mask, scale="each"), DIMENSION)
    batcher.flush()
    return np.concatenate(collector.windows[size])


def distances(wanted: np.ndarray, found: np.ndarray) -> tuple[float, float, float, float]:
    """Largest and median shift of the means, lowest cosine, and squared error over the variance, of features (n, d)."""
    shift = np.abs((found - wanted).mean(0, dtype=np.float64)) / wanted.std(0)
    cosine = (found * wanted).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(wanted, axis=1)
    error = ((found - wanted) ** 2).sum() / ((wanted - wanted.mean(0)) ** 2).sum()
    return float(shift.max()), float(np.median(shift)), float(cosine.min()), float(error)


def head(cells: int) -> str:
    """The title and what was done."""
    return (
        "# Precision\n\n"
        f"`python benchmarks/precision.py --out benchmarks/results`, microsnoop {__version__}, {machine()}. {cells} "
        "nuclei of MitoCheck, the object by Otsu's threshold, the box around it (`rescale_constant` 2, cut at the edge "
        "of the image) resized to the size. Against float32 on the CPU: the shift of the mean of all cells in standard "
        "deviations of the cells, the largest and the median of the 256 features; the lowest cosine of a cell; and the "
        f"squared error as a share of the cells' variance. Target: a shift of at most {SHIFT} and a cosine of at least "
        f"{COSINE}. On a CPU, `--precision auto` takes bfloat16 for crops of at most {CompactGraphs.bfloat16_limit} "
        "pixels by `microsnoop-fast`, and float32 for all else."
    )


if __name__ == "__main__":
    main()
