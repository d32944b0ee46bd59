"""Crops: where they are, against the paper's formula object by object, and what is in them."""

import math

import numpy as np
import pytest
from scipy import ndimage

from microsnoop_engine.errors import InputError
from microsnoop_engine.modes.crops import crops
from microsnoop_engine.modes.regions import cell_regions, regions_of, tile_regions, whole_region
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


def random_labels(seed, shape=(150, 170), count=25):
    """Connected blobs with gaps in their numbers, some at the border."""
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.normal(size=shape), 4)
    blobs, found = ndimage.label(noise > np.quantile(noise, 0.75))
    numbers = np.r_[0, rng.choice(np.arange(1, 10 * found + 1), found, replace=False)]
    return numbers[blobs]


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
    with pytest.raises(InputError, match="object 4 lies in several planes of the labels"):
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


@pytest.mark.parametrize("factor", [2, 4])
def test_regions_for_an_enlarged_image_are_those_of_enlarged_labels(factor):
    labels = random_labels(2, (60, 70))
    enlarged = labels.repeat(factor, 0).repeat(factor, 1)
    assert_regions(cell_regions(labels, 2.0, enlarged.shape), slow_regions(enlarged, 2.0))


@pytest.mark.parametrize("shape", [(3, 2), (1, 1), (15, 17), (149, 11)])
def test_no_object_is_lost_when_the_image_shrinks(shape):
    labels = random_labels(3)
    regions = cell_regions(labels, 0.1, shape)
    assert len(regions) == len(np.unique(labels)) - 1
    assert (regions.box[:, :2] < regions.box[:, 2:]).all()
    assert (regions.box[:, :2] >= 0).all()
    assert (regions.box[:, 2:] <= shape).all()


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
    kept = regions_of(labels.shape, labels, CropSettings(drop_border=True))
    inside = [row[0] for row in slow_regions(labels, 2.0) if not row[3]]
    assert kept.object_number.tolist() == inside
    assert len(regions_of(labels.shape, labels, CropSettings())) > len(inside) > 0


