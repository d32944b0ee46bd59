"""The table goes into the real pycytominer as it is."""

import numpy as np
import pytest
from pycytominer import aggregate, feature_select, normalize
from pycytominer.cyto_utils import infer_cp_features, load_profiles
from screens import write_screen

from microsnoop_engine import CropSettings
from microsnoop_engine.distributor.job import Job
from microsnoop_engine.distributor.results import write_csv
from microsnoop_engine.distributor.run import run_job
from microsnoop_engine.images.load_data import from_load_data
from microsnoop_engine.tables.columns import feature_columns
from microsnoop_engine.tables.parquet_files import read_table

CHANNELS = ("DNA", "GFP")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, embedder):
    path = tmp_path_factory.mktemp("screen")
    sets = from_load_data(write_screen(path, 24, objects=3))
    run_job(sets, Job(CHANNELS, "Nuclei", CropSettings(rescale_constant=3.0)), embedder, path / "out", part_bytes=1)
    write_csv(path / "out")
    return path / "out"


@pytest.mark.parametrize("name", ["profiles.parquet", "profiles.csv"])
def test_features_and_metadata_are_recognized(folder, name):
    table = load_profiles(str(folder / name))
    features = feature_columns("Nuclei", CHANNELS)
    assert [column for column in infer_cp_features(table) if "_Microsnoop_" in column] == features
    metadata = infer_cp_features(table, metadata=True)
    assert {"Metadata_Plate", "Metadata_Well", "Metadata_Site"} <= set(metadata)
    np.testing.assert_allclose(table[features], read_table(folder).to_pandas()[features], rtol=1e-6)


def test_aggregate_normalize_and_select(folder):
    cells = load_profiles(str(folder / "profiles.parquet"))
    wells = aggregate(cells, strata=["Metadata_Plate", "Metadata_Well"], operation="mean")
    features = feature_columns("Nuclei", CHANNELS)
    mine = cells.groupby(["Metadata_Plate", "Metadata_Well"])[features].mean().reset_index()
    np.testing.assert_allclose(wells[features], mine[features], atol=1e-6)
    scaled = normalize(wells, features=features, meta_features=["Metadata_Plate", "Metadata_Well"])
    np.testing.assert_allclose(scaled[features].mean(), 0, atol=1e-4)
    selected = feature_select(scaled, features=features, operation=["variance_threshold", "drop_na_columns"])
    assert 0 < sum(column in features for column in selected) <= len(features)


def test_whole_images(tmp_path, embedder):
    sets = from_load_data(write_screen(tmp_path, 4))
    run_job(sets, Job(CHANNELS, "Image", CropSettings(mode="image")), embedder, tmp_path / "out")
    table = load_profiles(str(tmp_path / "out" / "profiles.parquet"))
    found = infer_cp_features(table, compartments=["Image"], image_features=True)
    assert [column for column in found if "_Microsnoop_" in column] == feature_columns("Image", CHANNELS)
