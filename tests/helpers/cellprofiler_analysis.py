"""Run a pipeline as CellProfiler's window does: in analysis workers, but without the window.

    python cellprofiler_analysis.py PIPELINE PLUGINS WORKERS -i INPUT -o OUTPUT

A line on standard input cancels the analysis.
"""
# ruff: noqa: E402

import argparse
import logging
import sys
import threading

parser = argparse.ArgumentParser()
parser.add_argument("pipeline")
parser.add_argument("plugins")
parser.add_argument("workers", type=int)
parser.add_argument("-i", dest="images")
parser.add_argument("-o", dest="out")
options = parser.parse_args()

from cellprofiler_core import preferences

preferences.set_headless()
preferences.set_plugin_directory(options.plugins, globally=False)
preferences.set_default_image_directory(options.images)
preferences.set_default_output_directory(options.out)

import cellprofiler_core.utilities.java
from cellprofiler_core.analysis._analysis import Analysis
from cellprofiler_core.analysis.event import Finished
from cellprofiler_core.analysis.reply import Ack, ExceptionPleaseDebug, Interaction
from cellprofiler_core.analysis.request import Display, DisplayPostGroup, ExceptionReport
from cellprofiler_core.analysis.request import Interaction as InteractionRequest
from cellprofiler_core.constants.worker import ED_STOP
from cellprofiler_core.image import ImageSetList
from cellprofiler_core.measurement import Measurements
from cellprofiler_core.pipeline import Pipeline
from cellprofiler_core.utilities.zmq import join_to_the_boundary
from cellprofiler_core.workspace import Workspace

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
problems = []


def on_event(event):
    """What the window does (cellprofiler.gui.pipelinecontroller), without asking anyone."""
    if isinstance(event, InteractionRequest):
        arguments = [getattr(event, f"arg_{index}") for index in range(event.num_args)]
        named = {name: getattr(event, f"kwarg_{name}") for name in event.kwargs_names}
        module = pipeline.modules()[event.module_num - 1]
        event.reply(Interaction(result=module.handle_interaction(*arguments, **named)))
    elif isinstance(event, ExceptionReport):
        problems.append(event.exc_message)
        event.reply(ExceptionPleaseDebug(ED_STOP))
        threading.Thread(target=analysis.cancel).start()
    elif isinstance(event, (Display, DisplayPostGroup)):
        event.reply(Ack())
    elif isinstance(event, Finished):
        finished.set()


finished = threading.Event()
cellprofiler_core.utilities.java.start_java()
pipeline = Pipeline()
pipeline.load(options.pipeline)
measurements = Measurements()
if not pipeline.prepare_run(Workspace(pipeline, None, None, None, measurements, ImageSetList())):
    sys.exit("prepare_run failed")
analysis = Analysis(pipeline, initial_measurements=measurements)
analysis.start(on_event, num_workers=options.workers)
runner = analysis.runner
threading.Thread(target=lambda: sys.stdin.readline() and analysis.cancel(), daemon=True).start()
finished.wait()
runner.interface_thread.join()
measurements.close()
join_to_the_boundary()
cellprofiler_core.utilities.java.stop_java()
if problems:
    sys.exit("\n".join(problems))
