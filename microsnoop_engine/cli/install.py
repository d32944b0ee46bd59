"""Install the CellProfiler module and the ImageJ plugin."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..storage.atomic import atomic_path, write_atomic

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

PREFERENCE = "PluginDirectoryCP4"
PREFERENCE_FILES = (
    ".config/CellProfilerLocal.cfg",
    "CellProfilerLocal.cfg",
    "Library/Preferences/CellProfilerLocal.cfg",
)
"""Where CellProfiler 4 keeps its preferences on Linux and macOS, in the home folder."""


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
    source = _package_folder("cellprofiler_plugins")
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        with atomic_path(folder / name) as temporary:
            shutil.copyfile(source / name, temporary)
    write_atomic(folder / RECORD, f"{sys.executable}\n".encode())
    return folder


def _package_folder(name: str) -> Path:
    """Find the folder of an installed package."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise InputError(f"the package '{name}' is missing: reinstall microsnoop")
    return Path(spec.origin).parent


def preference_files(home: Path | None = None) -> list[Path]:
    """List the preference files of CellProfiler that exist.

    Parameters
    ----------
    home : Path, optional
        Default: the home folder.

    Returns
    -------
    list of Path
    """
    home = home or Path.home()
    return [home / name for name in PREFERENCE_FILES if (home / name).is_file()]


def plugin_folder(preferences: list[Path]) -> Path | None:
    """Read the plugin folder from preference files of CellProfiler; None if it is not set."""
    for file in preferences:
        match = re.search(rf"^{PREFERENCE}=(.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
        if match:
            return Path(match[1].strip().replace("\\\\", "\\"))
    return None


def set_plugin_folder(folder: Path, preferences: list[Path]) -> None:
    """Write the plugin folder into preference files of CellProfiler, which must not be running."""
    line = f"{PREFERENCE}={str(folder).replace(os.sep, '/')}"
    for file in preferences:
        text = file.read_text(encoding="utf-8")
        changed, count = re.subn(rf"^{PREFERENCE}=.*$", lambda _: line, text, flags=re.MULTILINE)
        write_atomic(file, (changed if count else f"{line}\n{text}").encode())


FIJI_JAR = "Microsnoop_.jar"
FIJI_RECORD = "microsnoop-engine.txt"
"""Names the interpreter that holds the engine; read by the plugin."""

FIJI_NAMES = ("Fiji.app", "Fiji", "fiji", "ImageJ", "ImageJ.app", "ImageJ2.app", "imagej")
FIJI_PARENTS = (
    *("~", "~/Desktop", "~/Documents", "~/Downloads", "~/Applications", "~/opt"),
    *("/Applications", "/opt", "/usr/local", "C:/", "C:/Program Files"),
)


def fiji_folders(parents: Sequence[str | Path] = FIJI_PARENTS) -> list[Path]:
    """Find the folders of Fiji and ImageJ in the usual places.

    Parameters
    ----------
    parents : sequence of str or Path
        Folders to look in.

    Returns
    -------
    list of Path
        Those with a folder ``plugins``.
    """
    candidates = [Path(parent).expanduser() / name for parent in parents for name in FIJI_NAMES]
    candidates += [Path(parent).expanduser() / ".imagej" for parent in parents if parent == "~"]
    folders = {folder.resolve(): folder for folder in reversed(candidates) if (folder / "plugins").is_dir()}
    return sorted(folders.values())


def install_fiji(folder: Path) -> Path:
    """Copy the plugin into the plugins folder of Fiji or ImageJ, with the path of this interpreter.

    Parameters
    ----------
    folder : Path
        The folder of Fiji or ImageJ, or its ``plugins`` folder; on macOS the application ``Fiji.app``.

    Returns
    -------
    Path
        The plugins folder.

    Raises
    ------
    InputError
        If the folder is not one of Fiji or ImageJ.
    """
    folder = folder.expanduser().absolute()
    plugins = folder if folder.name == "plugins" else folder / "plugins"
    if not plugins.is_dir():
        raise InputError(
            f"'{folder}' has no folder 'plugins': name the folder of Fiji or ImageJ (in ImageJ, Plugins > Utilities > "
            "ImageJ Properties shows its plugins folder)"
        )
    source = _package_folder("fiji_bridge") / FIJI_JAR
    if not source.is_file():
        raise InputError(f"the plugin '{source}' is missing: build it with 'make fiji', or reinstall microsnoop")
    with atomic_path(plugins / FIJI_JAR) as temporary:
        shutil.copyfile(source, temporary)
    write_atomic(plugins / FIJI_RECORD, f"{sys.executable}\n".encode())
    return plugins


def add_install_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "install", help="install the module for CellProfiler or the plugin for Fiji and ImageJ"
    )
    hosts = parser.add_subparsers(dest="host", required=True, metavar="HOST")
    host = hosts.add_parser(
        "cellprofiler", help="copy MeasureMicrosnoopFeatures", description=run_install_cellprofiler.__doc__
    )
    host.add_argument(
        "folder",
        nargs="?",
        type=Path,
        metavar="DIR",
        help="CellProfiler's plugin folder; default: the one in its preferences, else ~/CellProfiler-plugins",
    )
    host.add_argument(
        "--set-plugin-folder", action="store_true", help="write DIR into CellProfiler's preferences (close it first)"
    )
    host.set_defaults(run=run_install_cellprofiler)
    host = hosts.add_parser("fiji", help="copy the plugin", description=run_install_fiji.__doc__)
    host.add_argument(
        "folders",
        nargs="*",
        type=Path,
        metavar="DIR",
        help="folder of Fiji or ImageJ, which has a folder 'plugins'; default: every one that is found",
    )
    host.set_defaults(run=run_install_fiji)


def run_install_cellprofiler(options: argparse.Namespace) -> int:
    """Copy the module MeasureMicrosnoopFeatures to CellProfiler's plugin folder, with the path of this Python."""
    preferences = preference_files()
    configured = plugin_folder(preferences)
    folder = install_cellprofiler(options.folder or configured or Path("~/CellProfiler-plugins"))
    print(f"installed MeasureMicrosnoopFeatures in {folder}; its engine is {sys.executable}")
    if options.set_plugin_folder and preferences:
        set_plugin_folder(folder, preferences)
        print(f"CellProfiler's plugin folder is now {folder}: restart CellProfiler")
    elif configured != folder:
        if options.set_plugin_folder:
            print("CellProfiler's preferences were not found: set the folder by hand, once:", file=sys.stderr)
        print(f"in CellProfiler: Preferences > CellProfiler plugins directory: {folder}, then restart it")
    print(f"without a window: cellprofiler -c -r --plugins-directory {folder} ...")
    return 1 if options.set_plugin_folder and not preferences else 0


def run_install_fiji(options: argparse.Namespace) -> int:
    """Copy the plugin to the plugins folder of Fiji or ImageJ, with the path of this Python."""
    folders = options.folders or fiji_folders()
    if not folders:
        raise InputError(
            "no Fiji or ImageJ was found: name its folder, as in 'microsnoop install fiji ~/Fiji.app' (in ImageJ, "
            "Plugins > Utilities > ImageJ Properties shows its plugins folder)"
        )
    for folder in folders:
        print(f"installed the Microsnoop plugin in {install_fiji(folder)}; its engine is {sys.executable}")
    print("restart Fiji or ImageJ: Plugins > Microsnoop > Measure Microsnoop Features")
    return 0
