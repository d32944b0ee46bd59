"""Open packages of bioimage.io: a description in YAML, and the files that it names."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from zipfile import BadZipFile, ZipFile

import yaml

from ...errors import WeightsError

DESCRIPTIONS = ("rdf.yaml", "bioimageio.yaml")


@dataclass(frozen=True)
class Package:
    """A package: its description, and its files.

    Attributes
    ----------
    path : Path
    description : dict
    read : callable
        Returns the contents of a file by its name.
    """

    path: Path
    description: dict[str, Any]
    read: Callable[[str], bytes]

    def file(self, described: Any) -> bytes:
        """Return the contents of a file that the description names, after a check of its hash.

        Raises
        ------
        WeightsError
            If it is not in the package, or not the one that is described.
        """
        entry = described if isinstance(described, Mapping) else {"source": described}
        source, sha256 = str(entry.get("source")), entry.get("sha256")
        if "://" in source:
            raise WeightsError(f"'{self.path}' names a file elsewhere: {source}. Download the package as a .zip")
        name = PurePosixPath(source)
        try:
            if name.is_absolute() or ".." in name.parts:
                raise FileNotFoundError(source)
            data = self.read(str(name))
        except (KeyError, OSError):
            raise WeightsError(f"'{self.path}' lacks its file '{source}'") from None
        if sha256 and hashlib.sha256(data).hexdigest() != sha256:
            raise WeightsError(f"'{source}' in '{self.path}' is not the file that is described: download it again")
        return data


def is_package(path: Path) -> bool:
    """Return whether a path is that of a package: a folder, a .zip or a .yaml file."""
    return path.is_dir() or path.suffix in (".zip", ".yaml", ".yml")


def open_package(path: Path) -> Package:
    """Open a package.

    Parameters
    ----------
    path : Path
        A .zip file, a folder, or the .yaml file in it.

    Returns
    -------
    Package

    Raises
    ------
    WeightsError
        If it is none.
    """
    try:
        names, read = _zipped(path) if path.suffix == ".zip" else _in_folder(path)
        described = [name for name in names if name in DESCRIPTIONS or name.endswith("bioimageio.yaml")]
        name = names[0] if path.suffix in (".yaml", ".yml") else next(iter(described), "")
        if not name:
            raise WeightsError(f"'{path}' is no package of bioimage.io: it has no {' or '.join(DESCRIPTIONS)}")
        description = yaml.safe_load(read(name))
    except FileNotFoundError:
        raise WeightsError(f"there is no package at '{path}'") from None
    except (BadZipFile, yaml.YAMLError, UnicodeDecodeError) as error:
        raise WeightsError(f"'{path}' cannot be read as a package of bioimage.io: {error}") from None
    if not isinstance(description, dict) or description.get("type", "model") != "model":
        raise WeightsError(f"'{path}' describes no model of bioimage.io")
    return Package(path, description, read)


def _zipped(path: Path) -> tuple[list[str], Callable[[str], bytes]]:
    """Return the names of an archive's files, and a function that reads one."""

    def read(name: str) -> bytes:
        with ZipFile(path) as archive:
            return archive.read(name)

    with ZipFile(path) as archive:
        return archive.namelist(), read


def _in_folder(path: Path) -> tuple[list[str], Callable[[str], bytes]]:
    """Return the names of the files of a folder, or the description that is named, and a function that reads one."""
    folder = path if path.is_dir() else path.parent
    names = [path.name] if path.is_file() else sorted(file.name for file in folder.iterdir())
    return names, lambda name: (folder / name).read_bytes()
