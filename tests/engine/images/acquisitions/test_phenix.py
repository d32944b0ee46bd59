"""Read the index files and the names of Opera Phenix and Operetta."""

import pytest
from instruments import phenix_index, phenix_name, write_images

from microsnoop_engine.errors import InputError
from microsnoop_engine.images.inputs import find_inputs

MEASUREMENT = "BR00121482__2021-03-29T16_51_44-Measurement 1/Images"
CHANNELS = {1: "Alexa 647", 5: "HOECHST 33342"}


@pytest.mark.parametrize(("index", "per_channel"), [("Index.idx.xml", False), ("Index.xml", True)])
def test_index(tmp_path, index, per_channel):
    wells = [(row, column) for row, column in ((1, 1), (27, 13))]
    images = [
        (phenix_name(row, column, field, 1, channel), row, column, field, 1, channel)
        for row, column in wells
        for field in (2, 110)
        for channel in CHANNELS
    ]
    write_images(tmp_path / MEASUREMENT, *[image[0] for image in images])
    phenix_index(tmp_path / MEASUREMENT / index, images, CHANNELS, per_channel=per_channel)
    for path in (tmp_path, tmp_path / MEASUREMENT, tmp_path / MEASUREMENT / index):
        inputs = find_inputs(path)
        assert inputs.layout == "phenix"
        assert inputs.left_out == []
        assert [s.metadata for s in inputs.image_sets] == [
            {"Plate": "BR00121482", "Well": well, "Site": site, "PixelSize": 0.5979}
            for well in ("A01", "AA13")
            for site in (2, 110)
        ]
        assert {name: source.path.name for name, source in inputs.image_sets[3].channels.items()} == {
            "Alexa 647": "r27c13f110p01-ch1sk1fk1fl1.tiff",
            "HOECHST 33342": "r27c13f110p01-ch5sk1fk1fl1.tiff",
        }


def test_names_alone(tmp_path):
    names = [phenix_name(2, 11, 1, plane, channel, time) for plane in (1, 2) for channel in (1, 2) for time in (1, 2)]
    inputs = find_inputs(write_images(tmp_path / "plate7__2024/Images", *names))
    assert [s.metadata for s in inputs.image_sets] == [
        {"Plate": "plate7", "Well": "B11", "Site": 1, "Plane": plane, "Time": time}
        for plane in (1, 2)
        for time in (1, 2)
    ]
    assert [source.path.name for source in inputs.image_sets[2].channels.values()] == [
        "r02c11f01p02-ch1sk1fk1fl1.tiff",
        "r02c11f01p02-ch2sk1fk1fl1.tiff",
    ]


def test_channels_of_one_name_stay_apart(tmp_path):
    images = [(phenix_name(1, 1, 1, 1, channel), 1, 1, 1, 1, channel) for channel in (1, 2)]
    write_images(tmp_path, *[image[0] for image in images])
    phenix_index(tmp_path / "Index.idx.xml", images, {1: "Alexa 488", 2: "Alexa 488"})
    assert list(find_inputs(tmp_path).image_sets[0].channels) == ["Alexa 488 ch1", "Alexa 488 ch2"]


def test_a_copy_of_some_wells(tmp_path):
    """Fields that were not copied are left out; one whose copy stopped stays, and fails."""
    images = [
        (phenix_name(1, column, 1, 1, channel), 1, column, 1, 1, channel) for column in (1, 2, 3) for channel in (1, 5)
    ]
    write_images(tmp_path, images[0][0], images[1][0], images[2][0])
    phenix_index(tmp_path / "Index.idx.xml", images, CHANNELS)
    inputs = find_inputs(tmp_path)
    assert [s.metadata["Well"] for s in inputs.image_sets] == ["A01", "A02"]
    assert [list(s.channels) for s in inputs.image_sets] == [["Alexa 647", "HOECHST 33342"]] * 2
    assert {each.path.name for each in inputs.left_out} == {images[4][0], images[5][0]}
    assert {each.reason for each in inputs.left_out} == {"named by the index of the instrument, but not there"}


def test_an_index_above_its_images_in_other_capitals(tmp_path):
    names = [phenix_name(1, 1, 1, 1, channel) for channel in CHANNELS]
    images = [(f"Images\\{name}", 1, 1, 1, 1, channel) for name, channel in zip(names, CHANNELS, strict=True)]
    for folder, change in ((tmp_path / "small", str), (tmp_path / "capital", str.upper)):
        write_images(folder / "Images", *map(change, names))
        phenix_index(folder / "Index.idx.xml", images, CHANNELS)
        (image_set,) = find_inputs(folder).image_sets
        assert [source.path.name for source in image_set.channels.values()] == [*map(change, names)]


def test_two_measurements_of_a_plate_stay_two(tmp_path):
    names = [f"P1__{day}-Measurement {n}/Images/{phenix_name(1, 1, 1, 1, 1)}" for n, day in ((1, "05"), (2, "06"))]
    sets = find_inputs(write_images(tmp_path, *names)).image_sets
    assert [s.metadata for s in sets] == [
        {"Acquisition": f"P1__{day}-Measurement {n}/Images", "Plate": "P1", "Well": "A01", "Site": 1}
        for n, day in ((1, "05"), (2, "06"))
    ]


def test_bad_indexes(tmp_path):
    write_images(tmp_path, phenix_name(1, 1, 1, 1, 1))
    (tmp_path / "Index.idx.xml").write_text("<EvaluationInputData><Images>")
    with pytest.raises(InputError, match=r"Index.idx.xml' is damaged .*: copy it from the instrument again"):
        find_inputs(tmp_path)
    phenix_index(tmp_path / "Index.idx.xml", [(phenix_name(1, 1, 1, 1, 1), 33, 1, 1, 1, 1)], CHANNELS)
    with pytest.raises(InputError, match=r"r01c01f01p01-ch1sk1fk1fl1.tiff': no plate has a well in row 33, column 1"):
        find_inputs(tmp_path)
    phenix_index(tmp_path / "Index.idx.xml", [(phenix_name(1, 1, 1, 1, 1), 1, 1, 1, 1, 1)] * 2, CHANNELS)
    with pytest.raises(InputError, match="two files are the channel 'Alexa 647' of Plate BR00121482, Well A01, Site 1"):
        find_inputs(tmp_path)


def test_an_index_of_something_else(tmp_path):
    """A page's index.xml names no images: every file is an image set."""
    write_images(tmp_path, "a.tif")
    (tmp_path / "index.xml").write_text("<pages><page/></pages>")
    assert find_inputs(tmp_path).layout == "files"


def test_images_below_an_index_that_does_not_list_them_are_no_plate(tmp_path):
    """Somebody moved a field into a folder of its own."""
    images = [(phenix_name(1, column, 1, 1, 1), 1, column, 1, 1, 1) for column in range(1, 8)]
    names = [image[0] for image in images]
    write_images(tmp_path, *names[1:], f"bad/{names[0]}")
    phenix_index(tmp_path / "Index.idx.xml", images, CHANNELS)
    inputs = find_inputs(tmp_path)
    assert [s.metadata["Well"] for s in inputs.image_sets] == [f"A{column:02d}" for column in range(2, 8)]
    assert {each.path.relative_to(tmp_path).as_posix(): each.unexpected for each in inputs.left_out} == {
        names[0]: False,
        f"bad/{names[0]}": True,
    }
    assert inputs.left_out[1].reason == "an image that the index of the instrument does not list"
