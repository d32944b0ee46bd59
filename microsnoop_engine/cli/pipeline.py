"""Run the commands of a screen as a file lists them, without repeating finished steps."""

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
from .options import Parse

STEPS = ("profile", "aggregate", "sphere", "evaluate", "report")
STATE = "steps.json"
ALL_ROWS = "all"
"""Control rows of a screen without controls."""
INHERITED = {"controls": "sphere", **dict.fromkeys(("label", "compound", "batch", "groups", "neighbors"), "evaluate")}
"""Settings that the report takes from the section of another step unless its own section has them."""


@dataclass(frozen=True)
class Step:
    """Describe one command line of a screen.

    Attributes
    ----------
    name : str
        Name of the command.
    arguments : tuple of str
    reads : tuple of Path
        Files and folders whose change makes the step outdated.
    writes : Path
        File or folder of the result.
    """

    name: str
    arguments: tuple[str, ...]
    reads: tuple[Path, ...]
    writes: Path

    def __str__(self) -> str:
        return " ".join(["microsnoop", self.name, *map(_quoted, self.arguments)])


def run_file(path: Path, parse: Parse, quiet: bool = False) -> int:
    """Run the steps of a screen file; relative paths in it refer to its folder.

    Parameters
    ----------
    path : Path
    parse : callable
        Parses a command line.
    quiet : bool
        Print errors only.

    Returns
    -------
    int
        Exit code.

    Raises
    ------
    InputError
        If the file cannot be read, or a section has a setting that its command lacks; then no step is run.
    """
    sections = read_sections(path)
    with _working_folder(path.resolve().parent):
        steps = plan_steps(sections, path, parse)
        return run_steps(steps, Path(sections.get("out", "results")), parse, quiet)


def read_sections(path: Path) -> dict[str, Any]:
    """Read a screen file.

    Parameters
    ----------
    path : Path

    Returns
    -------
    dict of str to dict or str
        Settings by the name of the step, and ``out`` and ``table``.

    Raises
    ------
    InputError
        If there is no such file, it is not YAML, or it has an unknown section.
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
        raise InputError(f"'{path}' has no section: add some of {', '.join(STEPS)} (see microsnoop run --help)")
    unknown = [str(key) for key in sections if key not in (*STEPS, "out", "table")]
    if unknown:
        raise InputError(f"'{path}': unknown section {', '.join(unknown)}; there are {', '.join(STEPS)}, out, table")
    for name in STEPS:
        if name in sections and not isinstance(sections[name] or {}, dict):
            raise InputError(f"'{path}': section {name} must hold 'setting: value' lines")
    if ADDRESS.match(str(sections.get("out", ""))):
        raise InputError(f"'{path}': 'out' must be a folder of the disk; images may be in an object store")
    return {name: value or {} if name in STEPS else str(value) for name, value in sections.items()}


def plan_steps(sections: dict[str, Any], path: Path, parse: Parse) -> list[Step]:
    """Turn the sections of a screen file into command lines, and check each of them.

    Parameters
    ----------
    sections : dict
        Result of :func:`read_sections`.
    path : Path
        The file, for messages.
    parse : callable
        Parses a command line.

    Returns
    -------
    list of Step

    Raises
    ------
    InputError
        If a section has a setting that its command lacks, or there is no table to begin with.
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
            raise InputError(f"'{path}': there is no table to {name}: add a section profile, or 'table: FILE'")
        reads = [table]
        if name == "profile":
            target = out / "profiles"
            arguments = [f"--out={target}"]
        elif name == "aggregate":
            target = out / "aggregated.parquet"
            arguments = [f"--out={target}"]
            reads += [Path(str(settings["platemap"]))] if "platemap" in settings else []
        elif name == "sphere":
            target, before = out / "sphered.parquet", table
            arguments = [f"--out={target}", f"--save={out / 'sphering.safetensors'}"]
        elif name == "evaluate":
            target, arguments = out / "evaluation.txt", []
        else:
            target = out / "report.html"
            settings = _inherited(sections) | settings
            arguments = [f"--out={target}", *_report_arguments(sections, out, before)]
            arguments += [f"--command={step}" for step in steps]
            reads += [before] if before else []
        step = Step(name, (str(table), *arguments, *_as_options(settings)), tuple(reads), target)
        _check(step, path, parse)
        steps.append(step)
        if name in ("profile", "aggregate", "sphere"):
            table = target / TABLE if name == "profile" else target
    return steps


