"""Judging while training: scores by `evaluation`, the log, the report and its plot, resume, and unfit files."""

import csv
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import torch
from real_crops import real_field, real_labels
from scipy import ndimage

from microsnoop_engine.cli.training import Pace
from microsnoop_engine.errors import InputError
from microsnoop_engine.evaluation.metrics import cross_validated_predict, knn_predict
from microsnoop_engine.model.embedder import Embedder
from microsnoop_engine.trainer.config import make_config
from microsnoop_engine.trainer.curves import draw_curves
from microsnoop_engine.trainer.export import export
from microsnoop_engine.trainer.judge import Judge, LabeledCells, mean_scores, read_cells, read_scores, score
from microsnoop_engine.trainer.train import train
from microsnoop_engine.trainer.trainer import Trainer

SETTINGS = {"crop": 64, "batch": 8, "images_per_epoch": 16, "epochs": 3, "warmup_epochs": 1, "whitening": 32}
RUN = {"config": "compact", "changes": SETTINGS, "device": "cpu", "precision": "float32"}


def cut(name, channels, side=48):
    """Boxes (n, side, side) around the nuclei of a field, per channel."""
    planes, labels = real_field(name), real_labels(name)
    centers = ndimage.center_of_mass(labels > 0, labels, range(1, labels.max() + 1))
    padded = np.pad(planes, ((0, 0), (side, side), (side, side)), mode="reflect")
    boxes = [
        padded[:, round(y) + side // 2 : round(y) + 3 * side // 2, round(x) + side // 2 : round(x) + 3 * side // 2]
        for y, x in centers
    ]
    return np.stack(boxes)[:, channels]


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    """Nuclei of a real field, labeled by the stain that is shown, with each cell's number as its group."""
    boxes = cut("cpjump1_A01", [0, 1, 2])
    count = len(boxes)
    folder = tmp_path_factory.mktemp("cells")
    arrays = {
        "images": boxes.reshape(3 * count, 1, *boxes.shape[2:]),
        "labels": np.tile(["DNA", "AGP", "RNA"], count),
        "field": np.arange(3 * count) // 3 // 2,
    }
    np.savez(folder / "stains.npz", **arrays)
    return folder


def test_cells_are_drawn_by_label_and_small_labels_are_left_out(tmp_path):
    labels = np.repeat(["a", "b", "c"], (300, 100, 5))
    images = np.arange(405, dtype=np.uint16)[:, None, None, None] * np.ones((1, 2, 4, 4), np.uint16)
    np.savez(tmp_path / "x.npz", images=images, labels=labels, plate=np.arange(405) % 7, well=np.zeros(405), other=[1])
    np.savez(tmp_path / "few.npz", images=images[:30], labels=labels[:30])
    (drawn,), (note,) = read_cells(tmp_path, 200)
    assert note == "'few.npz' takes no part in judging: fewer than two labels have 20 cells or more"
    assert (drawn.name, drawn.images.dtype, drawn.images.shape[1:]) == ("x", np.uint16, (2, 4, 4))
    names, counts = np.unique(drawn.labels, return_counts=True)
    assert dict(zip(names, counts, strict=True)) == {"a": 148, "b": 49}
    rows = drawn.images[:, 0, 0, 0]
    np.testing.assert_array_equal(drawn.labels, labels[rows])
    np.testing.assert_array_equal(drawn.groups, [rows % 7])  # all are of one well: no group
    assert len(set(rows)) == len(rows)


def test_scores_are_those_of_the_evaluation():
    random = np.random.default_rng(0)
    labels, groups = np.repeat(["a", "b"], (60, 30)), np.arange(90) % 4
    features = random.normal(size=(90, 6)) + (labels == "b")[:, None]
    found = score(features, LabeledCells("x", np.zeros((90, 1, 4, 4)), labels, (groups,)))
    for name, predictions in (
        ("neighbors", knn_predict(features, labels, groups, 11)),
        ("linear", cross_validated_predict(features, labels, groups, "linear", 4)),
    ):
        assert found[name] == pytest.approx(np.mean([(predictions[labels == x] == x).mean() for x in "ab"]))
        assert 0.6 < found[name] < 1


def test_a_run_judges_itself(images, cells, tmp_path):
    entries, messages = [], []
    report = train(
        images,
        tmp_path / "run",
        **RUN,
        judge=cells,
        judge_crops=16,
        on_step=lambda entry, _: entries.append(entry),
        on_message=messages.append,
    )
    rows = read_scores(tmp_path / "run")
    assert [(row["step"], row["crops"], row["set"]) for row in rows] == [(n, 8 * n, "stains") for n in (0, 2, 4, 6)]
    assert all(1 / 4 < row["neighbors"] <= 1 and 1 / 4 < row["linear"] <= 1 for row in rows)
    with (tmp_path / "run" / "log.csv").open() as file:
        logged = [row["linear"] for row in csv.DictReader(file)]
    assert [bool(value) for value in logged] == [False, True] * 3
    assert [float(value) for value in logged[1::2]] == pytest.approx([row["linear"] for row in rows[1:]])
    assert [m for m in messages if m.startswith("after ")][1].startswith("after 16 crops: neighbors ")
    text = report.read_text()
    assert f"| 48 | {100 * rows[-1]['neighbors']:.1f} | {100 * rows[-1]['linear']:.1f} |" in text
    assert f"| stains | {100 * rows[-1]['neighbors']:.1f} |" in text
    assert "(judge.svg)" in text
    picture = ElementTree.parse(tmp_path / "run" / "judge.svg")
    assert len(picture.findall(".//{http://www.w3.org/2000/svg}circle")) == 2 * len(rows)


def test_the_last_scores_are_those_of_the_exported_weights(images, cells, tmp_path):
    train(images, tmp_path / "run", **RUN, judge=cells)
    export(tmp_path / "run", tmp_path / "mine.safetensors", "mine", "CC0", encoder_only=True)
    (stains,), _ = read_cells(cells)
    levels = np.percentile(stains.images, (1, 99), axis=(2, 3), method="nearest")[..., None, None]
    crops = torch.from_numpy((stains.images - levels[0]) / (levels[1] - levels[0])).float()
    crops = torch.nn.functional.interpolate(crops, size=(64, 64), mode="bilinear", antialias=True)
    features = Embedder(tmp_path / "mine.safetensors", device="cpu", precision="float32").embed(crops.numpy())
    last = read_scores(tmp_path / "run")[-1]
    for name, value in score(features, stains).items():
        assert last[name] == pytest.approx(value, abs=0.12)  # four of 33 cells: the file's weights are float16


def test_scores_after_the_checkpoint_of_a_killed_run_are_dropped(pool, cells, tmp_path):
    (stains,), _ = read_cells(cells, 60)
    trainer = Trainer(make_config("compact", {**SETTINGS, "categories": (), "whitening": 0}), pool, tmp_path)
    judge = Judge([stains, stains], tmp_path, 0)
    assert judge.last == -1
    for _ in range(3):
        trainer.train_step()
        judge(trainer)
    assert Judge([stains], tmp_path, 2).last == 2
    assert Judge([stains], tmp_path, 3).last == 3
    resumed = Judge([stains], tmp_path, 1)
    resumed(trainer)
    assert [row["step"] for row in read_scores(tmp_path)] == [1, 1, 3]
    rows = read_scores(tmp_path)
    assert mean_scores(rows)[0]["linear"] == pytest.approx((rows[0]["linear"] + rows[1]["linear"]) / 2)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (None, r"`judge`: there is no \.npz file in"),
        ({"images": np.zeros((4, 1, 8, 8))}, "lacks the array labels"),
        ({"images": np.zeros((4, 8, 8)), "labels": list("aabb")}, r"images have shape \(4, 8, 8\) and type float64"),
        ({"images": np.zeros((4, 1, 8, 8)), "labels": list("aab")}, r"labels have shape \(3,\): one is needed for"),
        ({"images": np.zeros((4, 1, 8, 8)), "labels": list("aabb")}, "fewer than two labels have 20 cells or more"),
        ({"images": np.full((40, 1, 8, 8), np.nan), "labels": list("ab" * 20)}, "has NaN or infinite pixels"),
        ({"images": np.zeros((4, 1, 8, 8)), "labels": np.array([None] * 4)}, "x.npz' cannot be read"),
    ],
)
def test_unfit_files(images, tmp_path, arrays, message):
    (tmp_path / "cells").mkdir()
    if arrays:
        np.savez(tmp_path / "cells" / "x.npz", **arrays)
    with pytest.raises(InputError, match=message):
        train(images, tmp_path / "run", **RUN, judge=tmp_path / "cells")
    assert not (tmp_path / "run").exists()


