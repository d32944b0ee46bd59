"""Regions: where crops are, against the paper's formula object by object."""

import math

import numpy as np
import pytest
from label_images import random_labels

from microsnoop_engine.errors import InputError
from microsnoop_engine.model.frame import PAPER, Frame
from microsnoop_engine.modes.regions import cell_regions, regions_of, resized_shapes, tile_regions, whole_region
from microsnoop_engine.modes.settings import CropSettings


def slow_regions(labels, constant):
    """Box, centroid and border flag of each object, one at a time, from the paper's formula.

    Rs = min(max(w, h) * Rc, 112) around the middle of the object's box, rounded to at least one pixel, clipped.
    """
    planes = labels.reshape(-1, *labels.shape[-2:])
    height, width = planes.shape[1:]
    rows = []
    for number in sorted(set(planes.ravel().tolist()) - {0}):
        y, x = np.nonzero((planes == number).any(0))
        y0, y1, x0, x1 = y.min(), y.max() + 1, x.min(), x.max() + 1
        side = max(round(2 * min(max(y1 - y0, x1 - x0) * constant, 112)), 1)
        top, left = (math.floor((a + b) / 2 - side / 2 + 0.5) for a, b in ((y0, y1), (x0, x1)))
        box = (max(top, 0), max(left, 0), min(top + side, height), min(left + side, width))
        border = y0 == 0 or x0 == 0 or y1 == height or x1 == width
        rows.append((number, box, (y.mean(), x.mean()), border))
    return rows


def assert_regions(regions, rows):
    assert regions.object_number.tolist() == [row[0] for row in rows]
    assert [tuple(box) for box in regions.box.tolist()] == [row[1] for row in rows]
    assert regions.center == pytest.approx(np.array([row[2] for row in rows]).reshape(-1, 2), abs=1e-4)
    assert regions.border.tolist() == [row[3] for row in rows]


@pytest.mark.parametrize("constant", [0.1, 0.6, 1.0, 2.0, 2.5, 20])
@pytest.mark.parametrize("seed", range(4))
def test_cell_regions(seed, constant):
    labels = random_labels(seed)
    rows = slow_regions(labels, constant)
    assert len(rows) > 5
    assert any(row[3] for row in rows)
    assert_regions(cell_regions(labels, constant), rows)


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64])
def test_cell_regions_of_every_integer_type(kind):
    labels = (random_labels(0) % 251).astype(kind)
    assert_regions(cell_regions(labels), slow_regions(labels, 2.0))


def test_huge_label_numbers():
    labels = random_labels(1).astype(np.int64)
    labels[labels > 0] += 2**31 - 1 - labels.max()
    assert_regions(cell_regions(labels), slow_regions(labels, 2.0))


def test_image_without_background():
    labels = np.full((9, 8), 2**30)
    labels[:, 4:] = 7
    assert_regions(cell_regions(labels), slow_regions(labels, 2.0))
    assert_regions(cell_regions(labels % 16 + 1), slow_regions(labels % 16 + 1, 2.0))


def test_objects_in_several_pieces_are_one():
    labels = np.zeros((60, 60), int)
    labels[5:9, 5:9] = labels[40:44, 30:33] = 3
    assert_regions(cell_regions(labels, 0.6), slow_regions(labels, 0.6))


def test_overlapping_planes():
    labels = np.zeros((3, 80, 90), np.int32)
    labels[0, 10:30, 10:30], labels[1, 20:45, 20:41], labels[0, 50:60, 70:90] = 5, 2, 9
    rows = slow_regions(labels, 2.0)
    assert [row[0] for row in rows] == [2, 5, 9]
    assert_regions(cell_regions(labels), rows)


def test_an_object_in_two_planes_is_refused():
    labels = np.zeros((2, 30, 30), np.int32)
    labels[:, 3:9, 3:9] = 4
    with pytest.raises(InputError, match="`labels`: object 4 lies in several planes"):
        cell_regions(labels)


@pytest.mark.parametrize("labels", [np.zeros((20, 30), np.uint16), np.zeros((2, 20, 30), np.int64)])
def test_no_objects(labels):
    regions = cell_regions(labels)
    assert len(regions) == 0
    assert (regions.box.shape, regions.center.shape, regions.border.shape) == ((0, 4), (0, 2), (0,))


@pytest.mark.parametrize("y", [0, 1, 28, 29])
def test_border_flag_means_every_edge(y):
    """The reference drops left and top only; an object one pixel inside is whole."""
    labels = np.zeros((30, 50), int)
    labels[y, 20] = 1
    assert cell_regions(labels).border.tolist() == [y in (0, 29)]
    assert cell_regions(labels.T).border.tolist() == [y in (0, 29)]


