"""The speed as a user meets it, beside DeepProfiler 0.5.1: TIFF to table, whole processes, in turn.

The same fields of BBBC013 for both, with two channels and with five (the further three are the two, mirrored).
DeepProfiler cuts 128 pixels around every nucleus and runs EfficientNet-B0 with random weights, one call for all
channels of a cell. It finds no nuclei itself: it gets the centers of ours. microsnoop is measured with the same nuclei
as label images, and finding them by itself.

    python benchmarks/deepprofiler.py [--fields 12] [--repeats 3] [--out benchmarks/results]

The environment of DeepProfiler (Python 3.9 to 3.11) is made in out/deepprofiler/environment, once.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile
from throughput import PLATE, SMALL_PARENT, Cost, machine, summary

from microsnoop_engine import __version__
from microsnoop_engine.segmentation.nuclei import segment_nuclei
from microsnoop_engine.tables.parquet_files import read_table

REPOSITORY = Path(__file__).resolve().parents[1]
WORK = REPOSITORY / "out" / "deepprofiler"
REQUIREMENTS = ("deepprofiler==0.5.1", "tensorflow==2.15.*", "pandas<3", "setuptools<81")
CHANNELS = ("GFP", "DNA", "Ch3", "Ch4", "Ch5")
BOX = 128
GOALS = {2: 4.0, 5: 2.5}
"""Times as fast as DeepProfiler that `fast` is to be, by channels."""
PEER = "DeepProfiler 0.5.1, EfficientNet-B0, locations given"
GIVEN = "microsnoop `fast`, label images given"
FOUND = "microsnoop `fast`, nuclei found"


def main() -> None:
    """Write the projects, measure both programs in turn, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fields", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--python", default=sys.executable, help="a Python 3.9 to 3.11, for DeepProfiler")
    parser.add_argument("--out", type=Path, help="folder for deepprofiler.md and .json")
    options = parser.parse_args()
    peer = environment(options.python)
    result: dict = {"command": command_line(options), "version": __version__, "machine": machine(), "channels": {}}
    for n_channels in GOALS:
        folder = WORK / f"{n_channels}-channels"
        result["cells"] = write_projects(folder, options.fields, n_channels)
        result["fields"] = options.fields
        costs = measure(peer, folder, result["cells"], options.repeats)
        result["channels"][n_channels] = {label: asdict(cost) for label, cost in costs.items()}
    text = as_markdown(result)
    print(text)
    if options.out:
        (options.out / "deepprofiler.md").write_text(text)
        (options.out / "deepprofiler.json").write_text(json.dumps(result, indent=1) + "\n")


def command_line(options: argparse.Namespace) -> str:
    """The command that gives the figures."""
    return f"python benchmarks/deepprofiler.py --fields {options.fields} --repeats {options.repeats}"


