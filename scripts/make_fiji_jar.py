"""Packs classes, menu and sources of the ImageJ plugin; the same files give the same bytes."""

import sys
import zipfile
from pathlib import Path

FOLDER_MACRO = Path(__file__).resolve().parents[1] / "examples" / "fiji" / "measure_folder.ijm"
"""Run by the command for folders."""


def pack(classes: Path, sources: Path, target: Path, compiler: str) -> None:
    """Write the jar, with the sources beside the classes so that a test can tell whether they belong together."""
    members = {"META-INF/MANIFEST.MF": f"Manifest-Version: 1.0\r\nCreated-By: {compiler}\r\n\r\n".encode()}
    members["plugins.config"] = (sources / "plugins.config").read_bytes()
    members[FOLDER_MACRO.name] = FOLDER_MACRO.read_bytes()
    for folder, prefix in ((classes, ""), (sources, "src/")):
        for path in sorted(folder.rglob("*")):
            if path.suffix in (".class", ".java"):
                members[prefix + path.relative_to(folder).as_posix()] = path.read_bytes()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as jar:
        for name, data in members.items():
            info = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            jar.writestr(info, data)
    print(f"wrote {target} ({target.stat().st_size} bytes)")


if __name__ == "__main__":
    pack(*map(Path, sys.argv[1:4]), sys.argv[4])
