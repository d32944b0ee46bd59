"""Draw docs/images/cellprofiler-*.png: the real windows of CellProfiler, on a drawn screen.

PYTHONPATH=tests/helpers .venv-cellprofiler/bin/python scripts/pictures/cellprofiler_windows.py
(after make cellprofiler-window)
"""

import os
import tempfile
from pathlib import Path

from cellprofiler_host import REPOSITORY
from cellprofiler_session import run_session
from PIL import Image

IMAGES = REPOSITORY / "docs" / "images"

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        steps = ["step_settings", "step_test_mode"]
        size = {"shape": (400, 400), "cells": 26, "height": 1340}
        seen = run_session(folder, os.environ["MICROSNOOP_PYTHON"], scope="Objects", steps=steps, **size)
        assert not seen["errors"], seen["errors"]
        for part in ("settings", "display"):
            picture = Image.open(folder / "seen" / f"{part}.png").convert("RGB")
            if part == "settings":
                picture = picture.quantize(128)
            picture.save(IMAGES / f"cellprofiler-{part}.png", optimize=True)
            print(part, picture.size, (IMAGES / f"cellprofiler-{part}.png").stat().st_size)
