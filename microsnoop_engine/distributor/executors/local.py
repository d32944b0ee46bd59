"""Measure image sets in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import TracebackType

from ...images.image_set import ImageSet
from ...model.embedder import Embedder
from ..assembly import ImageSetBatcher, Outcome
from ..job import Job
from ..reading import read_ahead


class LocalExecutor:
    """Measure image sets on one device, in this process.

    Parameters
    ----------
    embedder : Embedder
    job : Job
    memory : int
        Bytes for images that are read ahead and rows that are not written yet.
    """

    def __init__(self, embedder: Embedder, job: Job, memory: int) -> None:
        self.card, self.precision = embedder.card, embedder.precision
        self._embedder, self._job, self._memory = embedder, job, memory
        self._segment = job.segmenter(embedder.device)

    def __enter__(self) -> LocalExecutor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Do nothing: there are no workers to stop."""

    def measured(self, image_sets: Sequence[ImageSet]) -> Iterator[tuple[ImageSet, Outcome]]:
        """Measure image sets (see :class:`.executor.Executor`)."""
        batcher = ImageSetBatcher(self._embedder, self._job, self._memory // 4)
        for image_set, pixels in read_ahead(image_sets, self._job, self._segment, self._memory // 2):
            batcher.add(image_set, pixels)
            yield from batcher.finished()
        batcher.flush()
        yield from batcher.finished()
