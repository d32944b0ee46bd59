"""The engine, installed from ImageJ without a terminal: by uv or a Python that is there, with real packages."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from imagej_host import REPOSITORY, command_of, components, press, window
from waiting import PATIENCE, wait_for

COMMAND = "Install Microsnoop Engine"
MACRO = f'run("{COMMAND}", getArgument());\nprint("went on");\n'


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of this source."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("microsnoop_engine", "cellprofiler_plugins", "fiji_bridge"):
        shutil.copytree(REPOSITORY / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(REPOSITORY / name, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(out), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    if done.returncode:
        pytest.skip(f"the wheel could not be built; is a package index reached? {done.stderr[-300:]}")
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """The address of a folder with uv, as its makers release it for Linux."""
    uv = Path(pytest.importorskip("uv").find_uv_bin())
    folder = tmp_path_factory.mktemp("release")
    archive = folder / "uv-x86_64-unknown-linux-musl.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(uv.parent, "uv-x86_64-unknown-linux-musl", recursive=False)
        tar.add(uv, "uv-x86_64-unknown-linux-musl/uv")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    archive.with_name(archive.name + ".sha256").write_text(f"{digest}  {archive.name}\n")
    return folder.as_uri()


@pytest.fixture
def install(home, tmp_path):
    """Run the command in an ImageJ with a home of its own; what it prints."""
    own = tmp_path / "home"
    shutil.copytree(home / "ImageJ", own / "ImageJ")
    (own / "ImageJ" / "plugins" / "microsnoop-engine.txt").unlink()
    (tmp_path / "macro.ijm").write_text(MACRO)

    def run(options, **environment):
        command = command_of(own, tmp_path / "macro.ijm", options)
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, cwd=tmp_path)
        return done.stdout + done.stderr

    yield own, run
    shutil.rmtree(own)


def test_from_a_wheel_with_a_uv_that_is_downloaded(install, wheel, release, field, home, tmp_path):
    """The whole way of somebody without a terminal, then a measurement with the new engine."""
    own, run = install
    said = run(f"source=[{wheel}] python=/nowhere/python uv=[{release}] download")
    engine = own / "microsnoop" / "engine"
    assert "1 of 3: downloading uv" in said
    if "Failed to fetch" in said:
        pytest.skip("no package index is reached")
    assert re.search(rf"The engine works: microsnoop \S+, weights microsnoop-fast .*{engine}", said), said
    assert "went on" in said
    assert (own / "microsnoop" / "uv").exists()
    assert "+ microsnoop==" in (own / "microsnoop" / "install.log").read_text()
    macro = tmp_path / "measure.ijm"
    options = f"objects=[Whole image] mode=rescale csv=[{tmp_path}/whole.csv]"
    macro.write_text(f'open("{field[0]}");\nrun("Measure Microsnoop Features", "{options}");\n')
    subprocess.run(command_of(own, macro), capture_output=True, timeout=PATIENCE)
    assert (tmp_path / "whole.csv").exists()
    # an attempt that fails leaves the engine that works
    (tmp_path / "microsnoop-9-py3-none-any.whl").write_text("no wheel")
    said = run(f"source=[{tmp_path}/microsnoop-9-py3-none-any.whl]")
    assert "The installation stopped (exit code" in said
    assert "went on" not in said
    assert sorted(path.name for path in (own / "microsnoop").iterdir()) == ["engine", "install.log", "uv"]
    subprocess.run([engine / "bin" / "python", "-c", "import microsnoop_engine"], check=True, timeout=PATIENCE)


def test_with_a_python_that_is_there(install, tmp_path):
    """Of a wheel that is none: the packages of a whole one would be downloaded without uv's cache."""
    own, run = install
    (tmp_path / "microsnoop-9-py3-none-any.whl").write_text("no wheel")
    said = run(f"source=[{tmp_path}/microsnoop-9-py3-none-any.whl] python=[{sys.executable}]", PATH="/usr/bin:/bin")
    assert "2 of 3: installing microsnoop" in said
    assert "The installation stopped (exit code 1 of python). Its last lines:\n" in said
    assert "microsnoop-9-py3-none-any.whl" in said.split("Its last lines:")[1]
    assert f"The whole log is {own}/microsnoop/install.log" in said
    assert not (own / "microsnoop" / "engine").exists()
    assert "went on" not in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("python=/nowhere/python", "There is no Python 3.10 to 3.13 on this computer. Allow the download of uv"),
        ("python=/nowhere/python compute=[NVIDIA GPU]", "There is no Python 3.10 to 3.13 with uv on this computer."),
        ("python=/nowhere/python download uv=file:///nowhere", "The program uv could not be downloaded:"),
        ("source=/nowhere/microsnoop-1-py3-none-any.whl", 'There is no file "/nowhere/microsnoop-1-py3-none-any.whl"'),
        ("source=/etc/hostname", '"/etc/hostname" is no wheel: choose the file microsnoop-...-py3-none-any.whl'),
        ("folder={home}/ImageJ", "is no engine that was made here: choose another folder."),
        ("compute=Abacus", 'compute is "Abacus": give one of CPU, NVIDIA GPU.'),
    ],
)
def test_what_is_missing_is_said(install, options, said):
    own, run = install
    text = run(options.format(home=own), PATH="/usr/bin:/bin")
    assert text.count(said) == 1, text
    assert "went on" not in text
    assert (own / "ImageJ" / "plugins").exists()


