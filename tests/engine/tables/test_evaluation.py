"""Evaluation of a table by its path."""

import pandas as pd
import pytest

from microsnoop_engine.errors import InputError
from microsnoop_engine.evaluation.table import evaluate_frame
from microsnoop_engine.tables.evaluation import evaluate


def test_a_path_and_a_table_in_memory_have_the_same_scores(cells):
    frame = pd.read_parquet(cells / "cells.parquet").assign(Metadata_Half=lambda t: t["Metadata_Well"] < "W20")
    frame.to_csv(cells / "halves.csv", index=False)
    features = [name for name in frame if "_Microsnoop_" in name]
    expected = evaluate_frame(frame, features, "Metadata_Half", neighbors=3)
    assert evaluate(frame, "Metadata_Half", neighbors=3) == expected
    assert evaluate(cells / "halves.csv", "Metadata_Half", features=".*Microsnoop.*", neighbors=3) == expected
    with pytest.raises(InputError, match=r"csv': `label`: the table has no column Metadata_MoA; it has Meta"):
        evaluate(cells / "halves.csv", "Metadata_MoA")