def test_a_curve_passes_through_its_values():
    picture = ElementTree.fromstring(draw_curves([0, 50, 100], {"a<b": [10, 20, 30], "c": [30, 30, 30]}, "x", "y"))
    first, second = (
        [tuple(map(float, point.split(","))) for point in line.get("points").split()]
        for line in picture.findall(".//{http://www.w3.org/2000/svg}polyline")
    )
    assert first[1] == pytest.approx(tuple(np.mean([first[0], first[2]], axis=0)), abs=0.1)
    assert first[0][1] > first[2][1] == second[0][1]
    texts = [text.text for text in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert {"a<b", "10", "30", "100"} <= set(texts)


def test_the_pace_counts_the_crops_and_the_time_to_the_end():
    seconds = iter([0, 10, 12, 14, 16, 18])
    pace = Pace(60, lambda: next(seconds))
    notes = [pace.note({"step": n, "images": 2000 * n}, 100) for n in range(1, 4)]
    assert notes == ["", ", 1,000 crops/s, 0:00:48 left", ", 1,000 crops/s, 0:00:46 left"]
    endless = Pace(float("inf"), iter([0, 10, 12]).__next__)
    assert [endless.note({"step": n, "images": 2000 * n}, 100) for n in (1, 2)][1] == ", 1,000 crops/s, 0:03:16 left"
