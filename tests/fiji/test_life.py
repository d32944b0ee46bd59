"""The life of the engine: cancelled, killed, orphaned, run a hundred times, headless."""

import os
import re
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pandas as pd
import pytest
from engine_processes import engines_of
from imagej_host import (
    IJ_JAR,
    REPOSITORY,
    command_of,
    feature_names,
    own_workers,
    results,
)
from waiting import PATIENCE, assert_gives_up, assert_gone, cpu_seconds, wait_for

from microsnoop_engine.modes import measure as measuring
from microsnoop_engine.modes.settings import CropSettings

MEASURE = "Measure Microsnoop Features"
FITTED = CropSettings(scale="each")


@pytest.fixture
def large(java, ij):
    """An image whose tiles take many seconds."""
    imp = ij.createImage("large", "16-bit noise", 2400, 2400, 1)
    imp.show()
    return imp


@pytest.fixture
def small(java, ij, field):
    """Opens a window with the drawn field, which one box of a few pixels measures at once."""
    imp = ij.openImage(str(field[0]))
    imp.show()
    imp.setRoi(100, 100, 40, 40)
    return imp


def measure(java, ij, imp, options):
    """Run the command on an image, whichever window a late focus event makes the current one."""
    windows = java.jimport("ij.WindowManager")
    windows.setTempCurrentImage(imp)
    try:
        ij.run(MEASURE, options)
    finally:
        windows.setTempCurrentImage(None)


