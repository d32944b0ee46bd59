"""What `microsnoop install cellprofiler` writes; tests/cellprofiler runs it."""

import subprocess
import sys
from pathlib import Path

import pytest

from microsnoop_engine.errors import InputError
from microsnoop_engine.install import (
    FILES,
    RECORD,
    install_cellprofiler,
    plugin_folder,
    preference_files,
    set_plugin_folder,
)

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
    source = Path(__file__).parents[2] / "cellprofiler_plugins"
    assert sorted(FILES) == sorted(path.name for path in source.glob("*.py") if path.name != "__init__.py")


def test_a_folder_in_which_cellprofiler_would_not_start_is_refused(tmp_path):
    (tmp_path / "setup.py").write_text("")
    with pytest.raises(InputError, match=r"setup\.py, with which CellProfiler would not start"):
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
def test_the_command_prints_what_is_left_to_do(tmp_path, preferences):
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
