"""Import checkpoints of the reference implementation."""

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
    """Our name of a tensor of the reference implementation's checkpoint."""
    for pattern, replacement in _REFERENCE_NAMES:
        key = re.sub(pattern, replacement, key)
    return key


def import_reference(source: Path, target: Path, card: Card, decoder: bool = True) -> Card:
    """Convert a checkpoint of the reference implementation (``{"model": state_dict}``) to a weights file.

    Parameters
    ----------
    source : Path
        The ``.pth`` file; read without running any code in it.
    target : Path
        The ``.safetensors`` file to write; in float16, but for tensors with numbers too large for it.
    card : Card
        Its card; the hash is filled in.
    decoder : bool
        Keep the decoder, which only training and reconstruction need.

    Raises
    ------
    WeightsError
        If the file is not such a checkpoint; missing and extra tensors are listed.
    """
    import torch

    from .registry import build

    try:
        checkpoint = torch.load(source, map_location="cpu", weights_only=True)
        tensors = checkpoint["model"]
        state = {rename_reference(key): value.numpy() for key, value in tensors.items()}
    except FileNotFoundError:
        raise WeightsError(f"no checkpoint at '{source}'") from None
    except Exception as error:
        message = f"'{source}' is not a checkpoint of the form {{'model': state_dict}}: {first_line(error)}"
        raise WeightsError(message) from None
    state = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
    if not decoder:
        state = {key: value for key, value in state.items() if not key.startswith(("decoder.", "head."))}
    build(state, card)
    return save_weights({key: halved(value) for key, value in state.items()}, card, target)
