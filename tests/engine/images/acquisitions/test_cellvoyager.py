"""Read the index files and the names of CellVoyager."""

from instruments import cellvoyager_index, write_images

from microsnoop_engine.images.inputs import find_inputs
from microsnoop_engine.images.reading_options import ReadingOptions


def name(well, time=1, field=1, plane=1, channel=1):
    return f"AssayPlate_#655090_{well}_T{time:04d}F{field:03d}L01A01Z{plane:02d}C{channel:02d}.tif"


def test_index(tmp_path):
    channels = {1: "DNA", 2: "488", 3: "488"}
    records = [
        ("IMG", row, column, 1, field, 1, channel, name(well, field=field, channel=channel))
        for well, row, column in (("D08", 4, 8), ("E03", 5, 3))
        for field in (1, 2)
        for channel in channels
    ]
    write_images(tmp_path, *[record[-1] for record in records], "DC_sCMOS #1_CAM1.tif", "SC_BP445-45_20x_M01_CH01.tif")
    cellvoyager_index(tmp_path, [*records, ("ERR", 4, 8, 1, 3, 1, 1, "")], channels)
    inputs = find_inputs(tmp_path)
    assert inputs.layout == "cellvoyager"
    assert [s.metadata for s in inputs.image_sets] == [
        {"Plate": "AssayPlate1", "Well": well, "Site": site, "PixelSize": 0.325}
        for well in ("D08", "E03")
        for site in (1, 2)
    ]
    assert {name: source.path.name for name, source in inputs.image_sets[2].channels.items()} == {
        "488 C02": name("E03", channel=2),
        "488 C03": name("E03", channel=3),
        "DNA": name("E03", channel=1),
    }
    reasons = [each.reason for each in inputs.left_out]
    assert reasons.count("a correction image of the instrument (shading or dark field)") == 2
    assert reasons.count("an image that the instrument could not take (ERR in its index)") == 1
    assert not any(each.unexpected for each in inputs.left_out)


def test_names_alone(tmp_path):
    write_images(tmp_path, *[name("AF48", time, 1, plane, c) for time in (1, 2) for plane in (1, 10) for c in (1, 2)])
    sets = find_inputs(tmp_path).image_sets
    assert [s.metadata for s in sets] == [
        {"Plate": "AssayPlate_#655090", "Well": "AF48", "Site": 1, "Plane": plane, "Time": time}
        for plane in (1, 10)
        for time in (1, 2)
    ]
    assert [source.path.name for source in sets[3].channels.values()] == [name("AF48", 2, 1, 10, c) for c in (1, 2)]


def test_an_image_that_the_index_does_not_list(tmp_path):
    records = [("IMG", 1, column, 1, 1, 1, 1, name(f"A{column:02d}")) for column in range(1, 7)]
    write_images(tmp_path, *[record[-1] for record in records], name("A07"), "more/" + name("A08"))
    cellvoyager_index(tmp_path, records, {1: "DNA"})
    inputs = find_inputs(tmp_path, ReadingOptions(allow_unmatched=True))
    assert [s.metadata["Well"] for s in inputs.image_sets] == [f"A{column:02d}" for column in range(1, 7)]
    unexpected = {each.path.name: each.reason for each in inputs.left_out if each.unexpected}
    assert unexpected == dict.fromkeys(
        (name("A07"), name("A08")), "an image that the index of the instrument does not list"
    )
