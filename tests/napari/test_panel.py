"""The panel in napari's own window."""

import napari
import numpy as np
import pandas as pd
import pytest
from npe2 import PluginManager
from waiting import PATIENCE

from microsnoop_engine.images.synthetic import render_field


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer()


@pytest.fixture
def panel(viewer, npe2pm):
    image, labels = render_field("control", 0.0, np.random.default_rng(3))
    for name, plane in zip(("DNA", "ER"), image, strict=False):
        viewer.add_image(plane, name=name)
    viewer.add_labels(labels, name="Nuclei")
    with npe2pm.tmp_plugin(package="microsnoop"):
        return viewer.window.add_plugin_dock_widget("microsnoop")[1]


def test_the_plugin_is_listed():
    plugins = PluginManager()
    plugins.discover()
    manifest = plugins.get_manifest("microsnoop")
    assert [widget.display_name for widget in manifest.contributions.widgets] == ["Measure Microsnoop features"]


def test_from_the_button_to_the_map(viewer, panel, qtbot, tmp_path):
    labels = viewer.layers["Nuclei"]
    panel.channels.value = [viewer.layers["DNA"], viewer.layers["ER"]]
    panel.typical_diameter.value = 24
    panel.measure_button.native.click()
    assert not panel.measure_button.enabled
    qtbot.waitUntil(lambda: panel.measure_button.enabled and "index" in labels.features, timeout=1000 * PATIENCE)
    count = labels.data.max()
    assert panel.status.value == f"{count} objects of Nuclei measured"
    assert labels.features.shape == (count, 3 + 512)
    panel.cluster_count.value = 2
    panel.cluster_button.native.click()
    assert panel.status.value.startswith("cluster 1: ")
    panel.map_button.native.click()
    panel.map_button.native.click()
    assert [layer.name for layer in viewer.layers] == ["DNA", "ER", "Nuclei", "Map of Nuclei"]
    panel.table_file.value = tmp_path / "cells.csv"
    assert len(pd.read_csv(tmp_path / "cells.csv")) == count


def test_layers_appear_among_the_choices(viewer, panel):
    viewer.add_image(np.zeros((9, 9)), name="Actin")
    assert "Actin" in [layer.name for layer in panel.channels.choices]
    viewer.layers.remove("Actin")
    assert "Actin" not in [layer.name for layer in panel.channels.choices]


def test_a_mistake_is_one_sentence(viewer, panel, qtbot):
    viewer.add_image(np.zeros((9, 9)), name="small")
    panel.channels.value = [viewer.layers["small"]]
    with napari.utils.notifications.notification_manager:
        panel.measure_button.native.click()
        qtbot.waitUntil(lambda: panel.measure_button.enabled, timeout=1000 * PATIENCE)
        messages = [str(record.message) for record in napari.utils.notifications.notification_manager.records]
    assert any("'small' has 9 x 9 pixels" in message for message in messages)
    assert "index" not in viewer.layers["Nuclei"].features
