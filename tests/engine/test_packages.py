"""The recipes of packages list what the package itself requires."""

import configparser
import re
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).parents[2]


def requirements(text):
    """Names and versions of the lines of a list of requirements."""
    lines = [line.partition(";")[0].strip() for line in text.strip().splitlines()]
    return {re.split(r"[<>=!~ ]", line)[0].lower(): re.sub(r"^[\w.-]+ *", "", line) for line in lines}


def test_the_conda_recipe_requires_what_the_package_requires():
    settings = configparser.ConfigParser()
    settings.read(REPOSITORY / "setup.cfg")
    recipe = yaml.safe_load((REPOSITORY / "conda" / "recipe.yaml").read_text())
    run = [line for line in recipe["requirements"]["run"] if not line.startswith("python ")]
    assert requirements("\n".join(run)) == requirements(settings["options"]["install_requires"])
    (command,) = settings["options.entry_points"]["console_scripts"].strip().splitlines()
    assert recipe["build"]["python"]["entry_points"] == [command]


def test_the_apptainer_definition_copies_every_package():
    settings = configparser.ConfigParser()
    settings.read(REPOSITORY / "setup.cfg")
    definition = (REPOSITORY / "containers" / "microsnoop.def").read_text()
    packages = settings["options.packages.find"]["include"].split()
    copied = re.findall(r"^    (\S+) /source/\1$", definition, re.MULTILINE)
    assert set(copied) >= {package.rstrip("*") for package in packages}
    assert all((REPOSITORY / name).exists() for name in copied)
