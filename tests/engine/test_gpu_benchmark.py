"""The benchmark of GPUs: its trial on a CPU goes through everything."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu.py"


def run(*arguments):
    return subprocess.run([sys.executable, SCRIPT, *map(str, arguments)], capture_output=True, text=True)


def test_trial_on_a_cpu(tmp_path):
    done = run("--device", "cpu", "--seconds", 0, "--batch", 1, "--readers", 2, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "gpu.json").read_text())
    assert result["failed"] == {}
    for part in ("table", "frames", "windows", "stages"):
        assert all(value > 0 for value in result["tables"][part].values())
        assert f"| {part} | |" in (tmp_path / "gpu.md").read_text()
    assert result["device"] == "none: a trial on a CPU"
    assert done.stdout.count("from files to the table 60%") == 2


def test_without_cuda():
    if torch.cuda.is_available():
        pytest.skip("this computer has CUDA")
    done = run()
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "finds no CUDA device here" in done.stderr
