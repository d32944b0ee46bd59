"""Segment a plane with the installed Cellpose, version 3 or 4."""

from __future__ import annotations

import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DeviceError, InputError, MissingExtraError, WeightsError, first_line
from .planes import real_plane
from .torch_devices import torch_device

SIGNATURE = {"output.2.weight": 3, "W2": 4}
"""A weight that every network of a version of Cellpose has."""
INSTALL = {3: 'pip install "cellpose>=3.1,<4"', 4: 'pip install "cellpose>=4.2,<5"'}
FULL_SCALE = 65535.0
"""Maximum of the planes that Cellpose gets, that of 16 bits."""


class CellposeSegmenter:
    """A Cellpose network, loaded once.

    It downloads nothing, and never replaces a model by another one.

    Parameters
    ----------
    model : str
        A built-in model of the installed Cellpose (``cyto3``, ``nuclei``, ... of version 3; ``cpsam``, ... of
        version 4), whose weight file is already on disk, or the path of a weight file.
    device : str
        ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
    diameter : float, optional
        Of an object, in pixels; by default that of the model.

    Raises
    ------
    MissingExtraError
        If Cellpose is not installed.
    InputError
        If the installed Cellpose has no model of this name.
    WeightsError
        If the weight file is missing, damaged, or of another network or Cellpose version.
    DeviceError
        If the device is missing, or Cellpose is installed but does not start.

    Examples
    --------
    >>> segmenter = CellposeSegmenter("cyto3")  # doctest: +SKIP
    >>> labels = segmenter.segment(plane)  # doctest: +SKIP
    """

    def __init__(self, model: str, device: str = "cpu", diameter: float | None = None) -> None:
        models = _import_models()
        self.device = torch_device(device, "Cellpose")
        self._options = {} if diameter is None else {"diameter": diameter}
        self._network = _load(models, model, _weight_file(models, model), self.device)

    def segment(self, plane: NDArray[Any]) -> NDArray[np.int32]:
        """Find the objects of one plane.

        Cellpose expects objects as large as those that the model was trained on; their size is not estimated.

        Parameters
        ----------
        plane : array (h, w)
            Intensities of any real dtype and scale, finite.

        Returns
        -------
        array (h, w), int32
            0 is background, 1..n are the objects. A constant plane has none.

        Raises
        ------
        InputError
            If the array is not one plane of real numbers, or has pixels that are NaN or infinite.
        DeviceError
            If the network failed on the device, e.g. for lack of memory.
        """
        plane = real_plane(plane, "Cellpose")
        low, span = plane.min(), np.ptp(plane)
        if span == 0:
            return np.zeros(plane.shape, np.int32)
        # Cellpose normalizes every plane, but blanks those whose range is below 1e-3, such as dim images in 0..1.
        plane = ((plane - low) * (FULL_SCALE / span)).astype(np.float32)
        try:
            labels = self._network.eval(plane, **self._options)[0]
        except RuntimeError as error:
            size = f"{plane.shape[0]} x {plane.shape[1]} pixels"
            raise DeviceError(f"Cellpose failed on a plane of {size} on device {self.device}: {error}") from error
        return np.asarray(labels, np.int32).reshape(plane.shape)


def _import_models() -> Any:
    """Return the module ``cellpose.models``."""
    try:
        from cellpose import models
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "cellpose", "cellpose", "segmentation with Cellpose") from error
    except (ImportError, OSError, RuntimeError) as error:
        raise DeviceError(
            f"Cellpose {version('cellpose')} is installed but does not start ({first_line(error)}). Cellpose 4 needs "
            "torch and torchvision of one release and build (both for the CPU or both for the same CUDA): install the "
            "two together"
        ) from error
    return models


def _installed_generation() -> int:
    """Return the major version of the installed Cellpose."""
    return int(version("cellpose").partition(".")[0])


def _weight_file(models: Any, model: str) -> Path:
    """Return the weight file of a built-in model or of a path; raise an error if there is none."""
    if model in models.MODEL_NAMES:
        path = Path(models.MODEL_DIR) / (f"{model}torch_0" if model in ("cyto", "cyto2", "nuclei") else model)
        if not path.is_file():
            raise WeightsError(
                f"the weights of the Cellpose model '{model}' are not on this computer: {path} is missing. Download "
                f"them once with: python -c \"from cellpose import models; models.CellposeModel(pretrained_model='"
                f"{model}')\", or copy the file there"
            )
        return path
    path = Path(model).expanduser()
    if path.is_file():
        return path
    if path.is_dir():
        raise WeightsError(f"{path.absolute()} is a folder: give the path of a Cellpose weight file in it")
    if path.name != model or path.suffix:
        raise WeightsError(f"{path.absolute()} does not exist: give the path of a Cellpose weight file, or a model")
    raise InputError(
        f"Cellpose {version('cellpose')}, which is installed, has no model called '{model}': choose one of "
        f"{', '.join(dict.fromkeys(models.MODEL_NAMES))}, or give the path of a weight file. cyto3, nuclei and their "
        f"like come with Cellpose 3 ({INSTALL[3]}), cpsam with Cellpose 4 ({INSTALL[4]})"
    )


def _load(models: Any, model: str, path: Path, device: Any) -> Any:
    """Load a Cellpose network with all the weights of a file.

    Cellpose itself loads the weights that fit and leaves the rest of the network random, so the two are compared.
    """
    import torch

    try:
        weights = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
        shapes = {key.removeprefix("module."): tuple(value.shape) for key, value in weights.items()}
    except Exception as error:
        raise WeightsError(
            f"{path} is not a Cellpose weight file or is damaged ({first_line(error)}): download or copy it again"
        ) from error
    generation = next((SIGNATURE[key] for key in SIGNATURE if key in shapes), None)
    if generation is None:
        raise WeightsError(
            f"{path} holds the weights of another network: give a weight file of Cellpose 3 (but not of its "
            "transformers) or of Cellpose 4"
        )
    if generation != _installed_generation():
        raise WeightsError(
            f"{path} is a weight file of Cellpose {generation}, but Cellpose {version('cellpose')} is installed: "
            f"{INSTALL[generation]}, or give a weight file of Cellpose {_installed_generation()}"
        )
    # Cellpose 3 knows the object diameter of a built-in model by its name.
    by_name = generation == 3 and model in models.MODEL_NAMES
    source = {"model_type": model} if by_name else {"pretrained_model": str(path)}
    try:
        network = models.CellposeModel(device=device, **source)
    except (RuntimeError, ValueError, KeyError, NameError) as error:
        raise WeightsError(f"Cellpose {version('cellpose')} cannot load {path}: {first_line(error)}") from error
    missing = [
        key
        for key, value in network.net.state_dict().items()
        if shapes.get(key) != tuple(value.shape) and not key.startswith("diam_")
    ]
    if missing:
        raise WeightsError(
            f"{path} lacks {len(missing)} of the weights of Cellpose {version('cellpose')}, such as "
            f"{', '.join(missing[:3])}: download or copy it again"
        )
    return network