def test_cells_without_labels():
    with pytest.raises(InputError, match="mode 'cells' needs labels: give label images or a segmentation"):
        regions_of((30, 30), None, CropSettings())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode": "cell"}, "mode is 'cell': give one of cells, single-cell, tile, image"),
        ({"mask": "ring"}, "mask is 'ring': give one of box, object"),
        ({"normalize": "no"}, "normalize is 'no': give one of pad-then-normalize, normalize-then-pad"),
        ({"rescale_constant": 0.0}, r"rescale_constant is 0.0: give a number from 0.1 to 20.0"),
        ({"rescale_constant": math.nan}, "rescale_constant is nan"),
        ({"rescale_constant": "2"}, "rescale_constant is '2'"),
        ({"rescale_constant": True}, "rescale_constant is True"),
        ({"scale": -1}, "scale is -1: give a number from 0.01 to 16.0"),
        ({"scale": math.inf}, "scale is inf"),
        ({"resize": 40}, "resize is 40: give a whole number from 48 to 224"),
        ({"resize": True}, "resize is True"),
        ({"resize": 96.0}, "resize is 96.0"),
        ({"resize": 96, "mode": "tile"}, "resize goes with the modes cells and single-cell, not with 'tile'"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(InputError, match=message):
        CropSettings(**settings)


def normalized(frame):
    low, high = np.percentile(frame, (1, 99))
    return (frame - low) / (high - low)


def in_frame(window):
    frame = np.zeros((224, 224))
    start = (224 - len(window)) // 2
    frame[start : start + len(window), start : start + len(window)] = window
    return frame


@pytest.mark.parametrize("mask", ["box", "object"])
def test_crops_of_cells(mask):
    labels = random_labels(6)
    image = np.random.default_rng(6).integers(10, 4000, (2, *labels.shape), np.uint16)
    settings = CropSettings(mask=mask, rescale_constant=1.0, normalize="pad-then-normalize")
    regions = regions_of(labels.shape, labels, settings)
    found = list(crops(image, regions, settings, labels))
    assert [(c.row, c.channel) for c in found] == [(row, channel) for row in range(len(regions)) for channel in (0, 1)]
    measured = 0
    for crop in found:
        if crop.window is None:
            continue
        y0, x0, y1, x1 = regions.box[crop.row]
        pixels = image[crop.channel].astype(float)
        if mask == "object":
            pixels = np.where(labels == regions.object_number[crop.row], pixels, 0)
        frame = np.zeros((224, 224))
        top, left = (224 - (y1 - y0)) // 2, (224 - (x1 - x0)) // 2
        frame[top : top + y1 - y0, left : left + x1 - x0] = pixels[y0:y1, x0:x1]
        assert np.abs(in_frame(crop.window) - normalized(frame)).max() < 1e-5
        measured += 1
    assert measured > 5


def test_small_masked_objects_are_measured_unless_their_padding_is_to_count():
    labels = np.zeros((200, 200), np.int32)
    labels[90:102, 90:102] = 1
    image = np.random.default_rng(9).integers(100, 200, (1, 200, 200), np.uint8)

    def crop(**settings):
        settings = CropSettings(mask="object", **settings)
        return next(crops(image, regions_of((200, 200), labels, settings), settings, labels))

    assert "less than 1 % of the frame" in crop(normalize="pad-then-normalize").problem
    window = crop().window
    assert np.array_equal(window, crop(normalize="normalize-then-pad").window)
    inside = image[0, 90:102, 90:102].astype(float)
    box = np.zeros((48, 48))
    box[18:30, 18:30] = inside
    low, high = np.percentile(box, (1, 99))
    np.testing.assert_allclose(in_frame(window)[106:118, 106:118], (inside - low) / (high - low), atol=1e-6)


def test_mask_object_sees_every_plane():
    labels = np.zeros((2, 60, 60), np.int32)
    labels[0, 10:40, 10:40], labels[1, 20:50, 20:50] = 1, 2
    image = np.random.default_rng(7).integers(1, 200, (1, 60, 60), np.uint8)
    settings = CropSettings(mask="object", rescale_constant=0.5)
    found = list(crops(image, regions_of((60, 60), labels, settings), settings, labels))
    # each object fills its own box, so that the mask must not take anything away
    plain = CropSettings(rescale_constant=0.5, normalize="normalize-then-pad")
    unmasked = list(crops(image, regions_of((60, 60), labels, plain), plain, labels))
    assert all(np.array_equal(a.window, b.window) for a, b in zip(found, unmasked, strict=True))


def test_crops_leave_the_image_alone():
    labels = random_labels(8)
    image = np.random.default_rng(8).random((1, *labels.shape), np.float32)
    before = image.copy()
    settings = CropSettings(mask="object")
    list(crops(image, regions_of(labels.shape, labels, settings), settings, labels))
    assert np.array_equal(image, before)


@pytest.mark.parametrize(
    ("mode", "shape", "windows"),
    [
        ("single-cell", (64, 64), [64]),
        ("single-cell", (50, 70), [80]),
        ("single-cell", (300, 400), [224]),
        ("image", (64, 64), [224]),
        ("image", (500, 300), [224]),
        ("tile", (300, 400), [224] * 4),
        ("tile", (100, 90), [128]),
    ],
)
def test_windows_of_each_mode(mode, shape, windows):
    image = np.random.default_rng(9).random((1, *shape), np.float32)
    settings = CropSettings(mode=mode)
    found = list(crops(image, regions_of(shape, None, settings), settings))
    assert [len(crop.window) for crop in found] == windows


def crops_of(image, labels, **settings):
    settings = CropSettings(rescale_constant=1.0, **settings)
    return [crop.window for crop in crops(image, regions_of(labels.shape, labels, settings), settings, labels)]


@pytest.mark.parametrize("mask", ["box", "object"])
def test_resized_crops_are_the_same_at_every_magnification(mask):
    labels = np.zeros((120, 150), np.int32)
    labels[20:60, 30:70], labels[90:120, 80:120] = 1, 2
    rows, columns = np.mgrid[:120, :150]
    image = (2 + np.sin(rows / 9) + np.cos(columns / 7)).astype(np.float32)[None]
    twice = np.kron(image, np.ones((1, 2, 2), np.float32)), np.kron(labels, np.ones((2, 2), np.int32))
    once = crops_of(image, labels, mask=mask, resize=128)
    for small, large in zip(once, crops_of(*twice, mask=mask, resize=128), strict=True):
        assert small.shape == large.shape == (128, 128)
        assert np.abs(small - large).max() < 0.15  # half a pixel of the smaller one
        assert np.corrcoef(small.ravel(), large.ravel())[0, 1] > 0.998
    assert not np.allclose(once[0], once[1])


def test_crops_that_have_the_size_are_not_changed_by_resizing():
    labels = np.zeros((200, 200), np.int32)
    labels[60:108, 70:118] = 1
    image = np.random.default_rng(1).random((1, 200, 200), np.float32)
    assert np.array_equal(crops_of(image, labels, resize=96)[0], crops_of(image, labels)[0])


def test_a_crop_at_the_edge_keeps_its_shape_when_it_is_resized():
    labels = np.zeros((40, 100), np.int32)
    labels[10:30, 40:60] = 1
    image = np.random.default_rng(2).uniform(1, 2, (1, 40, 100)).astype(np.float32)
    settings = CropSettings(rescale_constant=2.0, resize=160, normalize="normalize-then-pad")
    (crop,) = crops(image, regions_of(labels.shape, labels, settings), settings, labels)
    filled = crop.window != 0
    assert filled.any(1).sum() == pytest.approx(80, abs=1)
    assert filled.any(0).sum() == 160
