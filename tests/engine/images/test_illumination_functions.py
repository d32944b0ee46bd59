"""Illumination functions: the illumination that images were given is found again."""

import numpy as np
import pandas as pd
import pytest
import tifffile

from microsnoop_engine.cli.main import main
from microsnoop_engine.errors import InputError
from microsnoop_engine.images.illumination_functions import illumination_function
from microsnoop_engine.images.inputs import find_image_sets
from microsnoop_engine.images.planes import read_channels

SHAPE = (200, 260)
Y, X = np.indices(SHAPE)
VIGNETTE = 1 + 0.8 * (X / SHAPE[1]) * (Y / SHAPE[0])


def planes(count, seed=0, debris=False):
    """Cells at random places on a background, under the vignette."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        plane = np.full(SHAPE, 200.0)
        for y, x in zip(rng.integers(0, SHAPE[0], 25), rng.integers(0, SHAPE[1], 25), strict=True):
            plane[np.hypot(Y - y, X - x) < 8] = 700
        if debris and number < 3:
            plane[50:110, 60:120] = 30000
        yield (plane * VIGNETTE).astype(np.uint16)


@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_the_illumination_is_found_again(statistic):
    function = illumination_function(planes(80), statistic)
    assert function.shape == SHAPE
    assert function.min() == 1
    ratio = (function / VIGNETTE)[15:-15, 15:-15]
    assert ratio.max() / ratio.min() < 1.1
    flat = np.ones_like(VIGNETTE) / VIGNETTE
    assert flat.max() / flat.min() > 1.7


def test_the_median_does_not_see_debris():
    with_debris, without = (illumination_function(planes(20, debris=debris), "median", 40) for debris in (True, False))
    assert np.abs(with_debris / without - 1).max() < 0.03
    mean = illumination_function(planes(20, debris=True), "mean", 40)
    assert (mean / without).max() > 3


def test_a_constant_illumination_is_one_up_to_the_edges():
    function = illumination_function([np.full((63, 50), 7, np.uint8)] * 2, "mean", 30)
    np.testing.assert_allclose(function, 1, atol=1e-12)
    np.testing.assert_allclose(illumination_function([np.full((63, 50), 7, np.uint8)], "median"), 1, atol=1e-12)


@pytest.mark.parametrize(
    ("given", "statistic", "message"),
    [
        ([], "mean", "no planes"),
        ([np.ones((3, 4)), np.ones((4, 4))], "mean", "different sizes: 4 x 3 and 4 x 4 pixels"),
        ([np.full((3, 4), np.nan)], "median", "NaN or infinite"),
        ([np.zeros((3, 4))], "mean", "black"),
        ([np.ones((3, 4))], "mode", "choose one of mean, median"),
    ],
)
def test_planes_that_cannot_be_used(given, statistic, message):
    with pytest.raises(InputError, match=message):
        illumination_function(given, statistic)


def test_from_the_command_to_corrected_images(tmp_path, capsys):
    rows = []
    for number, plane in enumerate(planes(40)):
        name = f"field{number}.tif"
        plate = "P1" if number < 20 else "P 2"
        tifffile.imwrite(tmp_path / name, plane if plate == "P1" else plane[::-1])
        rows.append({"Metadata_Plate": plate, "Metadata_Well": f"A{number:02d}", "FileName_DNA": name})
    pd.DataFrame(rows).to_csv(tmp_path / "LoadData.csv", index=False)
    assert main(["illumination", str(tmp_path / "LoadData.csv"), "--out", str(tmp_path / "functions")]) == 0
    assert "P 2_IllumDNA.npy: 20 images" in capsys.readouterr().out
    before, after = (
        np.mean([read_channels(each, ["DNA"])[0] for each in sets], axis=0)
        for sets in (
            find_image_sets(tmp_path / "LoadData.csv")[:20],
            find_image_sets(tmp_path / "LoadData.csv", illumination=tmp_path / "functions")[:20],
        )
    )
    corners = [(slice(20, 80), slice(20, 80)), (slice(-80, -20), slice(-80, -20))]
    uneven, even = (image[corners[1]].mean() / image[corners[0]].mean() for image in (before, after))
    assert uneven > 1.3
    assert even == pytest.approx(1, abs=0.06)


def test_an_unknown_channel(tmp_path, capsys):
    tifffile.imwrite(tmp_path / "a.tif", next(planes(1)))
    code = main(["illumination", str(tmp_path / "a.tif"), "--channels", "DNA", "--out", str(tmp_path / "functions")])
    assert code == 1
    assert "--channels: there is no channel 'DNA'" in capsys.readouterr().err
