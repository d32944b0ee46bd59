"""Test the pictures of cells: the right crops, colors and gray levels."""

import io
import json

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image

from microsnoop_engine.errors import InputError
from microsnoop_engine.images.image_set import ImageSet, PlaneSource
from microsnoop_engine.images.image_set_file import IMAGE_SETS, read_image_sets, write_image_sets
from microsnoop_engine.reporting.thumbnails import SIDE, channel_colors, false_colors, thumbnails
from microsnoop_engine.tables.columns import BOX_COLUMNS
from microsnoop_engine.tables.file_names import TABLE

KEYS = ("Metadata_Plate", "Metadata_Well")


@pytest.fixture
def profiles(tmp_path):
    """Two wells of one field: in the first an object is bright in DNA, in the second in GFP."""
    sets, rows = [], []
    for number, (well, bright) in enumerate((("A01", "DNA"), ("A02", "GFP")), start=1):
        sources = {}
        for channel in ("DNA", "GFP"):
            image = np.full((100, 120), 10, np.uint16)
            image[20:60, 30:70] = 1000 if channel == bright else 10
            sources[channel] = PlaneSource(tmp_path / f"{well}_{channel}.tif")
            tifffile.imwrite(sources[channel].path, image)
        sets.append(ImageSet(number, sources))
        rows.append(("P1", well, number, 1, 30, 20, 70, 60))
    (tmp_path / "profiles" / TABLE).mkdir(parents=True)
    columns = [*KEYS, "ImageNumber", "ObjectNumber", *BOX_COLUMNS]
    pd.DataFrame(rows, columns=columns).to_parquet(tmp_path / "profiles" / TABLE / "part-00000.parquet")
    write_image_sets(tmp_path / "profiles", sets, ["DNA", "GFP"])
    return tmp_path / "profiles"


def test_each_row_shows_its_own_cells(profiles):
    frame = pd.DataFrame({"Metadata_Plate": ["P1"] * 3, "Metadata_Well": ["A02", "B07", "A01"]})
    found = thumbnails(frame, KEYS, profiles)
    assert set(found) == {0, 2}
    green, blue = (np.asarray(Image.open(io.BytesIO(found[row]))).astype(float) for row in (0, 2))
    assert green.shape == (SIDE, 3 * SIDE, 3)
    np.testing.assert_allclose(green[:, :SIDE].mean((0, 1)) / 255, (0.1, 0.9, 0.3), atol=0.05)
    np.testing.assert_allclose(blue[:, :SIDE].mean((0, 1)) / 255, (0.25, 0.45, 1), atol=0.05)
    assert green[:, SIDE + 8 :].max() < 16  # one object: the rest is black


def test_cells_that_cannot_be_shown_are_named(profiles):
    frame = pd.DataFrame({"Metadata_Plate": ["P1"], "Metadata_Well": ["A01"]})
    with pytest.raises(InputError, match="has no column Metadata_Compound"):
        thumbnails(frame.assign(Metadata_Compound="x"), ["Metadata_Compound"], profiles)
    with pytest.raises(InputError, match="no row of the table matches"):
        thumbnails(frame.assign(Metadata_Well="H12"), KEYS, profiles)
    (profiles.parent / "A01_GFP.tif").unlink()
    with pytest.raises(InputError, match=r"A01_GFP.tif': there is no such file"):
        thumbnails(frame, KEYS, profiles)
    (profiles / IMAGE_SETS).write_text(json.dumps({"image_sets": 3}))
    with pytest.raises(InputError, match="is damaged"):
        read_image_sets(profiles)
    (profiles / IMAGE_SETS).unlink()
    with pytest.raises(InputError, match="is no folder of 'microsnoop profile'"):
        thumbnails(frame, KEYS, profiles)


def test_image_sets_survive(profiles):
    image_sets, channels = read_image_sets(profiles)
    assert channels == ["DNA", "GFP"]
    assert image_sets[2].channels["GFP"] == PlaneSource((profiles.parent / "A02_GFP.tif").resolve())


def test_colors():
    assert channel_colors(["GFP"]).tolist() == [[1, 1, 1]]
    colors = channel_colors(["ER", "DNA", "a", "b", "c", "d"])
    assert colors[1].argmax() == 2
    assert len({tuple(color) for color in colors[:5]}) == 5
    assert colors[5].tolist() == [0, 0, 0]
    crops = np.random.default_rng(0).random((4, 1, 5, 5))
    gray = false_colors(crops, np.zeros(1), np.ones(1), np.ones((1, 3)))
    assert gray.shape == (10, 15, 3)
    np.testing.assert_allclose(gray[5:, :5, 0], 255 * crops[3, 0], atol=0.5)
    assert not gray[5:, 5:].any()
