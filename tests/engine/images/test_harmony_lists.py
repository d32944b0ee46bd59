"""Lists of pe2loaddata, as version 0.2.0 wrote them, against the folder that they list."""

import pytest
from instruments import phenix_name, write_images

from microsnoop_engine.images.inputs import find_image_sets

PLATE = "P7__2021-03-29T16_51_44-Measurement 1"


def listed(folder, rows, columns=()):
    """Write a LoadData table of (well, site, row, column, field, plane, time, ...) and the images."""
    names = [phenix_name(row, column, field, plane, 1, time) for _, _, row, column, field, plane, time, *_ in rows]
    write_images(folder / PLATE, *names)
    header = ",".join(
        ["FileName_OrigDNA", "PathName_OrigDNA", "Metadata_Plate", "Metadata_Well", "Metadata_Site", *columns]
    )
    lines = [
        ",".join([name, str(folder / PLATE), "P7", well, site, *further])
        for name, (well, site, _, _, _, _, _, *further) in zip(names, rows, strict=True)
    ]
    (folder / "load.csv").write_text("\n".join([header, *lines]) + "\n")
    return folder / "load.csv"


def metadata(path):
    return [image_set.metadata for image_set in find_image_sets(path)]


def test_wells_and_fields_are_those_of_the_files(tmp_path, caplog):
    rows = [
        *(("A01", site, 1, 1, field, 1, 1) for site, field in (("9", 9), ("10", 10), ("10", 100), ("12", 121))),
        ("[03", "9", 27, 3, 9, 1, 1),
        ("`48", "10", 32, 48, 100, 1, 1),
    ]
    found = metadata(listed(tmp_path, rows))
    assert found == metadata(tmp_path / PLATE)
    assert [(row["Well"], row["Site"]) for row in found[2:]] == [("A01", 100), ("A01", 121), ("AA03", 9), ("AF48", 100)]
    assert (
        "Metadata_Well of 2 image sets is cut, such as '[03' instead of AA03 for the file 'r27c03f09p01" in caplog.text
    )
    assert (
        "Metadata_Site of 3 image sets is cut, such as '10' instead of 100 for the file 'r01c01f100p01" in caplog.text
    )
    assert "same metadata" not in caplog.text


def test_planes_and_times_are_those_of_the_files(tmp_path, caplog):
    rows = [("A01", "1", 1, 1, 1, plane, time) for plane in (1, 2) for time in (1, 2, 3)]
    assert metadata(listed(tmp_path, rows)) == metadata(tmp_path / PLATE)
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


@pytest.mark.parametrize("column", ["Metadata_PlaneID", "Metadata_Plane"])
def test_a_column_of_planes_is_enough(tmp_path, column):
    first = 1 if column == "Metadata_PlaneID" else 0
    rows = [("A01", "1", 1, 1, 1, plane, 1, str(plane - 1 + first)) for plane in (1, 2)]
    name = column.removeprefix("Metadata_")
    assert metadata(listed(tmp_path, rows, [column])) == [
        {"Plate": "P7", "Well": "A01", "Site": 1, name: plane} for plane in (first, first + 1)
    ]


@pytest.mark.parametrize("sites", [("3", "2", "1"), ("10", "11", "12"), ("1", "10", "101")])
def test_own_numbers_and_wells_stay(tmp_path, caplog, sites):
    rows = [("p24", site, 1, 1, field, 1, 1) for site, field in zip(sites, (1, 100, 110), strict=True)]
    assert [(row["Well"], str(row["Site"])) for row in metadata(listed(tmp_path, rows))] == [("p24", s) for s in sites]
    assert not caplog.records


def test_files_of_other_names_stay_as_they_are_listed(tmp_path, caplog):
    path = listed(tmp_path, [("[03", "10", 27, 3, 100, 1, 1), ("A01", "1", 1, 1, 1, 1, 1)])
    (tmp_path / PLATE / phenix_name(1, 1, 1, 1, 1, 1)).rename(tmp_path / PLATE / "one.tif")
    path.write_text(path.read_text().replace(phenix_name(1, 1, 1, 1, 1, 1), "one.tif"))
    assert [row["Well"] for row in metadata(path)] == ["[03", "A01"]
