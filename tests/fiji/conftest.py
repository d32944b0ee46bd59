"""Real ImageJ (Debian's package) on a virtual screen: in processes of its own (-batch), and inside this one (JPype)."""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from imagej_host import CHANNELS, IJ_JAR, JARS, NEW_IJ_JAR, REPOSITORY, command_of, java_options, save_hyperstack
from waiting import PATIENCE

from microsnoop_engine.cli.install import install_fiji
from microsnoop_engine.images.synthetic import render_field


def pytest_sessionstart():
    """Say loudly what is missing: without ImageJ none of these tests means anything."""
    missing = [name for name in ("java", "javac", "Xvfb") if shutil.which(name) is None]
    if not Path(IJ_JAR).is_file():
        missing.append(IJ_JAR)
    if missing:
        pytest.exit(f"tests/fiji need {', '.join(missing)}: run scripts/make-fiji-env.sh", returncode=1)


def pytest_sessionfinish(session, exitstatus):
    """Keep the exit code for the end."""
    session.config.exit_code = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config):
    """End at once where Java runs: a thread of it that calls Python while Python ends aborts it (exit code 134)."""
    import jpype

    if jpype.isJVMStarted():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(config.exit_code)


@pytest.fixture(scope="session", autouse=True)
def display():
    """The number of a virtual screen of our own."""
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "1400x1000x24", "-nolisten", "tcp"]
    # Java ends the process when its screen goes, so the screen has to go last
    server = subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL, preexec_fn=_end_with_parent)
    os.close(write)
    with os.fdopen(read) as file:
        number = f":{file.readline().strip()}"
    os.environ["DISPLAY"] = number
    yield number
    assert server.poll() is None


def _end_with_parent():
    """The kernel sends this process a SIGTERM when its parent ends."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


@pytest.fixture(scope="session")
def jar(tmp_path_factory):
    """The plugin, built from the sources as they are now."""
    path = tmp_path_factory.mktemp("jar") / "Microsnoop_.jar"
    done = subprocess.run(
        [REPOSITORY / "scripts" / "make-fiji.sh", path], capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture(scope="session")
def home(tmp_path_factory, jar):
    """A home folder with an ImageJ in it that has the plugin."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "ImageJ" / "plugins").mkdir(parents=True)
    install_fiji(folder / "ImageJ")
    shutil.copyfile(jar, folder / "ImageJ" / "plugins" / "Microsnoop_.jar")
    return folder


@pytest.fixture
def batch(home, tmp_path):
    """Run a macro in an ImageJ of its own; what it says comes back."""

    def run(text, headless=False, **environment):
        macro = tmp_path / f"macro-{time.monotonic_ns()}.ijm"
        macro.write_text(text)
        return subprocess.run(
            command_of(home, macro, headless=headless),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            env={**os.environ, **environment},
            cwd=tmp_path,
        )

    return run


@pytest.fixture(scope="session")
def embedder():
    """The engine as the worker runs it."""
    from microsnoop_engine.model.embedder import Embedder

    return Embedder(threads=1)


@pytest.fixture(scope="session")
def field(tmp_path_factory):
    """A drawn field as an ImageJ hyperstack: path, image (3, 256, 256), labels (256, 256)."""
    folder = tmp_path_factory.mktemp("field")
    image, labels = render_field("control", 0, np.random.default_rng(1))
    save_hyperstack(folder / "field.tif", image, "CYX", CHANNELS)
    tifffile.imwrite(folder / "labels.tif", labels.astype(np.uint16), imagej=True)
    return folder / "field.tif", image, labels


@pytest.fixture(scope="session")
def stand_ins(tmp_path_factory):
    """Classes that stand for those of ImageJ2, which are on no registry that tests reach."""
    classes = tmp_path_factory.mktemp("stand-ins")
    sources = map(str, (Path(__file__).parent / "stand_ins").rglob("*.java"))
    subprocess.run(["javac", "-d", str(classes), *sources], check=True, timeout=PATIENCE)
    return classes


@pytest.fixture(scope="session")
def java(home, display, stand_ins):
    """scyjava with a JVM in this process: original ImageJ only, windows on the virtual screen."""
    import jpype.config
    import scyjava

    # the threads of the windows would be waited for
    jpype.config.destroy_jvm = False
    scyjava.config.set_java_constraints(fetch="never")
    scyjava.config.endpoints.clear()
    scyjava.config.add_classpath(NEW_IJ_JAR, str(stand_ins), *map(str, JARS.glob("imglib2-*.jar")))
    for option in java_options(home):
        scyjava.config.add_option(option)
    (home / "tmp").mkdir()
    os.environ["TMPDIR"] = str(home / "tmp")
    scyjava.start_jvm()
    return scyjava


@pytest.fixture(scope="session")
def imagej(java):
    """ImageJ with its window open."""
    instance = java.jimport("ij.ImageJ")()
    java.jimport("ij.IJ").wait(300)
    return instance


@pytest.fixture
def ij(java, imagej):
    """ij.IJ of a clean ImageJ: no images, no ROIs, no results."""
    manager = java.jimport("ij.plugin.frame.RoiManager").getInstance()
    if manager is not None:
        manager.reset()
        manager.close()
    windows = java.jimport("ij.WindowManager")
    for number in list(windows.getIDList() or []):
        image = windows.getImage(number)
        image.changes = False
        image.close()
    for title in windows.getNonImageTitles():
        table = windows.getFrame(title)
        if isinstance(table, java.jimport("ij.text.TextWindow")) and str(title) not in ("Log", "Results"):
            table.close(False)
    java.jimport("ij.measure.ResultsTable").getResultsTable().reset()
    java.jimport("ij.IJ").resetEscape()
    return java.jimport("ij.IJ")
