"""Gather crops into batches for the network."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..model.embedder import Embedder

if TYPE_CHECKING:
    from torch import Tensor

    from .device_crops import DeviceCropper


@dataclass(frozen=True)
class _Block:
    """Windows (n, s, s), and where their embeddings go: rows ``places`` of ``features`` (m, 256)."""

    windows: np.ndarray | Tensor
    features: np.ndarray
    places: Sequence[int] | np.ndarray
    owner: Hashable

    def split(self, count: int) -> tuple[_Block, _Block]:
        parts = (slice(None, count), slice(count, None))
        first, rest = (replace(self, windows=self.windows[part], places=self.places[part]) for part in parts)
        return first, rest


class Batcher:
    """Collects windows of equal size until a batch is full, and writes each embedding where it belongs.

    Windows on a device are embedded while the next ones are cut: their embeddings come one batch later.

    Parameters
    ----------
    embedder : Embedder
    """

    def __init__(self, embedder: Embedder):
        self._embedder = embedder
        self._waiting: dict[tuple[int, type], deque[_Block]] = {}
        self._count: Counter[tuple[int, type]] = Counter()
        self._started: deque[tuple[Callable[[], np.ndarray], list[_Block]]] = deque()
        self.pending: Counter[Hashable] = Counter()
        """Windows that still wait, by owner."""
        self.cropper: DeviceCropper | None = None
        """What cuts crops, where that is done on the device."""
        if getattr(embedder, "takes_tensors", False):
            from .device_crops import DeviceCropper

            self.cropper = DeviceCropper(embedder.device)

    @property
    def batch_size(self) -> int:
        """Windows of a full batch."""
        return self._embedder.batch_size

    def add(
        self,
        windows: np.ndarray | Tensor,
        features: np.ndarray,
        places: Sequence[int] | np.ndarray,
        owner: Hashable = None,
    ) -> bool:
        """Take windows (n, s, s); their embeddings go into rows ``places`` (n,) of ``features`` (m, 256).

        Returns
        -------
        bool
            Whether that filled and ran a batch.
        """
        key = (windows.shape[-1], type(windows))
        self._waiting.setdefault(key, deque()).append(_Block(windows, features, places, owner))
        self._count[key] += len(places)
        self.pending[owner] += len(places)
        if self._count[key] < self.batch_size:
            return False
        while self._count[key] >= self.batch_size:
            self._run(key)
        return True

    def flush(self) -> None:
        """Embed what still waits."""
        for key in list(self._waiting):
            while self._count[key]:
                self._run(key)
        while self._started:
            self._finish()

    def _run(self, key: tuple[int, type]) -> None:
        blocks = self._take(key, self.batch_size)
        windows = [block.windows for block in blocks]
        if isinstance(windows[0], np.ndarray):
            self._deliver(self._embedder.embed(np.concatenate(windows)[:, None]), blocks)
            return
        import torch

        self._started.append((self._embedder.start(torch.cat(windows)[:, None]), blocks))
        if len(self._started) > 1:
            self._finish()

    def _take(self, key: tuple[int, type], count: int) -> list[_Block]:
        taken, waiting = [], self._waiting[key]
        while count and waiting:
            block = waiting.popleft()
            if len(block.places) > count:
                block, rest = block.split(count)
                waiting.appendleft(rest)
            taken.append(block)
            count -= len(block.places)
        self._count[key] -= sum(len(block.places) for block in taken)
        return taken

    def _finish(self) -> None:
        wait, blocks = self._started.popleft()
        self._deliver(wait(), blocks)

    def _deliver(self, embeddings: np.ndarray, blocks: list[_Block]) -> None:
        start = 0
        for block in blocks:
            block.features[block.places] = embeddings[start : start + len(block.places)]
            start += len(block.places)
            self.pending[block.owner] -= len(block.places)
