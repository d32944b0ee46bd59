"""Find image sets in LoadData CSVs, and name the line and column of one that cannot be used."""

import gzip
import io
import os
import re

import numpy as np
import pandas as pd
import pytest
import tifffile
from image_files import LABELS, SMALL_PLANES, read, touch

from microsnoop_engine.errors import ImageError, InputError
from microsnoop_engine.images.image_set import PlaneSource
from microsnoop_engine.images.inputs import find_image_sets
from microsnoop_engine.images.labels import read_labels
from microsnoop_engine.images.planes import read_channels


def table(folder, content, encoding="utf-8"):
    (folder / "LoadData.csv").write_bytes(content.encode(encoding))
    return folder / "LoadData.csv"


def test_load_data(tmp_path):
    touch(tmp_path, "img/a1.tif", "img/a2.tif", "img/b1.tif", "img/b2.tif")
    path = table(
        tmp_path,
        "ImageNumber,FileName_DNA,PathName_DNA,FileName_GFP,PathName_GFP,Metadata_Plate,Metadata_Site,Metadata_Dose\n"
        f"3,a1.tif,img,a2.tif,{tmp_path / 'img'},P1,1,0.5\n"
        "7,b1.tif,img/,b2.tif,./img,P2,02,0.001\n",
    )
    sets = find_image_sets(path)
    assert [s.number for s in sets] == [3, 7]
    assert [s.metadata for s in sets] == [
        {"Plate": "P1", "Site": "1", "Dose": 0.5},
        {"Plate": "P2", "Site": "02", "Dose": 0.001},
    ]
    assert np.array_equal(read(sets, ["DNA", "GFP"]), SMALL_PLANES[:4].reshape(2, 2, 20, 30))


def test_load_data_as_spreadsheets_write_it(tmp_path):
    """A byte order mark, CRLF, quotes, blanks around names, and empty lines at the end."""
    touch(tmp_path, "a, b.tif")
    content = '\ufeff"FileName_DNA", Metadata_Well\r\n"a, b.tif", A01 \r\n\r\n,\r\n'
    sets = find_image_sets(table(tmp_path, content))
    assert [(s.number, s.metadata) for s in sets] == [(1, {"Well": "A01"})]
    assert np.array_equal(read(sets, ["DNA"])[0][0], SMALL_PLANES[0])


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
    assert np.array_equal(read(sets, ["DNA"])[0][0], SMALL_PLANES[0])


@pytest.mark.parametrize("address", ["absolute", "sub/x 1.tif", "sub\\x 1.tif", "file:sub/x%201.tif"])
def test_load_data_with_addresses(tmp_path, address):
    labels = LABELS[4:24, 1:31]
    touch(tmp_path, "sub/x 1.tif")
    tifffile.imwrite(tmp_path / "sub/x 1.tif", labels)
    address = (tmp_path / "sub/x 1.tif").as_uri() if address == "absolute" else address
    sets = find_image_sets(table(tmp_path, f"URL_DNA,ObjectsURL_Nuclei\n{address},{address}\n"))
    assert np.array_equal(read(sets, ["DNA"])[0][0], labels)
    assert np.array_equal(read_labels(sets[0].labels["Nuclei"], "Nuclei", (20, 30)), labels)


