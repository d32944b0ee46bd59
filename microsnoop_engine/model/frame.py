"""State the side of the square frame that the network sees, in pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass

SIZES = (48, 64, 80, 96, 128, 160, 224)
"""Sizes of crop for which a graph of its own pays, in pixels; a crop goes into the next larger one."""

FRAME = 224
