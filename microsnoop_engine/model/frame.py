"""Define the square frame of pixels that the network sees, and the smaller sizes of crop that it computes by itself."""

from __future__ import annotations

SIZES = (48, 64, 80, 96, 128, 160, 224)
"""Heights and widths of crops in pixels for which a graph of its own pays; a crop is padded to the next larger one."""

FRAME = SIZES[-1]
"""Height and width of the frame in pixels (Xun et al. 2023, Methods); a smaller crop is surrounded by zeros."""
