"""Small training runs on a CPU: images, settings and the command."""

import numpy as np
from PIL import Image
from scipy import ndimage

from microsnoop_engine.trainer.config import TrainConfig

SMALL = {"crop": 32, "batch": 4, "images_per_epoch": 16, "epochs": 3, "warmup_epochs": 1}
ALL_IMAGES = {"categories": (), **SMALL}
BOTH_LOSSES = TrainConfig(**ALL_IMAGES, contrast_weight=0.5, intensity=0.5)
COMMAND = ["-m", "microsnoop_engine", "train"]
OPTIONS = ["--device", "cpu", "--precision", "float32"]
OPTIONS += [f"--set={key}={value}" for key, value in SMALL.items()]
OPTIONS += ["--set=categories=", "--set=contrast_weight=0.5", "--set=intensity=0.5"]


def write_images(folder):
    """Write 24 images in two categories, each with a texture of its own."""
    random = np.random.default_rng(0)
    for category in ("one", "two"):
        (folder / category).mkdir()
        for number in range(12):
            coarse = ndimage.gaussian_filter(random.random((48, 56)), 0.3 + 0.3 * number, mode="wrap")
            texture = (coarse - coarse.min()) / np.ptp(coarse) * 255
            Image.fromarray(texture.astype(np.uint8)).save(folder / category / f"{number:02d}.png")
    return folder
