"""`microsnoop demo`: a small synthetic screen, drawn, and taken from its images to a report."""

from __future__ import annotations

from pathlib import Path

from ..images.synthetic import write_screen
from ..storage.atomic import write_atomic
from ..tables.parquet_files import TABLE
from .console import Console
from .pipeline import run_file

SCREEN = """\
# A screen by one file: microsnoop run {name}
profile:
  input: screen/LoadData.csv
aggregate:
  level: well
sphere:
  controls: Metadata_Role == 'negative'
  regularization: 0.1
evaluate:
  label: Metadata_Phenotype
  compound: Metadata_Compound
  batch: Metadata_Plate
  groups: Metadata_Plate
  neighbors: 3
report:
  title: Synthetic screen
  treatment: [Metadata_Compound, Metadata_Dose]
  dose: Metadata_Dose
out: .
"""
NAME = "screen.yaml"


def demo(folder: Path, quiet: bool = False) -> int:
    """Draw the screen into ``folder/screen``, write ``folder/screen.yaml`` and do what it says; the exit code."""
    console = Console(quiet)
    console.say("drawing a screen of 2 plates x 24 wells, 3 channels, 4 phenotypes and DMSO controls ...")
    write_screen(folder / "screen")
    write_atomic(folder / NAME, SCREEN.format(name=folder / NAME).encode())
    console.say(f"from its images to a report, as 'microsnoop run {folder / NAME}' would ...")
    code = run_file(folder / NAME, quiet)
    console.say(
        f"the tables: {folder / 'profiles' / TABLE} (rows: nuclei), {folder / 'sphered.parquet'} (rows: wells)\n"
        f"look at the report: {(folder / 'report.html').resolve()}"
    )
    return code
