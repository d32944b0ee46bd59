"""Settings, help, validation and declared columns: everything that needs no engine."""

import io

import _microsnoop_client
import docutils.core
import numpy as np
import pytest
from cellprofiler_core.constants.measurement import COLTYPE_FLOAT
from cellprofiler_core.pipeline import Pipeline
from cellprofiler_core.setting import ValidationError
from cellprofiler_core.utilities.core.modules import instantiate_module
from cellprofiler_host import make_module, make_pipeline, make_workspace


@pytest.fixture
def some_engine(monkeypatch, stub):
    """Something that is taken for an engine as long as nobody starts it."""
    monkeypatch.setenv("MICROSNOOP_PYTHON", stub("raise SystemExit"))


def make_export(objects_table="One table per object type", number=2, means=False):
    export = instantiate_module("ExportToDatabase")
    export.separate_object_tables.value = objects_table
    export.wants_agg_mean.value = means
    export.set_module_num(number)
    return export


def test_settings_survive_a_pipeline_file():
    module = make_module(("DNA", "GFP"), ("Nuclei", "Cells"), "Both")
    module.crop.value = "Masked object"
    module.rescale_constant.value = 0.6
    module.scale.value = "The same for all, by a typical diameter"
    module.diameter.value = 33.5
    module.image_mode.value = "Rescale"
    module.weights.value = "my weights.safetensors"
    module.dimension.value = 64
    module.device.value = "cpu"
    module.engine_path.value = "C:\\Users\\me\\my env\\python.exe"
    file = io.StringIO()
    make_pipeline(module).dump(file)
    loaded = Pipeline()
    loaded.loadtxt(io.StringIO(file.getvalue()), raise_on_error=True)
    (again,) = loaded.modules()
    assert again.variable_revision_number == 4
    assert [setting.get_value() for setting in again.settings()] == [
        setting.get_value() for setting in module.settings()
    ]
    assert again.engine_path.value == module.engine_path.value


OLD_PIPELINE = """\
CellProfiler Pipeline: http://www.cellprofiler.org
Version:5
DateRevision:428
GitHash:
ModuleCount:1
HasImagePlaneDetails:False

MeasureMicrosnoopFeatures:[module_num:1|svn_version:'Unknown'|variable_revision_number:{version}|show_window:False|\
notes:[]|batch_state:array([], dtype=uint8)|enabled:True|wants_pause:False]
    Select images to measure:DNA, GFP
    Measure objects, whole images, or both?:Both
    Select objects to measure:Nuclei
    What to show the network:Masked object
    Rescale constant:0.6
{same_size}    How to measure whole images:Rescale
    Weights:microsnoop-base
    Device:cpu
    Engine:
{dimension}"""
"""A pipeline file as the module wrote it before it could scale by a typical diameter."""


@pytest.mark.parametrize(
    ("version", "same_size", "scale"),
    [
        (1, "", "Leave the pixels as they are"),
        (2, "No", "Leave the pixels as they are"),
        (2, "Yes", "Fit every box to the view"),
        (3, "No", "Leave the pixels as they are"),
        (3, "Yes", "Fit every box to the view"),
    ],
)
def test_a_pipeline_of_an_older_version_is_read(version, same_size, scale):
    text = OLD_PIPELINE.format(
        version=version,
        same_size=f"    Resize all boxes to the same size?:{same_size}\n" if version > 1 else "",
        dimension="    Features per channel:64\n" if version > 2 else "",
    )
    loaded = Pipeline()
    loaded.loadtxt(io.StringIO(text), raise_on_error=True)
    (module,) = loaded.modules()
    assert module.scale.value == scale
    assert module.crop.value == "Masked object"
    assert module.rescale_constant.value == 0.6
    assert module.image_mode.value == "Rescale"
    assert module.weights.value == "microsnoop-base"
    assert module.device.value == "cpu"
    assert module.dimension.value == (64 if version > 2 else 256)
    assert (module.diameter in module.visible_settings()) is False


def test_defaults():
    module = instantiate_module("MeasureMicrosnoopFeatures")
    assert (module.scope.value, module.crop.value, module.image_mode.value) == ("Objects", "Box", "Tile")
    assert module.rescale_constant.value == 2.0
    assert module.scale.value == "Fit every box to the view"
    assert module.weights.value == "fast"
    assert module.engine_path.value == ""


@pytest.mark.parametrize(("scope", "objects", "images"), [("Objects", 1, 0), ("Whole image", 0, 1), ("Both", 1, 1)])
def test_only_settings_that_matter_are_visible(scope, objects, images):
    module = make_module(scope=scope)
    visible = module.visible_settings()
    for setting in (module.objects_list, module.crop, module.rescale_constant):
        assert (setting in visible) == objects
    assert (module.image_mode in visible) == images
    assert module.test_button in visible
    assert module.diameter not in visible
    module.scale.value = "The same for all, by a typical diameter"
    assert module.diameter in module.visible_settings()
    assert (module.diameter_button in module.visible_settings()) == objects


