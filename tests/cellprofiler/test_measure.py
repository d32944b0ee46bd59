"""`run`: what is written, for objects and images of every kind, with the real engine."""

import logging
import os
import threading

import _microsnoop_client
import _microsnoop_columns
import cellprofiler_core.modules  # noqa: F401
import numpy as np
import pytest
from cellprofiler_core.image import Image
from cellprofiler_core.object import Objects
from cellprofiler_core.pipeline import Pipeline
from cellprofiler_host import (
    REPOSITORY,
    features_of,
    kill_once_busy,
    make_module,
    make_pipeline,
    make_workspace,
    run_engine_script,
    written,
)
from engine_processes import engines_of

RANDOM = np.random.RandomState(0)


def field(size=90):
    """A textured field with bright squares where `squares` puts its labels."""
    return RANDOM.rand(size, size) * 0.2


def squares(numbers, size=90):
    """Labels: a row of squares with these numbers."""
    labels = np.zeros((size, size), int)
    for position, number in enumerate(numbers):
        labels[10:22, 8 + 20 * position : 20 + 20 * position] = number
    return labels


@pytest.fixture(scope="module", autouse=True)
def engine(engine_python):
    """The engine of this process, which stays warm from test to test."""
    yield
    _microsnoop_client.close_engines()


@pytest.fixture
def no_engine():
    """For tests that look at the processes of engines: none when they begin."""
    _microsnoop_client.close_engines()


def run(module, images, objects=None):
    module.device.value = "cpu"
    workspace = make_workspace(module, images, objects)
    module.run(workspace)
    return workspace


def assert_written_as_declared(workspace):
    module, measurements = workspace.module, workspace.measurements
    declared = {
        column[:2] for column in module.get_measurement_columns(workspace.pipeline) if column[0] != "Experiment"
    }
    found = {
        (owner, feature)
        for owner in measurements.get_object_names()
        for feature in measurements.get_feature_names(owner)
        if feature.startswith("Microsnoop_")
    }
    assert found == declared


def test_objects():
    workspace = run(make_module(("DNA", "GFP")), {"DNA": field(), "GFP": field()}, {"Nuclei": squares([1, 2, 3])})
    values = written(workspace, "Nuclei")
    assert values.shape == (3, 512)
    assert values.dtype == np.float32
    assert np.isfinite(values).all()
    np.testing.assert_allclose(np.linalg.norm(values.reshape(3, 2, 256), axis=2), 1, atol=1e-3)
    assert_written_as_declared(workspace)
    assert list(workspace.measurements.get_current_measurement("Nuclei", "ObjectNumber")) == [1, 2, 3]


def test_each_channel_is_measured_by_itself():
    dna, gfp = field(), field()
    both = written(run(make_module(("DNA", "GFP")), {"DNA": dna, "GFP": gfp}, {"Nuclei": squares([1])}), "Nuclei")
    swapped = written(run(make_module(("GFP", "DNA")), {"DNA": dna, "GFP": gfp}, {"Nuclei": squares([1])}), "Nuclei")
    np.testing.assert_allclose(np.roll(both, 256, axis=1), swapped, atol=1e-5)


@pytest.mark.usefixtures("no_engine")
def test_no_objects():
    for labels in (squares([]), np.zeros((0, 3), int)):
        objects = Objects()
        if labels.shape[1] == 3:
            objects.set_ijv(labels, shape=(90, 90))
        else:
            objects.segmented = labels
        workspace = run(make_module(("DNA", "GFP")), {"DNA": field(), "GFP": field()}, {"Nuclei": objects})
        assert_written_as_declared(workspace)
        assert written(workspace, "Nuclei").size == 0
    assert not engines_of(os.getpid()), "no engine is needed where there are no objects"


def test_gaps_in_the_labels_are_nan():
    whole = written(run(make_module(), {"DNA": (image := field())}, {"Nuclei": squares([1, 2, 3])}), "Nuclei")
    gaps = written(run(make_module(), {"DNA": image}, {"Nuclei": squares([2, 5, 3])}), "Nuclei")
    assert gaps.shape == (5, 256)
    assert np.isnan(gaps[[0, 3]]).all()
    np.testing.assert_allclose(gaps[[1, 4, 2]], whole, atol=1e-5)


