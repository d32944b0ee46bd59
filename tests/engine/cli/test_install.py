"""Test the files that `microsnoop install fiji` writes; tests/fiji runs them."""

import subprocess
import sys
import zipfile

import pytest

from microsnoop_engine.cli.install import FIJI_JAR, FIJI_RECORD, fiji_folders, install_fiji
from microsnoop_engine.errors import InputError


def test_the_plugin_for_imagej_comes_with_the_way_to_this_engine(tmp_path):
    (tmp_path / "Fiji.app" / "plugins").mkdir(parents=True)
    plugins = install_fiji(tmp_path / "Fiji.app")
    assert plugins == install_fiji(plugins) == tmp_path / "Fiji.app" / "plugins"
    assert sorted(path.name for path in plugins.iterdir()) == sorted([FIJI_JAR, FIJI_RECORD])
    assert (plugins / FIJI_RECORD).read_text().strip() == sys.executable
    with zipfile.ZipFile(plugins / FIJI_JAR) as jar:
        assert "microsnoop.MeasureCommand" in jar.read("plugins.config").decode()


def test_a_folder_without_plugins_is_refused(tmp_path):
    with pytest.raises(InputError, match="has no folder 'plugins': name the folder of Fiji or ImageJ"):
        install_fiji(tmp_path)


def test_fiji_is_found_where_people_put_it(tmp_path):
    for name in ("Desktop/Fiji.app/plugins", "Downloads/ImageJ/plugins", "Downloads/Fiji.app"):
        (tmp_path / name).mkdir(parents=True)
    found = fiji_folders([tmp_path / "Desktop", tmp_path / "Downloads", tmp_path / "none"])
    assert found == [tmp_path / "Desktop" / "Fiji.app", tmp_path / "Downloads" / "ImageJ"]


def test_the_command_for_fiji_asks_for_a_restart(tmp_path):
    command = [sys.executable, "-m", "microsnoop_engine", "install", "fiji"]
    environment = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path), "PATH": ""}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    assert "no Fiji or ImageJ was found: name its folder" in done.stderr
    (tmp_path / "Fiji.app" / "plugins").mkdir(parents=True)
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert f"installed the Microsnoop plugin in {tmp_path / 'Fiji.app' / 'plugins'}" in done.stdout
    assert "restart Fiji or ImageJ: Plugins > Microsnoop > Measure Microsnoop Features" in done.stdout
