"""Features are what the file or its names declare, not what happens to be numeric."""

import numpy as np
import pandas as pd
import pytest

from microsnoop_engine.errors import InputError
from microsnoop_engine.tables.evaluation import evaluate
from microsnoop_engine.tables.features import select_features
from microsnoop_engine.tables.source import TableSource, in_memory

DEEP = [f"Nuclei_Microsnoop_E{k:03d}_DNA" for k in range(4)]


def objects(images=6, each=5):
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(images * each, 4)), columns=DEEP)
    numbers = {"ImageNumber": np.repeat(np.arange(images), each), "ObjectNumber": np.tile(np.arange(each), images)}
    return frame.assign(**numbers)


@pytest.mark.parametrize(
    "name",
    [
        *("is_control", "index", "concentration", "dose_uM", "Row", "cluster", "leiden", "umap_1", "Plate", "label"),
        *("Cell_Count", "Cells_ID", "Nuclei_Label", "Cell_Line"),
    ],
)
def test_numbers_that_nothing_declares_are_no_features(caplog, name):
    frame = objects().assign(**{name: 1, "flag": True})
    assert select_features(in_memory(frame)) == DEEP
    assert name in caplog.text
    assert "flag" not in caplog.text
    assert select_features(in_memory(frame), [*DEEP, name]) == [*DEEP, name]
    with pytest.raises(InputError, match=r"no features \(all\).*choose numeric columns with `features`"):
        select_features(in_memory(frame.drop(columns=DEEP)))


@pytest.mark.parametrize(
    "name",
    [
        "Nuclei_AreaShape_Area",
        "AreaShape_Area",
        "Texture_Contrast_DNA_3_00_256",
        "Spots_Roundness",
        "Cells_Mean",
        "PC1",
    ],
)
def test_names_of_cellprofiler_are_features(name):
    frame = objects().assign(**{name: np.arange(30.0), "Spots_Number_Object_Number": 1})
    assert select_features(in_memory(frame), "classical") == [name]


def test_learned_features_need_no_name_of_their_objects(caplog):
    bare = [name.removeprefix("Nuclei_") for name in DEEP]
    frame = objects().rename(columns=dict(zip(DEEP, bare, strict=True)))
    assert select_features(in_memory(frame.assign(AreaShape_Area=np.arange(30.0))), "microsnoop") == bare
    assert select_features(in_memory(frame)) == bare
    assert not caplog.text


@pytest.mark.parametrize(
    "name",
    [
        "Cells_Neighbors_FirstClosestObjectNumber_Adjacent",
        "Neighbors_SecondClosestObjectNumber_10",
        "Nuclei_TrackObjects_Label_50",
        "Nuclei_TrackObjects_ParentObjectNumber_50",
        "Cytoplasm_ObjectNumber",
        "Cells_ImageNumber",
        "Nuclei_AreaShape_BoundingBoxMaximum_X",
        "Nuclei_Location_CenterMassIntensity_X_DNA",
    ],
)
def test_numbers_of_objects_and_their_positions_are_no_features(name):
    """Objects are numbered from top to bottom: their numbers tell place and count."""
    frame = objects().assign(**{name: np.arange(30.0)})
    assert select_features(in_memory(frame)) == DEEP


@pytest.mark.parametrize("name", ["Nuclei_AreaShape_BoundingBoxArea", "Nuclei_Neighbors_NumberOfNeighbors_10"])
def test_sizes_and_numbers_of_neighbors_are_features(name):
    frame = objects().assign(**{name: np.arange(30.0)})
    assert select_features(in_memory(frame)) == [*DEEP, name]


@pytest.mark.parametrize("value", ["1,5", ["a", "list"], "high"])
def test_features_of_words_are_left_out_by_name(caplog, value):
    frame = objects().assign(Nuclei_AreaShape_Area=pd.Series([value] * 30))
    assert select_features(in_memory(frame)) == DEEP
    assert "1 column named as features but without numbers, left out: Nuclei_AreaShape_Area" in caplog.text


def test_truth_values_are_no_features():
    frame = objects().assign(Nuclei_IsControl=True)
    assert select_features(in_memory(frame)) == DEEP
    assert select_features(in_memory(frame), "Nuclei_.*") == DEEP


def test_a_file_that_declares_its_features_is_believed():
    frame = objects().assign(gene_1=1.0, concentration=2.0, Nuclei_AreaShape_Area=3.0)
    frame = frame.drop(columns=["ImageNumber"])
    declared = (*DEEP, "gene_1")
    source = TableSource(in_memory(frame).path, tuple(frame), in_memory(frame).read, declared)
    assert select_features(source) == [*DEEP, "gene_1"]
    assert select_features(source, "microsnoop") == DEEP
    assert select_features(source, "classical") == ["gene_1"]
    assert select_features(source, "conc.*") == ["concentration"]


def test_columns_of_the_image_are_no_features_of_its_objects(caplog):
    frame = objects()
    means = frame.groupby("ImageNumber")[DEEP[0]].transform("mean")
    of_image = {f"{name}_E000_DNA": means for name in ("Mean_Nuclei_Microsnoop", "Image_StDev_Nuclei_Microsnoop")}
    of_image |= {"Image_Microsnoop_E000_DNA": means, "Mean_Nuclei_AreaShape_Area": means}
    table = frame.assign(**of_image, Cells_Microsnoop_E000_DNA=means)
    assert select_features(in_memory(table)) == DEEP
    assert "1 feature is equal in all objects of an image and left out (Cells_Microsnoop_E000_DNA)" in caplog.text
    assert select_features(in_memory(table), "Cells.*") == ["Cells_Microsnoop_E000_DNA"]
    wells = table.drop(columns=["ImageNumber", "ObjectNumber"])
    assert len(select_features(in_memory(wells), "microsnoop")) == 8


def test_one_measured_object_per_image_makes_no_feature_one_of_the_image():
    """The other objects of these images could not be measured: their features are missing."""
    frame = objects()
    frame.loc[frame.duplicated("ImageNumber"), DEEP] = np.nan
    assert select_features(in_memory(frame)) == DEEP


def test_a_flag_of_the_label_does_not_leak_into_scores():
    frame = objects(12, 10).assign(Metadata_Role=np.repeat(["a", "b"], 60))
    flagged = frame.assign(is_a=frame["Metadata_Role"].eq("a") * 100)
    assert evaluate(flagged, "Metadata_Role") == evaluate(frame, "Metadata_Role", features=DEEP)
