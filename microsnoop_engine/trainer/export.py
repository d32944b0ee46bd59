"""Export the network of a training as weights with a card."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .. import __version__
from ..model.checkpoints import Card, halved, save_weights
from .config import TrainConfig
from .trainer import average_with_init, checkpoint_config, finished_tensors, read_checkpoint


def weight_arrays(state: Mapping[str, torch.Tensor], encoder_only: bool) -> dict[str, NDArray[np.float32]]:
    """Return the tensors of a network that belong into its weights, as float32 arrays.

    Parameters
    ----------
    state : mapping of str to Tensor
        Tensors by name.
    encoder_only : bool
        Leave out the decoder.
    """
    return {
        key: value.float().cpu().numpy()
        for key, value in state.items()
        if not key.endswith("num_batches_tracked") and (key.startswith("encoder.") or not encoder_only)
    }


def export(folder: Path, out: Path, name: str, license: str, encoder_only: bool) -> Card:
    """Write the weights of a run as float16 safetensors, with a card that states how they were made.

    Parameters
    ----------
    folder : Path
        Folder of the run.
    out : Path
        The ``.safetensors`` file to write.
    name, license : str
        For the card.
    encoder_only : bool
        Leave out the decoder: half the size.

    Returns
    -------
    Card
        With the hash of the file.

    Raises
    ------
    ResumeError
        If the folder holds no run, or one of another version.
    """
    state = read_checkpoint(folder)
    config = checkpoint_config(state, folder)
    trained = average_with_init(finished_tensors(state), state.get("init_tensors", {}), config.init_average)
    tensors = {key: halved(value) for key, value in weight_arrays(trained, encoder_only).items()}
    tensors |= {key: value.numpy() for key, value in state["whitening"].items()}
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    training = {
        "samples_seen": state["step"] * config.batch,
        "hours": round(state["seconds"] / 3600, 2),
        "hardware": f"{platform.machine()}, {os.cpu_count()} cores{gpu}",
        **({key: state[key] for key in ("start", "targets") if state.get(key)}),
        "finished": state["step"] >= config.steps,
        "configuration": {key: list(v) if isinstance(v, tuple) else v for key, v in state["config"].items()},
        "data": state["sources"],
        "parts": "encoder only, float16" if encoder_only else "encoder and decoder, float16",
        "whitened": bool(state["whitening"]),
        "exported": f"{date.today().isoformat()}, microsnoop {__version__}",
    }
    card = card_of(config, name, training, license)
    return save_weights(tensors, card, out)


def card_of(config: TrainConfig, name: str, training: dict[str, Any] | None = None, license: str = "") -> Card:
    """Return the card of weights that were trained with a configuration.

    Parameters
    ----------
    config : TrainConfig
        Its network and frame.
    name : str
    training : dict, optional
        How they were trained.
    license : str
    """
    return Card(
        name,
        architecture=config.architecture,
        dimension=config.dimension,
        input_size=config.sees.size,
        frame=config.frame,
        training=training or {},
        license=license,
    )