def measure_in_background(java, ij, imp, options):
    """Run the command as a macro would; the list gets what it raises."""
    raised = []

    def run():
        try:
            measure(java, ij, imp, options)
        except Exception as error:  # noqa: BLE001 of any kind: the test asserts there is none
            raised.append(str(error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, raised


def progress(java):
    status = str(java.jimport("ij.IJ").getInstance().getStatusBar().getComponent(0).getText() or "")
    return "crops (Esc cancels)" in status


def rows(java):
    return int(results(java).size())


def test_esc_cancels_and_the_engine_stays(java, ij, large, small, tmp_path):
    measure(java, ij, small, "objects=[Active selection] clear")
    (engine,) = own_workers()
    path = tmp_path / "none.csv"
    thread, raised = measure_in_background(java, ij, large, f"objects=[Whole image] csv=[{path}]")
    wait_for(lambda: progress(java))
    ij.setKeyDown(27)
    thread.join(PATIENCE)
    ij.setKeyUp(27)
    assert not thread.is_alive()
    assert "Macro canceled" in raised[0]
    assert "Microsnoop: cancelled; nothing was written" in str(ij.getLog())
    assert rows(java) == 1
    assert not path.exists()
    measure(java, ij, small, "objects=[Active selection]")
    assert rows(java) == 2
    assert own_workers() == [engine]


def test_an_engine_that_is_killed_is_replaced(java, ij, home, large, small):
    thread, raised = measure_in_background(java, ij, large, "objects=[Whole image]")
    wait_for(lambda: progress(java))
    (engine,) = own_workers()
    (folder,) = (home / "tmp").glob("microsnoop-worker-*")
    engine.kill()
    thread.join(PATIENCE)
    assert raised
    log = str(ij.getLog())
    assert "stopped during measure_image (exit code 137)" in log
    assert "run the command again, which starts a new engine" in log
    assert not folder.exists()
    measure(java, ij, small, "objects=[Active selection] clear")
    assert rows(java) == 1
    (new,) = own_workers()
    assert new != engine


def test_plugins_loaded_anew_leave_no_second_engine(java, ij, small):
    measure(java, ij, small, "objects=[Active selection] clear")
    former = own_workers()
    ij.run("Refresh Menus")
    measure(java, ij, small, "objects=[Active selection] clear")
    assert_gone(former)
    assert len(own_workers()) == 1


def test_an_image_that_is_closed_meanwhile(java, ij, small):
    stack = ij.createImage("deep", "16-bit noise", 900, 900, 40)
    stack.show()
    thread, raised = measure_in_background(java, ij, stack, "objects=[Whole image] slices=all clear")
    wait_for(lambda: "slice 2" in str(ij.getInstance().getStatusBar().getComponent(0).getText()) or progress(java))
    stack.changes = False
    stack.close()
    thread.join(PATIENCE)
    assert raised
    assert 'The image "deep" was closed while it was measured. Open it again' in str(ij.getLog())
    assert rows(java) == 0


def test_a_second_image_finds_the_engine_warm(java, ij, small, field):
    measure(java, ij, small, "objects=[Active selection] clear")
    small.close()
    imp = ij.openImage(str(field[0]))
    imp.show()
    imp.setRoi(60, 60, 50, 30)
    (engine,) = own_workers()
    measure(java, ij, imp, "objects=[Active selection]")
    assert own_workers() == [engine]


def test_a_hundred_calls_do_not_grow_memory(java, ij, small):
    runtime = java.jimport("java.lang.Runtime").getRuntime()

    def repeat(times):
        for _ in range(times):
            measure(java, ij, small, "objects=[Active selection] clear")
        for _ in range(3):
            java.jimport("java.lang.System").gc()
            time.sleep(0.1)
        (engine,) = own_workers()
        used = (int(runtime.totalMemory()) - int(runtime.freeMemory())) / 2**20
        return used, engine.memory_info().rss / 2**20, len(engine.open_files()), threading.active_count()

    warm = repeat(20)
    after = repeat(100)
    print(f"ImageJ's heap {warm[0]:.1f} -> {after[0]:.1f} MB, engine {warm[1]:.0f} -> {after[1]:.0f} MB")
    assert after[0] - warm[0] < 3
    assert after[1] - warm[1] < 30
    assert after[2:] == warm[2:]


def test_kill_minus_9_of_imagej_leaves_no_engine(home, field, tmp_path):
    macro = tmp_path / "macro.ijm"
    macro.write_text(
        f'newImage("large", "16-bit noise", 2400, 2400, 9);\nrun("{MEASURE}", "objects=[Whole image] slices=all");\n'
        f'File.saveString("done", "{tmp_path}/done.txt");\n'
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    host = subprocess.Popen(
        command_of(home, macro), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        engines = wait_for(lambda: engines_of(host.pid))
        (folder,) = wait_for(lambda: list(tmp_path.glob("microsnoop-worker-*")))
        wait_for(lambda: list(folder.glob("imagej-*-image.npy")))
        before = cpu_seconds(engines[0])
        wait_for(lambda: cpu_seconds(engines[0]) > before + 0.5)
        host.send_signal(signal.SIGKILL)
        assert_gives_up(engines[0])
        host.wait()
        wait_for(lambda: not folder.exists())
    finally:
        host.kill()
    assert not (tmp_path / "done.txt").exists()


def test_imagej_that_ends_takes_the_engine_along(home, field, tmp_path):
    macro = tmp_path / "macro.ijm"
    macro.write_text(
        f'open("{field[0]}");\nrun("{MEASURE}", "objects=[Whole image] mode=rescale");\n'
        f'File.saveString("done", "{tmp_path}/done.txt");\nwhile (!File.exists("{tmp_path}/seen.txt")) wait(20);\n'
    )
    host = subprocess.Popen(command_of(home, macro), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for((tmp_path / "done.txt").exists)
    engines = engines_of(host.pid)
    assert len(engines) == 1
    (tmp_path / "seen.txt").touch()
    assert host.wait() == 0
    assert_gone(engines)


def test_headless_by_a_call_of_the_core(batch, embedder, tmp_path):
    path = tmp_path / "headless.csv"
    done = batch(
        'newImage("drawn", "8-bit black", 100, 100, 1);\n'
        "for (y = 0; y < 100; y++) for (x = 0; x < 100; x++) setPixel(x, y, (x * x + 3 * x * y) % 251);\n"
        "Overlay.drawEllipse(20, 30, 40, 60);\nOverlay.show;\n"
        f'said = call("microsnoop.MeasureCommand.macro", "objects=Overlay table=Results csv=[{path}]");\n'
        'print("said:" + said);\nprint("rows:" + nResults);\n'
        'print(call("microsnoop.MeasureCommand.macro", "channels=all") + ":nothing said");\n'
        'print(call("microsnoop.MeasureCommand.macro", "objects=[Active selection]"));\n'
        'call("microsnoop.MeasureCommand.macro", "objects=[ROI Manager]");\n',
        headless=True,
    )
    assert "said:\n" in done.stdout, done.stdout + done.stderr
    assert "rows:1" in done.stdout
    # the default objects are those of the overlay
    assert "\n:nothing said\n" in done.stdout
    assert 'There is no selection in "drawn"' in done.stdout
    alone = "Microsnoop: There is no ROI Manager without a window. Put the outlines into the overlay"
    assert (done.stdout + done.stderr).count(alone) == 1
    assert "Exception" not in done.stdout + done.stderr
    from microsnoop_engine.images.imagej_roi import oval

    y, x = np.mgrid[:100, :100]
    labels = np.zeros((100, 100), np.int32)
    labels[30:90, 20:60] = oval(60, 40)
    frame = pd.read_csv(path)
    found = frame[[name for name in frame if "_Microsnoop_E" in name]]
    want = measuring.measure(embedder, ((x * x + 3 * x * y) % 251).astype(np.uint8), labels, FITTED).features
    np.testing.assert_allclose(found, want, atol=1e-4)


HEADLESS = """
import sys
import numpy as np
import scyjava
scyjava.config.set_java_constraints(fetch="never")
scyjava.config.endpoints.clear()
scyjava.config.add_classpath(sys.argv[1])
scyjava.config.add_option("-Djava.awt.headless=true")
scyjava.start_jvm()
from fiji_bridge import measure, show
imp = scyjava.jimport("ij.IJ").openImage(sys.argv[2])
imp.setRoi(100, 100, 40, 40)
frame = measure(None, imp, [imp.getRoi()], channels=["ER", 1])
frame.to_csv(sys.argv[3], index=False)
table = show(None, frame, table="Cells")
print("table", table.size(), str(table.getLabel(0)), table.getValue("Microsnoop_E003_ER", 0))
for objects in ({}, {"rois": "manager"}):
    try:
        measure(None, imp, **objects)
    except ValueError as error:
        print(error)
imp.setOverlay(scyjava.jimport("ij.gui.Overlay")(imp.getRoi()))
print("overlay", measure(None, imp, channels=["ER", 1]).equals(frame))
"""


def test_headless_from_python(field, embedder, tmp_path):
    path = tmp_path / "frame.csv"
    command = [sys.executable, "-c", HEADLESS, IJ_JAR, str(field[0]), str(path)]
    environment = {name: value for name, value in os.environ.items() if name != "DISPLAY"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, env=environment, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr
    frame = pd.read_csv(path)
    labels = np.zeros((256, 256), np.int32)
    labels[100:140, 100:140] = 1
    want = measuring.measure(embedder, field[1][[1, 0]], labels, FITTED).features
    np.testing.assert_allclose(frame[feature_names("ER", "DNA")], want, atol=1e-4)
    assert re.search(r"table 1 field.tif:0001 -?0\.\d+", done.stdout)
    assert "there are no ROIs in the overlay: add some" in done.stdout
    assert "there is no ROI Manager without a window: put the ROIs into the overlay" in done.stdout
    assert "overlay True" in done.stdout


EARLY = """
import sys
from fiji_bridge import measure, show
import pandas as pd
sys.modules["scyjava"] = None
try:
    measure(None, None)
except ImportError as error:
    print(error)
del sys.modules["scyjava"]
import scyjava
for call in (lambda: measure(None, None), lambda: show(None, pd.DataFrame())):
    try:
        call()
    except ValueError as error:
        print(error, scyjava.jvm_started())
scyjava.config.set_java_constraints(fetch="never")
scyjava.config.endpoints.clear()
scyjava.start_jvm()
try:
    measure(None, None)
except ValueError as error:
    print(error)
"""


def test_python_without_imagej(field):
    """A call before imagej.init() starts no Java, which would spoil the gateway; add_legacy=False lacks the classes."""
    done = subprocess.run(
        [sys.executable, "-c", EARLY], capture_output=True, text=True, timeout=PATIENCE, cwd=REPOSITORY
    )
    extra = "driving ImageJ from Python needs the package 'scyjava': pip install \"microsnoop[fiji]\"\n"
    early = "no ImageJ runs in this Python: start one first, for example ij = imagej.init() False\n"
    without = (
        "this ImageJ lacks the class ij.ImagePlus: start it with the original ImageJ, as imagej.init() does without"
    )
    assert done.stdout == f"{extra}{early * 2}{without} add_legacy=False\n", done.stderr
