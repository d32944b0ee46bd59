"""The commands for weights, and a network of another program from its file to the scores of a screen."""

import json

import pytest
import torch
from screens import write_screen
from torch import nn

from microsnoop_engine.cli.main import main
from microsnoop_engine.tables.parquet_files import read_table


class Encoder(nn.Module):
    """A small encoder of 384 numbers, as those of a small vision transformer."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 16, 7, stride=4)
        self.out = nn.Linear(16, 384)

    def forward(self, x):
        return self.out(torch.relu(self.conv(x)).mean((2, 3)))


DESCRIPTION = """
type: model
license: MIT
inputs:
  - axes: bcyx
    shape: [1, 1, 224, 224]
    preprocessing: [{name: zero_mean_unit_variance, kwargs: {mode: per_sample, axes: yx}}]
outputs: [{axes: bc, shape: [1, 384]}]
test_inputs: [input.npy]
test_outputs: [output.npy]
weights: {torchscript: {source: weights.pt}}
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A package of bioimage.io in a folder."""
    import numpy as np

    folder = tmp_path_factory.mktemp("package")
    torch.manual_seed(0)
    encoder = Encoder().eval()
    images = np.random.default_rng(0).random((1, 1, 224, 224), dtype=np.float32)
    with torch.inference_mode():
        made = encoder(torch.from_numpy((images - images.mean()) / images.std())).numpy()
    np.save(folder / "input.npy", images)
    np.save(folder / "output.npy", made)
    torch.jit.save(torch.jit.trace(encoder, torch.from_numpy(images)), folder / "weights.pt")
    (folder / "rdf.yaml").write_text(DESCRIPTION)
    return folder


def test_another_programs_network_measures_a_screen(package, tmp_path, capsys):
    weights = tmp_path / "encoder.safetensors"
    assert main(["weights", "import", str(package), "-o", str(weights), "--training", "nothing"]) == 0
    assert f"wrote {weights} and its card" in (written := capsys.readouterr().out)
    assert "torchscript, 384 numbers per channel" in written
    assert main(["weights", "info", str(weights)]) == 0
    card = json.loads(capsys.readouterr().out)
    assert (card["dimension"], card["input_size"], card["frame"], card["license"]) == (384, 224, "zeros", "MIT")
    assert card["options"]["presentation"] == {"channels": 1, "standardize": True}
    screen = write_screen(tmp_path, 6)
    out = tmp_path / "out"
    settings = ["--model", str(weights), "--device", "cpu", "--quiet", "--rescale-constant", "3"]
    assert main(["profile", str(screen), "--out", str(out), *settings]) == 0
    table = read_table(out).to_pandas()
    names = [name for name in table if name.startswith("Nuclei_Microsnoop_E")]
    assert len(names) == 2 * 384
    assert table[names].notna().all(axis=None)
    wells = tmp_path / "wells.parquet"
    assert main(["aggregate", str(out), "--out", str(wells)]) == 0
    sphered = tmp_path / "sphered.parquet"
    assert main(["sphere", str(wells), "--controls", "Metadata_Well != 'A01'", "--out", str(sphered)]) == 0
    assert main(["evaluate", str(out), "--label", "Metadata_Plate", "--task", "knn"]) == 0
    for path in (wells, sphered):
        assert len([name for name in read_table(path).to_pandas() if "_Microsnoop_E" in name]) == 2 * 384


def test_settings_of_an_import_are_named_as_typed(package, capsys):
    assert main(["weights", "import", str(package), "-o", "a.safetensors", "--standardize"]) == 1
    assert "leave --timm, --part and --mean out" in capsys.readouterr().err


def test_a_mean_that_is_no_number(capsys):
    with pytest.raises(SystemExit):
        main(["weights", "import", "a.pth", "--mean", "half"])
    assert "argument --mean: write a number for each channel, such as 0.5,0.5,0.5" in capsys.readouterr().err


def test_an_import_does_not_overwrite_its_source(tmp_path, capsys):
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert main(["weights", "import", str(tmp_path / "model.safetensors")]) == 1
    assert "model.safetensors' would be overwritten" in capsys.readouterr().err
