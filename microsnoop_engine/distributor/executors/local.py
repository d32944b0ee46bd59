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
    """The engine of one device, within this process.

    Parameters
    ----------
    embedder : Embedder
    job : Job
    memory : int
        Bytes that images read ahead and rows not yet given out may take.
    """

    def __init__(self, embedder: Embedder, job: Job, memory: int):
        self.card, self.precision = embedder.card, embedder.precision
        self._embedder, self._job, self._memory = embedder, job, memory
        self._find_objects = job.segmenter(embedder.device)

    def __enter__(self) -> LocalExecutor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Nothing is left behind."""

    def measured(self, image_sets: Sequence[ImageSet]) -> Iterator[tuple[ImageSet, Outcome]]:
        """Every image set with what became of it, in order."""
        assembly = ImageSetBatcher(self._embedder, self._job, self._memory // 4)
        for image_set, pixels in read_ahead(image_sets, self._job, self._find_objects, self._memory // 2):
            assembly.take(image_set, pixels)
            yield from assembly.finished()
        assembly.flush()
        yield from assembly.finished()
