"""Crops per second of a step of `microsnoop train --config compact`, against the prototype that the recipe comes from.

Steps of both take turns in one process, on the same images, with the same batch and precision. On a CPU the time is
that of the process (other programs may run beside it), on a GPU that of the clock.

    python benchmarks/training_speed.py --prototype gpu_training.py [--batch 128] [--steps 12] [--device cuda --compile]

The prototype is a file of functions (`Sampler`, `make`, `ntxent`); it is imported, and its step is put together here.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

import torch
import torch.nn.functional as F
from get_data import DATA
from torch import nn

from microsnoop_engine.trainer.config import PRECISIONS, TrainConfig, make_config
from microsnoop_engine.trainer.memory import keep_freed_memory
from microsnoop_engine.trainer.pool import Pool, read_pool
from microsnoop_engine.trainer.trainer import Trainer

UNTIMED = 3
"""Steps before the first that is timed."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prototype", type=Path, required=True, help="the prototype's Python file")
    parser.add_argument("--pool", type=Path, default=DATA / "pool")
    parser.add_argument("--split", default="val", help="images that are trained on; those of val are read faster")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=PRECISIONS, default="float32")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.device == "cpu":
        keep_freed_memory()
    config, pool = make_config("compact", {"batch": options.batch}), read_pool(options.pool, options.split)
    with TemporaryDirectory() as folder:
        trainer = Trainer(config, pool, Path(folder), options.device, options.precision, options.compile)
        sides: dict[str, Callable[[], object]] = {
            "microsnoop train": trainer.train_step,
            "prototype": prototype_step(load(options.prototype, options.compile), pool, config, options),
        }
        seconds = {name: [] for name in sides}
        for n in range(UNTIMED + options.steps):
            for name, step in sides.items():
                took = timed(step, options.device)
                if n >= UNTIMED:
                    seconds[name].append(took)
    kind = "CPU" if options.device == "cpu" else "wall"
    compiled = ", compiled" if options.compile else ""
    print(
        f"compact, batch {options.batch}, {options.precision}{compiled}, {options.device}, {options.threads} threads, "
        f"{options.steps} steps each, PyTorch {torch.__version__}, {platform.machine()}"
    )
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    for name, median in medians.items():
        print(f"{name:20s} {1000 * median:8.0f} ms of {kind} time per step {options.batch / median:10.1f} crops/s")
    ratios = [b / a for a, b in zip(*seconds.values(), strict=True)]
    print(
        f"rate of microsnoop train / prototype: {statistics.median(ratios):.3f} (median of {len(ratios)} pairs of "
        f"steps, {min(ratios):.3f} to {max(ratios):.3f})"
    )


def timed(step: Callable[[], object], device: str) -> float:
    """Seconds of a step: of the process on a CPU, of the clock on a GPU."""
    if device == "cpu":
        began = time.process_time()
        step()
        return time.process_time() - began
    torch.cuda.synchronize()
    began = time.perf_counter()
    step()
    torch.cuda.synchronize()
    return time.perf_counter() - began


def load(path: Path, compiled: bool) -> ModuleType:
    """Import the prototype from its file."""
    if not compiled:
        os.environ["EAGER_CUT"] = "1"
    spec = importlib.util.spec_from_file_location("prototype", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def prototype_step(
    prototype: ModuleType, pool: Pool, config: TrainConfig, options: argparse.Namespace
) -> Callable[[], object]:
    """A function that takes a step of the prototype with the settings of the preset."""
    device = torch.device(options.device)
    sampler = prototype.Sampler(pool.planes, device)
    network = prototype.make("s", config.dimension).to(device, memory_format=torch.channels_last).train()
    raw = torch.compile(network.raw) if options.compile else network.raw
    width = config.dimension
    head = nn.Sequential(
        nn.Linear(width, 4 * width), nn.BatchNorm1d(4 * width), nn.ReLU(), nn.Linear(4 * width, width)
    ).to(device)
    parameters = [*network.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(
        parameters, lr=config.learning_rate, weight_decay=config.weight_decay, fused=device.type == "cuda"
    )

    def step() -> float:
        place = sampler.draw(
            config.batch, config.crops_per_image, config.scale_low, config.scale_high, config.crop_candidates
        )
        with torch.autocast(device.type, torch.bfloat16, enabled=options.precision == "bfloat16"):
            views = [sampler.view(place, config.crop, config.crop) for _ in range(2)]
            embeddings = raw(torch.cat(views).contiguous(memory_format=torch.channels_last)).float()
            projected = head(F.normalize(embeddings) * width**0.5)
            loss = prototype.ntxent(*projected.chunk(2), config.temperature)
        value = float(loss.detach())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, config.clip)
        optimizer.step()
        return value

    return step


if __name__ == "__main__":
    main()
