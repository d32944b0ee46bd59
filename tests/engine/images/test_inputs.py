"""Refuse inputs that cannot be used, and parameters that do not go with them."""

import numpy as np
import pytest
from image_files import touch

from microsnoop_engine.errors import MicrosnoopError
from microsnoop_engine.images.inputs import find_image_sets

BAD_INPUTS = {
    "nothing there": ("nothing", {}, "there is no file or folder '.*nothing'"),
    "unknown kind": ("notes.txt", {}, r"'.*notes.txt' is no input: use a LoadData .csv, a folder, an image"),
    "pattern with a file": ("A01.tif", {"pattern": "{Channel}.tif"}, "`pattern` goes with a folder, but '.*A01.tif'"),
    "empty folder": ("empty", {}, r"folder '.*empty' holds no images \(.tif, "),
    "folder of archives": ("archives", {}, "holds no images .*: name one of its .npz files"),
    "labels that are the image": ("A01.tif", {"labels": "A01.tif"}, "`labels`: '.*A01.tif' is the image itself"),
    "labels missing": ("A01.tif", {"labels": "gone"}, "`labels`: there is no file or folder '.*gone'"),
    "two label images": (
        "A01.tif",
        {"labels": "labels"},
        "`labels`: image set 1 has more than one label image: '.*A01_label.tif', '.*A01_mask.tif'",
    ),
    "one label image for two": (
        "plates",
        {"labels": "few", "pattern": "{Plate}/{Well}_{Channel}.tif"},
        "`labels`: '.*B01_Nuclei.tif' fits image set 1 as well as 2",
    ),
    "archive that is a text": ("text.npz", {}, "text.npz' is not a .npz file of plain arrays"),
    "damaged archive": ("cut.npz", {}, "cut.npz' is damaged"),
    "archive of objects": ("objects.npz", {}, "objects.npz' is not a .npz file of plain arrays"),
    "archive without images": (
        "other.npz",
        {},
        r"needs an array 'images' \(n, channels, height, width\); it holds x, y",
    ),
    "archive of one image": ("flat.npz", {}, "needs an array 'images'"),
    "archive of no images": ("none.npz", {}, r"holds no images: 'images' has shape \(0, 1, 4, 4\)"),
    "channels last": ("last.npz", {}, r"shape \(2, 40, 50, 3\), which looks like channels last: give \(n, channels"),
    "names for other channels": ("names.npz", {}, "'channels' names 3 channels, 'images' has 2"),
    "masks of another number": (
        "masks.npz",
        {},
        r"'masks' has shape \(3, 4, 4\), which does not go with 'images' \(2,",
    ),
}


@pytest.fixture(scope="module")
def bad_inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad")
    touch(folder, "A01.tif", "labels/A01_mask.tif", "labels/A01_label.tif")
    touch(folder, "plates/P1/B01_DNA.tif", "plates/P2/B01_DNA.tif", "few/P1/B01_Nuclei.tif")
    (folder / "notes.txt").write_text("notes")
    (folder / "text.npz").write_text("notes")
    (folder / "empty").mkdir()
    (folder / "archives").mkdir()
    images = np.zeros((2, 2, 4, 4))
    np.savez(folder / "archives/a.npz", images=images)
    (folder / "cut.npz").write_bytes((folder / "archives/a.npz").read_bytes()[:300])
    np.savez(folder / "objects.npz", images=images, well=np.array(["A1", None], object))
    np.savez(folder / "other.npz", x=images, y=images)
    np.savez(folder / "flat.npz", images=images[0, 0])
    np.savez(folder / "none.npz", images=np.zeros((0, 1, 4, 4)))
    np.savez(folder / "last.npz", images=np.zeros((2, 40, 50, 3)))
    np.savez(folder / "names.npz", images=images, channels=["a", "b", "c"])
    np.savez(folder / "masks.npz", images=images, masks=np.zeros((3, 4, 4), int))
    return folder


@pytest.mark.parametrize("kind", BAD_INPUTS)
def test_bad_input(bad_inputs, kind):
    name, options, message = BAD_INPUTS[kind]
    options = {key: bad_inputs / value if key == "labels" else value for key, value in options.items()}
    with pytest.raises(MicrosnoopError, match=message):
        find_image_sets(bad_inputs / name, **options)
