"""Every command and every script in the README and the documentation runs as it is written, on a small demo screen.

Commands that are only shown, because they need images or machines of a user, have the options that they name.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from microsnoop_engine.cli.demo import NAME, SCREEN
from microsnoop_engine.cli.main import build_parser
from microsnoop_engine.images.synthetic import write_screen

REPOSITORY = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(console|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = [
    page
    for page in [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
    if BLOCK.search(page.read_text(encoding="utf-8"))
]
SHOWN = sorted(
    page.relative_to(REPOSITORY).as_posix()
    for page in [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")]
    if page.name != "CHANGELOG.md" and "microsnoop " in page.read_text(encoding="utf-8")
)
OF_OTHERS = {"--bind", "--build-arg", "--disable-usage-stats", "--gpus", "--num-gpus", "--nv", "--user"}
"""Options of Docker, Apptainer and Ray."""
IJ_JAR = Path(os.environ.get("IJ_JAR", "/usr/share/java/ij.jar"))


def run(command, cwd):
    """Run a command as in a terminal whose environment is active, and return what it printed."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "MPLBACKEND": "agg"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A folder that looks like a checkout with a smaller demo in it; what the pages write stays out of the real one."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("examples", "docs"):
        shutil.copytree(REPOSITORY / name, folder / name)
    (folder / ".venv").symlink_to(sys.prefix)
    write_screen(folder / "demo" / "screen", shape=(160, 160), n_cells=5)
    (folder / "demo" / NAME).write_text(SCREEN.format(name=f"demo/{NAME}"))
    run(["microsnoop", "run", f"demo/{NAME}"], folder)
    return folder


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_a_page(page, checkout):
    script = []
    for kind, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        if kind == "python":
            script.append(text)
        elif "ij.jar" in text and not IJ_JAR.is_file():
            pytest.skip(f"there is no ImageJ at {IJ_JAR}")
        else:
            run(["bash", "-e", "-c", text], checkout)
    if script:
        run([sys.executable, "-c", "\n".join(script)], checkout)


def commands(parser, words=()):
    """{words of a command: its options}."""
    found = {words: {option for action in parser._actions for option in action.option_strings}}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                found |= commands(below, (*words, name))
    return found


@pytest.mark.parametrize("page", SHOWN)
def test_options_of_commands_that_are_only_shown(page):
    known = commands(build_parser())
    text = (REPOSITORY / page).read_text(encoding="utf-8").replace("\\\n", " ")
    for line in re.findall(r"microsnoop ([a-z][^\n`|]*)", text):
        words = tuple(line.split())
        command = next((words[:count] for count in (2, 1) if words[:count] in known), None)
        named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", line))
        assert command is None or named <= known[command], f"microsnoop {line}"
    everywhere = set().union(*known.values())
    assert {name for name in re.findall(r"`(--[a-z][a-z-]*)", text) if name not in OF_OTHERS} <= everywhere
