"""Test the files that `microsnoop install` writes; tests/cellprofiler and tests/fiji run them."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from microsnoop_engine.cli.install import (
    FIJI_JAR,
    FIJI_RECORD,
    FILES,
    RECORD,
    fiji_folders,
    install_cellprofiler,
    install_fiji,
    plugin_folder,
    preference_files,
    set_plugin_folder,
)
from microsnoop_engine.errors import InputError

PREFERENCES = "[CellProfiler]\nShowSampling=1\nPluginDirectoryCP4=/old/plugins\nTitleFontSize=12\n"


def test_the_module_comes_with_its_helpers_and_the_way_to_this_engine(tmp_path):
    folder = install_cellprofiler(tmp_path / "plugins")
    assert sorted(path.name for path in folder.iterdir()) == sorted([*FILES, RECORD])
    assert (folder / RECORD).read_text().strip() == sys.executable
    for path in folder.glob("*.py"):
        compile(path.read_text(), path.name, "exec", dont_inherit=True)
    (folder / FILES[0]).write_text("old")
    (folder / "measureother.py").write_text("somebody else's")
    install_cellprofiler(folder)
    assert "MeasureMicrosnoopFeatures" in (folder / FILES[0]).read_text()
    assert (folder / "measureother.py").read_text() == "somebody else's"


def test_every_plugin_file_is_installed():
    source = Path(__file__).parents[3] / "cellprofiler_plugins"
    assert sorted(FILES) == sorted(path.name for path in source.glob("*.py") if path.name != "__init__.py")


def test_a_folder_in_which_cellprofiler_would_not_start_is_refused(tmp_path):
    (tmp_path / "setup.py").write_text("")
    with pytest.raises(InputError, match=r"setup\.py, so CellProfiler would not start"):
        install_cellprofiler(tmp_path)


def test_preferences_are_read_and_only_the_folder_is_changed(tmp_path):
    file = tmp_path / ".config" / "CellProfilerLocal.cfg"
    assert preference_files(tmp_path) == []
    file.parent.mkdir()
    file.write_text(PREFERENCES)
    found = preference_files(tmp_path)
    assert found == [file]
    assert str(plugin_folder(found)) == "/old/plugins"
    set_plugin_folder(tmp_path / "new", found)
    assert plugin_folder(found) == tmp_path / "new"
    assert file.read_text() == PREFERENCES.replace("/old/plugins", str(tmp_path / "new"))


@pytest.mark.parametrize("preferences", [PREFERENCES, "ShowSampling=1\n", None])
def test_the_command_prints_the_remaining_steps(tmp_path, preferences):
    if preferences:
        (tmp_path / "CellProfilerLocal.cfg").write_text(preferences)
    command = [sys.executable, "-m", "microsnoop_engine", "install", "cellprofiler", tmp_path / "plugins"]
    environment = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path), "PATH": ""}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert f"Preferences > CellProfiler plugins directory: {tmp_path / 'plugins'}" in done.stdout
    done = subprocess.run([*command, "--set-plugin-folder"], capture_output=True, text=True, env=environment)
    if preferences:
        assert f"plugin folder is now {tmp_path / 'plugins'}" in done.stdout
        assert plugin_folder([tmp_path / "CellProfilerLocal.cfg"]) == tmp_path / "plugins"
    else:
        assert done.returncode == 1
        assert "preferences were not found" in done.stderr


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
