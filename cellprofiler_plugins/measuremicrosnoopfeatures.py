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
   outline hardly matter, the object only says where to look. Each set has a
   box of a size of its own: large around nuclei, tight around whole cells.
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
contrast there) gets *NaN*, never zeros; the module's window and the log say
how many there were, and why.

**ExportToDatabase** and many columns: a SQLite table holds 2000, and 256
columns times images times object sets are soon more. Choose *One table per
object type* when you measure several object sets, and do not ask for
per-image means there. This module warns when a table would get too wide.

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
import _microsnoop_window
import numpy
from _microsnoop_inputs import read_channels, read_labels, typical_sizes
from _microsnoop_settings import (
    CROP_BOX,
    CROP_OBJECT,
    IMAGE_RESCALE,
    IMAGE_TILE,
    SCALE_DIAMETER,
    SCALE_EACH,
    SCALE_NONE,
    VERSION,
    Settings,
    suggested_box,
)
from cellprofiler_core.constants.measurement import COLTYPE_FLOAT, COLTYPE_VARCHAR_FORMAT, EXPERIMENT, IMAGE
from cellprofiler_core.module import Module
from cellprofiler_core.preferences import get_headless
from cellprofiler_core.setting import ValidationError

LOGGER = logging.getLogger(__name__)

CATEGORY = "Microsnoop"
EXPERIMENT_FEATURES = {"Version": "version", "Weights": "weights", "WeightsSHA256": "sha256"}

CROPS = {CROP_BOX: "box", CROP_OBJECT: "object"}
SCALES = {SCALE_EACH: "each", SCALE_NONE: "none"}
IMAGE_MODES = {IMAGE_TILE: "tile", IMAGE_RESCALE: "image"}


