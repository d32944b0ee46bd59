"""Training settings: the paper's by default, checked wherever they come from."""

import pytest

from microsnoop_engine.errors import InputError
from microsnoop_engine.trainer.config import PRESETS, TrainConfig, as_yaml, make_config


def test_the_paper_is_the_default():
    config = make_config("paper")
    assert config == TrainConfig()
    assert (config.crop, config.batch, config.mask_ratio, config.patch) == (224, 16, 0.25, 16)
    assert (config.steps_per_epoch, config.steps) == (750, 750_000)
    assert config.contrast_weight == 0


def test_yaml_round_trip(tmp_path):
    for name in PRESETS:
        config = make_config(name, {"seed": 7})
        (tmp_path / "c.yaml").write_text(as_yaml(config))
        assert make_config(tmp_path / "c.yaml") == config


def test_a_file_starts_from_a_preset_and_the_command_line_wins(tmp_path):
    (tmp_path / "c.yaml").write_text("preset: contrast\nlearning_rate: 1e-4\nbatch: 32\n")
    config = make_config(tmp_path / "c.yaml", {"batch": 8})
    assert (config.learning_rate, config.batch, config.contrast_weight) == (1e-4, 8, 1.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "batchsize: 3",
            "unknown setting batchsize; there are architecture, dimension, init_weights, frozen_stages, init_average",
        ),
        ("batch: many", "batch is 'many': it must be a whole number"),
        ("batch: 1.5", "batch is 1.5: it must be a whole number"),
        ("dimension: 100", "dimension is 100: it must be a multiple of 32"),
        ("crop: 100", "crop is 100: it must be a multiple of 8 and of patch"),
        ("mask_ratio: 25", "mask_ratio is 25: it must be a number from 0.0 to 0.95"),
        ("reconstruction_weight: 0", "nothing to learn"),
        ("frozen_stages: 2", "frozen_stages is 2, but init_weights is empty"),
        ("init_average: 0.5", r"init_average is 0\.5, but init_weights is empty"),
        (
            "init_weights: microsnoop-base\nfrozen_stages: 4",
            "frozen_stages is 4: it must be a whole number from 0",
        ),
        ("init_weights: 5", "init_weights is 5: it must be text"),
        ("categories: fluorescence", "categories is 'fluorescence': it must be a list"),
        ("categories: [1]", r"categories is \[1\]: it must be a list"),
        ("scale_low: 2", "is above scale_high"),
        ("warmup_epochs: 1000", "must be below epochs"),
        ("preset: best", "no preset 'best'; there are paper, contrast"),
        ("- 1", "must hold 'setting: value' lines"),
        ("a: [", "is not YAML"),
    ],
)
def test_bad_settings(tmp_path, text, message):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(InputError, match=message):
        make_config(tmp_path / "c.yaml")


def test_no_such_file():
    with pytest.raises(InputError, match=r"no preset or file 'nowhere\.yaml'; presets: paper, contrast"):
        make_config("nowhere.yaml")
