"""Read weights of timm's models, and of vision transformers in the layout of DINO, which is timm's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from numpy.typing import NDArray

from ...errors import WeightsError, first_line
from ..checkpoints import Card
from ..frame import LARGEST
from .presentation import Presentation
from .state_dicts import State, select
from .timm_network import fit_input, make_encoder

DINO_MODELS = {192: "tiny", 384: "small", 768: "base", 1024: "large"}
"""Vision transformers by the width of their layers (Dosovitskiy et al. 2021; Touvron et al. 2021)."""
PHOTOGRAPHS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and standard deviation of the colors of ImageNet, which DINO's networks of photographs are trained with."""
PATCHES = "patch_embed.proj.weight"
HEAD = ("head", "fc")
"""Names that a classifier may have beside the one that timm knows."""


def take_timm(
    state: Mapping[str, NDArray[Any]], model: str, presentation: Presentation | None, card: Card
) -> tuple[State, Card]:
    """Take weights of a model of timm.

    Parameters
    ----------
    state : mapping of str to array
        Tensors of the file.
    model : str
        Name of the model in timm.
    presentation : Presentation, optional
        By default that of the model's training data, as timm knows it.
    card : Card
        Name, training, license, and what the network sees.

    Returns
    -------
    state : dict of str to array
        The tensors that :class:`.TimmNetwork` needs, for crops of 224 pixels.
    card : Card
        With architecture, options and dimension.

    Raises
    ------
    WeightsError
        If timm has no such model, or the weights do not fit it.
    """
    encoder = make_encoder(model, 3)
    settings = encoder.pretrained_cfg
    channels = _input_channels(state, settings["first_conv"])
    if channels != 3:
        encoder = make_encoder(model, channels)
    heads = settings["classifier"] or ()
    heads = (*((heads,) if isinstance(heads, str) else heads), *HEAD)
    tensors = select(state, _tensors(encoder), heads, f"timm's '{model}'")
    encoder.load_state_dict({name: torch.from_numpy(value) for name, value in tensors.items()}, strict=False)
    fit_input(encoder)
    if presentation is None:
        presentation = _usual(channels, settings, model)
    return _taken(encoder, model, presentation, card)


def is_dino(state: Mapping[str, NDArray[Any]]) -> bool:
    """Return whether tensors have the names of a vision transformer of DINO."""
    return all(
        any(name.endswith(part) for name in state) for part in (PATCHES, "cls_token", "blocks.0.attn.qkv.weight")
    )


def take_dino(state: Mapping[str, NDArray[Any]], presentation: Presentation | None, card: Card) -> tuple[State, Card]:
    """Take weights of a vision transformer that DINO trained (Caron et al. 2021).

    Parameters
    ----------
    state : mapping of str to array
        Tensors of the file.
    presentation : Presentation, optional
        By default crops are standardized for a network of one channel, as in CHAMMI-75 (MorphEm), and shown as
        photographs for one of three.
    card : Card
        Name, training, license, and what the network sees.

    Returns
    -------
    state, card
        As of :func:`take_timm`.

    Raises
    ------
    WeightsError
        If it is no vision transformer of a known size.
    """
    patches = next(value for name, value in state.items() if name.endswith(PATCHES))
    width, channels, patch = patches.shape[:3]
    if width not in DINO_MODELS:
        raise WeightsError(
            f"a vision transformer of {width} numbers is none of {', '.join(map(str, DINO_MODELS))}: name its model "
            "with `timm`"
        )
    if presentation is None:
        presentation = Presentation(1, standardize=True) if channels == 1 else Presentation(channels, *PHOTOGRAPHS)
    return take_timm(state, f"vit_{DINO_MODELS[width]}_patch{patch}_224", presentation, card)


def _tensors(encoder: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value for name, value in encoder.state_dict().items() if not name.endswith("num_batches_tracked")}


def _input_channels(state: Mapping[str, NDArray[Any]], first_layer: str | tuple[str, ...] | None) -> int:
    """Return the channels that the first convolution takes; 3 if it cannot be found."""
    names = (first_layer,) if isinstance(first_layer, str) else first_layer or ()
    ends = tuple(f"{name}.weight" for name in names)
    return next((value.shape[1] for name, value in state.items() if ends and name.endswith(ends)), 3)


def _usual(channels: int, settings: Mapping[str, Any], model: str) -> Presentation:
    if channels == 1:
        raise WeightsError(
            f"these weights of '{model}' take one channel, and timm does not know how it was presented in their "
            "training: set `standardize`, or `mean` and `std`"
        )
    return Presentation(channels, tuple(settings["mean"]), tuple(settings["std"]))


def _taken(encoder: torch.nn.Module, model: str, presentation: Presentation, card: Card) -> tuple[State, Card]:
    state = {f"encoder.{name}": value.numpy() for name, value in _tensors(encoder).items()}
    options = {"model": model, "presentation": presentation.as_options()}
    return state, replace(card, architecture="timm", options=options, dimension=features_of(encoder, presentation))


def features_of(encoder: torch.nn.Module, presentation: Presentation) -> int:
    """Return how many numbers an encoder makes of a crop of 224 pixels.

    Raises
    ------
    WeightsError
        If it cannot compute such a crop, or makes an image of it.
    """
    try:
        with torch.inference_mode():
            features = encoder.eval()(presentation(torch.rand(2, 1, LARGEST, LARGEST)))
    except Exception as error:  # noqa: BLE001 networks fail in many ways
        raise WeightsError(f"the network cannot compute crops of {LARGEST} pixels: {first_line(error)}") from None
    if not isinstance(features, torch.Tensor) or features.ndim != 2 or len(features) != 2:
        shape = tuple(features.shape) if isinstance(features, torch.Tensor) else type(features).__name__
        raise WeightsError(f"the network makes {shape} of two crops: it must make a row of numbers of each")
    return features.shape[1]
