"""Start the microsnoop engine in a Python of its own, and exchange JSON lines with it on its standard handles.

Python 3.8, standard library, numpy and psutil only: this file runs inside CellProfiler, and in any other host.
"""

import atexit
import collections
import contextlib
import itertools
import json
import logging
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy
import psutil

LOGGER = logging.getLogger(__name__)

PROTOCOL = 1
START_SECONDS = 180
CLOSE_SECONDS = 10
SHOWN_LINES, SHOWN_WIDTH = 8, 96
"""Size of a message that fits into the dialogs of a host."""
INTERPRETERS = (("bin", "python"), ("Scripts", "python.exe"), ("python.exe",))
ENVIRONMENT_VARIABLE = "MICROSNOOP_PYTHON"
RECORD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "_microsnoop_engine.txt")
"""Written by `microsnoop install cellprofiler`: the interpreter that holds the engine."""

INSTALL_HELP = (
    'Install it in a Python 3.10 or newer: "pip install ." in microsnoop\'s folder, then "microsnoop install '
    'cellprofiler" or "microsnoop install fiji". '
    'Or name that Python (or its "microsnoop" command) in the setting "Engine", '
    "or in the environment variable " + ENVIRONMENT_VARIABLE + "."
)


TELLING = re.compile(r"Error\b|Exception\b|\berror\b|\bFatal\b|[Mm]emory|Killed")
"""Lines of an engine that ended which may say why."""
WORK = {"info": "started", "measure_objects": "measured objects", "measure_image": "measured a whole image"}
"""What the engine does in a task, in the words of a user."""


class EngineError(RuntimeError):
    """Report an engine that is missing, stopped, or refuses a request; the message says what to do."""

    def __init__(self, message):
        shown = shortened(message)
        if shown != message:
            LOGGER.error(message)
        super().__init__(shown)


class EngineCancelled(EngineError):
    """Report a task that the user cancelled."""


def shortened(message):
    """Cut a message where a dialog would get taller than `SHOWN_LINES` lines of `SHOWN_WIDTH` characters.

    Parameters
    ----------
    message : str
        Any number of lines of any length.

    Returns
    -------
    str
    """
    room, lines = SHOWN_LINES, message.splitlines()
    for number, line in enumerate(lines):
        needed = len(textwrap.wrap(line, SHOWN_WIDTH)) or 1
        last = number == len(lines) - 1
        if needed > room - (not last):
            line = line[: SHOWN_WIDTH * max(room - 2, 0)]
            return "\n".join([*lines[:number], *([line + " ..."] if line else []), "(The log has the rest.)"])
        room -= needed
    return message


def explained_exit(code):
    """Say in words how a process ended.

    Parameters
    ----------
    code : int
        Its exit code: -N where signal N ended it; on Windows, errors of the system are 0xC....... .

    Returns
    -------
    str
        Without a full stop.
    """
    if code in (-int(getattr(signal, "SIGKILL", 9)), 137):
        return "it was ended from outside, usually because memory ran out: run fewer workers at once, or close programs"
    if code < 0 or code >= 0xC0000000:
        shown = "0x%X" % code if code > 0 else "signal %d" % -code
        return "it crashed (%s): press Test engine, and install the engine again if it crashes there too" % shown
    if code == 0:
        return "it ended at once, as a program that is not the engine would"
    return "it ended with an error"


def find_engine(setting=""):
    """Find the command that runs the engine.

    Searched in this order: the setting, the environment variable ``MICROSNOOP_PYTHON``, the interpreter recorded by
    ``microsnoop install cellprofiler``, ``microsnoop`` on PATH.

    Parameters
    ----------
    setting : str
        A Python interpreter, a folder that holds one (an environment), or a ``microsnoop`` command; may be blank.

    Returns
    -------
    tuple of str
        The command, to be followed by ``worker``.

    Raises
    ------
    EngineError
        If nothing is found, or the setting or the variable names something that does not exist.
    """
    for origin, name in (
        ('the setting "Engine"', setting.strip()),
        ("the environment variable " + ENVIRONMENT_VARIABLE, os.environ.get(ENVIRONMENT_VARIABLE, "").strip()),
    ):
        if name:
            command = _command(name)
            if command is None:
                raise EngineError(
                    'The microsnoop engine was not found: %s says "%s", which is neither a program nor a folder with a '
                    "Python in it. Correct it, or leave it blank. %s" % (origin, name, INSTALL_HELP)
                )
            return command
    command = _command(_recorded()) or _command("microsnoop")
    if command is None:
        raise EngineError("The microsnoop engine was not found. " + INSTALL_HELP)
    return command


