"""Train on a folder of images, from its files to a checkpoint, pictures and a report."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..errors import InputError, ResumeError, counted
from ..model.backends.torch_backend import check_device
from ..model.devices import best_device
from ..model.embedder import Embedder
from ..storage.atomic import write_atomic
from . import parallel
from .config import PRESETS, TrainConfig, as_yaml, make_config
from .export import card_of, weight_arrays
from .judge import Judge, read_cells
from .memory import keep_freed_memory
from .pool import Pool, read_pool
from .report import draw_reconstructions, write_report
from .trainer import CHECKPOINT, Trainer, average_with_init, checkpoint_config, read_checkpoint
from .whitening import crops_like_cells, fit_whitening

JUDGMENTS = 10
"""Times that a run is judged unless it is said after how many crops."""
PICTURE_EPOCHS = 5
"""A picture of reconstructions is drawn after every fifth epoch."""


def train(
    images: str | Path,
    out: str | Path = "training",
    config: str | Path = "paper",
    changes: Mapping[str, Any] | None = None,
    *,
    resume: bool = False,
    device: str = "auto",
    precision: str = "auto",
    max_minutes: float = math.inf,
    save_minutes: float = 5,
    compiled: bool | None = None,
    judge: str | Path | None = None,
    judge_crops: int | None = None,
    on_message: Callable[[str], None] = lambda message: None,
    on_step: Callable[[dict[str, Any], int], None] = lambda entry, steps: None,
) -> Path:
    """Train a network by self-supervision on a folder of images (Xun et al. 2023, Methods).

    Parameters
    ----------
    images : str or Path
        Folder of images, whose sub-folders are the categories, or a pool (``index.csv`` and archives).
    out : str or Path
        Folder of the run: checkpoint, log, pictures and report. A run that it holds is continued.
    config : str or Path
        Preset (``paper``, ``base``, ``compact``) or YAML file. Of a preset's categories those that the images lack are
        left out; if the images have none of them, all images take part.
    changes : mapping of str to value, optional
        Settings that replace those of ``config`` (see :class:`.TrainConfig`).
    resume : bool
        Continue the run in ``out`` with its own configuration.
    device : {'auto', 'cpu', 'cuda', 'cuda:0', 'cuda:1', ..., 'mps'}
    precision : {'auto', 'float32', 'bfloat16'}
        ``auto``: bfloat16 on CUDA and on a CPU that computes it natively.
    max_minutes, save_minutes : float
        Time after which the run stops, and time between checkpoints, in minutes.
    compiled : bool, optional
        Use ``torch.compile``; by default on CUDA.
    judge : str or Path, optional
        Folder of labeled cells (see :func:`.read_cells`) that the network is judged on while it is trained.
    judge_crops : int, optional
        Crops between judgments; by default a tenth of the run.
    on_message : callable, optional
        Called with each line of text for the user.
    on_step : callable, optional
        Called after each step with its line of the log and the number of steps of the run.

    Returns
    -------
    Path
        The report, ``out/report.md``; the folder, in all processes but the first.

    Raises
    ------
    InputError
        If the images, settings or labeled cells cannot be used, or the loss is not finite.
    ResumeError
        If ``out`` holds a run of another configuration, or there is none to resume.
    DeviceError
        If PyTorch cannot use the device.
    """
    images, folder = Path(images), Path(out)
    device = best_device() if device == "auto" else device
    check_device(device)
    if precision == "auto":
        precision = "bfloat16" if device.startswith("cuda") or _cpu_has_bfloat16() else "float32"
    settings = stored_config(folder) if resume else make_config(config, changes)
    cells, left_out = read_cells(Path(judge)) if judge else ([], [])
    if device == "cpu":
        keep_freed_memory()
    if compiled is None:
        compiled = device.startswith("cuda")
    with parallel.process_group(device) as device_of_process:
        pool = read_pool(images)
        if not resume and str(config) in PRESETS and "categories" not in (changes or {}):
            settings = replace(settings, categories=pool.present(settings.categories))
        trainer = Trainer(settings, pool, folder, device_of_process, precision, compiled)
        write_atomic(folder / "config.yaml", as_yaml(settings).encode())
        validation_pool, notes = _validation_pool(images, settings.categories)
        skipped = f", {len(pool.skipped)} could not be read" if pool.skipped else ""
        on_message(
            f"{counted(len(pool.planes), 'images')}{skipped}; {device_of_process}, {precision}; step {trainer.step} of "
            f"{settings.steps}"
        )
        for note in (notes := [*notes, *left_out]):
            on_message(note)

        def draw_every_few_epochs(epoch: int) -> None:
            if not parallel.rank() and epoch % PICTURE_EPOCHS == 0:
                draw_reconstructions(trainer, validation_pool or pool, folder / f"reconstruction-{epoch:04d}.png")

        judge_cells = Judge(cells, folder, trainer.step)

        def judge_now(trainer: Trainer) -> dict[str, float]:
            scores = judge_cells(trainer)
            listed = ", ".join(f"{name} {100 * value:.1f} %" for name, value in scores.items())
            on_message(
                f"after {counted(trainer.step * settings.batch, 'crops')}: {listed} (labeled cells, "
                f"{counted(len(cells), 'sets')})"
            )
            return scores

        def judge_if_due() -> None:
            if cells and not parallel.rank() and judge_cells.last < trainer.step:
                judge_now(trainer)

        if not trainer.step:
            judge_if_due()
        completed = trainer.run(
            max_minutes,
            save_minutes,
            lambda entry: on_step(entry, settings.steps),
            draw_every_few_epochs,
            judge_now if cells else None,
            max(1, round(judge_crops / settings.batch) if judge_crops else settings.steps // JUDGMENTS),
        )
        if completed:
            judge_if_due()
        if completed and settings.whitening and not parallel.rank():
            on_message(f"whitening the embeddings on {counted(settings.whitening, 'crops')}")
            whiten(trainer)
        validation = trainer.validate(validation_pool) if validation_pool else None
        if not parallel.rank():
            draw_reconstructions(trainer, validation_pool or pool, folder / "reconstruction-last.png")
            return write_report(trainer, pool, validation, notes)
    return folder


def whiten(trainer: Trainer) -> None:
    """Fit the whitening of a run's embeddings in float32 (see :mod:`.whitening`) and save it in the checkpoint.

    Parameters
    ----------
    trainer : Trainer
        Its configuration says on how many crops.
    """
    config = trainer.config
    tensors = average_with_init(trainer.finished.state_dict(), trainer.init_tensors, config.init_average)
    state, card = weight_arrays(tensors, encoder_only=True), card_of(config, "unwhitened")
    embedder = Embedder.from_state(state, card, device=trainer.device.type, precision="float32")
    crops = crops_like_cells(trainer.batches, config.whitening, config.sees)
    weight, bias = fit_whitening(np.concatenate([embedder.embed(part.cpu().numpy()) for part in crops]))
    trainer.whitening = {"whiten.weight": torch.from_numpy(weight), "whiten.bias": torch.from_numpy(bias)}
    trainer.save()


def stored_config(folder: Path) -> TrainConfig:
    """Return the configuration of the run in a folder.

    Raises
    ------
    ResumeError
        If there is no run, or one of another version.
    """
    if not (folder / CHECKPOINT).is_file():
        raise ResumeError(f"'{folder}' holds no training run to continue: start one without `resume`")
    return checkpoint_config(read_checkpoint(folder), folder)


def _validation_pool(images: Path, categories: Sequence[str]) -> tuple[Pool | None, list[str]]:
    """Return the validation images of the categories, None if there are none, and notes on categories without any."""
    try:
        pool = read_pool(images, "val")
    except InputError:
        return None, ["there are no validation images: the losses are those of the training images alone"]
    present = pool.present(categories)
    missing = [name for name in categories if name not in present]
    notes = [f"there are no validation images of: {', '.join(missing)}"] if missing else []
    return (None if categories and not present else pool), notes


def _cpu_has_bfloat16() -> bool:
    available = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return bool(available and torch.ops.mkldnn._is_mkldnn_bf16_supported())
