"""Talk to the user in CellProfiler's window: messages, progress with *Cancel*, file dialogs; without it, in the log.

Python 3.8; no packages that CellProfiler lacks: this file runs inside it.
"""

import concurrent.futures
import logging
import time

from _microsnoop_client import shortened
from cellprofiler_core.constants.workspace import DISPOSITION_SKIP
from cellprofiler_core.pipeline import EndRun
from cellprofiler_core.preferences import get_headless

LOGGER = logging.getLogger(__name__)
PATIENCE = 0.7
"""Seconds after which a dialog shows the progress."""


def has_window():
    """Whether this is the main thread of a CellProfiler with a window."""
    if get_headless():
        return False
    import wx

    return wx.GetApp() is not None and wx.IsMainThread()


def tell(text, title="Microsnoop"):
    """Show a message, and note it in the log.

    Parameters
    ----------
    text, title : str
        The message, and the title of its window.
    """
    LOGGER.info(text)
    if has_window():
        import wx

        wx.MessageBox(shortened(text), title)


def with_progress(function, text):
    """Run a function while the window answers and shows how far it is.

    Parameters
    ----------
    function : callable
        Takes the `watch` of the engine's client (``None`` without a window). It runs in a thread of its own.
    text : str
        What is being done.

    Returns
    -------
    object
        What the function returned.
    """
    if not has_window():
        return function(None)
    import wx

    state = {"done": 0, "total": 0, "cancelled": False}

    def watch(done, total):
        state.update(done=done, total=total)
        return state["cancelled"]

    began, dialog = time.monotonic(), None
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        future = executor.submit(function, watch)
        try:
            while not future.done():
                time.sleep(0.05)
                if dialog is None and time.monotonic() - began > PATIENCE:
                    style = wx.PD_APP_MODAL | wx.PD_CAN_ABORT | wx.PD_ELAPSED_TIME
                    dialog = wx.ProgressDialog("Microsnoop", text, maximum=100, style=style)
                if dialog is not None:
                    state["cancelled"] |= not _show(dialog, text, state)
                    wx.SafeYield(dialog, True)
        finally:
            if dialog is not None:
                dialog.Destroy()
    return future.result()


def _show(dialog, text, state):
    """Bring a dialog up to date; False if the user pressed *Cancel*."""
    if state["cancelled"]:
        dialog.Pulse("Cancelling ...")
        return False
    if state["total"]:
        done = min(99, 100 * state["done"] // state["total"])
        return dialog.Update(done, "%s\n%d of %d crops" % (text, state["done"], state["total"]))[0]
    return dialog.Pulse(text)[0]


def choose_file(title, wildcard="All files (*.*)|*.*"):
    """Ask for a file; None if the user cancels or there is no window."""
    if not has_window():
        return None
    import wx

    with wx.FileDialog(None, title, wildcard=wildcard, style=wx.FD_OPEN | wx.FD_FILE_MUST_EXIST) as dialog:
        return dialog.GetPath() if dialog.ShowModal() == wx.ID_OK else None


def choose_folder(title):
    """Ask for a folder; None if the user cancels or there is no window."""
    if not has_window():
        return None
    import wx

    with wx.DirDialog(None, title, style=wx.DD_DEFAULT_STYLE | wx.DD_DIR_MUST_EXIST) as dialog:
        return dialog.GetPath() if dialog.ShowModal() == wx.ID_OK else None


def cancel_step(workspace):
    """Stop at a module in test mode without an error.

    CellProfiler 4.2 has a handler for this that fails; the rest of the image set is skipped instead.

    Parameters
    ----------
    workspace : cellprofiler_core.workspace.Workspace
        The workspace of the step.
    """
    try:
        workspace.cancel_request()
    except (IndexError, ValueError):
        workspace.disposition = DISPOSITION_SKIP


def at_end_of_test_mode(pipeline, function):
    """Call a function whenever test mode ends, which calls no module's `post_run`; once per pipeline.

    Parameters
    ----------
    pipeline : cellprofiler_core.pipeline.Pipeline
        The pipeline that is tested.
    function : callable
        Takes nothing.
    """
    if getattr(pipeline, "_microsnoop_listens", False):
        return
    pipeline._microsnoop_listens = True
    pipeline.add_listener(lambda _, event: function() if isinstance(event, EndRun) else None)
