"""Convert checkpoints of the reference implementation to weights files."""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import WeightsError, first_line
from .checkpoints import Card, halved, save_weights

_REFERENCE_NAMES = (
    (r"^module\.", ""),
    (r"^encoder\.downsample\.down\.res_down_(\d)\.", r"encoder.\1."),
    (r"^decoder\.upsample\.up\.res_up_(\d)\.", r"decoder.\1."),
    (r"^decoder\.base_bn\.", "head.norm."),
    (r"^decoder\.base_conv\.", "head.conv."),
    (r"\.conv\.conv_(\d)\.full\.", r".convs.\1.style."),
    (r"\.conv\.conv_(\d)\.(?:conv\.)?0\.", r".convs.\1.norm."),
    (r"\.conv\.conv_(\d)\.(?:conv\.)?2\.", r".convs.\1.conv."),
    (r"\.proj\.0\.", ".proj.norm."),
    (r"\.proj\.1\.", ".proj.conv."),
)


def rename_reference(key: str) -> str:
    """Return the name that a tensor of the reference implementation has here.

    Parameters
    ----------
    key : str
        Name in the reference's checkpoint.

    Examples
    --------
    >>> rename_reference("module.encoder.downsample.down.res_down_0.proj.1.weight")
    'encoder.0.proj.conv.weight'
    """
    for pattern, replacement in _REFERENCE_NAMES:
        key = re.sub(pattern, replacement, key)
    return key


def import_reference(source: Path, target: Path, card: Card, decoder: bool = True) -> Card:
    """Convert a checkpoint of the reference implementation to a weights file.

    Parameters
    ----------
    source : Path
        The ``.pth`` file, ``{"model": state_dict}``. No code in it is run.
    target : Path
        The ``.safetensors`` file to write, in float16; tensors with numbers too large for that in float32.
    card : Card
        Its card.
    decoder : bool
        Keep the decoder, which only training and reconstruction need.

    Returns
    -------
    Card
        The card with the hash of the file.

    Raises
    ------
    WeightsError
        If the file is not such a checkpoint, or its tensors do not fit the network; all that do not are listed.
    """
    import torch

    from .registry import build

    try:
        checkpoint = torch.load(source, map_location="cpu", weights_only=True)
        tensors = checkpoint["model"]
        state = {rename_reference(key): value.numpy() for key, value in tensors.items()}
    except FileNotFoundError:
        raise WeightsError(f"there is no checkpoint at '{source}'") from None
    except Exception as error:  # damaged and foreign files fail in many ways
        message = f"'{source}' is not a checkpoint of the form {{'model': state_dict}}: {first_line(error)}"
        raise WeightsError(message) from None
    state = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
    if not decoder:
        state = {key: value for key, value in state.items() if not key.startswith(("decoder.", "head."))}
    build(state, card)
    return save_weights({key: halved(value) for key, value in state.items()}, card, target)
