"""What a training run does: a checked set of numbers, from a preset, a YAML file and the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ..errors import InputError

LEVELS = ("crop", "image")
PAPER_CATEGORIES = ("fluorescence", "phase+brightfield", "tissue", "histology")


@dataclass(frozen=True)
class TrainConfig:
    """The settings of a training run; the defaults are the paper's (Xun et al. 2023, Methods).

    Parameters
    ----------
    architecture : str
        Which network (see :mod:`microsnoop_engine.model.registry`).
    start : str
        Name or file of weights that the training starts from; empty: random ones.
    frozen : int
        So many first stages of the encoder stay as they were in ``start``: most of the time of a step on a CPU is
        spent on the first two.
    start_share : float
        Share of ``start`` in the finished weights, which are its mean with what was learnt (Wortsman et al. 2022,
        *Robust fine-tuning of zero-shot models*).
    categories : tuple of str
        Drawn in turn, one per batch; ``a+b`` joins two. Empty: all that the images have.
    crop : int
        Height and width of a crop in pixels, a multiple of 8 and of ``patch``.
    batch : int
        Crops per step, over all processes.
    images_per_epoch, epochs, warmup_epochs : int
        Length and schedule of the run: linear warm-up, then a cosine to zero.
    learning_rate, weight_decay : float
        Of AdamW.
    mask_ratio : float
        Share of the patches that are set to zero in the input.
    patch : int
        Height and width of a patch in pixels.
    masked_weight : float
        Weight of the masked pixels in the reconstruction loss; that of the visible ones is 1.
    reconstruction, contrast : float
        Weights of the two losses: masked reconstruction (the paper's), and telling two views of one place from the
        views of other places (not in the paper). At 0 a loss is not computed.
    decorrelation : float
        Weight of a third loss: the variances of the embedding's numbers are equal and their correlations zero.
    temperature : float
        Of the contrast loss.
    targets : str
        File of :class:`.Targets`: places of the images with what something else says of them:
        another network's embeddings, classical features. Crops are then of these places, enlarged to the crop.
    distillation : float
        Weight of the loss that predicts the targets from the embedding (not in the paper).
    scale_low, scale_high : float
        Range of the random magnification.
    scale_jitter : float
        Largest ratio of the magnifications of two views of one place.
    shift : float
        Largest distance between two views of one place, as a share of the crop.
    places_per_image : int
        Crops of a batch that come from one image: the contrast loss must tell neighboring cells apart.
    candidates : int
        A crop's place is the one of so many random ones whose surroundings vary most: less empty background.
    padding : float
        Share of the crops whose outer part is zero, as around a cell that is padded to the network's input; of places
        with targets, share of the second views that are not enlarged but padded.
    levels : {'crop', 'image'}
        Whose percentiles 1 and 99 become 0 and 1: those of the crop itself (the paper's), or of its whole image, by
        which a crop can be dim.
    intensity : float
        Strength of the random change of gamma, noise and blur, 0 to 1.
    whitening : int
        Training crops on whose embeddings these are whitened when the training ends; 0: they are not.
    seed : int
        Of weights, order and augmentation.
    """

    architecture: str = "unet"
    start: str = ""
    frozen: int = 0
    start_share: float = 0.0
    categories: tuple[str, ...] = PAPER_CATEGORIES
    crop: int = 224
    batch: int = 16
    images_per_epoch: int = 12000
    epochs: int = 1000
    warmup_epochs: int = 40
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    mask_ratio: float = 0.25
    patch: int = 16
    masked_weight: float = 1.0
    reconstruction: float = 1.0
    contrast: float = 0.0
    decorrelation: float = 0.0
    temperature: float = 0.2
    targets: str = ""
    distillation: float = 1.0
    scale_low: float = 0.75
    scale_high: float = 1.25
    scale_jitter: float = 1.5
    shift: float = 0.25
    places_per_image: int = 1
    candidates: int = 1
    padding: float = 0.0
    levels: str = "crop"
    intensity: float = 0.0
    whitening: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        ranges = {
            "frozen": (0, 3),
            "start_share": (0.0, 1.0),
            "crop": (32, 1024),
            "batch": (2, 65536),
            "images_per_epoch": (1, 10**9),
            "epochs": (1, 10**6),
            "warmup_epochs": (0, 10**6),
            "learning_rate": (1e-8, 1.0),
            "weight_decay": (0.0, 1.0),
            "mask_ratio": (0.0, 0.95),
            "patch": (4, 224),
            "masked_weight": (0.0, 1000.0),
            "reconstruction": (0.0, 1000.0),
            "contrast": (0.0, 1000.0),
            "decorrelation": (0.0, 1000.0),
            "temperature": (0.01, 10.0),
            "distillation": (0.0, 1000.0),
            "scale_low": (0.1, 10.0),
            "scale_high": (0.1, 10.0),
            "scale_jitter": (1.0, 10.0),
            "shift": (0.0, 2.0),
            "places_per_image": (1, 65536),
            "candidates": (1, 100),
            "padding": (0.0, 1.0),
            "intensity": (0.0, 1.0),
            "whitening": (0, 10**6),
            "seed": (0, 2**31 - 1),
        }
        whole = {f.name for f in fields(self) if f.type == "int"}
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            kinds = int if name in whole else (int, float)
            if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
                kind = "a whole number" if name in whole else "a number"
                raise InputError(f"{name} is {value!r}: give {kind} from {low} to {high}")
        if self.crop % 8 or self.crop % self.patch:
            raise InputError(f"crop is {self.crop}: give a multiple of 8 and of patch ({self.patch})")
        if self.batch % self.places_per_image:
            raise InputError(f"batch is {self.batch}: give a multiple of places_per_image ({self.places_per_image})")
        if self.levels not in LEVELS:
            raise InputError(f"levels is {self.levels!r}: give {' or '.join(LEVELS)}")
        if self.scale_low > self.scale_high:
            raise InputError(f"scale_low ({self.scale_low}) is above scale_high ({self.scale_high})")
        if self.warmup_epochs >= self.epochs:
            raise InputError(f"warmup_epochs ({self.warmup_epochs}) must be below epochs ({self.epochs})")
        if not self.reconstruction and not self.contrast and not (self.targets and self.distillation):
            raise InputError("reconstruction and contrast are both 0, without targets: there is nothing to learn")
        for name in ("frozen", "start_share"):
            if getattr(self, name) and not self.start:
                raise InputError(
                    f"{name} is {getattr(self, name)}, but there is no start: name the weights that it is of"
                )
        if self.decorrelation and not self.contrast:
            raise InputError("decorrelation needs the two views of contrast: give contrast too, or decorrelation 0")
        object.__setattr__(self, "categories", tuple(self.categories))

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch."""
        return max(self.images_per_epoch // self.batch, 1)

    @property
    def steps(self) -> int:
        """Batches of the whole run."""
        return self.steps_per_epoch * self.epochs


PRESETS: dict[str, dict[str, Any]] = {
    "paper": {},
    "contrast": {
        "categories": ("fluorescence+phase+brightfield+tissue+histology+em",),
        "crop": 64,
        "batch": 128,
        "images_per_epoch": 12800,
        "epochs": 24,
        "warmup_epochs": 1,
        "reconstruction": 0.0,
        "contrast": 1.0,
        "scale_low": 0.7,
        "scale_high": 5.6,
        "scale_jitter": 1.25,
        "places_per_image": 4,
        "candidates": 2,
        "intensity": 0.5,
        "whitening": 2048,
    },
}
"""Named starting points: ``paper`` is the paper's recipe."""


def make_config(name_or_file: str | Path = "paper", changes: Mapping[str, Any] | None = None) -> TrainConfig:
    """The configuration of a preset or YAML file, with changes.

    A YAML file may name the preset that it starts from as ``preset``.

    Raises
    ------
    InputError
        For unknown keys and values out of range.
    """
    if str(name_or_file) in PRESETS:
        values, where = dict(PRESETS[str(name_or_file)]), f"preset {name_or_file}"
    else:
        values, where = _read_yaml(Path(name_or_file)), f"'{name_or_file}'"
        preset = values.pop("preset", "paper")
        if preset not in PRESETS:
            raise InputError(f"{where}: there is no preset '{preset}'; there are {', '.join(PRESETS)}")
        values = {**PRESETS[preset], **values}
    values.update(changes or {})
    known = [field.name for field in fields(TrainConfig)]
    unknown = [key for key in values if key not in known]
    if unknown:
        raise InputError(f"{where}: unknown setting {', '.join(map(str, unknown))}; there are {', '.join(known)}")
    return TrainConfig(**values)


def as_yaml(config: TrainConfig) -> str:
    """The configuration as a YAML file that :func:`make_config` reads."""
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
    return {key: _number(value) for key, value in values.items()}


def _number(value: Any) -> Any:
    """YAML takes 1e-3 for text, as it has no point."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value
