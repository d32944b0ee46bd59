"""Gather crops into batches for the network."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..model.embedder import Embedder
from ..model.frame import Frame

if TYPE_CHECKING:
    from torch import Tensor

    from .device_crops import DeviceCropper


@dataclass(frozen=True)
class _Block:
    """Windows (n, s, s) whose embeddings go into ``rows`` (n,) of ``features`` (m, d)."""

    windows: NDArray[np.float32] | Tensor
    features: NDArray[np.float32]
    rows: NDArray[np.int64]
    owner: Hashable

    def split(self, count: int) -> tuple[_Block, _Block]:
        parts = (slice(None, count), slice(count, None))
        first, rest = (replace(self, windows=self.windows[part], rows=self.rows[part]) for part in parts)
        return first, rest


class Batcher:
    """Collect windows of equal size until a batch is full, and write each embedding into its row.

    Windows are embedded while the next ones are cut: their embeddings come one batch later. A batcher that is left
    in the middle of its work (``with``) waits for the network, which runs one batch at a time.

    Parameters
    ----------
    embedder : Embedder

    Attributes
    ----------
    pending : Counter
        Windows that wait for their embeddings, by owner.
    cropper : DeviceCropper or None
        Cuts the crops where the device of the embedder does that best.
    """

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._waiting: dict[tuple[int, type], deque[_Block]] = {}
        self._count: Counter[tuple[int, type]] = Counter()
        self._started: deque[tuple[Callable[[], NDArray[np.float32]], list[_Block]]] = deque()
        self._thread = ThreadPoolExecutor(1, "network")
        self.pending: Counter[Hashable] = Counter()
        self.cropper: DeviceCropper | None = None
        if embedder.takes_tensors:
            from .device_crops import DeviceCropper

            self.cropper = DeviceCropper(embedder.device, embedder.frame)

    def __enter__(self) -> Batcher:
        return self

    def __exit__(self, *exception: object) -> None:
        self._thread.shutdown(cancel_futures=True)

    @property
    def frame(self) -> Frame:
        """What the network sees of a crop."""
        return self._embedder.frame

    @property
    def batch_size(self) -> int:
        """Windows of a full batch."""
        return self._embedder.batch_size

    def add(
        self,
        windows: NDArray[np.float32] | Tensor,
        features: NDArray[np.float32],
        rows: NDArray[np.int64],
        owner: Hashable = None,
    ) -> bool:
        """Take windows, and run the batches that they fill.

        Parameters
        ----------
        windows : array or Tensor (n, s, s), float32
            Normalized crops; s is one of the frame's sizes.
        features : array (m, d), float32
            Receives the embeddings, when their batch has run.
        rows : array (n,), int64
            The row of each embedding.
        owner : hashable, optional
            Counts the windows in ``pending``.

        Returns
        -------
        bool
            True if a batch ran.
        """
        key = (windows.shape[-1], type(windows))
        self._waiting.setdefault(key, deque()).append(_Block(windows, features, rows, owner))
        self._count[key] += len(rows)
        self.pending[owner] += len(rows)
        if self._count[key] < self.batch_size:
            return False
        while self._count[key] >= self.batch_size:
            self._run(key)
        return True

    def flush(self) -> None:
        """Embed the windows that wait, in batches that are not full."""
        for key in list(self._waiting):
            while self._count[key]:
                self._run(key)
        while self._started:
            self._finish()

    def _run(self, key: tuple[int, type]) -> None:
        """Embed a batch of one size."""
        blocks = self._take(key, self.batch_size)
        windows: list[Any] = [block.windows for block in blocks]
        wait: Callable[[], NDArray[np.float32]]
        if issubclass(key[1], np.ndarray):
            wait = self._thread.submit(self._embedder.embed, np.concatenate(windows)[:, None]).result
        else:
            import torch

            wait = self._embedder.start(torch.cat(windows)[:, None])
        self._started.append((wait, blocks))
        if len(self._started) > 1:
            self._finish()

    def _take(self, key: tuple[int, type], count: int) -> list[_Block]:
        """Take ``count`` windows of one size out of those that wait; a block that holds more is split."""
        taken, waiting = [], self._waiting[key]
        while count and waiting:
            block = waiting.popleft()
            if len(block.rows) > count:
                block, rest = block.split(count)
                waiting.appendleft(rest)
            taken.append(block)
            count -= len(block.rows)
        self._count[key] -= sum(len(block.rows) for block in taken)
        return taken

    def _finish(self) -> None:
        """Wait for the batch that was started first."""
        wait, blocks = self._started.popleft()
        self._deliver(wait(), blocks)

    def _deliver(self, embeddings: NDArray[np.float32], blocks: list[_Block]) -> None:
        """Write embeddings into their rows."""
        start = 0
        for block in blocks:
            block.features[block.rows] = embeddings[start : start + len(block.rows)]
            start += len(block.rows)
            self.pending[block.owner] -= len(block.rows)
