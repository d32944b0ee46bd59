"""Find image sets in folders of image files, with and without a pattern."""

import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile
from image_files import RNG, SMALL_PLANES, read, touch

from microsnoop_engine.errors import InputError
from microsnoop_engine.images.inputs import find_image_sets
from microsnoop_engine.images.planes import read_channels


def test_folder_with_a_pattern(tmp_path):
    touch(tmp_path, *[f"P{p}/A01_s{s}_{c}.tif" for p in (1, 2) for s in (1, 10) for c in ("DNA", "GFP")], "notes.tif")
    for pattern in ("{Plate}/{Well}_s{Site}_{Channel}.tif", "{Plate}\\{Well}_s{Site}_{Channel}.tif"):
        sets = find_image_sets(tmp_path, pattern)
        assert [s.number for s in sets] == [1, 2, 3, 4]
        assert [s.metadata for s in sets] == [
            {"Plate": p, "Well": "A01", "Site": site} for p in ("P1", "P2") for site in (1, 10)
        ]
        for s in sets:
            plate, site = s.metadata["Plate"], s.metadata["Site"]
            assert {name: source.path for name, source in s.channels.items()} == {
                name: tmp_path / plate / f"A01_s{site}_{name}.tif" for name in ("DNA", "GFP")
            }


def test_folder_without_a_pattern(tmp_path):
    touch(tmp_path, "b.tif", "a.tif", "treated/c.TIF", ".hidden/d.tif", "._a.tif")
    (tmp_path / "notes.txt").write_text("not an image")
    sets = find_image_sets(tmp_path)
    assert [s.metadata for s in sets] == [
        {"File": "a.tif"},
        {"File": "b.tif"},
        {"File": "c.TIF", "Folder": "treated"},
    ]
    assert np.array_equal(read(sets, ["Image"])[1][0], SMALL_PLANES[0])


def test_single_cells_in_a_folder_per_class(tmp_path):
    cells = RNG.integers(0, 255, (4, 3, 12, 9), np.uint8)
    for number, cell in enumerate(cells):
        (tmp_path / f"class{number % 2}").mkdir(exist_ok=True)
        imageio.imwrite(tmp_path / f"class{number % 2}" / f"{number}.png", np.moveaxis(cell, 0, -1))
    sets = find_image_sets(tmp_path)
    assert [s.metadata["Folder"] for s in sets] == ["class0", "class0", "class1", "class1"]
    assert np.array_equal(read(sets, ["Red", "Green", "Blue"]), cells[[0, 2, 1, 3]])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.ome.tif", {"metadata": {"axes": "CYX", "Channel": {"Name": ["DNA", "GFP"]}}}),
        ("a.tif", {"imagej": True, "metadata": {"axes": "CYX", "Labels": ["DNA", "GFP"]}}),
    ],
)
def test_file_of_several_channels(tmp_path, name, options):
    tifffile.imwrite(tmp_path / name, SMALL_PLANES[:2], **options)
    (image_set,) = find_image_sets(tmp_path / name)
    assert (image_set.number, image_set.metadata) == (1, {"File": name})
    assert np.array_equal(read_channels(image_set, ["GFP", "DNA"]), SMALL_PLANES[[1, 0]])


BAD_PATTERNS = {
    "without channel": (
        "{Well}.tif",
        r"`pattern` '{Well}.tif' has no {Channel}: put it where file names hold the channel",
    ),
    "name twice": ("{Well}/{Well}_{Channel}.tif", "'{Well}' must be a word of letters that occurs once"),
    "name with a blank": ("{the well}_{Channel}.tif", "'{the well}' must be a word"),
    "empty name": ("{}_{Channel}.tif", "'{}' must be a word"),
    "matches nothing": (
        "{Well}-{Channel}.tif",
        r"no file of .* fits the `pattern` .*; one of its files: 'A01_s1_DNA.tif'",
    ),
}


@pytest.mark.parametrize("kind", BAD_PATTERNS)
def test_bad_pattern(tmp_path, kind):
    pattern, message = BAD_PATTERNS[kind]
    touch(tmp_path, "A01_s1_DNA.tif", "A01_s1_GFP.tif")
    with pytest.raises(InputError, match=message):
        find_image_sets(tmp_path, pattern)
