__doc__ = """\
MeasureMicrosnoopFeatures
=========================

**MeasureMicrosnoopFeatures** measures learned features (embeddings) of
objects, of whole images, or of both: 256 numbers per channel, made by the
Microsnoop network.

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
   because CellProfiler's cannot hold it. In that Python, once::

       pip install microsnoop
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

-  Xun D, Wang R, Zhang X, Wang Y. (2023) "Microsnoop: a generalist tool
   for microscopy image representation." *The Innovation* 5(1):100541.
"""

import contextlib
import logging
import sys
import time

import _microsnoop_client
import numpy
import psutil
from cellprofiler_core.constants.measurement import COLTYPE_FLOAT, COLTYPE_VARCHAR_FORMAT, EXPERIMENT, IMAGE
from cellprofiler_core.module import Module
from cellprofiler_core.preferences import get_headless
from cellprofiler_core.setting import Divider, ValidationError
from cellprofiler_core.setting.choice import Choice
from cellprofiler_core.setting.do_something import DoSomething
from cellprofiler_core.setting.subscriber import ImageListSubscriber, LabelListSubscriber
from cellprofiler_core.setting.text import Float, Pathname, Text

LOGGER = logging.getLogger(__name__)

CATEGORY = "Microsnoop"
DIMENSION = 256
FEATURES = ["E%03d" % index for index in range(DIMENSION)]
EXPERIMENT_FEATURES = {"Version": "version", "Weights": "weights", "WeightsSHA256": "sha256"}

S_OBJECTS = "Objects"
S_IMAGE = "Whole image"
S_BOTH = "Both"

CROP_BOX = "Box"
CROP_OBJECT = "Masked object"
CROPS = {CROP_BOX: "box", CROP_OBJECT: "object"}

IMAGE_TILE = "Tile"
IMAGE_RESCALE = "Rescale"
IMAGE_MODES = {IMAGE_TILE: "tile", IMAGE_RESCALE: "image"}

DATABASE_LIMITS = {"SQLite": 2000, "MySQL": 1017}

SHOWN_OBJECTS = 6
SHOWN_POINTS = 500
SHOWN_SIZE = 64


class EnginePath(Pathname):
    """A path with a browse button that may be blank."""

    def test_valid(self, pipeline):
        """Whether the path leads to an engine is a warning of the module: a batch may run on another computer."""


class MeasureMicrosnoopFeatures(Module):
    module_name = "MeasureMicrosnoopFeatures"
    category = "Measurement"
    variable_revision_number = 1

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
box is 1.2 cells wide. A box is never wider than 224 pixels.
""",
        )
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
            "microsnoop-base",
            doc="""\
