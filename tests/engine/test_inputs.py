"""What the user points at, as image sets; and what is said of inputs that cannot be used."""

import re

import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile

from microsnoop_engine.errors import ImageError, InputError, MicrosnoopError
from microsnoop_engine.images.folders import pattern_expression
from microsnoop_engine.images.image_set import PlaneSource
from microsnoop_engine.images.inputs import find_image_sets
from microsnoop_engine.images.labels import read_labels
from microsnoop_engine.images.planes import read_channels

RNG = np.random.default_rng(0)
PLANES = RNG.integers(0, 60000, (6, 20, 30), np.uint16)


def touch(folder, *names):
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(folder / name, PLANES[number % len(PLANES)])


def table(folder, content, encoding="utf-8"):
    (folder / "LoadData.csv").write_bytes(content.encode(encoding))
    return folder / "LoadData.csv"


def read(sets, channels):
    return [read_channels(image_set, channels) for image_set in sets]


# LoadData CSV


def test_load_data(tmp_path):
    touch(tmp_path, "img/a1.tif", "img/a2.tif", "img/b1.tif", "img/b2.tif")
    path = table(
        tmp_path,
        "ImageNumber,FileName_DNA,PathName_DNA,FileName_GFP,PathName_GFP,Metadata_Plate,Metadata_Site,Metadata_Dose\n"
        f"3,a1.tif,img,a2.tif,{tmp_path / 'img'},P1,1,0.5\n"
        "7,b1.tif,img/,b2.tif,./img,P2,02,1e-3\n",
    )
    sets = find_image_sets(path)
    assert [s.number for s in sets] == [3, 7]
    assert [s.metadata for s in sets] == [
        {"Plate": "P1", "Site": "1", "Dose": 0.5},
        {"Plate": "P2", "Site": "02", "Dose": 0.001},
    ]
    assert np.array_equal(read(sets, ["DNA", "GFP"]), PLANES[:4].reshape(2, 2, 20, 30))


def test_load_data_as_spreadsheets_write_it(tmp_path):
    """A byte order mark, CRLF, quotes, blanks around names, and empty lines at the end."""
    touch(tmp_path, "a, b.tif")
    content = '\ufeff"FileName_DNA", Metadata_Well\r\n"a, b.tif", A01 \r\n\r\n,\r\n'
    sets = find_image_sets(table(tmp_path, content))
    assert [(s.number, s.metadata) for s in sets] == [(1, {"Well": "A01"})]
    assert np.array_equal(read(sets, ["DNA"])[0][0], PLANES[0])


@pytest.mark.parametrize(
    "row",
    [
        "sub\\deep,x 1.tif",
        ".\\sub\\deep,x 1.tif",
        "sub,deep\\x 1.tif",
        "sub/deep\\,x 1.tif",
        "sub,deep/x 1.tif",
        ",sub/deep/x 1.tif",
    ],
)
def test_load_data_with_paths_of_other_systems(tmp_path, row):
    touch(tmp_path, "sub/deep/x 1.tif")
    sets = find_image_sets(table(tmp_path, f"PathName_DNA,FileName_DNA\n{row}\n"))
    assert np.array_equal(read(sets, ["DNA"])[0][0], PLANES[0])


@pytest.mark.parametrize("address", ["absolute", "sub/x 1.tif", "sub\\x 1.tif", "file:sub/x%201.tif"])
def test_load_data_with_addresses(tmp_path, address):
    touch(tmp_path, "sub/x 1.tif")
    address = (tmp_path / "sub/x 1.tif").as_uri() if address == "absolute" else address
    sets = find_image_sets(table(tmp_path, f"URL_DNA,ObjectsURL_Nuclei\n{address},{address}\n"))
    assert np.array_equal(read(sets, ["DNA"])[0][0], PLANES[0])
    assert np.array_equal(read_labels(sets[0].labels["Nuclei"], "Nuclei", (20, 30)), PLANES[0])


