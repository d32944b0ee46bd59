"""A share of a run, for job arrays: which image sets it measures, and where it writes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import InputError
from ..images.image_set import ImageSet

_NUMBERS = re.compile(r"(\d+)/(\d+)")
_FOLDER = re.compile(r"shard-(\d+)-of-(\d+)")


@dataclass(frozen=True)
class Shard:
    """The ``number``-th of ``count`` shares, from 1."""

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise InputError(f"shard {self}: give I/N with I from 1 to N, such as 3/10")

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @classmethod
    def parse(cls, text: str) -> Shard:
        """From ``3/10``; raises InputError for anything else."""
        match = _NUMBERS.fullmatch(text.strip())
        if match is None:
            raise InputError(f"shard '{text}': give I/N, such as 3/10")
        return cls(int(match[1]), int(match[2]))

    @classmethod
    def of_folder(cls, name: str) -> Shard | None:
        """From the name of a share's folder; None for any other name."""
        match = _FOLDER.fullmatch(name)
        return cls(int(match[1]), int(match[2])) if match else None

    @property
    def folder(self) -> str:
        """Name of the folder of its results.

        Examples
        --------
        >>> Shard(3, 10).folder
        'shard-0003-of-0010'
        """
        return f"shard-{self.number:04d}-of-{self.count:04d}"

    def of(self, image_sets: Sequence[ImageSet]) -> list[ImageSet]:
        """Its image sets: every ``count``-th, so that shares of a plate take about as long as each other."""
        return list(image_sets[self.number - 1 :: self.count])
