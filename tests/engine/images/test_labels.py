"""Read label images, and refuse what holds no labels."""

import numpy as np
import pytest
from image_files import LABELS, RGB, write

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
    "of another size": (LABELS[:, :20], "labels are 20 x 40, but the image is 50 x 40 pixels"),
    "fractions": (LABELS / 2, "does not hold whole numbers: use a label image, not intensities"),
    "NaN": (np.where(LABELS > 4, np.nan, LABELS), "does not hold whole numbers"),
    "negative": (LABELS.astype(np.int16) - 3, r"labels run from -3 to 5: give 0 \(background\) to 2147483647"),
    "negative floats": (LABELS - 3.0, "labels run from -3 to 5"),
    "boolean": (LABELS > 4, "is a black-and-white mask: every object of a label image has its own number"),
    "black and white": ((LABELS > 4).astype(np.uint8) * 255, "labels are a black-and-white mask: every object"),
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


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (LABELS / 1, "labels are float64 of shape .*: give integers"),
        (LABELS > 4, "labels are bool of shape"),
        (LABELS[0], r"labels are uint16 of shape \(50,\)"),
        (LABELS[:, :20], "labels are 20 x 40, but the image is 50 x 40 pixels"),
        (LABELS - np.int32(3), "labels run from -3 to 5"),
        ((LABELS > 4).astype(np.uint8) * 255, "labels are a black-and-white mask"),
    ],
)
def test_bad_labels_of_an_array(labels, message):
    with pytest.raises(InputError, match=message):
        check_labels(labels, (40, 50))
