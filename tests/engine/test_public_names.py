"""Test the public names of the package."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import microsnoop_engine

NAMES = [name for name in microsnoop_engine.__all__ if not name.startswith("_")]


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_can_be_imported_and_is_documented(name):
    value = getattr(microsnoop_engine, name)
    assert callable(value)
    assert value.__name__ == name
    assert inspect.getdoc(value)
    assert name in dir(microsnoop_engine)


def test_type_checkers_see_the_same_names():
    source = Path(microsnoop_engine.__file__).read_text(encoding="utf-8")
    (block,) = (node for node in ast.parse(source).body if isinstance(node, ast.If))
    imports = {alias.name: node.module for node in block.body for alias in node.names}
    assert imports == microsnoop_engine._MODULES
    assert sorted(imports) == sorted(NAMES)
    assert Path(microsnoop_engine.__file__).with_name("py.typed").is_file()


def test_other_names_do_not_exist():
    with pytest.raises(AttributeError, match="has no attribute 'embedder'"):
        microsnoop_engine.embedder  # noqa: B018


def test_the_package_itself_imports_nothing_heavy():
    script = (
        "import sys, microsnoop_engine; dir(microsnoop_engine); "
        "assert not {'numpy', 'torch', 'pandas', 'ray'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
