"""Read label images, and refuse what holds no labels."""

import numpy as np
import pytest
from image_files import LABELS, RGB, write
from scipy import ndimage

from microsnoop_engine.errors import ImageError, InputError
from microsnoop_engine.images.image_set import PlaneSource
from microsnoop_engine.images.labels import check_labels, read_labels


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int32, np.float32, np.float64])
def test_labels_of_every_type(tmp_path, kind):
    path = write(tmp_path / "a.tif", LABELS.astype(kind))
    labels = read_labels(PlaneSource(path), "Nuclei", (40, 50))
    assert labels.dtype.kind in "ui"
    assert np.array_equal(labels, LABELS)


def test_labels_without_objects(tmp_path):
    path = write(tmp_path / "a.tif", np.zeros((40, 50), np.uint8))
    assert not read_labels(PlaneSource(path), "Nuclei", (40, 50)).any()


BAD_LABELS = {
    "of another size": (LABELS[:, :20], "labels are 20 x 40, but the image is 50 x 40 pixels: .* of another image"),
    "transposed": (LABELS.T, "labels are 40 x 50, but the image is 50 x 40 pixels: they are transposed, swap"),
    "of half the size": (LABELS[::2, ::2], "labels are 25 x 20, but .*: resize them by the nearest neighbor"),
    "fractions": (LABELS / 2, "does not hold whole numbers: use a label image, not intensities or a resized one"),
    "NaN": (np.where(LABELS > 4, np.nan, LABELS), "does not hold whole numbers"),
    "negative": (LABELS.astype(np.int16) - 3, r"labels run from -3 to 5: give 0 \(background\) to 2147483647"),
    "negative floats": (LABELS - 3.0, "labels run from -3 to 5"),
    "boolean": (LABELS > 4, "is a black-and-white mask, in which no object has a number of its own: use a label image"),
    "black and white": ((LABELS > 4).astype(np.uint8) * 255, "labels are a black-and-white mask, in which no object"),
    "beyond 32 bits": (np.where(LABELS > 7, 2**31, LABELS.astype(np.int64)), "labels run from 0 to 2147483648"),
    "complex": (LABELS.astype(np.complex64), "holds complex64"),
    "colors": (RGB, "is a color picture"),
}


@pytest.mark.parametrize("kind", BAD_LABELS)
def test_bad_labels(tmp_path, kind):
    array, message = BAD_LABELS[kind]
    path = write(tmp_path / "a.tif", array)
    with pytest.raises(ImageError, match=message) as caught:
        read_labels(PlaneSource(path), "Nuclei", (40, 50))
    assert (caught.value.path, caught.value.channel) == (str(path), "Nuclei")


def test_labels_of_an_array_are_those_of_a_file():
    for labels in (LABELS, LABELS.astype(np.int32), LABELS[None], np.zeros((40, 50), np.uint8)):
        assert check_labels(labels, (40, 50)) is labels
    assert np.array_equal(check_labels([[0, 255]], (1, 2)), [[0, 255]])


