"""Install the CellProfiler module, and check that CellProfiler will find its engine."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..storage.atomic import atomic_path, write_atomic
from .cellprofiler_preferences import cellprofiler_runs, find_preferences

FILES = (
    "measuremicrosnoopfeatures.py",
    "_microsnoop_client.py",
    "_microsnoop_columns.py",
    "_microsnoop_display.py",
    "_microsnoop_inputs.py",
    "_microsnoop_settings.py",
    "_microsnoop_window.py",
)
RECORD = "_microsnoop_engine.txt"
"""Names the interpreter that holds the engine; read by the module's client."""

PROGRAMS = (
    *("C:/Program Files/CellProfiler*/CellProfiler.exe", "C:/Program Files (x86)/CellProfiler*/CellProfiler.exe"),
    *("/Applications/CellProfiler*.app", "~/Applications/CellProfiler*.app"),
)
"""Where installers put CellProfiler on Windows and macOS."""

CHECK = """
import sys
sys.path.insert(0, sys.argv[1])
import _microsnoop_client as client
try:
    engine = client.Engine(client.find_engine(), ["--device", "auto"])
    print(engine.describe())
    engine.close()
except client.EngineError as error:
    sys.exit(str(error))
"""
"""Starts the engine as the module will: by the files in the plugin folder."""


def package_folder(name: str) -> Path:
    """Find the folder of an installed package.

    Parameters
    ----------
    name : str

    Returns
    -------
    Path

    Raises
    ------
    InputError
        If it is not installed.
    """
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise InputError(f"the package '{name}' is missing: reinstall microsnoop")
    return Path(spec.origin).parent


def install_cellprofiler(folder: Path) -> Path:
    """Copy the module into a plugin folder of CellProfiler, with the path of this interpreter.

    Parameters
    ----------
    folder : Path
        Made if there is none.

    Returns
    -------
    Path
        The folder, absolute.

    Raises
    ------
    InputError
        If the folder is a file, or CellProfiler would not start with it.
    """
    folder = folder.expanduser().absolute()
    if folder.exists() and not folder.is_dir():
        raise InputError(f"`folder`: '{folder}' is a file; name a folder for CellProfiler's plugins")
    if (folder / "setup.py").exists():
        raise InputError(f"`folder`: '{folder}' has a setup.py, so CellProfiler would not start; name another folder")
    source = package_folder("cellprofiler_plugins")
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        with atomic_path(folder / name) as temporary:
            shutil.copyfile(source / name, temporary)
    write_atomic(folder / RECORD, f"{sys.executable}\n".encode())
    return folder


def check_engine(folder: Path) -> str:
    """Start the engine as the module in a plugin folder will.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    str
        Version, weights and device.

    Raises
    ------
    InputError
        If it does not start; with the reason.
    """
    done = subprocess.run([sys.executable, "-c", CHECK, str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"the module is in '{folder}', but its engine does not start.\n{done.stderr.strip()}")
    return done.stdout.strip()


def find_program(patterns: Sequence[str] = PROGRAMS) -> str | None:
    """Find the newest CellProfiler.

    Parameters
    ----------
    patterns : sequence of str
        Where to look before the PATH.

    Returns
    -------
    str or None
        Its program.
    """
    for pattern in patterns:
        path = Path(pattern).expanduser()
        root = Path(path.anchor)
        if found := sorted(root.glob(str(path.relative_to(root)))):
            return str(found[-1])
    return shutil.which("cellprofiler") or shutil.which("CellProfiler")


def choose_plugin_folder(folder: Path, change: bool) -> str:
    """Make a folder CellProfiler's plugin folder, unless the user has chosen another one.

    Parameters
    ----------
    folder : Path
        Where the module is.
    change : bool
        Whether to set it although another one is chosen.

    Returns
    -------
    str
        What the user has to do next; blank if that is only to start CellProfiler.
    """
    by_hand = f"in CellProfiler, choose Preferences > CellProfiler plugins directory: {folder}, then restart it"
    preferences = find_preferences()
    chosen = next((path for path in (place.read() for place in preferences) if path), None)
    if not preferences:
        return by_hand
    if chosen is not None and os.path.normcase(chosen) == os.path.normcase(folder):
        return ""
    if chosen is not None and not change:
        return (
            f"CellProfiler takes its plugins from {chosen}: run this command without a folder to install there, or "
            f"with --set-plugin-folder to change to {folder}"
        )
    if cellprofiler_runs():
        return "close CellProfiler, then run this command again: it writes its preferences when it ends"
    for place in preferences:
        place.write(folder)
    return ""


def configured_folder() -> Path:
    """Return the plugin folder of CellProfiler's preferences, else one in the home folder."""
    chosen = [path for path in (place.read() for place in find_preferences()) if path]
    return chosen[0] if chosen else Path("~/CellProfiler-plugins")


def add_cellprofiler_command(hosts: Any) -> None:
    """Add the command to the parser of ``install``."""
    host = hosts.add_parser(
        "cellprofiler", help="install MeasureMicrosnoopFeatures", description=run_install_cellprofiler.__doc__
    )
    host.add_argument(
        "folder",
        nargs="?",
        type=Path,
        metavar="DIR",
        help="CellProfiler's plugin folder; default: the one in its preferences, else ~/CellProfiler-plugins",
    )
    host.add_argument(
        "--set-plugin-folder",
        action="store_true",
        help="make DIR CellProfiler's plugin folder even if another one is set in its preferences",
    )
    host.set_defaults(run=run_install_cellprofiler)


def run_install_cellprofiler(options: argparse.Namespace) -> int:
    """Copy MeasureMicrosnoopFeatures to CellProfiler's plugin folder, enter that folder, and start the engine once."""
    folder = install_cellprofiler(options.folder or configured_folder())
    print(f"installed MeasureMicrosnoopFeatures in {folder}; its engine is {sys.executable}")
    print(f"the engine works: {check_engine(folder)}")
    remaining = choose_plugin_folder(folder, options.set_plugin_folder)
    program = find_program() or "CellProfiler"
    print(f"next: {remaining or f'start {program} and add MeasureMicrosnoopFeatures (category Measurement)'}")
    return 1 if remaining and options.set_plugin_folder else 0
