"""`microsnoop train` and `microsnoop weights export`: a run from its images to a weights file."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from . import __version__
from . import training_parallel as parallel
from .errors import InputError, ResumeError
from .machine import keep_freed_memory
from .model.checkpoints import Card, halved, save_weights
from .model.devices import best_device
from .model.embedder import Embedder
from .pool import read_pool
from .storage.atomic import replace_file
from .telling import Teller
from .trainer import CHECKPOINT, Trainer, finished, read_checkpoint
from .training_config import PRESETS, TrainConfig, as_yaml, make_config
from .training_report import draw_reconstructions, write_report
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
    teller: Teller | None = None,
) -> Path:
    """Train on a pool or folder of images; the report.

    With ``resume`` the configuration is the one of the run in the folder. Of a preset's categories those that the
    images lack are left out; images that have none of them all take part.
    """
    teller = teller or Teller(quiet=True)
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
        replace_file(folder / "config.yaml", as_yaml(settings).encode())
        try:
            validation_pool = read_pool(images, "val")
        except InputError:
            validation_pool = None
        skipped = f", {len(pool.skipped)} could not be read" if pool.skipped else ""
        teller.say(
            f"{len(pool.planes)} images{skipped}; {own_device}, {precision}; step {trainer.step} of {settings.steps}"
        )

        def on_epoch(epoch: int) -> None:
            if not parallel.rank() and epoch % PICTURE_EPOCHS == 0:
                draw_reconstructions(trainer, validation_pool or pool, folder / f"reconstruction-{epoch:04d}.png")

        with teller.progress("steps") as progress:

            def on_step(entry: dict[str, Any]) -> None:
                progress(entry["step"], settings.steps, f"loss {entry['loss']:.4f}")

            goes_on = trainer.run(max_minutes, save_minutes, on_step, on_epoch)
        if goes_on and settings.whitening and not parallel.rank():
            teller.say(f"whitening the embeddings on {settings.whitening} crops")
            whiten(trainer)
        validation = trainer.validate(validation_pool) if validation_pool else None
        if not parallel.rank():
            draw_reconstructions(trainer, validation_pool or pool, folder / "reconstruction-last.png")
            return write_report(trainer, pool, validation)
    return folder


def whiten(trainer: Trainer) -> None:
    """Fit the whitening of a run's embeddings (:mod:`microsnoop_engine.whitening`) in float32, and save it."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "plain.safetensors"
        card = Card("plain", architecture=trainer.config.architecture)
        tensors = finished(trainer.model.state_dict(), trainer.start_tensors, trainer.config.start_share)
        save_weights(_arrays(tensors, encoder_only=True), card, path)
        embedder = Embedder(path, device=trainer.device.type, precision="float32")
        crops = crops_like_cells(trainer.batches, trainer.config.whitening)
        weight, bias = fit_whitening(np.concatenate([embedder.embed(part.cpu().numpy()) for part in crops]))
    trainer.whitening = {"whiten.weight": torch.from_numpy(weight), "whiten.bias": torch.from_numpy(bias)}
    trainer.save()


def _arrays(state: Mapping[str, torch.Tensor], encoder_only: bool) -> dict[str, np.ndarray]:
    """The tensors of a network that weights consist of."""
    return {
        key: value.float().cpu().numpy()
        for key, value in state.items()
        if not key.endswith("num_batches_tracked") and (key.startswith("encoder.") or not encoder_only)
    }


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


def export(folder: Path, target: Path, name: str, licence: str, encoder_only: bool) -> Card:
    """Write the weights of a run as float16 safetensors with a card that says how they were made.

    Raises
    ------
    ResumeError
        If the folder holds no run.
    """
    state = read_checkpoint(folder)
    config = TrainConfig(**state["config"])
    learnt = finished(state["model"], state.get("start_tensors", {}), config.start_share)
    tensors = {key: halved(value) for key, value in _arrays(learnt, encoder_only).items()}
    tensors |= {key: value.numpy() for key, value in state["whitening"].items()}
    training = {
        "samples_seen": state["step"] * config.batch,
        "hours": round(state["seconds"] / 3600, 2),
        "hardware": f"{platform.machine()}, {os.cpu_count()} cores"
        + (f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""),
        **({key: state[key] for key in ("start", "targets") if state.get(key)}),
        "finished": state["step"] >= config.steps,
        "configuration": {key: list(v) if isinstance(v, tuple) else v for key, v in state["config"].items()},
        "data": state["sources"],
        "parts": "encoder only, float16" if encoder_only else "encoder and decoder, float16",
        "whitened": bool(state["whitening"]),
        "exported": f"{date.today().isoformat()}, microsnoop {__version__}",
    }
    return save_weights(
        tensors, Card(name, architecture=config.architecture, training=training, licence=licence), target
    )


def _choose_device(device: str) -> str:
    return best_device() if device == "auto" else device


def _cpu_has_bfloat16() -> bool:
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
