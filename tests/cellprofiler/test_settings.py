"""Settings, help, validation and declared columns: everything that needs no engine."""

import io

import _microsnoop_client
import docutils.core
import numpy as np
import pytest
from cellprofiler_core.constants.measurement import COLTYPE_FLOAT
from cellprofiler_core.pipeline import Pipeline
from cellprofiler_core.setting import Divider, ValidationError
from cellprofiler_core.utilities.core.modules import instantiate_module
from cellprofiler_host import REPOSITORY, make_module, make_pipeline, make_workspace


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
    nuclei, cells = module.object_sets
    nuclei.diameter.value = 33.5
    cells.crop.value = "Masked object"
    cells.rescale_constant.value = 0.6
    cells.diameter.value = 90.25
    module.scale.value = "The same for all, by a typical diameter"
    module.image_diameter.value = 30
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
    assert again.variable_revision_number == 5
    assert [group.name.value for group in again.object_sets] == ["Nuclei", "Cells"]
    assert [setting.get_value() for setting in again.settings()] == [
        setting.get_value() for setting in module.settings()
    ]
    assert again.engine_path.value == module.engine_path.value


OLD = REPOSITORY / "tests" / "data" / "cellprofiler"
"""Pipeline files as the older versions of the module wrote them."""
OLD_SCALES = {
    1: "Leave the pixels as they are",
    2: "Fit every box to the view",
    3: "Fit every box to the view",
    4: "The same for all, by a typical diameter",
}


def read_old(version, *changes):
    """The module of a pipeline file of an older version; changes are pairs of texts."""
    text = (OLD / f"version-{version}.cppipe").read_text()
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    pipeline = Pipeline()
    pipeline.loadtxt(io.StringIO(text), raise_on_error=True)
    (module,) = pipeline.modules()
    return module


@pytest.mark.parametrize("version", OLD_SCALES)
def test_a_pipeline_of_an_older_version_is_read(version):
    module = read_old(version)
    diameter = 25.5 if version == 4 else 40
    assert module.scale.value == OLD_SCALES[version]
    assert [group.name.value for group in module.object_sets] == ["Nuclei", "Cells"]
    for group in module.object_sets:
        assert group.crop.value == "Masked object"
        assert group.rescale_constant.value == 0.8
        assert group.diameter.value == diameter
    assert module.images_list.value == ["DNA", "GFP"]
    assert (module.scope.value, module.image_mode.value) == ("Both", "Tile")
    assert module.image_diameter.value == diameter
    assert (module.weights.value, module.device.value, module.engine_path.value) == ("fast", "cpu", "")
    assert module.dimension.value == 256


@pytest.mark.parametrize("version", [2, 3])
def test_boxes_that_were_not_resized_are_not(version):
    module = read_old(version, ("to the same size?:Yes", "to the same size?:No"))
    assert module.scale.value == "Leave the pixels as they are"


def test_an_older_pipeline_keeps_its_weights_and_may_have_no_objects():
    module = read_old(3, ("Weights:fast", "Weights:microsnoop-base"), ("to measure:Nuclei, Cells", "to measure:"))
    assert module.weights.value == "microsnoop-base"
    assert module.object_sets == []
    assert module.visible_settings()


def test_defaults():
    module = instantiate_module("MeasureMicrosnoopFeatures")
    (group,) = module.object_sets
    assert (module.scope.value, group.crop.value, module.image_mode.value) == ("Objects", "Box", "Tile")
    assert group.rescale_constant.value == 2.0
    assert module.scale.value == "Fit every box to the view"
    assert module.weights.value == "fast"
    assert module.engine_path.value == ""


@pytest.mark.parametrize(("scope", "objects", "images"), [("Objects", 1, 0), ("Whole image", 0, 1), ("Both", 1, 1)])
def test_only_settings_that_matter_are_visible(scope, objects, images):
    module = make_module(scope=scope)
    visible = module.visible_settings()
    (group,) = module.object_sets
    for setting in (group.name, group.crop, group.rescale_constant, module.add_button, module.suggest_button):
        assert (setting in visible) == objects
    assert (module.image_mode in visible) == images
    assert module.test_button in visible
    assert group.remove_button not in visible
    assert group.diameter not in visible
    module.scale.value = "The same for all, by a typical diameter"
    assert (group.diameter in module.visible_settings()) == objects
    assert (module.image_diameter in module.visible_settings()) == images
    module.image_mode.value = "Rescale"
    assert module.image_diameter not in module.visible_settings()


