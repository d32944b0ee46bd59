"""Read rows of the arrays of .npz files."""

import os
import subprocess
import sys

import numpy as np
from image_files import LABELS, RNG

from microsnoop_engine.images.image_set import PlaneSource
from microsnoop_engine.images.labels import read_labels
from microsnoop_engine.images.planes import read_plane


def test_npz_rows(tmp_path):
    stack = RNG.random((4, 2, 5, 6))
    np.savez(tmp_path / "a.npz", images=stack, masks=LABELS[None])
    assert np.array_equal(read_plane(PlaneSource(tmp_path / "a.npz", 1, 3), "GFP"), stack[3, 1])
    assert np.array_equal(read_labels(PlaneSource(tmp_path / "a.npz", None, 0, "masks"), "Nuclei", (40, 50)), LABELS)


def test_npz_that_changes_is_read_again(tmp_path):
    for number in (1, 2):
        np.savez(tmp_path / "a.npz", images=np.full((1, 3, 3), number))
        os.utime(tmp_path / "a.npz", (number, number))
        assert read_plane(PlaneSource(tmp_path / "a.npz", None, 0), "DNA")[0, 0] == number


def test_npz_rows_are_read_without_the_whole_array_in_memory(tmp_path):
    images = np.zeros((200, 1, 512, 512), np.uint16)
    images[:, 0, 0, 0] = np.arange(200)
    np.savez_compressed(tmp_path / "a.npz", images=images)
    script = (
        "import resource, sys\nfrom pathlib import Path\n"
        "from microsnoop_engine.images.image_set import PlaneSource\n"
        "from microsnoop_engine.images.planes import read_plane\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak()\n"
        "for row in (5, 199, 0):\n"
        "    assert read_plane(PlaneSource(Path(sys.argv[1]), 0, row), 'DNA')[0, 0] == row\n"
        "print(peak() - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "a.npz"], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) * (1 if sys.platform == "darwin" else 1024) < images.nbytes / 4
