"""Drive CellProfiler's real window through one session and write down what was seen: no mouse, no window manager.

    xvfb-run -a python cellprofiler_window.py PIPELINE IMAGES FOLDER OLD_PIPELINES [STEP ...]

By default all steps. FOLDER receives seen.json, a dictionary of observations, and the pictures. The main thread belongs
to the window: this file works in a thread of its own, and asks the main thread to do things (wx_window.py).
"""

import json
import os
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

import numpy
import psutil
import wx
from cellprofiler_core.setting import ValidationError
from readable_figures import unreadable
from waiting import PATIENCE
from wx_window import boxes, errors, on_main_thread, picture, press_labeled, shown, wait_for, walk

PIPELINE, IMAGES, FOLDER, OLD = (Path(argument).absolute() for argument in sys.argv[1:5])
WANTED = sys.argv[5:]
MODULE = "MeasureMicrosnoopFeatures"
seen = {"errors": errors}


def engines():
    """Engine processes of CellProfiler and its workers."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if "microsnoop_engine" in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def folders():
    """Folders of engines."""
    return sorted(path.name for path in Path(tempfile.gettempdir()).glob("microsnoop-worker-*"))


def gone(what):
    """What is left of something after some time in which it may go."""
    deadline = time.monotonic() + PATIENCE
    while (left := what()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


def displays():
    """Windows of the module that are open."""
    return [w for w in wx.GetTopLevelWindows() if w.IsShown() and w.GetTitle().startswith(MODULE + " #")]


class Session:
    """The window, its pipeline and what is asked of it."""

    def __init__(self, frame):
        self.frame = frame
        self.controller = frame.pipeline_controller

    @property
    def module(self):
        """The module in the pipeline."""
        return next(m for m in self.frame.pipeline.modules() if m.module_name == MODULE)

    def select(self):
        """Show the module's settings."""
        number = self.module.module_num
        on_main_thread(lambda: self.frame.pipeline_list_view.select_one_module(number))
        view = self.controller._PipelineController__module_view
        wait_for(lambda: view.get_current_module() is self.module, "the settings")

    def change(self, setting, value):
        """Change a setting of the module as its control does."""
        self.select()
        view = self.controller._PipelineController__module_view
        on_main_thread(lambda: view.on_value_change(setting, None, value, wx.CommandEvent()))

    def step(self):
        """Run the module in test mode; the display that it opened."""
        lists = self.frame.pipeline_list_view
        on_main_thread(lambda: lists.set_current_debug_module(self.module))
        return on_main_thread(lambda: self.controller.do_step(self.module))


def step_window_up(session):
    seen["modules"] = [module.module_name for module in session.frame.pipeline.modules()]
    on_main_thread(session.controller.open_add_modules)
    search = next(w for w in wx.GetTopLevelWindows() if type(w).__name__ == "AddModuleFrame")
    on_main_thread(lambda: search.search_text.SetValue("snoop"))
    lists = [w for w in walk(search) if isinstance(w, wx.ListBox)]
    seen["found in Add modules"] = sorted(text for box in lists for text in on_main_thread(box.GetStrings))
    on_main_thread(search.Hide)
    seen["warnings"] = {}
    for module in session.frame.pipeline.modules():
        try:
            module.test_valid(session.frame.pipeline)
            module.test_module_warnings(session.frame.pipeline)
        except ValidationError as error:
            seen["warnings"][f"{module.module_num} {module.module_name}"] = str(error)


def step_settings(session):
    session.select()
    on_main_thread(lambda: session.frame.SetSize(1150, wx.GetDisplaySize().height))
    time.sleep(1)
    picture(session.frame, FOLDER / "settings.png")
    seen["labels"] = on_main_thread(lambda: [w.GetLabel() for w in shown(wx.StaticText, session.frame)])
    seen["buttons"] = on_main_thread(lambda: [w.GetLabel() for w in shown(wx.Button, session.frame)])
    before = len(session.module.object_sets)
    on_main_thread(lambda: press_labeled("Add another object set", session.frame))
    added = session.module.object_sets[-1]
    session.change(added.name, "Cytoplasm")
    seen["suggested for Cytoplasm"] = [added.crop.value, added.rescale_constant.value]
    time.sleep(1)
    on_main_thread(lambda: press_labeled("Remove this object set", session.frame))
    seen["object sets"] = [before, len(session.module.object_sets)]


