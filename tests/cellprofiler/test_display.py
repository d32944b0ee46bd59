"""What the module's window shows: everything is there, small enough to cross processes, and readable."""

import _microsnoop_display
import numpy as np
import pytest
from cellprofiler_host import FigureStandIn, make_module, make_workspace
from readable_figures import texts_of, unreadable

CHANNELS = ("DNA", "ER", "OrigHoechst33342", "Actin", "Mito", "AGP", "RNA")
LONG_NOTE = "12 NaN and 3 for other reasons: no contrast in the box (DNA, ER, OrigHoechst33342, Actin)"


def panel(name, channels, note, count=60):
    """A panel as of a measurement, with numbers of up to four digits."""
    rng = np.random.RandomState(0)
    planes, features = rng.rand(len(channels), 200, 200).astype(np.float32), rng.rand(count, len(channels) * 256)
    if name == "Image":
        return _microsnoop_display.image_panel(channels, planes, features[0], note)
    corners = rng.randint(0, 160, (count, 2))
    result = {"object_number": np.arange(1, count + 1) * 97, "box": np.c_[corners, corners + 40], "features": features}
    return _microsnoop_display.object_panel(name, channels, planes, np.zeros((200, 200), int), result, False, note)


@pytest.mark.parametrize("scope", ["Objects", "Both"])
@pytest.mark.parametrize("channels", [1, 3, 7])
@pytest.mark.parametrize("panels", [1, 2, 3, 4, 6])
def test_texts_can_be_read_in_a_window_of_the_default_size(panels, channels, scope):
    names = ["Nuclei", "Cells", "CytoplasmWithAVeryLongName", "Mitochondria", "Speckles", "Membranes"][:panels]
    if scope == "Both":
        names[-1] = "Image"
    shown = [panel(name, list(CHANNELS[:channels]), LONG_NOTE if name != "Cells" else "") for name in names]
    figure = FigureStandIn()
    _microsnoop_display.draw(figure, shown)
    assert unreadable(figure.figure) == []
    words = " ".join(text for text, _ in texts_of(figure.figure))
    for name in names[:4]:
        assert name[:20] in words or (name == "Image" and "Whole images" in words)
    assert ("Not shown: " in words) == (panels > 4)
    assert ("12 NaN and 3 for other reasons: no contrast" in words) or names == ["Cells"]


@pytest.mark.parametrize(("count", "words"), [(2, "A map needs three"), (5, "measured in all channels")])
def test_the_window_says_why_there_is_no_map(count, words):
    """Five objects of which one channel is blank are not fewer than three."""
    shown = panel("Nuclei", ["DNA", "ER"], "", count)
    shown["points"] = np.full_like(shown["points"], np.nan)
    figure = FigureStandIn()
    _microsnoop_display.draw(figure, [shown] * 3)
    assert words in " ".join(text.replace("\n", " ") for text, _ in texts_of(figure.figure))
    assert unreadable(figure.figure) == []


def field():
    """A textured field."""
    return np.random.RandomState(0).rand(90, 90) * 0.2


@pytest.mark.parametrize("numbers", [[], [1], [1, 2, 3, 4], [2, 5, 3]])
@pytest.mark.parametrize("crop", ["Box", "Masked object"])
def test_display_of_a_measurement(numbers, crop, engine_command):
    module = make_module(("DNA", "GFP"), scope="Both" if crop == "Box" else "Objects")
    module.object_sets[0].crop.value = crop
    module.device.value = "cpu"
    module.show_window = True
    labels = np.zeros((90, 90), int)
    for position, number in enumerate(numbers):
        labels[10:22, 8 + 20 * position : 20 + 20 * position] = number
    workspace = make_workspace(module, {"DNA": field(), "GFP": field()}, {"Nuclei": labels})
    module.run(workspace)
    shown = workspace.display_data.panels
    assert sum(value.nbytes for panel in shown for value in panel.values() if isinstance(value, np.ndarray)) < 1e6
    figure = FigureStandIn()
    module.display(workspace, figure)
    assert texts_of(figure.figure)
    assert unreadable(figure.figure) == []


def test_failures_are_told_in_one_line():
    def failed(number, channel, reason):
        return {"object_number": number, "channel": channel, "reason": reason}

    tell = _microsnoop_display.failures
    assert tell([], ["DNA"]) == ""
    assert tell([failed(3, 0, "constant")], ["DNA"]) == "1 NaN: no contrast in the box (DNA)"
    many = [failed(3, 1, "constant"), failed(4, 0, "constant"), failed(5, 0, "NaN or infinite pixels")]
    assert tell(many, ["DNA", "ER"]) == "2 NaN and 1 for other reasons: no contrast in the box (DNA, ER)"
