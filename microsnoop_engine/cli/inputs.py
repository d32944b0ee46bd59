"""Define the command inputs, which shows what an input holds."""

from __future__ import annotations

import argparse
import json
import logging
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import counted
from ..images.acquisitions.layouts import LAYOUTS
from ..images.reading_options import ReadingOptions
from ..storage.paths import path_kind
from .image_options import add_folder_options, reading_arguments
from .options import path_argument

if TYPE_CHECKING:
    from ..images.image_set import ImageSet
    from ..images.inputs import Inputs

LISTED = 6
"""Values of a metadata column to print."""


def add_inputs_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("inputs", help="show what an input holds", description=run_inputs.__doc__)
    parser.add_argument("input", type=path_argument, metavar="INPUT", help="what microsnoop profile takes")
    parser.add_argument("--pattern", help="see microsnoop profile")
    add_folder_options(parser)
    parser.add_argument(
        "--labels", type=path_argument, metavar="FILE|FOLDER", help="label images, see microsnoop profile"
    )
    parser.add_argument("--objects", metavar="NAME", help="name of the objects")
    parser.add_argument(
        "--write", type=path_argument, metavar="CSV", help="write the image sets as a LoadData CSV of CellProfiler"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run_inputs)


def run_inputs(options: argparse.Namespace) -> int:
    """Show what an input holds: plates, wells, sites, channels, planes and times, and the files that are left out."""
    from ..images.folders import MAX_UNMATCHED
    from ..images.inputs import find_inputs
    from ..images.load_data_file import write_load_data
    from ..tables.outputs import refuse_inputs

    reading = {**reading_arguments(options), "allow_unmatched": True}
    logger = logging.getLogger("microsnoop_engine.images.left_out")
    level = logger.level
    logger.setLevel(logging.ERROR)  # what is left out is printed below
    try:
        inputs = find_inputs(options.input, ReadingOptions(**reading, objects=options.objects or "Nuclei"))
    finally:
        logger.setLevel(level)
    unexpected = sum(each.files for each in inputs.left_out if each.unexpected)
    images = unexpected + sum(len(image_set.channels) for image_set in inputs.image_sets)
    refused = unexpected > MAX_UNMATCHED * images and not options.allow_unmatched
    words: dict[str, str] = {}
    if options.write:
        sources = (source for each in inputs.image_sets for source in (*each.channels.values(), *each.labels.values()))
        files = [options.input] if path_kind(options.input) == "file" else []
        refuse_inputs(options.write, [*files, *(path for source in sources for path in source.files)], "write")
        words = write_load_data(options.write, inputs.image_sets)
    if options.json:
        print(json.dumps(_summary(inputs), ensure_ascii=False))
        return 0
    for line in _lines(inputs):
        print(line)
    if refused:
        print(
            f"{unexpected} of {counted(images, 'images are', 'image is')} left out: microsnoop profile needs "
            "--allow-unmatched"
        )
    if options.write:
        print(f"written: {options.write}")
        for name, word in words.items():
            if name != word:
                print(f"  '{name}' is {word} in it, as CellProfiler wants words")
    return 0


def _summary(inputs: Inputs) -> dict[str, Any]:
    """Return what the input holds as JSON values."""
    metadata = list(dict.fromkeys(name for image_set in inputs.image_sets for name in image_set.metadata))
    return {
        "layout": inputs.layout,
        "image_sets": len(inputs.image_sets),
        "channels": _counts(inputs.image_sets, "channels"),
        "objects": _counts(inputs.image_sets, "labels"),
        "metadata": {name: _values(inputs.image_sets, name) for name in metadata},
        "left_out": [{"file": str(each.path), "files": each.files, "reason": each.reason} for each in inputs.left_out],
    }


def _counts(image_sets: Sequence[ImageSet], kind: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for image_set in image_sets:
        for name in getattr(image_set, kind):
            counts[name] = counts.get(name, 0) + 1
    return counts


def _values(image_sets: Sequence[ImageSet], name: str) -> list[Any]:
    values = dict.fromkeys(image_set.metadata[name] for image_set in image_sets if name in image_set.metadata)
    return sorted(
        values, key=lambda value: (isinstance(value, str), len(str(value)) if _is_number(value) else 0, value)
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, str) and value.isdecimal()


def _lines(inputs: Inputs) -> list[str]:
    """Return what the input holds as lines for people."""
    from ..images.left_out import summarize_left_out

    summary = _summary(inputs)
    layout = LAYOUTS.get(inputs.layout)
    lines = [
        f"read as: {inputs.layout}{f' ({layout.TITLE})' if layout else ''}",
        f"image sets: {summary['image_sets']}",
    ]
    for title, counts in (("channels", summary["channels"]), ("objects", summary["objects"])):
        if counts:
            each = (name if n == summary["image_sets"] else f"{name} (in {n})" for name, n in counts.items())
            lines.append(f"{title}: {', '.join(each)}")
    for name, values in summary["metadata"].items():
        shown = [str(value) or "none" for value in values]
        if len(shown) > LISTED:
            shown = [*shown[: LISTED - 1], "...", shown[-1]]
        lines.append(f"{_title(name)}: {len(values)} ({', '.join(shown)})")
    if "Plane" in summary["metadata"]:
        lines.append("every plane is an image set of its own, with its number in Metadata_Plane")
    if "Time" in summary["metadata"]:
        lines.append("every time point is an image set of its own, with its number in Metadata_Time")
    if inputs.left_out:
        count = sum(each.files for each in inputs.left_out)
        lines.append(f"left out: {counted(count, 'files')}")
        lines += [f"  {line}" for line in summarize_left_out(inputs.left_out)]
    return lines


def _title(name: str) -> str:
    """Return the name of a metadata column as a heading: ``PixelSize`` as ``pixel size (micrometers)``."""
    if name == "PixelSize":
        return "pixel sizes in micrometers"
    known = {"Plate": "plates", "Well": "wells", "Site": "sites", "Plane": "planes", "Time": "time points"}
    return known.get(name, re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name))