def test_overlapping_objects():
    image = field()
    single = [np.zeros((90, 90), int) for _ in range(2)]
    single[0][10:30, 10:30] = 1
    single[1][20:40, 20:40] = 1
    apart = [written(run(make_module(), {"DNA": image}, {"Nuclei": labels}), "Nuclei")[0] for labels in single]
    ijv = np.vstack([np.c_[np.argwhere(labels), np.full(400, number)] for number, labels in enumerate(single, 1)])
    objects = Objects()
    objects.set_ijv(ijv, shape=(90, 90))
    assert len(objects.get_labels()) == 2
    together = written(run(make_module(), {"DNA": image}, {"Nuclei": objects}), "Nuclei")
    np.testing.assert_allclose(together, apart, atol=1e-5)


def test_pieces_of_an_object_are_one_object():
    """A cytoplasm in two halves, alone in its field; merged objects far apart."""
    image, whole = field(), np.zeros((90, 90), int)
    whole[20:40, 10:80], whole[60:80, 5:25] = 1, 2
    pieces = whole.copy()
    pieces[20:40, 18:76] = 0
    for objects in ([1], [1, 2]):
        found, want = (
            written(
                run(make_module(), {"DNA": image}, {"Nuclei": np.where(np.isin(labels, objects), labels, 0)}), "Nuclei"
            )
            for labels in (pieces, whole)
        )
        np.testing.assert_allclose(found, want, atol=1e-5)


def test_two_object_sets_and_the_image():
    module = make_module(("DNA",), ("Nuclei", "Cells"), "Both")
    workspace = run(module, {"DNA": field()}, {"Nuclei": squares([1, 2]), "Cells": squares([1, 2, 3])})
    assert_written_as_declared(workspace)
    assert written(workspace, "Nuclei").shape == (2, 256)
    assert written(workspace, "Cells").shape == (3, 256)
    assert written(workspace, "Image").shape == (256,)
    np.testing.assert_allclose(written(workspace, "Nuclei"), written(workspace, "Cells")[:2], atol=1e-5)


def test_the_whole_image_needs_no_objects():
    module = make_module(("DNA", "GFP"), (), "Whole image")
    workspace = run(module, {"DNA": field(), "GFP": field()})
    assert_written_as_declared(workspace)
    assert np.isfinite(written(workspace, "Image")).all()


def test_settings_reach_the_engine():
    image, labels = field(300), np.zeros((300, 300), int)
    labels[100:140, 100:140] = 1

    def values(scope, **settings):
        module = make_module(scope=scope)
        for name, value in settings.items():
            owner = module if hasattr(module, name) else module.object_sets[0]
            getattr(owner, name).value = value
        workspace = run(module, {"DNA": image}, {"Nuclei": labels})
        return written(workspace, "Image" if scope == "Whole image" else "Nuclei")

    default = values("Objects")
    assert np.abs(default - values("Objects", crop="Masked object")).max() > 1e-3
    assert np.abs(default - values("Objects", rescale_constant=0.6)).max() > 1e-3
    assert np.abs(default - values("Objects", scale="Leave the pixels as they are")).max() > 1e-3
    by_diameter = {"scale": "The same for all, by a typical diameter"}
    assert np.abs(default - values("Objects", **by_diameter, diameter=25)).max() > 1e-3
    np.testing.assert_allclose(values("Objects", **by_diameter, diameter=40), default, atol=1e-3)
    assert np.abs(values("Whole image") - values("Whole image", **by_diameter, image_diameter=25)).max() > 1e-3
    assert np.abs(values("Whole image") - values("Whole image", image_mode="Rescale")).max() > 1e-3


SCALED = """
import sys
import numpy as np
from microsnoop_engine import CropSettings, Embedder, measure
arrays = np.load(sys.argv[1])
embedder, image = Embedder(device="cpu"), arrays["image"]
settings = [CropSettings(diameter=25), CropSettings(scale="each"), CropSettings(scale="none")]
found = [measure(embedder, image, arrays["labels"], chosen).features for chosen in settings]
tiles = measure(embedder, image, settings=CropSettings(mode="tile", diameter=25)).features
np.savez(sys.argv[2], found=found, tiles=tiles)
"""


