"""Scores of a table by its labels, and tasks that cannot be done."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest

from microsnoop_engine.errors import InputError
from microsnoop_engine.evaluation.table import evaluate_frame


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tasks": ["nsc"]}, "task 'nsc' needs `compound`"),
        ({"tasks": ["nscb"], "compound": "c"}, "needs `compound` and `batch`"),
        ({"tasks": ["moa"]}, "`tasks` has 'moa': choose some of knn"),
        ({"tasks": ["knn"], "groups": "g"}, "`groups`: the table has no column g"),
        ({"tasks": ["knn"], "neighbors": 50}, "k is 50, but row 0 has 9 candidates"),
        ({"tasks": ["knn"], "label": "c"}, "`label`: all rows have the same 'c', 'x'"),
        ({"tasks": ["knn"], "groups": "c"}, "`groups`: all rows have the same 'c', 'x'"),
        ({"tasks": ["map"], "groups": "l"}, "every 'l' lies in one 'l' only"),
        ({"tasks": []}, "`tasks` has '': choose some of"),
    ],
)
def test_tasks_that_cannot_be_done_are_refused(options, message):
    frame = pd.DataFrame({"l": ["a", "b"] * 5, "c": ["x"] * 10, "f": np.arange(1.0, 11.0)})
    with pytest.raises(InputError, match=message):
        evaluate_frame(frame, ["f"], **{"label": "l", **options})
    with pytest.raises(InputError, match="no row has both a label"):
        evaluate_frame(frame.assign(l=None), ["f"], "l", ["knn"])


def test_blank_labels_take_no_part():
    frame = pd.DataFrame({"Metadata_Role": ["a", "a", "b", "b", "", " ", None], "Cells_X": [0.0, 0.1, 5, 5.1, 9, 9, 9]})
    frame["Cells_Y"] = 5 - frame["Cells_X"]
    (figure, _) = evaluate_frame(frame, ["Cells_X", "Cells_Y"], "Metadata_Role", ["knn"], neighbors=1)
    assert (figure["rows"], figure["value"]) == (4, 1)


def test_angles_are_lost_around_zero_and_distances_are_not():
    random = np.random.default_rng(0)
    values = random.normal(size=(40, 20)) + np.repeat([[0], [4]], 20, axis=0)
    frame = pd.DataFrame(values, columns=[f"Cells_{n}" for n in range(20)])
    frame["Metadata_Role"] = np.repeat(["negative", "positive"], 20)
    features = list(frame.columns[:20])
    found = {
        m: evaluate_frame(frame, features, "Metadata_Role", ["knn"], metric=m)[0]["value"]
        for m in ("cosine", "euclidean")
    }
    assert found["euclidean"] == 1
    assert found["cosine"] < 0.9


def test_missing_infinite_and_directionless_rows_are_left_out_and_counted(caplog):
    random = np.random.default_rng(1)
    frame = pd.DataFrame(random.normal(size=(40, 4)), columns=list("wxyz")).assign(l=["a", "b"] * 20)
    frame.loc[0, "w"], frame.loc[1, "x"], frame["z"] = np.nan, -np.inf, np.nan
    frame.loc[[2, 3, 4], ["w", "x", "y"]] = 0
    complete = frame.drop(index=[0, 1])
    tasks = ["knn", "map", "silhouette"]
    found = evaluate_frame(frame, list("wxyz"), "l", tasks)
    expected = evaluate_frame(complete.drop(index=[2, 3, 4]), list("wxy"), "l", tasks)
    assert [score.pop("left_out") for score in found] == [3] * 4
    assert found == expected
    assert "1 feature is missing in more than a fifth of the rows and left out: z" in caplog.text
    assert "2 of 40 rows have missing or infinite features" in caplog.text
    lengths = evaluate_frame(frame, list("wxyz"), "l", ["knn"], metric="euclidean")
    assert lengths[0]["rows"] == 38


def test_rows_without_a_compound_are_no_treatment():
    frame = pd.DataFrame({"l": list("aabb") * 2, "c": [1, 2, 3, 4, None, None, None, None], "x": np.arange(8.0) + 1})
    frame["y"] = 1 / frame["x"]
    (score,) = evaluate_frame(frame, ["x", "y"], "l", ["nsc"], compound="c")
    assert (score["rows"], score["left_out"]) == (4, 4)


def test_many_labels_and_groups_need_little_memory():
    rows = 3840
    frame = pd.DataFrame({"l": np.arange(rows) % 768, "x": np.random.default_rng(0).normal(size=rows)}).assign(y=1.0)
    tracemalloc.start()
    (score, _) = evaluate_frame(frame, ["x", "y"], "l", ["knn"], neighbors=3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert score["rows"] == rows
    assert peak < 1 << 30


@pytest.mark.parametrize("task", ["knn", "map", "silhouette"])
def test_labels_that_rows_of_zeros_leave_with_one_row_are_named_with_the_cause(task):
    values = np.random.default_rng(0).normal(size=(12, 3))
    values[:3] = 0
    frame = pd.DataFrame(values, columns=list("xyz")).assign(l=["a"] * 4 + ["b", "c"] * 4)
    with pytest.raises(InputError, match=r"3 rows of zeros.*single row: a"):
        evaluate_frame(frame, list("xyz"), "l", [task], neighbors=3)
    frame.loc[1, "x"] = 1.0
    assert evaluate_frame(frame, list("xyz"), "l", [task], neighbors=3)[0]["rows"] == 10


def test_large_tables_are_scored_in_float32_as_small_ones_in_float64(monkeypatch):
    """Also where rows are repeated, whose order is not defined."""
    random = np.random.default_rng(0)
    values = random.normal(size=(300, 8)).astype(np.float32).repeat(2, axis=0)
    frame = pd.DataFrame(values, columns=list("abcdefgh")).assign(l=random.choice(["u", "v", "w"], 600))
    features = list("abcdefgh")
    expected = evaluate_frame(frame, features, "l", ["knn", "map"], neighbors=5)
    monkeypatch.setattr("microsnoop_engine.evaluation.neighbors.LARGE", 100)
    monkeypatch.setattr("microsnoop_engine.evaluation.neighbors.TILE", 64)
    found = evaluate_frame(frame, features, "l", ["knn", "map"], neighbors=5)
    for one, other in zip(found, expected, strict=True):
        assert one["value"] == pytest.approx(other["value"], abs=2e-3)


def test_several_labels_are_for_tasks_that_compare_pairs():
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(12, 3)), columns=list("xyz"))
    frame["moa"] = ["a", "b", "a|b", "c"] * 3
    frame["compound"] = np.arange(12)
    scores = evaluate_frame(frame, list("xyz"), "moa", ("map", "nsc"), compound="compound", separator="|")
    assert [score["rows"] for score in scores] == [12, 12]
    plain = evaluate_frame(frame, list("xyz"), "moa", ("map",))[0]
    assert scores[0]["value"] > plain["value"]
    with pytest.raises(InputError, match="`separator` is for the tasks map, nsc, nscb"):
        evaluate_frame(frame, list("xyz"), "moa", ("knn",), separator="|")
