"""Microsnoop: every channel of a microscopy image as 256 numbers."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_EXPORTS = {
    "Embedder": "model.embedder",
    "CropSettings": "modes.settings",
    "Spherize": "sphering.spherize",
    "load_model": "model.registry",
    "measure": "modes.measure",
}
__all__ = ["CropSettings", "Embedder", "Spherize", "__version__", "load_model", "measure"]


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        return getattr(import_module(f".{_EXPORTS[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
