"""Outlines lie in the planes of a stack that ImageJ gave them, in TIFF and in OME-Zarr."""

import numpy as np
import pytest
import tifffile

from microsnoop_engine.images.inputs import find_image_sets
from microsnoop_engine.images.labels import read_labels
from microsnoop_engine.images.selection import PlaneSelection

roifile = pytest.importorskip("roifile")
STACK = np.random.default_rng(0).integers(1, 4000, (2, 4, 2, 40, 60)).astype(np.uint16)
"""Time, depth, channel, row, column."""
DEPTHS = (1, 3, 3, 4)
"""Of the outlines, from 1; they are 4, 8, 12 and 16 pixels wide."""


def write(folder, kind):
    if kind == "zarr":
        pytest.importorskip("zarr", "3")
        from ome_zarr_trees import write_image

        path = write_image(folder / "a.zarr", [STACK.transpose(0, 2, 1, 3, 4)], "tczyx", names=("DNA", "ER"))
    else:
        path = folder / "a.ome.tif"
        tifffile.imwrite(path, STACK, metadata={"axes": "TZCYX", "Channel": {"Name": ["DNA", "ER"]}})
    rois = []
    for n, depth in enumerate(DEPTHS):
        side = 4 * (n + 1)
        corners = np.add([[0, 0], [side, 0], [side, side], [0, side]], (3 * n, 2))
        roi = roifile.ImagejRoi.frompoints(corners, name=f"r{n}")
        roi.c_position, roi.z_position, roi.t_position = 0, depth, 2
        rois.append(roi)
    roifile.roiwrite(folder / "a.zip", rois, mode="w")
    return path


def numbers(path, selection):
    (one,) = find_image_sets(path, rois=path.parent / "a.zip", selection=selection)
    (source,) = one.labels.values()
    return sorted(set(np.unique(read_labels(source, "Nuclei", (40, 60), tuple(one.channels.values())))) - {0})


@pytest.mark.parametrize("kind", ["tiff", "zarr"])
def test_outlines_of_the_plane_that_is_measured(tmp_path, kind):
    path = write(tmp_path, kind)
    assert numbers(path, PlaneSelection(plane="middle", time=1)) == [2, 3]
    assert numbers(path, PlaneSelection(plane=0, time=1)) == [1]
    assert numbers(path, PlaneSelection(plane=1, time=1)) == []
    assert numbers(path, PlaneSelection(project="max", time=1)) == [1, 2, 3, 4]
    assert numbers(path, PlaneSelection(plane="middle", time=0)) == []
