"""Describe what an image file holds: one or more images, each with channels, colors, depths and times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

from numpy.typing import NDArray

COLORS = ("Red", "Green", "Blue")


class PlaneNumber(NamedTuple):
    """The place of a plane in an image of a file; all from 0."""

    channel: int = 0
    plane: int = 0
    time: int = 0


@dataclass(frozen=True)
class FileImage:
    """One image (series, scene, position) of a file.

    Attributes
    ----------
    channels : tuple of str
        Names of the channels, all different; ``C1``, ``C2``, .. where the file has none.
    colors : tuple of str
        Names of the samples of each pixel; empty if a pixel has one. Without alpha.
    depth : int
        Number of planes in depth.
    times : int
        Number of time points.
    labeled : bool
        False if the file does not say what its planes are: ``depth`` counts them.
    order : str
        Order of the planes in the file, the axis that changes fastest first, e.g. ``CZT``.
    pixel_size : float, optional
        Width of a pixel in micrometers.
    pixel_height : float, optional
        In micrometers; None where the file says one size alone, that of squares.
    name : str
        Name of the scene or position; may be empty.
    well : str
        Such as ``A01``; empty if the file does not say it.
    palette : bool
        True if the colors are those of a palette, which may show the numbers of a label image.
    """

    channels: tuple[str, ...] = ("C1",)
    colors: tuple[str, ...] = ()
    depth: int = 1
    times: int = 1
    labeled: bool = True
    order: str = "CZT"
    pixel_size: float | None = None
    pixel_height: float | None = None
    name: str = ""
    well: str = ""
    palette: bool = False

    def planes(self) -> list[PlaneNumber]:
        """Return all planes in the order of the file, the frames of CellProfiler."""
        lengths = {"C": len(self.channels), "Z": self.depth, "T": self.times}
        slowest_first = self.order[::-1]
        fields = {"C": "channel", "Z": "plane", "T": "time"}
        return [
            PlaneNumber(**{fields[axis]: n for axis, n in zip(slowest_first, numbers, strict=True)})
            for numbers in product(*(range(lengths[axis]) for axis in slowest_first))
        ]


class ImageFile:
    """An open image file; closed by leaving its context.

    Attributes
    ----------
    images : sequence of FileImage
        The images in the file; thumbnails and lower resolutions are left out.
    own : sequence of (int, PlaneNumber)
        If the file is one of several that hold the images: image and number of the planes that lie in it itself.
    homes : sequence of str
        If several images lie in several files: the name of the file with the first plane of each image; empty if it is
        this one.
    set_identity : str
        The same for all files that hold the images together; empty if this file holds them alone.
    """

    images: Sequence[FileImage] = ()
    own: Sequence[tuple[int, PlaneNumber]] = ()
    homes: Sequence[str] = ()
    set_identity: str = ""

    def __enter__(self) -> ImageFile:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""

    def read(self, image: int, number: PlaneNumber, intensities: bool) -> NDArray[Any]:
        """Read a plane.

        Parameters
        ----------
        image : int
            Of ``images``, from 0.
        number : PlaneNumber
        intensities : bool
            Invert the plane if the file shows its smallest value as white. False for labels, of which the numbers of a
            palette are read, not its colors.

        Returns
        -------
        array (h, w) or (colors, h, w)
            Upright, in the file's dtype.

        Raises
        ------
        ImageError
            If the file lacks the plane.
        """
        raise NotImplementedError


def distinct_names(names: Iterable[str]) -> tuple[str, ...]:
    """Return names for channels, all different.

    Parameters
    ----------
    names : iterable of str
        Names in a file; blank where there is none.

    Returns
    -------
    tuple of str
        A blank name becomes ``C`` and its number, from 1; names that are equal are numbered.

    Examples
    --------
    >>> distinct_names(["DAPI", "AF488", "AF488", ""])
    ('DAPI', 'AF488_1', 'AF488_2', 'C4')
    """
    cleaned = [name.strip() or f"C{n}" for n, name in enumerate(names, start=1)]
    counts, seen, taken = Counter(cleaned), Counter[str](), set(cleaned)
    result = []
    for name in cleaned:
        chosen = name
        while counts[name] > 1 and chosen in taken:
            seen[name] += 1
            chosen = f"{name}_{seen[name]}"
        taken.add(chosen)
        result.append(chosen)
    return tuple(result)
