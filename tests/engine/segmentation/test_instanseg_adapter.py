"""Segment drawn discs with the installed InstanSeg, by a small network of it that is trained here."""

import os
import warnings

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
from drawn_discs import assert_found, draw_discs, draw_many

from microsnoop_engine import profile
from microsnoop_engine.cli.main import main
from microsnoop_engine.errors import DeviceError, InputError, WeightsError
from microsnoop_engine.segmentation.instanseg_adapter import InstanSegSegmenter
from microsnoop_engine.segmentation.segmenter import segmenter
from microsnoop_engine.segmentation.settings import SegmentationSettings

N_DISCS = 12
STEPS = 100
PIXEL_SIZE = 0.5
"""Micrometers of the pixels that the network is trained on."""

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def instanseg():
    """The package of InstanSeg."""
    if os.environ.get("CI") != "true":
        pytest.importorskip("instanseg")
    import instanseg

    return instanseg


@pytest.fixture(scope="module")
def trained(instanseg):
    """A network of InstanSeg that has learnt what discs are."""
    from instanseg.utils.loss.instanseg_loss import InstanSeg as Objective
    from instanseg.utils.models.InstanSeg_UNet import InstanSeg_UNet
    from instanseg.utils.utils import percentile_normalize

    torch.manual_seed(0)
    images, labels = draw_many(8, (96, 96), 8)
    planes = torch.stack([percentile_normalize(torch.tensor(image.astype(np.float32))[None]) for image in images])
    truth = torch.tensor(np.stack(labels)[:, None].astype(np.float32))
    objective = Objective(n_sigma=2, device="cpu", window_size=32)
    network = objective.initialize_pixel_classifier(InstanSeg_UNet(1, [[2, 2, 1]], layers=[16, 8]), MLP_width=5)
    optimizer = torch.optim.Adam(network.parameters(), 5e-3)
    rng = np.random.default_rng(0)
    for _ in range(STEPS):
        batch = rng.choice(len(planes), 4, replace=False)
        loss = objective(network(planes[batch]), truth[batch]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.eval()


@pytest.fixture(scope="module")
def model(trained, tmp_path_factory):
    """The folder of a model, as InstanSeg releases them."""
    from instanseg.utils.loss.instanseg_loss import InstanSeg_Torchscript

    folder = tmp_path_factory.mktemp("discs")
    script = InstanSeg_Torchscript(trained, pixel_size=PIXEL_SIZE, n_sigma=2, backbone_dim_in=1)
    torch.jit.save(torch.jit.script(script), folder / "instanseg.pt")
    return folder


@pytest.fixture(scope="module")
def discs():
    return draw_discs(100, (120, 140), N_DISCS)


@pytest.fixture(scope="module")
def found(model, discs):
    return InstanSegSegmenter(str(model), PIXEL_SIZE).segment(discs[0])


def test_every_disc_is_found(found, discs):
    assert_found(found, discs[1])


def test_labels_are_those_of_instanseg(instanseg, model, found, discs):
    itself = instanseg.InstanSeg(torch.jit.load(model / "instanseg.pt"), device="cpu", verbosity=0)
    expected = itself.eval_small_image(discs[0].astype(np.float32), pixel_size=PIXEL_SIZE, return_image_tensor=False)
    np.testing.assert_array_equal(found, expected[0, 0].numpy())


def test_the_pixel_size_brings_planes_to_that_of_the_model(model, discs):
    image, truth = (np.kron(each, np.ones((2, 2), each.dtype)) for each in discs)
    assert_found(InstanSegSegmenter(str(model), PIXEL_SIZE / 2).segment(image), truth)


def test_inverted_planes_have_the_same_objects(model, discs):
    settings = SegmentationSettings(invert=True, segment_pixel_size=PIXEL_SIZE)
    found = segmenter(f"instanseg:{model / 'instanseg.pt'}", settings=settings)(65535 - discs[0])
    assert_found(found, discs[1])


def test_a_constant_plane_has_no_objects(model):
    labels = InstanSegSegmenter(str(model), PIXEL_SIZE).segment(np.full((40, 50), 7, np.uint8))
    assert labels.shape == (40, 50)
    assert not labels.any()


def test_nan_is_refused(model, discs):
    plane = discs[0].astype(np.float32)
    plane[3, 4] = np.nan
    with pytest.raises(InputError, match=f"1 of {plane.size} pixels .* are NaN"):
        InstanSegSegmenter(str(model), PIXEL_SIZE).segment(plane)


def test_models_that_cannot_be_used(model, tmp_path):
    (tmp_path / "model.zip").touch()
    (tmp_path / "damaged.pt").write_bytes((model / "instanseg.pt").read_bytes()[:1000])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(torch.nn.Conv2d(1, 1, 3)), tmp_path / "other.pt")
    for name, message in (
        ("none.pt", "none.pt does not exist: name the instanseg.pt"),
        ("", "instanseg.pt does not exist"),
        ("model.zip", "model.zip is packed: unpack it"),
        ("damaged.pt", "damaged.pt is no model in TorchScript or is damaged"),
        ("other.pt", "other.pt is no model of InstanSeg"),
    ):
        with pytest.raises(WeightsError, match=message):
            InstanSegSegmenter(str(tmp_path / name), PIXEL_SIZE)
    with pytest.raises(DeviceError, match="cannot use the device 'cuda:99' for InstanSeg"):
        InstanSegSegmenter(str(model), PIXEL_SIZE, "cuda:99")


