"""Image sets whose quality differs from their plate are flagged, and nothing else."""

import numpy as np
import pandas as pd
import pytest

from microsnoop_engine.errors import InputError
from microsnoop_engine.tables.image_flags import FLAGS, MIN_GROUP, flag_images, quality_channels
from microsnoop_engine.tables.plate_deviations import small_groups


def qualities(count, seed=0, channel="DNA"):
    """Image sets as a plate has them: sharpness and brightness vary by a tenth."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            f"Image_QC_Sharpness_{channel}": 0.1 * rng.lognormal(0, 0.1, count),
            f"Image_QC_PercentMaximal_{channel}": np.full(count, 0.001),
            f"Image_QC_MeanIntensity_{channel}": 500 * rng.lognormal(0, 0.1, count),
            f"Image_QC_P01_{channel}": np.full(count, 100.0),
            f"Image_QC_P99_{channel}": 100 + 900 * rng.lognormal(0, 0.1, count),
        }
    )


@pytest.fixture
def images():
    frame = qualities(40)
    return frame.assign(ImageNumber=np.arange(1, 41), Metadata_Plate=np.repeat(["P1", "P2"], 20))


def flags(frame, **settings):
    flagged = flag_images(frame, **settings)
    return {number: text for number, text in zip(flagged["ImageNumber"], flagged[FLAGS], strict=True) if text}


def test_a_good_plate_has_no_flags(images):
    assert flags(images, by=["Metadata_Plate"]) == {}


@pytest.mark.parametrize(
    ("column", "value", "word"),
    [
        ("Sharpness", 0.01, "blurred"),
        ("PercentMaximal", 3.0, "saturated"),
        ("MeanIntensity", 3000.0, "bright"),
        ("P99", 101.0, "blank"),
        ("P99", 100.0, "blank"),
    ],
)
def test_what_differs_is_flagged(images, column, value, word):
    images.loc[7, f"Image_QC_{column}_DNA"] = value
    assert flags(images, by=["Metadata_Plate"]) == {8: f"{word} DNA"}


def test_plates_are_compared_within_themselves(images):
    second = images["Metadata_Plate"] == "P2"
    images.loc[second, "Image_QC_MeanIntensity_DNA"] *= 100
    images.loc[30, "Image_QC_Sharpness_DNA"] = 0.01
    assert flags(images, by=["Metadata_Plate"]) == {31: "blurred DNA"}


def test_channels_by_themselves_and_several_flags(images):
    images = images.join(qualities(40, 1, "ER_2"))
    images.loc[3, ["Image_QC_Sharpness_DNA", "Image_QC_Sharpness_ER_2"]] = 0.005
    images.loc[3, "Image_QC_PercentMaximal_DNA"] = 1.0
    assert quality_channels(images.columns) == ["DNA", "ER_2"]
    assert flags(images, by=["Metadata_Plate"]) == {4: "blurred DNA; saturated DNA; blurred ER_2"}


def test_equal_image_sets_do_not_differ(images):
    images["Image_QC_Sharpness_DNA"] = 0.1
    images.loc[5, "Image_QC_Sharpness_DNA"] = 0.097
    assert flags(images) == {}


def test_few_image_sets_are_not_compared(images):
    few = images.head(7).copy()
    few.loc[0, "Image_QC_Sharpness_DNA"] = 1e-6
    few.loc[1, "Image_QC_PercentMaximal_DNA"] = 9.0
    assert flags(few) == {2: "saturated DNA"}
    assert small_groups(few, [], MIN_GROUP) == ["all"]
    assert small_groups(images.head(25), ["Metadata_Plate"], MIN_GROUP) == ["P2"]


def test_the_threshold(images):
    images.loc[7, "Image_QC_Sharpness_DNA"] = 0.06
    assert flags(images, threshold=50) == {}
    assert flags(images, threshold=3)[8] == "blurred DNA"


def test_tables_without_qualities():
    with pytest.raises(InputError, match=r"which versions up to 0\.1\.0 did not measure: measure"):
        flag_images(pd.DataFrame({"ImageNumber": [1]}))
