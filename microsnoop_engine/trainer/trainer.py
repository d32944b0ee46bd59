"""Train a network by masked reconstruction (Xun et al. 2023, Methods) and by losses beyond the paper."""

from __future__ import annotations

import csv
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..errors import InputError, MicrosnoopError, ResumeError, counted, first_line
from ..model.network import Network
from ..model.registry import make_network
from ..storage.atomic import atomic_path
from . import parallel
from .batches import Batches, patch_mask
from .config import PRECISIONS, TrainConfig
from .losses import contrast_loss, decorrelation_loss, distillation_loss, reconstruction_loss
from .pool import Pool
from .targets import Targets, read_targets
from .warm_start import freeze_stages, load_initial_weights

CHECKPOINT = "checkpoint.pt"
LOG = "log.csv"
LOSSES = ("loss", "reconstruction", "contrast", "decorrelation", "distillation")
SCORES = ("neighbors", "linear")
"""Mean scores of labeled cells, in the lines of the log at which they were judged."""
LOG_COLUMNS = ("step", "epoch", "images", *LOSSES, "learning_rate", "seconds", "data_share", *SCORES)
VALIDATION_STEPS = 16


class Trainer:
    """A training run in a folder. It continues from the folder's checkpoint if there is one.

    Parameters
    ----------
    config : TrainConfig
    pool : Pool
        Images to learn from.
    folder : Path
    device : str
    precision : {'float32', 'bfloat16'}
    compiled : bool
        Use ``torch.compile``.

    Attributes
    ----------
    step : int
        Number of steps done.
    seconds : float
        Their duration.
    batches : Batches
        Source of the training crops.
    average : AveragedModel, optional
        The moving average of the network's weights, if ``average_decay`` asks for one.
    targets : Targets, optional
        Precomputed targets, if the configuration names a file of them.
    started_from : dict
        Name, hash, samples and hours of the initial weights.
    init_tensors : dict of str to Tensor
        The initial weights, if ``init_average`` keeps a share of them.
    whitening : dict of str to Tensor
        Whitening of the embeddings, once it is fitted.

    Raises
    ------
    ResumeError
        If the folder holds a run of another configuration.
    InputError
        If the batch cannot be divided among the processes, or training in this precision is not possible.
    """

    def __init__(
        self,
        config: TrainConfig,
        pool: Pool,
        folder: Path,
        device: str = "cpu",
        precision: str = "float32",
        compiled: bool = False,
    ) -> None:
        if precision not in PRECISIONS:
            raise InputError(f"`precision`: training computes in {' or '.join(PRECISIONS)}, not in {precision}")
        if config.batch % parallel.world_size():
            raise InputError(
                f"batch is {config.batch}: it must be a multiple of the {counted(parallel.world_size(), 'processes')}"
            )
        torch.manual_seed(config.seed)
        self.config = config
        self.folder = folder
        self.device = torch.device(device)
        self.sources = pool.sources
        self._precision, self._compiled = precision, compiled
        self.targets: Targets | None = read_targets(Path(config.targets), pool) if config.targets else None
        self.batches = Batches(pool, config, self.device, self.targets, compiled)
        width = config.dimension
        self.model = make_network(config.architecture, width, decoder=config.reconstruction_weight > 0)
        self.started_from: dict[str, Any] = {}
        if config.init_weights and not (folder / CHECKPOINT).exists():
            card = load_initial_weights(self.model, config.init_weights, config.architecture)
            seen = {key: card.training[key] for key in ("samples_seen", "hours", "start") if key in card.training}
            self.started_from = {"name": card.name, "sha256": card.sha256} | seen
        self.init_tensors: dict[str, Tensor] = {}
        if config.init_average:
            self.init_tensors = {key: value.clone() for key, value in self.model.state_dict().items()}
        if config.frozen_stages:
            freeze_stages(self.model, config.frozen_stages, config.architecture)
        self.head = nn.Sequential(
            nn.Linear(width, 4 * width), nn.BatchNorm1d(4 * width), nn.ReLU(), nn.Linear(4 * width, width)
        )
        for network in (self.model, self.head):
            parallel.sync_batchnorm(network)
        self.predictor = nn.Linear(width, self.targets.target.shape[1]) if self.targets else nn.Identity()
        self.model.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.head.to(self.device)
        self.predictor.to(self.device)
        heads = [*(self.head.parameters() if config.contrast_weight else ()), *self.predictor.parameters()]
        self._parameters = [p for p in (*self.model.parameters(), *heads) if p.requires_grad]
        decays = {config.weight_decay: [p for p in self._parameters if p.ndim > 1]}
        decays.setdefault(config.norm_decay, []).extend(p for p in self._parameters if p.ndim < 2)
        self._optimizer = torch.optim.AdamW(
            [{"params": parameters, "weight_decay": decay} for decay, parameters in decays.items()],
            lr=config.learning_rate,
            fused=self.device.type == "cuda",
        )
        self.average: AveragedModel | None = None
        if config.average_decay:
            average = get_ema_multi_avg_fn(config.average_decay)  # type: ignore[no-untyped-call]
            self.average = AveragedModel(self.model, multi_avg_fn=average, use_buffers=True)
        self._reconstruct = torch.compile(self.model) if compiled else self.model
        self._embed = torch.compile(self.model.embed) if compiled else self.model.embed
        self.step = 0
        self.seconds = 0.0
        self.whitening: dict[str, Tensor] = {}
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / CHECKPOINT).exists():
            self._load()

    def run(
        self,
        max_minutes: float = math.inf,
        save_minutes: float = 5,
        on_step: Callable[[dict[str, Any]], None] | None = None,
        on_epoch: Callable[[int], None] | None = None,
        judge: Callable[[Trainer], dict[str, float]] | None = None,
        judge_steps: int = 1,
    ) -> bool:
        """Train until the last step, the time limit or a signal to stop, and save a checkpoint.

        Parameters
        ----------
        max_minutes, save_minutes : float
            Time limit, and time between checkpoints, in minutes.
        on_step : callable, optional
            Called with each line of the log.
        on_epoch : callable, optional
            Called with the number of each finished epoch, from 1.
        judge : callable, optional
            Called with the trainer, in the first process, after every ``judge_steps`` steps and after the last. It
            returns the ``SCORES`` for the log.
        judge_steps : int

        Returns
        -------
        bool
            False if training was interrupted by a signal.

        Raises
        ------
        InputError
            If the loss is not finite; the message names the batch. The last checkpoint is kept.
        """
        began = saved = time.monotonic()
        with _stop_signals() as stopped, _log(self.folder / LOG, self.step) as write:
            while self.step < self.config.steps:
                now = time.monotonic()
                if parallel.any_process(stopped() or now - began > max_minutes * 60, self.device):
                    break
                try:
                    entry = self.train_step()
                except MicrosnoopError:
                    raise
                except Exception as error:  # compilers fail in many ways
                    if not self._compiled:
                        raise
                    reason = f"{type(error).__name__}: {first_line(error)}"
                    raise InputError(
                        f"torch.compile fails on this network ({reason}): train without `compiled`"
                    ) from error
                if judge and not parallel.rank() and (not self.step % judge_steps or self.step == self.config.steps):
                    entry |= judge(self)
                write(entry)
                if on_step:
                    on_step(entry)
                if on_epoch and self.step % self.config.steps_per_epoch == 0:
                    on_epoch(self.step // self.config.steps_per_epoch)
                if now - saved > save_minutes * 60:
                    self.save()
                    saved = now
        self.save()
        return not parallel.any_process(stopped(), self.device)

    def train_step(self) -> dict[str, Any]:
        """Take one step of the optimizer and return its line of the log."""
        began = time.perf_counter()
        rate = learning_rate(self.config, self.step)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self.model.train()
        views = self.views(self.batches, self.step)
        drawn = time.perf_counter() - began
        losses = self.losses(views, self.step, self.batches)
        loss = self._total(losses)
        # read before the gradients are computed, which a GPU then does while the next batch is drawn
        values = {name: value.detach().clone() for name, value in {"loss": loss, **losses}.items()}
        parallel.average(values.values())
        numbers = dict(zip(values, torch.stack(list(values.values())).tolist(), strict=True))
        if not math.isfinite(numbers["loss"]):
            category = self.batches.categories[self.step % len(self.batches.categories)]
            raise InputError(
                f"the loss is not finite at step {self.step} (category {category}): lower learning_rate, or check "
                "these images; the last checkpoint is kept"
            )
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        parallel.average(p.grad for p in self._parameters if p.grad is not None)
        if self.config.clip:
            nn.utils.clip_grad_norm_(self._parameters, self.config.clip)
        self._optimizer.step()
        if self.average:
            self.average.update_parameters(self.model)
        self.step += 1
        seconds = time.perf_counter() - began
        self.seconds += seconds
        return {
            "step": self.step,
            "epoch": (self.step - 1) // self.config.steps_per_epoch,
            "images": self.step * self.config.batch,
            **numbers,
            "learning_rate": rate,
            "seconds": round(seconds, 4),
            "data_share": round(drawn / seconds, 4),
        }

    def views(self, batches: Batches, step: int) -> list[Tensor]:
        """Return this process's crops (n, 1, s, s) of a step; with contrast or targets, two views of each."""
        share = parallel.rows_of_process(self.config.batch)
        two = self.config.contrast_weight or batches.with_targets
        parts = [view[share] for view in (batches.views(step) if two else (batches.draw(step),))]
        return [batches.vary(batches.crops(x), batches.shown(x), step, n, share) for n, x in enumerate(parts)]

    def losses(self, views: list[Tensor], step: int, batches: Batches) -> dict[str, Tensor]:
        """Return the losses of the crops of a step, by name."""
        config, losses = self.config, {}
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._precision == "bfloat16"):
            if config.reconstruction_weight:
                mask = patch_mask(config, step, self.device)[parallel.rows_of_process(config.batch)]
                output = self._reconstruct(views[0].contiguous(memory_format=torch.channels_last), mask)
                losses["reconstruction"] = reconstruction_loss(_full(output), views[0], mask, config.masked_weight)
            if config.contrast_weight or batches.with_targets:
                both = torch.cat(views).contiguous(memory_format=torch.channels_last)
                embeddings = _full(self._embed(both)) * math.sqrt(config.dimension)
            if batches.with_targets:
                targets = batches.targets(step)[parallel.rows_of_process(config.batch)]
                losses["distillation"] = distillation_loss(_full(self.predictor(embeddings)), targets.repeat(2, 1))
            if config.contrast_weight:
                first, second = (parallel.gather(part) for part in _full(self.head(embeddings)).chunk(2))
                losses["contrast"] = contrast_loss(first, second, config.temperature)
                if config.decorrelation_weight:
                    losses["decorrelation"] = decorrelation_loss(parallel.gather(embeddings))
        return losses

    @property
    def finished(self) -> Network:
        """The network that is judged and exported: the moving average of the weights if there is one."""
        return cast(Network, self.average.module) if self.average else self.model

    @torch.no_grad()
    def embed(self, crops: Tensor) -> Tensor:
        """Compute embeddings (n, dimension), float32, of crops (n, 1, s, s) by the finished network, not whitened."""
        network = self.finished.eval()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._precision == "bfloat16"):
            return network.embed(crops.to(self.device).contiguous(memory_format=torch.channels_last)).float()

    def _total(self, losses: dict[str, Tensor]) -> Tensor:
        weighted = [getattr(self.config, f"{name}_weight") * value for name, value in losses.items()]
        return torch.stack(weighted).sum()

    @torch.no_grad()
    def validate(self, pool: Pool) -> dict[str, float]:
        """Return the mean losses over the first batches of another pool, always the same batches.

        Parameters
        ----------
        pool : Pool
            Only the configuration's categories that it has take part.

        Returns
        -------
        dict of str to float
            Losses by name.
        """
        self.model.eval()
        batches = self.batches_of(pool)
        steps = [self.losses(self.views(batches, step), step, batches) for step in range(VALIDATION_STEPS)]
        return {name: sum(losses[name].item() for losses in steps) / len(steps) for name in steps[0]}

    def batches_of(self, pool: Pool) -> Batches:
        """Return batches of another pool, such as the validation images, of the categories that it has."""
        config = replace(self.config, categories=pool.present(self.config.categories))
        return Batches(pool, config, self.device)

    def save(self) -> None:
        """Write the checkpoint whole (first to a temporary name)."""
        if parallel.rank():
            return
        state = {
            "config": asdict(self.config),
            "step": self.step,
            "seconds": self.seconds,
            "sources": self.sources,
            "start": self.started_from,
            "targets": {"sources": list(self.targets.sources), "sha256": self.targets.sha256} if self.targets else {},
            "init_tensors": self.init_tensors,
            "model": self.model.state_dict(),
            "average": self.average.state_dict() if self.average else {},
            "head": self.head.state_dict(),
            "predictor": self.predictor.state_dict(),
            "whitening": self.whitening,
            "optimizer": self._optimizer.state_dict(),
        }
        with atomic_path(self.folder / CHECKPOINT) as temporary:
            torch.save(state, temporary)

    def _load(self) -> None:
        state = read_checkpoint(self.folder)
        before, now = asdict(checkpoint_config(state, self.folder)), asdict(self.config)
        different = [f"{key} (there {before[key]}, now {now[key]})" for key in now if before[key] != now[key]]
        if different:
            raise ResumeError(
                f"`out`: '{self.folder}' holds a run of another configuration: {', '.join(different)}. Choose another "
                "folder"
            )
        self.model.load_state_dict(state["model"])
        if self.average:
            self.average.load_state_dict(state["average"])
        self.head.load_state_dict(state["head"])
        self.predictor.load_state_dict(state.get("predictor", {}))
        self._optimizer.load_state_dict(state["optimizer"])
        self.whitening = state["whitening"]
        self.started_from = state["start"]
        self.init_tensors = state.get("init_tensors", {})
        self.step, self.seconds = state["step"], state["seconds"]


