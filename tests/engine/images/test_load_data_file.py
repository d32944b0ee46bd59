"""Write image sets as LoadData, and read them back."""

import numpy as np
import pytest
import tifffile
from image_files import SMALL_PLANES, touch

from microsnoop_engine.errors import InputError
from microsnoop_engine.images.image_set import ImageSet, PlaneSource
from microsnoop_engine.images.inputs import find_image_sets
from microsnoop_engine.images.load_data_file import write_load_data
from microsnoop_engine.images.planes import read_channels


def test_channels_labels_and_metadata_come_back(tmp_path):
    touch(tmp_path, "i/A01_DNA.tif", "i/A01_ER.tif", "i/A02_DNA.tif", "l/A01.tif", "l/A02.tif")
    sets = find_image_sets(tmp_path / "i", "{Well}_{Channel}.tif", tmp_path / "l", "Cells")
    assert set(write_load_data(tmp_path / "LoadData.csv", sets)) == {"DNA", "ER", "Cells"}
    assert find_image_sets(tmp_path / "LoadData.csv") == sets


def test_planes_of_a_file(tmp_path):
    tifffile.imwrite(tmp_path / "a.ome.tif", SMALL_PLANES[:2], metadata={"axes": "CYX"})
    sets = find_image_sets(tmp_path / "a.ome.tif")
    write_load_data(tmp_path / "LoadData.csv", sets)
    (there,), (back,) = sets, find_image_sets(tmp_path / "LoadData.csv")
    assert list(back.channels) == list(there.channels) == ["C1", "C2"]
    assert np.array_equal(read_channels(back, ["C1", "C2"]), read_channels(there, ["C1", "C2"]))


def test_names_become_words_that_differ(tmp_path):
    names = ["UV - DAPI", "UV_DAPI", "488", "µ"]
    image_set = ImageSet(1, {name: PlaneSource(tmp_path / f"{n}.tif") for n, name in enumerate(names)})
    words = write_load_data(tmp_path / "LoadData.csv", [image_set])
    assert words == {"UV - DAPI": "UV_DAPI", "UV_DAPI": "UV_DAPI_2", "488": "C488", "µ": "Channel"}
    (back,) = find_image_sets(tmp_path / "LoadData.csv")
    assert {name: source.path.name for name, source in back.channels.items()} == {
        word: f"{n}.tif" for n, word in enumerate(words.values())
    }


def test_planes_that_are_no_files(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.zeros((2, 1, 4, 4)))
    with pytest.raises(InputError, match=r"a\.npz' is no image file: a LoadData CSV lists image files alone"):
        write_load_data(tmp_path / "LoadData.csv", find_image_sets(tmp_path / "a.npz"))
