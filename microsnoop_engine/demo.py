"""`microsnoop demo`: a small synthetic screen, drawn and profiled."""

from __future__ import annotations

import time
from pathlib import Path

from .distributor import profile
from .embedder import Embedder
from .inputs import find_image_sets
from .modes import CropSettings
from .planning import plan
from .profiles import TABLE
from .synthetic import write_screen
from .telling import Teller


def demo(folder: Path, embedder: Embedder, memory: int, teller: Teller) -> int:
    """Draw the screen into ``folder/screen``, profile it into ``folder/profiles``, say what is there; the exit code."""
    began = time.monotonic()
    teller.say("drawing a screen of 2 plates x 24 wells, 3 channels, 4 phenotypes and DMSO controls ...")
    load_data = write_screen(folder / "screen")
    teller.say(f"profiling it, as 'microsnoop profile {load_data} --out {folder / 'profiles'}' would ...")
    image_sets = find_image_sets(load_data)
    job = plan(image_sets, CropSettings())
    with teller.progress("image sets") as progress:
        report = profile(image_sets, job, embedder, folder / "profiles", memory, on_progress=progress)
    code = teller.finish(folder / "profiles", image_sets, job, report, time.monotonic() - began, csv=False)
    table = folder / "profiles" / TABLE
    teller.say(
        "in it: one row per nucleus; Metadata_ columns say plate, well and treatment, "
        f"{job.objects}_Microsnoop_E000_DNA and so on are the features\n"
        f"read it with: python -c \"import pandas; print(pandas.read_parquet('{table}'))\""
    )
    return code
