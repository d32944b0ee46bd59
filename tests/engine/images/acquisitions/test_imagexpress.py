"""Read the names, folders and .HTD files of ImageXpress."""

import pytest
from instruments import GUID, metaxpress_htd, write_images

from microsnoop_engine.errors import InputError
from microsnoop_engine.images.inputs import find_inputs
from microsnoop_engine.images.reading_options import ReadingOptions


def other_guid(number):
    return f"{number:08X}{GUID[8:]}"


def test_sites_and_waves_with_identifiers(tmp_path):
    """The identifier follows the number of the wave without a separator, and thumbnails are never taken."""
    names = [f"P_x_A01_s{s}_w{w}{other_guid(10 * s + w)}.tif" for s in (1, 2) for w in (1, 11)]
    thumbnails = [name.replace(f"_w{w}", f"_w{w}_thumb") for name, w in zip(names, (1, 11, 1, 11), strict=True)]
    write_images(tmp_path / "2024-04-22/1697", *names, *thumbnails)
    metaxpress_htd(tmp_path / "2024-04-22/1697/P_x.HTD", ["DAPI", *[f"c{n}" for n in range(2, 11)], "Cy5"])
    inputs = find_inputs(tmp_path)
    assert inputs.layout == "imagexpress"
    assert [s.metadata for s in inputs.image_sets] == [{"Plate": "P_x", "Well": "A01", "Site": s} for s in (1, 2)]
    assert {name: source.path.name for name, source in inputs.image_sets[0].channels.items()} == {
        "Cy5": names[1],
        "DAPI": names[0],
    }
    assert [(each.path.name, each.reason) for each in inputs.left_out] == [
        (name, "a thumbnail of the instrument") for name in sorted(thumbnails)
    ]


def test_planes_and_times_in_folders(tmp_path):
    """ZStep_0 is the projection of the planes; of a channel without planes it is the image."""
    names = [f"TimePoint_{t}/ZStep_{z}/9987_B02_s1_w1.TIF" for t in (1, 10) for z in (0, 1, 2)]
    write_images(tmp_path / "9987_Plate_3434", *names)
    metaxpress_htd(tmp_path / "9987_Plate_3434/TimePoint_1/ZStep_1/9987.HTD", ["DAPI"])
    inputs = find_inputs(tmp_path)
    assert [(s.metadata["Plane"], s.metadata["Time"]) for s in inputs.image_sets] == [(1, 1), (1, 10), (2, 1), (2, 10)]
    assert [list(s.channels) for s in inputs.image_sets] == [["DAPI"]] * 4
    assert sorted(each.path.parent.parent.name for each in inputs.left_out) == ["TimePoint_1", "TimePoint_10"]
    assert {each.reason for each in inputs.left_out} == {"the instrument's projection of planes that are measured"}


def test_one_site_and_one_wave_have_no_number(tmp_path):
    write_images(tmp_path, f"P_A01{GUID}.tif", f"P_AF48{GUID}.tif")
    (first, second) = find_inputs(tmp_path).image_sets
    assert (first.metadata, list(first.channels)) == ({"Plate": "P", "Well": "A01", "Site": 1}, ["w1"])
    assert second.metadata["Well"] == "AF48"


def test_a_well_that_was_imaged_twice(tmp_path):
    write_images(tmp_path, f"P_A01_s1_w1{GUID}.tif", f"P_A01_s1_w1{other_guid(7)}.tif")
    with pytest.raises(InputError, match=r"(?s)channel 'w1' of Plate P, Well A01, Site 1:.*imaged twice.*Move what"):
        find_inputs(tmp_path)


def test_thumbnails_are_no_images_of_a_pattern_either(tmp_path):
    write_images(tmp_path, f"P_A01_s1_w1{GUID}.tif", f"P_A01_s1_w2{GUID}.tif", f"P_A01_s1_w1_thumb{GUID}.tif")
    inputs = find_inputs(tmp_path, ReadingOptions("{Plate}_{Well}_s{Site}_w{Channel}{Guid}.tif"))
    assert [list(s.channels) for s in inputs.image_sets] == [["1", "2"]]
    assert len(inputs.left_out) == 1
