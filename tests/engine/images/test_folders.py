"""Find image sets in folders of image files, with and without a pattern."""

from pathlib import PurePath

import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile
from image_files import RNG, SMALL_PLANES, read, touch

from microsnoop_engine.errors import InputError
from microsnoop_engine.images.inputs import find_image_sets, find_inputs
from microsnoop_engine.images.planes import read_channels
from microsnoop_engine.images.reading_options import ReadingOptions


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
    "no name of a well": (
        "{Well}_s{Site}_{Channel}_{X}.tif",
        "no file of .* fits the `pattern`",
    ),
    "site that is no number": (
        "{Well}_{Site}_{Channel}.tif",
        r"no file of .* fits .*; {Site} fits numbers, not 's1': use another name in braces",
    ),
    "fits in two ways": ("{Well}_{A}{Channel}.tif", "in more than one way"),
    "two files, one image": ("{Well}_s1_*.tif", "has no {Channel}: put it where"),
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


def test_folders_as_users_see_them(tmp_path):
    """Deeper folders, links, all spellings of a suffix, and a file in decomposed Unicode."""
    touch(tmp_path, "i/P1/A01_DNA.tif", "i/P2/A01_DNA.TIFF", "i/P3/TimePoint_1/A01_DNA.Tif", "far/A01_DNA.tif")
    (tmp_path / "i/P4").symlink_to(tmp_path / "far")
    (tmp_path / "i/P1/loop").symlink_to(tmp_path / "i")
    (tmp_path / "i/P1/gone.tif").symlink_to(tmp_path / "nothing.tif")
    inputs = find_inputs(tmp_path / "i", ReadingOptions("{Plate}/{Well}_{Channel}.tif"))
    assert [s.metadata for s in inputs.image_sets] == [
        {"Plate": "P1", "Well": "A01"},
        {"Plate": "P2", "Well": "A01"},
        {"Plate": "P3", "Well": "A01", "Folder": "TimePoint_1"},
        {"Plate": "P4", "Well": "A01"},
    ]
    reasons = {each.path.name: each.reason for each in inputs.left_out}
    assert set(reasons) == {"loop", "gone.tif"}
    assert reasons["gone.tif"] == "a link to nothing"
    assert reasons["loop"].startswith("a link to a folder that is read already")


def test_deeper_files_never_join_those_of_the_pattern(tmp_path):
    touch(tmp_path, *[f"A{n:02d}_DNA.tif" for n in range(1, 11)], "masks/A01_DNA.tif")
    inputs = find_inputs(tmp_path, ReadingOptions("{Well}_{Channel}.tif"))
    assert len(inputs.image_sets) == 10
    assert [each.reason for each in inputs.left_out] == ["deeper than the pattern, beside images of the same metadata"]
    touch(tmp_path, "t1/B01_DNA.tif", "t2/B01_ER.tif")
    with pytest.raises(InputError, match=r"two files are one image .*\n.*t1/B01_DNA.tif'\n.*t2/B01_ER.tif'"):
        find_inputs(tmp_path, ReadingOptions("{Well}_{Channel}.tif"))


def test_files_that_a_pattern_leaves_out(tmp_path):
    touch(tmp_path, *[f"A{n:02d}_DNA.tif" for n in range(1, 8)], "overview.tif")
    (tmp_path / "notes.txt").write_text("x")
    inputs = find_inputs(tmp_path, ReadingOptions("{Well}_{Channel}.tif"))
    assert [(each.path.name, each.unexpected) for each in inputs.left_out] == [
        ("overview.tif", True),
        ("notes.txt", False),
    ]
    touch(tmp_path, "B_1.png.tif")
    with pytest.raises(InputError, match=r"2 of 9 images in .* do not fit the `pattern` '{Well}_{Channel}.tif': 'B_1"):
        find_inputs(tmp_path, ReadingOptions("{Well}_{Channel}.tif"))
    assert len(find_inputs(tmp_path, ReadingOptions("{Well}_{Channel}.tif", allow_unmatched=True)).image_sets) == 7


