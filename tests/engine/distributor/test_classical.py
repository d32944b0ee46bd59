"""Test handcrafted features as columns of the table of a run."""

from importlib.metadata import version

import numpy as np
import pyarrow.parquet as pq
import pytest
from screens import write_screen

from microsnoop_engine.cli.main import main
from microsnoop_engine.modes.classical import classical_names
from microsnoop_engine.tables.features import select_features
from microsnoop_engine.tables.formats import open_table
from microsnoop_engine.tables.provenance import Handcrafted, handcrafted, learned


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The tables of a run with handcrafted features, and of one without."""
    folder = tmp_path_factory.mktemp("runs")
    load_data = write_screen(folder / "images", 3)
    arguments = ["profile", str(load_data), "--quiet", "--threads", "1"]
    assert main([*arguments, "--out", str(folder / "both"), "--classical"]) == 0
    assert main([*arguments, "--out", str(folder / "learned")]) == 0
    return folder


def test_they_come_after_the_learned_features_which_stay_the_same(runs):
    both, learned = (pq.read_table(runs / name / "profiles.parquet") for name in ("both", "learned"))
    assert both.column_names[: learned.num_columns] == learned.column_names
    names = [f"Nuclei_{name}" for name in classical_names(("DNA", "GFP"))]
    assert both.column_names[learned.num_columns :] == names
    assert both.select(learned.column_names).equals(learned)
    assert both["Nuclei_AreaShape_Area"].to_pylist() == [64] * 6
    means = np.array(both["Nuclei_Intensity_MeanIntensity_DNA"].to_pylist())
    assert (means > 0).all()
    assert (means < 1).all()


def test_they_are_classical_features_of_other_commands(runs):
    source = open_table(runs / "both")
    classical = select_features(source, "classical")
    assert "Nuclei_Texture_Entropy_GFP_3_00_256" in classical
    assert not [name for name in classical if "Location" in name or "Center" in name]
    assert len(select_features(source, "microsnoop")) == 512


def test_the_table_names_the_program(runs, tmp_path):
    assert handcrafted(open_table(runs / "both").provenance) == (Handcrafted(f"cp_measure {version('cp_measure')}"),)
    assert open_table(runs / "learned").provenance == learned(open_table(runs / "both").provenance)
    assert (
        main(["aggregate", str(runs / "both"), "--level", "image", "--out", str(tmp_path / "images.csv"), "--quiet"])
        == 0
    )
    assert open_table(tmp_path / "images.csv").provenance == open_table(runs / "both").provenance


def test_a_run_is_continued_with_the_same_features_only(runs, capsys):
    load_data = str(runs / "images" / "LoadData.csv")
    assert main(["profile", load_data, "--out", str(runs / "both"), "--classical", "--threads", "1"]) == 0
    assert main(["profile", load_data, "--out", str(runs / "both"), "--threads", "1"]) == 1
    assert "different: classical (before true, now false)" in capsys.readouterr().err


def test_other_modes_are_refused(runs, capsys):
    load_data = str(runs / "images" / "LoadData.csv")
    assert main(["profile", load_data, "--out", str(runs / "tiles"), "--mode", "tile", "--classical"]) == 1
    assert "--classical goes with --mode cells, not with --mode tile" in capsys.readouterr().err