def test_every_scale_gives_what_the_engine_gives(engine_python, tmp_path):
    image, labels = field(260).astype(np.float32), np.zeros((260, 260), np.int32)
    labels[40:60, 40:64], labels[100:140, 120:150], labels[180:190, 60:72] = 1, 2, 3
    np.savez(tmp_path / "arrays.npz", image=image, labels=labels)
    run_engine_script(engine_python, SCALED, tmp_path / "arrays.npz", tmp_path / "found.npz")
    module = make_module(scope="Both")
    module.object_sets[0].diameter.value = module.image_diameter.value = 25
    scales = ("The same for all, by a typical diameter", "Fit every box to the view", "Leave the pixels as they are")
    with np.load(tmp_path / "found.npz") as expected:
        for scale, want in zip(scales, expected["found"]):
            module.scale.value = scale
            workspace = run(module, {"DNA": image}, {"Nuclei": labels})
            np.testing.assert_allclose(written(workspace, "Nuclei"), want, atol=1e-4, err_msg=scale)
            if module.scale == scales[0]:
                np.testing.assert_allclose(written(workspace, "Image"), expected["tiles"][0], atol=1e-4)


def test_every_object_set_has_a_box_of_its_own(engine_python, tmp_path):
    image = field(200)
    nuclei, cells = np.zeros((200, 200), int), np.zeros((200, 200), int)
    nuclei[60:80, 60:84], nuclei[130:150, 130:144] = 1, 2
    cells[50:110, 45:100], cells[115:170, 120:175] = 1, 2
    sets = {"Nuclei": (nuclei, "Box", 2.0), "Cells": (cells, "Box", 0.6), "Cytoplasm": (cells, "Masked object", 0.6)}
    apart = {}
    for name, (labels, crop, size) in sets.items():
        module = make_module(objects=(name,))
        module.object_sets[0].crop.value, module.object_sets[0].rescale_constant.value = crop, size
        apart[name] = written(run(module, {"DNA": image}, {name: labels}), name)
    module = make_module(objects=tuple(sets))
    for group, (_, crop, size) in zip(module.object_sets, sets.values()):
        group.crop.value, group.rescale_constant.value = crop, size
    workspace = run(module, {"DNA": image}, {name: labels for name, (labels, _, _) in sets.items()})
    assert_written_as_declared(workspace)
    for name in sets:
        np.testing.assert_allclose(written(workspace, name), apart[name], atol=1e-5, err_msg=name)


OLD_SETTINGS = """
import sys
import numpy as np
from microsnoop_engine import CropSettings, Embedder, measure
arrays, embedder = np.load(sys.argv[1]), Embedder("fast", device="cpu")
chosen = {"scale": "each"} if sys.argv[3] in "23" else {"scale": "none"} if sys.argv[3] == "1" else {"diameter": 25.5}
objects = CropSettings(rescale_constant=0.8, mask="object", **chosen)
found = [measure(embedder, arrays["image"], arrays[name], objects).features for name in ("Nuclei", "Cells")]
tiles = CropSettings(mode="tile", **(chosen if "diameter" in chosen else {}))
image = measure(embedder, arrays["image"], settings=tiles).features[0]
np.savez(sys.argv[2], Nuclei=found[0], Cells=found[1], Image=image)
"""
"""What the older versions of the module asked the engine for with the settings of tests/data/cellprofiler."""


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_a_pipeline_of_an_older_version_gives_the_same_numbers(version, engine_python, tmp_path):
    pipeline = Pipeline()
    pipeline.load(str(REPOSITORY / "tests" / "data" / "cellprofiler" / f"version-{version}.cppipe"))
    (module,) = pipeline.modules()
    images = {name: field(260).astype(np.float32) for name in ("DNA", "GFP")}
    objects = {"Nuclei": np.zeros((260, 260), np.int32), "Cells": np.zeros((260, 260), np.int32)}
    objects["Nuclei"][40:60, 40:64], objects["Nuclei"][100:140, 120:150] = 1, 2
    objects["Cells"][30:90, 30:94] = 1
    np.savez(tmp_path / "arrays.npz", image=np.stack(list(images.values())), **objects)
    run_engine_script(engine_python, OLD_SETTINGS, tmp_path / "arrays.npz", tmp_path / "found.npz", version)
    workspace = make_workspace(module, images, objects, pipeline)
    module.run(workspace)
    with np.load(tmp_path / "found.npz") as expected:
        for name in ("Nuclei", "Cells", "Image"):
            np.testing.assert_allclose(written(workspace, name), expected[name], atol=1e-4, err_msg=name)


