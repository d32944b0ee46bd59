"""Fill in what a run measures from the channels of its image sets."""

import pytest
from instruments import write_images

from microsnoop_engine.distributor.job import resolve_job
from microsnoop_engine.errors import InputError
from microsnoop_engine.images.inputs import find_inputs
from microsnoop_engine.images.reading_options import ReadingOptions
from microsnoop_engine.modes.settings import CropSettings

WHOLE = CropSettings(mode="image")


def image_sets(folder, *names):
    return find_inputs(write_images(folder, *names), ReadingOptions("{Well}_{Channel}.tif")).image_sets


def test_a_file_of_another_name_does_not_let_all_others_fail(tmp_path):
    names = [f"A{column:02d}_{channel}.tif" for column in range(1, 5) for channel in ("DNA", "GFP")]
    sets = image_sets(tmp_path, *names, "A02_GFP - Copy.tif")
    held = r"\('DNA' in 4, 'GFP' in 4, 'GFP - Copy' in 1\)"
    with pytest.raises(InputError, match=f"only 1 of 4 image sets have all channels {held}: choose some by `channels`"):
        resolve_job(sets, WHOLE)
    assert resolve_job(sets, WHOLE, ["GFP", "DNA"]).channels == ("GFP", "DNA")


def test_image_sets_that_lack_a_channel_fail_alone(tmp_path):
    sets = image_sets(tmp_path, "A01_DNA.tif", "A01_GFP.tif", "A02_DNA.tif")
    assert resolve_job(sets, WHOLE).channels == ("DNA", "GFP")


def test_wells_in_two_spellings_are_named(tmp_path, caplog):
    image_sets(tmp_path, "A1_DNA.tif", "A01_GFP.tif", "B02_DNA.tif")
    assert "1 well is written in several ways, such as A01 and A1" in caplog.text
