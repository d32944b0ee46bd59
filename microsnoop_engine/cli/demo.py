"""Draw a small synthetic screen and take it from its images to a report."""

from __future__ import annotations

from pathlib import Path

from ..images.synthetic import write_screen
from ..storage.atomic import write_atomic
from ..tables.file_names import TABLE
from .console import Console
from .options import Parse
from .pipeline import run_file

SCREEN = """\
# All steps of a screen in one file: microsnoop run {name}
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


def demo(folder: Path, parse: Parse, quiet: bool = False) -> int:
    """Draw a screen into ``folder/screen``, write ``folder/screen.yaml`` and run it.

    Parameters
    ----------
    folder : Path
    parse : callable
        Parses a command line.
    quiet : bool
        Print errors only.

    Returns
    -------
    int
        Exit code.
    """
    console = Console(quiet)
    console.say("drawing a screen: 2 plates x 24 wells, 3 channels, 4 phenotypes and DMSO controls")
    write_screen(folder / "screen")
    write_atomic(folder / NAME, SCREEN.format(name=folder / NAME).encode())
    console.say(f"measuring it, as 'microsnoop run {folder / NAME}' does")
    code = run_file(folder / NAME, parse, quiet)
    console.say(
        f"tables: {folder / 'profiles' / TABLE} (a row per nucleus), {folder / 'sphered.parquet'} (a row per well)\n"
        f"open the report in a browser: {(folder / 'report.html').resolve()}"
    )
    return code
