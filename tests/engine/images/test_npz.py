"""Find image sets in .npz files."""

import numpy as np
from image_files import RNG, read

from microsnoop_engine.images.inputs import find_image_sets
from microsnoop_engine.images.labels import read_labels


def test_npz(tmp_path):
    images, masks = RNG.integers(0, 99, (3, 2, 8, 9), np.uint8), RNG.integers(0, 4, (3, 8, 9))
    arrays = {"channels": ["GFP", "DNA"], "well": ["A1", "A2", "A3"], "dose": [0.0, 1.5, 2.0], "version": [1, 2]}
    np.savez(tmp_path / "a.npz", images=images, masks=masks, **arrays)
    sets = find_image_sets(tmp_path / "a.npz")
    assert [s.number for s in sets] == [1, 2, 3]
    assert [s.metadata for s in sets] == [{"well": f"A{n + 1}", "dose": d} for n, d in enumerate([0.0, 1.5, 2.0])]
    assert np.array_equal(read(sets, ["GFP", "DNA"]), images)
    assert all(np.array_equal(read_labels(s.labels["Nuclei"], "Nuclei", (8, 9)), masks[s.number - 1]) for s in sets)


def test_npz_of_one_channel(tmp_path):
    images = RNG.random((2, 8, 9))
    np.savez_compressed(tmp_path / "a.npz", images=images)
    sets = find_image_sets(tmp_path / "a.npz")
    assert sets[0].labels == {}
    assert np.array_equal(np.array(read(sets, ["C1"]))[:, 0], images)


def test_real_npz(bbbc013, tmp_path):
    images, channels = bbbc013
    np.savez(tmp_path / "plate.npz", images=images, channels=channels)
    assert np.array_equal(read(find_image_sets(tmp_path / "plate.npz"), channels), images)
