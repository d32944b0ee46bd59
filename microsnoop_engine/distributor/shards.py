"""Split the image sets of a run into shards for job arrays."""

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
    """Select one of ``count`` shards of a run.

    Parameters
    ----------
    number, count : int
        From 1 to ``count``.

    Raises
    ------
    InputError
        If there is no such shard.
    """

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise InputError(f"shard '{self}' must be I/N with I from 1 to N, such as 3/10")

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Parse ``I/N``.

        Parameters
        ----------
        text : str
            Such as ``3/10``.

        Returns
        -------
        Shard

        Raises
        ------
        InputError
            If the text is anything else.
        """
        match = _NUMBERS.fullmatch(text.strip())
        if match is None:
            raise InputError(f"shard '{text}' must be I/N, such as 3/10")
        return cls(int(match[1]), int(match[2]))

    @classmethod
    def of_folder(cls, name: str) -> Shard | None:
        """Parse the name of a shard's folder; None for any other name."""
        match = _FOLDER.fullmatch(name)
        return cls(int(match[1]), int(match[2])) if match else None

    @property
    def folder(self) -> str:
        """Name of its results folder.

        Examples
        --------
        >>> Shard(3, 10).folder
        'shard-0003-of-0010'
        """
        return f"shard-{self.number:04d}-of-{self.count:04d}"

    def of(self, image_sets: Sequence[ImageSet]) -> list[ImageSet]:
        """Take every ``count``-th image set, so that the shards of a plate take about the same time.

        Parameters
        ----------
        image_sets : sequence of ImageSet
            Of the whole run.

        Returns
        -------
        list of ImageSet
        """
        return list(image_sets[self.number - 1 :: self.count])
