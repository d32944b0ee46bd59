"""Cellpose labels: one image plane in, one label plane out, with whichever of Cellpose 3 and 4 is installed."""

from __future__ import annotations

import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from microsnoop_engine.errors import DeviceError, InputError, MissingExtraError, WeightsError

PURPOSE = "segmentation with Cellpose"
REQUIREMENT = {3: "cellpose>=3.1,<4", 4: "cellpose>=4.2,<5"}
# Only for the message about a name that the installed version lacks: what it has itself is asked of Cellpose.
KNOWN_MODELS = {
    3: [
        "cyto3",
        "nuclei",
        "cyto2_cp3",
        "tissuenet_cp3",
        "livecell_cp3",
        "yeast_PhC_cp3",
        "yeast_BF_cp3",
        "bact_phase_cp3",
        "bact_fluor_cp3",
        "deepbacs_cp3",
        "cyto2",
        "cyto",
        "CPx",
        "transformer_cp3",
        "neurips_cellpose_default",
        "neurips_cellpose_transformer",
        "neurips_grayscale_cyto2",
        "CP",
        "TN1",
        "TN2",
        "TN3",
        "LC1",
        "LC2",
        "LC3",
        "LC4",
    ],
    4: ["cpsam_v2", "cpsam", "cpdino", "cpdino-vitb"],
}
# Every weight file of the network has this key.
NETWORK_KEYS = {
    "output.2.weight": (3, "default"),
    "net.segmentation_head.0.weight": (3, "transformer"),
    "W2": (4, "default"),
}
INPUT_CHANNELS_KEY = "downsample.down.res_down_0.proj.0.weight"
FULL_SCALE = 65535.0


class CellposeSegmenter:
    """A Cellpose network, loaded once.

    Nothing is ever downloaded, and no model is ever taken in the place of another.

    Parameters
    ----------
    model : str
        A built-in model of the installed Cellpose (``cyto3``, ``nuclei``, ... of version 3; ``cpsam``, ... of
        version 4), whose weight file is already on disk, or the path of a weight file.
    device : str
        ``cpu``, ``cuda``, ``cuda:1``, ``mps``, or ``auto`` for the best of them that is there.
    diameter : float, optional
        Diameter of the objects in pixels. By default the diameter the model was trained on (version 3) or no
        rescaling (version 4); it is never estimated from the image.
    flow_threshold : float
        Objects whose shape disagrees with the predicted flows by more than this are dropped; 0 keeps all.
    cellprob_threshold : float
        Pixels above this logit belong to objects; lower it for more and larger objects.

    Raises
    ------
    MissingExtraError
        Cellpose is not installed.
    InputError
        The installed Cellpose has no model of this name, or a setting cannot be used.
    WeightsError
        The weight file is missing, damaged, or of another network or Cellpose version.
    DeviceError
        The device is not there, or Cellpose is installed but does not start.

    Examples
    --------
    >>> segmenter = CellposeSegmenter("cyto3", diameter=40)  # doctest: +SKIP
    >>> labels = segmenter.segment(plane)  # doctest: +SKIP
    """

    def __init__(
        self,
        model: str,
        device: str = "cpu",
        *,
        diameter: float | None = None,
        flow_threshold: float = 0.4,
        cellprob_threshold: float = 0.0,
    ):
        if diameter is not None and not 0 < diameter < np.inf:
            raise InputError(f"Cellpose diameter is {diameter}; give the objects' diameter in pixels, e.g. 30")
        self.model = model
        self.diameter = diameter
        self.flow_threshold = flow_threshold
        self.cellprob_threshold = cellprob_threshold
        models = _import_models()
        self.device = _torch_device(device)
        self.weights = _weight_file(models, model)
        self._network = _load(models, model, self.weights, self.device)

    def segment(self, plane: np.ndarray) -> np.ndarray:
        """Find the objects of one plane.

        Parameters
        ----------
        plane : array (h, w)
            Intensities of any real dtype and scale.

        Returns
        -------
        array (h, w) of int32
            0 for background, 1..n for the objects. A constant plane has none.

        Raises
        ------
        InputError
            The array is not one plane, or has pixels that are NaN or infinite.
        DeviceError
            The network failed on the device, e.g. for lack of memory.
        """
        plane = np.asarray(plane)
        if plane.ndim != 2 or plane.size == 0:
            raise InputError(f"Cellpose segments one plane (h, w), not an array of shape {plane.shape}")
        if plane.dtype.kind not in "buif":
            raise InputError(f"Cellpose cannot segment a plane of dtype {plane.dtype}; give integers or floats")
        plane = plane.astype(np.float64)
        bad = plane.size - np.count_nonzero(np.isfinite(plane))
        if bad:
            raise InputError(
                f"{bad} of {plane.size} pixels of the plane to segment are NaN or infinite; fill them first"
            )
        low, span = plane.min(), np.ptp(plane)
        if span == 0:
            return np.zeros(plane.shape, np.int32)
        # Cellpose normalises every plane, but blanks those whose range is below 1e-3, such as dim images in 0..1.
        plane = ((plane - low) * (FULL_SCALE / span)).astype(np.float32)
        try:
            labels = self._network.eval(
                plane,
                diameter=self.diameter,
                flow_threshold=self.flow_threshold,
                cellprob_threshold=self.cellprob_threshold,
            )[0]
        except RuntimeError as error:
            size = f"{plane.shape[0]} x {plane.shape[1]} pixels"
            raise DeviceError(f"Cellpose failed on a plane of {size} on device {self.device}: {error}") from error
        return np.asarray(labels, np.int32).reshape(plane.shape)