def test_a_model_of_colors_is_refused(model, trained, discs, tmp_path):
    from instanseg.utils.loss.instanseg_loss import InstanSeg as Objective
    from instanseg.utils.loss.instanseg_loss import InstanSeg_Torchscript
    from instanseg.utils.models.InstanSeg_UNet import InstanSeg_UNet

    colors = Objective(n_sigma=2, device="cpu").initialize_pixel_classifier(
        InstanSeg_UNet(3, [[2, 2, 1]], layers=[8, 4]), MLP_width=5
    )
    script = InstanSeg_Torchscript(colors, pixel_size=PIXEL_SIZE, n_sigma=2, backbone_dim_in=3)
    torch.jit.save(torch.jit.script(script), tmp_path / "colors.pt")
    with pytest.raises(WeightsError, match=r"colors.pt takes several channels"):
        InstanSegSegmenter(str(tmp_path / "colors.pt"), PIXEL_SIZE).segment(discs[0])


def test_the_pixel_size_comes_from_the_files(model, discs, tmp_path, embedder):
    image, truth = (np.kron(each, np.ones((2, 2), each.dtype)) for each in discs)
    micrometers = PIXEL_SIZE / 2
    resolution = {"resolution": (1e4 / micrometers, 1e4 / micrometers), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(tmp_path / "field.tif", image, **resolution)
    results = profile(
        tmp_path / "field.tif", tmp_path / "out", embedder=embedder, segment=f"instanseg:{model}", save_labels=True
    )
    assert len(pd.read_parquet(results.table)) == truth.max()
    assert_found(tifffile.imread(next((tmp_path / "out" / "labels").rglob("*.*"))).astype(np.int32), truth)


def test_without_a_pixel_size_the_command_says_how_to_set_it(model, discs, tmp_path, capsys):
    tifffile.imwrite(tmp_path / "field.tif", discs[0])
    command = [
        "profile",
        str(tmp_path / "field.tif"),
        "--segment",
        f"instanseg:{model}",
        "--out",
        str(tmp_path / "out"),
    ]
    assert main(command) == 1
    message = capsys.readouterr().err
    assert "InstanSeg needs the pixel size: set --segment-pixel-size" in message
    assert "1 of 1 image set does not hold their pixel size" in message
    assert main([*command, "--segment-pixel-size", str(PIXEL_SIZE)]) == 0