def test_box_takes_in_its_last_row_and_column():
    """An object of 10 pixels with Rc 0.5 is its own crop: half-open, nothing cut off."""
    labels = np.zeros((40, 40), int)
    labels[12:22, 7:17] = 1
    assert cell_regions(labels, 0.5).box.tolist() == [[12, 7, 22, 17]]


def regions_of_one(side, settings, frame=PAPER):
    labels = np.zeros((2000, 2000), np.int32)
    labels[900 : 900 + side, 900 : 900 + side // 2] = 1
    regions = regions_of(labels.shape, labels, settings, frame)
    return regions, resized_shapes(regions, settings, frame)[0].tolist()


@pytest.mark.parametrize(
    ("side", "settings", "box", "shape"),
    [
        (20, {"scale": "none"}, 80, 80),
        (100, {"scale": "none"}, 224, 224),
        (20, {"scale": 2}, 80, 160),
        (100, {"scale": 0.5}, 400, 200),
        (100, {"scale": 2}, 112, 224),
        (20, {"scale": "each"}, 80, 160),
        (300, {"scale": "each"}, 1200, 160),
        (20, {"diameter": 20}, 80, 160),
        (30, {"diameter": 20}, 112, 224),
        (10, {"diameter": 20}, 40, 80),
        (20, {"diameter": 20, "rescale_constant": 0.6}, 24, 160),
    ],
)
def test_box_and_shape_of_an_object_at_every_scale(side, settings, box, shape):
    """For a network that sees crops of 160 pixels by themselves."""
    regions, resized = regions_of_one(side, CropSettings(**settings), Frame(160, zeros=False))
    y0, x0, y1, x1 = regions.box[0]
    assert (y1 - y0, x1 - x0) == (box, box)
    assert resized == [shape, shape]


def test_a_diameter_for_tiles():
    """Tiles of a coarse image are small and enlarged."""
    settings, frame = CropSettings(mode="tile", diameter=20), Frame(160, zeros=False)
    regions = regions_of((300, 300), None, settings, frame)
    assert (regions.box[:, 2:] - regions.box[:, :2]).tolist() == [[112, 112]] * 9
    assert resized_shapes(regions, settings, frame).tolist() == [[224, 224]] * 9


def test_single_cells_and_images():
    frame, region = Frame(160, zeros=False), whole_region((90, 60))

    def shape(**settings):
        return resized_shapes(region, CropSettings(**settings), frame)[0].tolist()

    assert shape(mode="image") == [224, 149]
    assert shape(mode="single-cell", scale="each") == [160, 107]
    assert shape(mode="single-cell", scale="none") == [90, 60]
    assert shape(mode="single-cell", diameter=45) == [224, 149]
    assert shape(mode="single-cell", diameter=90) == [160, 107]
    assert resized_shapes(whole_region((500, 250)), CropSettings(mode="single-cell", scale="none"), frame).tolist() == [
        [224, 112]
    ]


@pytest.mark.parametrize("overlap", [0.1, 0.25, 0.5])
@pytest.mark.parametrize("size", [16, 224])
def test_tiles_cover_and_overlap(size, overlap):
    for length in range(1, 5 * size):
        box = tile_regions((length, size), size, overlap).box
        starts, ends = box[:, 0], box[:, 2]
        assert (starts[0], ends[-1]) == (0, length)
        assert (ends - starts == min(size, length)).all()
        assert (ends[:-1] - starts[1:] >= overlap * size).all()
        # as few as can be, evenly spaced
        step = math.floor(size * (1 - overlap))
        assert len(box) == (1 if length <= size else math.ceil((length - size) / step) + 1)
        if len(box) > 1:
            assert np.ptp(np.diff(starts)) <= 1


def test_tiles_are_numbered_row_after_row():
    regions = tile_regions((300, 500))
    assert regions.object_number.tolist() == [1, 2, 3, 4, 5, 6]
    assert regions.box[:3, 0].tolist() == [0, 0, 0]
    assert regions.box[:3, 1].tolist() == [0, 138, 276]
    assert regions.center[0].tolist() == [111.5, 111.5]
    assert not regions.border.any()


def test_whole_region():
    regions = whole_region((30, 41))
    assert regions.box.tolist() == [[0, 0, 30, 41]]
    assert regions.center.tolist() == [[14.5, 20]]


def test_drop_border():
    labels = random_labels(5)
    kept = regions_of(labels.shape, labels, CropSettings(scale="none", drop_border=True))
    inside = [row[0] for row in slow_regions(labels, 2.0) if not row[3]]
    assert kept.object_number.tolist() == inside
    assert len(regions_of(labels.shape, labels, CropSettings(scale="none"))) > len(inside) > 0


def test_cells_without_labels():
    with pytest.raises(InputError, match="`mode` 'cells' needs the objects: pass label images or choose a"):
        regions_of((30, 30), None, CropSettings(scale="none"))
