"""Drive a wxPython window from a thread beside its own: no mouse, no window manager.

Message boxes are noted in `boxes` and answered; what fails on the main thread is noted in `errors`.
"""

import os
import threading
import time
import traceback

import wx
from PIL import ImageGrab
from waiting import PATIENCE

boxes = []
errors = []


def answer_box(message, caption="", *arguments, **options):
    """Note a message box, and press *OK*."""
    boxes.append([caption, message])
    return wx.OK


def answer_dialog(dialog):
    """Note a message dialog, and press *Cancel*."""
    boxes.append([dialog.GetMessage(), dialog.GetExtendedMessage()])
    return wx.ID_CANCEL


wx.MessageBox = answer_box
wx.MessageDialog.ShowModal = answer_dialog


def on_main_thread(function):
    """Let the main thread do something, and return what it returned."""
    done, out = threading.Event(), []

    def call():
        try:
            out.append(function())
        except BaseException:  # noqa: BLE001 the main thread goes on
            errors.append(traceback.format_exc())
        done.set()

    wx.CallAfter(call)
    if not done.wait(PATIENCE):
        raise RuntimeError("the window did not answer")
    return out[0] if out else None


def wait_for(condition, what):
    """Wait until something is true, as seen by the main thread."""
    deadline = time.monotonic() + PATIENCE
    while not (found := on_main_thread(condition)):
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited in vain for {what}")
        time.sleep(0.1)
    return found


def walk(window):
    """All windows inside a window."""
    yield window
    for child in window.GetChildren():
        yield from walk(child)


def shown(kind, inside):
    """Widgets of a kind that can be seen, from top to bottom."""
    found = [w for w in walk(inside) if isinstance(w, kind) and w.IsShownOnScreen()]
    return sorted(found, key=lambda w: w.GetScreenPosition().y)


def press(button):
    """Press a button."""
    event = wx.CommandEvent(wx.wxEVT_BUTTON, button.GetId())
    event.SetEventObject(button)
    button.GetEventHandler().ProcessEvent(event)


def picture(window, path):
    """Save what the screen shows of a window."""
    on_main_thread(window.Raise)
    time.sleep(0.5)
    box = on_main_thread(window.GetScreenRect)
    area = (box.x, box.y, box.x + box.width, box.y + box.height)
    ImageGrab.grab(area, xdisplay=os.environ["DISPLAY"]).save(path)


def press_labeled(label, inside):
    """Press the last button with a label that can be seen."""
    press([b for b in shown(wx.Button, inside) if b.GetLabel() == label][-1])