def test_help_is_valid_rest_with_the_usual_sections():
    module = make_module()
    text, settings = module.get_help_text()
    for section in (
        "What do I need as input?",
        "What do I get as output?",
        "Measurements made by this module",
    ):
        assert section in text
    for source in [text, *(doc for _, doc in settings)]:
        docutils.core.publish_parts(source, writer_name="html", settings_overrides={"halt_level": 2})
    assert "half" in module.rescale_constant.doc
    assert "0.6" in module.rescale_constant.doc
    assert module.get_help()


def test_declared_columns():
    module = make_module(("DNA", "GFP"), ("Nuclei", "Cells"), "Both")
    columns = module.get_measurement_columns(make_pipeline(module))
    assert len(set(columns)) == len(columns) == 3 * 512 + 3
    for owner in ("Nuclei", "Cells", "Image"):
        features = [feature for name, feature, kind in columns if name == owner and kind == COLTYPE_FLOAT]
        assert features[0] == "Microsnoop_E000_DNA"
        assert features[255:257] == ["Microsnoop_E255_DNA", "Microsnoop_E000_GFP"]
        assert len(features) == 512
    assert [feature for name, feature, _ in columns if name == "Experiment"] == [
        "Microsnoop_Version",
        "Microsnoop_Weights",
        "Microsnoop_WeightsSHA256",
    ]


def test_declared_columns_follow_the_weights():
    module = make_module(("DNA",), ("Nuclei",))
    pipeline = make_pipeline(module)
    assert len(module.get_measurements(pipeline, "Nuclei", "Microsnoop")) == 256
    module.dimension.value = 1024
    features = [column[1] for column in pipeline.get_measurement_columns() if column[0] == "Nuclei"]
    assert (features[0], features[-1], len(features)) == ("Microsnoop_E000_DNA", "Microsnoop_E1023_DNA", 1024)
    assert module.get_measurements(pipeline, "Nuclei", "Microsnoop")[-1] == "E1023"


def test_other_modules_can_pick_the_measurements():
    module = make_module(("DNA", "GFP"), ("Nuclei",), "Both")
    pipeline = make_pipeline(module)
    for owner in ("Nuclei", "Image"):
        assert module.get_categories(pipeline, owner) == ["Microsnoop"]
        features = module.get_measurements(pipeline, owner, "Microsnoop")
        assert len(features) == 256
        assert module.get_measurement_images(pipeline, owner, "Microsnoop", "E017") == ["DNA", "GFP"]
        declared = {feature for name, feature, _ in module.get_measurement_columns(pipeline) if name == owner}
        assert declared == {f"Microsnoop_{feature}_{image}" for feature in features for image in ("DNA", "GFP")}
    assert module.get_measurements(pipeline, "Experiment", "Microsnoop") == ["Version", "Weights", "WeightsSHA256"]
    assert module.get_measurement_images(pipeline, "Experiment", "Microsnoop", "Version") == []
    assert module.get_categories(pipeline, "Cells") == []
    assert module.get_measurements(pipeline, "Nuclei", "AreaShape") == []
    assert module.get_measurement_images(pipeline, "Nuclei", "Microsnoop", "E256") == []


def test_objects_are_not_declared_when_only_images_are_measured():
    module = make_module(scope="Whole image")
    assert {column[0] for column in module.get_measurement_columns(make_pipeline(module))} == {"Image", "Experiment"}


def test_a_second_module_has_experiment_names_of_its_own():
    first, second = make_module(), make_module(("GFP",), number=2)
    pipeline = make_pipeline(first, second)
    columns = [column[:2] for column in pipeline.get_measurement_columns()]
    assert len(set(columns)) == len(columns)
    assert ("Experiment", "Microsnoop_Weights_2") in columns


@pytest.mark.parametrize(
    ("images", "objects", "scope", "message"),
    [
        ((), ("Nuclei",), "Objects", 'No image is selected in "Select images to measure"'),
        (("DNA", "GFP", "DNA"), ("Nuclei",), "Objects", 'The image "DNA" is selected more than once'),
        (("DNA",), (), "Objects", 'No object set is selected in "Select objects to measure"'),
        (("DNA",), (), "Both", "No object set"),
        (("DNA",), ("Nuclei", "Nuclei"), "Objects", 'The object set "Nuclei" is selected more than once'),
    ],
)
def test_settings_that_cannot_work_are_refused(images, objects, scope, message):
    module = make_module(images, objects, scope)
    with pytest.raises(ValidationError, match=message):
        module.validate_module(make_pipeline(module))


