"""CellProfiler's real window on a virtual screen: what one session (tests/helpers/cellprofiler_window.py) has seen."""

import textwrap

import numpy as np
import pytest
from cellprofiler_session import SETS
from PIL import Image

MODULE = "MeasureMicrosnoopFeatures"


def lines_of(text):
    """Lines that a message takes in a dialog."""
    return sum(max(1, len(textwrap.wrap(line, 96))) for line in text.splitlines())


def test_all_steps_went_through(seen, session_folder):
    assert seen["errors"] == [], (session_folder / "log.txt").read_text()[-3000:]


def test_the_window_opens_with_the_module_that_was_installed(seen):
    assert MODULE in seen["modules"]
    assert MODULE in seen["found in Add modules"]
    assert seen["warnings"] == {}


def test_the_settings_say_what_they_are(seen):
    labels = [label.replace("\n", " ") for label in seen["labels"]]
    for count, label in (
        (3, "Select objects to measure"),
        (3, "Size of the box around each object (half its width, in object lengths)"),
        (1, "Network (weights)"),
        (1, "Engine (leave blank to find it)"),
    ):
        assert labels.count(label) == count
    assert {"Test engine", "Choose a weights file...", "Add another object set"} <= set(seen["buttons"])
    assert not [label for label in labels if label in ("Weights", "Rescale constant", "Device", "Engine")]


def test_object_sets_come_with_the_box_that_suits_them_and_go(seen):
    assert seen["suggested for Cytoplasm"] == ["Masked object", 0.6]
    assert seen["object sets"] == [3, 3]
    _, text = seen["Suggest sizes"]
    assert [line.split(":")[0] for line in text.splitlines()] == list(SETS)
    assert "size of the box 2" in text.splitlines()[0]
    assert "size of the box 0.6" in text.splitlines()[1]


def test_the_window_answers_while_the_engine_starts(seen):
    _, text = seen["Test engine"]
    assert text.startswith("The engine works: microsnoop ")
    assert seen["Test engine, busy sign"] is True
    assert seen["Test engine, longest silence as a part of its time"] < 0.5
    assert seen["after Test engine"] == [[], []]


@pytest.mark.parametrize("button", ["Choose its folder...", "Choose its program..."])
def test_browse_buttons_fill_in_the_engine(button, seen, session_folder):
    (title,), value = seen[button]
    assert title.startswith("Choose the ")
    assert value == str(session_folder / "seen")


def test_the_display_can_be_read(seen, session_folder):
    title, titles = seen["display"]
    assert title.startswith(MODULE)
    for name in (*SETS, "Whole images"):
        assert any(text.startswith(name) for text in titles)
    assert seen["display, size"][0] == 640
    assert seen["display, unreadable"] == []
    with Image.open(session_folder / "seen" / "display.png") as picture:
        assert np.unique(np.asarray(picture.convert("L"))).size > 50, "the picture is of an empty window"


def test_test_mode_has_one_engine_which_follows_the_settings_and_ends_with_it(seen):
    first, second = seen["engines in test mode"]
    assert len(first) == 1
    assert first == second
    assert len(seen["engines after Device changed"]) == 1
    assert seen["engines after Device changed"] != first
    assert len(seen["engines after Weights changed back"]) == 1
    assert seen["before Exit Test Mode"] == [1, 1]
    assert seen["after Exit Test Mode"] == [[], []]


def test_a_measurement_is_cancelled_without_an_error(seen):
    assert seen["cancel pressed at"]
    assert "Measuring Nuclei." in seen["progress"]
    assert seen["boxes after Cancel"] == []
    assert seen["display after Cancel"] == ["Cancelled: nothing was measured."]
    assert seen["in test mode after Cancel"] is True
    assert seen["step after Cancel"] is True


def test_an_idle_engine_that_is_killed_leaves_nothing_and_is_replaced(seen):
    assert seen["after kill of an idle engine"] == []
    assert seen["step after kill"] is True


@pytest.mark.parametrize("message", ["refused in test mode", "missing engine"])
def test_messages_fit_into_the_window_and_use_the_words_of_the_user(message, seen):
    ((_, text),) = seen[message]
    assert lines_of(text) <= 14, "8 of ours, and CellProfiler's own"
    assert ("no-such-weights" in text) or ("/nowhere/engine" in text)
    for word in ("could not do", "--device", "exit code", "Traceback"):
        assert word not in text


def test_two_workers_measure_and_leave_nothing(seen):
    assert seen["analysis, engines at once"] == 2
    assert seen["analysis, boxes"] == []
    assert any(text.startswith("Cytoplasm") for titles in seen["analysis, displays"] for text in titles)
    assert {"Nuclei.csv", "Cells.csv", "Cytoplasm.csv", "Image.csv"} <= set(seen["analysis, files"])
    assert seen["after the analysis"] == [[], []]


def test_a_project_is_saved_and_opened_again(seen):
    before, after = seen["project"]
    assert before == after
    assert [name for name in SETS if name in after] == list(SETS)


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_old_pipelines_open(version, seen):
    old = seen["old"][f"version-{version}"]
    assert old["boxes"] == []
    diameter = 25.5 if version == 4 else 40
    assert old["sets"] == [[name, "Masked object", 0.8, diameter] for name in ("Nuclei", "Cells")]


def test_a_pipeline_opens_without_the_plugin_but_for_its_module(seen):
    """What docs/how-to/cellprofiler.md says that CellProfiler does."""
    ((_, text),) = seen["unknown module"]
    assert text.startswith("Error while loading MeasureSomethingElse: Could not find the MeasureSomethingElse module")
    assert MODULE not in seen["modules without the plugin"]
    assert len(seen["modules without the plugin"]) == len(seen["modules"]) - 1


def test_nothing_is_left(seen):
    assert seen["in the end"] == [[], []]
