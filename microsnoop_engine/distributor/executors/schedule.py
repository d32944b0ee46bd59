"""Which image set is next where several workers measure them: retries after a lost worker, results in order."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence

from ...errors import DeviceError, InputError
from ...images.image_set import ImageSet
from ..assembly import ImageSetResult, Outcome

log = logging.getLogger(__name__)

ATTEMPTS = 3
"""Workers that an image set may cost before it counts as one that cannot be measured."""
PATIENCE = 1800.0
"""Seconds without a sign of life (an image set read, a batch embedded) after which a worker counts as hung."""


def check_same_precision(one: str, other: str, where: str) -> None:
    """Refuse workers that would make a table of two kinds.

    Raises
    ------
    DeviceError
    """
    if one != other:
        raise DeviceError(
            f"{where} compute in {one} and {other}, which would make a table of two kinds: give --precision float32"
        )


class Schedule:
    """Hands image sets to workers and their outcomes back in order.

    An image set that was with a worker when it was lost is a suspect: it is tried again, by itself, so that one that
    kills its workers takes no other with it for a second time.

    Parameters
    ----------
    image_sets : sequence of ImageSet
    memory : int
        Bytes of rows that may wait for those of an earlier image set.
    workers : int
        So many image sets may always be under way.
    """

    def __init__(self, image_sets: Sequence[ImageSet], memory: int, workers: int):
        self._new = deque(image_sets)
        self._suspects: deque[ImageSet] = deque()
        self._line: deque[ImageSet] = deque()
        self._outcomes: dict[int, Outcome] = {}
        self._losses: Counter[int] = Counter()
        self._memory = memory
        self._workers = workers
        self._largest = 0

    @property
    def finished(self) -> bool:
        """Everything was given back."""
        return not self._new and not self._line

    @property
    def has_suspects(self) -> bool:
        """There are suspects to be tried: workers take them before anything else, once they have nothing in hand."""
        return bool(self._suspects)

    def is_suspect(self, image_set: ImageSet) -> bool:
        """Whether a worker was lost with this image set in hand."""
        return self._losses[image_set.number] > 0

    def next(self) -> ImageSet | None:
        """The next image set that nobody had; None if there is none, or its rows might not fit."""
        fitting = max(self._memory // self._largest if self._largest else 8 * self._workers, self._workers)
        if not self._new or len(self._line) >= fitting:
            return None
        self._line.append(self._new.popleft())
        return self._line[-1]

    def next_suspect(self) -> ImageSet:
        """The next suspect."""
        return self._suspects.popleft()

    def put(self, image_set: ImageSet, outcome: Outcome) -> None:
        """Enter what became of an image set."""
        self._outcomes[image_set.number] = outcome
        if isinstance(outcome, ImageSetResult):
            self._largest = max(self._largest, outcome.measurement.features.nbytes)

    def lose(self, image_sets: Iterable[ImageSet], reason: str) -> None:
        """Enter that a worker was lost with these image sets in hand."""
        for image_set in image_sets:
            self._losses[image_set.number] += 1
            if self._losses[image_set.number] < ATTEMPTS:
                self._suspects.append(image_set)
            else:
                self.put(image_set, InputError(f"killed the worker {ATTEMPTS} times: {reason}"))

    def ready(self) -> Iterator[tuple[ImageSet, Outcome]]:
        """The image sets whose outcome is known and whose turn it is."""
        while self._line and self._line[0].number in self._outcomes:
            image_set = self._line.popleft()
            yield image_set, self._outcomes.pop(image_set.number)