def test_object_sets_are_added_and_removed():
    module = make_module(("DNA",), ("Nuclei", "Cells"))
    module.add_button.on_event_fired()
    assert len(module.settings()) == 10 + 3 * 4
    nuclei, cells, third = module.object_sets
    assert all(group.remove_button in module.visible_settings() for group in module.object_sets)
    cells.remove_button.on_event_fired()
    assert module.object_sets == [nuclei, third]
    assert module.measured == ["Nuclei", "None"]


@pytest.mark.parametrize(
    ("name", "crop", "size"),
    [
        ("Nuclei", "Box", 2.0),
        ("CellNuclei", "Box", 2.0),
        ("Cells", "Box", 0.6),
        ("Cytoplasm", "Masked object", 0.6),
        ("Blobs", "Box", 2.0),
    ],
)
def test_selecting_objects_enters_the_box_that_suits_them(name, crop, size):
    module = make_module()
    (group,) = module.object_sets
    group.name.value = name
    module.on_setting_changed(group.name, None)
    assert (group.crop.value, group.rescale_constant.value) == (crop, size)
    group.rescale_constant.value = 1.1
    group.name.value = "Nuclei"
    module.on_setting_changed(group.name, None)
    assert group.rescale_constant.value == 1.1, "what the user entered stays"


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
    assert "half" in module.object_sets[0].rescale_constant.doc
    assert "0.6" in module.object_sets[0].rescale_constant.doc
    assert module.get_help()


def test_every_setting_has_a_heading_and_a_text_in_the_help():
    module = make_module(scope="Both")
    module.scale.value = "The same for all, by a typical diameter"
    for setting in module.visible_settings():
        if not isinstance(setting, Divider):
            assert setting in module.help_settings()
    headings = [text for text, _ in module.get_help_text()[1]]
    assert len(set(headings)) == len(headings)
    assert all(text.strip() and doc.strip() for text, doc in module.get_help_text()[1])
    assert not [text for text in headings if ":" in text], "a pipeline file has the value after the first colon"


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
        (("DNA",), ("None",), "Objects", 'No objects are selected in "Select objects to measure"'),
        (("DNA", "GFP", "DNA"), ("Nuclei",), "Objects", 'The image "DNA" is selected more than once'),
        (("DNA",), (), "Objects", 'No objects are measured: press "Add another object set"'),
        (("DNA",), (), "Both", "No objects are measured"),
        (("DNA",), ("Nuclei", "Nuclei"), "Objects", 'The objects "Nuclei" are selected more than once'),
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
    setting = module.object_sets[0].rescale_constant
    setting.set_value_text(value)
    with pytest.raises(ValidationError):
        setting.test_valid(make_pipeline(module))


@pytest.mark.usefixtures("some_engine")
class TestWarnings:
    def test_none_for_a_sound_pipeline(self):
        module, export = make_module(("DNA", "GFP"), ("Nuclei", "Cells"), "Both"), make_export()
        module.validate_module_warnings(make_pipeline(module, export))

    @pytest.mark.parametrize(
        ("crop", "size", "warned"), [("Box", 0.6, True), ("Masked object", 0.6, False), ("Box", 0.7, False)]
    )
    def test_identical_boxes_of_a_cell_and_its_cytoplasm(self, crop, size, warned):
        tertiary = instantiate_module("IdentifyTertiaryObjects")
        tertiary.secondary_objects_name.value = "Cells"
        tertiary.primary_objects_name.value = "Nuclei"
        tertiary.subregion_objects_name.value = "Rest"
        tertiary.set_module_num(1)
        module = make_module(("DNA",), ("Nuclei", "Cells", "Rest"), number=2)
        module.object_sets[1].rescale_constant.value = 0.6
        module.object_sets[2].rescale_constant.value = size
        module.object_sets[2].crop.value = crop
        pipeline = make_pipeline(tertiary, module)
        if not warned:
            module.validate_module_warnings(pipeline)
            return
        with pytest.raises(ValidationError, match=r'Rest have the same outlines as Cells.*choose "Masked object"'):
            module.validate_module_warnings(pipeline)

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
