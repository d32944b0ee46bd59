"""Define the interfaces of the backends."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor


class Backend(Protocol):
    """Compute embeddings with a library on a device.

    Attributes
    ----------
    name, device, precision : str
    takes_tensors : bool
        Whether crops are best cut on the device; the backend is a :class:`TensorBackend` then.
    """

    name: str
    device: str
    precision: str
    takes_tensors: bool

    def embed(self, crops: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute embeddings (n, dimension), rows of unit length, of crops (n, 1, s, s)."""
        ...


@runtime_checkable
class TensorBackend(Backend, Protocol):
    """A backend that also takes crops that are on its device already."""

    def launch(self, crops: Tensor) -> Tensor:
        """Begin to compute the embeddings (n, dimension) of crops (n, 1, s, s) on the device."""
        ...

    def fetch(self, crops: Tensor, embeddings: Tensor) -> Callable[[], NDArray[np.float32]]:
        """Return a function that waits for launched embeddings and returns them as an array."""
        ...
