"""The command that installs the parts for CellProfiler, Fiji and ImageJ."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from .errors import InputError


def add_install_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("install", help="install the part for CellProfiler, Fiji or ImageJ")
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
        help="folder of Fiji or ImageJ (it holds a folder 'plugins'); default: all that are found",
    )
    host.set_defaults(run=run_install_fiji)


def run_install_cellprofiler(options: argparse.Namespace) -> int:
    """Copy the module MeasureMicrosnoopFeatures to where CellProfiler finds it, and tell it where this engine is."""
    from .install import install_cellprofiler, plugin_folder, preference_files, set_plugin_folder

    preferences = preference_files()
    configured = plugin_folder(preferences)
    folder = install_cellprofiler(options.folder or configured or Path("~/CellProfiler-plugins"))
    print(f"installed MeasureMicrosnoopFeatures in {folder}; its engine is {sys.executable}")
    if options.set_plugin_folder and preferences:
        set_plugin_folder(folder, preferences)
        print(f"CellProfiler's plugin folder is now {folder}: start CellProfiler anew")
    elif configured != folder:
        if options.set_plugin_folder:
            print("CellProfiler's preferences were not found: set the folder there by hand, once:", file=sys.stderr)
        print(f"in CellProfiler: Preferences > CellProfiler plugins directory: {folder}, then start it anew")
    print(f"without its window: cellprofiler -c -r --plugins-directory {folder} ...")
    return 1 if options.set_plugin_folder and not preferences else 0


def run_install_fiji(options: argparse.Namespace) -> int:
    """Copy the plugin to where Fiji and ImageJ find it, and tell it where this engine is."""
    from .install import fiji_folders, install_fiji

    folders = options.folders or fiji_folders()
    if not folders:
        raise InputError(
            "no Fiji or ImageJ was found: give its folder, as in 'microsnoop install fiji ~/Fiji.app' (in ImageJ, "
            "Plugins > Utilities > ImageJ Properties shows its plugins folder)"
        )
    for folder in folders:
        print(f"installed the Microsnoop plugin in {install_fiji(folder)}; its engine is {sys.executable}")
    print("start Fiji or ImageJ anew: Plugins > Microsnoop > Measure Microsnoop Features")
    return 0