def _import_models() -> Any:
    """The module ``cellpose.models``."""
    try:
        from cellpose import models
    except ImportError as error:
        raise MissingExtraError(error.name or "cellpose", "cellpose", PURPOSE) from error
    except RuntimeError as error:
        raise DeviceError(
            f"Cellpose {version('cellpose')} is installed but does not start: {error}. Cellpose 4 needs torch and "
            "torchvision of the same release and build (both CPU, or both for the same CUDA): reinstall the two together"
        ) from error
    return models


def _generation(models: Any) -> int:
    return 3 if hasattr(models, "SizeModel") else 4


def _torch_device(name: str) -> Any:
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        if name.partition(":")[0] not in ("cpu", "cuda", "mps"):
            raise RuntimeError("the devices are cpu, cuda, mps and auto")
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise DeviceError(f"device '{name}' cannot be used for Cellpose: {error}") from error


def _weight_file(models: Any, model: str) -> Path:
    """The weight file of a built-in model or of a path; an error where there is none."""
    if model in models.MODEL_NAMES:
        return _built_in_file(models, model)
    path = Path(model).expanduser()
    if path.is_file():
        return path
    if len(path.parts) > 1 or path.suffix or path.exists():
        what = "is a folder, not a Cellpose weight file" if path.is_dir() else "does not exist"
        raise WeightsError(f"{path.absolute()} {what}; give the path of a weight file or a model's name")
    installed = f"Cellpose {version('cellpose')} is installed, which has {', '.join(dict.fromkeys(models.MODEL_NAMES))}"
    for generation, names in KNOWN_MODELS.items():
        if model in names:
            raise InputError(
                f"'{model}' is a model of Cellpose {generation}, but {installed}: choose one of these, or "
                f'pip install "{REQUIREMENT[generation]}"'
            )
    raise InputError(f"no Cellpose model is called '{model}'; {installed}. Choose one of these or give a path")


def _built_in_file(models: Any, name: str) -> Path:
    if _generation(models) == 3:
        path = models.MODEL_DIR / (f"{name}torch_0" if name in ("cyto", "cyto2", "nuclei") else name)
        download = f"models.model_path('{name}')"
    else:
        path = models.MODEL_DIR / name
        download = f"models.CellposeModel(pretrained_model='{name}')"
    if not path.is_file():
        raise WeightsError(
            f"the weights of the Cellpose model '{name}' are not on this computer: {path} is missing. Download them "
            f'once with: python -c "from cellpose import models; {download}", or copy the file there'
        )
    return path


def _load(models: Any, model: str, path: Path, device: Any) -> Any:
    """The Cellpose network with the weights of a file, every one of them.

    Cellpose itself loads what fits and leaves the rest of the network random, so the file is compared with it.
    """
    import torch

    try:
        weights = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
        shapes = {key.removeprefix("module."): tuple(value.shape) for key, value in weights.items()}
    except Exception as error:
        raise WeightsError(
            f"{path} is not a Cellpose weight file or is damaged ({_first_line(error)}); download or copy it again"
        ) from error
    network_key = next((key for key in NETWORK_KEYS if key in shapes), None)
    if network_key is None:
        raise WeightsError(f"{path} holds the weights of a network that is not Cellpose's; give a Cellpose weight file")
    generation, backbone = NETWORK_KEYS[network_key]
    if generation != _generation(models):
        raise WeightsError(
            f"{path} is a weight file of Cellpose {generation}, but Cellpose {version('cellpose')} is installed: "
            f'pip install "{REQUIREMENT[generation]}"'
        )
    options: dict[str, Any] = {"pretrained_model": str(path)}
    if generation == 3:
        options |= {"backbone": backbone, "nchan": shapes.get(INPUT_CHANNELS_KEY, (2,))[0]}
        # Cellpose 3 knows the object diameter of a built-in model by its name.
        options |= {"model_type": model} if model in models.MODEL_NAMES else {}
    try:
        network = models.CellposeModel(device=device, **options)
    except ImportError as error:
        raise MissingExtraError(
            "segmentation_models_pytorch", "cellpose", f"the Cellpose transformer {path}"
        ) from error
    except (RuntimeError, ValueError, KeyError) as error:
        raise WeightsError(f"{path} does not fit the network of Cellpose {version('cellpose')}: {error}") from error
    wrong = [
        key
        for key, value in network.net.state_dict().items()
        if shapes.get(key) != tuple(value.shape) and not key.startswith("diam_")
    ]
    if wrong:
        raise WeightsError(
            f"{path} lacks {len(wrong)} of the weights of Cellpose {version('cellpose')}, such as {', '.join(wrong[:3])}"
        )
    return network


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
