"""CellProfiler's exports: object sets joined by their parents, and the messages about broken ones."""

import sqlite3

import pandas as pd
import pytest

from microsnoop_engine.errors import InputError
from microsnoop_engine.tables.features import select_features
from microsnoop_engine.tables.formats import open_table


def whole(source, columns=None):
    return pd.concat(list(source.chunks(columns)), ignore_index=True)


IMAGE = pd.DataFrame({"ImageNumber": [1, 2, 3], "Metadata_Well": ["A01", "A02", "A03"], "Count_Nuclei": [2, 0, 1]})
NUCLEI = pd.DataFrame({"ImageNumber": [1, 1, 3], "ObjectNumber": [1, 2, 1], "Texture_1": [0.1, 0.2, 0.3]})
OBJECTS = {
    "Nuclei": NUCLEI.assign(Number_Object_Number=NUCLEI.ObjectNumber),
    # the second cell lies around the first nucleus
    "Cells": NUCLEI.assign(Parent_Nuclei=[2, 1, 1], Texture_1=[1.0, 2.0, 3.0]),
    "Cytoplasm": NUCLEI.assign(Parent_Nuclei=[2, 1, 1], Parent_Cells=[1, 2, 1], Texture_1=[10.0, 20.0, 30.0]),
}


def write_csv_folder(folder, prefix="MyExpt_"):
    IMAGE.to_csv(folder / f"{prefix}Image.csv", index=False)
    for name, table in OBJECTS.items():
        table.assign(Metadata_Well="repeated").to_csv(folder / f"{prefix}{name}.csv", index=False)
    (folder / f"{prefix}Experiment.csv").write_text("Key,Value\nversion,4\n")
    return folder


def write_sqlite(folder, prefix="MyExpt_"):
    path = folder / "screen.sqlite"
    with sqlite3.connect(path) as connection:
        image = IMAGE.rename(columns=lambda name: name if name == "ImageNumber" else f"Image_{name}")
        image.to_sql(f"{prefix}Per_Image", connection, index=False)
        for name, table in OBJECTS.items():
            own = {column: f"{name}_{column}" for column in table.columns if column != "ImageNumber"}
            own["ObjectNumber"] = f"{name}_Number_Object_Number"
            table = table.drop(columns="Number_Object_Number", errors="ignore").rename(columns=own)
            table.sample(frac=1, random_state=1).to_sql(f"{prefix}Per_{name}", connection, index=False)
    return path


@pytest.mark.parametrize("write", [write_csv_folder, write_sqlite])
def test_object_sets_are_joined_by_their_parents(tmp_path, write):
    source = open_table(write(tmp_path))
    table = whole(source).sort_values(["ImageNumber", "ObjectNumber"])
    assert table["Cytoplasm_Texture_1"].tolist() == [10, 20, 30]
    assert table["Cells_Texture_1"].tolist() == [1, 2, 3]
    assert table["Nuclei_Texture_1"].tolist() == [0.2, 0.1, 0.3]
    assert table["Metadata_Well"].tolist() == ["A01", "A01", "A03"]
    assert table["ObjectNumber"].tolist() == [1, 2, 1]
    assert table["Image_Count_Nuclei"].tolist() == [2, 2, 1]
    assert sorted(select_features(source)) == ["Cells_Texture_1", "Cytoplasm_Texture_1", "Nuclei_Texture_1"]
    nuclei = whole(open_table(tmp_path if write is write_csv_folder else source.path, "Nuclei"))
    assert sorted(nuclei["Nuclei_Texture_1"]) == [0.1, 0.2, 0.3]
    assert "Cells_Texture_1" not in nuclei


def test_a_single_table_of_objects(tmp_path):
    with sqlite3.connect(tmp_path / "one.db") as connection:
        IMAGE.assign(TableNumber=7).to_sql("Per_Image", connection, index=False)
        one = NUCLEI.rename(columns={"Texture_1": "Cells_Texture_1"}).assign(TableNumber=7)
        one.to_sql("Per_Object", connection, index=False)
    table = whole(open_table(tmp_path / "one.db"))
    assert table["Cells_Texture_1"].tolist() == [0.1, 0.2, 0.3]
    assert table["Metadata_Well"].tolist() == ["A01", "A01", "A03"]
    assert set(table["TableNumber"]) == {7}


def test_images_without_objects(tmp_path):
    IMAGE.to_csv(tmp_path / "Image.csv", index=False)
    assert whole(open_table(tmp_path))["Metadata_Well"].tolist() == ["A01", "A02", "A03"]


def test_exports_that_do_not_belong_together_are_refused(tmp_path):
    write_csv_folder(tmp_path)
    NUCLEI.to_csv(tmp_path / "MyExpt_Speckles.csv", index=False)
    with pytest.raises(InputError, match=r"Speckles\) are not all parents of one of them"):
        open_table(tmp_path)
    with pytest.raises(InputError, match="has no objects 'Foci'; it has Cells"):
        open_table(tmp_path, "Foci")
    IMAGE.to_csv(tmp_path / "OtherImage.csv", index=False)
    with pytest.raises(InputError, match="holds several CellProfiler exports"):
        open_table(tmp_path)


def test_rows_out_of_order_are_refused(tmp_path):
    IMAGE.to_csv(tmp_path / "Image.csv", index=False)
    NUCLEI[::-1].to_csv(tmp_path / "Nuclei.csv", index=False)
    with pytest.raises(InputError, match="rows of image 1 come after those of image 3: sort the table"):
        whole(open_table(tmp_path))


@pytest.mark.parametrize(
    ("numbers", "where"),
    [([1, 1, None, 3], "a row after image 1"), ([None, 1, 2, 3], "the first row"), ([None] * 4, "the first row")],
)
@pytest.mark.parametrize("kind", ["csv", "sqlite"])
def test_rows_without_an_image_number_are_refused(tmp_path, kind, numbers, where):
    """Grouping by image would lose them without a word."""
    nuclei = pd.DataFrame({"ImageNumber": numbers, "ObjectNumber": [1, 2, 1, 1], "Texture_1": [0.1, 0.2, 0.3, 0.4]})
    path = tmp_path
    if kind == "csv":
        IMAGE.to_csv(tmp_path / "Image.csv", index=False)
        nuclei.to_csv(tmp_path / "Nuclei.csv", index=False)
    else:
        path = tmp_path / "screen.sqlite"
        with sqlite3.connect(path) as connection:
            IMAGE.to_sql("Per_Image", connection, index=False)
            nuclei.to_sql("Per_Nuclei", connection, index=False)
        where = "the first row"  # the database is read sorted by image
    with pytest.raises(InputError, match=rf"', \w+: {where} has no ImageNumber: fill it in, or remove the row"):
        whole(open_table(path))