def test_names_without_a_channel(tmp_path):
    touch(tmp_path, "A01.tif", "A02.tif")
    sets = find_image_sets(tmp_path, "{Well}.tif", channel_name="DNA")
    assert [(s.metadata, list(s.channels)) for s in sets] == [({"Well": "A01"}, ["DNA"]), ({"Well": "A02"}, ["DNA"])]
    with pytest.raises(InputError, match=r"`channel_name` goes with a `pattern` without \{Channel\}"):
        find_image_sets(tmp_path, "{Channel}.tif", channel_name="DNA")
    touch(tmp_path, "A01.tiff")
    with pytest.raises(InputError, match=r"two files are one image \(channel 'DNA'\)"):
        find_image_sets(tmp_path, "{Well}.tif", channel_name="DNA")


def test_system_folders(tmp_path):
    touch(
        tmp_path,
        "A01.tif",
        "@eaDir/A01.tif/thumb.tif",
        "$RECYCLE.BIN/$R1.tif",
        "lost+found/x.tif",
        "sub/__MACOSX/a.tif",
    )
    inputs = find_inputs(tmp_path)
    assert [s.metadata for s in inputs.image_sets] == [{"File": "A01.tif"}]
    assert sorted((each.path.name, each.files) for each in inputs.left_out) == [
        ("$RECYCLE.BIN", 1),
        ("@eaDir", 1),
        ("__MACOSX", 1),
        ("lost+found", 1),
    ]
    assert {each.reason for each in inputs.left_out} == {"in a folder of the system"}


def test_labels_inside_the_folder_are_no_images(tmp_path):
    touch(tmp_path, "A01.tif", "A02.tif", "masks/A01.tif", "masks/A02.tif")
    sets = find_image_sets(tmp_path, labels=tmp_path / "masks")
    assert [(s.metadata["File"], s.labels["Nuclei"].path.parent.name) for s in sets] == [
        ("A01.tif", "masks"),
        ("A02.tif", "masks"),
    ]


@pytest.mark.parametrize(
    "names",
    [
        ("P_A01f00d0.tif", "P_A01f00d1.tif"),
        ("Pos0/img_000_DAPI_000.tif", "Pos0/img_000_Alexa 488_000.tif"),
        ("exp_c1_ORG.tif", "exp_c2_ORG.tif"),
        ("exp_w1DAPI_s1.TIF", "exp_w2GFP_s1.TIF"),
        ("Green_VID12_A1_1_2023y05m16d_11h24m.tif", "Phase_VID12_A1_1_2023y05m16d_11h24m.tif"),
    ],
)
def test_files_that_seem_to_be_channels_are_named(tmp_path, caplog, names):
    touch(tmp_path, *names)
    find_image_sets(tmp_path)
    assert f"'{PurePath(names[0]).name}' and '{PurePath(names[1]).name}' seem to be channels" in caplog.text or (
        f"'{PurePath(names[1]).name}' and '{PurePath(names[0]).name}' seem to be channels" in caplog.text
    )


def test_wells_in_the_rows_c_and_d_are_no_channels(tmp_path, caplog):
    touch(tmp_path, "C01.tif", "C02.tif", "D01.tif", "a_C1_1.tif", "a_D1_1.tif", "a_D1_2.tif")
    find_image_sets(tmp_path)
    assert not caplog.text


def test_zarr_in_a_folder_is_named(tmp_path):
    touch(tmp_path, "A.ome.zarr/0/0.tif", "B.zarr/labels/0.tif")
    with pytest.raises(InputError, match=r"holds no images but OME-Zarr: name one, such as '.*A\.ome\.zarr'"):
        find_image_sets(tmp_path)
    touch(tmp_path, "a.tif")
    inputs = find_inputs(tmp_path)
    assert len(inputs.image_sets) == 1
    assert [(each.path.name, each.files) for each in inputs.left_out] == [("A.ome.zarr", 1), ("B.zarr", 1)]


def test_images_of_formats_that_are_not_read_are_no_other_files(tmp_path):
    touch(tmp_path, *[f"{n}.tif" for n in range(6)])
    (tmp_path / "a.jp2").touch()
    (left_out,) = find_inputs(tmp_path).left_out
    assert left_out.unexpected
    assert "a .jp2 file, which is not read: convert it to OME-TIFF" in left_out.reason
    (tmp_path / "b.C01").touch()
    with pytest.raises(InputError, match="2 of 6 images in"):
        find_inputs(tmp_path)
