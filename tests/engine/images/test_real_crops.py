"""Check the real images of the tests: their shapes, their size on the disk, and the origin of every file."""

import re

import numpy as np
import pytest
from real_crops import DATA, FIELDS, real_crops, real_field, real_labels

from microsnoop_engine.segmentation.nuclei import segment_nuclei

README = (DATA / "README.md").read_text()
LIMIT = 2_000_000
"""Bytes of the whole folder."""


def test_crops():
    crops = real_crops()
    assert len(crops) == 24
    assert {crop.shape for crop in crops} == {(64, 64)}
    assert {crop.dtype.name for crop in crops} == {"uint8", "uint16"}
    assert min(crop.std() / crop.mean() for crop in crops) > 0.05
    assert len({crop.tobytes() for crop in crops}) == 24


@pytest.mark.parametrize("name", FIELDS)
def test_fields(name):
    image = real_field(name)
    assert len(image) == len(FIELDS[name])
    assert segment_nuclei(image[FIELDS[name].index("DNA")]).max() >= 8


@pytest.mark.parametrize("name", ["bbbc039_A06", "cpjump1_A01"])
def test_labels_are_those_of_the_segmentation(name):
    labels = real_labels(name)
    assert labels.max() > 20
    assert np.array_equal(labels, segment_nuclei(real_field(name)[0]))


def test_small_enough_to_be_in_every_clone():
    assert sum(path.stat().st_size for path in DATA.rglob("*") if path.is_file()) < LIMIT


def test_every_image_and_export_has_its_source_and_license():
    """Each file is in a row whose source is in the table of licenses, and each source has a file."""
    sources = {name: row[-1] for row in rows(4) for name in re.findall(r"`(\w[\w-]*\.[\w.]+)`", row[0])}
    assert sources.keys() == {path.name for path in (*DATA.rglob("*.png"), *(DATA / "exports").iterdir())}
    licenses = {source: license for source, license, _ in rows(3)}
    assert {*licenses, "this project"} == set(sources.values())
    assert all(re.match(r"\[CC0 1\.0\]|\[CC BY [34]\.0\]|MIT$|BSD-3-Clause$", license) for license in licenses.values())


def rows(width):
    """Cells of the rows, without heads, of the README's tables that have ``width`` columns."""
    tables = re.split(r"\n\n", README)
    lines = [line for table in tables if table[:1] == "|" for line in table.splitlines()[2:]]
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in found if len(row) == width]
