"""Define the settings of a training, with presets and YAML files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..model.checkpoints import DIMENSION
from ..model.frame import CROP_SIZES, FRAMES, LARGEST, PAPER, Frame

PRECISIONS = ("float32", "bfloat16")
"""Precisions that training computes in."""
PAPER_CATEGORIES = ("fluorescence", "phase+brightfield", "tissue", "histology")
"""The paper's categories of images (Xun et al. 2023, Methods), drawn in turn."""
ALL_CATEGORIES = ("fluorescence+phase+brightfield+tissue+histology+em",)
"""Every category of the open training images, mixed in each batch."""
EMBED_ONLY = ("compact",)
"""Networks without a decoder, which see crops by themselves."""

RANGES: dict[str, tuple[float, float]] = {
    "dimension": (32, 4096),
    "frozen_stages": (0, 3),
    "init_average": (0.0, 1.0),
    "crop": (32, 1024),
    "batch": (2, 65536),
    "images_per_epoch": (1, 10**9),
    "epochs": (1, 10**6),
    "warmup_epochs": (0, 10**6),
    "learning_rate": (1e-8, 1.0),
    "weight_decay": (0.0, 1.0),
    "norm_decay": (0.0, 1.0),
    "clip": (0.0, 1e6),
    "average_decay": (0.0, 0.99999),
    "mask_ratio": (0.0, 0.95),
    "patch": (4, LARGEST),
    "masked_weight": (0.0, 1000.0),
    "reconstruction_weight": (0.0, 1000.0),
    "contrast_weight": (0.0, 1000.0),
    "decorrelation_weight": (0.0, 1000.0),
    "temperature": (0.01, 10.0),
    "distillation_weight": (0.0, 1000.0),
    "scale_low": (0.1, 10.0),
    "scale_high": (0.1, 10.0),
    "scale_jitter": (1.0, 10.0),
    "shift": (0.0, 2.0),
    "crops_per_image": (1, 65536),
    "crop_candidates": (1, 100),
    "padding": (0.0, 1.0),
    "intensity": (0.0, 1.0),
    "percentile_step": (1, 8),
    "whitening": (0, 10**6),
    "seed": (0, 2**31 - 1),
}
"""Smallest and largest value of each numeric setting."""


