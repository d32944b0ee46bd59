"""Classes that the worker learns for a host are those of ``microsnoop classify`` on the same table."""

import json
import re
from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from microsnoop_engine.classification.application import apply_to_table
from microsnoop_engine.cli.main import main
from microsnoop_engine.errors import InputError
from microsnoop_engine.tables.columns import feature_columns
from microsnoop_engine.tables.provenance import Computed

WEIGHTS = {"weights": "net 0123456789abcdef", "precision": "float32"}
NAMES = np.array(["", "mitotic", "interphase"])


@pytest.fixture
def ask(ask):
    """Run a task of a worker that computes features as those of these tests."""
    return partial(ask, provenance=(Computed(*WEIGHTS.values()),))


@pytest.fixture
def cells():
    """Features of 60 cells of two kinds in two channels of 4 numbers, and labels of 24 of them."""
    random = np.random.default_rng(0)
    kind = np.tile([1, 2], 30)
    features = random.normal(0, 1, (60, 8)).astype(np.float32)
    features[:, 1] += 2 * (kind == 1)
    features[:, 6] -= 2 * (kind == 1)
    examples = np.where(np.arange(60) < 24, NAMES[kind], "").tolist()
    return features, examples


def table(path, features, examples=None, channels=("DNA", "ER"), objects="Objects"):
    """Write cells as profile does."""
    frame = pd.DataFrame(features, columns=feature_columns(objects, channels, features.shape[1] // len(channels)))
    frame.insert(0, "ImageNumber", 1)
    frame.insert(1, "ObjectNumber", range(1, len(frame) + 1))
    if examples is not None:
        frame["Metadata_Phenotype"] = [name or None for name in examples]
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(WEIGHTS), path)
    return path


def trained(path, features, examples, **kind):
    """Train on the command line; the classifier."""
    cells = table(path.with_suffix(".parquet"), features, examples, **kind)
    assert main(["classify", "train", str(cells), "--label", "Metadata_Phenotype", "-o", str(path)]) == 0
    return path


def test_classes_and_probabilities_are_those_of_the_command(ask, cells, tmp_path, capsys):
    features, examples = cells
    features[50, 3] = np.nan
    model = trained(tmp_path / "a.safetensors", features, examples)
    lines = capsys.readouterr().out.splitlines()
    expected = apply_to_table(tmp_path / "a.parquet", model).frame
    saved = tmp_path / "b.safetensors"
    found = ask("classify", features=features, channels=["DNA", "ER"], examples=examples, save=str(saved))
    assert found["classes"] == ["interphase", "mitotic"]
    names = np.array([None, *found["classes"]], object)[found["class"]]
    assert names.tolist() == expected["Metadata_Class"].tolist()
    assert names[50] is None
    for number, name in enumerate(found["classes"]):
        np.testing.assert_allclose(
            found["probabilities"][:, number], expected[f"Metadata_Class_Probability_{name}"], atol=1e-6
        )
    assert found["training"] == lines[:-1]
    assert found["accuracy"] in lines
    assert found["accuracy"].startswith("balanced accuracy")
    (warning,) = found["warnings"]
    assert "single cells of known images" in warning
    pd.testing.assert_frame_equal(apply_to_table(tmp_path / "a.parquet", saved).frame, expected)


def test_a_classifier_of_the_command_is_applied_whatever_its_objects_are_called(ask, cells, tmp_path):
    features, examples = cells
    model = trained(tmp_path / "a.safetensors", features, examples, objects="Nuclei")
    ask("check_classifier", path=str(model), channels=["ER", "DNA"])
    swapped = np.concatenate([features[:, 4:], features[:, :4]], axis=1)
    found = ask("classify", features=swapped, channels=["ER", "DNA"], classifier=str(model))
    expected = apply_to_table(tmp_path / "a.parquet", model).frame["Metadata_Class"]
    assert np.array(found["classes"])[found["class"] - 1].tolist() == expected.tolist()
    assert found["warnings"] == []
    assert "accuracy" not in found


def test_images_are_held_out_where_each_class_is_in_two(ask, cells):
    features, examples = cells
    images = np.arange(60) % 24 // 4
    found = ask("classify", features=features, channels=["C"], examples=examples, image_number=images)
    assert "6 images" in found["accuracy"]
    assert found["warnings"] == []


def test_too_few_examples_to_tell_are_named(ask, cells):
    features, _ = cells
    random = np.random.default_rng(1)
    examples = ["a", "b"] * 4 + [""] * 52
    found = ask("classify", features=random.permutation(features), channels=["C"], examples=examples)
    assert "too few examples to tell whether that is better than guessing (50 %)" in found["accuracy"]


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        (["a"] * 60, "all labeled cells are 'a': label cells of two or more classes"),
        (["a", "b", "b"] + [""] * 57, "only one cell is labeled 'a'"),
        (["a", "b"], "must have a value for each of the 60 rows"),
        ([""] * 60, "the column Metadata_Label is empty"),
    ],
)
def test_examples_that_cannot_be_used(ask, cells, examples, message):
    with pytest.raises(InputError, match=re.escape(message)):
        ask("classify", features=cells[0], channels=["C"], examples=examples)


