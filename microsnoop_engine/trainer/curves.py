"""Draw curves as an SVG picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

import numpy as np

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 60, 20, 30, 50
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
"""Okabe and Ito's, which the color-blind can tell apart."""


def draw_curves(x: Sequence[float], curves: Mapping[str, Sequence[float]], x_title: str, y_title: str) -> str:
    """Draw up to four curves with their names, and a scale from the smallest to the largest value.

    Parameters
    ----------
    x : sequence of float
        Positions of the points.
    curves : mapping of str to sequence of float
        Values at these positions, by name.
    x_title, y_title : str

    Returns
    -------
    str
        The SVG document.
    """
    values = np.concatenate([np.asarray(curve, float) for curve in curves.values()])
    low = np.floor(values.min())
    high = max(np.ceil(values.max()), low + 1)
    end = max(*x, 1)

    def place(position: float, value: float) -> tuple[float, float]:
        return (
            LEFT + (WIDTH - LEFT - RIGHT) * position / end,
            HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - low) / (high - low),
        )

    parts = []
    for share in np.linspace(0, 1, 5):
        value, position = low + share * (high - low), share * end
        (_, y), (left, _) = place(0, value), place(position, low)
        parts += [
            f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>',
            f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.4g}</text>',
            f'<text x="{left:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{position:,.0f}</text>',
        ]
    for n, ((name, curve), color) in enumerate(zip(curves.items(), COLORS, strict=False)):
        points = [place(position, value) for position, value in zip(x, curve, strict=True)]
        line = " ".join(f"{left:.1f},{y:.1f}" for left, y in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="2"/>')
        parts += [f'<circle cx="{left:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>' for left, y in points]
        parts.append(f'<text x="{LEFT + 130 * n}" y="18" fill="{color}" font-weight="bold">{escape(name)}</text>')
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts += [
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 10}" text-anchor="middle">{escape(x_title)}</text>',
        f'<text transform="translate(16 {middle}) rotate(-90)" text-anchor="middle">{escape(y_title)}</text>',
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="12"><rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>{"".join(parts)}</svg>\n'
    )