@dataclass(frozen=True)
class TrainConfig:
    """The settings of a training; the defaults are the paper's (Xun et al. 2023, Methods).

    Parameters
    ----------
    architecture : str
        Name of the network (see :mod:`microsnoop_engine.model.registry`).
    dimension : int
        Numbers in an embedding, a multiple of 32.
    init_weights : str
        Name or file of the weights to start from. Empty: random weights.
    frozen_stages : int
        Number of encoder stages, from the first, that keep their initial weights. On a CPU most of a step is spent on
        the first two.
    init_average : float
        Weight of ``init_weights`` in the finished weights, which are a mean of both (Wortsman et al. 2022, *Robust
        fine-tuning of zero-shot models*).
    categories : tuple of str
        Image categories, drawn in turn, one per batch; ``a+b`` joins two. Empty: all categories of the images.
    crop : int
        Height and width of a crop in pixels, a multiple of 8 and of ``patch``.
    frame : {'zeros', 'crop'}
        How the finished network sees a cell: ``zeros``, in the middle of a frame of 224 pixels of zeros (the paper's);
        ``crop``, by itself, resized to ``crop`` pixels.
    batch : int
        Crops per step, over all processes.
    images_per_epoch, epochs, warmup_epochs : int
        Length and schedule: linear warm-up, then a cosine to zero.
    learning_rate, weight_decay : float
        Settings of AdamW.
    norm_decay : float
        Weight decay of biases and of layers that normalize, in place of ``weight_decay``.
    clip : float
        Largest norm of the gradient; a longer one is shortened. 0: not limited.
    average_decay : float
        Decay per step of an exponential moving average of the weights, which is then what is judged and exported, such
        as 0.999. 0: no average.
    mask_ratio : float
        Share of the patches that are set to zero in the input.
    patch : int
        Height and width of a patch in pixels.
    masked_weight : float
        Weight of masked pixels in the reconstruction loss; visible pixels have weight 1.
    reconstruction_weight : float
        Weight of the loss of masked reconstruction (the paper's). 0: not computed.
    contrast_weight : float
        Weight of the contrastive loss (SimCLR): two augmented views of a crop attract, other crops repel. Not in the
        paper. 0: not computed.
    decorrelation_weight : float
        Weight of a loss that equalizes the variances of the embedding's numbers and removes their correlations.
    temperature : float
        Temperature of the contrastive loss.
    targets : str
        File of precomputed targets (see :class:`.Targets`). Crops are then the targets' squares, enlarged to the crop.
    distillation_weight : float
        Weight of the loss that predicts the targets from the embedding. Not in the paper.
    scale_low, scale_high : float
        Range of the random magnification.
    scale_jitter : float
        Largest ratio between the magnification of a view and that of its place.
    shift : float
        Largest distance between the center of a view and its place, along each side, as a share of the crop.
    crops_per_image : int
        Number of crops in a batch that come from one image, so that the contrastive loss compares neighboring cells.
    crop_candidates : int
        Number of random positions tried per crop; the one with the most texture is kept.
    padding : float
        Share of the crops whose border is set to zero, as around a padded cell; with targets, share of the second
        views that are padded instead of enlarged.
    intensity : float
        Strength of random gamma, noise and blur, 0 to 1.
    percentile_step : int
        Every n-th pixel of each side takes part in the percentiles of a training crop; 1: every pixel. The crops of the
        whitening are normalized by all pixels, as cells are.
    whitening : int
        Number of training crops on which the finished embeddings are whitened. 0: no whitening.
    seed : int
        Seed of weights, order and augmentation.

    Raises
    ------
    InputError
        If a value has the wrong type or is out of range, or if settings contradict each other.
    """

    architecture: str = "unet"
    dimension: int = DIMENSION
    init_weights: str = ""
    frozen_stages: int = 0
    init_average: float = 0.0
    categories: tuple[str, ...] = PAPER_CATEGORIES
    crop: int = LARGEST
    frame: str = "zeros"
    batch: int = 16
    images_per_epoch: int = 12000
    epochs: int = 1000
    warmup_epochs: int = 40
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    norm_decay: float = 0.01
    clip: float = 0.0
    average_decay: float = 0.0
    mask_ratio: float = 0.25
    patch: int = 16
    masked_weight: float = 1.0
    reconstruction_weight: float = 1.0
    contrast_weight: float = 0.0
    decorrelation_weight: float = 0.0
    temperature: float = 0.2
    targets: str = ""
    distillation_weight: float = 1.0
    scale_low: float = 0.75
    scale_high: float = 1.25
    scale_jitter: float = 1.5
    shift: float = 0.25
    crops_per_image: int = 1
    crop_candidates: int = 1
    padding: float = 0.0
    intensity: float = 0.0
    percentile_step: int = 1
    whitening: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        self._check_types()
        self._check_ranges()
        self._check_combinations()
        object.__setattr__(self, "categories", tuple(self.categories))

    def _check_types(self) -> None:
        for name in ("architecture", "init_weights", "targets", "frame"):
            if not isinstance(value := getattr(self, name), str):
                raise InputError(f"{name} is {value!r}: it must be text")
        if isinstance(self.categories, str) or not all(isinstance(name, str) for name in self.categories):
            raise InputError(f"categories is {self.categories!r}: it must be a list, such as [fluorescence, tissue]")

    def _check_ranges(self) -> None:
        integers = {field.name for field in fields(self) if field.type == "int"}
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            types = int if name in integers else (int, float)
            if isinstance(value, bool) or not isinstance(value, types) or not low <= value <= high:
                kind = "a whole number" if name in integers else "a number"
                raise InputError(f"{name} is {value!r}: it must be {kind} from {low} to {high}")

    def _check_combinations(self) -> None:
        if self.frame not in FRAMES:
            raise InputError(f"frame is {self.frame!r}: it must be {' or '.join(FRAMES)}")
        if self.frame == "crop" and self.crop not in CROP_SIZES:
            sizes = ", ".join(map(str, CROP_SIZES))
            raise InputError(f"crop is {self.crop}: with frame 'crop' it must be one of {sizes}")
        if self.architecture in EMBED_ONLY and self.reconstruction_weight:
            raise InputError(
                f"reconstruction_weight is {self.reconstruction_weight}, but the network '{self.architecture}' has no "
                "decoder: set it to 0, and contrast_weight to 1"
            )
        if self.architecture in EMBED_ONLY and self.frame != "crop":
            raise InputError(
                f"frame is '{self.frame}', but the network '{self.architecture}' sees crops by themselves: set it to "
                "crop"
            )
        if self.dimension % 32:
            raise InputError(f"dimension is {self.dimension}: it must be a multiple of 32")
        if self.crop % 8 or self.crop % self.patch:
            raise InputError(f"crop is {self.crop}: it must be a multiple of 8 and of patch ({self.patch})")
        if self.batch % self.crops_per_image:
            raise InputError(
                f"batch is {self.batch}: it must be a multiple of crops_per_image ({self.crops_per_image})"
            )
        if self.scale_low > self.scale_high:
            raise InputError(f"scale_low ({self.scale_low}) is above scale_high ({self.scale_high})")
        if self.warmup_epochs >= self.epochs:
            raise InputError(f"warmup_epochs ({self.warmup_epochs}) must be below epochs ({self.epochs})")
        distilled = self.targets and self.distillation_weight
        if not (self.reconstruction_weight or self.contrast_weight or distilled):
            raise InputError("reconstruction_weight and contrast_weight are both 0, without targets: nothing to learn")
        for name in ("frozen_stages", "init_average"):
            if getattr(self, name) and not self.init_weights:
                raise InputError(f"{name} is {getattr(self, name)}, but init_weights is empty: name the weights")
        if self.decorrelation_weight and not self.contrast_weight:
            raise InputError("decorrelation_weight needs the two views of contrast_weight: set both, or neither")

    @property
    def sees(self) -> Frame:
        """What the finished network sees of a cell."""
        return Frame(self.crop, zeros=False) if self.frame == "crop" else PAPER

    @property
    def steps_per_epoch(self) -> int:
        """Number of batches in an epoch."""
        return max(self.images_per_epoch // self.batch, 1)

    @property
    def steps(self) -> int:
        """Number of batches in the whole run."""
        return self.steps_per_epoch * self.epochs


CONTRAST: dict[str, Any] = {
    "categories": ALL_CATEGORIES,
    "crop": 128,
    "frame": "crop",
    "weight_decay": 0.02,
    "norm_decay": 0.0,
    "clip": 3.0,
    "reconstruction_weight": 0.0,
    "contrast_weight": 1.0,
    "scale_low": 0.9,
    "scale_high": 4.5,
    "scale_jitter": 1.25,
    "shift": 0.1,
    "crops_per_image": 4,
    "crop_candidates": 2,
    "padding": 0.2,
    "intensity": 0.5,
    "percentile_step": 2,
    "whitening": 2048,
}
"""What the recipes of the shipped weights have in common: contrastive learning (SimCLR) on whole cells."""

PRESETS: dict[str, dict[str, Any]] = {
    "paper": {},
    "base": CONTRAST
    | {"batch": 512, "images_per_epoch": 25_600, "epochs": 96, "warmup_epochs": 3, "learning_rate": 1.5e-3},
    "compact": CONTRAST
    | {
        "architecture": "compact",
        "batch": 2048,
        "images_per_epoch": 102_400,
        "epochs": 80,
        "warmup_epochs": 3,
        "learning_rate": 3e-3,
    },
}
"""Named sets of settings: the paper's recipe, and those of the shipped weights ``base`` and ``fast``."""


def make_config(name_or_file: str | Path = "paper", changes: Mapping[str, Any] | None = None) -> TrainConfig:
    """Read the settings of a preset or YAML file and change some.

    Parameters
    ----------
    name_or_file : str or Path
        Name of a preset, or a YAML file of ``setting: value`` lines, which may name its ``preset``.
    changes : mapping of str to value, optional
        Settings that replace those of the preset or file.

    Returns
    -------
    TrainConfig

    Raises
    ------
    InputError
        If there is no such preset or file, or a setting is unknown or out of range.

    Examples
    --------
    >>> make_config("compact", {"batch": 64}).batch
    64
    """
    if str(name_or_file) in PRESETS:
        values, origin = dict(PRESETS[str(name_or_file)]), f"preset {name_or_file}"
    else:
        values, origin = _read_yaml(Path(name_or_file)), f"'{name_or_file}'"
        preset = values.pop("preset", "paper")
        if preset not in PRESETS:
            raise InputError(f"{origin}: there is no preset '{preset}'; there are {', '.join(PRESETS)}")
        values = {**PRESETS[preset], **values}
    values.update(changes or {})
    known = [field.name for field in fields(TrainConfig)]
    unknown = [key for key in values if key not in known]
    if unknown:
        raise InputError(f"{origin}: unknown setting {', '.join(map(str, unknown))}; there are {', '.join(known)}")
    return TrainConfig(**values)


def as_yaml(config: TrainConfig) -> str:
    """Return the settings as the text of a YAML file that :func:`make_config` reads."""
    import yaml

    values = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(config).items()}
    return yaml.safe_dump(values, sort_keys=False)


def _read_yaml(path: Path) -> dict[str, Any]:
    import yaml

    if not path.is_file():
        raise InputError(f"there is no preset or file '{path}'; presets: {', '.join(PRESETS)}")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"'{path}' is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise InputError(f"'{path}' must hold 'setting: value' lines")
    return {key: _number(value) if key in RANGES else value for key, value in values.items()}


def _number(value: Any) -> Any:
    """Convert numbers that YAML reads as text, such as 1e-3 (it has no point)."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value
