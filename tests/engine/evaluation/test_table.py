"""Scores of a table by its labels, and tasks that cannot be done."""

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
