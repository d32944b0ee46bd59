"""Sphering on a screen whose truth is known: mechanisms are found across batches, batches are told less."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "benchmarks"))
from simulated_screen import judge, simulate, sphere


@pytest.mark.parametrize("by_batch", [False, True])
@pytest.mark.parametrize(
    ("controls", "effect", "nscb"),
    [(16, 4.0, 0.7), (48, 4.0, 0.85), (48, 8.0, 0.98), (200, 4.0, 0.9)],
)
@pytest.mark.filterwarnings("ignore:only")
def test_sphering_finds_mechanisms_and_hides_batches(by_batch, controls, effect, nscb):
    screen = simulate(effect, controls)
    raw, sphered = judge(screen["features"], screen), judge(sphere(screen, by_batch), screen)
    assert sphered["nscb"] > nscb > raw["nscb"]
    assert sphered["batch"] < raw["batch"] - 0.1
