"""Find image sets in .npz files."""

import numpy as np
import pytest
from image_files import RNG, read

from microsnoop_engine.errors import InputError
from microsnoop_engine.images.inputs import find_image_sets
from microsnoop_engine.images.labels import read_labels


def test_npz(tmp_path):
    images = RNG.integers(0, 99, (3, 2, 8, 9), np.uint8)
    masks = np.zeros((3, 8, 9), int)
    for n, mask in enumerate(masks):
        mask[1:4, n : n + 3], mask[5:, 2:6] = 1, 3
    arrays = {"channels": ["GFP", "DNA"], "well": ["A1", "A2", "A3"], "dose": [0.0, 1.5, 2.0], "version": [1, 2]}
    np.savez(tmp_path / "a.npz", images=images, masks=masks, **arrays)
    sets = find_image_sets(tmp_path / "a.npz")
    assert [s.number for s in sets] == [1, 2, 3]
    assert [s.metadata for s in sets] == [{"well": f"A{n + 1}", "dose": d} for n, d in enumerate([0.0, 1.5, 2.0])]
    assert np.array_equal(read(sets, ["GFP", "DNA"]), images)
    assert all(np.array_equal(read_labels(s.labels["Nuclei"], "Nuclei", (8, 9)), masks[s.number - 1]) for s in sets)


def test_npz_with_labels(tmp_path, caplog):
    """The array may be called masks or labels; what is not used is named."""
    images, labels = RNG.random((2, 8, 9)), np.zeros((2, 8, 9), np.uint16)
    labels[:, 2:5, 2:5] = 4
    np.savez(tmp_path / "a.npz", images=images, labels=labels, flows=np.zeros((2, 8, 9, 2)))
    sets = find_image_sets(tmp_path / "a.npz")
    assert all(np.array_equal(read_labels(s.labels["Nuclei"], "Nuclei", (8, 9)), labels[0]) for s in sets)
    assert "arrays flows are not used" in caplog.text
    np.savez(tmp_path / "b.npz", images=images, labels=labels, masks=labels)
    with pytest.raises(InputError, match="holds both 'masks' and 'labels': keep one"):
        find_image_sets(tmp_path / "b.npz")


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
