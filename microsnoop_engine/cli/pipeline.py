"""Run the commands of a screen as a file lists them, without repeating finished steps."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..storage.atomic import write_atomic
from ..storage.paths import ADDRESS, as_path, is_remote
from ..tables.file_names import FLAGGED_OBJECTS, IMAGE_QUALITY, TABLE
from .options import Parse
from .steps import ALL_ROWS, OBJECT_SETS, OUTPUTS, STEPS, StepKind

STATE = "steps.json"


@dataclass(frozen=True)
class Step:
    """Describe one command line of a screen.

    Attributes
    ----------
    kind : StepKind
    arguments : tuple of str
        Words after those of the command.
    reads : tuple of Path
        Files and folders whose change makes the step outdated.
    writes : tuple of Path
        Files and folders of the results, the main one first.
    """

    kind: StepKind
    arguments: tuple[str, ...]
    reads: tuple[Path, ...]
    writes: tuple[Path, ...]

    @property
    def name(self) -> str:
        """Section of the screen file."""
        return self.kind.name

    @property
    def words(self) -> list[str]:
        """The command line, without the name of the program."""
        return [*self.kind.words, *self.arguments]

    def is_complete(self) -> bool:
        """Return True if the results that the step always writes are there."""
        asked = [bool(option) for option, _, _ in self.kind.writes]
        return all(path.exists() for path, needed in zip(self.writes, [True, *asked[1:]], strict=True) if needed)

    def __str__(self) -> str:
        return " ".join(["microsnoop", *map(_quoted, self.words)])


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
        If the file cannot be read, or a section has a setting that its command lacks or names a file that is not
        there; then no step is run.
    """
    sections = read_sections(path)
    with _working_folder(path.resolve().parent):
        steps = plan_steps(sections, path, parse)
        _refuse_missing_files(steps, path)
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
    names = [kind.name for kind in STEPS]
    if not isinstance(sections, dict) or not set(sections) & set(names):
        raise InputError(f"'{path}' has no section: add some of {', '.join(names)} (see microsnoop run --help)")
    unknown = [str(key) for key in sections if key not in (*names, "out", "table")]
    if unknown:
        raise InputError(f"'{path}': unknown section {', '.join(unknown)}; there are {', '.join(names)}, out, table")
    for name in names:
        if name in sections and not isinstance(sections[name] or {}, dict):
            raise InputError(f"'{path}': section {name} must hold 'setting: value' lines")
    if ADDRESS.match(str(sections.get("out", ""))):
        raise InputError(f"'{path}': 'out' must be a folder of the disk; images may be in an object store")
    return {
        name: {key.replace("-", "_"): setting for key, setting in (value or {}).items()}
        if name in names
        else str(value)
        for name, value in sections.items()
    }


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
    results = {"table": Path(sections["table"])} if "table" in sections else {}
    steps: list[Step] = []
    for kind, settings in _expand(sections, out, path):
        if kind.corrects and "table" in results:
            results.setdefault("before", results["table"])
        step = _plan(kind, _inherited(kind, sections) | settings, results, out, path)
        if kind.name == "report":
            step = replace(step, arguments=(*step.arguments, *(f"--command={earlier}" for earlier in steps)))
        steps.append(replace(step, reads=_read_by(step, path, parse)))
        results |= {role: file for file, (_, _, role) in zip(step.writes, kind.writes, strict=True)}
    return steps


