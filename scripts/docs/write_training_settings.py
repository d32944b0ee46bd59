"""Write the reference page of the training settings from the source of `TrainConfig`, without importing it."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import griffe
from roles import without_roles

REPOSITORY = Path(__file__).resolve().parents[2]
MODULES = ("microsnoop_engine.trainer.config", "microsnoop_engine.training_config")

HEAD = """\
# Training settings

These are the keys of a configuration file, and of `--set KEY=VALUE` of `microsnoop train`. The defaults are those of
the preset `paper`; the column *contrast* shows where the preset `contrast` differs. An unknown key, a wrong type or a
value out of range ends the command before it starts, and the message names the key.

[Train on your images](../how-to/train.md) explains how to use them.

| setting | default | `contrast` | type and range | meaning |
|---|---|---|---|---|
"""


def training_settings_page() -> str:
    """Return the page as Markdown: a row per setting with default, type, range and meaning.

    Raises
    ------
    ValueError
        If a setting has no description, or ranges and presets are not found in the source.
    """
    module = _module()
    config = module["TrainConfig"]
    ranges = _ranges(module)
    contrast = ast.literal_eval(str(module["PRESETS"].value))["contrast"]
    meanings = _meanings(config)
    rows = []
    for name, attribute in config.attributes.items():
        if attribute.annotation is None or "property" in attribute.labels:
            continue
        if name not in meanings:
            raise ValueError(f"TrainConfig.{name} has no description in the docstring")
        kind = str(attribute.annotation).replace("tuple[str, ...]", "list of str")
        cells = (
            f"`{name}`",
            _value(_evaluate(module, str(attribute.value))),
            _value(contrast[name]) if name in contrast else "",
            f"{kind}, {ranges[name]}" if name in ranges else kind,
            meanings[name],
        )
        rows.append(f"| {' | '.join(cells)} |\n")
    return HEAD + "".join(rows)


def _module() -> griffe.Module:
    names = [name for name in MODULES if (REPOSITORY / f"{name.replace('.', '/')}.py").is_file()]
    if not names:
        raise ValueError(f"there is none of the modules {', '.join(MODULES)}")
    return griffe.load(names[0], search_paths=[REPOSITORY], allow_inspection=False, docstring_parser="numpy")


def _meanings(config: griffe.Class) -> dict[str, str]:
    """Return the descriptions by name; a description of several parameters counts for each."""
    sections = config.docstring.parsed if config.docstring else []
    kinds = (griffe.DocstringSectionKind.parameters, griffe.DocstringSectionKind.attributes)
    entries = [entry for section in sections if section.kind in kinds for entry in section.value]
    return {
        name.strip(): " ".join(without_roles(entry.description).split()).replace("|", "\\|").replace("``", "`")
        for entry in entries
        for name in entry.name.split(",")
    }


def _ranges(module: griffe.Module) -> dict[str, str]:
    """Return lowest and highest value by setting, from the dictionary `ranges` in the module's source."""
    for node in ast.walk(ast.parse(module.filepath.read_text(encoding="utf-8"))):
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if (
            isinstance(target, ast.Name)
            and target.id.strip("_").lower() == "ranges"
            and isinstance(node.value, ast.Dict)
        ):
            return {
                key.value: " to ".join(ast.unparse(limit).replace(" ** ", "^") for limit in value.elts)
                for key, value in zip(node.value.keys, node.value.values, strict=True)
            }
    raise ValueError(f"{module.path} assigns no dictionary 'ranges'")


def _evaluate(module: griffe.Module, value: str) -> Any:
    """Return the value of a literal, or of a constant of the module."""
    return ast.literal_eval(str(module[value].value) if value in module.members else value)


def _value(value: Any) -> str:
    if value == "" or value == ():
        return "none"
    if isinstance(value, tuple):
        return ", ".join(f"`{item}`" for item in value)
    return f"`{value}`"


if __name__ == "__main__":
    print(training_settings_page())
