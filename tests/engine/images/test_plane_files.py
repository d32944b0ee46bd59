"""Planes and time points in files of their own: a projection is one, and no plane stands for a stack."""

import numpy as np
import pytest
import tifffile
from image_files import RNG
from instruments import phenix_index, phenix_name

from microsnoop_engine.distributor.keys import image_set_keys
from microsnoop_engine.errors import ImageError, InputError
from microsnoop_engine.images.image_set_file import read_image_sets, write_image_sets
from microsnoop_engine.images.inputs import find_image_sets
from microsnoop_engine.images.load_data_file import write_load_data
from microsnoop_engine.images.planes import read_channels
from microsnoop_engine.images.projection import focus_objects
from microsnoop_engine.images.selection import PlaneSelection

STACK = RNG.integers(0, 60000, (2, 2, 12, 2, 20, 30), np.uint16)
"""Site, time, depth, channel, row, column; the depths run over 9."""
PATTERN = "{Well}_s{Site}_t{Time}_z{Plane}_{Channel}.tif"
CHANNELS = ["DNA", "ER"]


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for site, time, depth, channel in np.ndindex(STACK.shape[:4]):
        name = f"A01_s{site + 1}_t{time + 1}_z{depth + 1}_{CHANNELS[channel]}.tif"
        tifffile.imwrite(folder / name, STACK[site, time, depth, channel])
    return folder


def pixels(image_set, labels=None):
    return read_channels(image_set, CHANNELS, labels)


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ({"project": "max"}, STACK.max(2)),
        ({"project": "mean"}, STACK.astype(float).mean(2)),
        ({"plane": 9}, STACK[:, :, 9]),
        ({"plane": "middle"}, STACK[:, :, 6]),
    ],
)
def test_depths(folder, selection, expected):
    sets = find_image_sets(folder, PATTERN, selection=PlaneSelection(**selection))
    assert [(s.number, s.metadata["Site"], s.metadata["Time"]) for s in sets] == [
        (1, 1, 1),
        (2, 1, 2),
        (3, 2, 1),
        (4, 2, 2),
    ]
    assert ("Plane" in sets[0].metadata) == ("plane" in selection)
    for image_set in sets:
        site, time = image_set.metadata["Site"] - 1, image_set.metadata["Time"] - 1
        assert np.allclose(pixels(image_set), expected[site, time], rtol=1e-12)


def test_times(folder):
    sets = find_image_sets(folder, PATTERN, selection=PlaneSelection(project="max", time=1))
    assert [s.metadata for s in sets] == [{"Well": "A01", "Site": n, "Time": 2} for n in (1, 2)]
    assert np.array_equal(np.stack([pixels(s) for s in sets]), STACK[:, 1].max(1))
    assert len(find_image_sets(folder, PATTERN, selection=PlaneSelection(plane="all", time="all"))) == 48
    assert len(find_image_sets(folder, PATTERN, selection=PlaneSelection(plane="all", time=0))) == 24
    with pytest.raises(InputError, match="`plane` is 12, but Well A01, Site 1, Time 1 has planes 0 to 11"):
        find_image_sets(folder, PATTERN, selection=PlaneSelection(plane=12))


def test_focus_of_each_object(folder):
    labels = np.zeros((20, 30), np.int32)
    labels[2:9, 2:9], labels[10:18, 12:28] = 1, 2
    first = find_image_sets(folder, PATTERN, selection=PlaneSelection(project="focus-object"))[0]
    for channel in range(2):
        assert np.array_equal(pixels(first, labels)[channel], focus_objects(STACK[0, 0, :, channel], labels))


def test_planes_of_an_instrument(tmp_path):
    records = []
    for plane in range(3):
        # transmitted light is taken in one plane, as a rule
        for channel in (1, 2) if plane == 1 else (1,):
            name = phenix_name(1, 1, 1, plane + 1, channel)
            tifffile.imwrite(tmp_path / name, STACK[0, 0, plane, channel - 1])
            records.append((name, 1, 1, 1, plane + 1, channel))
    phenix_index(tmp_path / "Index.idx.xml", records, {1: "DNA", 2: "ER"})
    (image_set,) = find_image_sets(tmp_path, selection=PlaneSelection(project="max"))
    assert np.array_equal(pixels(image_set), [STACK[0, 0, :3, 0].max(0), STACK[0, 0, 1, 1]])


def test_a_lost_plane_is_told(folder, caplog):
    (folder / "A01_s2_t1_z7_ER.tif").unlink()
    sets = find_image_sets(folder, PATTERN, selection=PlaneSelection(project="max"))
    expected = (
        "1 of 4 image sets have fewer planes in depth than others, such as 11 instead of 12 of ER in Well A01, Site 2"
    )
    assert expected in caplog.text
    # one that is lost later, or of another size, is an error
    (folder / "A01_s1_t1_z3_DNA.tif").unlink()
    with pytest.raises(ImageError, match="there is no such file") as error:
        pixels(sets[0])
    assert error.value.path == str(folder / "A01_s1_t1_z3_DNA.tif")
    tifffile.imwrite(folder / "A01_s1_t1_z3_DNA.tif", STACK[0, 0, 0, 0, :10])
    with pytest.raises(ImageError, match="is 30 x 10, but the first plane in depth is 30 x 20"):
        pixels(sets[0])


def test_a_projection_depends_on_all_of_its_files(folder, tmp_path):
    sets = find_image_sets(folder, PATTERN, selection=PlaneSelection(project="max"))
    before = image_set_keys(sets, {})
    tifffile.imwrite(folder / "A01_s1_t1_z5_ER.tif", STACK[0, 0, 0, 0], compression="zlib")
    after = image_set_keys(sets, {})
    assert [number for number in before if before[number] != after[number]] == [1]
    write_image_sets(tmp_path, sets, CHANNELS)
    again, _ = read_image_sets(tmp_path)
    assert np.array_equal(pixels(again[2]), STACK[0, 1].max(0))
    with pytest.raises(InputError, match="is a stack: a LoadData CSV holds no depth"):
        write_load_data(tmp_path / "a.csv", sets)


@pytest.mark.parametrize("pattern", [None, "{Well}_s{Site}_t{Time}_{Focus}_{Channel}.tif"])
def test_nothing_to_project_is_told(folder, caplog, pattern):
    find_image_sets(folder, pattern, selection=PlaneSelection(project="max"))
    assert "`project` changes nothing: '" in caplog.text
    assert "name their numbers by `pattern` with {Plane}" in caplog.text
    caplog.clear()
    find_image_sets(folder, PATTERN, selection=PlaneSelection(project="max"))
    assert "changes nothing" not in caplog.text