def run_steps(steps: list[Step], out: Path, parse: Parse, quiet: bool) -> int:
    """Run the steps that are not done, or whose input has changed.

    Parameters
    ----------
    steps : list of Step
    out : Path
        Folder of the results, which also keeps the state of the steps.
    parse : callable
        Parses a command line.
    quiet : bool
        Print errors only.

    Returns
    -------
    int
        The highest exit code.
    """
    out.mkdir(parents=True, exist_ok=True)
    done, highest = _read_state(out / STATE), 0
    for step in steps:
        state = {"arguments": list(step.arguments), "reads": _state_of(step.reads)}
        if step.name != "profile" and done.get(step.name) == state and step.writes.exists():
            _say(quiet, f"== {step.name}: done before")
            if step.name == "evaluate":
                _say(quiet, step.writes.read_text(encoding="utf-8").rstrip())
            continue
        _say(quiet, f"== {step}" if step.name != "report" else f"== report: {step.writes}")
        options = parse([step.name, *step.arguments])
        options.quiet = quiet
        if step.name == "evaluate":
            with contextlib.redirect_stdout(io.StringIO()) as output:
                code = options.run(options)
            write_atomic(step.writes, output.getvalue().encode())
            _say(quiet, output.getvalue().rstrip())
        else:
            code = options.run(options)
        highest = max(highest, code)
        done[step.name] = state
        write_atomic(out / STATE, (json.dumps(done, indent=1) + "\n").encode())
    return highest


def _profile_input(settings: dict[str, Any], path: Path) -> Path:
    if "input" not in settings:
        raise InputError(f"'{path}': section profile needs 'input': a LoadData CSV, a folder of images or an image")
    return as_path(str(settings.pop("input")))


def _inherited(sections: dict[str, Any]) -> dict[str, Any]:
    found = {key: sections[step][key] for key, step in INHERITED.items() if key in sections.get(step, {})}
    if found.get("controls") == ALL_ROWS:  # a fit on every row names no controls
        del found["controls"]
    return found


def _report_arguments(sections: dict[str, Any], out: Path, before: Path | None) -> list[str]:
    arguments = [f"--profiles={out / 'profiles'}"] if "profile" in sections else []
    if before is not None:
        arguments += [f"--before={before}", f"--transform={out / 'sphering.safetensors'}"]
    return arguments


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
    """Quote a word of a command line as people would write it."""
    plain = "'" in word and not set(word) & set('"$`\\!')
    return f'"{word}"' if plain else shlex.quote(word)


def _check(step: Step, path: Path, parse: Parse) -> None:
    """Raise InputError if the command cannot be parsed."""
    try:
        with contextlib.redirect_stderr(io.StringIO()) as output:
            parse([step.name, *step.arguments])
    except SystemExit:
        reason = output.getvalue().strip().rpartition("error: ")[2]
        raise InputError(f"'{path}', section {step.name}: {reason} (see microsnoop {step.name} --help)") from None


def _state_of(paths: tuple[Path, ...]) -> list[list[str | int]]:
    """List names, sizes and times of files and of all files in folders; nothing of an object store."""
    local = [path for path in paths if not is_remote(path)]
    files = [file for path in local for file in (sorted(path.rglob("*")) if path.is_dir() else [path])]
    return [[str(file), file.stat().st_size, file.stat().st_mtime_ns] for file in files if file.is_file()]


def _read_state(path: Path) -> dict[str, Any]:
    try:
        state: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return state


def _say(quiet: bool, text: str) -> None:
    if not quiet:
        print(text, flush=True)
        sys.stderr.flush()


@contextlib.contextmanager
def _working_folder(folder: Path) -> Iterator[None]:
    """Change the working folder in this block."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
