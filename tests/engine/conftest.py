"""What several test files share: the network, an embedder, real images."""

import itertools
import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from real_crops import FIELDS, real_field
from real_crops import real_crops as read_crops
from screens import write_screen
from several_workers import JOB, SETTINGS, table_of

from microsnoop_engine.distributor.run import run_job
from microsnoop_engine.images.load_data import from_load_data


@pytest.fixture(scope="session", autouse=True)
def _few_threads():
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 2)))


@pytest.fixture(scope="session")
def paper_weights(tmp_path_factory):
    """The shipped weights of the paper's network, which see crops in a frame of zeros here, as in the paper."""
    from microsnoop_engine.model.checkpoints import load_weights, save_weights

    state, card = load_weights("base")
    path = tmp_path_factory.mktemp("paper") / "paper.safetensors"
    save_weights(state, replace(card, name="paper", frame="zeros", input_size=224), path)
    return path


@pytest.fixture(scope="session")
def model(paper_weights):
    from microsnoop_engine.model.registry import load_model

    return load_model(paper_weights)


@pytest.fixture(scope="session")
def plain_weights(tmp_path_factory, paper_weights):
    """The same without their whitening."""
    from microsnoop_engine.model.checkpoints import load_weights, save_weights

    state, card = load_weights(paper_weights)
    path = tmp_path_factory.mktemp("weights") / "plain.safetensors"
    save_weights({key: value for key, value in state.items() if not key.startswith("whiten.")}, card, path)
    return path


@pytest.fixture(scope="session")
def paper_embedder(paper_weights):
    """The paper's network on the CPU in float32."""
    from microsnoop_engine.model.embedder import Embedder

    return Embedder(paper_weights, device="cpu", precision="float32", batch_size=8, threads=2)


@pytest.fixture(scope="session")
def embedder(fast):
    """The default weights, where a folder does not name others."""
    return fast


@pytest.fixture(scope="session")
def fast():
    """The default weights on the CPU in float32."""
    from microsnoop_engine.model.embedder import Embedder

    return Embedder(device="cpu", precision="float32", batch_size=8, threads=2)


@pytest.fixture(scope="session")
def thirty_sets(tmp_path_factory):
    """Image sets of a small screen."""
    return from_load_data(write_screen(tmp_path_factory.mktemp("screen"), 30))


@pytest.fixture(scope="session")
def slow_embedder():
    """The network of the tests of several workers."""
    from microsnoop_engine.model.embedder import Embedder

    return Embedder(**SETTINGS, device="cpu", threads=2)


@pytest.fixture(scope="session")
def table_of_thirty(thirty_sets, tmp_path_factory, slow_embedder):
    """What one process makes of them."""
    folder = tmp_path_factory.mktemp("expected")
    run_job(thirty_sets, JOB, slow_embedder, folder)
    return table_of(folder)


@pytest.fixture(scope="session")
def real_crops():
    """24 single-channel crops (64, 64) of cells, of several kinds and microscopes, not normalized."""
    return read_crops()


@pytest.fixture(scope="session")
def bbbc013():
    """Two wells of a real plate: images (2, 2, 640, 640), channels FKHR-GFP and DNA."""
    return np.stack([real_field(f"bbbc013_{well}") for well in ("A01", "D05")]), list(FIELDS["bbbc013_A01"])


_BUCKETS = itertools.count(1)


@pytest.fixture(scope="session")
def s3_server():
    """A real S3 server of this machine, which also processes started by a test find by their environment."""
    pytest.importorskip("s3fs")
    pytest.importorskip("upath")
    moto = pytest.importorskip("moto.server")
    import logging

    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        yield server
    server.stop()


@pytest.fixture
def bucket(s3_server):
    """An empty bucket: its address as a path."""
    from microsnoop_engine.storage.paths import as_path

    path = as_path(f"s3://bucket-{next(_BUCKETS)}/")
    path.fs.mkdir(path.path)
    return path
