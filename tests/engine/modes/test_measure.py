"""Images to embeddings: each crop's row is what the plain network says of its hand-made, normalized frame."""

import numpy as np
import pytest
import torch

from microsnoop_engine import CropSettings, Embedder, measure
from microsnoop_engine.errors import InputError
from microsnoop_engine.images.synthetic import render_field
from microsnoop_engine.modes.batcher import Batcher
from microsnoop_engine.modes.measure import Measurement, mean_of_rows, start_measurement
from microsnoop_engine.modes.regions import Regions, cell_regions, longer_sides, object_bounds, tile_regions

PLAIN = CropSettings(scale="none")


@pytest.fixture(scope="module")
def field():
    """Two channels (200, 230) of drawn cells and their true nuclei."""
    image, labels = render_field("control", 0.5, np.random.default_rng(0), (200, 230), 6)
    return image[:2], labels


@pytest.fixture(scope="module")
def measured(embedder, field):
    return measure(embedder, *field, PLAIN)


def hand_made_frame(pixels, pad_first=False):
    """A crop in the middle of a 224 x 224 frame of zeros; percentile 1 of the crop (the frame) is 0, 99 is 1."""
    frame = np.zeros((224, 224))
    top, left = (224 - pixels.shape[0]) // 2, (224 - pixels.shape[1]) // 2
    middle = slice(top, top + pixels.shape[0]), slice(left, left + pixels.shape[1])
    frame[middle] = pixels
    changed = slice(None) if pad_first else middle
    low, high = np.percentile(frame[changed], (1, 99))
    frame[changed] = (frame[changed] - low) / (high - low)
    return torch.tensor(frame, dtype=torch.float32)[None, None]


@pytest.mark.parametrize("normalize", ["crop-first", "pad-first"])
@torch.inference_mode()
def test_embedding_of_a_crop(model, embedder, field, normalize):
    image, labels = field
    boxes = cell_regions(labels).box
    measured = measure(embedder, image, labels, CropSettings(scale="none", normalize=normalize))
    assert measured.features.shape == (len(boxes), 512)
    assert measured.problems == []
    for row in (0, len(boxes) - 1):
        y0, x0, y1, x1 = boxes[row]
        for channel in (0, 1):
            frame = hand_made_frame(image[channel, y0:y1, x0:x1], normalize == "pad-first")
            expected = model.embed(frame)[0].numpy()
            assert np.abs(measured.features[row, channel * 256 : (channel + 1) * 256] - expected).max() < 1e-4


@torch.inference_mode()
def test_embedding_of_real_single_cells(model, embedder, real_crops):
    for crop in (real_crops[3], real_crops[20]):
        found = measure(embedder, crop, settings=CropSettings(scale="none", mode="single-cell"))
        assert np.abs(found.features[0] - model.embed(hand_made_frame(crop))[0].numpy()).max() < 1e-4


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_batch_size_does_not_matter(paper_weights, field, measured, batch_size):
    embedder = Embedder(paper_weights, device="cpu", precision="float32", batch_size=batch_size, threads=2)
    found = measure(embedder, *field, PLAIN)
    assert np.abs(found.features - measured.features).max() < 1e-5
    assert np.array_equal(found.regions.box, measured.regions.box)


def test_images_that_share_their_batches(embedder, field, measured):
    """Crops of several images in one batch land in the rows of their own image."""
    image, labels = field
    batcher = Batcher(embedder)
    flipped = (image[:, ::-1].copy(), labels[::-1].copy())
    both = [
        start_measurement(batcher, *pixels, CropSettings(scale="none"), 256, owner)
        for owner, pixels in {"a": (image, labels), "b": flipped}.items()
    ]
    assert sum(batcher.pending.values()) > 0
    batcher.flush()
    assert not any(batcher.pending.values())
    assert np.abs(both[0].features - measured.features).max() < 1e-5
    assert np.abs(both[1].features - measure(embedder, *flipped, PLAIN).features).max() < 1e-5


def test_one_channel_by_itself(embedder, field, measured):
    image, labels = field
    assert np.abs(measure(embedder, image[1], labels, PLAIN).features - measured.features[:, 256:]).max() < 1e-5


@pytest.mark.parametrize(
    "change", [lambda x: x * 3.0 + 0.0, lambda x: x.astype(np.float64), lambda x: x.astype(np.int32)]
)
def test_type_and_gain_do_not_matter(embedder, field, measured, change):
    image, labels = field
    assert np.abs(measure(embedder, change(image), labels, PLAIN).features - measured.features).max() < 1e-4