def test_load_data_with_frames(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", PLANES[:3], photometric="minisblack")
    sets = find_image_sets(table(tmp_path, "FileName_A,Frame_A,FileName_B,Frame_B\na.tif,2,a.tif,0\n"))
    assert np.array_equal(read(sets, ["A", "B"])[0], PLANES[[2, 0]])


def test_load_data_with_objects(tmp_path):
    touch(tmp_path, "a.tif", "labels/n.tif")
    content = "FileName_DNA,ObjectsFileName_Nuclei,ObjectsPathName_Nuclei,ObjectsFileName_Cells\na.tif,n.tif,labels,\n"
    (image_set,) = find_image_sets(table(tmp_path, content))
    assert image_set.labels == {"Nuclei": PlaneSource(tmp_path / "labels/n.tif")}
    assert list(image_set.channels) == ["DNA"]


def test_load_data_where_a_channel_is_blank(tmp_path):
    touch(tmp_path, "a.tif")
    (image_set,) = find_image_sets(table(tmp_path, "FileName_DNA,FileName_GFP\na.tif,\n"))
    with pytest.raises(ImageError, match="channel 'GFP' is missing; there are DNA"):
        read_channels(image_set, ["DNA", "GFP"])


@pytest.mark.parametrize(
    ("values", "typed"),
    [
        (["1", "-20"], [1, -20]),
        (["1", "2.5"], [1.0, 2.5]),
        (["1e3", "0"], [1000.0, 0.0]),
        (["01", "2"], ["01", "2"]),
        (["1", ""], ["1", ""]),
        (["nan", "1"], ["nan", "1"]),
        (["1" * 18, "1"], [int("1" * 18), 1]),
        (["+1", "1"], ["+1", "1"]),
        (["1_000", "1"], ["1_000", "1"]),
        (["٣", "1"], ["٣", "1"]),
    ],
)
def test_types_of_metadata(tmp_path, values, typed):
    content = "FileName_DNA,Metadata_X\n" + "".join(f"a.tif,{value}\n" for value in values)
    found = [s.metadata["X"] for s in find_image_sets(table(tmp_path, content))]
    assert found == typed
    assert {type(value) for value in found} == {type(typed[0])}


# folders, files, archives


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


def test_pattern_takes_special_characters_as_they_are():
    expression = pattern_expression("{Well}+(x)_{Channel}.tif")
    assert expression.fullmatch("A01+(x)_DNA.tif").groupdict() == {"Well": "A01", "Channel": "DNA"}
    assert expression.fullmatch("A01xx_DNA.tif") is None
    assert expression.fullmatch("A01+(x)_DNAxtif") is None
    assert expression.fullmatch("P/A01+(x)_DNA.tif") is None


def test_folder_without_a_pattern(tmp_path):
    touch(tmp_path, "b.tif", "a.tif", "treated/c.TIF", ".hidden/d.tif", "._a.tif")
    (tmp_path / "notes.txt").write_text("not an image")
    sets = find_image_sets(tmp_path)
    assert [s.metadata for s in sets] == [
        {"File": "a.tif"},
        {"File": "b.tif"},
        {"File": "c.TIF", "Folder": "treated"},
    ]
    assert np.array_equal(read(sets, ["Image"])[1][0], PLANES[0])


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
    tifffile.imwrite(tmp_path / name, PLANES[:2], **options)
    (image_set,) = find_image_sets(tmp_path / name)
    assert (image_set.number, image_set.metadata) == (1, {"File": name})
    assert np.array_equal(read_channels(image_set, ["GFP", "DNA"]), PLANES[[1, 0]])


def test_npz(tmp_path):
    images, masks = RNG.integers(0, 99, (3, 2, 8, 9), np.uint8), RNG.integers(0, 4, (3, 8, 9))
    arrays = {"channels": ["GFP", "DNA"], "well": ["A1", "A2", "A3"], "dose": [0.0, 1.5, 2.0], "version": [1, 2]}
    np.savez(tmp_path / "a.npz", images=images, masks=masks, **arrays)
    sets = find_image_sets(tmp_path / "a.npz")
    assert [s.number for s in sets] == [1, 2, 3]
    assert [s.metadata for s in sets] == [{"well": f"A{n + 1}", "dose": d} for n, d in enumerate([0.0, 1.5, 2.0])]
    assert np.array_equal(read(sets, ["GFP", "DNA"]), images)
    assert all(np.array_equal(read_labels(s.labels["Nuclei"], "Nuclei", (8, 9)), masks[s.number - 1]) for s in sets)


def test_npz_of_one_channel(tmp_path):
    images = RNG.random((2, 8, 9))
    np.savez_compressed(tmp_path / "a.npz", images=images)
    sets = find_image_sets(tmp_path / "a.npz")
    assert sets[0].labels == {}
    assert np.array_equal(np.array(read(sets, ["C1"]))[:, 0], images)


def test_real_npz(bbbc013, tmp_path):
    images, channels = bbbc013
    np.savez(tmp_path / "plate.npz", images=images, channels=channels)
    assert np.array_equal(read(find_image_sets(tmp_path / "plate.npz"), channels), images)


# labels


@pytest.mark.parametrize(
    "name", ["A01.tif", "A01_mask.png", "A01_DNA_cp_masks.tif", "sub/A01_Nuclei.tif", "A01_Lobes.tif"]
)
def test_labels_by_the_names_of_the_images(tmp_path, name):
    touch(tmp_path, "images/A01_DNA.tif", "images/A01_GFP.tif")
    (tmp_path / "labels" / name).parent.mkdir(parents=True)
    imageio.imwrite(tmp_path / "labels" / name, PLANES[0])
    (image_set,) = find_image_sets(tmp_path / "images", "{Well}_{Channel}.tif", tmp_path / "labels", "Lobes")
    assert image_set.labels == {"Lobes": PlaneSource(tmp_path / "labels" / name)}
    assert image_set.metadata == {"Well": "A01"}


def test_labels_of_wells_with_the_same_name_on_several_plates(tmp_path):
    touch(tmp_path, *[f"{kind}/P{p}/A01_{kind}.tif" for kind in ("DNA", "Nuclei") for p in (1, 2)])
    sets = find_image_sets(tmp_path / "DNA", "{Plate}/{Well}_{Channel}.tif", tmp_path / "Nuclei")
    assert [s.labels["Nuclei"].path.parent.name for s in sets] == ["P1", "P2"]


def test_labels_beside_the_images(tmp_path):
    """An image is never its own label image."""
    touch(tmp_path, "A01_DNA.tif", "A01_DNA_mask.tif")
    (image_set,) = find_image_sets(tmp_path / "A01_DNA.tif", labels=tmp_path)
    assert image_set.labels["Nuclei"].path.name == "A01_DNA_mask.tif"


def test_missing_label_image_is_told_when_it_is_read(tmp_path):
    touch(tmp_path, "images/A01.tif", "images/A02.tif", "labels/A02.tif")
    sets = find_image_sets(tmp_path / "images", labels=tmp_path / "labels")
    with pytest.raises(ImageError, match="there is no such file") as caught:
        read_labels(sets[0].labels["Nuclei"], "Nuclei", (20, 30))
    assert caught.value.path == str(tmp_path / "labels/A01.tif")
    assert sets[1].labels["Nuclei"].path.is_file()


# what cannot be used, and what is said of it

BAD_TABLES = {
    "empty": ("", "is empty"),
    "blank": ("\n\n", "is empty"),
    "header only": ("FileName_DNA\n", "has a header but no rows"),
    "no file column": (
        "Image,Metadata_Well\na.tif,A01\n",
        r"has no column FileName_<channel> .*: Image, Metadata_Well",
    ),
    "column without a channel": ("FileName_\na.tif\n", "has no column FileName_<channel>"),
    "duplicate columns": ("FileName_A,FileName_A\na,b\n", "has these columns more than once: FileName_A"),
    "short row": ("FileName_A,FileName_B\na,b\n\nc\n", "line 4: 1 values for 2 columns"),
    "long row": ("FileName_A\na\nb,c\n", "line 3: 2 values for 1 columns"),
    "semicolons": ("FileName_A;FileName_B\na;b\n", "is separated by semicolons or tabs: save it with commas"),
    "address of OMERO": (
        "URL_A\nomero:iid=3\n",
        "line 2, column URL_A: omero: addresses cannot be read; give file:, s3:",
    ),
    "address of nothing": (
        "FileName_A,ObjectsURL_N\na,abc://x/a.tif\n",
        "line 2, column ObjectsURL_N: 'abc://x/a.tif': abc: is no known store",
    ),
    "frame that is no number": ("FileName_A,Frame_A\na,two\n", "line 2, column Frame_A: 'two' is not a plane number"),
    "negative frame": ("FileName_A,Frame_A\na,-1\n", "column Frame_A: '-1' is not a plane number"),
    "ImageNumber that is no number": ("ImageNumber,FileName_A\nx,a\n", "line 2: ImageNumber is 'x', not a number"),
    "ImageNumber in superscript": ("ImageNumber,FileName_A\n²,a\n", "line 2: ImageNumber is '²', not a number"),
    "duplicate ImageNumber": ("ImageNumber,FileName_A\n4,a\n4,b\n", "ImageNumber 4 stands in 2 rows"),
    "row without files": ("FileName_A,Metadata_W\na,1\n,2\n", "line 3: no channel has a file"),
    "endless field": ("FileName_A\n" + "x" * 200_000 + "\n", "line 2: field larger than field limit"),
}


@pytest.mark.parametrize("kind", BAD_TABLES)
def test_bad_load_data(tmp_path, kind):
    content, message = BAD_TABLES[kind]
    with pytest.raises(InputError, match=rf"'{re.escape(str(tmp_path))}.LoadData\.csv'.*{message}"):
        find_image_sets(table(tmp_path, content))


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_load_data_that_is_not_utf_8(tmp_path, encoding):
    with pytest.raises(InputError, match=r"LoadData.csv' is not text in UTF-8: save it as 'CSV UTF-8'"):
        find_image_sets(table(tmp_path, "FileName_µ\na.tif\n", encoding))


BAD_PATTERNS = {
    "without channel": ("{Well}.tif", r"pattern '{Well}.tif' has no {Channel}: name the part that tells the channel"),
    "name twice": ("{Well}/{Well}_{Channel}.tif", "'{Well}' must be a word of letters that stands once"),
    "name with a blank": ("{the well}_{Channel}.tif", "'{the well}' must be a word"),
    "empty name": ("{}_{Channel}.tif", "'{}' must be a word"),
    "matches nothing": ("{Well}-{Channel}.tif", r"no file of .* fits the pattern .*; a file there: 'A01_s1_DNA.tif'"),
}


@pytest.mark.parametrize("kind", BAD_PATTERNS)
def test_bad_pattern(tmp_path, kind):
    pattern, message = BAD_PATTERNS[kind]
    touch(tmp_path, "A01_s1_DNA.tif", "A01_s1_GFP.tif")
    with pytest.raises(InputError, match=message):
        find_image_sets(tmp_path, pattern)


BAD_INPUTS = {
    "nothing there": ("nothing", {}, "there is no file or folder '.*nothing'"),
    "unknown kind": ("notes.txt", {}, r"'.*notes.txt' is no input: give a LoadData .csv, a folder, an image"),
    "pattern with a file": ("A01.tif", {"pattern": "{Channel}.tif"}, "--pattern goes with a folder, but '.*A01.tif'"),
    "empty folder": ("empty", {}, r"folder '.*empty' holds no images \(.tif, "),
    "folder of archives": ("archives", {}, "holds no images .*: give one of its .npz files"),
    "labels that are no folder": ("A01.tif", {"labels": "A01.tif"}, "--labels: there is no folder '.*A01.tif'"),
    "labels missing": ("A01.tif", {"labels": "gone"}, "--labels: there is no folder '.*gone'"),
    "two label images": (
        "A01.tif",
        {"labels": "labels"},
        "--labels: image set 1 has more than one label image: '.*A01_label.tif', '.*A01_mask.tif'",
    ),
    "one label image for two": (
        "plates",
        {"labels": "few", "pattern": "{Plate}/{Well}_{Channel}.tif"},
        "--labels: '.*B01_Nuclei.tif' fits image set 1 as well as 2",
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
    np.savez(folder / "names.npz", images=images, channels=["a", "b", "c"])
    np.savez(folder / "masks.npz", images=images, masks=np.zeros((3, 4, 4), int))
    return folder


@pytest.mark.parametrize("kind", BAD_INPUTS)
def test_bad_input(bad_inputs, kind):
    name, options, message = BAD_INPUTS[kind]
    options = {key: bad_inputs / value if key == "labels" else value for key, value in options.items()}
    with pytest.raises(MicrosnoopError, match=message):
        find_image_sets(bad_inputs / name, **options)
