"""Several processes that train as one."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from training_runs import COMMAND, OPTIONS

TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]


def test_a_step_of_two_processes_is_that_of_one(images, tmp_path):
    script = Path(__file__).parents[2] / "helpers" / "parallel_step.py"
    for count in ("1", "2"):
        command = [sys.executable, *TORCHRUN, count, script, images, tmp_path]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        assert done.returncode == 0, done.stderr
    for name in ("reconstruction", "contrast"):
        one, two = (torch.load(tmp_path / f"{name}-{count}.pt") for count in (1, 2))
        assert len(one["gradients"]) > 50
        for kind in one:
            for a, b in zip(one[kind], two[kind], strict=True):
                assert (a - b).double().norm() <= 1e-4 * a.double().norm() + 1e-9


def test_two_processes_learn_as_one(images, tmp_path):
    losses = []
    for name, start in (("one", []), ("two", [*TORCHRUN, "2"])):
        options = [*OPTIONS, "--set=learning_rate=1e-4", "--quiet"]
        command = [sys.executable, *start, *COMMAND, images, "--out", tmp_path / name, *options]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        assert done.returncode == 0, done.stderr
        with (tmp_path / name / "log.csv").open() as file:
            losses.append([float(row["loss"]) for row in csv.DictReader(file)])
    assert len(losses[0]) == 12
    # the steps are the same (see above), but Adam makes rounding errors of float32 grow
    np.testing.assert_allclose(*losses, rtol=0.03)


def test_a_batch_that_cannot_be_shared_is_refused(images, tmp_path):
    command = [sys.executable, *TORCHRUN, "2", *COMMAND, images, "--out", tmp_path / "run", *OPTIONS, "--set=batch=5"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "batch is 5: it must be a multiple of the 2 processes" in done.stderr
