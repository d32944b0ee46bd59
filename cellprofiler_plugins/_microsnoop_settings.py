"""The module's settings: their defaults, texts and help, and those of its older versions.

Python 3.8; no packages that CellProfiler lacks: this file runs inside it.
"""

import re

from cellprofiler_core.setting import Divider, DoThings, HiddenCount, SettingsGroup
from cellprofiler_core.setting.choice import Choice, CustomChoice
from cellprofiler_core.setting.do_something import DoSomething, RemoveSettingButton
from cellprofiler_core.setting.subscriber import ImageListSubscriber, LabelSubscriber
from cellprofiler_core.setting.text import Float, Integer, Text

VERSION = 5

S_OBJECTS = "Objects"
S_IMAGE = "Whole image"
S_BOTH = "Both"

CROP_BOX = "Box"
CROP_OBJECT = "Masked object"

SCALE_EACH = "Fit every box to the view"
SCALE_DIAMETER = "The same for all, by a typical diameter"
SCALE_NONE = "Leave the pixels as they are"

IMAGE_TILE = "Tile"
IMAGE_RESCALE = "Rescale"

NUCLEUS_BOX, CELL_BOX = 2.0, 0.6
NUCLEUS_NAMES = re.compile("nucle|dna|dapi|hoechst", re.IGNORECASE)
CELL_NAMES = re.compile("cell|cyto|membrane|body", re.IGNORECASE)
RING_NAMES = re.compile("cytoplasm|ring", re.IGNORECASE)
LARGER = 2
"""Objects whose typical area is this many times that of the smallest set are taken for whole cells."""

FIXED_SETTINGS = 10
"""Number of settings in a pipeline file before those of the object sets."""
OBJECT_SETTINGS = 4
"""Number of settings of each object set in a pipeline file."""


def suggested_box(name, area_ratio=1.0):
    """Suggest the size of the box around objects by their name, or by their area if the name says nothing.

    Parameters
    ----------
    name : str
        The object set.
    area_ratio : float
        Its typical area, in units of the smallest typical area of the object sets.

    Returns
    -------
    float
        Half the width of the box, in object lengths.
    """
    if NUCLEUS_NAMES.search(name):
        return NUCLEUS_BOX
    if CELL_NAMES.search(name) or area_ratio >= LARGER:
        return CELL_BOX
    return NUCLEUS_BOX


def suggested_crop(name):
    """Suggest what to show of objects: a cytoplasm without its mask has the box of its cell."""
    return CROP_OBJECT if RING_NAMES.search(name) else CROP_BOX


def upgraded(values, version):
    """Bring the settings of an older version of the module to those of this version, with the same results.

    Parameters
    ----------
    values : list of str
        Settings in the order of a pipeline file.
    version : int
        The module's version that wrote them.

    Returns
    -------
    values : list of str
    version : int
    """
    values = list(values)
    if version == 1:
        values, version = [*values[:5], "No", *values[5:]], 2
    if version == 2:
        values, version = [*values, "256"], 3
    if version == 3:
        scale = SCALE_EACH if values[5] == "Yes" else SCALE_NONE
        values, version = [*values[:5], scale, "40.0", *values[6:]], 4
    if version == 4:
        images, scope, names, crop, box, scale, diameter, image_mode, weights, device, engine, dimension = values
        names = names.split(", ") if names else []
        values = [images, scope, str(len(names)), scale, image_mode, diameter, weights, dimension, device, engine]
        values += [value for name in names for value in (name, crop, box, diameter)]
        version = 5
    return values, version