def test_crops_that_cannot_be_measured(embedder):
    """NaN in the row and channel concerned, with the reason; the other channels and rows are there."""
    rng = np.random.default_rng(1)
    image = rng.integers(1, 200, (3, 300, 300)).astype(np.float32)
    labels = np.zeros((300, 300), np.uint8)
    labels[20:50, 20:50], labels[200:240, 200:240], labels[130:134, 20:24] = 3, 7, 9
    image[1, :120, :120] = 5
    image[2, 210, 210] = np.nan
    found = measure(embedder, image, labels, CropSettings(scale="none", rescale_constant=1, normalize="pad-first"))
    assert [(p.object_number, p.channel, p.reason) for p in found.problems if p.object_number != 9] == [
        (3, 1, "constant"),
        (7, 2, "NaN or infinite pixels"),
    ]
    small = [(p.channel, p.reason) for p in found.problems if p.object_number == 9]
    assert [channel for channel, _ in small] == [0, 1, 2]
    assert all("covers less than 1 % of the frame" in reason for _, reason in small)
    missing = np.isnan(found.features).reshape(3, 3, 256)
    assert missing.all(2).tolist() == [[False, True, False], [False, False, True], [True, True, True]]
    assert np.array_equal(missing.all(2), missing.any(2))
    found = measure(embedder, image, labels, CropSettings(scale="none", rescale_constant=1))
    assert [(p.object_number, p.channel) for p in found.problems] == [(3, 1), (7, 2)]


def test_no_objects(embedder, field):
    image, labels = field
    found = measure(embedder, image, np.zeros_like(labels), CropSettings())
    assert (found.features.shape, len(found.regions), found.problems) == ((0, 512), 0, [])


def test_mean_of_tiles(embedder):
    image = np.random.default_rng(2).integers(0, 99, (2, 260, 230), np.uint8)
    settings = CropSettings(scale="none", mode="tile")
    tiles = measure(embedder, image, settings=settings, reduce=None)
    assert tiles.regions.box.tolist() == tile_regions((260, 230)).box.tolist()
    expected = [
        measure(embedder, image[:, y0:y1, x0:x1], settings=CropSettings(scale="none", mode="single-cell")).features[0]
        for y0, x0, y1, x1 in tile_regions((260, 230)).box
    ]
    assert tiles.features == pytest.approx(np.array(expected), abs=1e-5)
    mean = measure(embedder, image, settings=settings)
    assert mean.features.shape == (1, 512)
    assert mean.features[0] == pytest.approx(np.mean(expected, axis=0), abs=1e-5)
    assert mean.regions.box.tolist() == [[0, 0, 260, 230]]


def test_an_unknown_reduction_is_refused(embedder):
    with pytest.raises(InputError, match="`reduce` is 'median': it must be 'mean' or None"):
        measure(embedder, np.zeros((30, 30)), settings=CropSettings(scale="none", mode="tile"), reduce="median")


def test_mean_leaves_out_what_could_not_be_measured():
    box = np.array([[0, 0, 5, 5], [0, 3, 5, 8]], np.int32)
    regions = Regions(np.array([1, 2]), box, np.zeros((2, 2)), np.zeros(2, bool))
    features = np.array([[1, np.nan, np.nan], [3, 4, np.nan]], np.float32)
    with np.errstate(all="raise"):
        mean = mean_of_rows(Measurement(regions, features))
    assert np.array_equal(mean.features, [[2, 4, np.nan]], equal_nan=True)
    assert mean.regions.box.tolist() == [[0, 0, 5, 8]]


def test_scale(embedder, plain_weights, field, measured):
    """Twice the pixels at half the scale: the same objects in the same places, seen nearly the same."""
    image, labels = field
    large = image.repeat(2, 1).repeat(2, 2), labels.repeat(2, 0).repeat(2, 1)
    found = measure(embedder, *large, CropSettings(scale=0.5))
    assert found.regions.object_number.tolist() == measured.regions.object_number.tolist()
    assert np.abs(found.regions.box - measured.regions.box * 2).max() <= 1
    assert found.regions.center == pytest.approx(measured.regions.center * 2 + 0.5, abs=1e-3)
    for a, b in zip(found.features, measured.features, strict=True):
        assert a[:256] @ b[:256] > 0.9
    plain = Embedder(plain_weights, device="cpu", precision="float32", threads=2)
    found, expected = measure(plain, *large, CropSettings(scale=0.5)), measure(plain, *field, PLAIN)
    for a, b in zip(found.features, expected.features, strict=True):
        assert a[:256] @ b[:256] > 0.99


@pytest.mark.parametrize("scale", [0.01, 0.1, 0.37, 1.9])
@pytest.mark.parametrize("mode", ["cells", "tile"])
def test_regions_at_every_scale_lie_in_the_image(embedder, field, scale, mode):
    image, labels = field[0][:, :150, :160], field[1][:150, :160]
    found = measure(embedder, image, labels, CropSettings(mode=mode, scale=scale), reduce=None)
    box = found.regions.box
    assert (box[:, :2] >= 0).all()
    assert (box[:, :2] < box[:, 2:]).all()
    assert (box[:, 2:] <= (150, 160)).all()
    if mode == "cells":
        whole = cell_regions(labels)
        assert found.regions.object_number.tolist() == whole.object_number.tolist()
        assert found.regions.center == pytest.approx(whole.center, abs=1e-3)
    else:
        assert (box[:, 2:].max(0) == (150, 160)).all()