class MeasureMicrosnoopFeatures(Settings, Module):
    module_name = "MeasureMicrosnoopFeatures"
    category = "Measurement"
    variable_revision_number = VERSION

    @property
    def measured(self):
        """Names of the object sets that get columns, with "Image" for whole images."""
        return list(self.object_settings) + ([IMAGE] if self.measures_images else [])

    @property
    def object_settings(self):
        """The settings of each object set that is measured, by its name."""
        return {group.name.value: group for group in self.object_sets} if self.measures_objects else {}

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
        self._validate_images()
        if self.measures_objects:
            self._validate_object_sets()
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

    def _validate_images(self):
        names = self.images_list.value
        if not names:
            raise ValidationError(
                f'No image is selected in "{self.images_list.text}": select one or more.', self.images_list
            )
        for name in names:
            if names.count(name) > 1:
                raise ValidationError(
                    f'The image "{name}" is selected more than once in "{self.images_list.text}".', self.images_list
                )

    def _validate_object_sets(self):
        if not self.object_sets:
            raise ValidationError(f'No objects are measured: press "{self.add_button.label}".', self.scope)
        names = [group.name.value for group in self.object_sets]
        for group in self.object_sets:
            if group.name.value in ("", "None"):
                raise ValidationError(f'No objects are selected in "{group.name.text}": select some.', group.name)
            if names.count(group.name.value) > 1:
                raise ValidationError(f'The objects "{group.name.value}" are selected more than once.', group.name)

    def validate_module_warnings(self, pipeline):
        """Warn of a missing engine, of identical boxes, and of exports that cannot hold the columns."""
        try:
            _microsnoop_client.find_engine(self.engine_path.value)
        except _microsnoop_client.EngineError as error:
            raise ValidationError(str(error), self.engine_path) from error
        for first, second in _same_boxes(self.object_settings, pipeline):
            raise ValidationError(
                f"{second.name.value} have the same outlines as {first.name.value}, so the same boxes and the same "
                f'features: choose "{CROP_OBJECT}" or another size of the box, or remove one of them.',
                second.rescale_constant,
            )
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

    def engine(self, pipeline=None, watch=None):
        """The engine of this process, started when it is not running; those that no module needs any more are ended."""
        modules = pipeline.modules() if pipeline is not None else []
        others = [other for other in modules if other.module_name == self.module_name and other is not self]
        needed = set()
        for other in others:
            with contextlib.suppress(_microsnoop_client.EngineError):
                needed.add(other.engine_key())
        key = self.engine_key()
        _microsnoop_client.close_engines(keep={*needed, key})
        return _microsnoop_client.get_engine(*key, watch=watch)

    def engine_key(self):
        """Command and options of the engine, as the settings have them."""
        options = ["--device", self.device.value, *_microsnoop_client.thread_options()]
        if self.weights.value.strip():
            options += ["--model", self.weights.value.strip()]
        return tuple(_microsnoop_client.find_engine(self.engine_path.value)), tuple(options)

    def on_suggest_sizes(self):
        """Enter typical diameters and sizes of boxes that suit the objects that were measured last."""
        known = [group for group in self.object_sets if group.name.value in self.last_sizes]
        if not known:
            _microsnoop_window.tell(
                "No objects were measured yet: start test mode, run this module once, and press the button again."
            )
            return
        smallest = min(self.last_sizes[group.name.value][1] for group in known)
        lines = []
        for group in known:
            name = group.name.value
            diameter, area = self.last_sizes[name]
            group.diameter.value = diameter
            group.rescale_constant.value = suggested_box(name, area / smallest)
            lines.append(
                f"{name}: typical diameter {diameter:g} pixels, size of the box {group.rescale_constant.value:g}"
            )
        _microsnoop_window.tell("\n".join(lines))

    def on_choose_weights(self):
        """Choose a weights file in a dialog."""
        path = _microsnoop_window.choose_file("Choose a weights file", "Weights (*.safetensors)|*.safetensors")
        self.weights.value = path or self.weights.value

    def on_choose_engine(self):
        """Choose the engine's program in a dialog."""
        path = _microsnoop_window.choose_file("Choose the Python that holds the engine, or the microsnoop command")
        self.engine_path.value = path or self.engine_path.value

    def on_choose_engine_folder(self):
        """Choose the folder of the engine's environment in a dialog."""
        path = _microsnoop_window.choose_folder("Choose the folder into which microsnoop was installed")
        self.engine_path.value = path or self.engine_path.value

    def on_test_engine(self):
        """Show version, weights and device of the engine, or why it does not work."""
        try:
            engine = _microsnoop_window.with_progress(
                lambda watch: self.engine(watch=watch), "Starting the engine. The first start takes longest."
            )
            self.dimension.value = engine.info["dimension"]
            text = "The engine works: " + engine.describe()
        except _microsnoop_client.EngineError as error:
            text = str(error)
        finally:
            _microsnoop_client.close_engines()
        _microsnoop_window.tell(text, "Microsnoop engine")

    def prepare_run(self, workspace):
        """Check before the first image set that the engine works, note which it is, and declare as many features.

        An analysis writes Experiment measurements in the main process only, while `run` belongs to its workers.
        """
        pipeline = workspace.pipeline
        try:
            engine = _microsnoop_window.with_progress(
                lambda watch: self.engine(pipeline, watch), "Starting the engine, to see that it works."
            )
        except _microsnoop_client.EngineError as error:
            if pipeline.has_create_batch_module() and not pipeline.in_batch_mode():
                LOGGER.warning("The batch needs an engine where it runs; there is none here: %s", error)
                return True
            LOGGER.error("%s (module #%d): %s", self.module_name, self.module_num, error)
            pipeline.report_prepare_run_error(self, str(error))
            return False
        self._follow(engine)
        for name, key in self.experiment_names(pipeline).items():
            workspace.measurements.add_experiment_measurement(name, str(engine.info[key]))
        if not get_headless() and not pipeline.test_mode:
            _microsnoop_client.close_engines()
        return True

    def post_run(self, workspace):
        """End the engine of this process."""
        _microsnoop_client.close_engines()

    def _follow(self, engine):
        """Declare as many features as the engine's weights make."""
        if self.dimension.value != engine.info["dimension"]:
            LOGGER.info("%s: %d features per channel, as the weights make", self.module_name, engine.info["dimension"])
            self.dimension.value = engine.info["dimension"]

    def run(self, workspace):
        """Measure one image set."""
        testing = workspace.pipeline.test_mode
        if testing:
            _microsnoop_window.at_end_of_test_mode(workspace.pipeline, _microsnoop_client.close_engines)
        try:
            self._run(workspace, testing)
        except _microsnoop_client.EngineCancelled:
            LOGGER.info("%s: cancelled", self.module_name)
            workspace.display_data.panels = []
            workspace.display_data.words = "Cancelled: nothing was measured."
            _microsnoop_window.cancel_step(workspace)

    def _run(self, workspace, testing):
        began = time.monotonic()
        channels = read_channels(workspace.image_set, self.images_list.value)
        engine = image = None
        seconds = 0.0
        panels, boxes = [], {}
        with contextlib.ExitStack() as stack:
            for name in self.measured:
                count, task, inputs = self._request(workspace, name, channels)
                if count == 0:
                    self._write(workspace, name, numpy.zeros((0, len(self.feature_names())), numpy.float32))
                    continue
                if engine is None:
                    engine = self._started(workspace.pipeline, testing)
                    image = stack.enter_context(engine.shared(channels))
                asked = time.monotonic()
                result = self._measured(engine, name, task, {"image": image, **inputs}, testing)
                seconds += time.monotonic() - asked
                self._report_failures(workspace, name, result)
                self._write(workspace, name, self._rows(result, name, count))
                same = self._same_box_as(name, result, boxes)
                if self.show_window:
                    panels.append(self._panel(name, channels, inputs.get("labels"), result, same))
        LOGGER.info(
            "%s: image set %d took %.2f s, of which the engine %.2f s",
            self.module_name,
            workspace.measurements.image_set_number,
            time.monotonic() - began,
            seconds,
        )
        if self.show_window:
            workspace.display_data.panels = panels
            workspace.display_data.words = "There are no objects in this image set."

    def _started(self, pipeline, testing):
        """The engine; in test mode the window shows that it starts, and the settings follow it."""
        if not testing:
            return self.engine(pipeline)
        engine = _microsnoop_window.with_progress(lambda watch: self.engine(pipeline, watch), "Starting the engine.")
        self._follow(engine)
        return engine

    @staticmethod
    def _measured(engine, name, task, inputs, testing):
        """Outputs of a task; in test mode the window shows its progress."""
        if not testing:
            return engine.run(task, **inputs)
        what = "Measuring whole images." if name == IMAGE else "Measuring %s." % name
        return _microsnoop_window.with_progress(lambda watch: engine.run(task, watch=watch, **inputs), what)

    def _request(self, workspace, name, channels):
        """Number of rows, and the engine's task with its inputs, for an object set or the whole images."""
        by_diameter = self.scale == SCALE_DIAMETER
        if name == IMAGE:
            mode = IMAGE_MODES[self.image_mode.value]
            scaled = {"diameter": self.image_diameter.value} if by_diameter and mode == "tile" else {}
            return 1, "measure_image", {"mode": mode, **scaled}
        group = self.object_settings[name]
        inputs = {"rescale_constant": group.rescale_constant.value, "mask": CROPS[group.crop.value]}
        if by_diameter:
            inputs["diameter"] = group.diameter.value
        else:
            inputs["scale"] = SCALES[self.scale.value]
        objects = workspace.object_set.get_objects(name)
        if objects.count:
            inputs["labels"] = read_labels(objects, name, channels, self.images_list.value[0])
            self.last_sizes[name] = typical_sizes(objects)
        return objects.count, "measure_objects", inputs

    def _same_box_as(self, name, result, boxes):
        """The object set that has had the same boxes before, which are warned of; ``boxes`` are those until now."""
        group = self.object_settings.get(name)
        if group is None or group.crop == CROP_OBJECT:
            return None
        key = result["object_number"].tobytes() + result["box"].tobytes()
        same = boxes.setdefault(key, name)
        if same == name:
            return None
        LOGGER.warning(
            "%s: %s have the same boxes as %s, so the same features: choose %s, or remove one of them",
            self.module_name,
            name,
            same,
            CROP_OBJECT,
        )
        return same

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
                "%s: %s in image set %d: %s",
                self.module_name,
                name,
                workspace.measurements.image_set_number,
                _microsnoop_display.failures(failed, self.images_list.value),
            )

    def _write(self, workspace, name, values):
        columns = (values[0] if name == IMAGE else values).T
        _microsnoop_columns.write_measurements(workspace.measurements, name, self.feature_names(), columns)

    def _panel(self, name, channels, planes, result, same):
        images = list(self.images_list.value)
        note = _microsnoop_display.failures(result.get("failed") or [], images)
        if same:
            note = f"The same boxes as {same}: the same features. {note}".strip()
        if name == IMAGE:
            return _microsnoop_display.image_panel(images, channels, result["features"], note)
        masked = self.object_settings[name].crop.value == CROP_OBJECT
        return _microsnoop_display.object_panel(name, images, channels, planes, result, masked, note)

    def display(self, workspace, figure):
        """Show crops of some objects and a map of their embeddings."""
        _microsnoop_display.draw(figure, workspace.display_data.panels, workspace.display_data.words)


def _same_boxes(groups, pipeline):
    """Yield pairs of object sets whose boxes are the same: a cytoplasm has the outline of the cell it is cut from."""
    for module in pipeline.modules():
        if module.module_name != "IdentifyTertiaryObjects":
            continue
        whole, rest = groups.get(module.secondary_objects_name.value), groups.get(module.subregion_objects_name.value)
        sets = [group for group in (whole, rest) if group and group.crop.value == CROP_BOX]
        if len(sets) == 2 and whole.rescale_constant.value == rest.rescale_constant.value:
            yield whole, rest