def _expand(sections: dict[str, Any], out: Path, path: Path) -> Iterator[tuple[StepKind, dict[str, Any]]]:
    """Yield the steps with their settings: a profile for each of several object sets, which `combine` then joins."""
    common = dict(sections.get("profile", {}))
    sets = _object_sets(common.pop(OBJECT_SETS, None), path)
    first, *others = sets or [""]
    folder = f"profiles/{first}".rstrip("/") if "profile" in sections else "."
    for kind in STEPS:
        if kind.name == "profile" and sets:
            for name, own in sets.items():
                saves = {"save_labels": True} if "segment" in common | own else {}
                part = replace(
                    kind.placed(f"profiles/{name}", "" if name == first else name),
                    name=f"profile {name}",
                    command=kind.words,
                )
                yield part, saves | common | own | {"objects": name}
        elif kind.name == "combine" and sets:
            if fixed := sorted({"tables", "match"} & sections.get("combine", {}).keys()):
                raise InputError(f"'{path}', section combine: '{fixed[0]}' is set by the object sets of profile")
            tables = [str(out / "profiles" / name) for name in others]
            joined = {"tables": tables, "match": "overlap"} | sections.get("combine", {})
            yield replace(kind.placed(folder), argument="profiles"), joined
        elif kind.name in sections:
            yield kind.placed(folder), sections[kind.name]


def _object_sets(sets: Any, path: Path) -> dict[str, dict[str, Any]]:
    """Return the settings of each object set of ``profile``."""
    if sets is None:
        return {}
    if not isinstance(sets, dict) or len(sets) < 2 or not all(isinstance(own or {}, dict) for own in sets.values()):
        raise InputError(
            f"'{path}', section profile: object_sets must hold two sets or more, 'Cells: {{setting: value}}'; the "
            "first one gives the rows"
        )
    return {
        str(name): {key.replace("-", "_"): value for key, value in (own or {}).items()} for name, own in sets.items()
    }


def _plan(kind: StepKind, settings: dict[str, Any], results: dict[str, Path], out: Path, path: Path) -> Step:
    """Write the command line of a step; ``results`` holds the files of earlier steps by their roles."""
    if kind.argument == "input" and "input" not in settings:
        raise InputError(f"'{path}': section profile needs 'input': a LoadData CSV, a folder of images or an image")
    if kind.argument != "input" and kind.argument not in results:
        needs = ", or 'table: FILE'" if kind.argument == "table" else ""
        raise InputError(f"'{path}': there is no table to {kind.name}: add a section profile{needs}")
    argument = as_path(str(settings.pop("input"))) if kind.argument == "input" else results[kind.argument]
    options = {option: str(out / file) for option, file, _ in kind.writes if option}
    own_names = set(options) if kind.printed else {*options, "out"}
    if set_twice := sorted(own_names & settings.keys()):
        raise InputError(f"'{path}', section {kind.name}: '{set_twice[0]}' is set by the run; set 'out' of the file")
    settings = {role: str(results[role]) for role in kind.takes if role in results} | settings
    further = [word for name in kind.positional if name in settings for word in _words(settings.pop(name))]
    arguments = (str(argument), *further, *_as_options(options, kind), *_as_options(settings, kind))
    return Step(kind, arguments, (), tuple(out / file for _, file, _ in kind.writes))


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
    own = [out / STATE, *(path for step in steps for path in step.writes)]
    for step in steps:
        state = {"arguments": list(step.arguments), "reads": _state_of(step.reads, own, step.writes)}
        if not step.kind.resumes and done.get(step.name) == state and step.is_complete():
            _say(quiet, f"== {step.name}: done before")
            if step.kind.printed:
                _say(quiet, step.writes[0].read_text(encoding="utf-8").rstrip())
            continue
        _say(quiet, f"== {step}" if step.name != "report" else f"== report: {step.writes[0]}")
        options = parse(step.words)
        options.quiet = quiet
        if step.kind.printed or quiet:
            with contextlib.redirect_stdout(io.StringIO()) as output:
                code = options.run(options)
            if step.kind.printed:
                write_atomic(step.writes[0], output.getvalue().encode())
                _say(quiet, output.getvalue().rstrip())
        else:
            code = options.run(options)
        highest = max(highest, code)
        done[step.name] = state
        write_atomic(out / STATE, (json.dumps(done, indent=1) + "\n").encode())
    return highest


