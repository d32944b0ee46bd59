"""Import weights of other programs: recognize the file, take its tensors, check the network, write weights and card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from ...errors import InputError, WeightsError, first_line, listing
from ..checkpoints import Card, check_sight, save_weights
from ..reference_checkpoints import import_reference
from ..registry import build
from .bioimageio import take_package
from .package import is_package, open_package
from .presentation import Presentation
from .state_dicts import read_state
from .timm_weights import is_dino, take_dino, take_timm

REFERENCE = "downsample.down.res_down_0"
"""Part of the names of the reference implementation's tensors."""


def import_weights(
    source: Path,
    target: Path,
    card: Card,
    *,
    timm: str | None = None,
    part: str | None = None,
    presentation: Presentation | None = None,
    decoder: bool = True,
) -> Card:
    """Convert weights of another program to a weights file with its card.

    Parameters
    ----------
    source : Path
        A package of bioimage.io; weights of a model of timm; a vision transformer of DINO; or a checkpoint of the
        reference implementation. No code in it is run, but a TorchScript program, in PyTorch's own interpreter.
    target : Path
        The ``.safetensors`` file to write.
    card : Card
        Name, training, license, and what the network sees of a crop.
    timm : str, optional
        Name of the model in timm.
    part : str, optional
        Which of several networks of a checkpoint, such as ``teacher``.
    presentation : Presentation, optional
        Of a gray channel; by default as the network was trained.
    decoder : bool
        Keep the decoder of the reference implementation.

    Returns
    -------
    Card
        The card with the hash of the file.

    Raises
    ------
    WeightsError
        If the file is of none of these kinds, or does not fit.
    InputError
        If settings do not fit the kind of file.
    """
    if is_package(source):
        if timm or part or presentation:
            raise InputError("a package of bioimage.io describes its network: leave `timm`, `part` and `mean` out")
        package = open_package(source)
        try:
            state, taken = take_package(package, card)
        except (AttributeError, IndexError, KeyError, TypeError, ZeroDivisionError) as error:
            raise WeightsError(f"the description of '{source}' is incomplete or wrong: {first_line(error)}") from None
        return _save(state, taken, target)
    state = read_state(source, part)
    if timm:
        return _save(*take_timm(state, timm, presentation, card), target)
    if is_dino(state):
        return _save(*take_dino(state, presentation, card), target)
    if presentation or not any(REFERENCE in name for name in state):
        raise WeightsError(f"'{source}' ({listing(state, 3)}) has no names that are known: name its model in `timm`")
    return import_reference(source, target, card, decoder)


def _save(state: Mapping[str, NDArray[Any]], card: Card, target: Path) -> Card:
    """Write weights whose network embeds crops of every size that its card allows."""
    check_sight(card, f"the card of '{card.name}'")
    network = build(state, card)
    for size in (card.input_size,) if card.frame == "zeros" else card.sees.sizes:
        try:
            with torch.inference_mode():
                embeddings = network.embed(torch.rand(2, 1, size, size))
        except Exception as error:  # noqa: BLE001 networks fail in many ways
            raise WeightsError(
                f"'{card.name}' cannot compute crops of {size} pixels ({first_line(error)}): leave `input_size` "
                "out, so that it sees all crops in frames of 224 pixels"
            ) from None
        if embeddings.shape != (2, card.dimension) or not torch.isfinite(embeddings).all():
            raise WeightsError(f"'{card.name}' makes no {card.dimension} finite numbers of a crop of {size} pixels")
    return save_weights(state, card, target)