def test_load_data_with_frames(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", SMALL_PLANES[:3], photometric="minisblack")
    sets = find_image_sets(table(tmp_path, "FileName_A,Frame_A,FileName_B,Frame_B\na.tif,2,a.tif,0\n"))
    assert np.array_equal(read(sets, ["A", "B"])[0], SMALL_PLANES[[2, 0]])


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
        (["0.5", "10.0", "-3"], [0.5, 10.0, -3.0]),
        (["1e3", "0"], ["1e3", "0"]),
        (["24E5", "2400E3"], ["24E5", "2400E3"]),
        (["00123", "00124"], ["00123", "00124"]),
        (["12345678901234567890", "1"], ["12345678901234567890", "1"]),
        (["0.12345678901234567890", "1"], ["0.12345678901234567890", "1"]),
        (["1.50", "2.25"], ["1.50", "2.25"]),
        (["1", "1.0"], ["1", "1.0"]),
        (["-0", "1"], ["-0", "1"]),
        (["1-1", "2-1"], ["1-1", "2-1"]),
        (["2024-01-02", "3"], ["2024-01-02", "3"]),
        (["TRUE", "FALSE"], ["TRUE", "FALSE"]),
        (["inf", "1"], ["inf", "1"]),
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


def test_columns_as_cellprofiler_exports_them(tmp_path):
    header = "ImageNumber,Image_FileName_DNA,Image_PathName_DNA,Image_Metadata_Well,Image_ObjectsFileName_Cells"
    content = f"{header}\n5,a.tif,img,A01,c.tif\n"
    (image_set,) = find_image_sets(table(tmp_path, content))
    assert image_set.number == 5
    assert image_set.channels == {"DNA": PlaneSource(tmp_path / "img/a.tif")}
    assert image_set.labels == {"Cells": PlaneSource(tmp_path / "c.tif")}
    assert image_set.metadata == {"Well": "A01"}


def test_columns_without_a_name(tmp_path, caplog):
    """Spreadsheets leave empty columns, and cells beyond the header."""
    (image_set,) = find_image_sets(table(tmp_path, "FileName_DNA,,Metadata_Well,,\na.tif,,A01,,,,\n"))
    assert (list(image_set.channels), image_set.metadata) == (["DNA"], {"Well": "A01"})
    assert not caplog.records
    find_image_sets(table(tmp_path, "FileName_DNA,,Metadata_Well\na.tif,B,A01\n"))
    assert "columns without a name are not used, though they hold values: number 2" in caplog.text


def test_columns_that_are_not_used(tmp_path, caplog):
    sets = find_image_sets(table(tmp_path, "FileName_DNA,Well,Metadata_Site,Compound\na.tif,A01,1,x\n"))
    assert sets[0].metadata == {"Site": 1}
    assert "2 columns are not used (Well, Compound); a column is kept if its name begins with Metadata_" in caplog.text


def test_the_thousands_of_columns_that_cellprofiler_writes_are_not_all_named(tmp_path, caplog):
    names = [f"Microsnoop_E{index:03d}_DNA" for index in range(256)]
    find_image_sets(table(tmp_path, f"FileName_DNA,{','.join(names)}\na.tif{',0' * 256}\n"))
    assert f"256 columns are not used ({', '.join(names[:5])}, ...)" in caplog.text


def test_compressed_and_parquet(tmp_path):
    content = "FileName_DNA,Metadata_Plate,Metadata_Site,Metadata_Dose\na.tif,007,1,0.5\nb.tif,008,2,\n"
    (tmp_path / "LoadData.csv.gz").write_bytes(gzip.compress(content.encode()))
    frame = pd.read_csv(io.StringIO(content), dtype={"Metadata_Plate": str})
    frame.to_parquet(tmp_path / "LoadData.parquet")
    compressed, parquet = (find_image_sets(tmp_path / f"LoadData.{kind}") for kind in ("csv.gz", "parquet"))
    assert compressed == parquet == find_image_sets(table(tmp_path, content))
    assert [s.metadata for s in parquet] == [
        {"Plate": "007", "Site": 1, "Dose": "0.5"},
        {"Plate": "008", "Site": 2, "Dose": ""},
    ]
    for kind, message in (
        ("csv.gz", "is damaged, or not compressed by gzip"),
        ("parquet", "is damaged, or no Parquet"),
    ):
        (tmp_path / f"LoadData.{kind}").write_bytes((tmp_path / f"LoadData.{kind}").read_bytes()[:40])
        with pytest.raises(InputError, match=message):
            find_image_sets(tmp_path / f"LoadData.{kind}")


def test_names_in_the_other_form_of_unicode(tmp_path):
    touch(tmp_path, "o\u0308fen/Zellko\u0308rper.tif")
    content = "FileName_DNA,PathName_DNA\nZellk\u00f6rper.tif,\u00f6fen\n"
    sets = find_image_sets(table(tmp_path, content))
    assert np.array_equal(read(sets, ["DNA"])[0][0], SMALL_PLANES[0])


def test_one_file_for_several_channels_is_said(tmp_path, caplog):
    find_image_sets(table(tmp_path, "FileName_A,FileName_B,Frame_B\na.tif,a.tif,1\nb.tif,a.tif,2\n"))
    assert not caplog.records
    find_image_sets(table(tmp_path, "FileName_A,FileName_B\na.tif,a.tif\nb.tif,c.tif\n"))
    assert "the same plane is measured twice in 1 cases" in caplog.text
    assert "as A of image set 1 and B of image set 1" in caplog.text


@pytest.mark.parametrize("name", ["a #1.tif", "b%20c.tif", "d?e.tif", "f [1] \u00e4.tif"])
def test_special_characters_in_file_addresses(tmp_path, name):
    """CellProfiler quotes them, people do not."""
    folder = tmp_path / "x#1 %20"
    touch(folder, name)
    rows = [f'"{url}"\n' for url in ((folder / name).as_uri(), f"file:{folder / name}", f"file://{folder / name}")]
    (tmp_path / "a.csv").write_text("URL_DNA\n" + "".join(rows))
    for image_set in find_image_sets(tmp_path / "a.csv"):
        assert image_set.channels["DNA"].path == folder / name


def test_numbers_as_cellprofiler_and_tables_with_blanks_write_them(tmp_path, caplog):
    """CellProfiler writes Channel_ -1 for a gray plane; pandas writes whole numbers beside a blank as 1.0."""
    caplog.set_level("INFO")
    touch(tmp_path, "a.tif", "b.tif")
    header = "ImageNumber,FileName_DNA,Series_DNA,Frame_DNA,Channel_DNA\n"
    (tmp_path / "a.csv").write_text(header + "7.0,a.tif,0.0,0,-1\n8.0,b.tif,,0.0,-1\n")
    sets = find_image_sets(tmp_path / "a.csv")
    assert [image_set.number for image_set in sets] == [7, 8]
    assert np.array_equal(np.concatenate(read(sets, ["DNA"])), SMALL_PLANES[:2])
    assert "color" not in caplog.text


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
    "short row": ("FileName_A,FileName_B\na,b\n\nc\n", "line 4: 1 value for 2 columns"),
    "long row": ("FileName_A\na\nb,c\n", "line 3: 2 values for 1 column"),
    "semicolons": ("FileName_A;FileName_B\na;b\n", "is separated by semicolons or tabs: save it with commas"),
    "address of OMERO": (
        "URL_A\nomero:iid=3\n",
        "line 2, column URL_A: omero: addresses cannot be read; use file:, s3:",
    ),
    "address of nothing": (
        "FileName_A,ObjectsURL_N\na,abc://x/a.tif\n",
        "line 2, column ObjectsURL_N: 'abc://x/a.tif': abc: is no known store",
    ),
    "frame that is no number": ("FileName_A,Frame_A\na,two\n", "line 2, column Frame_A: 'two' is not a plane number"),
    "negative frame": ("FileName_A,Frame_A\na,-1\n", "column Frame_A: '-1' is not a plane number"),
    "ImageNumber that is no number": ("ImageNumber,FileName_A\nx,a\n", "line 2: ImageNumber is 'x', not a number"),
    "ImageNumber in superscript": ("ImageNumber,FileName_A\n²,a\n", "line 2: ImageNumber is '²', not a number"),
    "duplicate ImageNumber": ("ImageNumber,FileName_A\n4,a\n4,b\n", "2 rows have the ImageNumber 4"),
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


def test_doubled_files_and_rows_are_named(tmp_path, caplog):
    touch(tmp_path, "a.tif", "b.tif")
    content = "FileName_AGP,FileName_Mito,Metadata_Well\na.tif,a.tif,A01\nb.tif,,A02\nb.tif,,A03\n"
    find_image_sets(table(tmp_path, content))
    (message,) = [record.getMessage() for record in caplog.records]
    assert f"measured twice in 2 cases: '{tmp_path / 'a.tif'}' as AGP of A01 and Mito of A01; " in message
    assert message.endswith("as AGP of A02 and AGP of A03")
    caplog.clear()
    find_image_sets(table(tmp_path, "FileName_AGP,Metadata_Well\na.tif,A01\nb.tif,A01\n"))
    assert "same metadata in 1 cases, such as Well A01 (image sets 1, 2): are rows doubled" in caplog.text
    caplog.clear()
    find_image_sets(table(tmp_path, "FileName_A,Frame_A,FileName_B,Frame_B,Metadata_Well\na.tif,0,a.tif,1,A01\n"))
    assert not caplog.records


@pytest.mark.skipif(os.name == "nt", reason="there these are paths")
@pytest.mark.parametrize(
    "row",
    ["a.tif,C:\\data\\P1,", "a.tif,d:/data,", "a.tif,\\\\server\\share\\P1,", ",,file:///C:/data/a.tif", ",,C:\\a.tif"],
)
def test_paths_of_windows_are_refused_elsewhere(tmp_path, row):
    """CellProfiler wrote the table on another computer."""
    path = table(tmp_path, f"FileName_DNA,PathName_DNA,URL_DNA\n{row}\n")
    with pytest.raises(InputError, match=r"line 2, column (PathName|URL)_DNA: '.*' is a path of Windows: write where"):
        find_image_sets(path)
