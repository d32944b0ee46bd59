"""Test training and classifying with tables, and the file of a classifier."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from labeled_cells import FEATURES, draw_cells, write_cells
from screens import write_screen

from microsnoop_engine import CropSettings
from microsnoop_engine.classification.application import apply_to_table
from microsnoop_engine.classification.model_file import load_classifier
from microsnoop_engine.classification.training import train_on_table
from microsnoop_engine.distributor.run import profile
from microsnoop_engine.errors import InputError
from microsnoop_engine.tables.aggregation import aggregate
from microsnoop_engine.tables.formats import open_table, write_table
from microsnoop_engine.tables.provenance import Computed, Handcrafted
from microsnoop_engine.tables.source import read_frame

KEYS = ["ImageNumber", "ObjectNumber"]


@pytest.fixture
def screen(tmp_path):
    """A table of cells, the labels of half of its wells, and the classes of all cells."""
    frame, classes = draw_cells()
    table = write_cells(tmp_path / "cells.parquet", frame)
    path = tmp_path / "labels.csv"
    frame[KEYS].assign(Label=classes)[:100].to_csv(path, index=False)
    return table, path, classes


def test_cells_of_other_wells_are_classified(screen, tmp_path):
    table, labels, classes = screen
    training = train_on_table(table, [labels], out=tmp_path / "model.safetensors")
    assert (training.unit, training.units) == ("wells", 5)
    assert training.validation.confusion.sum() == 100
    result = apply_to_table(table, tmp_path / "model.safetensors")
    right = result.frame.Metadata_Class.to_numpy()[100:] == classes[100:]
    assert right.mean() > 0.9
    assert right.mean() == pytest.approx(np.diag(training.validation.confusion).sum() / 100, abs=0.08)
    assert not set(FEATURES) & set(result.frame)


def test_the_file_gives_the_same_probabilities(screen, tmp_path):
    table, labels, _ = screen
    model = train_on_table(table, [labels], out=tmp_path / "model.safetensors").model
    loaded = load_classifier(tmp_path / "model.safetensors")
    assert loaded.features == model.features == tuple(FEATURES)
    assert loaded.network == (Computed("net 0123456789abcdef", "float32"),)
    values = np.random.default_rng(0).normal(size=(5, 12))
    assert (loaded.classifier.probabilities(values) == model.classifier.probabilities(values)).all()


def test_rows_with_missing_features_have_no_class_and_are_counted(screen, tmp_path):
    table, labels, _ = screen
    model = train_on_table(table, [labels]).model
    frame = draw_cells()[0]
    frame.loc[[0, 3], FEATURES[4]] = np.nan
    result = apply_to_table(write_cells(tmp_path / "gaps.parquet", frame), model)
    assert result.unclassified == 2
    assert result.frame.Metadata_Class.isna().to_numpy().nonzero()[0].tolist() == [0, 3]
    first = result.counts[result.counts.Metadata_Well == "A01"]
    assert first.Unclassified.tolist() == [2, 2]
    assert first.Cells.sum() == 18 == first.Classified.iloc[0]
    assert first.Share.sum() == pytest.approx(1)
    assert (first.Low <= first.Share).all()
    assert (first.Share <= first.High).all()


def test_labeled_rows_with_missing_features_are_counted(screen, tmp_path):
    _, labels, _ = screen
    frame = draw_cells()[0]
    frame.loc[[0, 150], FEATURES[4]] = np.nan
    training = train_on_table(write_cells(tmp_path / "gaps.parquet", frame), [labels])
    assert training.incomplete == 1
    assert training.validation.confusion.sum() == 99


def test_another_network_is_refused(screen, tmp_path, caplog):
    table, labels, _ = screen
    model = train_on_table(table, [labels]).model
    frame = draw_cells()[0]
    other = write_cells(tmp_path / "other.parquet", frame, "base fedcba9876543210")
    with pytest.raises(InputError, match=r"base \(fedcba987654\), the classifier was trained on net \(0123456789ab\)"):
        apply_to_table(other, model)
    apply_to_table(write_cells(tmp_path / "half.parquet", frame, precision="bfloat16"), model)
    assert "was measured in bfloat16" in caplog.text
    frame.to_csv(tmp_path / "cells.csv", index=False)
    apply_to_table(tmp_path / "cells.csv", model)
    assert "does not say which weights measured it" in caplog.text


def test_handcrafted_features_of_another_program_are_refused(screen, tmp_path, caplog):
    _, labels, _ = screen
    areas = {name: f"Nuclei_AreaShape_{name[-7:-4]}" for name in FEATURES}
    frame = draw_cells()[0].rename(columns=areas)
    made = {
        name: (Handcrafted(name), Computed("net 0123456789abcdef", "float32"))
        for name in ("cp_measure 0.3.0", "CellProfiler 4.2.8.1")
    }
    paths = [
        write_table(frame, tmp_path / f"{number}.parquet", [*areas.values()], provenance=by)
        for number, by in enumerate(made.values())
    ]
    model = train_on_table(paths[0], [labels], features="classical").model
    assert model.network == (Handcrafted("cp_measure 0.3.0"),)
    apply_to_table(paths[0], model)
    assert "does not say" not in caplog.text
    with pytest.raises(
        InputError,
        match=r"measured with CellProfiler, the classifier was trained on cp_measure: measure with the same program",
    ):
        apply_to_table(paths[1], model)
    frame.to_csv(tmp_path / "cells.csv", index=False)
    apply_to_table(tmp_path / "cells.csv", model)
    assert "does not say which program measured it; the classifier is for cp_measure" in caplog.text


@pytest.fixture(scope="module")
def crops(tmp_path_factory, embedder):
    """Real runs of the same image sets, with a label in the list of images."""
    folder = tmp_path_factory.mktemp("crops")
    path = write_screen(folder, 8, Metadata_Kind=[f"kind{number % 2}" for number in range(8)])
    settings = {"first": {}, "object": {"mask": "object"}, "near": {"diameter": 20.5}, "far": {"diameter": 30}}
    for name, own in settings.items():
        profile(path, folder / name, CropSettings(**{"diameter": 20, **own}), embedder=embedder)
    return folder


def test_objects_cropped_in_another_way_are_refused(crops, tmp_path, caplog):
    """Also after averaging, and in formats without metadata of their own."""
    aggregate(crops / "first", out=tmp_path / "wells.csv")
    wells = train_on_table(tmp_path / "wells.csv", label="Metadata_Kind", out=tmp_path / "wells.safetensors").model
    cells = train_on_table(crops / "first", label="Metadata_Kind", out=tmp_path / "cells.safetensors").model
    assert wells.network == cells.network == load_classifier(tmp_path / "cells.safetensors").network
    for model in (tmp_path / "wells.safetensors", tmp_path / "cells.safetensors"):
        with pytest.raises(InputError, match=r"`mask` is object, but the classifier was .* box: measure with the same"):
            apply_to_table(crops / "object", model)
    caplog.clear()
    apply_to_table(crops / "near", cells)
    assert not caplog.records
    apply_to_table(crops / "far", cells)
    assert "typical diameter of 30 pixels, the table that the classifier was trained on with 20" in caplog.text


def test_a_table_of_an_earlier_version_does_not_say_its_crops(crops, tmp_path, caplog):
    cells = train_on_table(crops / "first", label="Metadata_Kind").model
    source = open_table(crops / "first")
    earlier = tuple(replace(computed, crops="") for computed in source.provenance)
    write_table(read_frame(source), tmp_path / "cells.parquet", [], provenance=earlier)
    caplog.clear()
    apply_to_table(tmp_path / "cells.parquet", cells)
    assert "does not say how its Nuclei were cropped; the classifier is for mode cells, rescale_constant" in caplog.text
    caplog.clear()
    apply_to_table(crops / "first", replace(cells, network=earlier))  # a classifier of an earlier version
    assert not caplog.records


def test_words_among_the_features_are_named(screen, tmp_path):
    table, labels, _ = screen
    model = train_on_table(table, [labels]).model
    frame = draw_cells()[0].astype(object)
    frame.loc[3, FEATURES[2]] = "#DIV/0!"
    frame.to_csv(tmp_path / "excel.csv", index=False)
    with pytest.raises(InputError, match=f"column {FEATURES[2]}: '#DIV/0!' in data row 4 is no number"):
        apply_to_table(tmp_path / "excel.csv", model)


def test_missing_features_are_named(screen, tmp_path):
    table, labels, _ = screen
    model = train_on_table(table, [labels]).model
    frame = draw_cells()[0].rename(columns={FEATURES[0]: "Nuclei_Microsnoop_E000_GFP"})
    with pytest.raises(InputError, match=r"lacks 1 of the 12 features .*E000_DNA.* it has Nuclei_Microsnoop_E000_GFP"):
        apply_to_table(write_cells(tmp_path / "other.parquet", frame), model)


def test_features_of_another_scale_are_warned_of(screen, tmp_path, caplog):
    table, labels, _ = screen
    model = train_on_table(table, [labels]).model
    apply_to_table(table, model)
    assert "standard deviations" not in caplog.text
    frame = draw_cells()[0]
    frame[FEATURES] *= 20
    apply_to_table(write_cells(tmp_path / "sphered.parquet", frame), model)
    assert "was one of the two tables normalized or sphered" in caplog.text


def test_a_class_of_a_single_well_is_scored_by_images_or_cells_with_a_warning(screen, tmp_path, caplog):
    table, _, classes = screen
    frame = draw_cells()[0][KEYS].assign(Label=classes)[:20]
    frame.to_csv(tmp_path / "one_well.csv", index=False)
    training = train_on_table(table, [tmp_path / "one_well.csv"])
    assert training.unit == "cells"
    assert "a class has labels in one of the wells only" in caplog.text


def test_a_column_of_groups_is_taken_and_checked(screen):
    table, labels, _ = screen
    assert train_on_table(table, [labels], groups="Metadata_Well").unit == "Metadata_Well"
    with pytest.raises(InputError, match="`groups`: a class lies in a single 'Metadata_Plate'"):
        train_on_table(table, [labels], groups="Metadata_Plate")
    with pytest.raises(InputError, match="no column 'Metadata_Donor'"):
        train_on_table(table, [labels], groups="Metadata_Donor")


def test_labels_of_a_column_of_the_table(screen, tmp_path):
    _, _, classes = screen
    frame, _ = draw_cells()
    frame["Metadata_ROI_Group"] = np.where(np.arange(len(frame)) < 60, classes, "")
    training = train_on_table(write_cells(tmp_path / "rois.parquet", frame), label="Metadata_ROI_Group")
    assert training.validation.classes == ("interphase", "mitotic")
    assert training.validation.confusion.sum() == 60


def test_files_that_are_no_classifier_are_refused(screen, tmp_path):
    table, labels, _ = screen
    with pytest.raises(InputError, match="there is no classifier"):
        apply_to_table(table, tmp_path / "none.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(InputError, match="holds no classifier"):
        apply_to_table(table, tmp_path / "bad.safetensors")
    with pytest.raises(InputError, match=r"ends in \.safetensors"):
        train_on_table(table, [labels], out=tmp_path / "model.pickle")


def test_classes_that_are_there_already_are_replaced(screen, tmp_path, caplog):
    table, labels, _ = screen
    model = train_on_table(table, [labels]).model
    frame = draw_cells()[0].assign(Metadata_Class="old")
    result = apply_to_table(write_cells(tmp_path / "old.parquet", frame), model)
    assert set(result.frame.Metadata_Class) == {"interphase", "mitotic"}
    assert "has classes already (Metadata_Class)" in caplog.text


def test_the_files_of_the_result(screen, tmp_path):
    table, labels, _ = screen
    model = train_on_table(table, [labels]).model
    apply_to_table(table, model, out=tmp_path / "classes.csv", counts=tmp_path / "counts.csv")
    assert len(pd.read_csv(tmp_path / "classes.csv")) == 200
    counts = pd.read_csv(tmp_path / "counts.csv")
    assert counts.groupby("Metadata_Well").Cells.sum().eq(20).all()
