"""Build the networks of the package timm."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import MissingExtraError, WeightsError, first_line
from ..frame import LARGEST
from ..network import Network
from .presentation import Presentation


class TimmNetwork(Network):
    """A network of timm without its classifier: the embedding is what the classifier would see.

    Parameters
    ----------
    dimension : int
        Numbers in an embedding; the model decides.
    decoder : bool
        Not used: there is none.
    model : str
        Name of the model in timm.
    presentation : mapping
        Of a gray channel (see :class:`.Presentation`).

    Raises
    ------
    WeightsError
        If timm has no such model.
    MissingExtraError
        If timm is not installed.
    """

    def __init__(self, dimension: int, decoder: bool, model: str, presentation: Mapping[str, Any]) -> None:
        super().__init__()
        self.presentation = Presentation(**presentation)
        self.encoder = make_encoder(model, self.presentation.channels)
        fit_input(self.encoder)

    def embed(self, x: Tensor) -> Tensor:
        """Compute embeddings (n, dimension) of unit length of crops (n, 1, s, s)."""
        return F.normalize(self.encoder(self.presentation(x)).float())


def make_encoder(model: str, channels: int) -> Any:
    """Create a model of timm with random weights, for inputs of its own size.

    Parameters
    ----------
    model : str
    channels : int
        Of its inputs.

    Returns
    -------
    Module
        A function of images (n, channels, h, w) that returns features (n, d). Its ``pretrained_cfg`` says what timm
        knows about the model.

    Raises
    ------
    WeightsError
        If timm has no such model.
    MissingExtraError
        If timm is not installed.
    """
    try:
        import timm
    except ModuleNotFoundError as error:
        if error.name not in ("timm", "torchvision"):
            raise
        raise MissingExtraError("timm", "timm", f"the network '{model}'") from None
    if not timm.is_model(model):
        close = get_close_matches(model, timm.list_models(), n=3)
        hint = f"did you mean {' or '.join(close)}?" if close else "timm.list_models() lists those that there are"
        raise WeightsError(f"timm {timm.__version__} has no model '{model}': {hint}")
    try:
        return timm.create_model(model, pretrained=False, num_classes=0, in_chans=channels)
    except RuntimeError as error:  # such as an unknown tag after the model's name
        raise WeightsError(f"timm {timm.__version__} cannot make '{model}': {first_line(error)}") from None


def fit_input(encoder: nn.Module) -> None:
    """Let a model of timm take crops of 224 pixels, where its input has a fixed size: positions are interpolated."""
    resize = getattr(encoder, "set_input_size", None)
    if resize is not None:
        resize(img_size=(LARGEST, LARGEST))
