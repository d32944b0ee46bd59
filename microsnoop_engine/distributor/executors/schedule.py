"""Decide which image set is measured next, retry after a lost worker and return results in order."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence

from ...errors import InputError
from ...images.image_set import ImageSet
from ..assembly import ImageSetResult, Outcome

ATTEMPTS = 3
"""Lost workers after which an image set counts as one that cannot be measured."""


class Schedule:
    """Hand image sets out to workers and return their outcomes in order.

    When a worker is lost, the image sets it held become suspects. A suspect is retried alone, so that one that kills
    its workers takes no other image set with it a second time.

    Parameters
    ----------
    image_sets : sequence of ImageSet
    memory : int
        Bytes of rows that may wait for those of an earlier image set.
    workers : int
        Number of image sets that may be under way in any case.
    """

    def __init__(self, image_sets: Sequence[ImageSet], memory: int, workers: int) -> None:
        self._new = deque(image_sets)
        self._suspects: deque[ImageSet] = deque()
        self._under_way: deque[ImageSet] = deque()
        self._outcomes: dict[int, Outcome] = {}
        self._losses: Counter[int] = Counter()
        self._memory = memory
        self._workers = workers
        self._largest = 0

    @property
    def finished(self) -> bool:
        """True once every outcome was returned."""
        return not self._new and not self._under_way

    @property
    def has_suspects(self) -> bool:
        """True if there are suspects; an idle worker takes one of them before anything else."""
        return bool(self._suspects)

    def is_suspect(self, image_set: ImageSet) -> bool:
        """Return True if a worker was lost while it held this image set."""
        return self._losses[image_set.number] > 0

    def next(self) -> ImageSet | None:
        """Take the next new image set; None if there is none, or if its rows might not fit the memory."""
        fitting = max(self._memory // self._largest if self._largest else 8 * self._workers, self._workers)
        if not self._new or len(self._under_way) >= fitting:
            return None
        self._under_way.append(self._new.popleft())
        return self._under_way[-1]

    def next_suspect(self) -> ImageSet:
        """Take the next suspect."""
        return self._suspects.popleft()

    def put(self, image_set: ImageSet, outcome: Outcome) -> None:
        """Store the outcome of an image set."""
        self._outcomes[image_set.number] = outcome
        if isinstance(outcome, ImageSetResult):
            self._largest = max(self._largest, outcome.measurement.features.nbytes)

    def lose(self, image_sets: Iterable[ImageSet], reason: str) -> None:
        """Make suspects of the image sets of a lost worker; after ``ATTEMPTS`` losses one fails with the reason."""
        for image_set in image_sets:
            self._losses[image_set.number] += 1
            if self._losses[image_set.number] < ATTEMPTS:
                self._suspects.append(image_set)
            else:
                self.put(image_set, InputError(f"killed the worker {ATTEMPTS} times: {reason}"))

    def ready(self) -> Iterator[tuple[ImageSet, Outcome]]:
        """Yield the image sets whose outcome is known, up to the first one whose outcome is not."""
        while self._under_way and self._under_way[0].number in self._outcomes:
            image_set = self._under_way.popleft()
            yield image_set, self._outcomes.pop(image_set.number)
