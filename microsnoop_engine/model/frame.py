"""Define how weights see a crop: its size, and what lies around it."""

from __future__ import annotations

from dataclasses import dataclass

LARGEST = 224
"""Height and width of the largest crop in pixels; that of the frame in Xun et al. 2023, Methods."""

SIZES = (48, 64, 80, 96, 128, 160, LARGEST)
"""Sizes of windows for which a graph of its own pays, where a crop lies in a frame of zeros."""

CROP_SIZES = (64, 96, 128, 160, 192, LARGEST)
"""Sizes of windows where the network sees the crop itself: multiples of what the networks reduce to one pixel."""

FRAMES = ("zeros", "crop")


@dataclass(frozen=True)
class Frame:
    """Describe what a network sees of a crop.

    Attributes
    ----------
    size : int
        Height and width in pixels that a crop is best resized to.
    zeros : bool
        Whether the crop lies in the middle of a frame of ``size`` pixels of zeros (Xun et al. 2023, Methods), or is
        seen by itself, in the smallest window that holds it.
    """

    size: int = LARGEST
    zeros: bool = True

    @property
    def sizes(self) -> tuple[int, ...]:
        """Heights and widths of windows in pixels."""
        return SIZES if self.zeros else CROP_SIZES

    def window(self, side: int) -> int:
        """Return the size of the smallest window that holds a crop.

        Parameters
        ----------
        side : int
            The crop's longer side in pixels, at most 224.

        Returns
        -------
        int

        Examples
        --------
        >>> Frame().window(90), Frame(128, zeros=False).window(70)
        (96, 96)
        """
        return next(size for size in self.sizes if size >= side)


PAPER = Frame()
"""The frame of Xun et al. 2023."""
