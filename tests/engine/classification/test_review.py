"""Test the page of doubtful cells, and the commands from labels to a second round of labels."""

import base64
import io
import json
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from screens import write_screen

from microsnoop_engine.classification.review import doubtful
from microsnoop_engine.cli.main import main
from microsnoop_engine.tables.formats import open_table
from microsnoop_engine.tables.source import read_frame


def test_the_smallest_margin_comes_first():
    probabilities = np.array([[0.8, 0.1, 0.1], [0.4, 0.35, 0.25], [0.5, 0.5, 0.0], [np.nan] * 3])
    assert doubtful(probabilities, 9).tolist() == [2, 1, 0]


def test_the_cells_of_one_image_do_not_fill_the_page():
    probabilities = np.column_stack([np.linspace(0.5, 0.7, 20), np.linspace(0.5, 0.3, 20)])
    images = np.repeat([0, 1], 10)
    assert doubtful(probabilities, 5, images, most_per_image=3).tolist() == [0, 1, 2, 10, 11]
    assert len(doubtful(probabilities, 9, images, most_per_image=3)) == 9


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    """The profiles of eight images with two cells each, and labels of the cells of six of them."""
    folder = tmp_path_factory.mktemp("screen")
    load_data = write_screen(folder / "images", 8)
    assert main(["profile", str(load_data), "--out", str(folder / "profiles"), "--quiet", "--threads", "1"]) == 0
    keys = read_frame(open_table(folder / "profiles"), ["ImageNumber", "ObjectNumber"])
    keys.assign(Label=np.where(keys.ObjectNumber == 1, "left <1>", "right"))[:12].to_csv(folder / "labels.csv")
    return folder


def test_from_labels_to_a_second_round(screen, capsys):
    profiles, labels, model = (str(screen / name) for name in ("profiles", "labels.csv", "model.safetensors"))
    assert main(["classify", "train", profiles, "--labels", labels, "-o", model]) == 0
    output = capsys.readouterr().out
    assert "12 labeled cells of 6 wells, 512 features" in output
    assert re.search(r"left <1>: 6 cells, [\d.]+ % \([\d.]+ to [\d.]+ over 6 wells\) found", output)

    page, cells = screen / "review.html", screen / "review.csv"
    arguments = ["--labels", labels, "--cells", "3", "-o", str(page), "--csv", str(cells)]
    assert main(["classify", "review", profiles, model, *arguments]) == 0
    assert "3 cells, 3 with a picture" in capsys.readouterr().out
    listed = pd.read_csv(cells)
    assert listed.Label.isna().all()
    assert set(listed.ImageNumber) <= {7, 8}
    assert listed.Probability.is_monotonic_increasing
    text = page.read_text()
    assert text.count("<figure>") == 3
    assert "left <1>" not in text
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])
    assert [row[data["keys"].index("ImageNumber")] for row in data["rows"]] == list(map(str, listed.ImageNumber))
    picture = base64.b64decode(re.search(r"data:image/jpeg;base64,([^\"]+)", text)[1])
    assert np.asarray(Image.open(io.BytesIO(picture))).shape == (64, 64, 3)

    listed.assign(Label=["right", None, "left <1>"]).to_csv(cells, index=False)
    assert main(["classify", "train", profiles, "--labels", labels, "--labels", str(cells), "-o", model]) == 0
    output = capsys.readouterr().out
    assert "14 labeled cells of" in output
    assert "1 line without a label left out" in output

    out, counts = screen / "classes.csv", screen / "counts.csv"
    assert main(["classify", "apply", profiles, model, "-o", str(out), "--counts", str(counts)]) == 0
    assert "16 rows" in capsys.readouterr().out
    assert len(pd.read_csv(out)) == 16
    assert len(pd.read_csv(counts)) == 16


def test_errors_name_options(screen, capsys):
    assert main(["classify", "train", str(screen / "profiles")]) == 1
    assert "--labels is missing" in capsys.readouterr().err
    assert main(["classify", "train", str(screen / "profiles"), "--label", "Metadata_Kind"]) == 1
    assert "--label: the table has no column Metadata_Kind" in capsys.readouterr().err
