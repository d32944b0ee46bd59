"""Packages of bioimage.io: both versions of the description, the kinds of weights, and all that is refused."""

import copy
import hashlib
import io
import zipfile

import numpy as np
import pytest
import torch
import yaml
from torch import nn

from microsnoop_engine import Embedder
from microsnoop_engine.errors import InputError, WeightsError
from microsnoop_engine.model.checkpoints import Card, load_weights
from microsnoop_engine.model.foreign.importing import import_weights
from microsnoop_engine.model.foreign.presentation import Presentation

CARD = Card("mine", license="not stated")
CROPS = np.random.default_rng(0).random((2, 1, 224, 224), dtype=np.float32)


class Encoder(nn.Module):
    """A small encoder: 32 numbers of an image of one channel."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 5, stride=4)
        self.out = nn.Linear(8, 32)

    def forward(self, x):
        return self.out(torch.relu(self.conv(x)).mean((2, 3)))


def program(module):
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(module.eval()), buffer)
    return buffer.getvalue()


def array(values):
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


def standardized(images):
    return (images - images.mean((2, 3), keepdims=True)) / (images.std((2, 3), keepdims=True) + 1e-6)


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    return Encoder().eval()


@pytest.fixture(scope="module")
def files(encoder):
    """The files of a package whose images are standardized."""
    images = 900 * np.random.default_rng(1).random((1, 1, 96, 96), dtype=np.float32) + 200
    with torch.inference_mode():
        made = encoder(torch.from_numpy(standardized(images))).numpy()
    return {"weights.pt": program(encoder), "in.npy": array(images), "out.npy": array(made)}


def described(file, data):
    return {"source": file, "sha256": hashlib.sha256(data).hexdigest()}


@pytest.fixture
def new(files):
    """Its description, version 0.5."""
    plane = [{"type": "batch"}, {"type": "channel", "channel_names": ["gray"]}]
    plane += [{"type": "space", "id": axis, "size": {"min": 32, "step": 4}} for axis in "yx"]
    numbers = [{"type": "batch"}, {"type": "channel", "channel_names": [f"f{n}" for n in range(32)]}]
    steps = [{"id": "ensure_dtype", "kwargs": {"dtype": "float32"}}]
    steps += [{"id": "zero_mean_unit_variance", "kwargs": {"axes": ["x", "y"]}}]
    return {
        "type": "model",
        "format_version": "0.5.4",
        "license": "CC-BY-4.0",
        "inputs": [
            {"id": "raw", "axes": plane, "test_tensor": described("in.npy", files["in.npy"]), "preprocessing": steps}
        ],
        "outputs": [{"id": "features", "axes": numbers, "test_tensor": described("out.npy", files["out.npy"])}],
        "weights": {"torchscript": {**described("weights.pt", files["weights.pt"]), "pytorch_version": "2.5"}},
    }


@pytest.fixture
def old(files):
    """Its description, version 0.4."""
    steps = [{"name": "zero_mean_unit_variance", "kwargs": {"axes": "cyx", "mode": "per_sample"}}]
    image = {"name": "raw", "axes": "bcyx", "shape": {"min": [1, 1, 32, 32], "step": [0, 0, 4, 4]}}
    return {
        "type": "model",
        "format_version": "0.4.9",
        "inputs": [{**image, "data_range": [float("-inf"), float("inf")], "preprocessing": steps}],
        "outputs": [{"name": "features", "axes": "bc", "shape": [1, 32]}],
        "test_inputs": ["in.npy"],
        "test_outputs": ["out.npy"],
        "weights": {"torchscript": {"source": "weights.pt"}},
    }


def write(folder, description, files, name="rdf.yaml"):
    with zipfile.ZipFile(folder / "package.zip", "w") as archive:
        archive.writestr(name, "%YAML 1.2\n---\n" + yaml.safe_dump(description))
        for file, data in files.items():
            archive.writestr(file, data)
    return folder / "package.zip"


def imported(folder, description, files):
    """Import a package and return the path and the card of its weights."""
    target = folder / "a.safetensors"
    return target, import_weights(write(folder, description, files), target, CARD)


def check_embeddings(path, encoder, present=standardized):
    with torch.inference_mode():
        expected = encoder(torch.from_numpy(present(CROPS))).numpy()
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(Embedder(path, device="cpu").embed(CROPS), expected, atol=1e-5)


@pytest.mark.parametrize("version", ["new", "old"])
def test_a_torchscript_encoder(version, request, files, encoder, tmp_path):
    path, card = imported(tmp_path, request.getfixturevalue(version), files)
    assert (card.architecture, card.dimension) == ("torchscript", 32)
    assert card.options["presentation"] == {"channels": 1, "standardize": True}
    assert card.license == ("CC-BY-4.0" if version == "new" else "not stated")
    assert load_weights(path)[0]["encoder.program"].dtype == np.uint8
    check_embeddings(path, encoder)


@pytest.mark.parametrize("named", ["folder", "file"])
def test_a_package_that_was_unpacked(named, new, files, encoder, tmp_path):
    with zipfile.ZipFile(write(tmp_path, new, files, "bioimageio.yaml")) as archive:
        archive.extractall(tmp_path / "package")
    source = tmp_path / "package" if named == "folder" else tmp_path / "package" / "bioimageio.yaml"
    import_weights(source, tmp_path / "a.safetensors", CARD)
    check_embeddings(tmp_path / "a.safetensors", encoder)


def test_gray_levels_up_to_one_with_a_fixed_mean(new, files, encoder, tmp_path):
    images = np.random.default_rng(2).random((1, 1, 64, 64), dtype=np.float32)
    with torch.inference_mode():
        made = encoder(torch.from_numpy((images - 0.3) / 0.2)).numpy()
    new["inputs"][0] |= {
        "test_tensor": "in.npy",
        "data": {"type": "float32", "range": [0, 1]},
        "preprocessing": [{"id": "fixed_zero_mean_unit_variance", "kwargs": {"mean": 0.3, "std": 0.2}}],
    }
    new["outputs"][0]["test_tensor"] = "out.npy"
    path, card = imported(tmp_path, new, {**files, "in.npy": array(images), "out.npy": array(made)})
    assert card.options["presentation"] == {"channels": 1, "mean": [0.3], "std": [0.2]}
    check_embeddings(path, encoder, lambda crops: (crops - np.float32(0.3)) / np.float32(0.2))


def test_a_state_dict_of_a_model_of_timm(new, files, tmp_path):
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    network = timm.create_model("resnet10t", in_chans=1, num_classes=0).eval()
    buffer = io.BytesIO()
    torch.save(network.state_dict(), buffer)
    images = np.random.default_rng(2).random((1, 1, 64, 64), dtype=np.float32)
    with torch.inference_mode():
        made = network(torch.from_numpy(standardized(images))).numpy()
    architecture = {
        "import_from": "timm",
        "callable": "create_model",
        "kwargs": {"model_name": "resnet10t", "num_classes": 0, "in_chans": 1},
    }
    new["weights"] = {"pytorch_state_dict": {"source": "state.pt", "architecture": architecture}}
    new["inputs"][0]["test_tensor"], new["outputs"][0]["test_tensor"] = "in.npy", "out.npy"
    tensors = {"state.pt": buffer.getvalue(), "in.npy": array(images), "out.npy": array(made)}
    path, card = imported(tmp_path, new, tensors)
    assert (card.architecture, card.dimension, card.options["model"]) == ("timm", 512, "resnet10t")
    check_embeddings(path, network)
    architecture["kwargs"]["global_pool"] = "max"
    with pytest.raises(WeightsError, match="is made with global_pool=max, which is not known here"):
        imported(tmp_path, new, tensors)


# what is refused

SEGMENTATION = [{"type": "batch"}, {"type": "channel"}, {"type": "space", "id": "y"}, {"type": "space", "id": "x"}]
FROM_FILE = {"source": "unet.py", "callable": "UNet"}
FROM_LIBRARY = {"import_from": "monai.networks.nets", "callable": "ViT"}


def state_dict(architecture):
    return {"pytorch_state_dict": {"source": "weights.pt", "architecture": architecture}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["outputs"][0].update(axes=SEGMENTATION), r"makes images \(axes bcyx\), as for segmentation"),
        (
            lambda d: d["inputs"][0]["axes"].insert(2, {"type": "space", "id": "z"}),
            "the axes bczyx: .* measures planes",
        ),
        (lambda d: d["inputs"].append(d["inputs"][0]), "has 2 inputs: microsnoop needs a network with one"),
        (lambda d: d["outputs"][0].update(postprocessing=[{"id": "sigmoid"}]), "changes its output by sigmoid"),
        (lambda d: d["inputs"][0].update(preprocessing=[{"id": "scale_range"}]), "prepares images by scale_range"),
        (
            lambda d: d["inputs"][0].update(preprocessing=[]),
            r"prepares images by nothing, for gray levels \(None, None\)",
        ),
        (
            lambda d: d.update(weights={"keras_hdf5": {}, "onnx": {}}),
            "keras_hdf5 cannot be run here; onnx cannot be run",
        ),
        (
            lambda d: d.update(weights=state_dict("unet.py:UNet")),
            "defined by the Python file 'unet.py:UNet', which is not",
        ),
        (lambda d: d.update(weights=state_dict(FROM_FILE)), "defined by the Python file 'unet.py', which is not run"),
        (lambda d: d.update(weights=state_dict(FROM_LIBRARY)), "library 'monai.networks.nets', not from timm"),
        (lambda d: d.update(weights={}), "no weights that microsnoop takes: none are described"),
        (lambda d: d["inputs"][0].pop("test_tensor"), "has no test input and output"),
        (
            lambda d: d["weights"]["torchscript"].update(source="https://a.org/w.pt"),
            "names a file elsewhere: https://a.org",
        ),
        (lambda d: d["weights"]["torchscript"].update(source="../weights.pt"), "lacks its file '../weights.pt'"),
        (
            lambda d: d["weights"]["torchscript"].update(sha256="0" * 64),
            "'weights.pt' .* is not the file that is described",
        ),
        (lambda d: d.update(type="dataset"), "describes no model"),
        (lambda d: d["outputs"][0].update(axes=[{"id": "y"}]), "the description of .* is incomplete or wrong: 'type'"),
    ],
)
def test_packages_that_are_refused(new, files, tmp_path, change, message):
    description = copy.deepcopy(new)
    change(description)
    with pytest.raises(WeightsError, match=message):
        imported(tmp_path, description, files)
    assert not (tmp_path / "a.safetensors").exists()


def test_a_network_that_does_not_make_its_test_output(new, files, tmp_path):
    new["outputs"][0]["test_tensor"] = "other.npy"
    with pytest.raises(WeightsError, match="does not make the package's test output of its test input"):
        imported(tmp_path, new, {**files, "other.npy": array(np.ones((1, 32), np.float32))})


class Saves(nn.Module):
    """A program that would write a file."""

    def forward(self, x):
        torch.save(x, "stolen")
        return x.mean((2, 3))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (program(Saves()), "calls 'save', which does more than compute"),
        (b"something else", "is no TorchScript program"),
        (array(np.ones(3)), "is no TorchScript program"),
        (program(nn.Identity()), r"makes \(2, 1, 224, 224\) of two crops: it must make a row of numbers of each"),
        (program(nn.Sequential(nn.Flatten(), nn.Linear(96 * 96, 8))), "cannot compute crops of 224 pixels"),
    ],
)
def test_programs_that_are_refused(new, files, tmp_path, data, message):
    new["weights"] = {"torchscript": {"source": "weights.pt"}}
    with pytest.raises(WeightsError, match=message):
        imported(tmp_path, new, {**files, "weights.pt": data})


def test_files_that_are_no_packages(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"no archive")
    (tmp_path / "empty").mkdir()
    for name, message in (
        ("a.zip", "cannot be read as a package"),
        ("empty", "has no rdf.yaml"),
        ("b.zip", "there is no"),
    ):
        with pytest.raises(WeightsError, match=message):
            import_weights(tmp_path / name, tmp_path / "a.safetensors", CARD)


def test_settings_of_a_package_come_from_its_description(new, files, tmp_path):
    with pytest.raises(InputError, match="describes its network: leave `timm`, `part` and `mean` out"):
        import_weights(
            write(tmp_path, new, files), tmp_path / "a", CARD, presentation=Presentation(1, standardize=True)
        )
