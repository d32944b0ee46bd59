"""Mean intensities of the images of a run, joined to its tables."""

import numpy as np
import pandas as pd
import pytest
from screens import write_screen

from microsnoop_engine import CropSettings
from microsnoop_engine.cli.intensities import PREFIX, with_intensities
from microsnoop_engine.cli.main import main
from microsnoop_engine.distributor.job import Job
from microsnoop_engine.distributor.run import run_job
from microsnoop_engine.errors import InputError
from microsnoop_engine.images.image_set_file import write_image_sets
from microsnoop_engine.images.load_data import from_load_data
from microsnoop_engine.images.planes import read_channels
from microsnoop_engine.tables.source import read_frame

CHANNELS = ("DNA", "GFP")


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory, embedder):
    """A run of eight image sets, and the mean of each of their planes."""
    folder = tmp_path_factory.mktemp("screen")
    sets = from_load_data(write_screen(folder, 8, objects=3))
    run_job(sets, Job(CHANNELS, "Nuclei", CropSettings()), embedder, folder / "out")
    write_image_sets(folder / "out", sets, CHANNELS)
    return folder / "out", {of.number: read_channels(of, CHANNELS).mean((1, 2)) for of in sets}


def test_wells_have_the_mean_of_their_images_and_objects_that_of_their_image(run_folder, tmp_path):
    folder, expected = run_folder
    objects = read_frame(with_intensities(folder, folder))
    np.testing.assert_allclose(
        objects[[f"{PREFIX}{name}" for name in CHANNELS]], [expected[number] for number in objects["ImageNumber"]]
    )
    wells = tmp_path / "wells.csv"
    assert main(["aggregate", str(folder), "--out", str(wells), "--quiet"]) == 0
    found = read_frame(with_intensities(wells, folder)).set_index(["Metadata_Plate", "Metadata_Well"])
    images = objects.drop_duplicates("ImageNumber").groupby(["Metadata_Plate", "Metadata_Well"])
    for name in CHANNELS:
        means = images[f"{PREFIX}{name}"].mean()
        np.testing.assert_allclose(found.loc[means.index, f"{PREFIX}{name}"], means)


def test_tables_of_other_runs_are_refused(run_folder, tmp_path):
    folder, _ = run_folder
    other = tmp_path / "other.csv"
    pd.DataFrame({"Metadata_Plate": ["X"], "Metadata_Well": ["A01"], "Nuclei_Microsnoop_E000_DNA": [1.0]}).to_csv(
        other, index=False
    )
    with pytest.raises(InputError, match=r"`profiles`: no row of .* matches by Metadata_Plate, Metadata_Well"):
        with_intensities(other, folder)
    pd.DataFrame({"Nuclei_Microsnoop_E000_DNA": [1.0]}).to_csv(other, index=False)
    with pytest.raises(InputError, match="share no plate and well, or image number"):
        with_intensities(other, folder)


def test_the_command_prints_what_simple_numbers_score(run_folder, tmp_path, capsys):
    folder, _ = run_folder
    wells, out = tmp_path / "wells.parquet", tmp_path / "scores.csv"
    assert main(["aggregate", str(folder), "--out", str(wells), "--quiet"]) == 0
    frame = pd.read_parquet(wells)
    frame["Metadata_Half"] = np.where(np.arange(len(frame)) < len(frame) // 2, "a", "b")
    frame.to_parquet(wells)
    words = ["evaluate", str(wells), "--label", "Metadata_Half", "--neighbors", "1", "--baseline", "--out", str(out)]
    assert main([*words, "--profiles", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert "mean intensity   knn, accuracy" in printed
    assert "512 features     knn, accuracy" in printed
    assert f"scores: {out}" in printed
    assert "mean intensity" in set(pd.read_csv(out)["features"])
    frame.drop(columns=[name for name in frame if "_QC_" in name]).to_parquet(wells)
    assert main(words) == 0
    assert "mean intensity   not scored: no such column that varies" in capsys.readouterr().out
