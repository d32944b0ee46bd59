"""Test which settings of two runs differ, also where one version did not have them yet."""

from dataclasses import replace

import pytest

from microsnoop_engine.distributor.description import describe_run, differing_settings
from microsnoop_engine.distributor.job import Job
from microsnoop_engine.modes.settings import CropSettings
from microsnoop_engine.segmentation.settings import SegmentationSettings

JOB = Job(("DNA",), "Nuclei", CropSettings(diameter=25.0), "nuclei", "DNA")


class Card:
    name, sha256 = "some", "0a1b"


def described(**changes):
    return describe_run([], replace(JOB, **changes), Card, "float32")


def test_the_place_of_saved_labels_does_not_count():
    assert described(results="out", shared_folders=2) == described()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {}),
        ({"classical": True}, {"classical": (False, True)}),
        ({"objects": "Cells", "where": "a == 1"}, {"objects": ("Nuclei", "Cells"), "where": (None, "a == 1")}),
        ({"settings": CropSettings(diameter=30)}, {"diameter": (25.0, 30)}),
        (
            {"segmentation": SegmentationSettings(diameter=9, segment_pixel_size=0.5)},
            {"segmentation diameter": (None, 9), "segmentation segment_pixel_size": (None, 0.5)},
        ),
    ],
)
def test_settings_that_differ(changes, expected):
    assert differing_settings(described(), described(**changes)) == expected


@pytest.mark.parametrize("name", ["normalize", "scale"])
def test_a_setting_whose_default_changes_numbers_is_no_default_of_earlier_versions(name):
    earlier = described()
    value = earlier["settings"].pop(name)
    assert differing_settings(earlier, described()) == {name: (None, value)}
    assert differing_settings(described(), earlier) == {name: (value, None)}


def test_a_setting_of_a_later_version_is_not_overlooked():
    assert differing_settings(described() | {"sharpen": 2}, described()) == {"sharpen": (2, None)}