def test_the_button_takes_sizes_from_the_objects(caplog):
    module = make_module(objects=("Nuclei", "Blobs", "Spots"))
    with caplog.at_level(logging.INFO):
        module.suggest_button.on_event_fired()
    assert "No objects were measured yet: start test mode" in caplog.text
    assert [group.diameter.value for group in module.object_sets] == [40, 40, 40]
    nuclei, blobs = np.zeros((120, 120), int), np.zeros((120, 120), int)
    nuclei[5:15, 5:25], nuclei[40:71, 40:60], nuclei[80:86, 90:100] = 1, 2, 3
    blobs[2:90, 2:90] = 1
    run(module, {"DNA": field(120)}, {"Nuclei": nuclei, "Blobs": blobs, "Spots": nuclei})
    with caplog.at_level(logging.INFO):
        module.suggest_button.on_event_fired()
    assert [group.diameter.value for group in module.object_sets] == [20, 88, 20]
    assert [group.rescale_constant.value for group in module.object_sets] == [2.0, 0.6, 2.0], "by name, then by area"
    assert "Blobs: typical diameter 88 pixels, size of the box 0.6" in caplog.text


@pytest.mark.parametrize(("crop", "warned"), [("Box", True), ("Masked object", False)])
def test_object_sets_with_identical_boxes_are_warned_of(crop, warned, caplog):
    module = make_module(objects=("Cells", "Cytoplasm"))
    module.object_sets[1].crop.value = crop
    module.show_window = True
    cells = squares([1, 2])
    cytoplasm = cells.copy()
    cytoplasm[14:18, 12:16] = cytoplasm[14:18, 32:36] = 0
    with caplog.at_level(logging.WARNING):
        workspace = run(module, {"DNA": field()}, {"Cells": cells, "Cytoplasm": cytoplasm})
    assert ("Cytoplasm have the same boxes as Cells, so the same features" in caplog.text) is warned
    assert ("The same boxes as Cells" in workspace.display_data.panels[1]["note"]) is warned


@pytest.mark.parametrize("offset", [0, 0.5])
def test_masked_pixels_count_as_the_least_pixel(offset):
    image, mask = field(), np.ones((90, 90), bool)
    mask[:, :14] = False
    masked = run(make_module(), {"DNA": Image(image + offset, mask=mask)}, {"Nuclei": squares([1])})
    filled = run(make_module(), {"DNA": np.where(mask, image, image[mask].min())}, {"Nuclei": squares([1])})
    np.testing.assert_allclose(written(masked, "Nuclei"), written(filled, "Nuclei"), atol=1e-3)


def test_gray_images_that_are_stored_as_color_or_binary_are_measured():
    gray = field()
    stored = run(make_module(), {"DNA": np.dstack([gray] * 3)}, {"Nuclei": squares([1])})
    plain = run(make_module(), {"DNA": gray}, {"Nuclei": squares([1])})
    np.testing.assert_allclose(written(stored, "Nuclei"), written(plain, "Nuclei"), atol=1e-4)
    binary = run(make_module(), {"DNA": gray > 0.1}, {"Nuclei": squares([1])})
    assert np.isfinite(written(binary, "Nuclei")).all()


