"""`microsnoop run`: the commands of a screen as a file lists them; steps that are done are not repeated."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..storage.atomic import write_atomic
from ..storage.paths import ADDRESS, as_path, is_remote
from ..tables.parquet_files import TABLE

STEPS = ("profile", "aggregate", "sphere", "evaluate", "report")
STATE = "steps.json"
INHERITED = {"controls": "sphere", **dict.fromkeys(("label", "compound", "batch", "groups", "neighbors"), "evaluate")}
"""What the report takes from the section of another step, unless its own says otherwise."""


@dataclass(frozen=True)
class Step:
    """A command line of a screen.

    Attributes
    ----------
    name : str
        Of the command.
    arguments : tuple of str
    reads : tuple of Path
        Files and folders whose change makes the step outdated.
    writes : Path
    """

    name: str
    arguments: tuple[str, ...]
    reads: tuple[Path, ...]
    writes: Path

    def __str__(self) -> str:
        return " ".join(["microsnoop", self.name, *map(_quoted, self.arguments)])


def run_file(path: Path, quiet: bool = False) -> int:
    """Do the steps of a file, in its folder, from which relative paths in it count; the exit code.

    Raises
    ------
    InputError
        If the file cannot be read, or a section has settings that its command does not know; then nothing is done.
    """
    sections = read_sections(path)
    with _inside(path.resolve().parent):
        steps = plan_steps(sections, path)
        return run_steps(steps, Path(sections.get("out", "results")), quiet)


def read_sections(path: Path) -> dict[str, Any]:
    """The content of a pipeline file.

    Raises
    ------
    InputError
        If there is no such file, it is not YAML, or it has sections that do not exist.
    """
    import yaml

    from .settings_text import load_settings

    try:
        sections = load_settings(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"there is no file '{path}'") from None
    except (yaml.YAMLError, UnicodeDecodeError, IsADirectoryError) as error:
        raise InputError(f"'{path}' is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(sections, dict) or not set(sections) & set(STEPS):
        raise InputError(f"'{path}' has no section; there are {', '.join(STEPS)} (see microsnoop run --help)")
    unknown = [str(key) for key in sections if key not in (*STEPS, "out", "table")]
    if unknown:
        raise InputError(f"'{path}': unknown section {', '.join(unknown)}; there are {', '.join(STEPS)}, out, table")
    for name in STEPS:
        if name in sections and not isinstance(sections[name] or {}, dict):
            raise InputError(f"'{path}': section {name} must hold 'setting: value' lines")
    if ADDRESS.match(str(sections.get("out", ""))):
        raise InputError(f"'{path}': 'out' must be a folder of the disk; images may be in an object store")
    return {name: value or {} if name in STEPS else str(value) for name, value in sections.items()}


def plan_steps(sections: dict[str, Any], path: Path) -> list[Step]:
    """The steps of a pipeline file's sections, every command line checked.

    Raises
    ------
    InputError
        If a section has settings that its command does not know, or there is no table to begin with.
    """
    out = Path(sections.get("out", "results"))
    table = Path(sections["table"]) if "table" in sections else None
    steps: list[Step] = []
    before = None
    for name in (name for name in STEPS if name in sections):
        settings = dict(sections[name])
        if name == "profile":
            table = _profile_input(settings, path)
        elif table is None:
            raise InputError(f"'{path}': there is nothing to {name}: add a section profile, or 'table: FILE'")
        reads = [table]
        if name == "profile":
            target = out / "profiles"
            given = [f"--out={target}"]
        elif name == "aggregate":
            target = out / "aggregated.parquet"
            given = [f"--out={target}"]
            reads += [Path(str(settings["platemap"]))] if "platemap" in settings else []
        elif name == "sphere":
            target, before = out / "sphered.parquet", table
            given = [f"--out={target}", f"--save={out / 'sphering.safetensors'}"]
        elif name == "evaluate":
            target, given = out / "evaluation.txt", []
        else:
            target = out / "report.html"
            settings = _inherited(sections) | settings
            given = [f"--out={target}", *_for_report(sections, out, before)]
            given += [f"--command={step}" for step in steps]
            reads += [before] if before else []
        step = Step(name, (str(table), *given, *_as_options(settings)), tuple(reads), target)
        _check(step, path)
        steps.append(step)
        if name in ("profile", "aggregate", "sphere"):
            table = target / TABLE if name == "profile" else target
    return steps


def run_steps(steps: list[Step], out: Path, quiet: bool) -> int:
    """Do those steps that are not done, or whose input has changed; the exit code is the worst one."""
    from .main import build_parser

    out.mkdir(parents=True, exist_ok=True)
    done, worst = _read_state(out / STATE), 0
    for step in steps:
        state = {"arguments": list(step.arguments), "reads": _state_of(step.reads)}
        if step.name != "profile" and done.get(step.name) == state and step.writes.exists():
            _say(quiet, f"== {step.name}: done before")
            if step.name == "evaluate":
                _say(quiet, step.writes.read_text(encoding="utf-8").rstrip())
            continue
        _say(quiet, f"== {step}" if step.name != "report" else f"== report: {step.writes}")
        options = build_parser().parse_args([step.name, *step.arguments])
        options.quiet = quiet
        if step.name == "evaluate":
            with contextlib.redirect_stdout(io.StringIO()) as said:
                code = options.run(options)
            write_atomic(step.writes, said.getvalue().encode())
            _say(quiet, said.getvalue().rstrip())
        else:
            code = options.run(options)
        worst = max(worst, code)
        done[step.name] = state
        write_atomic(out / STATE, (json.dumps(done, indent=1) + "\n").encode())
    return worst


def _profile_input(settings: dict[str, Any], path: Path) -> Path:
    if "input" not in settings:
        raise InputError(f"'{path}': section profile needs 'input': a LoadData CSV, a folder of images or an image")
    return as_path(str(settings.pop("input")))


def _inherited(sections: dict[str, Any]) -> dict[str, Any]:
    return {key: sections[step][key] for key, step in INHERITED.items() if key in sections.get(step, {})}


def _for_report(sections: dict[str, Any], out: Path, before: Path | None) -> list[str]:
    given = [f"--profiles={out / 'profiles'}"] if "profile" in sections else []
    if before is not None:
        given += [f"--before={before}", f"--transform={out / 'sphering.safetensors'}"]
    return given


def _as_options(settings: dict[str, Any]) -> Iterator[str]:
    for key, value in settings.items():
        option = f"--{str(key).replace('_', '-')}"
        if isinstance(value, dict):
            value = ",".join(f"{name}={number}" for name, number in value.items())
        if isinstance(value, list):
            value = ",".join(map(str, value))
        if value is True:
            yield option
        elif value is not False and value is not None:
            yield f"{option}={value}"


def _quoted(word: str) -> str:
    """A word of a command line, as people would write it."""
    plain = "'" in word and not set(word) & set('"$`\\!')
    return f'"{word}"' if plain else shlex.quote(word)


def _check(step: Step, path: Path) -> None:
    """Raise InputError if the command does not understand the step."""
    from .main import build_parser

    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            build_parser().parse_args([step.name, *step.arguments])
    except SystemExit:
        reason = said.getvalue().strip().rpartition("error: ")[2]
        raise InputError(f"'{path}', section {step.name}: {reason} (see microsnoop {step.name} --help)") from None


def _state_of(paths: tuple[Path, ...]) -> list[list]:
    """Names, sizes and times of files; of a folder, those of all files in it. Nothing of what is in an object store."""
    local = [path for path in paths if not is_remote(path)]
    files = [file for path in local for file in (sorted(path.rglob("*")) if path.is_dir() else [path])]
    return [[str(file), file.stat().st_size, file.stat().st_mtime_ns] for file in files if file.is_file()]


def _read_state(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}


def _say(quiet: bool, text: str) -> None:
    if not quiet:
        print(text, flush=True)
        sys.stderr.flush()


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """The current folder for a while."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
