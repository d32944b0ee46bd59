"""The worker, driven by Appose's own Java client: the way of Java programs other than the plugin."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from imagej_host import REPOSITORY, maven_jars
from waiting import PATIENCE

from microsnoop_engine.modes.measure import measure
from microsnoop_engine.modes.settings import CropSettings

CLIENT = Path(__file__).parent / "appose" / "ApposeClient.java"
JARS = (
    "appose",
    "groovy",
    "groovy-json",
    "jna",
    "jna-platform",
    "commons-compress",
    "commons-io",
    "commons-lang3",
    "ivy",
)
WORKER = [sys.executable, "-m", "microsnoop_engine", "worker", "--device", "cpu"]


def test_the_client_of_java(embedder, tmp_path):
    """Six tasks at once, a task that is cancelled, one that is refused, one that runs while the client closes."""
    classpath = os.pathsep.join([*maven_jars(*JARS), str(tmp_path)])
    subprocess.run(["javac", "-cp", classpath, "-d", str(tmp_path), str(CLIENT)], check=True, timeout=PATIENCE)
    image = np.random.default_rng(0).integers(0, 4000, (300, 300)).astype("<u2")
    labels = np.zeros((300, 300), "<i4")
    labels[50:90, 50:90], labels[150:200, 180:260] = 1, 7
    image.tofile(tmp_path / "image.raw")
    labels.tofile(tmp_path / "labels.raw")
    done = subprocess.run(
        ["java", "-cp", classpath, "ApposeClient", str(tmp_path), *WORKER],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        cwd=REPOSITORY,
    )
    lines = done.stdout.splitlines()
    assert lines[0] == "dimension 256", done.stdout + done.stderr
    assert [line.split()[:2] for line in lines[1:7]] == [["COMPLETE", "FLOAT32"]] * 6
    assert lines[7] == "cancelled: CANCELED"
    assert lines[8].startswith("refused: FAILED measure_objects needs the input image, labels")
    assert lines[9:] == ["closed meanwhile: COMPLETE", "invalid lines: 0"]
    want = measure(embedder, image, labels, CropSettings(scale="each")).features
    for number in range(6):
        found = np.fromfile(tmp_path / f"features-{number}.raw", "<f4")[: want.size].reshape(want.shape)
        np.testing.assert_allclose(found, want, atol=1e-4)
    blocks = (tmp_path / "blocks.txt").read_text().split()
    assert len(blocks) == 10
    assert not [name for name in blocks if (Path("/dev/shm") / name.lstrip("/")).exists()]
