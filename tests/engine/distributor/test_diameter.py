"""The typical diameter of a run: found once, the same for all its parts."""

import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from screens import write_screen

from microsnoop_engine import CropSettings
from microsnoop_engine.distributor.diameter import DIAMETER, find_diameter
from microsnoop_engine.distributor.job import Job
from microsnoop_engine.distributor.run import profile, run_job
from microsnoop_engine.distributor.shards import Shard
from microsnoop_engine.errors import ResumeError
from microsnoop_engine.images.load_data import from_load_data
from microsnoop_engine.tables.parquet_files import read_table

JOB = Job(("DNA",), "Nuclei", CropSettings())


@pytest.fixture
def image_sets(tmp_path):
    return from_load_data(write_screen(tmp_path / "screen", 6))


def features(folder):
    table = read_table(folder).to_pandas()
    return table[[name for name in table if "Microsnoop" in name]].to_numpy()


def test_it_is_the_median_of_the_objects(image_sets):
    found = find_diameter(image_sets, JOB)
    assert (found.pixels, found.objects, found.image_sets) == (8.0, 12, 6)


def test_images_enlarged_to_a_pixel_size_have_larger_objects(image_sets):
    assert find_diameter([replace(each, scale=2.0) for each in image_sets], JOB).pixels == 16


def test_a_run_measures_as_with_that_diameter_and_says_so(image_sets, tmp_path, embedder, caplog):
    caplog.set_level("INFO")
    profile(image_sets, tmp_path / "auto", channels=["DNA"], embedder=embedder)
    profile(image_sets, tmp_path / "told", CropSettings(diameter=8), channels=["DNA"], embedder=embedder)
    assert np.array_equal(features(tmp_path / "auto"), features(tmp_path / "told"))
    assert "crops are resized by 4: the typical diameter is 8 pixels (median of 12 in 6 image sets)" in caplog.text
    assert json.loads((tmp_path / "auto" / DIAMETER).read_text())["pixels"] == 8
    assert not (tmp_path / "told" / DIAMETER).exists()


def test_a_continued_run_keeps_its_diameter(image_sets, tmp_path, embedder):
    """Though the image sets that were added would change it."""
    run_job(image_sets, JOB, embedder, tmp_path / "out")
    larger = from_load_data(write_screen(tmp_path / "screen", 40, objects=4))
    summary = run_job(larger, JOB, embedder, tmp_path / "out")
    assert summary.job.settings.diameter == 8
    (tmp_path / "out" / DIAMETER).write_text('{"pixels": 10, "objects": 3, "image_sets": 1}')
    with pytest.raises(ResumeError):
        run_job(larger, JOB, embedder, tmp_path / "out")
    (tmp_path / "out" / DIAMETER).write_text("{")
    with pytest.raises(ResumeError, match="is damaged: delete it, and the typical diameter is found again"):
        run_job(larger, JOB, embedder, tmp_path / "out")


def test_shards_share_one_diameter(image_sets, tmp_path, embedder):
    for number in (1, 2):
        run_job(image_sets, JOB, embedder, tmp_path / "out", shard=Shard(number, 2))
    assert json.loads((tmp_path / "out" / DIAMETER).read_text())["objects"] == 12


def test_without_objects_crops_are_not_resized(tmp_path, embedder, caplog):
    image_sets = from_load_data(write_screen(tmp_path / "screen", 2, objects=0))
    summary = run_job(image_sets, JOB, embedder, tmp_path / "out")
    assert summary.job.settings.scale == "none"
    assert "no objects in 2 image sets: crops are not resized" in caplog.text


def test_very_different_sizes_are_warned_of(tmp_path, embedder, caplog):
    image_sets = from_load_data(write_screen(tmp_path / "screen", 2))
    labels = np.zeros((96, 96), np.uint16)
    labels[2:8, 2:8], labels[10:90, 10:90] = 1, 2
    tifffile.imwrite(tmp_path / "screen/labels.tif", labels)
    run_job(image_sets, JOB, embedder, tmp_path / "out")
    assert "objects differ 13.3-fold in size" in caplog.text
