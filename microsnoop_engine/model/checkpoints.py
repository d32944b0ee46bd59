"""Weights on disk: a safetensors file with a JSON card beside it. Reads and writes them without torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import WeightsError
from ..storage.atomic import write_atomic

SHIPPED = Path(__file__).parent / "weights"
DEFAULT = "microsnoop-base"


@dataclass(frozen=True)
class Card:
    """What a weights file is: everything that is needed to use it and to cite it.

    Attributes
    ----------
    name : str
    architecture : str
        Which network (see :mod:`microsnoop_engine.model.registry`).
    dimension : int
        Numbers per channel.
    input_size : int
        Height and width of a crop, in pixels.
    normalization : str
        What the network expects of its input.
    training : dict
        Data, samples seen, hardware, recipe, and anything else a reader should know.
    license : str
    sha256 : str
        Of the safetensors file; checked whenever the weights are loaded.
    """

    name: str
    architecture: str = "unet"
    dimension: int = 256
    input_size: int = 224
    normalization: str = "percentile 1 -> 0, percentile 99 -> 1, of the zero-padded crop"
    training: dict[str, Any] = field(default_factory=dict)
    license: str = ""
    sha256: str = ""


def find_weights(name_or_path: str | Path = DEFAULT) -> Path:
    """The safetensors file of that name or path.

    Raises
    ------
    WeightsError
        If there is none; the message lists the names that exist.
    """
    path = Path(name_or_path)
    if path.suffix == ".safetensors" or path.is_file():
        if not path.is_file():
            raise WeightsError(f"no weights file at '{path}'")
        if path.suffix in (".pth", ".pt"):
            raise WeightsError(f"'{path}' is a torch checkpoint: convert it with 'microsnoop weights import {path}'")
        return path
    shipped = SHIPPED / f"{name_or_path}.safetensors"
    if not shipped.is_file():
        names = ", ".join(sorted(p.stem for p in SHIPPED.glob("*.safetensors")))
        raise WeightsError(
            f"no weights named '{name_or_path}': give one of {names}, or the path of a .safetensors file"
        )
    return shipped


def read_card(path: Path) -> Card:
    """The card beside a weights file.

    Raises
    ------
    WeightsError
        If it is missing, not JSON, or lacks or adds fields.
    """
    card_path = path.with_suffix(".json")
    try:
        values = json.loads(card_path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WeightsError(f"the card '{card_path}' is missing: keep it beside '{path.name}'") from None
    except ValueError as error:
        raise WeightsError(f"the card '{card_path}' is not valid JSON: {error}") from None
    known = {f.name for f in fields(Card)}
    if not isinstance(values, dict) or "name" not in values or values.keys() - known:
        extra = sorted(values.keys() - known) if isinstance(values, dict) else []
        raise WeightsError(f"the card '{card_path}' must hold 'name' and only {sorted(known)}; unknown: {extra}")
    unfit = [key for key, value in values.items() if type(value) is not type(getattr(Card(""), key))]
    if unfit:
        raise WeightsError(f"the card '{card_path}' holds values of the wrong type: {', '.join(unfit)}")
    return Card(**values)


def load_weights(name_or_path: str | Path = DEFAULT) -> tuple[dict[str, np.ndarray], Card]:
    """Arrays and card of a weights file, its hash checked.

    Raises
    ------
    WeightsError
        If the file is missing, damaged, or not the one that its card describes.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path = find_weights(name_or_path)
    card = read_card(path)
    blob = path.read_bytes()
    found = hashlib.sha256(blob).hexdigest()
    if found != card.sha256:
        raise WeightsError(
            f"'{path}' is not the file its card describes (sha256 {found[:12]}.. instead of {card.sha256[:12]}..): "
            "it is damaged or was exchanged; install or export it again"
        )
    try:
        return load(blob), card
    except SafetensorError as error:
        raise WeightsError(f"'{path}' is not a safetensors file: {error}") from None


def save_weights(state: Mapping[str, np.ndarray], card: Card, path: Path) -> Card:
    """Write arrays and card; returns the card with the hash filled in."""
    from safetensors.numpy import save

    blob = save({key: np.ascontiguousarray(value) for key, value in state.items()})
    card = Card(**{**asdict(card), "sha256": hashlib.sha256(blob).hexdigest()})
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, blob)
    write_atomic(path.with_suffix(".json"), (json.dumps(asdict(card), indent=2) + "\n").encode())
    return card


def halved(value: np.ndarray) -> np.ndarray:
    """As float16, or as float32 where numbers are too large for that."""
    fits = np.abs(value).max(initial=0) <= np.finfo(np.float16).max
    return value.astype(np.float16 if fits else np.float32)
