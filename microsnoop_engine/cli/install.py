"""Install the CellProfiler module and the ImageJ plugin."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..storage.atomic import atomic_path, write_atomic
from .install_cellprofiler import add_cellprofiler_command, package_folder

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
    source = package_folder("fiji_bridge") / FIJI_JAR
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
    add_cellprofiler_command(hosts)
    host = hosts.add_parser("fiji", help="copy the plugin", description=run_install_fiji.__doc__)
    host.add_argument(
        "folders",
        nargs="*",
        type=Path,
        metavar="DIR",
        help="folder of Fiji or ImageJ, which has a folder 'plugins'; default: every one that is found",
    )
    host.set_defaults(run=run_install_fiji)


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
