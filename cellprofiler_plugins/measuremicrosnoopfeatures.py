__doc__ = """\
MeasureMicrosnoopFeatures
=========================

**MeasureMicrosnoopFeatures** measures learned features (embeddings) of
objects, of whole images, or of both: 256 numbers per channel, made by the
Microsnoop network (other weights may make more or fewer).

Where the classical modules (**MeasureObjectSizeShape**,
**MeasureTexture**, ...) measure what somebody thought of in advance, the
network was trained on many kinds of microscopy images to describe what is
there. A single number of the 256 has no name like "area"; taken together
they tell phenotypes apart. Use them as you would use a classical profile:
aggregate, normalize against controls, compare, classify.

|

============ ============ ===============
Supports 2D? Supports 3D? Respects masks?
============ ============ ===============
YES          NO           YES
============ ============ ===============

What do I need as input?
^^^^^^^^^^^^^^^^^^^^^^^^

-  One or more grayscale images of the same size. Each is a channel and is
   measured by itself. Split color images with **ColorToGray** first.
-  To measure objects: one or more sets of objects found in these images,
   for example by **IdentifyPrimaryObjects**. A few pixels more or less of
   outline hardly matter, the object only says where to look.
-  The Microsnoop engine. It needs a Python of its own (3.10 or newer),
   because CellProfiler's cannot hold it. In that Python, once, in the
   folder of microsnoop::

       pip install .
       microsnoop install cellprofiler

   The button *Test engine* shows whether it was found. One engine is
   started by each CellProfiler process that runs this module, and ends
   with it.

What do I get as output?
^^^^^^^^^^^^^^^^^^^^^^^^

256 measurements per image and object set (or whole image). They are
available to the modules that follow, and go into the tables of
**ExportToSpreadsheet** and **ExportToDatabase**.

An object that cannot be measured (no pixels, or an image without any
contrast there) gets *NaN*, never zeros; the log says how many there were.

**ExportToDatabase** and many columns: a SQLite table holds 2000. Choose
*One table per object type* when you measure several object sets, and do
not ask for per-image means there. This module warns when a table would get
too wide.

Measurements made by this module
^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

**Object measurements, image measurements:**

-  *Microsnoop\\_E000\\_<image>* to *Microsnoop\\_E255\\_<image>*: the
   embedding of that image (channel) around the object, or of the whole
   image.

**Experiment measurements:**

-  *Microsnoop\\_Version*, *Microsnoop\\_Weights*,
   *Microsnoop\\_WeightsSHA256*: the engine and the weights that made the
   features. A second module of this kind in the pipeline adds *\\_2* to
   these names.

References
^^^^^^^^^^

-  Xun D, Wang R, Zhang X, Wang Y. (2023) "Microsnoop: a generalizt tool
   for microscopy image representation." *The Innovation* 5(1):100541.
"""

import contextlib
import logging
import time

import _microsnoop_client
import _microsnoop_columns
import _microsnoop_display
import numpy
from _microsnoop_inputs import read_channels, read_labels, typical_diameter
from cellprofiler_core.constants.measurement import COLTYPE_FLOAT, COLTYPE_VARCHAR_FORMAT, EXPERIMENT, IMAGE
from cellprofiler_core.module import Module
from cellprofiler_core.preferences import get_headless
from cellprofiler_core.setting import Divider, ValidationError
from cellprofiler_core.setting.choice import Choice
from cellprofiler_core.setting.do_something import DoSomething
from cellprofiler_core.setting.subscriber import ImageListSubscriber, LabelListSubscriber
from cellprofiler_core.setting.text import Float, Integer, Pathname, Text

LOGGER = logging.getLogger(__name__)

CATEGORY = "Microsnoop"
EXPERIMENT_FEATURES = {"Version": "version", "Weights": "weights", "WeightsSHA256": "sha256"}

S_OBJECTS = "Objects"
S_IMAGE = "Whole image"
S_BOTH = "Both"

CROP_BOX = "Box"
CROP_OBJECT = "Masked object"
CROPS = {CROP_BOX: "box", CROP_OBJECT: "object"}

SCALE_EACH = "Fit every box to the view"
SCALE_DIAMETER = "The same for all, by a typical diameter"
SCALE_NONE = "Leave the pixels as they are"
SCALES = {SCALE_EACH: "each", SCALE_NONE: "none"}

IMAGE_TILE = "Tile"
IMAGE_RESCALE = "Rescale"
IMAGE_MODES = {IMAGE_TILE: "tile", IMAGE_RESCALE: "image"}