def blobs(numbers, shape=(96, 128)):
    """Discs in a grid of 3 x 4, with these numbers."""
    y, x = np.indices(shape)
    centers = [(16 + 32 * (n // 4), 16 + 32 * (n % 4)) for n in range(12)]
    labels = np.zeros(shape, np.int32)
    for number, (cy, cx) in zip(numbers, centers, strict=False):
        labels[np.hypot(y - cy, x - cx) < 11] = number
    return labels


TWELVE = blobs(range(1, 13))
THREE_HUNDRED = np.kron(np.arange(1, 301).reshape(15, 20), np.pad(np.ones((6, 6), int), 2))
NO_OBJECTS = {
    "300 objects in 8 bits": (
        THREE_HUNDRED.astype(np.uint8),
        r"labels have 8 bits, all numbers up to 255 are used, and 44 of them twice \(such as 1\): .* with 16 bits",
    ),
    "0 and 1": ((TWELVE > 0).astype(np.uint8), r"mask, .* \(12 unconnected pieces are all 1\): use a label image"),
    "0 and 255": ((TWELVE > 0).astype(np.float32) * 255, "pieces are all 255"),
    "0 and 65535": ((TWELVE > 0).astype(np.uint16) * 65535, "pieces are all 65535"),
    "one blob of 255": (blobs([255]).astype(np.uint8), "labels are a black-and-white mask"),
    "inverted": ((TWELVE == 0).astype(np.uint8), "labels are a black-and-white mask"),
    "two classes": (blobs([1, 2] * 6), r"labels are classes, not objects: 2 of 2 numbers lie in unconnected places"),
    "four classes": (blobs([1, 2, 3, 4] * 3), "labels are classes, not objects: 4 of 4"),
    "a class of many and one of one object": (blobs([1] * 11 + [2]), "labels are classes, not objects: 1 of 2"),
    "background 1": (TWELVE + 1, "no pixel is 0, and 1 surrounds the others: set it to 0"),
    "classes and background 1": (blobs([1, 2] * 6) + 1, "no pixel is 0, and 1 surrounds the others"),
    "background 65535": (np.where(TWELVE, TWELVE, 65535), "no pixel is 0, and 65535 surrounds the others"),
    "bilinear": (
        np.rint(ndimage.zoom(TWELVE.astype(float), 1.7, order=1)).astype(int),
        "labels have in-between values",
    ),
    "bicubic": (
        np.rint(ndimage.zoom(10.0 * TWELVE, 0.6, order=3)).clip(0).astype(int),
        "labels have in-between values",
    ),
    "intensities": (np.random.default_rng(0).poisson(50 + 400 * (TWELVE > 0)), "labels have in-between values"),
}


@pytest.mark.parametrize("kind", NO_OBJECTS)
def test_numbers_that_are_no_objects(tmp_path, kind):
    """In the Python API as in files."""
    array, message = NO_OBJECTS[kind]
    if array.dtype.kind != "f":
        with pytest.raises(InputError, match=message):
            check_labels(array, array.shape)
    path = write(tmp_path / "a.tif", array if array.dtype.itemsize < 8 else array.astype(np.uint16))
    with pytest.raises(ImageError, match=message):
        read_labels(PlaneSource(path), "Nuclei", array.shape)


def test_jpeg_is_refused_by_its_name(tmp_path):
    path = write(tmp_path / "a.jpg", (20 * TWELVE).astype(np.uint8))
    with pytest.raises(ImageError, match="is JPEG, which changes numbers: save the label image as TIFF or PNG"):
        read_labels(PlaneSource(path), "Nuclei", TWELVE.shape)


OBJECTS = {
    "one object": np.ones((20, 30), np.uint8),
    "one object of any number": blobs([7]),
    "touching everywhere": np.kron(np.arange(1, 13).reshape(3, 4), np.ones((32, 32), int)),
    "nearest neighbor": ndimage.zoom(TWELVE, 0.37, order=0),
    "single pixels": np.kron(np.arange(1, 13).reshape(3, 4), np.pad([[1]], 2)),
    "a ring cut by another object": np.where(np.abs(np.arange(96) - 16) < 4, 5, blobs([1, 0, 3]).T).T,
}


@pytest.mark.parametrize("kind", OBJECTS)
def test_unusual_labels_are_kept(kind, caplog):
    labels = OBJECTS[kind]
    assert check_labels(labels, labels.shape) is labels
    assert not caplog.records


def test_stray_pixels_do_not_count(caplog):
    labels = TWELVE.copy()
    labels[95, 127], labels[0, 60:62], labels[94:, :2] = 1, 1, 5
    assert np.array_equal(check_labels(labels, labels.shape), TWELVE)
    assert "left out 7 stray pixels of 2 of 12 objects, such as 1: only the largest piece" in caplog.text


def test_a_number_of_two_cells_is_the_larger_one(caplog):
    labels = blobs([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 1])
    labels[:8] = 0
    expected = np.where(TWELVE == 12, 1, np.where(TWELVE == 1, 0, labels))
    assert np.array_equal(check_labels(labels, labels.shape), expected)
    assert "of 1 of 11 objects, such as 1" in caplog.text


@pytest.mark.parametrize(
    "mask",
    [
        TWELVE > 0,
        (TWELVE > 0).astype(np.uint8),
        (TWELVE > 0).astype(np.uint16) * 65535,
        np.where(TWELVE > 0, 2, 1).astype(np.uint8),
        blobs([1, 2] * 6).astype(np.uint8),
    ],
)
def test_mask_is_split(tmp_path, mask):
    path = write(tmp_path / "a.tif", mask, photometric="minisblack")
    assert np.array_equal(read_labels(PlaneSource(path, is_mask=True), "Nuclei", mask.shape) > 0, TWELVE > 0)
    assert read_labels(PlaneSource(path, is_mask=True), "Nuclei", mask.shape).max() == 12


def test_mask_in_jpeg_is_split(tmp_path):
    path = write(tmp_path / "a.jpg", (TWELVE > 0).astype(np.uint8) * 255)
    labels = read_labels(PlaneSource(path, is_mask=True), "Nuclei", TWELVE.shape)
    assert labels.max() == 12
    assert np.mean((labels > 0) == (TWELVE > 0)) > 0.99


def test_identity_of_a_mask_is_not_that_of_labels(tmp_path):
    assert PlaneSource(tmp_path / "a.tif", is_mask=True).key() != PlaneSource(tmp_path / "a.tif").key()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (LABELS / 1, "labels are float64 of shape .*: give integers"),
        (LABELS > 4, "labels are a black-and-white mask, in which"),
        (LABELS[0], r"labels are uint16 of shape \(50,\)"),
        (LABELS[:, :20], "labels are 20 x 40, but the image is 50 x 40 pixels"),
        (LABELS - np.int32(3), "labels run from -3 to 5"),
        ((LABELS > 4).astype(np.uint8) * 255, "labels are a black-and-white mask"),
    ],
)
def test_bad_labels_of_an_array(labels, message):
    with pytest.raises(InputError, match=message):
        check_labels(labels, (40, 50))