def _recorded():
    try:
        with open(RECORD, encoding="utf-8") as file:
            return file.readline().strip()
    except OSError:
        return ""


def _command(name):
    """The command behind an interpreter, a folder that holds one, or a program; None if there is none."""
    name = os.path.expanduser(name.strip('"'))
    if os.path.isdir(name):
        candidates = [os.path.join(name, *parts) for parts in INTERPRETERS]
        path = next((candidate for candidate in candidates if os.path.isfile(candidate)), None)
    else:
        path = shutil.which(name)
    if path is None:
        return None
    if os.path.basename(path).lower().startswith("python"):
        return (path, "-m", "microsnoop_engine")
    return (path,)


def clean_environment(environ=os.environ):
    """Make an environment for the engine's Python, free of what the host set for its own.

    Parameters
    ----------
    environ : mapping
        The environment to start from.

    Returns
    -------
    dict
    """
    result = dict(environ)
    for name in ("PYTHONPATH", "PYTHONHOME", "__PYVENV_LAUNCHER__"):
        result.pop(name, None)
    result["PYTHONNOUSERSITE"] = "1"
    if hasattr(sys, "frozen"):
        original = result.pop("LD_LIBRARY_PATH_ORIG", None)
        result.pop("LD_LIBRARY_PATH", None)
        if original:
            result["LD_LIBRARY_PATH"] = original
    return result


@contextlib.contextmanager
def _own_libraries_hidden():
    """The bundled application's DLL folder is inherited by child processes on Windows: hide it from the engine."""
    if sys.platform != "win32" or not hasattr(sys, "_MEIPASS"):
        yield
        return
    import ctypes

    ctypes.windll.kernel32.SetDllDirectoryW(None)
    try:
        yield
    finally:
        ctypes.windll.kernel32.SetDllDirectoryW(sys._MEIPASS)


