"""Take the paths of files apart by patterns: shapes of the parts, ambiguity, unnamed parts, spellings of suffixes."""

import pytest

from microsnoop_engine.errors import InputError
from microsnoop_engine.images.patterns import Pattern


def test_special_characters_are_taken_as_they_are():
    pattern = Pattern("{Well}+(x)_{Channel}.tif")
    assert pattern.match("A01+(x)_DNA.tif").values == {"Well": "A01", "Channel": "DNA"}
    assert pattern.match("A01xx_DNA.tif") is None
    assert pattern.match("A01+(x)_DNAxtif") is None
    found = pattern.match("P/A01+(x)_DNA.tif")
    assert (found.values, found.deeper) == ({"Well": "A01", "Channel": "DNA"}, "P/")


@pytest.mark.parametrize(
    ("pattern", "path", "values"),
    [
        ("{Plate}_{Well}_s{Site}_{Channel}.tif", "My_Screen_7_A01_s1_DNA.tif", ["My_Screen_7", "A01", "1", "DNA"]),
        ("{Plate}_{Well}_{Channel}.tif", "P_x1y_AF48_a_b.tif", ["P_x1y", "AF48", "a_b"]),
        ("{Well}{Site}{Channel}.tif", "B12-3", None),
        (
            "r{Row}c{Column}f{Site}p{Plane}-ch{Channel}sk{_}.tiff",
            "r27c03f110p01-ch1sk1fk1fl1.tiff",
            ["AA03", "110", "01", "1"],
        ),
        ("{Row} - {Column}(fld {Site} wv {Channel}).tif", "b - 7(fld 2 wv UV - DAPI).tif", ["B07", "2", "UV - DAPI"]),
        ("a_{Time}_{Channel}.tif", "a_2023y05m16d_11h24m_x.tif", ["2023y05m16d_11h24m", "x"]),
        ("P_{Well}_w{Channel}{Uuid}.tif", "P_A01_w11D5F8F51A-3E85-4358-AE51-A465AF87386F.tif", ["A01", "11"]),
        ("**/{Well}_{Channel}.tif", "a/b/A01_DNA.tif", ["A01", "DNA"]),
        ("*/{Well}_{Channel}.tif", "a/A01_DNA.tif", ["A01", "DNA"]),
        ("{Well}_*_{Channel}.tif", "A01__DNA.tif", ["A01", "DNA"]),
        ("{Well}_{Channel}.tif", "A01_DNA.ome.TIFF", ["A01", "DNA"]),
        ("{Well}_{Channel}.ome.tif", "A01_DNA.OME.tif", ["A01", "DNA"]),
        ("{Well}_{Channel}.ome.tif", "A01_DNA.tif", None),
        ("{Well}_{Channel}.jpg", "A01_DNA.JPEG", ["A01", "DNA"]),
        ("{Well}_{Channel}.png", "A01_DNA.tif", None),
        ("Zellk\u00f6rper/{Well}_{Channel}.tif", "Zellko\u0308rper/A01_DNA.tif", ["A01", "DNA"]),
        ("{Well}_{Channel}.tif", "A49_DNA.tif", None),
        ("{Well}_s{Site}_{Channel}.tif", "A01_sx_DNA.tif", None),
    ],
)
def test_shapes(pattern, path, values):
    found = Pattern(pattern).match(path)
    assert (found and list(found.values.values())) == values


@pytest.mark.parametrize(
    ("pattern", "path", "readings"),
    [
        (
            "{Plate}_{Channel}.tif",
            "My_Screen_DNA.tif",
            ["Plate 'My', Channel 'Screen_DNA'", "Plate 'My_Screen', Channel 'DNA'"],
        ),
        ("{Well}{Site}_{Channel}.tif", "A0112_DNA.tif", ["Well 'A01', Site '12'", "Well 'A011', Site '2'"]),
        ("w{Channel}{Id}.tif", "w12F.tif", ["Channel '1', Id '2F'", "Channel '12', Id 'F'"]),
        (
            "{Plate}_{Well}_{Channel}.tif",
            "P_A01_s1_DNA.tif",
            ["Well 'A01', Channel 's1_DNA'", "Plate 'P_A01', Well 's1'"],
        ),
        ("*{Channel}.tif", "DNA.tif", ["Channel 'DNA'", "Channel 'A'"]),
    ],
)
def test_two_readings(pattern, path, readings):
    with pytest.raises(InputError, match="in more than one way") as caught:
        Pattern(pattern).match(path)
    for reading in readings:
        assert reading in str(caught.value)
    assert len(str(caught.value).splitlines()) == 3


def test_row_that_no_plate_has():
    with pytest.raises(InputError, match=r"'r33c01_DNA\.tif': no plate has a well in row 33, column 1"):
        Pattern("r{Row}c{Column}_{Channel}.tif").match("r33c01_DNA.tif")