def test_a_damaged_download_is_refused(install, tmp_path):
    own, run = install
    for name, data in (("", b"x"), (".sha256", b"0" * 64)):
        (tmp_path / f"uv-x86_64-unknown-linux-musl.tar.gz{name}").write_bytes(data)
    said = run(f"python=/nowhere/python uv={tmp_path.as_uri()} download", PATH="/usr/bin:/bin")
    assert "The download of uv is damaged: its checksum differs." in said
    assert not (own / "microsnoop" / "uv").exists()


def test_the_folder_of_an_update_site(tmp_path, field):
    """Copied into an ImageJ, it is the plugin, which says how to install the engine; the macro is beside it."""
    imagej = tmp_path / "ImageJ"
    script = REPOSITORY / "scripts" / "make-fiji-site.sh"
    subprocess.run([script, imagej], check=True, capture_output=True, timeout=PATIENCE)
    assert (imagej / "macros" / "microsnoop" / "measure_folder.ijm").exists()
    macro = tmp_path / "macro.ijm"
    macro.write_text(f'open("{field[0]}");\nrun("Measure Microsnoop Features", "objects=[Whole image]");\n')
    environment = {name: value for name, value in os.environ.items() if name != "MICROSNOOP_PYTHON"}
    environment["PATH"] = "/usr/bin:/bin"
    command = command_of(tmp_path, macro)
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, env=environment)
    assert "The microsnoop engine was not found." in done.stdout
    assert "What to do: choose Plugins > Microsnoop > Install Microsnoop Engine" in done.stdout


def test_the_release_file_of_every_system(java, ij):
    uv = ij.getClassLoader().loadClass("microsnoop.Uv")
    archive = next(method for method in uv.getDeclaredMethods() if str(method.getName()) == "archive")
    archive.setAccessible(True)
    for system, processor, name in (
        ("Linux", "amd64", "uv-x86_64-unknown-linux-musl.tar.gz"),
        ("Linux", "aarch64", "uv-aarch64-unknown-linux-musl.tar.gz"),
        ("Mac OS X", "x86_64", "uv-x86_64-apple-darwin.tar.gz"),
        ("Mac OS X", "aarch64", "uv-aarch64-apple-darwin.tar.gz"),
        ("Windows 11", "amd64", "uv-x86_64-pc-windows-msvc.zip"),
    ):
        assert str(archive.invoke(None, system, processor)) == name


def test_the_dialog_shows_progress_and_cancels(java, ij, tmp_path):
    (tmp_path / "microsnoop-9-py3-none-any.whl").write_text("no wheel")
    ij.doCommand("Microsnoop Settings")
    settings = wait_for(lambda: window(java, "Microsnoop Settings"))
    press_later(java, settings, "Install engine...")
    dialog = wait_for(lambda: window(java, COMMAND))
    folder, wheel = dialog.getStringFields()
    folder.setText(str(tmp_path / "made" / "engine"))
    (log,) = components(java, dialog, "java.awt.TextArea")
    press(java, dialog, "Install")
    wait_for(lambda: "There is no Python" in str(log.getText()) or "1 of 3" in str(log.getText()))
    press(java, dialog, "Cancel installation")
    wait_for(lambda: "cancelled; nothing was written" in str(log.getText()))
    wait_for(lambda: not (tmp_path / "made" / "engine").exists())
    wheel.setText(str(tmp_path / "none.whl"))
    press(java, dialog, "Install")
    wait_for(lambda: "There is no file" in str(log.getText()))
    press(java, dialog, "Close")
    wait_for(lambda: window(java, COMMAND) is None)
    press(java, settings, "Cancel")
    wait_for(lambda: window(java, "Microsnoop Settings") is None)


def press_later(java, dialog, label):
    """Press a button that opens a dialog which waits."""
    import threading

    threading.Thread(target=press, args=(java, dialog, label), daemon=True).start()
