"""Real cells and fields for tests, from ``tests/data``; their sources and licenses are in the README there."""

from pathlib import Path

import imageio.v3 as imageio
import numpy as np

DATA = Path(__file__).resolve().parents[1] / "data"
FIELDS = {
    "bbbc013_A01": ("FKHR-GFP", "DNA"),
    "bbbc013_D05": ("FKHR-GFP", "DNA"),
    "bbbc013_A06": ("FKHR-GFP", "DNA"),
    "bbbc013_B12": ("FKHR-GFP", "DNA"),
    "bbbc039_A06": ("DNA",),
    "cpjump1_A01": ("DNA", "AGP", "RNA"),
}
"""Channels by field. Of BBBC013, A01 and D05 are whole wells (640, 640), A06 and B12 parts of one (140, 240)."""


def real_crops():
    """Read the crops of single cells.

    Returns
    -------
    list of array (64, 64)
        24 crops of one channel, uint8 or uint16, not normalized: nuclei and cells in fluorescence, phase contrast and
        brightfield, in the order of their file names.
    """
    return [imageio.imread(path) for path in sorted((DATA / "crops").glob("*.png"))]


def real_field(name):
    """Read a field with several cells.

    Parameters
    ----------
    name : str
        A key of ``FIELDS``.

    Returns
    -------
    array (channels, h, w), uint8 or uint16
        The channels in the order of ``FIELDS[name]``.
    """
    return np.stack([imageio.imread(DATA / "fields" / f"{name}_{channel}.png") for channel in FIELDS[name]])


def real_labels(name):
    """Read the nuclei of a field as this project's own segmentation found them in the DNA channel.

    Parameters
    ----------
    name : str
        "bbbc039_A06" or "cpjump1_A01".

    Returns
    -------
    array (h, w), uint8
        0 for background, 1 to the number of nuclei.
    """
    return imageio.imread(DATA / "fields" / f"{name}_Nuclei.png")