def test_what_cannot_be_measured_is_nan_and_logged(caplog):
    image = field(200)
    image[:, 100:] = 0.5
    labels = np.zeros((200, 200), int)
    labels[20:60, 20:60] = 1
    labels[20:60, 140:180] = 2
    labels[150:151, 20:21] = 3
    module = make_module()
    module.object_sets[0].rescale_constant.value = 0.6
    module.show_window = True
    with caplog.at_level(logging.WARNING):
        workspace = run(module, {"DNA": image}, {"Nuclei": labels})
    values = written(workspace, "Nuclei")
    assert np.isfinite(values[0]).all()
    assert np.isnan(values[1:]).all()
    assert "Nuclei in image set 1: 2 NaN: no contrast in the box (DNA)" in caplog.text
    assert workspace.display_data.panels[0]["note"] == "2 NaN: no contrast in the box (DNA)"


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        ({"DNA": RANDOM.rand(90, 90, 3)}, squares([1]), 'image "DNA" is a color image.*ColorToGray'),
        ({"DNA": Image(RANDOM.rand(4, 90, 90), dimensions=3)}, squares([1]), 'image "DNA" is 3-D.*"Process as 3D'),
        (
            {"DNA": RANDOM.rand(90, 90), "GFP": RANDOM.rand(80, 70)},
            squares([1]),
            r'"DNA" \(90 x 90 pixels\) and "GFP" \(70 x 80 pixels\) differ in size',
        ),
        (
            {"DNA": RANDOM.rand(80, 90)},
            squares([1]),
            r'objects "Nuclei" \(90 x 90 pixels\) and the image "DNA" \(90 x 80 pixels\) differ in size',
        ),
    ],
)
def test_images_that_cannot_be_measured_are_refused(images, labels, message):
    with pytest.raises(ValueError, match=message):
        run(make_module(tuple(images)), images, {"Nuclei": labels})


@pytest.mark.usefixtures("no_engine")
def test_an_engine_that_crashes_fails_one_image_set_and_the_next_recovers():
    module = make_module()
    module.device.value = "cpu"
    module.object_sets[0].rescale_constant.value = 20
    many = np.kron(np.arange(1, 2501).reshape(50, 50), np.ones((6, 6), int))
    workspace = make_workspace(module, {"DNA": field(300)}, {"Nuclei": many})
    crashing = module.engine()
    killer = threading.Thread(target=kill_once_busy, args=(crashing.pid, crashing.info["folder"]))
    killer.start()
    with pytest.raises(_microsnoop_client.EngineError, match="while it measured objects: it was ended from outside"):
        module.run(workspace)
    killer.join()
    workspace = run(module, {"DNA": field()}, {"Nuclei": squares([1])})
    assert np.isfinite(written(workspace, "Nuclei")).all()
    assert crashing.pid not in [engine.pid for engine in engines_of(os.getpid())]
    module.post_run(workspace)
    assert not engines_of(os.getpid())


@pytest.mark.usefixtures("no_engine")
def test_engines_follow_the_settings_of_the_pipeline():
    first, second = make_module(), make_module(("GFP",), number=2)
    pipeline = make_pipeline(first, second)
    first.device.value = second.device.value = "cpu"
    shared = first.engine(pipeline)
    assert second.engine(pipeline) is shared, "the same settings, the same engine"
    second.weights.value = "base"
    other = second.engine(pipeline)
    assert shared.alive
    assert first.engine(pipeline) is shared, "a second network needs an engine of its own"
    second.weights.value = "fast"
    assert second.engine(pipeline) is shared
    assert not other.alive
    assert [process.pid for process in engines_of(os.getpid())] == [shared.pid]


@pytest.mark.usefixtures("no_engine")
def test_the_engine_ends_with_test_mode_which_runs_no_post_run():
    module = make_module()
    module.device.value = "cpu"
    workspace = make_workspace(module, {"DNA": field()}, {"Nuclei": squares([1])})
    workspace.pipeline.test_mode = True
    module.run(workspace)
    (process,) = engines_of(os.getpid())
    module.run(workspace)
    assert engines_of(os.getpid()) == [process]
    workspace.pipeline.test_mode = False
    workspace.pipeline.end_run()
    assert not engines_of(os.getpid())


