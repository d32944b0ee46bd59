"""Compare OpenVINO on one batch with several inference streams that share the batch, in crops per second.

    python benchmarks/streams.py --out benchmarks/results

A stream computes its share of a batch with its share of the threads. All ways take turns, so that what else the machine
does meets each of them; the figure is the median of the rounds.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from microsnoop_engine.distributor.executors.machine import usable_cores
from microsnoop_engine.model.checkpoints import load_weights

sys.modules.setdefault("openvino_telemetry", None)  # see microsnoop_engine.model.backends.openvino_backend

SIZES = (48, 64, 96, 128, 224)
BATCH = 32


def main() -> None:
    """Measure and print, and write streams.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="folder for streams.md")
    options = parser.parse_args()
    from microsnoop_engine.model.backends.openvino_unet import UnetGraphs

    cores = len(usable_cores())
    ways = [(1, BATCH), *((n, BATCH) for n in (2, 4, 8) if n <= cores), (1, 2 * BATCH), (1, BATCH // 2)]
    graphs, random = UnetGraphs(*load_weights("base")), np.random.default_rng(0)
    lines = [
        "| crop, pixels | " + " | ".join(f"{n} streams, batch {batch}" for n, batch in ways) + " |",
        "|---" * (1 + len(ways)) + "|",
    ]
    for size in SIZES:
        model = graphs.build(size)
        crops = random.random((2 * BATCH, 1, size, size), np.float32)
        runs = [runner(model, crops[:batch], streams) for streams, batch in ways]
        seconds: list[list[float]] = [[] for _ in ways]
        for _ in range(options.rounds):
            for taken, run in zip(seconds, runs, strict=True):
                taken.append(run())
        rates = [batch / statistics.median(taken) for taken, (_, batch) in zip(seconds, ways, strict=True)]
        lines.append(f"| {size} | " + " | ".join(f"{rate:.1f} ({rate / rates[0]:.2f} x)" for rate in rates) + " |")
        print(lines[-1], flush=True)
    if options.out:
        how = (
            f"`python benchmarks/streams.py --out benchmarks/results`, {cores} cores. Crops per second of the network."
        )
        (options.out / "streams.md").write_text("\n\n".join(["# Streams and batches", how, "\n".join(lines)]) + "\n")


def runner(model: Any, crops: np.ndarray, streams: int) -> Callable[[], float]:
    """Computes the crops in so many streams at once; returns the seconds."""
    import openvino as ov

    core = ov.Core()
    precision = "bf16" if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "f32"
    compiled = core.compile_model(model, "CPU", {"NUM_STREAMS": streams, "INFERENCE_PRECISION_HINT": precision})
    requests = [compiled.create_infer_request() for _ in range(streams)]
    shares = [np.ascontiguousarray(share) for share in np.array_split(crops, streams)]

    def run() -> float:
        began = time.perf_counter()
        for request, share in zip(requests, shares, strict=True):
            request.start_async(share)
        for request in requests:
            request.wait()
        return time.perf_counter() - began

    run()
    return run


if __name__ == "__main__":
    main()
