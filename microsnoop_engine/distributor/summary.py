"""Summarize a run: its rows, and the image sets that failed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import MicrosnoopError
from ..images.image_set import ImageSet
from ..tables.file_names import TABLE
from .job import Job
from .results import IMAGE_LIST


@dataclass(frozen=True)
class ImageSetFailure:
    """Name an image set that could not be measured, and why.

    Attributes
    ----------
    number : int
        ImageNumber.
    error : str
    file, channel : str
        Empty where the error concerns none.
    """

    number: int
    error: str
    file: str = ""
    channel: str = ""

    @classmethod
    def of(cls, image_set: ImageSet, error: MicrosnoopError) -> ImageSetFailure:
        """Take file and channel from an error of an image set."""
        return cls(image_set.number, str(error), getattr(error, "path", ""), getattr(error, "channel", ""))

    def __str__(self) -> str:
        origin = [f"file '{self.file}'" if self.file else "", f"channel '{self.channel}'" if self.channel else ""]
        return ", ".join(filter(None, [f"image set {self.number}", *origin])) + f": {self.error}"


@dataclass
class RunSummary:
    """Summarize a run.

    Attributes
    ----------
    folder : Path
        Results folder; of a shard, the shard's folder.
    job : Job
    dimension : int
        Features per channel.
    image_sets : int
        Number of image sets of the run or shard.
    images : dict of int to dict
        Measured image sets by number: ``rows``, ``unmeasured`` rows, and ``problems`` (number of crops that could not
        be measured, by channel and reason).
    failures : list of ImageSetFailure
    resumed : int
        Image sets that an earlier, stopped run had measured.
    crops : int
        Crops of single channels that this run embedded.
    csv : Path, optional
        The table as CSV, if it was written.
    """

    folder: Path = field(compare=False)
    job: Job
    dimension: int
    image_sets: int
    images: dict[int, dict[str, Any]]
    failures: list[ImageSetFailure] = field(default_factory=list)
    resumed: int = 0
    crops: int = 0
    csv: Path | None = field(default=None, compare=False)

    @property
    def table(self) -> Path:
        """The table, a Parquet data set."""
        return self.folder / TABLE

    @property
    def image_list(self) -> Path:
        """The CSV file with the status of every image set."""
        return self.folder / IMAGE_LIST

    @property
    def features(self) -> int:
        """Number of feature columns."""
        return self.dimension * len(self.job.channels)

    @property
    def rows(self) -> int:
        """Number of rows of the table."""
        return sum(image["rows"] for image in self.images.values())

    @property
    def empty(self) -> int:
        """Number of image sets without a row."""
        return sum(image["rows"] == 0 for image in self.images.values())

    @property
    def unmeasured(self) -> int:
        """Number of rows with NaN."""
        return sum(image["unmeasured"] for image in self.images.values())

    @property
    def problems(self) -> Counter[str]:
        """Number of crops that could not be measured, by channel and reason."""
        return sum((Counter(image["problems"]) for image in self.images.values()), Counter())
