"""Write the reference page of the training settings: values from `TrainConfig`, meanings from its docstring."""

from __future__ import annotations

import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import griffe
from roles import without_roles

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))

from microsnoop_engine.trainer.config import PRESETS, RANGES, TrainConfig  # noqa: E402 after the path is known

HEAD = """\
# Training settings

These are the keys of a configuration file, and of `--set KEY=VALUE` of `microsnoop train`. The defaults are those of
the preset `paper`; the columns `compact` and `base` show where these presets differ. An unknown key, a wrong type or a
value out of range ends the command before it starts, and the message names the key.

[Train on your images](../how-to/train.md) explains how to use them.

| setting | default | `compact` | `base` | type and range | meaning |
|---|---|---|---|---|---|
"""


def training_settings_page() -> str:
    """Return the page as Markdown: a row per setting with default, type, range and meaning.

    Raises
    ------
    KeyError
        If a setting has no description in the docstring.
    """
    meanings = _meanings()
    others = [PRESETS[name] for name in ("compact", "base")]
    rows = []
    for field in fields(TrainConfig):
        kind = str(field.type).replace("tuple[str, ...]", "list of str")
        cells = (
            f"`{field.name}`",
            _value(field.default),
            *(_value(preset[field.name]) if field.name in preset else "" for preset in others),
            f"{kind}, {' to '.join(map(str, RANGES[field.name]))}" if field.name in RANGES else kind,
            meanings[field.name],
        )
        rows.append(f"| {' | '.join(cells)} |\n")
    return HEAD + "".join(rows)


def _meanings() -> dict[str, str]:
    """Return the descriptions by name; a description of several parameters counts for each."""
    docstring = griffe.Docstring(TrainConfig.__doc__ or "")
    sections = griffe.parse_numpy(docstring, warn_unknown_params=False)
    entries = [
        entry
        for section in sections
        if section.kind is griffe.DocstringSectionKind.parameters
        for entry in section.value
    ]
    return {
        name.strip(): " ".join(without_roles(entry.description).split()).replace("|", "\\|").replace("``", "`")
        for entry in entries
        for name in entry.name.split(",")
    }


def _value(value: Any) -> str:
    if value == "" or value == ():
        return "none"
    if isinstance(value, tuple):
        return ", ".join(f"`{item}`" for item in value)
    return f"`{value}`"


if __name__ == "__main__":
    print(training_settings_page())
