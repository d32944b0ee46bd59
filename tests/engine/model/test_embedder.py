"""Every backend, precision and size of crop, compared with the plain float32 network over the whole frame."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from crop_windows import normalized_windows

from microsnoop_engine import Embedder
from microsnoop_engine.errors import DeviceError, InputError, WeightsError
from microsnoop_engine.model.checkpoints import Card, load_weights, save_weights
from microsnoop_engine.model.frame import SIZES
from microsnoop_engine.model.registry import load_model
from microsnoop_engine.modes.normalization import normalize
from microsnoop_engine.modes.resizing import resize

THREADS = {"device": "cpu", "threads": 2}


def has_bfloat16():
    import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def framed(crops):
    """Crops (n, 1, s, s) in the middle of frames of zeros (n, 1, 224, 224)."""
    frames = np.zeros((len(crops), 1, 224, 224), np.float32)
    start = (224 - crops.shape[-1]) // 2
    frames[:, :, start : start + crops.shape[-1], start : start + crops.shape[-1]] = crops
    return frames


@torch.inference_mode()
def expected(model, crops):
    return model.embed(torch.from_numpy(framed(crops))).numpy()


def random_crops(size, count=2):
    """Blobs and noise from -0.2 to 1.2, as percentile normalization gives them."""
    return np.random.default_rng(size).uniform(-0.2, 1.2, (count, 1, size, size)).astype(np.float32)


def cosine(a, b):
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


@pytest.fixture(scope="module")
def torch_embedder(paper_weights):
    return Embedder(paper_weights, backend="torch", precision="float32", **THREADS)


@pytest.mark.parametrize("size", SIZES)
def test_openvino_equals_the_network_over_the_whole_frame(model, embedder, size):
    crops = random_crops(size)
    assert embedder.backend.name == "openvino"
    assert np.abs(embedder.embed(crops) - expected(model, crops)).max() < 1e-4


@pytest.mark.parametrize("size", [48, 224])
def test_torch_equals_the_network_over_the_whole_frame(model, torch_embedder, size):
    crops = random_crops(size)
    assert torch_embedder.backend.name == "torch"
    assert np.abs(torch_embedder.embed(crops) - expected(model, crops)).max() < 1e-4


def test_windows_hold_for_any_weights(tmp_path):
    """Windows follow from the receptive field alone, so weights with a strong response to zeros must not matter."""
    from microsnoop_engine.model.registry import build
    from microsnoop_engine.model.unet import Microsnoop

    torch.manual_seed(0)
    network = Microsnoop(decoder=False)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if name.endswith(("bias", "running_mean")):
                tensor.normal_(0, 0.3)
            elif name.endswith("running_var"):
                tensor.uniform_(0.5, 2)
    state = {k: v.numpy() for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked")}
    save_weights(state, Card("random"), tmp_path / "random.safetensors")
    crops = random_crops(64)
    embeddings = Embedder(tmp_path / "random.safetensors", precision="float32", **THREADS).embed(crops)
    assert np.abs(embeddings - expected(build(state, Card("random")), crops)).max() < 1e-4


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_bfloat16_on_real_crops(model, real_crops, backend, plain_weights, paper_weights):
    if backend == "openvino" and not has_bfloat16():
        with pytest.raises(DeviceError, match="no bfloat16 arithmetic: set `precision` to auto or float32"):
            Embedder(backend="openvino", precision="bfloat16", **THREADS)
        return
    crops = normalized_windows(real_crops[::6])
    fast = Embedder(plain_weights, backend=backend, precision="bfloat16", **THREADS)
    embeddings = fast.embed(crops)
    assert (fast.precision, embeddings.dtype) == ("bfloat16", np.float32)
    assert cosine(embeddings, expected(model.network, crops)).min() >= 0.995
    assert np.abs(np.linalg.norm(embeddings, axis=1) - 1).max() < 1e-5
    if backend == "torch":
        with pytest.raises(InputError, match="'paper' are whitened"):
            Embedder(paper_weights, backend="torch", precision="bfloat16", **THREADS)
    else:  # whitening enlarges the differences between crops, and those by rounding with them
        whitened = Embedder(paper_weights, backend=backend, precision="bfloat16", **THREADS).embed(crops)
        assert cosine(whitened, expected(model, crops)).min() >= 0.95


def test_automatic_choice():
    embedder = Embedder(**THREADS)
    assert embedder.backend.name == "openvino"
    assert embedder.precision == ("bfloat16" if has_bfloat16() else "float32")
    assert Embedder(backend="torch", **THREADS).precision == "float32"
    assert Embedder("base", **THREADS).precision == "float32"  # bfloat16 would move its cells


@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
def test_batch_size_does_not_matter(embedder, paper_weights, batch_size):
    crops = random_crops(48, 7)
    other = Embedder(paper_weights, precision="float32", batch_size=batch_size, **THREADS).embed(crops)
    assert np.abs(other - embedder.embed(crops)).max() < 1e-5


def test_rows_are_of_unit_length_and_of_float32(embedder):
    result = embedder.embed(random_crops(64).astype(np.float64))
    assert result.dtype == np.float32
    assert np.abs(np.linalg.norm(result, axis=1) - 1).max() < 1e-5


def test_no_crops(embedder):
    assert embedder.embed(np.empty((0, 1, 64, 64), np.float32)).shape == (0, 256)


@pytest.mark.parametrize("shape", [(224, 224), (2, 224, 224), (2, 3, 64, 64), (2, 1, 64, 48), (2, 1, 50, 50), (0,)])
def test_bad_shape(embedder, shape):
    with pytest.raises(InputError, match=r"`crops` have shape \(.*\): it must be \(n, 1, s, s\) with s one of \(48, "):
        embedder.embed(np.zeros(shape, np.float32))


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"device": "gpu"}, InputError, "`device` is 'gpu': choose auto, cpu, cuda, mps"),
        ({"precision": "float8"}, InputError, "`precision` is 'float8': choose auto, float32, bfloat16, float16"),
        ({"device": "cpu", "precision": "float16"}, InputError, "`precision` float16 is for GPUs: use auto on a CPU"),
        ({"backend": "openvino", "precision": "float16"}, InputError, "openvino computes in float32 or bfloat16"),
        ({"backend": "onnx"}, InputError, "`backend` is 'onnx': choose auto, openvino, torch"),
        ({"batch_size": 0}, InputError, "`batch_size` is 0: the smallest value is 1"),
        ({"threads": -1}, InputError, "`threads` is -1: the smallest value is 1"),
        (
            {"device": "cuda", "backend": "openvino"},
            InputError,
            "openvino computes on the CPU: set `device` to cpu, not cuda",
        ),
        ({"device": "cuda:"}, InputError, "`device` is 'cuda:': choose auto, cpu, cuda, mps"),
        ({"device": "cpu:1"}, InputError, "`device` is 'cpu:1': choose auto, cpu, cuda, mps"),
        ({"model": "nothing"}, WeightsError, "no weights named 'nothing'"),
    ],
)
def test_bad_settings(settings, error, message):
    with pytest.raises(error, match=message):
        Embedder(**settings)


@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:1", "mps"])
def test_missing_device(device):
    if torch.backends.mps.is_available() if device == "mps" else torch.cuda.is_available():
        pytest.skip(f"this computer has a device '{device}'")
    with pytest.raises(DeviceError, match=rf"finds no '{device}' device here: set `device` to cpu, or install"):
        Embedder(device=device)


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ({"input_size": 112}, "has the input size 112: it must be 224"),
        ({"input_size": 100, "frame": "crop"}, "has the input size 100: it must be 64, 96, 128, 160, 192, 224"),
        ({"frame": "ring"}, "has the frame 'ring': it must be zeros or crop"),
    ],
)
def test_cards_that_cannot_be_followed(tmp_path, card, message):
    save_weights({"encoder.0.a": np.zeros(1)}, Card("small", **card), tmp_path / "small.safetensors")
    with pytest.raises(WeightsError, match=message):
        Embedder(tmp_path / "small.safetensors")


@pytest.mark.parametrize("name", ["fast", "base"])
@pytest.mark.parametrize("size", [64, 128, 160])
def test_shipped_networks_see_the_crop_itself(name, size):
    """OpenVINO, PyTorch with folded norms, and the plain network."""
    crops = random_crops(size)
    with torch.inference_mode():
        plain = load_model(name).embed(torch.from_numpy(crops)).numpy()
    for backend in ("openvino", "torch"):
        embedder = Embedder(name, backend=backend, precision="float32", **THREADS)
        assert np.abs(embedder.embed(crops) - plain).max() < 1e-4
    assert (embedder.frame.size, embedder.frame.zeros) == (128, False)


def test_the_compact_network_in_float16(real_crops):
    crops = np.stack([resize(normalize(crop)[0], (128, 128)) for crop in real_crops[::4]])[:, None]
    exact, half = (Embedder("fast", backend="torch", precision=each, **THREADS) for each in ("float32", "float16"))
    assert cosine(exact.embed(crops), half.embed(crops)).min() > 0.9995


@pytest.mark.parametrize(
    ("name", "mask", "size"),
    [("fast", "box", 128), ("fast", "object", 128), ("fast", "box", 224), ("base", "box", 128)],
)
def test_automatic_precision_does_not_move_cells(real_crops, name, mask, size):
    """All together by at most 0.05 of their standard deviations, and each little, so that computers agree."""
    if not has_bfloat16():
        pytest.skip("this CPU has no bfloat16 arithmetic")
    crops = [
        resize(normalize(crop, crop > np.median(crop) if mask == "object" else None)[0], (size, size))
        for crop in real_crops
    ]
    crops = np.stack(crops)[:, None]
    exact, rounded = (Embedder(name, precision=precision, **THREADS).embed(crops) for precision in ("float32", "auto"))
    assert np.array_equal(exact, rounded) == (name == "base" or size > 160)
    assert cosine(exact, rounded).min() > 0.999
    assert (np.abs((rounded - exact).mean(0)) / exact.std(0)).max() < 0.05


@pytest.mark.parametrize("kept", ["", "encoder.0.proj.norm.weight", "encoder.3.convs.3.conv.bias"])
@pytest.mark.parametrize("backend", ["openvino", "torch"])
def test_weights_of_another_network(tmp_path, model, backend, kept):
    state = {k: v.numpy() for k, v in model.state_dict().items() if k == kept}
    save_weights({**state, "a": np.zeros(1)}, Card("odd"), tmp_path / "odd.safetensors")
    with pytest.raises(WeightsError, match="the weights 'odd'"):
        Embedder(tmp_path / "odd.safetensors", backend=backend, **THREADS).embed(random_crops(224))


def test_the_batch_size_shrinks_when_memory_runs_out(paper_weights):
    """No crop is lost, and none moves, when the batch size shrinks on the way."""
    embedder = Embedder(paper_weights, precision="float32", batch_size=8, **THREADS)
    crops = random_crops(48, 11)
    whole = embedder.embed(crops)
    network, sizes = embedder.backend, []

    class ShortOfMemory:
        name, device, precision = network.name, network.device, network.precision

        def embed(self, part):
            if len(part) > 3:
                raise MemoryError
            sizes.append(len(part))
            return network.embed(part)

    embedder.backend = ShortOfMemory()
    assert np.abs(embedder.embed(crops) - whole).max() < 1e-5
    assert embedder.batch_size == max(sizes) == 2


@pytest.mark.parametrize("backend", ["openvino", "torch"])
def test_from_state_equals_the_file(backend, monkeypatch):
    """Tensors in memory need no file, and give the embeddings of the file that they were read from."""
    settings = {"backend": backend, "precision": "float32", **THREADS}
    expected_embeddings = Embedder(**settings).embed(random_crops(64))
    state, card = load_weights()
    monkeypatch.setattr("microsnoop_engine.model.embedder.load_weights", None)
    embedder = Embedder.from_state(state, card, batch_size=3, **settings)
    assert (embedder.card, embedder.batch_size) == (card, 3)
    np.testing.assert_array_equal(embedder.embed(random_crops(64)), expected_embeddings)
    with pytest.raises(InputError, match="`threads` is 0: the smallest value is 1"):
        Embedder.from_state(state, card, threads=0)


def test_tensors_for_a_backend_that_takes_arrays(embedder):
    assert not embedder.takes_tensors
    with pytest.raises(InputError, match="the backend 'openvino' takes arrays only: use `embed`"):
        embedder.start(torch.zeros(1, 1, 48, 48))


def test_networks_side_by_side():
    crops = random_crops(128, 3)
    fast, base, both = (Embedder(name, precision="float32", **THREADS) for name in ("fast", "base", "fast+base"))
    assert (both.card.name, both.card.dimension) == ("microsnoop-fast+microsnoop-base", 512)
    assert both.card.sha256 not in (fast.card.sha256, base.card.sha256)
    expected_embeddings = np.hstack([fast.embed(crops), base.embed(crops)]) / np.sqrt(2)
    np.testing.assert_allclose(both.embed(crops), expected_embeddings, atol=1e-6)


def test_networks_that_see_crops_differently(paper_weights, tmp_path, monkeypatch):
    monkeypatch.chdir(paper_weights.parent)
    with pytest.raises(InputError, match=r"'microsnoop-fast' sees crops of 128 pixels .crop., 'paper' of 224 .zeros."):
        Embedder("fast+paper.safetensors", **THREADS)


def test_threads_that_embed_at_the_same_time():
    """Graphs of OpenVINO work on one batch at a time: others were refused, or got each other's results."""
    embedder = Embedder(**THREADS)
    crops = np.random.default_rng(4).random((6, 8, 1, 64, 64), np.float32)
    want = [embedder.embed(part) for part in crops]
    with ThreadPoolExecutor(6) as threads:
        for _ in range(3):
            for found, expected in zip(threads.map(embedder.embed, crops), want, strict=True):
                np.testing.assert_allclose(found, expected, atol=1e-5)
