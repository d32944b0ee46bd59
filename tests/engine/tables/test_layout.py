"""Test the columns of a table of embeddings."""

from microsnoop_engine.tables.layout import Layout

LAYOUT = Layout("Nuclei", ("DNA", "GFP"), {"Well": str, "Site": int, "Dose": float}, dimension=4)


def test_columns():
    """The names that CellProfiler users know, in their order, with types that keep what they hold."""
    assert [(field.name, str(field.type)) for field in LAYOUT.schema()] == [
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