def step_test_engine(session):
    """Press the button, and watch whether the window shows that it is busy, and answers meanwhile."""
    import _microsnoop_window

    _microsnoop_window.PATIENCE = 0
    session.select()
    dialogs, beats = [], []
    watching = True

    def watch():
        while watching:
            dialogs.extend(type(w).__name__ for w in wx.GetTopLevelWindows() if isinstance(w, wx.ProgressDialog))
            wx.CallAfter(beats.append, time.monotonic())
            time.sleep(0.1)

    watcher = threading.Thread(target=watch)
    watcher.start()
    began = time.monotonic()
    on_main_thread(lambda: press_labeled("Test engine", session.frame))
    took = time.monotonic() - began
    watching = False
    watcher.join()
    during = [began, *(beat for beat in beats if began < beat < began + took), began + took]
    seen["Test engine"] = boxes[-1]
    seen["Test engine, busy sign"] = bool(dialogs)
    seen["Test engine, longest silence as a part of its time"] = max(numpy.diff(during)) / took
    seen["after Test engine"] = [gone(engines), gone(folders)]


def step_browse(session):
    session.select()
    engine, path = session.module.engine_path, str(FOLDER)
    for label, kind in (("Choose its folder...", wx.DirDialog), ("Choose its program...", wx.FileDialog)):
        title = []

        def answer(dialog, title=title):
            title.append(dialog.GetMessage())
            return wx.ID_OK

        originals, kind.ShowModal, kind.GetPath = (kind.ShowModal, kind.GetPath), answer, lambda dialog: path
        on_main_thread(lambda label=label: press_labeled(label, session.frame))
        kind.ShowModal, kind.GetPath = originals
        seen[label] = [title, engine.value]
    session.change(engine, "")


def step_test_mode(session):
    session.select()
    session.module.show_window = True
    on_main_thread(lambda: session.controller.on_debug_toggle(wx.CommandEvent()))
    on_main_thread(lambda: session.controller.on_debug_continue(wx.CommandEvent()))
    wait_for(displays, "the module's display")
    display = displays()[0]
    time.sleep(0.5)
    seen["display"] = [display.GetTitle(), [axes.get_title() for axes in display.figure.axes]]
    seen["display, size"] = list(display.figure.canvas.get_width_height())
    seen["display, unreadable"] = on_main_thread(lambda: unreadable(display.figure))
    picture(display, FOLDER / "display.png")
    first = engines()
    session.step()
    seen["engines in test mode"] = [first, engines()]
    session.change(session.module.device, "cpu")
    session.step()
    seen["engines after Device changed"] = engines()
    on_main_thread(lambda: press_labeled("Suggest sizes", session.frame))
    seen["Suggest sizes"] = boxes[-1]


def step_cancel(session):
    """Cancel a long measurement by the button of the dialog."""
    module = session.module
    session.change(module.weights, "base")
    texts, pressed = [], []

    def cancel():
        deadline = time.monotonic() + PATIENCE
        while not pressed and time.monotonic() < deadline:
            for dialog in [w for w in wx.GetTopLevelWindows() if isinstance(w, wx.ProgressDialog)]:
                text = dialog.GetMessage()
                texts.append(text)
                buttons = [w for w in walk(dialog) if isinstance(w, wx.Button) and w.GetId() == wx.ID_CANCEL]
                if "Measuring" in text and buttons:
                    event = wx.CommandEvent(wx.wxEVT_BUTTON, wx.ID_CANCEL)
                    event.SetEventObject(buttons[0])
                    wx.PostEvent(buttons[0], event)
                    pressed.append(text)
            time.sleep(0.05)

    canceller = threading.Thread(target=cancel)
    canceller.start()
    count = len(boxes)
    session.step()
    canceller.join()
    seen["display after Cancel"] = [text.get_text() for axes in displays()[0].figure.axes for text in axes.texts]
    seen["in test mode after Cancel"] = session.controller.is_in_debug_mode()
    seen["cancel pressed at"] = pressed
    seen["progress"] = sorted(set(texts))
    seen["boxes after Cancel"] = boxes[count:]
    seen["engines after Cancel"] = engines()
    session.change(module.weights, "fast")
    seen["step after Cancel"] = session.step()
    seen["engines after Weights changed back"] = engines()


def step_killed_engine(session):
    (pid,) = engines()
    seen["killed"] = pid
    psutil.Process(pid).kill()
    seen["after kill of an idle engine"] = gone(folders)
    seen["step after kill"] = session.step()


def step_refused(session):
    """Settings with which no engine starts: what the window says. *Cancel* ends test mode."""
    session.change(session.module.weights, "no-such-weights")
    count = len(boxes)
    on_main_thread(lambda: session.controller.on_debug_toggle(wx.CommandEvent()))
    on_main_thread(lambda: session.controller.on_debug_continue(wx.CommandEvent()))
    seen["refused in test mode"] = boxes[count:]
    session.change(session.module.weights, "fast")