The network's weights: a name that the engine knows, or a weight file of
your own. Features made with different weights cannot be compared.
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
            self.image_mode,
            self.weights,
            self.device,
            self.engine_path,
        ]

    def visible_settings(self):
        """Settings that matter for the chosen scope."""
        result = [self.images_list, self.scope]
        if self.measures_objects:
            result += [self.objects_list, self.crop, self.rescale_constant]
        if self.measures_images:
            result += [self.image_mode]
        return [*result, self.divider, self.weights, self.device, self.engine_path, self.test_button]

    def help_settings(self):
        """Settings in the help page."""
        return [*self.settings(), self.test_button]

    def upgrade_settings(self, setting_values, variable_revision_number, module_name):
        """Adapt the settings of older versions of this module: there are none yet."""
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

    def feature_names(self):
        """Names of the measurements, channel after channel."""
        return [f"{CATEGORY}_{feature}_{image}" for image in self.images_list.value for feature in FEATURES]

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
                self._warn_of_long_names(export)
                self._warn_of_wide_tables(export, pipeline)

    def _warn_of_long_names(self, export):
        aggregates = [f"{name}_" for name in export.agg_names]
        for name in self.measured:
            longest = max((len(prefix) for prefix in aggregates if name != IMAGE), default=0)
            for image in self.images_list.value:
                column = f"{name}_{CATEGORY}_{FEATURES[-1]}_{image}"
                length = longest + len(column)
                if length > export.max_column_size.value:
                    raise ValidationError(
                        f'ExportToDatabase shortens column names to {export.max_column_size.value} characters, and "'
                        f'{column}" would have {length}: give the image "{image}" or "{name}" a shorter name.',
                        self.images_list,
                    )

    def _warn_of_wide_tables(self, export, pipeline):
        limit = DATABASE_LIMITS.get(export.db_type.value)
        if limit is None:
            return
        tables = database_tables(export, pipeline.get_measurement_columns(export))
        for table, (count, remedy) in tables.items():
            if count > limit:
                raise ValidationError(
                    f"ExportToDatabase (module #{export.module_num}) would write {count} columns into the table of "
                    f"{table}; {export.db_type.value} holds about {limit}. {remedy}, or use ExportToSpreadsheet.",
                    self.objects_list if self.measures_objects else self.images_list,
                )

    def get_measurement_columns(self, pipeline):
        """All measurements that `run` and `prepare_run` write, with their column types."""
        columns = [(name, feature, COLTYPE_FLOAT) for name in self.measured for feature in self.feature_names()]
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
        return list(FEATURES)

    def get_measurement_images(self, pipeline, object_name, category, measurement):
        """Images in which a measurement is made."""
        if object_name == EXPERIMENT or measurement not in self.get_measurements(pipeline, object_name, category):
            return []
        return list(self.images_list.value)

    def engine(self):
        """The engine of this process, started when it is not running."""
        options = ["--device", self.device.value]
        if self.weights.value.strip():
            options += ["--weights", self.weights.value.strip()]
        workers = analysis_workers()
        if workers > 1:
            cores = psutil.cpu_count(logical=False) or psutil.cpu_count() or 1
            options += ["--threads", str(max(1, cores // workers))]
        return _microsnoop_client.get_engine(_microsnoop_client.find_engine(self.engine_path.value), options)

    def on_test_engine(self):
        """Show what the engine says about itself, or what is wrong."""
        try:
            text = "The engine works: " + self.engine().describe()
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
        """Find out before the first image set that the engine works, and note which it is.

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
        channels = self._channels(workspace)
        panels = []
        seconds = 0.0
        with contextlib.ExitStack() as stack:
            image = None
            for name in self.measured:
                planes, count = (None, 1) if name == IMAGE else self._labels(workspace, name, channels)
                if count == 0:
                    self._write(workspace, name, numpy.zeros((0, len(self.feature_names())), numpy.float32))
                    continue
                engine = self.engine()
                if image is None:
                    image = stack.enter_context(engine.shared(channels))
                asked = time.monotonic()
                if name == IMAGE:
                    result = engine.run("measure_image", image=image, mode=IMAGE_MODES[self.image_mode.value])
                else:
                    result = engine.run(
                        "measure_objects",
                        image=image,
                        labels=planes,
                        rescale_constant=self.rescale_constant.value,
                        mask=CROPS[self.crop.value],
                    )
                seconds += time.monotonic() - asked
                values = self._rows(result, name, count)
                self._report_failures(workspace, name, result)
                self._write(workspace, name, values)
                if self.show_window:
                    panels.append(self._panel(name, channels, planes, result))
        LOGGER.info(
            "%s: image set %d took %.2f s, of which the engine %.2f s",
            self.module_name,
            workspace.measurements.image_set_number,
            time.monotonic() - began,
            seconds,
        )
        if self.show_window:
            workspace.display_data.panels = panels

    def _channels(self, workspace):
        """The selected images as float32 (c, h, w), zero where masked."""
        channels = []
        for name in self.images_list.value:
            image = workspace.image_set.get_image(name)
            if image.volumetric:
                raise ValueError(f'The image "{name}" is 3-D; {self.module_name} measures 2-D images.')
            if image.multichannel:
                try:
                    image = workspace.image_set.get_image(name, must_be_grayscale=True)
                except ValueError as error:
                    raise ValueError(
                        f'The image "{name}" is a color image; {self.module_name} measures grayscale images. '
                        "Split it with ColorToGray and select its channels."
                    ) from error
            pixels = numpy.array(image.pixel_data, numpy.float32)
            if image.has_mask:
                pixels[~image.mask] = 0
            if channels and pixels.shape != channels[0].shape:
                raise ValueError(
                    f'The images "{self.images_list.value[0]}" ({_size(channels[0])}) and "{name}" ({_size(pixels)}) '
                    "differ in size; images measured together must have the same. Resize or crop one of them."
                )
            channels.append(pixels)
        return numpy.stack(channels)

    def _labels(self, workspace, name, channels):
        """Label planes of an object set, (h, w) or (p, h, w) where objects overlap, and its number of objects."""
        objects = workspace.object_set.get_objects(name)
        if objects.count == 0:
            return None, 0
        planes = numpy.stack([labels for labels, _ in objects.get_labels()]).astype(numpy.int32)
        if planes.shape[1:] != channels.shape[1:]:
            raise ValueError(
                f'The objects "{name}" ({_size(planes)}) and the image "{self.images_list.value[0]}" '
                f"({_size(channels)}) differ in size. Measure objects in the images they were found in, "
                "or resize the objects."
            )
        return (planes[0] if len(planes) == 1 else planes), objects.count

    def _rows(self, result, name, count):
        """Features with one row per object number, NaN where the engine measured nothing."""
        features = result["features"]
        width = len(self.feature_names())
        if features.shape[1] != width:
            raise ValueError(
                f'The weights "{self.weights.value}" make {features.shape[1]} features for '
                f"{len(self.images_list.value)} image(s); {self.module_name} needs {DIMENSION} for each."
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
        write_measurements(workspace.measurements, name, self.feature_names(), columns)

    def _panel(self, name, channels, planes, result):
        """What `display` shows of an object set or of the whole images: small arrays only, they cross processes."""
        panel = {"name": name, "channels": list(self.images_list.value)}
        if name == IMAGE:
            panel["crops"] = numpy.array([[thumbnail(plane) for plane in channels]])
            panel["embedding"] = result["features"].reshape(len(channels), DIMENSION)
            return panel
        numbers = result["object_number"]
        shown = spread(len(numbers), SHOWN_OBJECTS)
        masks = planes.reshape(-1, *planes.shape[-2:])
        crops = []
        for row in shown:
            y0, x0, y1, x1 = result["box"][row]
            crop = channels[:, y0:y1, x0:x1]
            if self.crop.value == CROP_OBJECT:
                crop = crop * (masks[:, y0:y1, x0:x1] == numbers[row]).any(axis=0)
            crops.append([thumbnail(plane) for plane in crop])
        mapped = numpy.union1d(shown, spread(len(numbers), SHOWN_POINTS))
        points, explained = principal_components(result["features"][mapped])
        panel.update(
            crops=numpy.array(crops),
            numbers=numbers[shown],
            points=points,
            shown_points=points[numpy.searchsorted(mapped, shown)],
            explained=explained,
        )
        return panel

    def display(self, workspace, figure):
        """Show crops of some objects and a map of their embeddings."""
        panels = workspace.display_data.panels
        figure.set_subplots((2, max(1, len(panels))))
        if not panels:
            figure.subplot(0, 0).set_axis_off()
            figure.subplot(0, 0).text(0.5, 0.5, "There are no objects in this image set.", ha="center", va="center")
        for row, panel in enumerate(panels):
            draw_crops(figure.subplot(0, row), panel)
            if panel["name"] == IMAGE:
                draw_embedding(figure.subplot(1, row), panel)
            else:
                draw_map(figure.subplot(1, row), panel)


def _size(array):
    return "%d x %d pixels" % (array.shape[-1], array.shape[-2])


def write_measurements(measurements, object_name, features, columns):
    """Write many columns of one object set; one `add_measurement` per column takes about twice as long.

    Parameters
    ----------
    measurements : cellprofiler_core.measurement.Measurements
        Where to write, at its current image set.
    object_name : str
        The object set, or "Image".
    features : list of str
        Names of the columns.
    columns : sequence of array_like
        Values of each column.
    """
    number = measurements.image_set_number
    hdf5_dict = getattr(measurements, "hdf5_dict", None)
    for position, (feature, values) in enumerate(zip(features, columns)):
        if position == 0 or hdf5_dict is None:
            measurements.add_measurement(object_name, feature, values, data_type=numpy.float32)
        else:
            hdf5_dict[object_name, feature, number, numpy.float32] = values


def analysis_workers():
    """Number of analysis workers this process is one of; 0 outside of an analysis.

    CellProfiler starts all of them at once, with the address of the analysis on their command lines.
    """
    try:
        address = sys.argv[sys.argv.index("--work-announce") + 1]
        return sum(address in process.cmdline() for process in psutil.Process().parent().children())
    except (ValueError, IndexError, AttributeError, psutil.Error):
        return 0


def database_tables(export, columns):
    """Tables that an ExportToDatabase module will make.

    Parameters
    ----------
    export : cellprofiler.modules.exporttodatabase.ExportToDatabase
        The module.
    columns : list of tuple
        Measurement columns of the pipeline up to that module.

    Returns
    -------
    dict
        {what is in the table: (number of columns, what to do if these are too many)}
    """
    counts = {}
    for name, feature in (column[:2] for column in columns):
        if not export.ignore_feature(name, feature, strict=True, wanttime=True):
            counts[name] = counts.get(name, 0) + 1
    image = counts.pop(IMAGE, 0)
    objects = sum(counts.values())
    fewer = "Measure fewer images"
    if export.separate_object_tables.value == "One table per object type":
        tables = {name: (count, fewer) for name, count in counts.items()}
    else:
        tables = {"all objects": (objects, 'Choose "One table per object type" there')}
    aggregates = len(export.agg_names) * objects
    tables["images"] = (image + aggregates, "Switch off the per-image aggregates there" if aggregates else fewer)
    if export.agg_well_names:
        tables["wells"] = (image + objects, "Switch off the per-well aggregates there")
    return tables


def spread(count, limit):
    """Indices of at most `limit` rows, spread evenly over `count`."""
    return numpy.unique(numpy.linspace(0, count - 1, min(limit, count)).astype(int))


def thumbnail(plane):
    """Shrink or enlarge a crop to a small uint8 square, its 1st to 99.8th percentile from black to white."""
    height, width = plane.shape
    side = max(height, width)
    steps = numpy.minimum((numpy.arange(SHOWN_SIZE) + 0.5) * side / SHOWN_SIZE, side - 1).astype(int)
    square = numpy.zeros((side, side), numpy.float32)
    square[(side - height) // 2 :, (side - width) // 2 :][:height, :width] = plane
    low, high = numpy.nanpercentile(plane, (1, 99.8))
    scaled = (square[numpy.ix_(steps, steps)] - low) / max(high - low, 1e-6)
    return (numpy.nan_to_num(scaled.clip(0, 1)) * 255).astype(numpy.uint8)


def principal_components(features):
    """Project embeddings on their first two principal components.

    Parameters
    ----------
    features : numpy.ndarray
        Shape (n, d); rows with NaN are left out of the fit.

    Returns
    -------
    points : numpy.ndarray
        Shape (n, 2), NaN for rows with NaN and where there are fewer than three others.
    explained : list of float
        Share of the variance along each of the two.
    """
    points = numpy.full((len(features), 2), numpy.nan, numpy.float32)
    finite = numpy.isfinite(features).all(axis=1)
    if finite.sum() < 3:
        return points, [0.0, 0.0]
    centered = features[finite] - features[finite].mean(axis=0)
    left, singular, _ = numpy.linalg.svd(centered, full_matrices=False)
    points[finite] = left[:, :2] * singular[:2]
    total = max(float((singular**2).sum()), 1e-12)
    return points, [float(value**2 / total) for value in singular[:2]]


def draw_crops(axes, panel):
    """Draw the crops as a grid, one object per row and one channel per column."""
    crops = panel["crops"]
    rows, columns, size = crops.shape[:3]
    gap = 3
    sheet = numpy.full((rows * (size + gap) - gap, columns * (size + gap) - gap), numpy.nan)
    for row in range(rows):
        for column in range(columns):
            y, x = row * (size + gap), column * (size + gap)
            sheet[y : y + size, x : x + size] = crops[row, column]
    axes.imshow(sheet, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set_xticks([column * (size + gap) + size / 2 for column in range(columns)])
    axes.set_xticklabels(panel["channels"])
    axes.xaxis.tick_top()
    whole = panel["name"] == IMAGE
    axes.set_yticks([] if whole else [row * (size + gap) + size / 2 for row in range(rows)])
    axes.set_yticklabels([] if whole else [str(number) for number in panel["numbers"]])
    if not whole:
        axes.set_ylabel("%s, object number" % panel["name"])
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def draw_map(axes, panel):
    """Draw the first two principal components of the embeddings, and mark the objects whose crops are shown."""
    points, shown = numpy.asarray(panel["points"]), numpy.asarray(panel["shown_points"])
    axes.set_title("%s, embeddings" % panel["name"])
    if not numpy.isfinite(points).any():
        axes.set_axis_off()
        axes.text(0.5, 0.5, "A map needs three objects or more.", ha="center", va="center", transform=axes.transAxes)
        return
    axes.scatter(points[:, 0], points[:, 1], s=14, color="0.55", linewidths=0)
    axes.scatter(shown[:, 0], shown[:, 1], s=30, color="tab:orange", edgecolors="black", linewidths=0.6)
    for (x, y), number in zip(shown, panel["numbers"]):
        if numpy.isfinite(x):
            axes.annotate(str(number), (x, y), xytext=(4, 4), textcoords="offset points")
    axes.set_xlabel("Principal component 1 (%.0f %%)" % (100 * panel["explained"][0]))
    axes.set_ylabel("Principal component 2 (%.0f %%)" % (100 * panel["explained"][1]))
    axes.set_xticks([])
    axes.set_yticks([])


def draw_embedding(axes, panel):
    """Draw the embedding of the whole image, one strip per channel."""
    axes.imshow(panel["embedding"], aspect="auto", cmap="viridis", interpolation="nearest")
    axes.set_yticks(range(len(panel["channels"])))
    axes.set_yticklabels(panel["channels"])
    axes.set_xticks([0, 64, 128, 192, 255])
    axes.set_xlabel("Feature (E000 to E255)")
    axes.set_title("Whole image, embedding")