def test_unknown_weights_say_so():
    module = make_module()
    module.weights.value = "no-such-weights"
    workspace = make_workspace(module, {"DNA": field()}, {"Nuclei": squares([1])})
    assert module.prepare_run(workspace) is False
    (error,) = workspace.pipeline.errors
    assert "no-such-weights" in error.message


@pytest.fixture
def small_weights(engine_python, tmp_path):
    """Untrained weights that make 32 features per channel."""
    script = (
        "import sys; from pathlib import Path; from microsnoop_engine.model.checkpoints import Card, save_weights; "
        "from microsnoop_engine.model.registry import make_network; "
        "state = make_network('vit', 32, decoder=False).state_dict(); "
        "card = Card('small', architecture='vit', dimension=32); "
        "save_weights({name: value.numpy() for name, value in state.items()}, card, Path(sys.argv[1]))"
    )
    run_engine_script(engine_python, script, tmp_path / "small.safetensors")
    return str(tmp_path / "small.safetensors")


def test_the_dimension_comes_from_the_weights(small_weights):
    module = make_module(("DNA", "GFP"))
    module.device.value = "cpu"
    module.weights.value = small_weights
    workspace = make_workspace(module, {"DNA": field(), "GFP": field()}, {"Nuclei": squares([1, 2])})
    with pytest.raises(
        ValueError, match=r'make 64 features for 2 image\(s\), but 512 were declared. Press "Test engine"'
    ):
        module.run(workspace)
    assert module.prepare_run(workspace) is True
    assert module.dimension.value == 32
    module.run(workspace)
    values = written(workspace, "Nuclei")
    assert values.shape == (2, 64)
    assert np.isfinite(values).all()
    again = make_module()
    again.device.value, again.weights.value = module.device.value, small_weights
    again.test_button.on_event_fired()
    assert again.dimension.value == 32
    module.post_run(workspace)


@pytest.mark.usefixtures("no_engine")
def test_prepare_run_notes_the_engine_and_post_run_ends_it():
    module = make_module()
    module.device.value = "cpu"
    workspace = make_workspace(module, {"DNA": field()}, {"Nuclei": squares([1])})
    assert module.prepare_run(workspace) is True
    (process,) = engines_of(os.getpid())
    declared = features_of(workspace, "Experiment")
    noted = {name: workspace.measurements.get_experiment_measurement(name) for name in declared}
    assert noted["Microsnoop_Weights"] == "microsnoop-fast"
    assert len(noted["Microsnoop_WeightsSHA256"]) == 64
    assert noted["Microsnoop_Version"]
    module.run(workspace)
    assert engines_of(os.getpid()) == [process], "one engine serves the whole run"
    module.post_run(workspace)
    assert not engines_of(os.getpid())


@pytest.mark.usefixtures("no_engine")
def test_the_test_button_says_what_the_engine_is(caplog, tmp_path):
    module = make_module()
    module.device.value = "cpu"
    with caplog.at_level(logging.INFO):
        module.test_button.on_event_fired()
    assert "The engine works: microsnoop" in caplog.text
    assert "microsnoop-fast" in caplog.text
    assert not engines_of(os.getpid())
    module.engine_path.value = str(tmp_path / "nowhere")
    with caplog.at_level(logging.INFO):
        module.test_button.on_event_fired()
    assert "nowhere" in caplog.text


def test_the_log_says_how_long_the_engine_took(caplog):
    with caplog.at_level(logging.INFO):
        run(make_module(), {"DNA": field()}, {"Nuclei": squares([1])})
    assert "image set 1 took" in caplog.text
    assert "of which the engine" in caplog.text


def test_columns_are_written_without_hdf5_dict_too():
    class Plain:
        image_set_number = 1

        def __init__(self):
            self.added = {}

        def add_measurement(self, name, feature, values, data_type=None):
            self.added[name, feature] = np.asarray(values, data_type)

    measurements = Plain()
    _microsnoop_columns.write_measurements(measurements, "Nuclei", ["A", "B"], np.array([[1, 2], [3, 4]]))
    assert [list(values) for values in measurements.added.values()] == [[1, 2], [3, 4]]
