"""Read and write the plugin folder in the preferences of CellProfiler 4."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ..storage.atomic import write_atomic

if TYPE_CHECKING:
    import psutil

PREFERENCE = "PluginDirectoryCP4"
FILES = (
    ".config/CellProfilerLocal.cfg",
    "CellProfilerLocal.cfg",
    "Library/Preferences/CellProfilerLocal.cfg",
)
"""Where CellProfiler keeps its preferences on Linux and macOS, in the home folder."""
REGISTRY_KEY = r"Software\CellProfilerLocal.cfg"
"""Where it keeps them on Windows, under HKEY_CURRENT_USER."""

MODULE = ["-m", "cellprofiler"]


class Preferences(Protocol):
    """A place where CellProfiler keeps its preferences."""

    def read(self) -> Path | None:
        """Return the plugin folder; None if it is not set."""

    def write(self, folder: Path) -> None:
        """Set the plugin folder, and leave everything else as it is."""


class PreferenceFile:
    """A file of preferences, as on Linux and macOS.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Path | None:
        """Return the plugin folder; None if it is not set."""
        match = re.search(rf"^{PREFERENCE}=(.+)$", self.path.read_text(encoding="utf-8"), re.MULTILINE)
        return Path(match[1].strip().strip('"').replace("\\\\", "\\")) if match else None

    def write(self, folder: Path) -> None:
        """Set the plugin folder, and leave everything else as it is."""
        text, line = self.path.read_text(encoding="utf-8"), f"{PREFERENCE}={folder.as_posix()}"
        changed, count = re.subn(rf"^{PREFERENCE}=.*$", lambda _: line, text, flags=re.MULTILINE)
        write_atomic(self.path, (changed if count else f"{line}\n{text}").encode())


class PreferenceKey:
    """A key of the registry with preferences, as on Windows.

    Parameters
    ----------
    key : str
        Below HKEY_CURRENT_USER.
    """

    def __init__(self, key: str = REGISTRY_KEY) -> None:
        self.key = key

    def exists(self) -> bool:
        """Return whether CellProfiler has ever kept preferences there."""
        import winreg

        try:
            winreg.CloseKey(winreg.OpenKey(winreg.HKEY_CURRENT_USER, self.key))  # type: ignore[attr-defined]
        except OSError:
            return False
        return True

    def read(self) -> Path | None:
        """Return the plugin folder; None if it is not set."""
        import winreg

        try:
            with winreg.OpenKey(winreg.HKEY_CURRENT_USER, self.key) as key:  # type: ignore[attr-defined]
                value = winreg.QueryValueEx(key, PREFERENCE)[0]  # type: ignore[attr-defined]
        except OSError:
            return None
        return Path(re.sub(r"(?<!^)\\+", lambda _: "\\", str(value))) if value else None

    def write(self, folder: Path) -> None:
        """Set the plugin folder, and leave everything else as it is."""
        import winreg

        with winreg.CreateKey(winreg.HKEY_CURRENT_USER, self.key) as key:  # type: ignore[attr-defined]
            winreg.SetValueEx(key, PREFERENCE, 0, winreg.REG_SZ, str(folder))  # type: ignore[attr-defined]


def find_preferences(home: Path | None = None) -> list[Preferences]:
    """Find the preferences of CellProfiler.

    Parameters
    ----------
    home : Path, optional
        Default: the home folder.

    Returns
    -------
    list of Preferences
        Empty if CellProfiler was never started.
    """
    if sys.platform == "win32":
        key = PreferenceKey()
        return [key] if key.exists() else []
    home = home or Path.home()
    return [PreferenceFile(home / name) for name in FILES if (home / name).is_file()]


def cellprofiler_runs() -> bool:
    """Return whether a CellProfiler of this user runs, which would write its own preferences over changed ones."""
    import psutil

    user = psutil.Process().username()
    for process in psutil.process_iter():
        try:
            if _is_cellprofiler(process.cmdline()) and process.username() == user and _has_same_home(process):
                return True
        except (psutil.Error, OSError):
            continue
    return False


def _is_cellprofiler(command: list[str]) -> bool:
    """Return whether a command line is CellProfiler's: its program, its application on macOS, its script or module."""
    words = [Path(word).name.lower() for word in command[:3]]
    if not words:
        return False
    application = any(part.lower().startswith("cellprofiler") for part in Path(command[0]).parts if ".app" in part)
    return application or words[0].startswith("cellprofiler") or "cellprofiler" in words[1:2] or words[1:] == MODULE


def _has_same_home(process: psutil.Process) -> bool:
    import psutil

    try:
        return process.environ().get("HOME") == os.environ.get("HOME")
    except psutil.Error:
        return True