def test_classifiers_that_do_not_fit_are_refused_before_anything_is_measured(ask, cells, tmp_path):
    features, examples = cells
    model = trained(tmp_path / "a.safetensors", features, examples)
    with pytest.raises(InputError, match="needs the channels DNA, ER, but no ER is among DNA, Actin: choose"):
        ask("check_classifier", path=str(model), channels=["DNA", "Actin"])
    with pytest.raises(InputError, match="there is no classifier"):
        ask("check_classifier", path=str(tmp_path / "none.safetensors"), channels=["DNA"])
    with pytest.raises(InputError, match="give the whole path"):
        ask("check_classifier", path="a.safetensors", channels=["DNA"])
    another = {"weights": "other 00112233", "precision": "float32"}
    other = pq.read_table(tmp_path / "a.parquet").replace_schema_metadata(another)
    pq.write_table(other, tmp_path / "other.parquet")
    command = ["classify", "train", str(tmp_path / "other.parquet"), "--label", "Metadata_Phenotype", "--quiet"]
    assert main([*command, "-o", str(tmp_path / "other.safetensors")]) == 0
    with pytest.raises(InputError, match=r"'the image' was measured with net .*, the classifier was trained on other"):
        ask("check_classifier", path=str(tmp_path / "other.safetensors"), channels=["DNA", "ER"])


def test_a_classifier_knows_how_its_objects_were_cropped(ask, cells, tmp_path):
    features, examples = cells
    saved, crops = str(tmp_path / "a.safetensors"), {"rescale_constant": 2.0, "mask": "box", "diameter": 0.0}
    ask("classify", features=features, channels=["C"], examples=examples, save=saved, crops=crops)
    ask("check_classifier", path=saved, channels=["C"], crops=crops)
    with pytest.raises(InputError, match=r"`rescale_constant` is 0.6, but .* measured with 2.0: measure with the same"):
        ask("check_classifier", path=saved, channels=["C"], crops={**crops, "rescale_constant": 0.6})
    with pytest.raises(InputError, match=r"must end|ends in .safetensors"):
        ask("classify", features=features, channels=["C"], examples=examples, save=str(tmp_path / "a.txt"))


def test_crops_of_tables_and_of_hosts_are_compared(ask, cells, tmp_path):
    """A classifier of a table is applied by a host, and one of a host to a table: the diameter has two meanings."""
    features, examples = cells
    crops = {"rescale_constant": 2.0, "mask": "box", "diameter": 0.0}
    settings = {"objects": "Objects", "rescale_constant": 2.0, "scale": "auto", "diameter": 30.0}
    paths = {}
    for mask in ("box", "object"):
        metadata = WEIGHTS | {"crops": json.dumps(settings | {"mask": mask})}
        paths[mask] = table(tmp_path / f"{mask}.parquet", features, examples)
        pq.write_table(pq.read_table(paths[mask]).replace_schema_metadata(metadata), paths[mask])
    asked = {"features": features, "channels": ["DNA", "ER"], "crops": crops}
    for mask, path in paths.items():
        model = path.with_suffix(".safetensors")
        assert main(["classify", "train", str(path), "--label", "Metadata_Phenotype", "-o", str(model)]) == 0
        if mask == "box":
            assert ask("classify", classifier=str(model), **asked)["warnings"] == []
        else:
            with pytest.raises(InputError, match=r"`mask` is box, but the classifier was trained .* with object"):
                ask("check_classifier", path=str(model), channels=["DNA", "ER"], crops=crops)
    saved = tmp_path / "host.safetensors"
    assert "cropped" not in str(ask("classify", examples=examples, save=str(saved), **asked)["warnings"])
    apply_to_table(paths["box"], saved)
    with pytest.raises(InputError, match=r"`mask` is object, but the classifier was trained .* with box"):
        apply_to_table(paths["object"], saved)