def finished_tensors(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the tensors of the network that a checkpoint stands for: their moving average if there is one.

    Parameters
    ----------
    checkpoint : mapping
        As :func:`read_checkpoint` returns it.
    """
    average = checkpoint.get("average") or {}
    prefix = "module."
    tensors = {key.removeprefix(prefix): value for key, value in average.items() if key.startswith(prefix)}
    return tensors or dict(checkpoint["model"])


def average_with_init(trained: Mapping[str, Tensor], init: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
    """Return the weighted mean of trained and initial tensors (Wortsman et al. 2022).

    Parameters
    ----------
    trained, init : mapping of str to Tensor
        Tensors by name.
    share : float
        Weight of the initial tensors, 0 to 1. With 0 the trained tensors are returned and ``init`` may be empty.
    """
    return {
        key: torch.lerp(value.float().cpu(), init[key].float().cpu(), share) if share else value
        for key, value in trained.items()
    }


def read_checkpoint(folder: Path) -> dict[str, Any]:
    """Read the checkpoint of a run, without running any code in it.

    Raises
    ------
    ResumeError
        If there is none, or it is damaged.
    """
    path = folder / CHECKPOINT
    if not path.is_file():
        raise ResumeError(f"'{folder}' holds no training run: there is no '{CHECKPOINT}'")
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001 damaged and foreign files fail in many ways
        raise ResumeError(f"'{path}' is damaged ({first_line(error)}): delete it to start over") from None
    return checkpoint


def checkpoint_config(checkpoint: Mapping[str, Any], folder: Path) -> TrainConfig:
    """Return the configuration in a checkpoint.

    Parameters
    ----------
    checkpoint : mapping
        As :func:`read_checkpoint` returns it.
    folder : Path
        Folder of the run, for the error.

    Raises
    ------
    ResumeError
        If another version wrote the checkpoint, with other settings.
    """
    known, stored = {field.name for field in fields(TrainConfig)}, set(checkpoint["config"])
    differences = [
        f"{word} the settings {', '.join(sorted(names))}"
        for word, names in (("with", stored - known), ("without", known - stored))
        if names
    ]
    if differences:
        raise ResumeError(
            f"'{folder}' holds a run of another version of microsnoop, {' and '.join(differences)}. Resume or export "
            "it with that version, or train again in another folder"
        )
    return TrainConfig(**checkpoint["config"])


@contextmanager
def _stop_signals() -> Iterator[Callable[[], bool]]:
    """Yield a function that returns whether SIGTERM or SIGINT arrived.

    Inside the block the signals do not end the process, so that the running step is finished and saved. Python lets
    only the main thread handle signals; in other threads (a notebook's, a server's) they keep their effect.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    arrived: list[int] = []
    before = {name: signal.signal(name, lambda *_: arrived.append(1)) for name in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: bool(arrived)
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


@contextmanager
def _log(path: Path, step: int) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Yield a function that appends a line to the log.

    Lines after ``step`` are dropped first: a killed run logged these steps, but did not save them.
    """
    if parallel.rank():
        yield lambda entry: None
        return
    kept = []
    if path.exists():
        with path.open(newline="") as file:
            kept = [row for row in csv.DictReader(file) if (row["step"] or "").isdigit() and int(row["step"]) <= step]
    with atomic_path(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, LOG_COLUMNS)
        writer.writeheader()
        writer.writerows(kept)
    with path.open("a", newline="", buffering=1) as file:
        yield csv.DictWriter(file, LOG_COLUMNS).writerow


def _full(x: Tensor) -> Tensor:
    """Convert to float32, unless the precision is higher."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def learning_rate(config: TrainConfig, step: int) -> float:
    """Return the learning rate of a step: linear warm-up by epochs, then half a cosine to zero (Methods)."""
    epoch = (step + 0.5) / config.steps_per_epoch
    if epoch < config.warmup_epochs:
        return config.learning_rate * epoch / config.warmup_epochs
    share = (epoch - config.warmup_epochs) / (config.epochs - config.warmup_epochs)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * share))