class Settings:
    """The settings of MeasureMicrosnoopFeatures, a part of the module's class."""

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
        self.object_sets = []
        self.object_count = HiddenCount(self.object_sets, "Number of object sets")
        self.add_button = DoSomething(
            "Measure several kinds of objects",
            "Add another object set",
            self.add_object_set,
            doc="""\
*(Used only when objects are measured)*

Adds another set of objects, for example *Cells* beside *Nuclei*, with a box
of a size of its own.
""",
        )
        self.suggest_button = DoSomething(
            "Sizes that suit the objects",
            "Suggest sizes",
            self.on_suggest_sizes,
            doc="""\
*(Used only when objects are measured)*

Run this module once in test mode, then press the button. It enters, for
each object set, the typical diameter of the objects of that image (the median
of their longer sides), and the size of the box that suits the objects by
their name and their area: {nucleus} for nuclei, {cell} for whole cells.
""".format(nucleus=NUCLEUS_BOX, cell=CELL_BOX),
        )
        self.last_sizes = {}
        self.objects_end = Divider(line=True)
        self.scale = Choice(
            "How to scale the boxes",
            [SCALE_EACH, SCALE_DIAMETER, SCALE_NONE],
            doc="""\
The network knows objects of some size best.

-  *{each}:* every box fills what the network sees, so that how large an
   object is does not count. Keep **MeasureObjectSizeShape** in the pipeline
   for that. The default.
-  *{diameter}:* all boxes of an object set (and the tiles of whole images) are
   scaled by the same factor, so that the box around an object of the typical
   diameter fills the view. Large objects stay larger than small ones.
-  *{none}:* the pixels are left as they are.

Tiles of whole images are scaled with *{diameter}* only; a whole image that is
rescaled never is.

Features of different scales cannot be compared: choose one for all images of
a screen.
""".format(each=SCALE_EACH, diameter=SCALE_DIAMETER, none=SCALE_NONE),
        )
        self._create_image_settings()
        self._create_engine_settings()
        self.add_object_set()

    def _create_image_settings(self):
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
        self.image_diameter = Float(
            "Typical diameter of objects in the tiles, in pixels",
            40.0,
            minval=1,
            maxval=10000,
            doc="""\
*(Used only for tiles, with "{diameter}")*

The longer side of a typical nucleus. Tiles are scaled as boxes around such
nuclei are. Use the same number for all images that you want to compare.
""".format(diameter=SCALE_DIAMETER),
        )

    def _create_engine_settings(self):
        self.divider = Divider()
        self.weights = CustomChoice(
            "Network (weights)",
            ["fast", "base", "fast+base"],
            doc="""\
The network that turns boxes into numbers. Features of different networks
cannot be compared.

-  *fast:* the compact network, the default. It costs about a nineteenth of
   the other one and tells cells apart as well.
-  *base:* the network of the Microsnoop paper, trained on the same images.
-  *fast+base:* both, one after the other: 512 numbers per channel.
-  a weights file of your own (.safetensors): choose it with the button below,
   or type its path.
""",
        )
        self.weights_button = DoSomething(
            "Use weights of your own",
            "Choose a weights file...",
            self.on_choose_weights,
            doc="""\
Chooses a weights file (.safetensors). Its card (.json) must be beside it.
""",
        )
        self.dimension = Integer(
            "Numbers per channel",
            256,
            minval=1,
            doc="""\
How many numbers the network makes for each channel: 256 for those that come
with the engine. You need not type it: *Test engine* and the start of a run
take it from the network.
""",
        )
        self.device = Choice(
            "Device (auto takes the graphics card, if there is one)",
            ["auto", "cpu", "cuda", "mps"],
            doc="""\
Where the network runs. *auto* takes the graphics card where there is one
(*cuda*: NVIDIA, *mps*: Apple), and the processor (*cpu*) otherwise.
""",
        )
        self.engine_path = Text(
            "Engine (leave blank to find it)",
            "",
            doc="""\
Leave blank to let CellProfiler find the engine. Otherwise the Python that
holds it, its environment's folder, or the ``microsnoop`` command. When
blank, these are tried in turn: the environment variable
``MICROSNOOP_PYTHON``, the Python recorded by
``microsnoop install cellprofiler``, and ``microsnoop`` on the PATH.
""",
        )
        self.engine_buttons = DoThings(
            "Use an engine elsewhere",
            [("Choose its folder...", self.on_choose_engine_folder), ("Choose its program...", self.on_choose_engine)],
            doc="""\
Chooses the folder of the environment into which microsnoop was installed, or
the program (*python* or *microsnoop*) in it.
""",
        )
        self.test_button = DoSomething(
            "Check that the engine works",
            "Test engine",
            self.on_test_engine,
            doc="""\
Starts the engine with the settings above, and shows its version, weights
and device, or what is wrong.
""",
        )

    def add_object_set(self):
        """Add the settings of one more object set."""
        group = SettingsGroup()
        group.append(
            "name",
            LabelSubscriber(
                "Select objects to measure",
                "None",
                doc="""\
*(Used only when objects are measured)*

Select a set of objects. Nuclei are usually found best; with a box of twice
their size, the cell around them is measured too. Choosing objects enters the
size of the box that suits their name.
""",
            ),
        )
        group.append(
            "crop",
            Choice(
                "What the network sees of each object",
                [CROP_BOX, CROP_OBJECT],
                doc="""\
*(Used only when objects are measured)*

-  *{box}:* everything in the box around the object, neighbors and
   background included. The default, and how the network was trained.
-  *{masked}:* everything outside the object is set to zero, so that
   neighbors cannot leak into the measurement. Choose it for crowded cells
   whose outlines you trust, and for a cytoplasm, which has the same box as
   its cell.
""".format(box=CROP_BOX, masked=CROP_OBJECT),
            ),
        )
        group.append(
            "rescale_constant",
            Float(
                "Size of the box around each object (half its width, in object lengths)",
                NUCLEUS_BOX,
                minval=0.1,
                maxval=20,
                doc="""\
*(Used only when objects are measured)*

How large the box around an object is: **half** its width, in units of the
object's longer side (the *rescale constant* of the paper). {nucleus} suits
**nuclei**: the box is four nuclei wide and takes in the cell around. For
**whole cells** choose {cell}: the box is 1.2 cells wide.
""".format(nucleus=NUCLEUS_BOX, cell=CELL_BOX),
            ),
        )
        group.append(
            "diameter",
            Float(
                "Typical diameter of these objects, in pixels",
                40.0,
                minval=1,
                maxval=10000,
                doc="""\
*(Used only with "{diameter}")*

The longer side of a typical object of this set. Run this module once in test
mode and press *Suggest sizes* to take it from the objects of that image.
Use the same number for all images that you want to compare.
""".format(diameter=SCALE_DIAMETER),
            ),
        )
        group.divider = Divider(line=True)
        group.remove_button = RemoveSettingButton(
            "Measure these objects no longer",
            "Remove this object set",
            self.object_sets,
            group,
            doc="Removes the settings of these objects.",
        )
        self.object_sets.append(group)

    def settings(self):
        """Settings as stored in a pipeline file."""
        return [
            self.images_list,
            self.scope,
            self.object_count,
            self.scale,
            self.image_mode,
            self.image_diameter,
            self.weights,
            self.dimension,
            self.device,
            self.engine_path,
            *(setting for group in self.object_sets for setting in group.settings),
        ]

    def prepare_settings(self, setting_values):
        """Make as many object sets as a pipeline file has."""
        del self.object_sets[:]
        for _ in range((len(setting_values) - FIXED_SETTINGS) // OBJECT_SETTINGS):
            self.add_object_set()

    def visible_settings(self):
        """Settings that matter for the chosen scope."""
        by_diameter = self.scale == SCALE_DIAMETER
        result = [self.images_list, self.scope]
        if self.measures_objects:
            for group in self.object_sets:
                result += [group.divider, group.name, group.crop, group.rescale_constant]
                result += [group.diameter] if by_diameter else []
                result += [group.remove_button] if len(self.object_sets) > 1 else []
            result += [self.add_button, self.suggest_button, self.objects_end]
        result += [self.scale]
        if self.measures_images:
            result += [self.image_mode]
            result += [self.image_diameter] if by_diameter and self.image_mode == IMAGE_TILE else []
        result += [self.divider, self.weights, self.weights_button, self.dimension, self.device]
        return [*result, self.engine_path, self.engine_buttons, self.test_button]

    def help_settings(self):
        """Settings in the help page."""
        group = self.object_sets[0] if self.object_sets else None
        return [
            self.images_list,
            self.scope,
            *(group.settings if group else []),
            self.add_button,
            self.suggest_button,
            self.scale,
            self.image_mode,
            self.image_diameter,
            self.weights,
            self.weights_button,
            self.dimension,
            self.device,
            self.engine_path,
            self.engine_buttons,
            self.test_button,
        ]

    def upgrade_settings(self, setting_values, variable_revision_number, module_name):
        """Adapt the settings of older versions of this module."""
        return upgraded(setting_values, variable_revision_number)

    def on_setting_changed(self, setting, pipeline):
        """Enter what suits the objects that were just selected, where the settings are still those suggested."""
        for group in self.object_sets:
            if setting is group.name and group.rescale_constant.value in (NUCLEUS_BOX, CELL_BOX):
                group.rescale_constant.value = suggested_box(group.name.value)
                group.crop.value = suggested_crop(group.name.value)

    @property
    def measures_objects(self):
        """Whether objects are measured."""
        return self.scope.value in (S_OBJECTS, S_BOTH)

    @property
    def measures_images(self):
        """Whether whole images are measured."""
        return self.scope.value in (S_IMAGE, S_BOTH)