class EnginePath(Pathname):
    """A path with a browse button that may be blank."""

    def test_valid(self, pipeline):
        """Whether the path leads to an engine is a warning of the module: a batch may run on another computer."""


class MeasureMicrosnoopFeatures(Module):
    module_name = "MeasureMicrosnoopFeatures"
    category = "Measurement"
    variable_revision_number = 4

    def create_settings(self):
        """Make the settings with their defaults and help."""
        self.images_list = ImageListSubscriber(
            "Select images to measure",
            [],
            doc="""\
Select the grayscale images to measure. Each is a channel: it gives 256
measurements of its own, whatever other images are selected.
""",
        )
        self.scope = Choice(
            "Measure objects, whole images, or both?",
            [S_OBJECTS, S_IMAGE, S_BOTH],
            doc="""\
-  *{objects}:* each object is measured in a box around it.
-  *{image}:* each image is measured as a whole. No segmentation is needed.
-  *{both}:* both of them.
""".format(objects=S_OBJECTS, image=S_IMAGE, both=S_BOTH),
        )
        self.objects_list = LabelListSubscriber(
            "Select objects to measure",
            [],
            doc="""\
*(Used only when objects are measured)*

Select the object sets to measure. Nuclei are usually found best; with a
box of twice their size, the cell around them is measured too.
""",
        )
        self.crop = Choice(
            "What to show the network",
            [CROP_BOX, CROP_OBJECT],
            doc="""\
*(Used only when objects are measured)*

-  *{box}:* everything in the box around the object, neighbors and
   background included. The default, and how the network was trained.
-  *{masked}:* everything outside the object is set to zero, so that
   neighbors cannot leak into the measurement. Choose it for crowded cells
   whose outlines you trust.
""".format(box=CROP_BOX, masked=CROP_OBJECT),
        )
        self.rescale_constant = Float(
            "Rescale constant",
            2.0,
            minval=0.1,
            maxval=20,
            doc="""\
*(Used only when objects are measured)*

How large the box around an object is: **half** its width, in units of the
object's longer side. The default 2.0 suits **nuclei**: the box is four
nuclei wide and takes in the cell around. For **whole cells** choose 0.6: the
box is 1.2 cells wide.
""",
        )
        self.scale = Choice(
            "How to scale the boxes",
            [SCALE_EACH, SCALE_DIAMETER, SCALE_NONE],
            doc="""\
The network knows objects of some size best.

-  *{each}:* every box fills what the network sees, so that how large an
   object is does not count. Keep **MeasureObjectSizeShape** in the pipeline
   for that. The default.
-  *{diameter}:* all boxes (and the tiles of whole images) are scaled by the
   same factor, so that the box around an object of the typical diameter fills
   the view. Large objects stay larger than small ones.
-  *{none}:* the pixels are left as they are.

Tiles of whole images are scaled with *{diameter}* only; a whole image that is
rescaled never is.

Features of different scales cannot be compared: choose one for all images of
a screen.
""".format(each=SCALE_EACH, diameter=SCALE_DIAMETER, none=SCALE_NONE),
        )
        self.diameter = Float(
            "Typical diameter of an object, in pixels",
            40.0,
            minval=1,
            maxval=10000,
            doc="""\
*(Used only with "{diameter}")*

The longer side of a typical object. Run this module once in test mode and
press *Measure the typical diameter* to take it from the objects of that image.
Use the same number for all images that you want to compare.
""".format(diameter=SCALE_DIAMETER),
        )
        self.diameter_button = DoSomething(
            "",
            "Measure the typical diameter",
            self.on_measure_diameter,
            doc="""\
*(Used only with "{diameter}")*

Takes the median of the objects that this module measured last in test mode;
of several object sets, those of the first one.
""".format(diameter=SCALE_DIAMETER),
        )
        self.last_diameters = {}
        self.image_mode = Choice(
            "How to measure whole images",
            [IMAGE_TILE, IMAGE_RESCALE],
            doc="""\
*(Used only when whole images are measured)*

-  *{tile}:* the image is cut into overlapping tiles of 224 x 224 pixels,
   and their embeddings are averaged. Details count. The default.
-  *{rescale}:* the image is scaled down to 224 x 224 pixels. Faster; only
   what is still visible at that size counts.
""".format(tile=IMAGE_TILE, rescale=IMAGE_RESCALE),
        )
        self.divider = Divider()
        self.weights = Text(
            "Weights",
            "fast",
            doc="""\
The network that turns boxes into numbers. Features of different networks
cannot be compared.

-  *fast:* the compact network, the default. It costs about a nineteenth of
   the other one and tells cells apart as well.
-  *base:* the network of the Microsnoop paper, trained on the same images.
-  the path of a weights file of your own (.safetensors).
""",
        )
        self.dimension = Integer(
            "Features per channel",
            256,
            minval=1,
            doc="""\
How many numbers the weights make for each channel: 256 for the weights that
come with the engine. You need not type it: *Test engine* and the start of a
run take it from the weights.
""",
        )
        self.device = Choice(
            "Device",
            ["auto", "cpu", "cuda", "mps"],
            doc="""\
Where the network runs. *auto* takes the graphics card where there is one
(*cuda*: NVIDIA, *mps*: Apple), and the processor otherwise.
""",
        )
        self.engine_path = EnginePath(
            "Engine",
            "",
            doc="""\
Leave blank to let CellProfiler find the engine. Otherwise the Python that
holds it, its environment's folder, or the ``microsnoop`` command. When
blank, these are tried in turn: the environment variable
``MICROSNOOP_PYTHON``, the Python recorded by
``microsnoop install cellprofiler``, and ``microsnoop`` on the PATH.
""",
        )
        self.test_button = DoSomething(
            "",
            "Test engine",
            self.on_test_engine,
            doc="""\
Starts the engine with the settings above, and shows its version, weights
and device, or what is wrong.
""",
        )

    def settings(self):
        """Settings as stored in a pipeline file."""
        return [
            self.images_list,
            self.scope,
            self.objects_list,
            self.crop,
            self.rescale_constant,
            self.scale,
            self.diameter,
            self.image_mode,
            self.weights,
            self.device,
            self.engine_path,
            self.dimension,
        ]

    def visible_settings(self):
        """Settings that matter for the chosen scope."""
        result = [self.images_list, self.scope]
        if self.measures_objects:
            result += [self.objects_list, self.crop, self.rescale_constant]
        result += [self.scale]
        if self.scale == SCALE_DIAMETER:
            result += [self.diameter]
            if self.measures_objects:
                result += [self.diameter_button]
        if self.measures_images:
            result += [self.image_mode]
        result += [self.divider, self.weights, self.dimension, self.device, self.engine_path]
        return [*result, self.test_button]

    def help_settings(self):
        """Settings in the help page."""
        return [*self.settings(), self.diameter_button, self.test_button]

    def upgrade_settings(self, setting_values, variable_revision_number, module_name):
        """Adapt the settings of older versions of this module."""
        if variable_revision_number == 1:
            setting_values = [*setting_values[:5], "No", *setting_values[5:]]
            variable_revision_number = 2
        if variable_revision_number == 2:
            setting_values = [*setting_values, "256"]
            variable_revision_number = 3
        if variable_revision_number == 3:
            scale = SCALE_EACH if setting_values[5] == "Yes" else SCALE_NONE
            setting_values = [*setting_values[:5], scale, "40.0", *setting_values[6:]]
            variable_revision_number = 4
        return setting_values, variable_revision_number

    @property
    def measures_objects(self):
        """Whether objects are measured."""
        return self.scope.value in (S_OBJECTS, S_BOTH)

    @property
    def measures_images(self):
        """Whether whole images are measured."""
        return self.scope.value in (S_IMAGE, S_BOTH)

    @property
    def measured(self):
        """Names of the object sets that get columns, with "Image" for whole images."""
        return (list(self.objects_list.value) if self.measures_objects else []) + (
            [IMAGE] if self.measures_images else []
        )

    @property
    def features(self):
        """Names of the features of a channel, without category and image."""
        return ["E%03d" % index for index in range(self.dimension.value)]

    def feature_names(self):
        """Names of the measurements, channel after channel."""
        features = self.features
        return [f"{CATEGORY}_{feature}_{image}" for image in self.images_list.value for feature in features]

    def experiment_names(self, pipeline):
        """Names of the measurements about the engine, as {name: key of the engine's info}."""
        rank = 1 + sum(
            module.module_name == self.module_name and module.module_num < self.module_num
            for module in pipeline.modules()
        )
        suffix = "" if rank == 1 else f"_{rank}"
        return {f"{CATEGORY}_{feature}{suffix}": key for feature, key in EXPERIMENT_FEATURES.items()}

    def validate_module(self, pipeline):
        """Refuse settings that cannot work."""
        self._validate_names(self.images_list, "image")
        if self.measures_objects:
            self._validate_names(self.objects_list, "object set")
        for other in pipeline.modules():
            if other.module_name != self.module_name or other.module_num >= self.module_num:
                continue
            for image in set(self.images_list.value) & set(other.images_list.value):
                for name in set(self.measured) & set(other.measured):
                    raise ValidationError(
                        f'{name} is already measured in the image "{image}" by module #{other.module_num}: the second '
                        "measurement would overwrite the first. Deselect one of them.",
                        self.images_list,
                    )

    @staticmethod
    def _validate_names(setting, what):
        names = setting.value
        if not names:
            raise ValidationError(f'No {what} is selected in "{setting.text}": select one or more.', setting)
        for name in names:
            if names.count(name) > 1:
                raise ValidationError(
                    f'The {what} "{name}" is selected more than once in "{setting.text}".',
                    setting,
                )

    def validate_module_warnings(self, pipeline):
        """Warn of a missing engine and of exports that cannot hold the columns."""
        try:
            _microsnoop_client.find_engine(self.engine_path.value)
        except _microsnoop_client.EngineError as error:
            raise ValidationError(str(error), self.engine_path) from error
        for export in pipeline.modules():
            if export.module_name == "ExportToDatabase" and export.module_num > self.module_num:
                self._warn_of_columns(export, pipeline)

    def _warn_of_columns(self, export, pipeline):
        problem = _microsnoop_columns.long_name(
            export, self.measured, self.images_list.value, f"{CATEGORY}_{self.features[-1]}"
        ) or _microsnoop_columns.wide_table(export, pipeline.get_measurement_columns(export))
        if problem:
            raise ValidationError(problem, self.images_list)

    def get_measurement_columns(self, pipeline):
        """All measurements that `run` and `prepare_run` write, with their column types."""
        features = self.feature_names()
        columns = [(name, feature, COLTYPE_FLOAT) for name in self.measured for feature in features]
        return columns + [
            (EXPERIMENT, feature, COLTYPE_VARCHAR_FORMAT % 255) for feature in self.experiment_names(pipeline)
        ]

    def get_categories(self, pipeline, object_name):
        """Category of the measurements of an object set, of "Image" or of "Experiment"."""
        return [CATEGORY] if object_name in [*self.measured, EXPERIMENT] else []

    def get_measurements(self, pipeline, object_name, category):
        """Measurements in the category, without the image's name."""
        if category not in self.get_categories(pipeline, object_name):
            return []
        if object_name == EXPERIMENT:
            return [name.split("_", 1)[1] for name in self.experiment_names(pipeline)]
        return self.features

    def get_measurement_images(self, pipeline, object_name, category, measurement):
        """Images in which a measurement is made."""
        if object_name == EXPERIMENT or measurement not in self.get_measurements(pipeline, object_name, category):
            return []
        return list(self.images_list.value)

    def engine(self):
        """The engine of this process, started when it is not running."""
        options = ["--device", self.device.value, *_microsnoop_client.thread_options()]
        if self.weights.value.strip():
            options += ["--model", self.weights.value.strip()]
        return _microsnoop_client.get_engine(_microsnoop_client.find_engine(self.engine_path.value), options)

    def on_measure_diameter(self):
        """Take the typical diameter from the objects that were measured last, of the first object set that has any."""
        name = next((name for name in self.measured if name in self.last_diameters), None)
        if name is None:
            text = "No objects were measured yet: start test mode, run this module once, and press the button again."
        else:
            self.diameter.value = self.last_diameters[name]
            text = f"The typical diameter of {name} is {self.diameter.value:g} pixels (median of the last image set)."
        if get_headless():
            LOGGER.info(text)
            return
        import wx

        wx.MessageBox(text, "Microsnoop")

    def on_test_engine(self):
        """Show version, weights and device of the engine, or why it does not work."""
        try:
            engine = self.engine()
            self.dimension.value = engine.info["dimension"]
            text = "The engine works: " + engine.describe()
        except _microsnoop_client.EngineError as error:
            text = str(error)
        finally:
            _microsnoop_client.close_engines()
        if get_headless():
            LOGGER.info(text)
            return
        import wx

        wx.MessageBox(text, "Microsnoop engine")

    def prepare_run(self, workspace):
        """Check before the first image set that the engine works, note which it is, and declare as many features.

        An analysis writes Experiment measurements in the main process only, while `run` belongs to its workers.
        """
        pipeline = workspace.pipeline
        try:
            engine = self.engine()
        except _microsnoop_client.EngineError as error:
            if pipeline.has_create_batch_module() and not pipeline.in_batch_mode():
                LOGGER.warning("The batch needs an engine where it runs; there is none here: %s", error)
                return True
            message = f"{self.module_name} (module #{self.module_num}): {error}"
            LOGGER.error(message)
            pipeline.report_prepare_run_error(self, message)
            return False
        if self.dimension.value != engine.info["dimension"]:
            LOGGER.info("%s: %d features per channel, as the weights make", self.module_name, engine.info["dimension"])
            self.dimension.value = engine.info["dimension"]
        for name, key in self.experiment_names(pipeline).items():
            workspace.measurements.add_experiment_measurement(name, str(engine.info[key]))
        if not get_headless() and not pipeline.test_mode:
            _microsnoop_client.close_engines()
        return True

    def post_run(self, workspace):
        """End the engine of this process."""
        _microsnoop_client.close_engines()

    def run(self, workspace):
        """Measure one image set."""
        began = time.monotonic()
        channels = read_channels(workspace.image_set, self.images_list.value)
        engine = image = None
        seconds = 0.0
        panels = []
        with contextlib.ExitStack() as stack:
            for name in self.measured:
                count, task, inputs = self._request(workspace, name, channels)
                if count == 0:
                    self._write(workspace, name, numpy.zeros((0, len(self.feature_names())), numpy.float32))
                    continue
                if engine is None:
                    engine = self.engine()
                    image = stack.enter_context(engine.shared(channels))
                asked = time.monotonic()
                result = engine.run(task, image=image, **inputs)
                seconds += time.monotonic() - asked
                self._report_failures(workspace, name, result)
                self._write(workspace, name, self._rows(result, name, count))
                if self.show_window:
                    panels.append(self._panel(name, channels, inputs.get("labels"), result))
        LOGGER.info(
            "%s: image set %d took %.2f s, of which the engine %.2f s",
            self.module_name,
            workspace.measurements.image_set_number,
            time.monotonic() - began,
            seconds,
        )
        if self.show_window:
            workspace.display_data.panels = panels

    def _request(self, workspace, name, channels):
        """Number of rows, and the engine's task with its inputs, for an object set or the whole images."""
        if name == IMAGE:
            mode = IMAGE_MODES[self.image_mode.value]
            tiles_scaled = self.scale == SCALE_DIAMETER and mode == "tile"
            return 1, "measure_image", {"mode": mode, **({"diameter": self.diameter.value} if tiles_scaled else {})}
        objects = workspace.object_set.get_objects(name)
        inputs = {"rescale_constant": self.rescale_constant.value, "mask": CROPS[self.crop.value]}
        if self.scale == SCALE_DIAMETER:
            inputs["diameter"] = self.diameter.value
        else:
            inputs["scale"] = SCALES[self.scale.value]
        if objects.count:
            inputs["labels"] = read_labels(objects, name, channels, self.images_list.value[0])
            self.last_diameters[name] = typical_diameter(objects)
        return objects.count, "measure_objects", inputs

    def _rows(self, result, name, count):
        """Features with one row per object number, NaN where the engine measured nothing."""
        features = result["features"]
        width = len(self.feature_names())
        if features.shape[1] != width:
            raise ValueError(
                f'The weights "{self.weights.value}" make {features.shape[1]} features for '
                f'{len(self.images_list.value)} image(s), but {width} were declared. Press "Test engine" in '
                f"{self.module_name}, and start the run again."
            )
        values = numpy.full((count, width), numpy.nan, numpy.float32)
        rows = 0 if name == IMAGE else result["object_number"] - 1
        values[rows] = features
        return values

    def _report_failures(self, workspace, name, result):
        failed = result.get("failed") or []
        if failed:
            LOGGER.warning(
                "%s: %d measurements of %s in image set %d are NaN; the first because: %s",
                self.module_name,
                len(failed),
                name,
                workspace.measurements.image_set_number,
                failed[0].get("reason"),
            )

    def _write(self, workspace, name, values):
        columns = (values[0] if name == IMAGE else values).T
        _microsnoop_columns.write_measurements(workspace.measurements, name, self.feature_names(), columns)

    def _panel(self, name, channels, planes, result):
        images = list(self.images_list.value)
        if name == IMAGE:
            return _microsnoop_display.image_panel(images, channels, result["features"])
        masked = self.crop.value == CROP_OBJECT
        return _microsnoop_display.object_panel(name, images, channels, planes, result, masked)

    def display(self, workspace, figure):
        """Show crops of some objects and a map of their embeddings."""
        _microsnoop_display.draw(figure, workspace.display_data.panels)
