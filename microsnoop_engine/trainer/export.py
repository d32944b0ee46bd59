"""Export the encoder of a training as weights."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import numpy as np
import torch

from .. import __version__
from ..model.checkpoints import Card, halved, save_weights
from .config import TrainConfig
from .trainer import average_with_init, read_checkpoint


def weight_arrays(state: Mapping[str, torch.Tensor], encoder_only: bool) -> dict[str, np.ndarray]:
    """The tensors of a network that weights consist of."""
    return {
        key: value.float().cpu().numpy()
        for key, value in state.items()
        if not key.endswith("num_batches_tracked") and (key.startswith("encoder.") or not encoder_only)
    }


def export(folder: Path, target: Path, name: str, license: str, encoder_only: bool) -> Card:
    """Write the weights of a run as float16 safetensors with a card that says how they were made.

    Raises
    ------
    ResumeError
        If the folder holds no run.
    """
    state = read_checkpoint(folder)
    config = TrainConfig(**state["config"])
    learnt = average_with_init(state["model"], state.get("start_tensors", {}), config.init_average)
    tensors = {key: halved(value) for key, value in weight_arrays(learnt, encoder_only).items()}
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
        tensors, Card(name, architecture=config.architecture, training=training, license=license), target
    )
