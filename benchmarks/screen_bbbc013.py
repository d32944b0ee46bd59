"""A real plate through the commands, from images to the report: BBBC013 (96 wells, FKHR-GFP and DNA; I. Ravkin).

    python benchmarks/screen_bbbc013.py --models fast,base --out benchmarks/results

The wells are written as TIFF files, with a LoadData CSV and a pipeline file per network, to out/bbbc013; 'microsnoop
run' does the rest. The figures are those of the report.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile
from arms import cpu_seconds
from eval_sets import FOLDER
from throughput import machine

from microsnoop_engine import __version__
from microsnoop_engine.cli.main import main as microsnoop

REPOSITORY = Path(__file__).resolve().parents[1]
CHANNELS = ("GFP", "DNA")
SCREEN = """\
out: {model}
profile:
  input: LoadData.csv
  segment: nuclei
  segment_channel: DNA
  model: {model}
aggregate:
  level: well
sphere:
  controls: Metadata_Role == 'negative'
  regularization: {regularization}
  replicates: Metadata_Treatment
evaluate:
  label: Metadata_Control
  groups: Metadata_Row
  neighbors: 5
  metric: euclidean
report:
  title: BBBC013, FKHR-GFP translocation
  positive: Metadata_Role == 'positive'
  treatment: [Metadata_Treatment]
  compound: Metadata_Compound
  dose: Metadata_Dose
"""
HEAD = """\
# A real plate, from images to the report

`python benchmarks/screen_bbbc013.py --models fast,base --out benchmarks/results`: BBBC013, 96 wells, nuclei segmented,
scale `auto`, mean profiles of wells, sphered on the 16 negative control wells. Figures of the report; controls and
positions leave the well's row out. The sphering is fitted on these controls, which flatters Z' after it. Seconds are of
the whole chain, beside other work on the machine.
"""


def main() -> None:
    """Write the plate, run it with each network, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=REPOSITORY / "out" / "bbbc013")
    parser.add_argument("--models", default="fast,base")
    parser.add_argument("--out", type=Path, help="folder for bbbc013.md and .json")
    parser.add_argument("--regularization", default="auto")
    options = parser.parse_args()
    write_plate(options.work)
    result: dict = {"microsnoop": __version__, "machine": machine(), "networks": {}}
    text = HEAD
    for model in options.models.split(","):
        screen = options.work / f"{model}.yaml"
        screen.write_text(SCREEN.format(regularization=options.regularization, model=model))
        began, spent = time.perf_counter(), cpu_seconds()
        if microsnoop(["run", str(screen)]):
            raise SystemExit("the run failed")
        found = {"seconds": round(time.perf_counter() - began), "cpu_seconds": round(cpu_seconds() - spent)}
        found["figures"] = figures(options.work / model / "report.html")
        result["networks"][model] = found
        text += (
            f"\n## `{model}`: {found['seconds']} s, {found['cpu_seconds']} s of CPU time\n\n{table(found['figures'])}"
        )
    print(text)
    if options.out:
        (options.out / "bbbc013.json").write_text(json.dumps(result, indent=1) + "\n")
        (options.out / "bbbc013.md").write_text(text)


def write_plate(folder: Path) -> None:
    """The wells as TIFF files, and a LoadData CSV."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    with np.load(FOLDER / "bbbc013_translocation.npz") as data:
        images, role, wells, compound = (data[key] for key in ("images", "labels", "well", "compound"))
        doses = data["concentration"]
    rows = []
    for image, kind, well, name_of_compound, dose in zip(images, role, wells, compound, doses, strict=True):
        entry = {}
        for name, plane in zip(CHANNELS, image, strict=True):
            tifffile.imwrite(folder / "images" / f"{well}_{name}.tif", plane)
            entry |= {f"FileName_{name}": f"{well}_{name}.tif", f"PathName_{name}": "images"}
        treated = kind == "treated"
        entry |= {"Metadata_Plate": "BBBC013", "Metadata_Well": well, "Metadata_Row": well[0], "Metadata_Role": kind}
        entry |= {"Metadata_Control": "" if treated else kind, "Metadata_Compound": name_of_compound}
        entry |= {"Metadata_Treatment": f"{name_of_compound} {dose}" if treated else kind, "Metadata_Dose": dose}
        rows.append(entry)
    pd.DataFrame(rows).to_csv(folder / "LoadData.csv", index=False)


def figures(report: Path) -> list[dict]:
    """The figures on the page."""
    page = report.read_text(encoding="utf-8")
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1])["scores"]


def table(scores: list[dict]) -> str:
    """As Markdown."""
    lines = ["| figure (95 % interval) | before sphering | after | meaning |", "|---|---|---|---|"]
    lines += [f"| {s['name']} | {shown(s['before'])} | {shown(s['after'])} | {s['meaning']} |" for s in scores]
    return "\n".join(lines) + "\n"


def shown(score: dict) -> str:
    """A figure with its interval."""
    return f"{score['value']:.2f} ({score['low']:.2f} to {score['high']:.2f})"


if __name__ == "__main__":
    main()