def environment(python: str) -> Path:
    """The Python of an environment of its own with DeepProfiler."""
    folder = WORK / "environment"
    if not (folder / "complete").exists():
        subprocess.run([python, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([folder / "bin" / "pip", "install", "--quiet", *REQUIREMENTS], check=True)
        (folder / "complete").touch()
    return folder / "bin" / "python"


def write_projects(folder: Path, n_fields: int, n_channels: int) -> int:
    """Write fields as TIFF with a LoadData CSV for us and a project for DeepProfiler; return the number of cells."""
    if folder.exists():
        shutil.rmtree(folder)
    inputs = folder / "project" / "inputs"
    for name in ("images", "locations/P1", "metadata", "config"):
        (inputs / name).mkdir(parents=True)
    with np.load(PLATE) as data:
        fields = data["images"][:n_fields]
    names, rows, cells = CHANNELS[:n_channels], [], 0
    for number, field in enumerate(fields):
        well = f"{'ABCDEFGH'[number // 12]}{number % 12 + 1:02d}"
        planes = [*field, field[0, ::-1], field[1, :, ::-1], field[0, ::-1, ::-1]][:n_channels]
        labels = segment_nuclei(field[1])
        cells += labels.max()
        row = {"Metadata_Plate": "P1", "Metadata_Well": well, "Metadata_Site": 1, "Treatment": "none"}
        for name, plane in zip(names, planes, strict=True):
            row[name] = f"{well}_{name}.tif"
            tifffile.imwrite(inputs / "images" / row[name], plane)
        tifffile.imwrite(inputs / f"{well}_labels.tif", labels.astype(np.uint16))
        rows.append(row)
        write_locations(inputs / "locations" / "P1" / f"{well}-1-Nuclei.csv", labels)
    pd.DataFrame(rows).to_csv(inputs / "metadata" / "index.csv", index=False)
    configuration = deepprofiler_configuration(names, fields.shape[-2:])
    (inputs / "config" / "config.json").write_text(json.dumps(configuration, indent=1))
    write_load_data(inputs, rows, names)
    return int(cells)


def write_locations(path: Path, labels: np.ndarray) -> None:
    """Write the centers of nuclei, as DeepProfiler reads them."""
    y, x = np.nonzero(labels)
    numbers = labels[y, x]
    counts = np.bincount(numbers)[1:]
    centers = {
        f"Nuclei_Location_Center_{axis}": np.bincount(numbers, positions)[1:] / counts
        for axis, positions in (("X", x), ("Y", y))
    }
    pd.DataFrame(centers).to_csv(path, index=False)


def write_load_data(inputs: Path, rows: Sequence[dict], names: Sequence[str]) -> None:
    """Write the same fields as LoadData CSVs, with and without label images."""
    table = pd.DataFrame(rows)
    for name in names:
        table[f"FileName_{name}"], table[f"PathName_{name}"] = table[name], str(inputs / "images")
    table = table.drop(columns=["Treatment", *names])
    table.to_csv(inputs / "unlabeled.csv", index=False)
    table["ObjectsFileName_Nuclei"], table["ObjectsPathName_Nuclei"] = (
        table["Metadata_Well"] + "_labels.tif",
        str(inputs),
    )
    table.to_csv(inputs / "labeled.csv", index=False)


def deepprofiler_configuration(names: Sequence[str], shape: tuple[int, int]) -> dict:
    """The settings of DeepProfiler, those of its handbook where it has any."""
    return {
        "dataset": {
            "metadata": {"label_field": "Treatment", "control_value": "none"},
            "images": {
                "file_format": "tif",
                "bits": 8,
                "channels": list(names),
                "width": shape[1],
                "height": shape[0],
            },
            "locations": {"mode": "single_cells", "box_size": BOX, "view_size": BOX, "mask_objects": False},
        },
        "prepare": {"compression": {"implement": False}},
        "train": {
            "partition": {"targets": ["Treatment"]},
            "model": {"crop_generator": "crop_generator", "params": {"conv_blocks": 0, "batch_size": 128}},
            "sampling": {"workers": 1},
            "validation": {"batch_size": 128},
        },
        "profile": {"feature_layer": "pool5", "checkpoint": "None", "batch_size": 128},
    }


def measure(peer: Path, folder: Path, cells: int, repeats: int) -> dict[str, Cost]:
    """What each program takes, in turn."""
    runs: dict[str, list[Cost]] = {PEER: [], GIVEN: [], FOUND: []}
    for _ in range(repeats):
        runs[PEER].append(peer_cost(peer, folder / "project", cells))
        runs[GIVEN].append(own_cost(folder / "project" / "inputs" / "labeled.csv", cells))
        runs[FOUND].append(own_cost(folder / "project" / "inputs" / "unlabeled.csv", cells, "--segment", "nuclei"))
    return {label: summary(costs) for label, costs in runs.items()}


def peer_cost(python: Path, project: Path, cells: int) -> Cost:
    """What DeepProfiler takes; all its cells must have features."""
    shutil.rmtree(project / "outputs", ignore_errors=True)
    command = [str(python), "-m", "deepprofiler"]  # its own command ends in a TypeError
    cost = timed([*command, f"--root={project}", "--config=config.json", "--gpu=-1", "profile"], cells)
    files = sorted((project / "outputs").rglob("*.npz"))
    written = sum(len(np.load(path, allow_pickle=False)["features"]) for path in files)
    if written != cells:
        raise SystemExit(f"DeepProfiler wrote {written} of {cells} cells")
    return cost


def own_cost(table: Path, cells: int, *options: str) -> Cost:
    """What `microsnoop profile` takes."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "microsnoop_engine", "profile", str(table), "--quiet", *options]
        cost = timed([*command, "--segment-channel", "DNA"] if options else command, cells, "--out", f"{out}/results")
        written = read_table(Path(out, "results")).num_rows
    if written != cells:
        raise SystemExit(f"microsnoop wrote {written} of {cells} cells")
    return cost


def timed(command: Sequence[str], cells: int, *further: str) -> Cost:
    """Run a command; return its wall and CPU time and memory."""
    done = subprocess.run(
        [sys.executable, "-c", SMALL_PARENT, *command, *further], capture_output=True, text=True, cwd=WORK
    )
    if done.returncode:
        raise SystemExit(f"{command[0]} failed:\n{done.stderr[-2000:]}")
    wall, cpu, peak = map(float, done.stdout.split()[-3:])
    return Cost(cells, cpu, wall, int(peak) * (1 if sys.platform == "darwin" else 1024))


def ratios(peer: dict, cost: dict) -> str:
    """How often a cost goes into that of the peer, by wall and CPU time."""
    return " | ".join(f"{peer[kind] / cost[kind]:.1f}" for kind in ("wall", "cpu"))


def as_markdown(result: dict) -> str:
    """The figures as a table."""
    lines = [
        "# Beside DeepProfiler, as a user meets both",
        "",
        f"`{result['command']}`, microsnoop {result['version']}, {result['machine']}. {result['fields']} fields of "
        f"BBBC013, {result['cells']} nuclei, from TIFF to the table, whole processes in turn, starts included. CPU "
        "time is the median of the repeats, wall time the best. DeepProfiler's weights are random; its crops have 128 "
        "pixels, and it is given the nuclei.",
        "",
        "| channels | program | wall time, s | CPU time, s | peak memory, GB | DeepProfiler / this, wall | CPU |",
        "|---|---|---|---|---|---|---|",
    ]
    for n_channels, paths in result["channels"].items():
        peer = paths[PEER]
        for label, cost in paths.items():
            numbers = f"{cost['wall']:.1f} | {cost['cpu']:.1f} | {cost['memory'] / 2**30:.1f}"
            lines.append(f"| {n_channels} | {label} | {numbers} | {ratios(peer, cost)} |")
    lines.append("")
    for n_channels, goal in GOALS.items():
        paths = result["channels"].get(n_channels) or result["channels"][str(n_channels)]
        reached = paths[PEER]["wall"] / paths[FOUND]["wall"]
        verdict = "reached" if reached >= goal else "missed"
        lines.append(
            f"- {n_channels} channels: `fast` with finding the nuclei is {reached:.1f} times as fast (goal {goal:g}: "
            f"{verdict})."
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
