"""Read packages of bioimage.io (model descriptions 0.4 and 0.5) that hold an encoder.

Taken are a TorchScript program, and a PyTorch state dict of a model of timm. Python code of a package is never run: a
state dict whose network is defined by a Python file is refused, as are the other kinds of weights.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...errors import WeightsError, listing
from ..checkpoints import Card
from ..registry import build
from .package import Package
from .presentation import Presentation
from .state_dicts import State, read_state
from .timm_weights import features_of, take_timm
from .torchscript import PROGRAM, open_program

TOLERANCE = 1e-3
"""Largest difference from the package's own test output, in parts of its largest number."""


def take_package(package: Package, card: Card) -> tuple[State, Card]:
    """Take the encoder of a package, after it made the package's own test output of its test input.

    Parameters
    ----------
    package : Package
    card : Card
        Name, training, license, and what the network sees.

    Returns
    -------
    state, card
        As of :func:`.take_timm`.

    Raises
    ------
    WeightsError
        If the package holds no encoder, weights of another kind, or does something to an image that is not known here.
    """
    source, target = _tensor(package, "inputs"), _tensor(package, "outputs")
    _check_is_encoder(package, source, target)
    presentation = _presentation(package, source)
    kinds = package.description.get("weights") or {}
    license = package.description.get("license")
    card = replace(card, license=str(license)) if license and card.license == "not stated" else card
    reasons = [f"{kind} cannot be run here" for kind in kinds if kind not in READERS]
    for kind, read in READERS.items():
        if kind in kinds:
            try:
                state, taken = read(package, kinds[kind], presentation, card)
            except Refused as error:
                reasons.append(str(error))
                continue
            _check_test(package, source, target, state, taken)
            return state, taken
    raise WeightsError(
        f"'{package.path}' has no weights that microsnoop takes: {'; '.join(reasons) or 'none are described'}.\nTaken "
        "are torchscript, and pytorch_state_dict of a model of timm"
    )


def _check_is_encoder(package: Package, source: Mapping[str, Any], target: Mapping[str, Any]) -> None:
    if _axes(source) != "bcyx":
        raise WeightsError(
            f"'{package.path}' takes images with the axes {_axes(source)}: microsnoop measures planes (bcyx)"
        )
    if _axes(target) not in ("bc", "bi"):
        raise WeightsError(
            f"'{package.path}' makes images (axes {_axes(target)}), as for segmentation: microsnoop needs an encoder, "
            "whose output is a row of numbers (axes bc)"
        )
    if steps := [_step(step)[0] for step in target.get("postprocessing") or [] if _step(step)[0] != "ensure_dtype"]:
        raise WeightsError(f"'{package.path}' changes its output by {listing(steps)}, which is not known here")


class Refused(Exception):
    """Weights of a kind that is known, but cannot be taken."""


def _from_program(
    package: Package, weights: Mapping[str, Any], presentation: Presentation, card: Card
) -> tuple[State, Card]:
    program = package.file(weights)
    dimension = features_of(open_program(program), presentation)
    options = {"size": len(program), "presentation": presentation.as_options()}
    state = {PROGRAM: np.frombuffer(program, np.uint8)}
    return state, replace(card, architecture="torchscript", options=options, dimension=dimension)


def _from_state_dict(
    package: Package, weights: Mapping[str, Any], presentation: Presentation, card: Card
) -> tuple[State, Card]:
    """Take a state dict, whose network is a function of a library (or of a Python file, which is not run)."""
    architecture = weights.get("architecture")
    if not isinstance(architecture, Mapping) or "import_from" not in architecture:
        file = architecture.get("source") if isinstance(architecture, Mapping) else architecture
        raise Refused(f"the network of pytorch_state_dict is defined by the Python file '{file}', which is not run")
    library, function = architecture["import_from"], architecture.get("callable")
    arguments = dict(architecture.get("kwargs") or {})
    if str(library).split(".")[0] != "timm":
        raise Refused(f"the network of pytorch_state_dict comes from the library '{library}', not from timm")
    model = arguments.pop("model_name", None) if function == "create_model" else function
    expected = {"num_classes": 0, "in_chans": presentation.channels, "pretrained": False}
    if unknown := [f"{key}={value}" for key, value in arguments.items() if expected.get(key) != value]:
        raise Refused(f"the network of pytorch_state_dict is made with {listing(unknown)}, which is not known here")
    return take_timm(_read_bytes(package.file(weights)), str(model), presentation, card)


