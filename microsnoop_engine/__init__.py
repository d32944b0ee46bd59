"""Microsnoop: learned features of each channel of a microscopy image.

Public names are imported when they are first used, so that ``import microsnoop_engine`` is fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .errors import torch_needed

__version__ = "0.1.0"

_MODULES = {
    "MUSE": "multimodal.estimator",
    "ColumnRoles": "reporting.roles",
    "ComputeSettings": "distributor.compute",
    "CropSettings": "modes.settings",
    "Embedder": "model.embedder",
    "Spherize": "sphering.spherize",
    "activity": "tables.activity",
    "aggregate": "tables.aggregation",
    "compare_corrections": "sphering.comparison",
    "correct": "sphering.corrected_table",
    "evaluate": "tables.evaluation",
    "find_image_sets": "images.inputs",
    "load_model": "model.registry",
    "measure": "modes.measure",
    "normalize": "sphering.normalized_table",
    "muse": "multimodal.table",
    "open_table": "tables.formats",
    "profile": "distributor.run",
    "report": "reporting.page",
    "select_informative": "sphering.selection",
    "sphere": "sphering.table",
    "train": "trainer.train",
}
"""Modules of the public names."""

__all__ = [
    "MUSE",
    "ColumnRoles",
    "ComputeSettings",
    "CropSettings",
    "Embedder",
    "Spherize",
    "__version__",
    "activity",
    "aggregate",
    "compare_corrections",
    "correct",
    "evaluate",
    "find_image_sets",
    "load_model",
    "measure",
    "muse",
    "normalize",
    "open_table",
    "profile",
    "report",
    "select_informative",
    "sphere",
    "train",
]

if TYPE_CHECKING:
    from .distributor.compute import ComputeSettings
    from .distributor.run import profile
    from .images.inputs import find_image_sets
    from .model.embedder import Embedder
    from .model.registry import load_model
    from .modes.measure import measure
    from .modes.settings import CropSettings
    from .multimodal.estimator import MUSE
    from .multimodal.table import muse
    from .reporting.page import report
    from .reporting.roles import ColumnRoles
    from .sphering.comparison import compare_corrections
    from .sphering.corrected_table import correct
    from .sphering.normalized_table import normalize
    from .sphering.selection import select_informative
    from .sphering.spherize import Spherize
    from .sphering.table import sphere
    from .tables.activity import activity
    from .tables.aggregation import aggregate
    from .tables.evaluation import evaluate
    from .tables.formats import open_table
    from .trainer.train import train


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        try:
            return getattr(import_module(f".{_MODULES[name]}", __name__), name)
        except ModuleNotFoundError as error:
            if error.name != "torch":
                raise
            raise torch_needed(f"`{name}`") from None
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
