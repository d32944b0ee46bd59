"""Training settings: the paper's by default, checked wherever they come from."""

import pytest

from microsnoop_engine.errors import InputError
from microsnoop_engine.model.frame import PAPER, Frame
from microsnoop_engine.trainer.config import PRESETS, TrainConfig, as_yaml, make_config


def test_the_paper_is_the_default():
    config = make_config("paper")
    assert config == TrainConfig()
    assert (config.crop, config.batch, config.mask_ratio, config.patch) == (224, 16, 0.25, 16)
    assert (config.steps_per_epoch, config.steps) == (750, 750_000)
    assert config.contrast_weight == 0
    assert (config.norm_decay, config.clip, config.average_decay, config.percentile_step) == (0.01, 0, 0, 1)
    assert config.sees == PAPER


@pytest.mark.parametrize(
    ("preset", "architecture", "batch", "rate", "crops"),
    [("compact", "compact", 2048, 0.003, 8_192_000), ("base", "unet", 512, 0.0015, 2_457_600)],
)
def test_the_recipes_of_the_shipped_weights(preset, architecture, batch, rate, crops):
    config = make_config(preset)
    assert (config.architecture, config.batch, config.learning_rate) == (architecture, batch, rate)
    assert config.steps * config.batch == crops
    assert config.warmup_epochs * config.steps_per_epoch == 150
    assert config.sees == Frame(128, zeros=False)
    assert (config.scale_low, config.scale_high, config.scale_jitter, config.shift) == (0.9, 4.5, 1.25, 0.1)
    assert (config.weight_decay, config.norm_decay, config.clip, config.temperature) == (0.02, 0, 3, 0.2)


def test_yaml_round_trip(tmp_path):
    for name in PRESETS:
        config = make_config(name, {"seed": 7})
        (tmp_path / "c.yaml").write_text(as_yaml(config))
        assert make_config(tmp_path / "c.yaml") == config


def test_a_file_starts_from_a_preset_and_the_command_line_wins(tmp_path):
    (tmp_path / "c.yaml").write_text("preset: compact\nlearning_rate: 1e-4\nbatch: 32\n")
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
        ("preset: best", "no preset 'best'; there are paper, base, compact"),
        ("preset: compact\ncrop: 112", "crop is 112: with frame 'crop' it must be one of 64, 96, 128, 160, 192, 224"),
        ("frame: round", "frame is 'round': it must be zeros or crop"),
        (
            "preset: compact\nreconstruction_weight: 1",
            "reconstruction_weight is 1, but the network 'compact' has no decoder: set it to 0",
        ),
        ("preset: compact\nframe: zeros", "frame is 'zeros', but the network 'compact' sees crops by themselves"),
        ("average_decay: 1", r"average_decay is 1: it must be a number from 0\.0 to 0\.99999"),
        ("- 1", "must hold 'setting: value' lines"),
        ("a: [", "is not YAML"),
    ],
)
def test_bad_settings(tmp_path, text, message):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(InputError, match=message):
        make_config(tmp_path / "c.yaml")


def test_no_such_file():
    with pytest.raises(InputError, match=r"no preset or file 'nowhere\.yaml'; presets: paper, base, compact"):
        make_config("nowhere.yaml")
