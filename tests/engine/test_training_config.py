"""Training settings: the paper's by default, checked wherever they come from."""

import pytest

from microsnoop_engine.errors import InputError
from microsnoop_engine.trainer.config import PRESETS, TrainConfig, as_yaml, make_config


def test_the_paper_is_the_default():
    config = make_config("paper")
    assert config == TrainConfig()
    assert (config.crop, config.batch, config.mask_ratio, config.patch) == (224, 16, 0.25, 16)
    assert (config.steps_per_epoch, config.steps) == (750, 750_000)
    assert config.contrast == 0


def test_yaml_round_trip(tmp_path):
    for name in PRESETS:
        config = make_config(name, {"seed": 7})
        (tmp_path / "c.yaml").write_text(as_yaml(config))
        assert make_config(tmp_path / "c.yaml") == config


def test_a_file_starts_from_a_preset_and_the_command_line_wins(tmp_path):
    (tmp_path / "c.yaml").write_text("preset: contrast\nlearning_rate: 1e-4\nbatch: 32\n")
    config = make_config(tmp_path / "c.yaml", {"batch": 8})
    assert (config.learning_rate, config.batch, config.contrast) == (1e-4, 8, 1.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("batchsize: 3", "unknown setting batchsize; there are architecture, start, frozen, start_share"),
        ("batch: many", "batch is 'many': give a whole number"),
        ("batch: 1.5", "batch is 1.5: give a whole number"),
        ("crop: 100", "crop is 100: give a multiple of 8 and of patch"),
        ("mask_ratio: 25", "mask_ratio is 25: give a number from 0.0 to 0.95"),
        ("reconstruction: 0", "nothing to learn"),
        ("levels: field", "levels is 'field': give crop or image"),
        ("frozen: 2", "frozen is 2, but there is no start"),
        ("start_share: 0.5", "start_share is 0.5, but there is no start"),
        ("start: microsnoop-base\nfrozen: 4", "frozen is 4: give a whole number from 0 to 3"),
        ("scale_low: 2", "is above scale_high"),
        ("warmup_epochs: 1000", "must be below epochs"),
        ("preset: best", "no preset 'best'; there are paper, contrast"),
        ("- 1", "must hold 'setting: value' lines"),
        ("a: [", "is not YAML"),
    ],
)
def test_bad_settings(tmp_path, text, said):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(InputError, match=said):
        make_config(tmp_path / "c.yaml")


def test_no_such_file():
    with pytest.raises(InputError, match=r"no preset or file 'nowhere\.yaml'; presets: paper, contrast"):
        make_config("nowhere.yaml")