READERS = {"pytorch_state_dict": _from_state_dict, "torchscript": _from_program}
"""What takes each kind of weights, the preferred kind first."""


def _presentation(package: Package, source: Mapping[str, Any]) -> Presentation:
    """Return what the description does to an image before the network sees it."""
    channels = _channels(source)
    steps = [_step(step) for step in source.get("preprocessing") or []]
    changes = [(name, arguments) for name, arguments in steps if name != "ensure_dtype"]
    if [name for name, _ in changes] == ["zero_mean_unit_variance"] and _per_plane(changes[0][1], channels):
        return Presentation(channels, standardize=True)
    if [name for name, _ in changes] == ["fixed_zero_mean_unit_variance"] and _gray_range(source) == (0, 1):
        mean, std = (np.ravel(changes[0][1][key]).tolist() for key in ("mean", "std"))
        return Presentation(channels, tuple(mean * (channels // len(mean))), tuple(std * (channels // len(std))))
    if not changes and _gray_range(source) == (0, 1):
        return Presentation(channels, (0.0,) * channels, (1.0,) * channels)
    raise WeightsError(
        f"'{package.path}' prepares images by {listing(name for name, _ in changes) or 'nothing'}, for gray levels "
        f"{_gray_range(source)}: microsnoop, which normalizes each crop, knows zero_mean_unit_variance of a plane; and "
        "for gray levels 0 to 1 fixed_zero_mean_unit_variance, or nothing"
    )


def _check_test(
    package: Package, source: Mapping[str, Any], target: Mapping[str, Any], state: State, card: Card
) -> None:
    """Check that the encoder makes the package's own test output of its test input."""
    described = package.description
    files = [
        tensor.get("test_tensor") or (described.get(f"test_{side}") or [None])[0]
        for side, tensor in (("inputs", source), ("outputs", target))
    ]
    if None in files:
        raise WeightsError(f"'{package.path}' has no test input and output, by which its network could be checked")
    given, expected = (np.load(io.BytesIO(package.file(file)), allow_pickle=False) for file in files)
    network: Any = build(state, card)
    presented = network.presentation(torch.from_numpy(given.astype(np.float32)))
    with torch.inference_mode():
        made = network.encoder(presented).numpy()
    fits = made.shape == expected.shape
    distance = np.abs(made - expected).max() / max(np.abs(expected).max(), 1e-9) if fits else np.inf
    if not distance <= TOLERANCE:
        raise WeightsError(
            f"the network of '{package.path}' does not make the package's test output of its test input (difference "
            f"{distance:.2g} of the largest number): it would be used wrongly"
        )


def _tensor(package: Package, side: str) -> Mapping[str, Any]:
    tensors = package.description.get(side) or []
    if len(tensors) != 1:
        raise WeightsError(f"'{package.path}' has {len(tensors)} {side}: microsnoop needs a network with one")
    tensor: Mapping[str, Any] = tensors[0]
    return tensor


def _axes(tensor: Mapping[str, Any]) -> str:
    """Return the axes of a tensor as letters: b(atch), c(hannel), i(ndex), t(ime), and x, y, z."""
    axes = tensor.get("axes") or ""
    if isinstance(axes, str):
        return axes
    return "".join(str(axis.get("id", "x")) if axis["type"] == "space" else axis["type"][0] for axis in axes)


def _channels(tensor: Mapping[str, Any]) -> int:
    axes, shape = tensor["axes"], tensor.get("shape")
    if not isinstance(axes, str):
        return len(axes[1].get("channel_names") or [])
    return int((shape["min"] if isinstance(shape, Mapping) else shape or [0, 0])[1])


def _step(step: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    return str(step.get("id") or step.get("name")), step.get("kwargs") or {}


def _per_plane(arguments: Mapping[str, Any], channels: int) -> bool:
    """Return whether a step computes with the pixels of each plane by themselves."""
    letters = {str(axis)[0] for axis in arguments.get("axes") or "cyx"}
    planes = letters == {"x", "y"} or (letters == {"c", "x", "y"} and channels == 1)
    return planes and arguments.get("mode", "per_sample") == "per_sample"


def _gray_range(tensor: Mapping[str, Any]) -> tuple[float | None, float | None]:
    data = tensor.get("data") or {}
    low, high = tensor.get("data_range") or (data.get("range") if isinstance(data, Mapping) else None) or (None, None)
    return low, high


def _read_bytes(data: bytes) -> State:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.pt"
        path.write_bytes(data)
        return read_state(path)
