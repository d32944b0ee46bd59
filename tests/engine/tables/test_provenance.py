"""Weights, precision and programs stay with a table, in every command and format; tables that differ are not mixed."""

import logging
import re
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from microsnoop_engine.errors import InputError
from microsnoop_engine.reporting.page import report
from microsnoop_engine.sphering.table import sphere
from microsnoop_engine.tables.aggregation import aggregate
from microsnoop_engine.tables.crop_settings import crops_text
from microsnoop_engine.tables.formats import open_table, write_table
from microsnoop_engine.tables.joining import combine
from microsnoop_engine.tables.provenance import (
    SHIFTS,
    Computed,
    Handcrafted,
    as_metadata,
    below_each_other,
    from_metadata,
    precision_warning,
)

SHA = "0a1b" * 16
AREA = "Nuclei_AreaShape_Area"
FAST = (Computed(f"microsnoop-fast {SHA}", "bfloat16"),)
FAST_FLOAT32 = (Computed(f"microsnoop-fast {SHA}", "float32"),)
OTHER = (Computed(f"microsnoop-base {SHA}", "float32"),)
CP_MEASURE, CELLPROFILER = (Handcrafted("cp_measure 0.3.0"),), (Handcrafted("CellProfiler 4.2.8.1"),)
RESULTS = Path(__file__).parents[3] / "benchmarks" / "results" / "precision.md"


def table(objects="Nuclei", channel="DNA", wells=12):
    """A table of objects, two in each well, of three features."""
    rng = np.random.default_rng(0)
    count = 2 * wells
    columns = {
        "ImageNumber": np.arange(count) // 2 + 1,
        "ObjectNumber": np.arange(count) % 2 + 1,
        "Metadata_Plate": "P1",
        "Metadata_Well": [f"{'ABC'[n // 8 % 3]}{n // 2 % 4 + 1:02d}" for n in range(count)],
        "Metadata_Role": ["negative" if n % 8 < 4 else "treated" for n in range(count)],
    }
    columns |= {f"{objects}_Microsnoop_E{k:03d}_{channel}": rng.normal(size=count) for k in range(3)}
    return pd.DataFrame(columns)


def save(path, provenance, classical=(), **settings):
    frame = table(**settings)
    frame = frame.assign(**{name: np.arange(len(frame)) * 1.5 + len(provenance) for name in classical})
    features = [name for name in frame if "_Microsnoop_" in name]
    return write_table(frame, path, [*features, *classical], provenance=provenance)


@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.csv.gz", "a.sqlite", "a.h5ad"])
@pytest.mark.parametrize("provenance", [FAST, FAST + OTHER, ()])
def test_a_file_keeps_it(name, provenance, tmp_path):
    assert open_table(save(tmp_path / name, provenance)).provenance == provenance


@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.csv.gz", "a.sqlite", "a.h5ad"])
@pytest.mark.parametrize("provenance", [CP_MEASURE, FAST + CP_MEASURE, FAST + OTHER + CP_MEASURE + CELLPROFILER])
def test_a_file_keeps_the_programs_of_handcrafted_features(name, provenance, tmp_path):
    assert open_table(save(tmp_path / name, provenance, [AREA])).provenance == provenance


def test_a_file_without_handcrafted_features_names_no_program(tmp_path):
    assert open_table(save(tmp_path / "a.csv", FAST + CP_MEASURE)).provenance == FAST
    wells = aggregate(
        save(tmp_path / "b.csv", FAST + CP_MEASURE, [AREA]), features="microsnoop", out=tmp_path / "w.csv"
    )
    assert AREA not in wells.frame
    assert open_table(tmp_path / "w.csv").provenance == FAST


def test_a_database_of_an_earlier_version(tmp_path):
    path = save(tmp_path / "a.sqlite", ())
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE profiles_provenance (rows, weights, precision)")
        rows = [(24, computed.weights, computed.precision) for computed in FAST + OTHER]
        connection.executemany("INSERT INTO profiles_provenance VALUES (?, ?, ?)", rows)
    assert open_table(path).provenance == FAST + OTHER


def test_a_table_of_profile_has_it(tmp_path):
    schema = pa.schema({"Nuclei_Microsnoop_E000_DNA": pa.float32()}).with_metadata(as_metadata(FAST))
    (tmp_path / "profiles.parquet").mkdir()
    pq.write_table(schema.empty_table(), tmp_path / "profiles.parquet" / "part-00000.parquet")
    assert open_table(tmp_path).provenance == FAST


def test_a_file_keeps_how_objects_were_cropped(tmp_path):
    both = tuple(replace(FAST[0], crops=crops_text({"objects": name, "settings": {"mask": "box"}})) for name in "AB")
    for name in ("a.parquet", "a.csv", "a.csv.gz", "a.sqlite", "a.h5ad"):
        assert open_table(save(tmp_path / name, both)).provenance == both
    write_table(table(), tmp_path / "a.sqlite", [], provenance=())
    with closing(sqlite3.connect(tmp_path / "a.sqlite")) as earlier, earlier:
        earlier.execute("CREATE TABLE profiles_provenance (rows, weights, precision)")
        earlier.execute("INSERT INTO profiles_provenance VALUES (24, ?, ?)", (FAST[0].weights, FAST[0].precision))
    assert open_table(tmp_path / "a.sqlite").provenance == FAST


