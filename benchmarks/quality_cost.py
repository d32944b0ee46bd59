"""Measure what the quality of planes and objects costs: its share of the CPU time of a run.

    python benchmarks/quality_cost.py LoadData.csv --segment nuclei --channel DNA --out benchmarks/results

All is measured in one run of this process: the CPU time of its threads (reading, segmentation, crops, network and
quality; loading the network does not count), and that of the calls that measure quality.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from microsnoop_engine import CropSettings, Embedder, find_image_sets
from microsnoop_engine.distributor import assembly, run


def main() -> None:
    """Measure and print, and write quality_cost.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", help="input of microsnoop profile")
    parser.add_argument("--image-sets", type=int, default=12, help="measure so many; default: 12")
    parser.add_argument("--mode", default="cells", help="mode of the crops; default: cells")
    parser.add_argument("--segment", help="find the objects, as microsnoop profile does")
    parser.add_argument("--channel", help="channel that is segmented")
    parser.add_argument("--name", default="images", help="name of the images, for the table")
    parser.add_argument("--out", type=Path, help="folder for quality_cost.md, which gets a row")
    options = parser.parse_args()
    image_sets = find_image_sets(options.input)[: options.image_sets]
    embedder = Embedder(device="cpu")
    seconds = dict.fromkeys(("plane_quality", "object_quality"), 0.0)
    for name in seconds:
        setattr(assembly, name, timed(getattr(assembly, name), seconds, name))
    with tempfile.TemporaryDirectory() as folder:
        before = time.process_time()
        settings = {"segment": options.segment, "segment_channel": options.channel}
        summary = run.profile(image_sets, folder, CropSettings(mode=options.mode), embedder=embedder, **settings)
        total = time.process_time() - before
    planes = len(summary.job.channels) * len(image_sets)
    shares = " | ".join(f"{100 * taken / (total - sum(seconds.values())):.1f} %" for taken in seconds.values())
    objects = summary.crops / planes
    row = f"| {options.name} | {embedder.card.name} | {options.mode} | {len(summary.job.channels)} | {objects:.0f} | "
    row += f"{1000 * total / len(image_sets):.0f} | {shares} |"
    print(row)
    if options.out:
        file = options.out / "quality_cost.md"
        file.write_text((file.read_text() if file.exists() else HEADER) + row + "\n")


HEADER = """# Cost of the quality of planes and objects

CPU time by `python benchmarks/quality_cost.py`, in relation to a run without it.

| images | network | mode | channels | crops per image set | ms per image set | quality of planes | quality of objects |
|---|---|---|---|---|---|---|---|
"""


def timed(function: Callable[..., Any], seconds: dict[str, float], name: str) -> Callable[..., Any]:
    """Add the CPU time of the calls of a function to ``seconds``."""

    @wraps(function)
    def call(*arguments: Any) -> Any:
        before = time.thread_time()
        try:
            return function(*arguments)
        finally:
            seconds[name] += time.thread_time() - before

    return call


if __name__ == "__main__":
    main()
