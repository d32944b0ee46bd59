"""Read and write weights on disk, a safetensors file with a JSON card beside it, without importing torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import WeightsError
from ..storage.atomic import write_atomic
from .frame import FRAMES, LARGEST, Frame

SHIPPED = Path(__file__).parent / "weights"
DEFAULT = "fast"
PREFIX = "microsnoop-"
"""What the names of shipped weights begin with; it may be left out."""
DIMENSION = 256
"""Numbers per channel in an embedding of the paper's network (Xun et al. 2023, Methods)."""


@dataclass(frozen=True)
class Card:
    """Describe weights: all that is needed to use and to cite them.

    Attributes
    ----------
    name : str
    architecture : str
        Name of the architecture (see :mod:`microsnoop_engine.model.architectures`).
    dimension : int
        Numbers per channel.
    input_size : int
        Height and width in pixels that crops are best resized to; of ``zeros``, that of the frame.
    frame : str
        ``zeros``: the network sees a crop in the middle of a frame of zeros (Xun et al. 2023, Methods); ``crop``: it
        sees the crop itself.
    options : dict
        Further arguments of the architecture, such as the model's name in ``timm`` and how it sees a gray channel.
    training : dict
        Data, samples seen, hardware, recipe, and anything else a reader should know.
    license : str
    sha256 : str
        Hash of the safetensors file; checked whenever the weights are loaded.
    """

    name: str
    architecture: str = "unet"
    dimension: int = DIMENSION
    input_size: int = LARGEST
    frame: str = "zeros"
    options: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    license: str = ""
    sha256: str = ""

    @property
    def sees(self) -> Frame:
        """What the network sees of a crop."""
        return Frame(self.input_size, self.frame == "zeros")


def find_weights(name_or_path: str | Path = DEFAULT) -> Path:
    """Return the path of weights.

    Parameters
    ----------
    name_or_path : str or Path
        Name of shipped weights, or a ``.safetensors`` file.

    Returns
    -------
    Path
        The safetensors file.

    Raises
    ------
    WeightsError
        If there is none; the message lists the names that exist.

    Examples
    --------
    >>> find_weights("base").name
    'microsnoop-base.safetensors'
    """
    path = Path(name_or_path)
    if path.suffix == ".safetensors" or path.is_file():
        if not path.is_file():
            raise WeightsError(f"there is no weights file at '{path}'")
        if path.suffix in (".pth", ".pt"):
            raise WeightsError(f"'{path}' is a torch checkpoint: convert it with 'microsnoop weights import {path}'")
        return path
    name = str(name_or_path)
    shipped = SHIPPED / f"{PREFIX}{name.removeprefix(PREFIX)}.safetensors"
    if not shipped.is_file():
        names = ", ".join(sorted(file.stem.removeprefix(PREFIX) for file in SHIPPED.glob("*.safetensors")))
        raise WeightsError(f"no weights named '{name_or_path}': choose {names} or the path of a .safetensors file")
    return shipped


def read_card(path: Path) -> Card:
    """Read the card beside a weights file.

    Parameters
    ----------
    path : Path
        The safetensors file.

    Raises
    ------
    WeightsError
        If it is missing, not JSON, has no name, or has fields that are unknown or of the wrong type.
    """
    card_path = path.with_suffix(".json")
    try:
        values = json.loads(card_path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WeightsError(f"the card '{card_path}' is missing: keep it beside '{path.name}'") from None
    except ValueError as error:
        raise WeightsError(f"the card '{card_path}' is not valid JSON: {error}") from None
    if not isinstance(values, dict) or "name" not in values:
        raise WeightsError(f"the card '{card_path}' must be a JSON object with a 'name'")
    known = [field.name for field in fields(Card)]
    if unknown := sorted(values.keys() - known):
        raise WeightsError(
            f"the card '{card_path}' has unknown fields: {', '.join(unknown)}; known are {', '.join(known)}.\n"
            "If another version of microsnoop wrote it, export the weights again with this one, or delete these fields"
        )
    unfit = [key for key, value in values.items() if type(value) is not type(getattr(Card(""), key))]
    if unfit:
        raise WeightsError(f"the card '{card_path}' has values of the wrong type: {', '.join(unfit)}")
    card = Card(**values)
    check_sight(card, f"the card '{card_path}'")
    return card


def check_sight(card: Card, source: str) -> None:
    """Check that a card says what the network sees of a crop.

    Parameters
    ----------
    card : Card
    source : str
        The card, as the message names it.

    Raises
    ------
    WeightsError
        If the frame is unknown, or the input size does not go with it.
    """
    if card.frame not in FRAMES:
        raise WeightsError(f"{source} has the frame '{card.frame}': it must be {' or '.join(FRAMES)}")
    if (card.frame == "zeros" and card.input_size != LARGEST) or card.input_size not in card.sees.sizes:
        sizes = ", ".join(map(str, (LARGEST,) if card.frame == "zeros" else card.sees.sizes))
        raise WeightsError(f"{source} has the input size {card.input_size}: it must be {sizes}")


def load_weights(name_or_path: str | Path = DEFAULT) -> tuple[dict[str, NDArray[Any]], Card]:
    """Read the tensors and the card of weights, and check the file's hash.

    Parameters
    ----------
    name_or_path : str or Path
        Name of shipped weights, or a ``.safetensors`` file.

    Returns
    -------
    state : dict of str to array
        Tensors by name, in the file's types (float16 or float32).
    card : Card

    Raises
    ------
    WeightsError
        If the file is missing, damaged, or not the one that its card describes.

    Examples
    --------
    >>> state, card = load_weights("fast")
    >>> card.dimension
    256
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path = find_weights(name_or_path)
    card = read_card(path)
    data = path.read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 != card.sha256:
        raise WeightsError(
            f"'{path}' is not the file that its card describes (sha256 {sha256[:12]} instead of {card.sha256[:12]}): "
            "it is damaged or was exchanged; install or export it again"
        )
    try:
        return load(data), card
    except SafetensorError as error:
        raise WeightsError(f"'{path}' is not a safetensors file: {error}") from None


def save_weights(state: Mapping[str, NDArray[Any]], card: Card, path: Path) -> Card:
    """Write tensors and their card.

    Parameters
    ----------
    state : mapping of str to array
        Tensors by name.
    card : Card
        Its hash is replaced by that of the new file.
    path : Path
        The ``.safetensors`` file; the card is written beside it, with the suffix ``.json``.

    Returns
    -------
    Card
        The card with the hash.
    """
    from safetensors.numpy import save

    data = save({key: np.ascontiguousarray(value) for key, value in state.items()})
    card = replace(card, sha256=hashlib.sha256(data).hexdigest())
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, data)
    write_atomic(path.with_suffix(".json"), (json.dumps(asdict(card), indent=2) + "\n").encode())
    return card


def halved(values: NDArray[Any]) -> NDArray[Any]:
    """Convert to float16, or to float32 if numbers are too large for float16.

    Examples
    --------
    >>> halved(np.array([1.0, 2.0])).dtype, halved(np.array([1.0, 1e6])).dtype
    (dtype('float16'), dtype('float32'))
    """
    fits = np.abs(values).max(initial=0) <= np.finfo(np.float16).max
    return values.astype(np.float16 if fits else np.float32)
