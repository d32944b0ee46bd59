"""List the architectures: what builds a network, and which backends and precisions run it. Imports neither library.

Other packages can add theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from ..errors import WeightsError

GROUP = "microsnoop.architectures"
"""Group of the entry points of further networks: name = function of (dimension, decoder) that returns a Network."""


@dataclass(frozen=True)
class Architecture:
    """Describe the networks of one architecture.

    Attributes
    ----------
    network : str
        ``module:function`` that returns a network with random weights. The function takes the dimension and whether
        a decoder is needed, then the options of the card by name.
    graphs : str
        ``module:class`` that builds OpenVINO graphs; blank where only PyTorch runs the network.
    frames : tuple of str
        The frames (see :class:`.Card`) that the graphs know.
    float16 : bool
        Whether the numbers inside the network fit into float16.
    imported : bool
        Whether its networks come from files of other programs only, so that it cannot be trained here.
    """

    network: str
    graphs: str = ""
    frames: tuple[str, ...] = ()
    float16: bool = False
    imported: bool = False

    def load_network(self) -> Callable[..., Any]:
        """Return the function that builds a network."""
        return _load(self.network)

    def load_graphs(self) -> Callable[..., Any]:
        """Return the class that builds OpenVINO graphs."""
        return _load(self.graphs)


ARCHITECTURES = {
    "unet": Architecture(
        "microsnoop_engine.model.unet:make_unet",
        "microsnoop_engine.model.backends.openvino_unet:UnetGraphs",
        frames=("zeros", "crop"),
        float16=True,
    ),
    "compact": Architecture(
        "microsnoop_engine.model.compact:make_compact",
        "microsnoop_engine.model.backends.openvino_compact:CompactGraphs",
        frames=("crop",),
        float16=True,
    ),
    "vit": Architecture("microsnoop_engine.model.vit:MaskedViT"),
    "timm": Architecture("microsnoop_engine.model.foreign.timm_network:TimmNetwork", imported=True),
    "torchscript": Architecture("microsnoop_engine.model.foreign.torchscript:TorchScriptNetwork", imported=True),
}
"""The built-in architectures; ``unet`` is the paper's."""


def find_architecture(name: str) -> Architecture:
    """Return an architecture by its name.

    Parameters
    ----------
    name : str
        One of ``ARCHITECTURES``, or an entry point of an installed package (see ``GROUP``).

    Returns
    -------
    Architecture

    Raises
    ------
    WeightsError
        If there is none of that name.

    Examples
    --------
    >>> find_architecture("compact").frames
    ('crop',)
    """
    if name in ARCHITECTURES:
        return ARCHITECTURES[name]
    installed = {point.name: point.value for point in entry_points(group=GROUP)}
    if name not in installed:
        names = ", ".join([*ARCHITECTURES, *installed])
        raise WeightsError(f"there is no architecture '{name}'; there are {names}. Install the package that adds it")
    return Architecture(installed[name])


def has_graph(name: str, frame: str) -> bool:
    """Return whether OpenVINO runs networks of an architecture that see crops in a frame.

    Examples
    --------
    >>> has_graph("compact", "crop"), has_graph("compact", "zeros")
    (True, False)
    """
    return frame in find_architecture(name).frames


def _load(reference: str) -> Callable[..., Any]:
    module, _, name = reference.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), name)
    return found