class Engine:
    """Run an engine.

    Parameters
    ----------
    command : sequence of str
        What `find_engine` returned.
    options : sequence of str
        Options of ``microsnoop worker``.
    start_seconds : float
        Time limit for the start; requests have none.
    watch : callable, optional
        See `run`; watches the start.

    Attributes
    ----------
    info : dict
        Outputs of the engine's task ``info``: version, weights, sha256, dimension, device, folder, ...

    Raises
    ------
    EngineError
        If the engine does not start or speaks another protocol.
    """

    def __init__(self, command, options=(), start_seconds=START_SECONDS, watch=None):
        self._command = [*command, "worker", *options]
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._replies = queue.Queue()
        self._last_lines = collections.deque(maxlen=40)
        self.info = {}
        began = time.monotonic()
        try:
            with _own_libraries_hidden():
                self._process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    env=clean_environment(),
                    creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
                )
        except OSError as error:
            raise EngineError(
                "The microsnoop engine could not be started with %s: %s.\n%s" % (command[0], error, INSTALL_HELP)
            ) from error
        self._threads = [
            threading.Thread(target=target, daemon=True) for target in (self._read_replies, self._read_last_lines)
        ]
        for thread in self._threads:
            thread.start()
        try:
            self.info = self.run("info", deadline=began + start_seconds, watch=watch)
            if self.info.get("protocol") != PROTOCOL:
                raise EngineError(
                    "The microsnoop engine %s and this program are of different versions (protocol %s and %d).\n"
                    'Update both: "pip install ." in the folder of microsnoop, then "microsnoop install cellprofiler" '
                    'or "microsnoop install fiji".' % (self.info.get("version"), self.info.get("protocol"), PROTOCOL)
                )
        except BaseException:
            self.close()
            raise
        LOGGER.info("Started the microsnoop engine in %.1f s: %s", time.monotonic() - began, self.describe())

    def describe(self):
        """One line: version, weights, device."""
        info = collections.defaultdict(lambda: "?", {key: str(value) for key, value in self.info.items()})
        return (
            "microsnoop {version}, weights {weights} (sha256 {sha256:.12}), device {device}, {precision} ({backend}), "
            "Python {python}"
        ).format_map(info)

    @property
    def alive(self):
        """Whether the engine can take a request."""
        return self._process.poll() is None and not self._process.stdin.closed

    @property
    def pid(self):
        """Process id of the engine."""
        return self._process.pid

    def run(self, script, deadline=None, watch=None, **inputs):
        """Run one task of the engine.

        Parameters
        ----------
        script : str
            Name of the task.
        deadline : float, optional
            Time of `time.monotonic` at which to give up and stop the engine.
        watch : callable, optional
            Called twice a second and after every batch with the number of crops done and of all crops (0 while
            unknown); cancels the task if it returns True.
        **inputs
            Inputs of the task; arrays travel as files.

        Returns
        -------
        dict
            The outputs, with arrays.

        Raises
        ------
        EngineError
            If the engine refuses the request or is gone.
        EngineCancelled
            If `watch` cancelled the task.
        """
        with self._lock, contextlib.ExitStack() as stack:
            for name, value in inputs.items():
                if isinstance(value, numpy.ndarray):
                    inputs[name] = stack.enter_context(self.shared(value))
            task = str(next(self._numbers))
            self._write(script, {"requestType": "EXECUTE", "task": task, "script": script, "inputs": inputs})
            progress, cancelled = (0, 0), False
            while True:
                if watch is not None and not cancelled and watch(*progress):
                    cancelled = True
                    self._cancel(script, task)
                reply = self._next_reply(script, deadline)
                if reply is None or reply.get("task") != task:
                    continue
                kind = reply.get("responseType")
                if kind == "UPDATE":
                    progress = reply.get("current", 0), reply.get("maximum", 0)
                elif kind == "FAILURE":
                    raise EngineError(self._refusal(script, reply.get("error")))
                elif kind in ("COMPLETION", "CANCELATION"):
                    outputs = reply.get("outputs", {})
                    received = {name: self._received(script, value) for name, value in outputs.items()}
                    if cancelled:
                        raise EngineCancelled("Cancelled.")
                    return received

    def _write(self, script, request):
        """Send a request."""
        try:
            self._process.stdin.write(json.dumps(request).encode("utf-8") + b"\n")
            self._process.stdin.flush()
        except (OSError, ValueError) as error:
            raise self._gone(script) from error

    def _cancel(self, script, task):
        """Ask the engine to stop a task at its next batch; an engine that has not started is ended."""
        if not self.info:
            self.close(patience=0)
            raise EngineCancelled("Cancelled.")
        self._write(script, {"requestType": "CANCEL", "task": task})

    @staticmethod
    def _refusal(script, error):
        if script == "info":
            return "The microsnoop engine cannot work with these settings:\n%s" % error
        return "The microsnoop engine refused a request (%s):\n%s" % (script.replace("_", " "), error)

    @contextlib.contextmanager
    def shared(self, array):
        """Write an array once, as an input of several requests.

        Parameters
        ----------
        array : numpy.ndarray
            The array.

        Yields
        ------
        dict
            To be passed to `run` in place of the array.
        """
        path = os.path.join(self.info["folder"], "host-%d-%d.npy" % (os.getpid(), next(self._numbers)))
        try:
            numpy.save(path, array, allow_pickle=False)
            yield {"npy": path}
        except FileNotFoundError as error:
            if os.path.isdir(self.info["folder"]):
                raise
            raise self._gone("an array") from error
        finally:
            with contextlib.suppress(OSError):
                os.remove(path)

    def close(self, patience=CLOSE_SECONDS):
        """End the engine: close its standard input, and kill it if it does not end.

        The folder of an engine that was killed is removed.

        Parameters
        ----------
        patience : float
            Seconds to wait for it.
        """
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for thread in self._threads:
            thread.join(CLOSE_SECONDS)
        self._remove_folder()

    def _remove_folder(self):
        """Remove what an engine that was killed, even an idle one, has left."""
        if "folder" in self.info:
            shutil.rmtree(self.info["folder"], ignore_errors=True)

    def _received(self, script, value):
        if not (isinstance(value, dict) and set(value) == {"npy"}):
            return value
        try:
            array = numpy.load(value["npy"], allow_pickle=False)
            os.remove(value["npy"])
        except FileNotFoundError as error:
            raise self._gone(script) from error
        return array

    def _next_reply(self, script, deadline):
        """Wait half a second for a reply; None if there is none yet."""
        try:
            reply = self._replies.get(timeout=0.5)
        except queue.Empty:
            if not self.alive:
                raise self._gone(script) from None
            if deadline is not None and time.monotonic() > deadline:
                self.close(patience=0)
                raise self._gone(script, "it did not answer in time") from None
            return None
        if reply is None:
            raise self._gone(script)
        return reply

    def _gone(self, script, cause=None):
        """Make the error of an engine that is gone: the cause first, everything else into the log."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(CLOSE_SECONDS)
        self.close()
        code, lines = self._process.returncode, [line for line in self._last_lines if line.strip()]
        LOGGER.error("The engine ended with exit code %s. It was run with %s", code, self._shown())
        for line in lines:
            LOGGER.error("engine: %s", line)
        telling = [line for line in lines if TELLING.search(line)] or lines
        last = telling[-1].strip()[:300] if telling else ""
        message = "The microsnoop engine stopped while it %s: %s." % (
            WORK.get(script, "worked"),
            cause or explained_exit(code),
        )
        if last:
            message += "\nIts last words: %s" % last
        if not self.info:
            message += "\n%s" % INSTALL_HELP
        return EngineError(message)

    def _shown(self):
        return subprocess.list2cmdline(self._command)

    def _read_replies(self):
        with self._process.stdout as stdout:
            for line in stdout:
                try:
                    reply = json.loads(line.decode("utf-8"))
                except ValueError:
                    reply = None
                if isinstance(reply, dict):
                    self._replies.put(reply)
                else:
                    self._last_lines.append(line.decode("utf-8", "replace").rstrip())
        self._replies.put(None)
        self._remove_folder()

    def _read_last_lines(self):
        with self._process.stderr as stderr:
            for line in stderr:
                text = line.decode("utf-8", "replace").rstrip()
                self._last_lines.append(text)
                LOGGER.debug("engine: %s", text)


def analysis_workers():
    """Count the analysis workers of CellProfiler that this process is one of; 0 elsewhere.

    CellProfiler starts all of them at once, with the address of the analysis on their command lines.
    """
    try:
        address = sys.argv[sys.argv.index("--work-announce") + 1]
        return sum(address in process.cmdline() for process in psutil.Process().parent().children())
    except (ValueError, IndexError, AttributeError, psutil.Error):
        return 0


def thread_options():
    """Choose options of ``microsnoop worker`` that share the cores among several analysis workers."""
    workers = analysis_workers()
    if workers < 2:
        return []
    cores = psutil.cpu_count(logical=False) or psutil.cpu_count() or 1
    return ["--threads", str(max(1, cores // workers))]


_engines = {}
_engines_lock = threading.Lock()


def get_engine(command, options=(), watch=None):
    """Return the engine of this process for a command and its options; start it if it is not running.

    Parameters
    ----------
    command, options : sequence of str
        See `Engine`.
    watch : callable, optional
        See `Engine.run`; watches the start.

    Returns
    -------
    Engine
    """
    key = (tuple(command), tuple(options))
    with _engines_lock:
        engine = _engines.get(key)
        if engine is None or not engine.alive:
            if engine is not None:
                _engines.pop(key).close()
            engine = _engines[key] = Engine(*key, watch=watch)
        return engine


def close_engines(keep=()):
    """End the engines of this process.

    Parameters
    ----------
    keep : collection of tuple
        Commands and options, ``(command, options)``, of engines that are still needed.
    """
    with _engines_lock:
        for key in [key for key in _engines if key not in keep]:
            _engines.pop(key).close()


atexit.register(close_engines)