def test_whole_images_need_no_objects():
    module = make_module(objects=(), scope="Whole image")
    module.validate_module(make_pipeline(module))


def test_measuring_the_same_twice_is_refused():
    first, second = make_module(("DNA", "GFP")), make_module(("GFP",), ("Cells", "Nuclei"), number=2)
    pipeline = make_pipeline(first, second)
    first.validate_module(pipeline)
    with pytest.raises(ValidationError, match=r'Nuclei is already measured in the image "GFP" by module #1'):
        second.validate_module(pipeline)


@pytest.mark.usefixtures("some_engine")
@pytest.mark.parametrize("value", ["0", "-1", "50", "two"])
def test_rescale_constant_out_of_range_is_refused(value):
    module = make_module()
    module.rescale_constant.set_value_text(value)
    with pytest.raises(ValidationError):
        module.rescale_constant.test_valid(make_pipeline(module))


@pytest.mark.usefixtures("some_engine")
class TestWarnings:
    def test_none_for_a_sound_pipeline(self):
        module, export = make_module(("DNA", "GFP"), ("Nuclei", "Cells"), "Both"), make_export()
        module.validate_module_warnings(make_pipeline(module, export))

    @pytest.mark.parametrize(
        ("images", "objects", "table", "means", "message"),
        [
            (5, ("Nuclei", "Cells"), "Single object table", False, r"256\d columns .* all objects; SQLite holds"),
            (5, ("Nuclei", "Cells"), "Single object view", False, 'Choose "One table per object type"'),
            (5, ("Nuclei", "Cells"), "One table per object type", True, "table of images.* Switch off the per-image"),
            (8, ("Nuclei",), "One table per object type", False, "table of Nuclei.* Measure fewer images"),
        ],
    )
    def test_too_many_columns_for_sqlite(self, images, objects, table, means, message):
        module = make_module([f"C{number}" for number in range(images)], objects)
        pipeline = make_pipeline(module, make_export(table, means=means))
        with pytest.raises(ValidationError, match=message):
            module.validate_module_warnings(pipeline)

    def test_per_well_aggregates_count(self):
        module, export = make_module([f"C{number}" for number in range(5)], ("Nuclei", "Cells")), make_export()
        export.wants_agg_mean_well.value = True
        with pytest.raises(ValidationError, match="Switch off the per-well"):
            module.validate_module_warnings(make_pipeline(module, export))

    def test_objects_that_are_not_exported_do_not_count(self):
        module = make_module([f"C{number}" for number in range(5)], ("Nuclei", "Cells"))
        export = make_export("Single object table")
        export.objects_choice.value = "Select..."
        export.objects_list.value = "Nuclei"
        module.validate_module_warnings(make_pipeline(module, export))

    def test_long_names(self):
        name = "MyVeryLongObjectName" * 2
        module = make_module(("OrigHoechst33342",), (name,))
        module.validate_module_warnings(make_pipeline(module))
        with pytest.raises(ValidationError, match=f'64 characters, and "{name}_Microsnoop_E255_OrigHoechst33342"'):
            module.validate_module_warnings(make_pipeline(module, make_export()))

    def test_name_at_the_limit_is_fine(self):
        module = make_module(("I" * 20,), ("O" * 27,))
        module.validate_module_warnings(make_pipeline(module, make_export()))


def test_a_missing_engine_is_a_warning_that_says_how_to_install_it(monkeypatch, tmp_path):
    monkeypatch.delenv("MICROSNOOP_PYTHON")
    monkeypatch.setenv("PATH", str(tmp_path))
    module = make_module()
    with pytest.raises(ValidationError, match=r"pip install \..*microsnoop install cellprofiler"):
        module.validate_module_warnings(make_pipeline(module))


def test_a_missing_engine_stops_the_run_before_the_first_image_set(tmp_path):
    module = make_module()
    module.engine_path.value = str(tmp_path / "nowhere" / "python")
    workspace = make_workspace(module, {"DNA": np.zeros((5, 5))})
    assert module.prepare_run(workspace) is False
    (error,) = workspace.pipeline.errors
    assert 'the setting "Engine" says' in error.message
    assert _microsnoop_client.INSTALL_HELP in error.message


def test_a_batch_can_be_made_where_there_is_no_engine(tmp_path):
    module = make_module()
    module.engine_path.value = str(tmp_path / "nowhere" / "python")
    batch = instantiate_module("CreateBatchFiles")
    batch.set_module_num(2)
    workspace = make_workspace(module, {"DNA": np.zeros((5, 5))}, pipeline=make_pipeline(module, batch))
    assert module.prepare_run(workspace) is True
    batch.batch_mode.value = True
    assert module.prepare_run(workspace) is False
