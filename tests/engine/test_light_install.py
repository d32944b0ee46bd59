"""The engine without PyTorch, which is blocked from import."""

import subprocess
import sys

import pytest
from screens import write_screen

BLOCKED = "import sys; sys.modules['torch'] = None; "


def run(code, folder):
    return subprocess.run([sys.executable, "-c", BLOCKED + code], cwd=folder, capture_output=True, text=True)


def command(*arguments):
    return f"sys.argv = {['microsnoop', *arguments]}; from microsnoop_engine.cli.main import main; sys.exit(main())"


@pytest.mark.parametrize("model", ["fast", "base"])
def test_profile_gives_the_same_table(tmp_path, model):
    import pandas as pd

    from microsnoop_engine import Embedder, profile
    from microsnoop_engine.tables.parquet_files import read_table

    write_screen(tmp_path, 2)
    options = ["--model", model, "--device", "auto", "--precision", "float32"]
    done = run(command("profile", "LoadData.csv", *options, "--out", "light"), tmp_path)
    assert done.returncode == 0, done.stderr
    profile(tmp_path / "LoadData.csv", tmp_path / "full", embedder=Embedder(model, device="cpu", precision="float32"))
    light, full = (read_table(tmp_path / name).to_pandas() for name in ("light", "full"))
    pd.testing.assert_frame_equal(light, full, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        (["train", "."], "this needs the package 'torch': pip install \"microsnoop[torch]\""),
        (["muse", "LoadData.csv", "LoadData.csv"], "this needs the package 'torch': pip install \"microsnoop[torch]\""),
        (["profile", "LoadData.csv", "--device", "cuda"], "--device cuda needs the package 'torch'"),
    ],
)
def test_commands_that_need_it_say_so(tmp_path, arguments, needed):
    write_screen(tmp_path, 1)
    done = run(command(*arguments, "--out", "out"), tmp_path)
    assert done.returncode == 1
    assert needed in done.stderr
    assert "Traceback" not in done.stderr


def test_python_says_so(tmp_path):
    done = run("from microsnoop_engine import load_model", tmp_path)
    assert "`load_model` needs the package 'torch': pip install \"microsnoop[torch]\"" in done.stderr
