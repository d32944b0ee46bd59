"""Test the summary of a run on the terminal and as JSON."""

import json

from microsnoop_engine import CropSettings
from microsnoop_engine.cli.console import Console
from microsnoop_engine.distributor.job import Job
from microsnoop_engine.distributor.summary import ImageSetFailure, RunSummary

IMAGES = {
    1: {"rows": 3, "unmeasured": 1, "problems": {"GFP: constant": 1}},
    2: {"rows": 0, "unmeasured": 0, "problems": {}},
}


def summary(folder, **changes):
    job = Job(("DNA", "GFP", "ER"), "Nuclei", CropSettings())
    return RunSummary(folder, job, dimension=128, image_sets=3, images=IMAGES, crops=8, **changes)


def test_the_number_of_features_is_that_of_the_weights(tmp_path, capsys):
    Console().print_summary(summary(tmp_path), 2.0)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:5] == [
        "measured 2 of 3 image sets in 2 s",
        "3 rows (Nuclei) with 384 features of the channels DNA, GFP, ER",
        "8 crops, 4.0 per second",
        "1 image set has no Nuclei",
        "1 row has NaN: GFP: constant (1 crop)",
    ]


def test_failures_are_counted_and_listed_in_a_file(tmp_path, capsys):
    failed = summary(tmp_path, failures=[ImageSetFailure(3, "is damaged", "a.tif", "DNA")])
    Console(quiet=True).print_summary(failed, 2.0)
    output = capsys.readouterr()
    assert output.out == ""
    assert f"1 image set could not be measured (listed in {tmp_path / 'images.csv'})" in output.err
    Console(as_json=True).print_summary(failed, 2.0)
    output = capsys.readouterr()
    assert output.err == ""
    assert json.loads(output.out)["failures"] == [
        {"number": 3, "error": "is damaged", "file": "a.tif", "channel": "DNA"}
    ]
