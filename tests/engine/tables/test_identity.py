"""Identifiers and features go through every format unchanged, and no command writes to what it reads."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from microsnoop_engine.cli.main import main
from microsnoop_engine.errors import InputError
from microsnoop_engine.tables.aggregation import aggregate
from microsnoop_engine.tables.formats import open_table, write_table
from microsnoop_engine.tables.keys import key_text
from microsnoop_engine.tables.outputs import refuse_inputs
from microsnoop_engine.tables.source import read_frame
from microsnoop_engine.tables.wells import well_name

NAMES = ["NA", "None", "NaN", "nan", "NULL", "null", "0x10", "001", "1E2", "24E5", "2400E3", "1.0", "-0", "inf", "true"]
NAMES += [
    "12345678901234567890",
    "41744",
    " ",
    "a,b",
    'q"q',
    "'",
    "#1",
    "é",
    "A - 1",
    "1e400",
    "2024-02-01",
    "<NA>",
    ".",
]
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=8)
IDENTIFIER = st.one_of(st.sampled_from(NAMES), TEXT, st.none())
FEATURE = st.one_of(st.floats(width=32, allow_nan=False, allow_infinity=False), st.just(np.nan))
COLUMNS = {
    "Metadata_Plate": IDENTIFIER,
    "Metadata_Well": st.sampled_from(["A01", "A1", "a1", "r01c01", "P24"]),
    "Metadata_Compound": IDENTIFIER,
    "Metadata_Dose": st.one_of(st.floats(0, 100, width=32), st.none()),
    "Metadata_Replicate": st.one_of(st.integers(-9, 2**40), st.none()),
    "Metadata_Flag": st.sampled_from([True, False, None]),
    "Nuclei_Microsnoop_E000_DNA": FEATURE,
    "Nuclei_AreaShape_Area": FEATURE,
}
FEATURES = ["Nuclei_Microsnoop_E000_DNA", "Nuclei_AreaShape_Area"]
ENDINGS = [".csv", ".csv.gz", ".parquet", ".sqlite", ".h5ad"]


def table_of(rows):
    """A table of these rows, with the types that a user of pandas gives it."""
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    frame["Metadata_Replicate"] = frame["Metadata_Replicate"].astype("Int64")
    frame["Metadata_Flag"] = frame["Metadata_Flag"].astype("boolean")
    frame["Metadata_Dose"] = frame["Metadata_Dose"].astype(float)
    return frame.astype(dict.fromkeys(FEATURES, np.float32))


def values(frame):
    """The values of a table: text, numbers, truth values and None; features as float32, which they are."""
    frame = frame.astype({name: np.float32 for name in FEATURES if name in frame})
    return {
        name: [None if pd.isna(value) else value for value in frame[name].astype(object)] for name in map(str, frame)
    }


ROWS = st.lists(st.tuples(*COLUMNS.values()), min_size=1, max_size=6)
FIRST = [(name, "A01", name, 0.5, 1, True, 1.5, 2.0) for name in NAMES]


@pytest.mark.parametrize("ending", ENDINGS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
@example(rows=FIRST)
@example(rows=[(None, "A01", None, None, None, None, np.nan, 1.0), (None, "A1", "x", 1.0, 1, True, 1.0, 1.0)])
def test_identifiers_and_features_go_through_every_format(tmp_path, ending, rows):
    frame = table_of(rows)
    path = tmp_path / f"table{ending}"
    path.unlink(missing_ok=True)
    write_table(frame, path, FEATURES)
    again = read_frame(open_table(path))
    assert set(again) == set(frame)
    if frame["Metadata_Flag"].notna().any():
        assert pd.api.types.is_bool_dtype(again["Metadata_Flag"])
    found, expected = values(again), values(frame)
    for name in COLUMNS:
        assert found[name] == expected[name], name


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
def test_a_table_goes_through_all_formats_one_after_the_other(tmp_path, rows):
    frame = table_of(rows)
    expected = values(frame)
    for number, ending in enumerate([*ENDINGS, *ENDINGS[::-1]]):
        path = tmp_path / f"{number}{ending}"
        path.unlink(missing_ok=True)
        write_table(frame, path, FEATURES)
        frame = read_frame(open_table(path))
    assert values(frame) == {name: expected[name] for name in frame}


@settings(max_examples=25, deadline=None)
@given(rows=st.lists(st.tuples(*COLUMNS.values()), min_size=1, max_size=12), order=st.randoms(use_true_random=False))
@pytest.mark.parametrize("statistic", ["mean", "median"])
@pytest.mark.parametrize("pool", ["images", "cells"])
def test_the_order_of_rows_changes_no_well(statistic, pool, rows, order):
    frame = table_of(rows).assign(ImageNumber=range(len(rows)), Metadata_Well="A01")
    frame["Metadata_Plate"] = frame["Metadata_Plate"].map(lambda name: "none" if pd.isna(name) else name)
    frame[FEATURES] = frame[FEATURES].clip(-1e3, 1e3)
    shuffled = frame.iloc[order.sample(range(len(frame)), len(frame))].reset_index(drop=True)
    options = {"statistic": statistic, "pool": pool}
    found, expected = (
        aggregate(table, **options).frame.sort_values("Metadata_Plate", ignore_index=True)
        for table in (shuffled, frame)
    )
    assert set(found) == set(expected)
    assert len(expected) == frame["Metadata_Plate"].nunique()
    pd.testing.assert_frame_equal(found[list(expected)], expected, check_dtype=False, rtol=1e-6, atol=1e-9)


@given(row=st.integers(1, 32), column=st.integers(1, 48), blank=st.sampled_from(["", " ", "-", " - ", "_"]))
def test_a_well_has_one_name(row, column, blank):
    letters = chr(64 + row) if row <= 26 else "A" + chr(64 + row - 26)
    name = f"{letters}{column:02d}"
    spellings = [
        f"{letters}{blank}{column}",
        f"{letters.lower()}{column:03d}",
        f"r{row:02d}c{column:02d}",
        f"R{row}C{column}",
    ]
    assert {well_name(text) for text in (name, *spellings)} == {name}


@given(st.text(max_size=9))
def test_names_of_wells_are_stable(text):
    assert well_name(well_name(text)) == well_name(text)


@given(st.integers(-(2**53), 2**53))
def test_a_key_is_its_value(number):
    assert (
        key_text(number) == key_text(float(number)) == key_text(f"{number}.0") == key_text(str(number)) == str(number)
    )


def test_identifiers_of_a_large_csv_are_text_to_the_last_row(tmp_path):
    """Numbers in the first block of 8 MB, words after it."""
    feature = [f"Nuclei_Microsnoop_E{k:03d}_DNA" for k in range(40)]
    with (tmp_path / "cells.csv").open("w") as file:
        file.write(",".join(["Metadata_Plate", "Metadata_Well", "Metadata_Dose", *feature]) + "\n")
        for plate, dose, rows in (("0012", "1", 26000), ("BR00116991", "0.5", 10), ("1E2", "NA", 10)):
            file.write((f"{plate},A01,{dose}" + ",0.123456" * 40 + "\n") * rows)
    chunks = list(open_table(tmp_path / "cells.csv").chunks(["Metadata_Plate", "Metadata_Dose"]))
    assert len(chunks) > 1
    assert {chunk["Metadata_Dose"].dtype for chunk in chunks} == {np.dtype(float)}
    frame = pd.concat(chunks)
    assert frame["Metadata_Plate"].value_counts().to_dict() == {"0012": 26000, "BR00116991": 10, "1E2": 10}
    assert frame.groupby("Metadata_Plate")["Metadata_Dose"].first().drop("1E2").to_dict() == {
        "0012": 1,
        "BR00116991": 0.5,
    }


def test_blank_rows_of_excel_are_no_rows_in_any_column(tmp_path):
    (tmp_path / "a.csv").write_text("Metadata_Well,Dose,x\nA01,1,\n,,\nA02,,2\n,,\n\n,,3\n")
    source = open_table(tmp_path / "a.csv")
    assert values(read_frame(source)) == {
        "Metadata_Well": ["A01", "A02", None],
        "Dose": [1, None, None],
        "x": [None, 2, 3],
    }
    assert values(read_frame(source, ["x"])) == {"x": [None, 2, 3]}


def wells(folder, plates=("P1", "P2")):
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        [(p, f"A{k:02d}") for p in plates for k in range(1, 7)], columns=["Metadata_Plate", "Metadata_Well"]
    )
    frame["Metadata_Role"] = np.resize(["negative", "treated"], len(frame))
    for k in range(3):
        frame[f"Nuclei_Microsnoop_E{k:03d}_DNA"] = random.normal(size=len(frame)).round(6)
    frame.to_parquet(folder / "wells.parquet", index=False)
    frame.iloc[:, :2].assign(Compound=np.resize(["a", "b", "c"], len(frame))).to_csv(folder / "map.csv", index=False)
    return frame


def digest(folder):
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    return {file: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


COMMANDS = {
    "aggregate": ["aggregate", "{table}", "--platemap", "map.csv"],
    "sphere": ["sphere", "{table}", "--controls", "Metadata_Role == 'negative'", "--regularization", "0.1"],
    "combine": ["combine", "{table}", "other.parquet"],
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("kind", ["itself", "link to it", "linked folder", "link as input", "hard link"])
@pytest.mark.parametrize("ending", [".parquet", ".sqlite"])
def test_no_command_writes_to_an_input(tmp_path, monkeypatch, capsys, command, kind, ending):
    frame = wells(tmp_path)
    other = frame.rename(columns=lambda name: name.replace("Nuclei_", "Cells_"))
    other.to_parquet(tmp_path / "other.parquet", index=False)
    (tmp_path / "real").mkdir()
    table = write_table(frame, tmp_path / "real" / f"t{ending}", [name for name in frame if "Microsnoop" in name])
    monkeypatch.chdir(tmp_path)
    out = Path(f"out{ending}")
    if kind == "itself":
        out = table
    elif kind == "link to it":
        out.symlink_to(table)
    elif kind == "linked folder":
        Path("linked").symlink_to(tmp_path / "real")
        out = Path("linked") / table.name
    elif kind == "link as input":
        Path(f"in{ending}").symlink_to(table)
        table, out = Path(f"in{ending}"), table
    else:
        os.link(table, out)
    before = digest(tmp_path)
    words = [word.replace("{table}", str(table)) for word in COMMANDS[command]]
    assert main([*words, "--out", str(out)]) == 1
    assert "is the input" in capsys.readouterr().err
    assert digest(tmp_path) == before


def test_platemaps_and_folders_are_inputs_too(tmp_path):
    (tmp_path / "run" / "profiles.parquet").mkdir(parents=True)
    (tmp_path / "set.parquet").mkdir()
    refuse_inputs(tmp_path / "run" / "wells.parquet", [tmp_path / "run"])
    refuse_inputs(tmp_path / "set.parquet.csv", [tmp_path / "set.parquet", None, pd.DataFrame()])
    for out, source in (
        ("run/profiles.parquet/wells.parquet", "run"),
        ("run/images.csv", "run"),
        ("set.parquet/wells.parquet", "set.parquet"),
        ("set.parquet", "set.parquet"),
    ):
        with pytest.raises(InputError, match=r"is the input .* choose another name"):
            refuse_inputs(tmp_path / out, [tmp_path / source])


@pytest.mark.parametrize("level", ["image", "well", "treatment"])
def test_default_names_tell_the_level(tmp_path, monkeypatch, level):
    wells(tmp_path).assign(ImageNumber=range(12)).to_parquet(tmp_path / "cells.parquet")
    monkeypatch.chdir(tmp_path)
    words = ["aggregate", "cells.parquet", "--level", level]
    assert main([*words, *(["--treatment", "Metadata_Role"] if level == "treatment" else [])]) == 0
    assert len(pd.read_parquet(f"{level}s.parquet")) == {"image": 12, "well": 12, "treatment": 2}[level]
