"""The rules of the house: one-way imports, a light command line, and public names with complete docstrings."""

import ast
import doctest
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys

import pytest

import microsnoop_engine

HEAVY = {"torch", "openvino", "ray", "sklearn", "anndata", "pandas", "skimage"}
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(microsnoop_engine.__path__, "microsnoop_engine.")
    if not module.name.endswith("__main__")
)
PACKAGES = [
    name
    for name in MODULES
    if hasattr(importlib.util.find_spec(name), "submodule_search_locations")
    and importlib.util.find_spec(name).submodule_search_locations
]


def modules_after(statement):
    """Return the top-level modules that a fresh Python holds after a statement."""
    code = f"import sys; {statement}; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("package", ["microsnoop_engine", *PACKAGES])
def test_a_room_is_imported_without_heavy_packages(package):
    assert not modules_after(f"import {package}") & HEAVY


def test_help_is_written_without_heavy_packages():
    assert (
        not modules_after("from microsnoop_engine.cli.main import build_parser; build_parser().format_help()") & HEAVY
    )


@pytest.mark.parametrize("package", PACKAGES)
def test_a_room_states_its_purpose_and_what_it_may_import(package):
    assert "May import:" in importlib.import_module(package).__doc__


def public_objects():
    """Yield every public function, class and method of the engine with its name."""
    for name in MODULES:
        module = importlib.import_module(name)
        for key, value in vars(module).items():
            if key.startswith("_") or getattr(value, "__module__", None) != name:
                continue
            if inspect.isclass(value) or inspect.isfunction(value):
                yield f"{name}.{key}", value
            if inspect.isclass(value):
                for member, method in vars(value).items():
                    is_default = getattr(method, "__name__", "") == "<lambda>"
                    if member.startswith("_") or is_default:
                        continue
                    if inspect.isfunction(method) or isinstance(method, property):
                        yield f"{name}.{key}.{member}", method


def test_every_public_name_has_a_docstring():
    assert not [name for name, value in public_objects() if not inspect.getdoc(value)]


@pytest.mark.parametrize("name", microsnoop_engine.__all__)
def test_a_function_of_the_api_documents_its_parameters_and_result(name):
    value = getattr(microsnoop_engine, name)
    if inspect.isclass(value) or not callable(value):
        return
    text = inspect.getdoc(value)
    assert "Parameters\n---" in text
    assert "Returns\n---" in text or "Yields\n---" in text
    assert "Raises\n---" in text
    documented = text.split("Parameters\n----------\n")[1]
    for parameter in inspect.signature(value).parameters:
        assert re.search(rf"^(\w+, )*\*?\*?{parameter}(, \w+)*( :|$)", documented, re.MULTILINE), parameter


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_the_docstrings(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE).failed == 0


def test_only_the_command_line_names_options():
    named = []
    for name in MODULES:
        if name.split(".")[1] == "cli":
            continue
        source = inspect.getsource(importlib.import_module(name))
        named += [f"{name}: {match}" for match in re.findall(r"(?<![\w-])--[a-z][a-z-]+", source)]
    assert not named


NOUNS = (
    "batches candidates cells channels chunks clusters columns controls corrections crops curves doses features files "
    "frames functions genes groups images labels lines objects pages pieces planes predictions processes replicates "
    "rounds rows scores sets shards tables tensors treatments values wells"
).replace(" ", "|")
ADJECTIVES = "control|dose|image|labeled|negative|positive|training"
VERBS = "are|belong|contain|differ|do|have|hold|lack|lie|repeat|satisfy"


def counts_written_by_hand(source):
    """Yield the text after each number that is written without `counted`, or with a verb that does not follow it."""
    for message in ast.walk(ast.parse(source)):
        if isinstance(message, ast.Constant) and isinstance(message.value, str):
            yield from re.findall(rf"(?<!of )%d (?:(?:{ADJECTIVES}) )?(?:{NOUNS})\b.*", message.value)
        if not isinstance(message, ast.JoinedStr):
            continue
        for number, after in zip(message.values, message.values[1:], strict=False):
            if not isinstance(number, ast.FormattedValue) or not isinstance(after, ast.Constant):
                continue
            written = ast.unparse(number.value)
            if written.startswith("counted("):
                if re.match(rf" ({VERBS})\b", after.value):
                    yield written + after.value
                if len(number.value.args) == 2 and re.search(r"(ches|sses|xes|ies)'\)$", written):
                    yield f"{written} needs its singular"
            elif not written.isupper() and re.match(rf" (({ADJECTIVES}) )?({NOUNS})\b", after.value):
                yield written + after.value


def test_no_message_says_1_rows():
    wrong = "f'{n} control rows'", "f'{n} wells'", "'%d rows'", """f"{counted(n, 'wells')} are" """
    right = "'%d of %d rows'", """f"{n} of {counted(m, 'rows are', 'row is')} left out" """
    assert [bool(list(counts_written_by_hand(source))) for source in (*wrong, *right)] == [True] * 4 + [False] * 2
    found = [
        f"{name}: {text}"
        for name in MODULES
        for text in counts_written_by_hand(inspect.getsource(importlib.import_module(name)))
    ]
    assert not found