def _inherited(kind: StepKind, sections: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that a step takes from other sections."""
    found = {}
    for name, givers in kind.inherits.items():
        values = [sections[giver][name] for giver in givers if name in sections.get(giver, {})]
        # a fit on every row names no controls
        if values := [value for value in values if not (name == "controls" and value == ALL_ROWS)]:
            found[name] = values[0]
    return found


def _as_options(settings: dict[str, Any], kind: StepKind) -> Iterator[str]:
    for key, value in settings.items():
        option = f"--{key.replace('_', '-')}"
        if isinstance(value, dict):
            value = ",".join(f"{name}={number}" for name, number in value.items())
        if isinstance(value, list) and key in kind.pairs:
            yield from (option, *map(str, value))
            continue
        if key in kind.repeated:
            yield from (f"{option}={word}" for word in _words(value))
            continue
        if isinstance(value, list):
            value = ",".join(map(str, value))
        if value is True:
            yield option
        elif value is not False and value is not None:
            yield f"{option}={value}"


def _words(value: Any) -> list[str]:
    return [str(word) for word in (value if isinstance(value, list) else [value])]


def _quoted(word: str) -> str:
    """Quote a word of a command line as people would write it."""
    plain = "'" in word and not set(word) & set('"$`\\!')
    return f'"{word}"' if plain else shlex.quote(word)


def _read_by(step: Step, path: Path, parse: Parse) -> tuple[Path, ...]:
    """Return the paths that the command reads; raise InputError if it cannot be parsed."""
    try:
        with contextlib.redirect_stderr(io.StringIO()) as output:
            options = vars(parse(step.words))
    except SystemExit:
        reason = output.getvalue().strip().rpartition("error: ")[2]
        command = " ".join(step.kind.words)
        raise InputError(f"'{path}', section {step.name}: {reason} (see microsnoop {command} --help)") from None
    if step.kind.resumes:
        return ()
    given = [value for name, value in options.items() if name not in OUTPUTS]
    values = [part for value in given for part in _parts(value)]
    return tuple(dict.fromkeys(value for value in values if isinstance(value, Path)))


def _refuse_missing_files(steps: list[Step], path: Path) -> None:
    """Refuse files that no step writes and that are not there, before hours of work."""
    written = {file for step in steps for file in step.writes}
    for step in steps:
        for file in step.reads:
            there = is_remote(file) or file in written or file.exists() or file.parent.is_file()
            if not there:
                raise InputError(f"'{path}', section {step.name}: there is no file or folder '{file}'")


def _parts(value: Any) -> list[Any]:
    """Return the values of an option that has several."""
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else [value]


def _state_of(paths: tuple[Path, ...], own: list[Path], written: tuple[Path, ...] = ()) -> list[list[str | int]]:
    """List names, sizes and times of files, and of all files in folders; nothing of an object store.

    Of the results folder of a profile its table and flags count alone: a run changes the folder whenever it is started.
    Results of the run (``own``) that lie among its images are no part of these, and none that the step has ``written``.
    """
    files: list[Path] = []
    for path in (path for path in paths if not is_remote(path)):
        table = path / TABLE if (path / TABLE).exists() else path
        if table.is_dir():
            results = [] if table in own else [result.resolve() for result in own]
            inside = [file for file in sorted(table.rglob("*")) if file.is_file()]
            files += [file for file in inside if not any(map(file.resolve().is_relative_to, results))]
        else:  # a part of a file, cells.h5mu/rna, has a file as its folder
            files += [file for file in (table, table.parent) if file.is_file()]
        if table != path or path.is_file():
            beside = [table.parent / name for name in (IMAGE_QUALITY, FLAGGED_OBJECTS)]
            files += [file for file in beside if file.is_file() and file not in written]
    files = list(dict.fromkeys(files))
    return [[str(file), file.stat().st_size, file.stat().st_mtime_ns] for file in files]


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