def test_rows_of_different_crops_are_put_together_with_one_warning(tmp_path, caplog):
    def cropped(**settings):
        return (replace(FAST[0], crops=crops_text({"objects": "Nuclei", "settings": settings})),)

    box, masked = cropped(mask="box"), cropped(mask="object")
    assert below_each_other([("a", box), ("b", box), ("c", FAST)]) == box
    assert not caplog.records
    assert below_each_other([("a", box), ("b", masked), ("c", masked)]) == box
    assert [record.getMessage() for record in caplog.records] == [
        "'a' and 'b' hold Nuclei that were measured with different crops (`mask`: box and object), by which their "
        "features differ, too"
    ]
    caplog.clear()
    save(tmp_path / "dna.parquet", box)
    save(tmp_path / "gfp.parquet", masked, channel="GFP")
    assert combine(tmp_path / "dna.parquet", tmp_path / "gfp.parquet", out=tmp_path / "both.parquet")
    assert "measured with different crops (`mask`: box and object)" in caplog.text


def test_it_survives_aggregating_sphering_and_joining(tmp_path):
    cells = save(tmp_path / "cells.parquet", FAST)
    aggregate(cells, out=tmp_path / "wells.csv")
    sphere(tmp_path / "wells.csv", "Metadata_Role == 'negative'", out=tmp_path / "sphered.parquet")
    save(tmp_path / "classical.parquet", (), objects="Cells")
    combine(tmp_path / "cells.parquet", tmp_path / "classical.parquet", out=tmp_path / "both.h5ad")
    for name in ("wells.csv", "sphered.parquet", "both.h5ad"):
        assert open_table(tmp_path / name).provenance == FAST


def test_a_csv_file_of_that_name_by_another_program_has_none(tmp_path):
    path = save(tmp_path / "a.csv", FAST)
    assert (tmp_path / "a.csv.json").is_file()
    table(wells=3).to_csv(path, index=False)
    assert open_table(path).provenance == ()
    save(path, ())
    assert not (tmp_path / "a.csv.json").exists()


def test_a_database_that_another_program_changed_has_none(tmp_path):
    path = save(tmp_path / "a.sqlite", FAST)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM profiles WHERE rowid = 1")
    assert open_table(path).provenance == ()
    save(path, OTHER)
    assert open_table(path).provenance == OTHER


@pytest.mark.parametrize("provenance", [FAST, ()])
def test_a_file_of_the_user_beside_a_csv_file_stays(provenance, tmp_path, caplog):
    (tmp_path / "a.csv.json").write_text('{"mine": 1}')
    path = save(tmp_path / "a.csv", provenance)
    assert open_table(path).provenance == ()
    assert (tmp_path / "a.csv.json").read_text() == '{"mine": 1}'
    assert ("does not keep weights and precision" in caplog.text) == bool(provenance)


# tables that differ


def test_rows_of_different_weights_are_not_one_table(tmp_path):
    (tmp_path / "runs").mkdir()
    for name, provenance in (("a", FAST_FLOAT32), ("b", OTHER)):
        save(tmp_path / "runs" / f"{name}.parquet", provenance)
    with pytest.raises(
        InputError, match=r"'.*a.parquet' and '.*b.parquet' were measured with different weights \(micro"
    ):
        open_table(tmp_path / "runs")


def test_rows_of_different_programs_are_not_one_table(tmp_path, caplog):
    (tmp_path / "runs").mkdir()
    for name, provenance in (("a", FAST + CP_MEASURE), ("b", (*FAST, Handcrafted("cp_measure 0.4.0"))), ("c", FAST)):
        save(tmp_path / "runs" / f"{name}.parquet", provenance, [AREA])
    assert open_table(tmp_path / "runs").provenance == (*FAST, *CP_MEASURE, Handcrafted("cp_measure 0.4.0"))
    assert not caplog.records
    save(tmp_path / "runs" / "d.parquet", CELLPROFILER, [AREA])
    with pytest.raises(
        InputError, match=r"a.parquet' and '.*d.parquet' hold handcrafted features of different programs"
    ):
        open_table(tmp_path / "runs")


def test_features_of_one_name_by_different_programs_are_not_joined(tmp_path):
    save(tmp_path / "a.parquet", FAST + CP_MEASURE, [AREA])
    save(tmp_path / "b.parquet", CELLPROFILER, [AREA])
    by = re.escape("(by cp_measure 0.3.0; by CellProfiler 4.2.8.1)")
    with pytest.raises(InputError, match=f"{AREA} with different values {by}: rename or remove"):
        combine(tmp_path / "a.parquet", tmp_path / "b.parquet")


