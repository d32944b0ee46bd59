"""Planes that hold the same pixels under two names are named; planes that only look alike are not."""

import logging

import numpy as np
import pytest
import tifffile
from image_files import RNG

from microsnoop_engine.distributor.merge import merge
from microsnoop_engine.distributor.run import profile
from microsnoop_engine.images.inputs import find_image_sets
from microsnoop_engine.modes.settings import CropSettings

PLANES = RNG.integers(0, 60000, (8, 64, 64), np.uint16)
PATTERN = "{Well}_{Channel}.tif"


def copies_named(folder, out, embedder, caplog, **options):
    """Messages about copies of a run of whole images."""
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        profile(find_image_sets(folder, PATTERN), out, CropSettings(mode="image"), embedder=embedder, **options)
    return [message for message in caplog.messages if "same pixels" in message]


def write(folder, **planes):
    folder.mkdir(exist_ok=True)
    for name, plane in planes.items():
        tifffile.imwrite(folder / f"{name}.tif", plane)
    return folder


def test_a_copy_in_another_well_or_channel_is_named(tmp_path, embedder, caplog):
    folder = write(tmp_path / "in", A01_DNA=PLANES[0], A01_ER=PLANES[1], A02_DNA=PLANES[0], A02_ER=PLANES[2])
    (message,) = copies_named(folder, tmp_path / "a", embedder, caplog)
    assert message.startswith(
        "the same pixels are measured twice in 1 cases: DNA of image set 1 ('in/A01_DNA.tif') and DNA of image set 2 "
        "('in/A02_DNA.tif'):"
    )
    # a run that is continued compares with what was measured before
    write(folder, A03_DNA=PLANES[3], A03_ER=PLANES[1])
    (message,) = copies_named(folder, tmp_path / "a", embedder, caplog)
    assert "in 2 cases" in message
    assert "ER of image set 1 ('in/A01_ER.tif') and ER of image set 3 ('in/A03_ER.tif')" in message
    assert copies_named(folder, tmp_path / "a", embedder, caplog) == []


def test_another_file_format_is_a_copy_too(tmp_path, embedder, caplog):
    folder = write(tmp_path / "in", A01_DNA=PLANES[0], A01_ER=PLANES[1])
    tifffile.imwrite(folder / "A01_ER.tif", PLANES[0], compression="zlib", bigtiff=True)
    (message,) = copies_named(folder, tmp_path / "out", embedder, caplog)
    assert "DNA of image set 1 ('in/A01_DNA.tif') and ER of image set 1 ('in/A01_ER.tif')" in message


def shuffled(plane):
    """Another plane of the same numbers, at the places that no percentile and no edge shows."""
    changed = plane.copy()
    changed[31, 33], changed[33, 31] = plane[33, 31], plane[31, 33]
    return changed


BLANK = np.full((64, 64), 100, np.uint16)


@pytest.mark.parametrize("first", [BLANK, np.zeros((64, 64), np.uint16), PLANES[0]])
def test_blank_planes_and_planes_that_differ_are_no_copies(tmp_path, embedder, caplog, first):
    second = first if (first == first[0, 0]).all() else shuffled(first)
    folder = write(tmp_path / "in", A01_DNA=PLANES[3], A01_ER=first, A02_DNA=PLANES[4], A02_ER=second)
    assert copies_named(folder, tmp_path / "out", embedder, caplog) == []


def test_planes_of_equal_quality_are_compared(tmp_path, embedder, caplog, monkeypatch):
    from microsnoop_engine.distributor import assembly

    # no other planes of equal quality are known
    monkeypatch.setattr(assembly, "plane_quality", lambda plane: {"Sharpness": 1.0, "P50": 2.0})
    monkeypatch.setattr("microsnoop_engine.images.repeats.QUALITIES", ("Sharpness", "P50"))
    folder = write(tmp_path / "in", A01_DNA=PLANES[0], A02_DNA=PLANES[1], A03_DNA=PLANES[0])
    (message,) = copies_named(folder, tmp_path / "out", embedder, caplog)
    assert "in 1 cases: DNA of image set 1 ('in/A01_DNA.tif') and DNA of image set 3" in message


def test_a_copy_in_another_shard_is_named_when_they_are_merged(tmp_path, embedder, caplog):
    folder = write(tmp_path / "in", **{f"A0{n}_DNA": PLANES[n % 3] for n in range(1, 5)})
    out = tmp_path / "out"
    for shard in ("1/2", "2/2"):
        assert copies_named(folder, out, embedder, caplog, shard=shard) == []
    with caplog.at_level(logging.WARNING):
        merge(out)
    assert "DNA of image set 1 ('in/A01_DNA.tif') and DNA of image set 4 ('in/A04_DNA.tif')" in caplog.text
