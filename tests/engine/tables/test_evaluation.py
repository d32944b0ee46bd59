"""Evaluation of a table by its path."""

import numpy as np
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


def test_rows_without_a_group_are_left_out_and_spellings_of_a_well_are_one_group(caplog):
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"Metadata_Well": ["A1", "A01", "B2", "r02c02"] * 6, "Metadata_Role": list("aabb") * 6})
    frame["Metadata_Role"] = list("ab") * 12
    frame = frame.assign(**{f"Nuclei_Microsnoop_E00{k}_DNA": random.normal(size=24) for k in range(3)})
    (normal, _) = evaluate(
        frame.assign(Metadata_Well=["A01", "A01", "B02", "B02"] * 6), "Metadata_Role", groups="Metadata_Well"
    )
    assert evaluate(frame, "Metadata_Role", groups="Metadata_Well")[0] == normal
    frame.loc[:3, "Metadata_Well"] = [None, "", " ", None]
    (score, _) = evaluate(frame, "Metadata_Role", groups="Metadata_Well", neighbors=3)
    assert score["rows"] == 20
    assert "4 of 24 rows have no 'Metadata_Well' and are left out" in caplog.text