def test_different_features_by_different_programs_are_joined(tmp_path):
    save(tmp_path / "a.parquet", FAST + CP_MEASURE, [AREA])
    save(tmp_path / "b.parquet", CELLPROFILER, ["Cells_AreaShape_Area"])
    combine(tmp_path / "a.parquet", tmp_path / "b.parquet", out=tmp_path / "c.csv")
    assert open_table(tmp_path / "c.csv").provenance == FAST + CP_MEASURE + CELLPROFILER


def test_weights_of_unknown_precision(tmp_path, caplog):
    (tmp_path / "runs").mkdir()
    unknown = (Computed(FAST[0].weights, ""),)
    for name, provenance in (("a", unknown), ("b", FAST)):
        save(tmp_path / "runs" / f"{name}.parquet", provenance)
    assert open_table(tmp_path / "runs").provenance == FAST
    assert open_table(tmp_path / "runs" / "a.parquet").provenance == unknown
    combine(tmp_path / "runs" / "a.parquet", save(tmp_path / "c.parquet", FAST, channel="GFP"))
    assert "were computed in" not in caplog.text
    save(tmp_path / "runs" / "d.parquet", OTHER)
    with pytest.raises(InputError, match="different weights"):
        open_table(tmp_path / "runs")


def test_rows_of_different_precision_are_joined_with_a_warning(tmp_path, caplog):
    (tmp_path / "runs").mkdir()
    for name, provenance in (("a", FAST), ("b", FAST_FLOAT32), ("c", ())):
        save(tmp_path / "runs" / f"{name}.parquet", provenance)
    with caplog.at_level(logging.WARNING):
        found = open_table(tmp_path / "runs").provenance
    assert found == (Computed(FAST[0].weights, "bfloat16 and float32"),)
    assert "microsnoop-fast were computed in bfloat16 and float32" in caplog.text
    assert "by up to 0.02 standard deviations of the cells, with the mask object by up to 0.09" in caplog.text


def test_columns_of_one_object_set_by_different_weights(tmp_path):
    save(tmp_path / "a.parquet", FAST)
    save(tmp_path / "b.parquet", OTHER, channel="GFP")
    with pytest.raises(InputError, match="hold features of Nuclei by different weights"):
        combine(tmp_path / "a.parquet", tmp_path / "b.parquet")


def test_columns_of_different_object_sets_may_have_their_own_weights(tmp_path):
    save(tmp_path / "a.parquet", FAST)
    save(tmp_path / "b.parquet", OTHER, objects="Cells")
    combine(tmp_path / "a.parquet", tmp_path / "b.parquet", out=tmp_path / "c.parquet")
    assert open_table(tmp_path / "c.parquet").provenance == FAST + OTHER


def test_columns_of_different_precision_are_joined_with_a_warning(tmp_path, caplog):
    save(tmp_path / "a.parquet", FAST)
    save(tmp_path / "b.parquet", FAST_FLOAT32, channel="GFP")
    combine(tmp_path / "a.parquet", tmp_path / "b.parquet", out=tmp_path / "c.parquet")
    assert "microsnoop-fast were computed in bfloat16 and float32" in caplog.text
    assert open_table(tmp_path / "c.parquet").provenance == FAST + FAST_FLOAT32


def test_the_distance_is_the_measured_one():
    """The numbers of the warning are those of the benchmark's table."""
    rows = [line.split("|") for line in RESULTS.read_text().splitlines() if re.match(r"\| microsnoop-", line)]
    measured = {}
    for name, _, mask, _, shift in (list(map(str.strip, row[1:6])) for row in rows):
        measured.setdefault(name, {}).setdefault(mask, []).append(float(shift))
    assert {name: (max(of["box"]), max(of["object"])) for name, of in measured.items()} == SHIFTS


def test_precisions_whose_distance_was_not_measured():
    text = precision_warning(f"mine {SHA}", ["bfloat16", "float32"])
    assert "features by mine were computed in bfloat16 and float32" in text
    assert "was not measured for these weights" in text
    assert "was not measured" in precision_warning(FAST[0].weights, ["float16", "float32"])


def test_metadata_of_other_programs_is_none():
    for metadata in (None, {}, {b"pandas": b"{}"}, {"weights": "a"}, {"weights": "a; b", "precision": "float32"}):
        assert from_metadata(metadata) == ()
    assert below_each_other([("a", ()), ("b", ())]) == ()


# the report


def test_the_report_shows_weights_and_precision(tmp_path):
    wells = tmp_path / "wells.parquet"
    aggregate(save(tmp_path / "cells.parquet", FAST), out=wells)
    page = report(wells, tmp_path / "report.html").read_text()
    assert "features by microsnoop-fast (0a1b0a1b0a1b) in bfloat16; microsnoop" in page
    save(tmp_path / "other.parquet", OTHER)
    with pytest.raises(InputError, match="different weights"):
        report(wells, tmp_path / "report.html", before=tmp_path / "other.parquet")
