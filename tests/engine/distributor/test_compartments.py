"""Cells, nuclei and cytoplasm of three runs become one row per cell."""

import numpy as np
import pandas as pd
import pytest
import tifffile
from screens import write_screen

from microsnoop_engine import CropSettings
from microsnoop_engine.cli.main import main
from microsnoop_engine.distributor.compartments import combine_compartments
from microsnoop_engine.distributor.run import profile
from microsnoop_engine.errors import ImageError, InputError
from microsnoop_engine.tables.features import select_features
from microsnoop_engine.tables.formats import open_table

SETS = ("Cells", "Nuclei", "Cytoplasm")


def draw(number):
    """Four cells, numbered otherwise than their nuclei; the second has two nuclei, the third none; a stray nucleus."""
    cells, nuclei = np.zeros((2, 64, 96), np.uint16)
    for place, label in enumerate((7, 3, 5, 2)):
        cells[4:28, 4 + 22 * place : 22 + 22 * place] = label
    nuclei[10:16, 8:14] = 4 + number
    nuclei[8:12, 28:32], nuclei[14:22, 30:40] = 11, 12
    nuclei[12:20, 74:84] = 1
    nuclei[40:46, 40:46] = 20
    return {"Cells": cells, "Nuclei": nuclei, "Cytoplasm": np.where(nuclei > 0, 0, cells)}


@pytest.fixture(scope="module")
def runs(tmp_path_factory, embedder):
    folder = tmp_path_factory.mktemp("compartments")
    files = {f"ObjectsFileName_{name}": [f"{name}{n}.tif" for n in range(2)] for name in SETS}
    path = write_screen(folder, 2, size=96, **files)
    random = np.random.default_rng(0)
    for number in range(2):
        for name, labels in draw(number).items():
            tifffile.imwrite(folder / f"{name}{number}.tif", labels)
        for channel in ("DNA", "GFP"):
            tifffile.imwrite(folder / f"{channel}{number}.tif", random.integers(0, 4000, (64, 96)).astype(np.uint16))
    for name in SETS:
        settings = CropSettings(rescale_constant=0.6, diameter=20)
        profile(path, folder / name, settings, objects=name, embedder=embedder)
    return folder


def test_rows_of_the_first_folder_are_chosen(runs, tmp_path, capsys):
    out = tmp_path / "cells.parquet"
    folders = [str(runs / name) for name in ("Cells", "Nuclei")]
    assert main(["combine", *folders, "--match", "overlap", "--where", "ObjectNumber > 2", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert f"2 rows of {runs / 'Cells'} without a partner among the chosen rows, left out" in printed
    assert pd.read_parquet(out)["Nuclei_Number_Object_Number"].tolist() == [12, 4, 12, 5]


def test_one_row_per_cell(runs, tmp_path, capsys):
    out = tmp_path / "cells.parquet"
    folders = [str(runs / name) for name in SETS]
    assert main(["combine", *folders, "--match", "overlap", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert f"2 rows of {runs / 'Cells'} without a partner" in printed
    assert f"4 rows of {runs / 'Nuclei'} without a partner" in printed
    frame = pd.read_parquet(out)
    assert list(
        zip(frame["ImageNumber"], frame["ObjectNumber"], frame["Nuclei_Number_Object_Number"], strict=True)
    ) == [
        *((1, 2, 1), (1, 3, 12), (1, 7, 4)),
        *((2, 2, 1), (2, 3, 12), (2, 7, 5)),
    ]
    assert (frame["Cytoplasm_Number_Object_Number"] == frame["ObjectNumber"]).all()
    nuclei = open_table(runs / "Nuclei")
    whole = pd.concat(nuclei.chunks()).set_index(["ImageNumber", "ObjectNumber"])
    features = [name for name in whole if "_Microsnoop_" in name or "_Location_" in name]
    keys = pd.MultiIndex.from_frame(frame[["ImageNumber", "Nuclei_Number_Object_Number"]])
    np.testing.assert_array_equal(frame[features], whole.loc[keys, features])
    assert len(select_features(open_table(out), "all")) == 3 * len(select_features(nuclei, "all"))
    assert open_table(out).provenance == tuple(open_table(runs / name).provenance[0] for name in SETS)


def test_what_does_not_belong_together_is_refused(runs, tmp_path, embedder):
    cells, nuclei = runs / "Cells", runs / "Nuclei"
    with pytest.raises(InputError, match="object sets Cells, Cells: give each its own name"):
        combine_compartments([cells, cells])
    with pytest.raises(InputError, match="is no results folder"):
        combine_compartments([cells, tmp_path])
    turned = (runs / "LoadData.csv").read_text().splitlines()
    (runs / "turned.csv").write_text("\n".join([turned[0], turned[2], turned[1]]))
    settings = CropSettings(rescale_constant=0.6, diameter=20)
    profile(runs / "turned.csv", tmp_path / "turned", settings, objects="Nuclei", embedder=embedder)
    with pytest.raises(InputError, match="ImageNumber 1 is another image"):
        combine_compartments([cells, tmp_path / "turned"])
    before = (runs / "Nuclei1.tif").read_bytes()
    tifffile.imwrite(runs / "Nuclei1.tif", np.where(draw(1)["Nuclei"] == 12, 0, draw(1)["Nuclei"]))
    with pytest.raises(ImageError, match=r"lacks 12, which .* measured: measure it again"):
        combine_compartments([cells, nuclei])
    (runs / "Nuclei1.tif").write_bytes(before)


def test_labels_that_a_run_segmented_and_saved(tmp_path, embedder):
    """Segmented twice: each nucleus is its own partner."""
    path = write_screen(tmp_path, 1)
    y, x = np.mgrid[:96, :96]
    image = sum(3000 * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / 60) for cy, cx in ((30, 30), (60, 65)))
    tifffile.imwrite(tmp_path / "DNA0.tif", (100 + image + np.random.default_rng(0).normal(0, 5, y.shape)).astype("u2"))
    settings = CropSettings(diameter=20)
    for name in ("Nuclei", "Spots"):
        options = {"segment": "nuclei", "segment_channel": "DNA", "objects": name, "save_labels": True}
        profile(path, tmp_path / name, settings, embedder=embedder, **options)
    result = combine_compartments([tmp_path / "Nuclei", tmp_path / "Spots"])
    assert len(result.frame) == 2
    assert result.unmatched == (0, 0)
    assert (result.frame["Spots_Number_Object_Number"] == result.frame["ObjectNumber"]).all()
    options |= {"objects": "Blobs", "save_labels": False}
    profile(path, tmp_path / "Blobs", settings, embedder=embedder, **options)
    with pytest.raises(InputError, match="names no label images of Blobs: run the same profile again"):
        combine_compartments([tmp_path / "Nuclei", tmp_path / "Blobs"])


def test_the_number_of_tables(runs, capsys):
    folders = [str(runs / name) for name in SETS]
    assert main(["combine", *folders]) == 1
    assert "3 tables: name two, or join several object sets by --match overlap" in capsys.readouterr().err
    assert main(["combine", folders[0], "--match", "overlap"]) == 1
    assert "name two results folders or more" in capsys.readouterr().err
    assert main(["combine", *folders, "--match", "overlap", "--on", "ImageNumber"]) == 1
    assert "does not go with --match overlap, which joins results folders" in capsys.readouterr().err