@pytest.mark.parametrize("mode", ["cells", "single-cell"])
def test_the_typical_diameter_is_the_median_of_the_image(embedder, field, mode):
    """And the box of a typical object fills what the network sees."""
    image, labels = field
    bounds = object_bounds(labels)[1]
    diameter = np.median(longer_sides(bounds)) if mode == "cells" else 230
    found = measure(embedder, image, labels, CropSettings(mode=mode))
    expected = measure(embedder, image, labels, CropSettings(mode=mode, diameter=diameter))
    assert np.array_equal(found.features, expected.features)
    if mode == "cells":
        same = measure(embedder, image, labels, CropSettings(scale=224 / (4 * diameter)))
        assert np.array_equal(found.features, same.features)


def test_objects_are_the_same_at_every_magnification(fast, field):
    """With the scale that fits by itself, and where every box fills the view."""
    image, labels = field
    large = image.repeat(2, 1).repeat(2, 2), labels.repeat(2, 0).repeat(2, 1)
    for settings in (CropSettings(), CropSettings(scale="each"), CropSettings(mask="object")):
        small, twice = measure(fast, image, labels, settings), measure(fast, *large, settings)
        cosine = (small.features.reshape(-1, 256) * twice.features.reshape(-1, 256)).sum(1)
        assert cosine.min() > 0.9
    unscaled = measure(fast, *large, PLAIN).features, measure(fast, image, labels, PLAIN).features
    assert (unscaled[0][:, :256] * unscaled[1][:, :256]).sum(1).mean() < 0.7


def test_zeros_that_count_need_a_frame_of_zeros(fast, field):
    with pytest.raises(InputError, match="`normalize` pad-first goes with weights that see crops in a frame of zeros"):
        measure(fast, *field, CropSettings(normalize="pad-first"))


def test_crop_of_a_part_of_a_pixel_is_not_empty(embedder):
    labels = np.zeros((20, 30), int)
    labels[7, 9], labels[11:13, 20:22] = 1, 2
    image = np.random.default_rng(4).random((1, 20, 30))
    found = measure(embedder, image, labels, CropSettings(scale=16, rescale_constant=0.1))
    assert found.regions.box.tolist() == [[7, 9, 8, 10], [12, 21, 13, 22]]


def test_an_object_of_one_pixel_keeps_its_row_with_the_reason(embedder):
    labels = np.zeros((400, 400), int)
    labels[100:300, 100:300], labels[350, 351] = 1, 2
    image = np.random.default_rng(3).random((1, 400, 400))
    found = measure(embedder, image, labels, CropSettings(scale=0.3, mask="object"))
    assert found.regions.object_number.tolist() == [1, 2]
    assert np.isfinite(found.features).all(1).tolist() == [True, False]
    assert found.problems[0].reason == "constant"


def test_progress_and_stopping(embedder, field):
    image, labels = field
    seen = []
    found = measure(embedder, image, labels, PLAIN, on_batch=lambda done, count: seen.append((done, count)))
    assert seen
    assert {count for _, count in seen} == {2 * len(found.features)}
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})

    def stop(done, count):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure(embedder, image, labels, PLAIN, on_batch=stop)


def test_stopping_leaves_the_network_free(fast):
    """The batch that was running has ended when the error comes: OpenVINO runs one at a time."""
    rng = np.random.default_rng(0)
    image = rng.random((1, 600, 600), dtype=np.float32)
    labels = np.kron(np.arange(1, 901).reshape(30, 30), np.ones((20, 20), int))

    def stop(done, count):
        raise KeyboardInterrupt

    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            measure(fast, image, labels, PLAIN, on_batch=stop)
        assert np.isfinite(measure(fast, image, np.where(labels == 435, 1, 0), PLAIN).features).all()


def test_cells_without_labels(embedder):
    with pytest.raises(InputError, match="`mode` 'cells' needs the objects"):
        measure(embedder, np.zeros((30, 30)))


def test_magnifications_stand_side_by_side(fast, field):
    """First all numbers of a channel at the first magnification."""
    settings = CropSettings(diameter=30, magnifications=(1.0, 1.75))
    both = measure(fast, *field, settings).features.reshape(-1, 2, 2, 256)
    once = measure(fast, *field, CropSettings(diameter=30)).features.reshape(-1, 2, 256)
    assert np.abs(both[:, :, 0] - once).max() < 1e-5
    inside = 4 * longer_sides(object_bounds(field[1])[1]) <= 224 / (1.75 * 128 / 120)
    larger = measure(fast, *field, CropSettings(diameter=30 / 1.75)).features.reshape(-1, 2, 256)
    assert inside.any()
    assert np.abs(both[inside, :, 1] - larger[inside]).max() < 1e-5
