"""`microsnoop train` and `microsnoop weights export`: a run from its images to a weights file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from ..cli.console import Console
from ..errors import InputError, ResumeError
from ..model.checkpoints import Card, save_weights
from ..model.devices import best_device
from ..model.embedder import Embedder
from ..storage.atomic import write_atomic
from . import parallel
from .config import PRESETS, TrainConfig, as_yaml, make_config
from .export import weight_arrays
from .memory import keep_freed_memory
from .pool import read_pool
from .report import draw_reconstructions, write_report
from .trainer import CHECKPOINT, Trainer, average_with_init, read_checkpoint
from .whitening import crops_like_cells, fit_whitening

PICTURE_EPOCHS = 5


def train(
    images: Path,
    folder: Path,
    config: str = "paper",
    changes: Mapping[str, Any] | None = None,
    resume: bool = False,
    device: str = "auto",
    precision: str = "auto",
    max_minutes: float = math.inf,
    save_minutes: float = 5,
    compiled: bool = False,
    console: Console | None = None,
) -> Path:
    """Train on a pool or folder of images; the report.

    With ``resume`` the configuration is the one of the run in the folder. Of a preset's categories those that the
    images lack are left out; images that have none of them all take part.
    """
    console = console or Console(quiet=True)
    device = _choose_device(device)
    if precision == "auto":
        precision = "bfloat16" if device == "cuda" or _cpu_has_bfloat16() else "float32"
    settings = stored_config(folder) if resume else make_config(config, changes)
    if device == "cpu":
        keep_freed_memory()
    with parallel.process_group(device) as own_device:
        pool = read_pool(images)
        if not resume and config in PRESETS and "categories" not in (changes or {}):
            settings = replace(settings, categories=pool.present(settings.categories))
        trainer = Trainer(settings, pool, folder, own_device, precision, compiled)
        write_atomic(folder / "config.yaml", as_yaml(settings).encode())
        try:
            validation_pool = read_pool(images, "val")
        except InputError:
            validation_pool = None
        skipped = f", {len(pool.skipped)} could not be read" if pool.skipped else ""
        console.say(
            f"{len(pool.planes)} images{skipped}; {own_device}, {precision}; step {trainer.step} of {settings.steps}"
        )

        def on_epoch(epoch: int) -> None:
            if not parallel.rank() and epoch % PICTURE_EPOCHS == 0:
                draw_reconstructions(trainer, validation_pool or pool, folder / f"reconstruction-{epoch:04d}.png")

        with console.progress("steps") as progress:

            def on_step(entry: dict[str, Any]) -> None:
                progress(entry["step"], settings.steps, f"loss {entry['loss']:.4f}")

            goes_on = trainer.run(max_minutes, save_minutes, on_step, on_epoch)
        if goes_on and settings.whitening and not parallel.rank():
            console.say(f"whitening the embeddings on {settings.whitening} crops")
            whiten(trainer)
        validation = trainer.validate(validation_pool) if validation_pool else None
        if not parallel.rank():
            draw_reconstructions(trainer, validation_pool or pool, folder / "reconstruction-last.png")
            return write_report(trainer, pool, validation)
    return folder


def whiten(trainer: Trainer) -> None:
    """Fit the whitening of a run's embeddings (:mod:`microsnoop_engine.trainer.whitening`) in float32, and save it."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "plain.safetensors"
        card = Card("plain", architecture=trainer.config.architecture)
        tensors = average_with_init(trainer.model.state_dict(), trainer.start_tensors, trainer.config.init_average)
        save_weights(weight_arrays(tensors, encoder_only=True), card, path)
        embedder = Embedder(path, device=trainer.device.type, precision="float32")
        crops = crops_like_cells(trainer.batches, trainer.config.whitening)
        weight, bias = fit_whitening(np.concatenate([embedder.embed(part.cpu().numpy()) for part in crops]))
    trainer.whitening = {"whiten.weight": torch.from_numpy(weight), "whiten.bias": torch.from_numpy(bias)}
    trainer.save()


def stored_config(folder: Path) -> TrainConfig:
    """The configuration of the run in a folder.

    Raises
    ------
    ResumeError
        If there is none.
    """
    if not (folder / CHECKPOINT).is_file():
        raise ResumeError(f"'{folder}' holds no training run to continue: leave --resume out to start one")
    return TrainConfig(**read_checkpoint(folder)["config"])


def _choose_device(device: str) -> str:
    return best_device() if device == "auto" else device


def _cpu_has_bfloat16() -> bool:
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
