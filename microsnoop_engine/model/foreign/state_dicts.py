"""Read the tensors of other programs' weights files, without running code of theirs."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ...errors import WeightsError, counted, first_line, listing

State = dict[str, NDArray[Any]]


def read_state(path: Path, part: str | None = None) -> State:
    """Read the tensors of a weights file.

    Parameters
    ----------
    path : Path
        A ``.safetensors`` file, or a checkpoint of ``torch.save``.
    part : str, optional
        Which of several networks of a checkpoint, such as ``teacher``.

    Returns
    -------
    dict of str to array
        Tensors by their name in the file; floating-point numbers in float16 or float32.

    Raises
    ------
    WeightsError
        If the file is missing, damaged, holds more than tensors, or several networks of which none is named.
    """
    if not path.is_file():
        raise WeightsError(f"there is no weights file at '{path}'")
    tensors = _network_in(_read(path), part, path)
    return {name: _as_array(tensor) for name, tensor in tensors.items()}


def _read(path: Path) -> Any:
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    # training scripts keep their arguments in the checkpoint; PyTorch before 2.5 has no list of harmless types
    harmless = getattr(torch.serialization, "safe_globals", lambda types: nullcontext())
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with harmless([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, Exception) as error:  # noqa: BLE001 damaged and foreign files fail in many ways
        raise WeightsError(
            f"'{path}' cannot be read as weights: {first_line(error)}.\nIf it holds more than tensors, save its "
            "state_dict() by itself, best as .safetensors"
        ) from None


def _network_in(content: Any, part: str | None, path: Path) -> dict[str, Any]:
    """Return the state dict of a checkpoint, which may hold several by name."""
    parts = {str(key): value for key, value in content.items() if _is_state(value)} if _is_mapping(content) else {}
    if part is not None:
        if part not in parts:
            raise WeightsError(f"`part` is '{part}': '{path}' holds {listing(parts) or 'no networks by name'}")
        found: dict[str, Any] = parts[part]
        return found
    if _is_mapping(content) and any(_is_tensor(value) for value in content.values()):
        return {str(key): value for key, value in content.items() if _is_tensor(value)}
    if len(parts) > 1:
        raise WeightsError(f"'{path}' holds several networks: {listing(parts)}. Choose one with `part`")
    if not parts:
        raise WeightsError(f"'{path}' holds no tensors by name: it must be a state_dict(), or a dict that holds one")
    return next(iter(parts.values()))


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping)


def _is_tensor(value: Any) -> bool:
    import torch

    return isinstance(value, torch.Tensor)


def _is_state(value: Any) -> bool:
    return _is_mapping(value) and bool(value) and all(_is_tensor(tensor) for tensor in value.values())


def _as_array(tensor: Any) -> NDArray[Any]:
    import torch

    tensor = tensor.detach()
    wide = tensor.is_floating_point() and tensor.dtype not in (torch.float16, torch.float32)
    array: NDArray[Any] = (tensor.float() if wide else tensor).numpy()
    return array


def select(state: Mapping[str, NDArray[Any]], expected: Mapping[str, Any], heads: Iterable[str], source: str) -> State:
    """Select the tensors of a network from those of a file, which may have a prefix and other parts.

    Parameters
    ----------
    state : mapping of str to array
    expected : mapping of str to array or Tensor
        The network's own tensors.
    heads : iterable of str
        Modules that are left out, such as the classifier.
    source : str
        Names the network in messages.

    Returns
    -------
    dict of str to array
        One for each expected tensor.

    Raises
    ------
    WeightsError
        If tensors are missing, extra or of another shape.

    Examples
    --------
    >>> import numpy as np
    >>> state = {"module.a": np.zeros(2), "module.head.b": np.zeros(3), "other": np.zeros(4)}
    >>> list(select(state, {"a": np.zeros(2)}, ["head"], "net"))
    ['a']
    """
    anchor = next(iter(expected))
    prefixes = [name[: -len(anchor)] for name in state if name == anchor or name.endswith(f".{anchor}")]
    if len(prefixes) != 1:
        found = f"has {counted(len(prefixes), 'tensors')} of that name" if prefixes else f"has {listing(state, 3)}"
        raise WeightsError(f"these are not the weights of {source}, which has a tensor '{anchor}': the file {found}")
    left_out = ("num_batches_tracked", *(f"{head}." for head in heads))
    own = {name.removeprefix(prefixes[0]): value for name, value in state.items() if name.startswith(prefixes[0])}
    own = {
        name: value
        for name, value in own.items()
        if name in expected or not (name.startswith(left_out) or name.endswith("num_batches_tracked"))
    }
    problems = [f"'{name}' is missing" for name in expected if name not in own]
    problems += [f"'{name}' is not of this network" for name in own if name not in expected]
    problems += [
        f"'{name}' has the shape {tuple(own[name].shape)} instead of {tuple(value.shape)}"
        for name, value in expected.items()
        if name in own and tuple(own[name].shape) != tuple(value.shape)
    ]
    if problems:
        raise WeightsError(f"the weights do not fit {source}: {listing(problems, 3)} ({len(problems)} in all)")
    return {name: own[name] for name in expected}
