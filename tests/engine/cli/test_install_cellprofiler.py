"""Test what `microsnoop install cellprofiler` does; tests/cellprofiler runs the files that it writes."""

import os
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from microsnoop_engine.cli.cellprofiler_preferences import FILES as PREFERENCE_FILES
from microsnoop_engine.cli.cellprofiler_preferences import PreferenceKey, find_preferences
from microsnoop_engine.cli.install_cellprofiler import FILES, RECORD, find_program, install_cellprofiler
from microsnoop_engine.errors import InputError

OTHERS = "[CellProfiler]\nShowSampling=1\nTitleFontSize=12\n"
CHOSEN = "Telemetry=0\nPluginDirectoryCP4=FOLDER\nTitleFontSize=12\n"


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


@pytest.mark.skipif(sys.platform == "win32", reason="CellProfiler keeps its preferences in the registry there")
@pytest.mark.parametrize("name", PREFERENCE_FILES)
def test_a_preference_file_is_read_and_only_the_folder_is_changed(name, tmp_path):
    assert find_preferences(tmp_path) == []
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True, parents=True)
    file.write_text(CHOSEN.replace("FOLDER", "/old/plugins"))
    (found,) = find_preferences(tmp_path)
    assert found.read() == Path("/old/plugins")
    found.write(tmp_path / "new")
    assert found.read() == tmp_path / "new"
    assert file.read_text() == CHOSEN.replace("FOLDER", str(tmp_path / "new"))
    file.write_text(OTHERS)
    assert found.read() is None
    found.write(tmp_path / "new")
    assert file.read_text() == f"PluginDirectoryCP4={tmp_path / 'new'}\n{OTHERS}"


@pytest.mark.skipif(sys.platform != "win32", reason="there is a registry on Windows only")
def test_the_registry_is_read_and_only_the_folder_is_changed(tmp_path):
    import winreg

    name = rf"Software\microsnoop-test-{uuid.uuid4().hex}"
    preferences = PreferenceKey(name)
    assert not preferences.exists()
    try:
        with winreg.CreateKey(winreg.HKEY_CURRENT_USER, name) as key:
            winreg.SetValueEx(key, "TitleFontName", 0, winreg.REG_SZ, "Tahoma")
        assert preferences.exists()
        assert preferences.read() is None
        preferences.write(tmp_path)
        assert preferences.read() == tmp_path
        with winreg.OpenKey(winreg.HKEY_CURRENT_USER, name) as key:
            assert winreg.QueryValueEx(key, "TitleFontName")[0] == "Tahoma"
    finally:
        winreg.DeleteKey(winreg.HKEY_CURRENT_USER, name)


def install(home, *words, status=0):
    """Run the command for a user with this home folder; its lines."""
    environment = {**os.environ, "HOME": str(home), "USERPROFILE": str(home), "PATH": os.defpath}
    environment.pop("MICROSNOOP_PYTHON", None)
    command = [sys.executable, "-m", "microsnoop_engine", "install", "cellprofiler", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout.splitlines()


def write_preferences(home, text):
    """Preferences of a CellProfiler on Linux."""
    file = home / ".config" / "CellProfilerLocal.cfg"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    return file


only_files = pytest.mark.skipif(sys.platform == "win32", reason="the registry of this computer is not for tests")


@only_files
def test_a_folder_that_is_not_set_is_set_and_the_engine_is_started(tmp_path):
    file = write_preferences(tmp_path, OTHERS)
    installed, works, step = install(tmp_path)
    folder = tmp_path / "CellProfiler-plugins"
    assert installed == f"installed MeasureMicrosnoopFeatures in {folder}; its engine is {sys.executable}"
    assert works.startswith("the engine works: microsnoop ")
    assert "weights microsnoop-fast" in works
    assert step == "next: start CellProfiler and add MeasureMicrosnoopFeatures (category Measurement)"
    assert file.read_text() == f"PluginDirectoryCP4={folder}\n{OTHERS}"
    assert (folder / FILES[0]).is_file()


@only_files
def test_the_folder_that_the_user_has_chosen_is_used_and_kept(tmp_path):
    chosen = tmp_path / "my plugins"
    file = write_preferences(tmp_path, CHOSEN.replace("FOLDER", str(chosen)))
    before = file.read_text()
    assert install(tmp_path)[-1].startswith("next: start CellProfiler and add MeasureMicrosnoopFeatures")
    assert (chosen / FILES[0]).is_file()
    last = install(tmp_path, tmp_path / "other")[-1]
    assert f"CellProfiler takes its plugins from {chosen}: run this command without a folder" in last
    assert f"with --set-plugin-folder to change to {tmp_path / 'other'}" in last
    assert file.read_text() == before
    install(tmp_path, tmp_path / "other", "--set-plugin-folder")
    assert file.read_text() == before.replace(str(chosen), str(tmp_path / "other"))


@only_files
def test_the_preferences_of_a_cellprofiler_that_runs_are_left_alone(tmp_path):
    """A program of that name will do: what counts is that it would write its preferences when it ends."""
    file = write_preferences(tmp_path, OTHERS)
    program = tmp_path / "cellprofiler"
    shutil.copyfile(shutil.which("sleep"), program)
    program.chmod(0o755)
    running = subprocess.Popen([str(program), "60"], env={**os.environ, "HOME": str(tmp_path)})
    try:
        assert install(tmp_path)[-1].startswith("next: close CellProfiler, then run this command again")
        assert file.read_text() == OTHERS
        install(tmp_path, "--set-plugin-folder", status=1)
    finally:
        running.kill()
        running.wait()
    assert install(tmp_path)[-1].startswith("next: start CellProfiler")


@only_files
def test_a_cellprofiler_that_was_never_started_is_set_by_hand(tmp_path):
    (step,) = [line for line in install(tmp_path, tmp_path / "plugins") if line.startswith("next: ")]
    assert f"choose Preferences > CellProfiler plugins directory: {tmp_path / 'plugins'}" in step
    install(tmp_path, "--set-plugin-folder", status=1)


def test_the_program_is_found_where_installers_put_it(tmp_path):
    for version in ("4.2.6", "4.2.8"):
        (tmp_path / f"CellProfiler-{version}.app").mkdir()
    found = find_program([str(tmp_path / "none*"), str(tmp_path / "CellProfiler*.app")])
    assert found == str(tmp_path / "CellProfiler-4.2.8.app")


def test_an_engine_that_does_not_start_is_an_error(tmp_path):
    environment = {**os.environ, "HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    environment["MICROSNOOP_PYTHON"] = str(tmp_path / "nowhere")
    command = [sys.executable, "-m", "microsnoop_engine", "install", "cellprofiler", str(tmp_path / "plugins")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 1
    assert "but its engine does not start.\nThe microsnoop engine was not found" in done.stderr
