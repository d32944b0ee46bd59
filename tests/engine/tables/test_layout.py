"""Arrays as rows of a table: their columns, and arrays that do not fit."""

import numpy as np
import pyarrow as pa
import pytest

from microsnoop_engine.errors import InputError
from microsnoop_engine.tables.layout import Layout, metadata_types

LAYOUT = Layout("Nuclei", ("DNA", "GFP"), {"Well": str, "Dose": float}, dimension=2)
ROWS = {
    "features": np.arange(12, dtype=np.float32).reshape(3, 4),
    "image_number": np.array([1, 1, 2]),
    "metadata": {"Well": ["A01", 7, None], "Dose": [1, None, 0.5]},
    "object_number": np.array([1, 2, 1]),
    "center": np.array([[10.5, 20], [11, 21], [12, 22]]),
    "box": np.array([[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]),
    "border": np.array([True, False, False]),
}


def test_rows_of_objects():
    batch = LAYOUT.rows(**ROWS)
    assert batch.schema == LAYOUT.schema()
    assert batch.slice(1, 1).to_pylist() == [
        {
            "Metadata_Well": "7",
            "Metadata_Dose": None,
            "ImageNumber": 1,
            "ObjectNumber": 2,
            "Nuclei_Location_Center_X": 21,
            "Nuclei_Location_Center_Y": 11,
            "Metadata_Crop_MinX": 6,
            "Metadata_Crop_MinY": 5,
            "Metadata_Crop_MaxX": 8,
            "Metadata_Crop_MaxY": 7,
            "Metadata_Object_TouchesBorder": 0,
            "Nuclei_Microsnoop_E000_DNA": 4,
            "Nuclei_Microsnoop_E001_DNA": 5,
            "Nuclei_Microsnoop_E000_GFP": 6,
            "Nuclei_Microsnoop_E001_GFP": 7,
        }
    ]


def test_rows_of_whole_images():
    layout = Layout("Image", ("DNA",), {}, dimension=2)
    batch = layout.rows(np.ones((2, 2), np.float32), np.array([4, 5]), {})
    assert pa.Table.from_batches([batch]).to_pydict() == {
        "ImageNumber": [4, 5],
        "Image_Microsnoop_E000_DNA": [1, 1],
        "Image_Microsnoop_E001_DNA": [1, 1],
    }


def test_arrays_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="other lengths than its 3 rows"):
        LAYOUT.rows(**{**ROWS, "image_number": np.array([1])})
    with pytest.raises(InputError, match="rows of objects need `object_number`, `center`, `box` and `border`"):
        LAYOUT.rows(**{**ROWS, "box": None})


def test_metadata_of_mixed_kinds_are_text():
    assert metadata_types([{"A": 1, "B": 1, "C": True, "D": 2.5}, {"A": "x", "B": 2.5, "C": False}]) == {
        "A": str,
        "B": str,
        "C": str,
        "D": float,
    }


NUCLEI = Layout("Nuclei", ("DNA", "GFP"), {"Well": str, "Site": int, "Dose": float}, dimension=4)


def test_columns():
    """The names that CellProfiler users know, in their order, with types that keep what they hold."""
    assert [(field.name, str(field.type)) for field in NUCLEI.schema()] == [
        ("Metadata_Well", "string"),
        ("Metadata_Site", "int64"),
        ("Metadata_Dose", "double"),
        ("ImageNumber", "int64"),
        ("ObjectNumber", "int64"),
        ("Nuclei_Location_Center_X", "float"),
        ("Nuclei_Location_Center_Y", "float"),
        ("Metadata_Crop_MinX", "int32"),
        ("Metadata_Crop_MinY", "int32"),
        ("Metadata_Crop_MaxX", "int32"),
        ("Metadata_Crop_MaxY", "int32"),
        ("Metadata_Object_TouchesBorder", "int8"),
        *((f"Nuclei_Microsnoop_E00{n}_{channel}", "float") for channel in ("DNA", "GFP") for n in range(4)),
    ]


def test_columns_of_whole_images():
    names = Layout("Image", ("DNA",), {}, dimension=2).schema().names
    assert names == ["ImageNumber", "Image_Microsnoop_E000_DNA", "Image_Microsnoop_E001_DNA"]
