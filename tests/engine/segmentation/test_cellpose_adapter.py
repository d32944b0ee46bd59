"""Segment drawn discs with the installed Cellpose, 3 or 4, by a network of it that is trained here."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version

import numpy as np
import pytest
import torch
from drawn_discs import RADIUS, assert_found, draw_discs, draw_many

from microsnoop_engine.errors import DeviceError, InputError, WeightsError
from microsnoop_engine.segmentation.cellpose_adapter import CellposeSegmenter
from microsnoop_engine.segmentation.segmenter import segmenter

N_DISCS = 12


def train_cellpose_3(models, folder):
    from cellpose import train

    images, labels = draw_many(8, (96, 96), 8)
    network = models.CellposeModel(pretrained_model=None, diam_mean=2.0 * RADIUS, mkldnn=False).net
    options = {"channels": [0, 0], "n_epochs": 18, "batch_size": 2, "bsize": 48, "rescale": False}
    return train.train_seg(network, images, labels, save_path=folder, model_name="discs", **options)[0]


def train_cellpose_4(folder):
    """A vision transformer whose 24 blocks add nothing to their input, so that training can do without them."""
    from cellpose import train, vit

    images, labels = draw_many(4, (256, 256), 60)
    network = vit.CPSAM()
    network.encoder.blocks = torch.nn.ModuleList()
    options = {"learning_rate": 3e-3, "n_epochs": 120, "nimg_per_epoch": 1}
    path = train.train_seg(network, images, labels, save_path=folder, model_name="discs", **options)[0]
    trained = torch.load(path, weights_only=True)
    with torch.device("meta"):
        complete = vit.CPSAM().state_dict()
    nothing = torch.zeros(1)
    torch.save({key: trained.get(key, nothing.expand(value.shape)) for key, value in complete.items()}, path)
    return path


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    """Training on small images is many short operations, which wait for each other where threads share a busy core."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """``cellpose.models``, whose folder of built-in models is empty."""
    if os.environ.get("CI") != "true":
        pytest.importorskip("cellpose")
    folder = tmp_path_factory.mktemp("built-in")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CELLPOSE_LOCAL_MODELS_PATH", str(folder))
        from cellpose import models
    assert folder == models.MODEL_DIR
    return models


@pytest.fixture(scope="module")
def generation(models):
    return 3 if hasattr(models, "SizeModel") else 4


@pytest.fixture(scope="module")
def weights(models, generation, tmp_path_factory):
    """The file of a network that has learnt what discs are."""
    folder = tmp_path_factory.mktemp("trained")
    torch.manual_seed(0)
    return train_cellpose_3(models, folder) if generation == 3 else train_cellpose_4(folder)


@pytest.fixture(scope="module")
def discs():
    return draw_discs(100, (120, 140), N_DISCS)


@pytest.fixture(scope="module")
def cellpose_segmenter(weights):
    return CellposeSegmenter(str(weights))


@pytest.fixture(scope="module")
def cellpose_itself(models, weights):
    return models.CellposeModel(pretrained_model=str(weights))


@pytest.fixture(scope="module")
def found(cellpose_segmenter, discs):
    return cellpose_segmenter.segment(discs[0])


def altered(weights, path, change):
    """A copy of a weight file whose dictionary was changed."""
    state = torch.load(weights, weights_only=True)
    change(state)
    torch.save(state, path)
    return path


def refusal(error, model):
    with pytest.raises(error) as caught:
        CellposeSegmenter(str(model))
    return str(caught.value)


def test_every_disc_is_found(found, discs):
    assert_found(found, discs[1])


def test_labels_are_those_of_cellpose(cellpose_itself, found, discs):
    np.testing.assert_array_equal(found, cellpose_itself.eval(discs[0])[0])


def test_a_dim_plane_has_the_same_objects(cellpose_itself, cellpose_segmenter, found, discs):
    dim = discs[0] * 1e-9 - 3e-5
    assert not cellpose_itself.eval(dim.astype(np.float32))[0].any()
    assert np.mean(cellpose_segmenter.segment(dim) == found) > 0.999


def test_several_threads_share_a_segmenter(weights, found, discs):
    find_objects = segmenter(f"cellpose:{weights}")
    with ThreadPoolExecutor(2) as pool:
        flipped, straight = pool.map(find_objects, [discs[0][::-1], discs[0]])
    np.testing.assert_array_equal(straight, found)
    assert len(np.unique(flipped)) == N_DISCS + 1
    assert not np.array_equal(flipped, straight)


def test_a_constant_plane_has_no_objects(cellpose_segmenter):
    labels = cellpose_segmenter.segment(np.full((40, 50), 7, np.uint8))
    assert labels.shape == (40, 50)
    assert labels.dtype == np.int32
    assert not labels.any()


def test_labels_have_the_shape_of_a_tiny_plane(cellpose_segmenter):
    assert cellpose_segmenter.segment(np.arange(6).reshape(3, 2)).shape == (3, 2)


def test_what_is_no_plane_of_numbers(cellpose_segmenter, discs):
    plane = discs[0].astype(np.float32)
    plane[3, 4], plane[5, 6] = np.nan, np.inf
    with pytest.raises(InputError, match=f"2 of {plane.size} pixels .* are NaN or infinite"):
        cellpose_segmenter.segment(plane)
    with pytest.raises(InputError, match=r"shape \(2, 5, 6\)"):
        cellpose_segmenter.segment(np.zeros((2, 5, 6)))
    with pytest.raises(InputError, match="dtype complex128"):
        cellpose_segmenter.segment(np.zeros((5, 6), complex))


def test_built_in_models_by_name(models, generation, weights, discs):
    plane = discs[0][:, :80]
    files = {"cyto3": "cyto3", "nuclei": "nucleitorch_0"} if generation == 3 else {"cpsam": "cpsam"}
    for name, file in files.items():
        path = models.MODEL_DIR / file
        shutil.copy(weights, path)
        expected = models.CellposeModel(pretrained_model=name).eval(plane)[0]
        assert expected.any()
        np.testing.assert_array_equal(CellposeSegmenter(name).segment(plane), expected)
        path.unlink()


def test_built_in_weights_that_are_absent(models, generation):
    name = "nuclei" if generation == 3 else "cpsam_v2"
    file = "nucleitorch_0" if generation == 3 else "cpsam_v2"
    message = refusal(WeightsError, name)
    assert f"{models.MODEL_DIR / file} is missing" in message
    assert f"python -c \"from cellpose import models; models.CellposeModel(pretrained_model='{name}')\"" in message
    assert not any(models.MODEL_DIR.iterdir())


def test_an_unknown_model(models):
    message = refusal(InputError, "cyto33")
    assert f"Cellpose {version('cellpose')}, which is installed, has no model called 'cyto33'" in message
    assert all(f" {name}," in message for name in models.MODEL_NAMES)
    assert 'pip install "cellpose>=3.1,<4"' in message
    assert 'pip install "cellpose>=4.2,<5"' in message
    assert not any(models.MODEL_DIR.iterdir())


def test_paths_that_are_no_files(models, tmp_path):
    assert f"{tmp_path} is a folder" in refusal(WeightsError, tmp_path)
    assert f"{tmp_path / 'none'} does not exist" in refusal(WeightsError, tmp_path / "none")


def test_damaged_files(weights, tmp_path):
    content = weights.read_bytes()
    for name, damaged in {"cut": content[: len(content) // 2], "empty": b"", "text": b"<html>404</html>"}.items():
        (tmp_path / name).write_bytes(damaged)
        message = refusal(WeightsError, tmp_path / name)
        assert f"{tmp_path / name} is not a Cellpose weight file or is damaged" in message


def test_files_of_other_networks(models, generation, tmp_path):
    torch.save({"conv.weight": torch.zeros(3)}, tmp_path / "foreign")
    assert f"{tmp_path / 'foreign'} holds the weights of another network" in refusal(WeightsError, tmp_path / "foreign")
    torch.save({"W2" if generation == 3 else "output.2.weight": torch.zeros(3)}, tmp_path / "other")
    message = refusal(WeightsError, tmp_path / "other")
    assert f"{tmp_path / 'other'} is a weight file of Cellpose {7 - generation}" in message
    assert f'pip install "cellpose>={"4.2,<5" if generation == 3 else "3.1,<4"}"' in message


def test_files_that_cellpose_would_load_in_part(weights, tmp_path):
    key = next(key for key in torch.load(weights, weights_only=True) if key.endswith(".bias"))
    partial = altered(weights, tmp_path / "partial", lambda state: state.pop(key))
    assert f"{partial} lacks 1 of the weights" in refusal(WeightsError, partial)
    assert key in refusal(WeightsError, partial)


def test_files_of_another_width(generation, weights, tmp_path):
    key = "output.2.weight" if generation == 3 else "out.weight"
    wider = altered(
        weights, tmp_path / "wider", lambda state: state.update({key: torch.zeros(5, *state[key].shape[1:])})
    )
    message = refusal(WeightsError, wider)
    assert str(wider) in message
    assert key in message


def test_a_device_that_is_not_there(weights):
    for device in ("cuda:77", "gpu"):
        with pytest.raises(DeviceError, match=f"cannot use the device '{device}'"):
            CellposeSegmenter(str(weights), device=device)


def run_without(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environment, capture_output=True, text=True, check=False
    ).stdout.strip()


USE = """
from microsnoop_engine.segmentation.cellpose_adapter import CellposeSegmenter
try:
    CellposeSegmenter("cyto3")
except Exception as error:
    print(type(error).__name__, error)
"""


def test_cellpose_is_not_installed():
    assert run_without("import sys; sys.modules['cellpose'] = None" + USE) == (
        "MissingExtraError segmentation with Cellpose needs the package 'cellpose': "
        'pip install "microsnoop[cellpose]"'
    )


def test_cellpose_does_not_start(models, tmp_path):
    (tmp_path / "cv2.py").write_text("raise ImportError('libGL.so.1: cannot open shared object file')")
    message = run_without(USE, PYTHONPATH=os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    assert message.startswith(
        f"DeviceError Cellpose {version('cellpose')} is installed but does not start (libGL.so.1: cannot open"
    )