def step_exit_test_mode(session):
    seen["before Exit Test Mode"] = [len(engines()), len(folders())]
    on_main_thread(lambda: session.controller.on_debug_toggle(wx.CommandEvent()))
    seen["after Exit Test Mode"] = [gone(engines), gone(folders)]
    for display in displays():
        on_main_thread(display.Close)


def step_analysis(session):
    controller = session.controller
    count = len(boxes)
    on_main_thread(controller.do_analyze_images)
    most = 0
    deadline = time.monotonic() + PATIENCE
    while on_main_thread(controller.is_running) and time.monotonic() < deadline:
        most = max(most, len(engines()))
        time.sleep(0.2)
    seen["analysis, engines at once"] = most
    seen["analysis, displays"] = [[axes.get_title() for axes in w.figure.axes] for w in displays()]
    seen["analysis, files"] = sorted(path.name for path in (FOLDER / "out").iterdir())
    seen["analysis, boxes"] = boxes[count:]
    seen["after the analysis"] = [gone(engines), gone(folders)]


def step_missing_engine(session):
    """What an analysis says when the engine is not there."""
    session.change(session.module.engine_path, "/nowhere/engine")
    count = len(boxes)
    on_main_thread(session.controller.do_analyze_images)
    seen["missing engine"] = boxes[count:]
    session.change(session.module.engine_path, "")


def step_project(session):
    def values():
        return [setting.unicode_value for setting in session.module.settings()]

    path, before = str(FOLDER / "project.cpproj"), on_main_thread(values)
    on_main_thread(lambda: session.controller.do_save_workspace(path))
    on_main_thread(session.frame.pipeline.clear)
    on_main_thread(lambda: session.controller.do_open_workspace(path))
    seen["project"] = [before, on_main_thread(values)]


def step_old_pipelines(session):
    seen["old"] = {}
    for path in sorted(OLD.glob("*.cppipe")):
        count = len(boxes)
        on_main_thread(lambda path=path: session.controller.do_load_pipeline(str(path)))
        module = session.module
        sets = [[g.name.value, g.crop.value, g.rescale_constant.value, g.diameter.value] for g in module.object_sets]
        seen["old"][path.stem] = {"scale": module.scale.value, "sets": sets, "boxes": boxes[count:]}
        session.select()


def step_without_the_plugin(session):
    """What CellProfiler says of a pipeline whose module it does not have."""
    path = FOLDER / "unknown.cppipe"
    path.write_text(PIPELINE.read_text().replace(f"{MODULE}:[", "MeasureSomethingElse:["))
    count = len(boxes)
    on_main_thread(lambda: session.controller.do_load_pipeline(str(path)))
    seen["unknown module"] = boxes[count:]
    seen["modules without the plugin"] = [module.module_name for module in session.frame.pipeline.modules()]


STEPS = [
    step_window_up,
    step_settings,
    step_test_engine,
    step_browse,
    step_test_mode,
    step_cancel,
    step_killed_engine,
    step_exit_test_mode,
    step_refused,
    step_analysis,
    step_missing_engine,
    step_project,
    step_old_pipelines,
    step_without_the_plugin,
]


def find_window():
    """CellProfiler's window, once it has read the pipeline."""
    for window in wx.GetTopLevelWindows():
        if type(window).__name__ == "CPFrame" and window.pipeline.modules():
            return window
    return None


def drive():
    """Go through all steps; end CellProfiler."""
    began = time.monotonic()
    try:
        while not (wx.GetApp() and wx.GetApp().IsMainLoopRunning()):
            time.sleep(0.2)
        session = Session(wait_for(find_window, "the window"))
        wait_for(session.frame.IsShown, "the window on the screen")
        seen["seconds"] = {"start": time.monotonic() - began}
        chosen = [step for step in STEPS if step.__name__ in WANTED] or STEPS
        for step in chosen:
            began = time.monotonic()
            try:
                step(session)
            except Exception:  # noqa: BLE001 the other steps are worth seeing
                errors.append(f"{step.__name__}\n{traceback.format_exc()}")
            seen["seconds"][step.__name__] = time.monotonic() - began
        seen["in the end"] = [gone(engines), gone(folders)]
    except Exception:  # noqa: BLE001 the tests show it
        errors.append(traceback.format_exc())
    (FOLDER / "seen.json").write_text(json.dumps(seen, indent=1, default=str))
    os._exit(0)


if __name__ == "__main__":
    (FOLDER / "out").mkdir(parents=True, exist_ok=True)
    sys.argv = ["cellprofiler", "-p", str(PIPELINE), "-i", str(IMAGES), "-o", str(FOLDER / "out")]
    threading.Thread(target=drive, daemon=True).start()
    import cellprofiler.__main__

    cellprofiler.__main__.main()
