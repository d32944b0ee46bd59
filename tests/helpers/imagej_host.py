"""Run ImageJ (Debian's package), and look into its windows from Python (JPype)."""

import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from engine_processes import engines_of
from waiting import wait_for as wait_for

REPOSITORY = Path(__file__).resolve().parents[2]
IJ_JAR = os.environ.get("IJ_JAR", "/usr/share/java/ij.jar")
JARS = REPOSITORY / ".fiji-jars"
"""Jars of Maven Central, where scripts/make-fiji-env.sh could get them."""
NEW_IJ_JAR = IJ_JAR if "IJ_JAR" in os.environ else str(next(JARS.glob("ij-[0-9]*.jar"), IJ_JAR))
"""ImageJ as Fiji has it, for the tests with windows and from Python; where it is missing, Debian's, which is older."""
TABLE = "Microsnoop Results"
CHANNELS = ["DNA", "ER", "Actin"]


def maven_jars(*names):
    """Paths of downloaded jars; the test is skipped where there are none."""
    paths = [next(JARS.glob(f"{name}-[0-9]*.jar"), None) for name in names]
    if None in paths:
        pytest.skip("the jars of Maven Central are missing: run scripts/make-fiji-env.sh where mvn reaches it")
    return [str(path) for path in paths]


def java_options(home):
    """What tells an ImageJ where its plugins and preferences are."""
    return [f"-Dplugins.dir={home / 'ImageJ'}", f"-Duser.home={home}", "-Xmx1g"]


def command_of(home, macro, argument="", headless=False):
    """The command that runs a macro file in ImageJ."""
    options = [*java_options(home), *(["-Djava.awt.headless=true"] if headless else [])]
    return ["java", *options, "-jar", IJ_JAR, "-ijpath", str(home / "ImageJ"), "-batch", str(macro), str(argument)]


def save_hyperstack(path, array, axes, names=None):
    """Write an array as ImageJ does."""
    metadata = {"axes": axes, **({"Labels": names} if names else {})}
    tifffile.imwrite(path, array, imagej=True, metadata=metadata)


def own_workers():
    """Engine processes of the ImageJ in this process."""
    return engines_of(os.getpid())


def engine_stub(folder, body):
    """A program that stands for an engine that misbehaves."""
    path = folder / f"stub-{time.monotonic_ns()}"
    path.write_text(f"#!{sys.executable}\n{body}\n")
    path.chmod(0o755)
    return str(path)


def window(java, title):
    """The open window with this title, if any."""
    for found in java.jimport("java.awt.Window").getWindows():
        if found.isShowing() and hasattr(found, "getTitle") and str(found.getTitle()) == title:
            return found
    return None


def components(java, container, kind):
    """All components of a kind in a window, at any depth."""
    found = []
    for component in container.getComponents():
        if isinstance(component, java.jimport(kind)):
            found.append(component)
        if isinstance(component, java.jimport("java.awt.Container")):
            found += components(java, component, kind)
    return found


def press(java, dialog, label):
    """Press a button of a window."""
    event = java.jimport("java.awt.event.ActionEvent")
    button = next(b for b in components(java, dialog, "java.awt.Button") if str(b.getLabel()).strip() == label)
    for listener in button.getActionListeners():
        listener.actionPerformed(event(button, 1001, label))


def results(java):
    """The plugin's table; an empty one where there is none."""
    tables = java.jimport("ij.measure.ResultsTable")
    return tables.getResultsTable(TABLE) or tables()


def numbers(table, columns):
    """Columns of a results table as an array."""
    return np.array([[table.getValue(name, row) for name in columns] for row in range(int(table.size()))])


def feature_names(*channels):
    """Names of the columns of channels."""
    return [f"Microsnoop_E{index:03d}_{channel}" for channel in channels for index in range(256)]
