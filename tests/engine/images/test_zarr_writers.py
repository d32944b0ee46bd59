"""Read what other packages write at this moment: stacks with labels, by iohub, ngff-zarr and bioio-ome-zarr.

They are in an environment of their own, .venv-zarr-writers, which `make test` builds.
"""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from microsnoop_engine.images.inputs import find_image_sets
from microsnoop_engine.images.labels import read_labels
from microsnoop_engine.images.planes import read_channels
from microsnoop_engine.images.selection import PlaneSelection

pytest.importorskip("zarr", "3")
ROOT = Path(__file__).resolve().parents[3]
ENVIRONMENT = ROOT / ".venv-zarr-writers"
if not (ENVIRONMENT / "complete").is_file():
    pytest.skip(
        "*** NO WRITERS OF OME-ZARR: run scripts/make-zarr-writers-env.sh (Python 3.11 or newer)",
        allow_module_level=True,
    )

RNG = np.random.default_rng(0)
STACK = RNG.integers(1, 4000, (2, 2, 4, 32, 48)).astype(np.uint16)
"""Time, channel, depth, row, column; a chunk is black."""
STACK[1, 0, 2, :16, :24] = 0
LABELS = np.zeros((2, 4, 32, 48), np.uint16)
for t in range(2):
    for z in range(4):
        LABELS[t, z, 4 : 14 + z, 8 : 20 + 3 * t] = 1 + z + 10 * t


def written(folder, writer, version):
    """Return an OME-Zarr that a writer made of the stack."""
    np.save(folder / "image.npy", STACK)
    np.save(folder / "labels.npy", LABELS)
    path = folder / f"{writer}.zarr"
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    script = ROOT / "tests" / "helpers" / "write_ome_zarr.py"
    arguments = [writer, version, folder / "image.npy", folder / "labels.npy", path]
    done = subprocess.run(
        [ENVIRONMENT / "bin" / "python", "-B", script, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.returncode, done.stderr
    return path


def pixels(image_set):
    return read_channels(image_set, list(image_set.channels))


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_plates_of_iohub(tmp_path, version):
    path = written(tmp_path, "iohub", version)
    sets = find_image_sets(path, selection=PlaneSelection(plane="all", time="all"))
    assert len(sets) == 16
    for one in sets:
        assert list(one.channels) == ["DNA", "GFP"]
        z, t = one.metadata["Plane"], one.metadata["Time"]
        assert np.array_equal(pixels(one), STACK[t, :, z if one.metadata["Well"] == "A01" else 3 - z])
    for one in find_image_sets(path, selection=PlaneSelection(project="max", time=1)):
        assert np.array_equal(pixels(one), STACK[1].max(1))


@pytest.mark.parametrize("version", ["0.4", "0.5", "0.6"])
def test_images_of_ngff_zarr(tmp_path, version):
    path = written(tmp_path, "ngff-zarr", version)
    for one in find_image_sets(path, pixel_size=0.5, selection=PlaneSelection(plane="all", time="all")):
        z, t = one.metadata["Plane"], one.metadata["Time"]
        assert {source.level for source in one.channels.values()} == {0}
        assert np.array_equal(pixels(one), STACK[t, :, z])
        assert np.array_equal(read_labels(one.labels["nuclei"], "nuclei", (32, 48)), LABELS[t, z])
    (one,) = find_image_sets(path, pixel_size=1, selection=PlaneSelection(project="mean", time=0))
    assert {source.level for source in one.channels.values()} == {1}
    assert pixels(one).shape == (2, 16, 24)
    assert np.abs(pixels(one).mean() - STACK[0].mean()) < 100


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_images_of_bioio(tmp_path, version):
    path = written(tmp_path, "bioio-ome-zarr", version)
    for one in find_image_sets(path, selection=PlaneSelection(plane="all", time=1)):
        z = one.metadata["Plane"]
        assert np.array_equal(pixels(one), STACK[1, :, z])
        assert np.array_equal(read_labels(one.labels["nuclei"], "nuclei", (32, 48)), LABELS[1, z])
    (one,) = find_image_sets(path, selection=PlaneSelection(plane="middle", time=0))
    assert list(one.channels) == ["DNA", "GFP"]
    assert np.array_equal(pixels(one), STACK[0, :, 2])
