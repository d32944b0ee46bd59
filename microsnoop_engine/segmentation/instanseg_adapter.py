"""Segment a plane with the installed InstanSeg and a model in TorchScript."""

from __future__ import annotations

import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DeviceError, InputError, MissingExtraError, WeightsError, first_line
from .planes import real_plane
from .torch_devices import torch_device

MODEL_NAME = "instanseg.pt"
"""TorchScript file in the folder of a released model."""
TARGET = "cells"
"""Objects taken of a model that finds nuclei and cells."""


class InstanSegSegmenter:
    """An InstanSeg model, loaded once.

    It downloads nothing.

    Parameters
    ----------
    model : str
        Path of a model in TorchScript (``instanseg.pt``), or of the unpacked folder of a released model. Of a model
        that finds nuclei and cells, the cells are taken.
    pixel_size : float
        Of the planes, in micrometers: InstanSeg resizes them to the pixels that the model was trained on.
    device : str
        ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.

    Raises
    ------
    MissingExtraError
        If InstanSeg is not installed.
    WeightsError
        If the file is missing or damaged, or is no model of InstanSeg.
    DeviceError
        If the device is missing, or InstanSeg is installed but does not start.

    Examples
    --------
    >>> segmenter = InstanSegSegmenter("fluorescence_nuclei_and_cells", 0.65)  # doctest: +SKIP
    >>> labels = segmenter.segment(plane)  # doctest: +SKIP
    """

    def __init__(self, model: str, pixel_size: float, device: str = "cpu") -> None:
        package = _import_instanseg()
        self.device = torch_device(device, "InstanSeg")
        self._pixel_size = pixel_size
        self._path = _model_file(model)
        network = _load(self._path)
        self._target = TARGET if network.cells_and_nuclei else "all_outputs"
        self._instanseg = package.InstanSeg(network, device=str(self.device), image_reader="skimage.io", verbosity=0)

    def segment(self, plane: NDArray[Any]) -> NDArray[np.int32]:
        """Find the objects of one plane.

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
        WeightsError
            If the model takes several channels.
        DeviceError
            If the network failed on the device, e.g. for lack of memory.
        """
        plane = real_plane(plane, "InstanSeg").astype(np.float32)
        if np.ptp(plane) == 0:
            return np.zeros(plane.shape, np.int32)
        large = plane.size >= self._instanseg.small_image_threshold
        evaluate = self._instanseg.eval_medium_image if large else self._instanseg.eval_small_image
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of PyTorch, about autocast and sparse tensors
                labels = evaluate(
                    plane[np.newaxis], pixel_size=self._pixel_size, target=self._target, return_image_tensor=False
                )
        except RuntimeError as error:
            if "channels, but got" in str(error):
                raise WeightsError(
                    f"{self._path} takes several channels, such as the colors of a stained section: choose a model "
                    "for fluorescence"
                ) from error
            size = f"{plane.shape[0]} x {plane.shape[1]} pixels"
            raise DeviceError(f"InstanSeg failed on a plane of {size} on device {self.device}: {error}") from error
        return np.asarray(labels.cpu().numpy(), np.int32).reshape(plane.shape)


def _import_instanseg() -> Any:
    """Return the package ``instanseg``."""
    try:
        import instanseg
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "instanseg", "instanseg", "segmentation with InstanSeg") from error
    except (ImportError, OSError, RuntimeError) as error:
        raise DeviceError(
            f"InstanSeg {version('instanseg-torch')} is installed but does not start ({first_line(error)})"
        ) from error
    return instanseg


def _model_file(model: str) -> Path:
    """Return the TorchScript file of a path."""
    path = Path(model).expanduser()
    file = path / MODEL_NAME if path.is_dir() else path
    if file.suffix.lower() == ".zip":
        raise WeightsError(f"{file.absolute()} is packed: unpack it and name the folder")
    if not file.is_file():
        raise WeightsError(
            f"{file.absolute()} does not exist: name the {MODEL_NAME} of an InstanSeg model, or its unpacked folder "
            "(InstanSeg offers its models as .zip among the releases of its repository)"
        )
    return file


def _load(path: Path) -> Any:
    """Load a model, if it is one of InstanSeg."""
    import torch

    load: Any = torch.jit.load
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            network = load(str(path), map_location="cpu")
    except (RuntimeError, ValueError) as error:
        raise WeightsError(
            f"{path} is no model in TorchScript or is damaged ({first_line(error)}): download it again"
        ) from error
    if not (hasattr(network, "cells_and_nuclei") and hasattr(network, "pixel_size")):
        raise WeightsError(f"{path} is no model of InstanSeg: it does not say its pixel size")
    if not network.pixel_size > 0:
        raise InputError(f"{path} was trained on pixels of unknown size: choose another InstanSeg model")
    return network
