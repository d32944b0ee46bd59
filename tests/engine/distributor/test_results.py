"""Test the table of a results folder: its parts, resuming a stopped run, and its CSV form."""

import csv
import json
import math
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from profile_tables import LAYOUT, RUN, image_set, measurement

from microsnoop_engine.distributor import results
from microsnoop_engine.distributor.results import MANIFEST, TableWriter, read_manifest, write_csv, write_image_list
from microsnoop_engine.errors import InputError, ResumeError, StorageError
from microsnoop_engine.images.image_set import ImageSet
from microsnoop_engine.modes.measure import CropFailure
from microsnoop_engine.tables.file_names import TABLE
from microsnoop_engine.tables.layout import Layout, metadata_types
from microsnoop_engine.tables.parquet_files import read_table, table_files


def write(folder, numbers, **options):
    writer = TableWriter(folder, LAYOUT, RUN, **options)
    for number in numbers:
        if number not in writer.done:
            writer.write(image_set(number), measurement(number))
    writer.finish()
    return writer


def test_values_are_where_they_belong(tmp_path):
    write(tmp_path, [2, 9])
    table = read_table(tmp_path).to_pandas()
    assert table["ImageNumber"].tolist() == [2] * 3 + [9] * 3
    for number, rows in table.groupby("ImageNumber"):
        wanted = measurement(number)
        assert (rows["Metadata_Well"] == f"A{number:02d}").all()
        assert (rows["Metadata_Dose"] == number / 4).all()
        assert rows["ObjectNumber"].tolist() == [5, 6, 7]
        center = rows[["Nuclei_Location_Center_Y", "Nuclei_Location_Center_X"]]
        assert np.array_equal(center, wanted.regions.center)
        box = rows[[f"Metadata_Crop_{name}" for name in ("MinY", "MinX", "MaxY", "MaxX")]]
        assert np.array_equal(box, wanted.regions.box)
        assert np.array_equal(rows["Metadata_Object_TouchesBorder"] == 1, wanted.regions.border)
        assert np.array_equal(rows.filter(regex="_Microsnoop_"), wanted.features)


def test_parts_name_weights_and_precision(tmp_path):
    run = RUN | {"weights": "some 0a1b", "precision": "bfloat16"}
    for numbers in ([1], [2]):
        writer = TableWriter(tmp_path, LAYOUT, run)
        for number in numbers:
            writer.write(image_set(number), measurement(number))
        writer.finish()
    parts = sorted((tmp_path / TABLE).iterdir())
    assert len(parts) == 2
    for part in parts:
        found = pq.read_schema(part).metadata
        assert (found[b"weights"], found[b"precision"]) == (b"some 0a1b", b"bfloat16")


def test_metadata_of_mixed_kinds_become_text(tmp_path):
    sets = [
        ImageSet(1, {}, {}, {"A": 1, "B": 1, "C": True, "D": 2.5}),
        ImageSet(2, {}, {}, {"A": "x", "B": 2.5, "C": False}),
    ]
    layout = Layout("Image", ("DNA",), metadata_types(s.metadata for s in sets), 4)
    assert layout.metadata == {"A": str, "B": str, "C": str, "D": float}
    writer = TableWriter(tmp_path, layout, RUN)
    for s in sets:
        writer.write(s, measurement(s.number, 1, 4))
    writer.finish()
    assert read_table(tmp_path).select(range(4)).to_pylist() == [
        {"Metadata_A": "1", "Metadata_B": "1", "Metadata_C": "True", "Metadata_D": 2.5},
        {"Metadata_A": "x", "Metadata_B": "2.5", "Metadata_C": "False", "Metadata_D": None},
    ]


def test_image_sets_without_objects(tmp_path):
    writer = TableWriter(tmp_path, LAYOUT, RUN)
    writer.write(image_set(1), measurement(1, rows=0))
    writer.finish()
    assert read_table(tmp_path).schema.names == LAYOUT.schema().names
    assert (len(read_table(tmp_path)), writer.done[1]["rows"]) == (0, 0)


def test_run_without_a_single_image_set(tmp_path):
    TableWriter(tmp_path, LAYOUT, RUN).finish()
    assert read_table(tmp_path).schema.equals(LAYOUT.schema())


def test_manifest_counts_unmeasured_rows(tmp_path):
    found = measurement(1)
    found.features[1, 4:] = np.nan
    found.problems.append(CropFailure(6, 1, "constant"))
    writer = TableWriter(tmp_path, LAYOUT, RUN)
    writer.write(image_set(1), found)
    writer.finish()
    assert read_manifest(tmp_path / MANIFEST)[1]["images"] == [
        {"number": 1, "rows": 3, "unmeasured": 1, "problems": {"GFP: constant": 1}}
    ]


def test_parts_follow_the_size(tmp_path):
    write(tmp_path / "small", range(1, 8), part_bytes=1)
    write(tmp_path / "large", range(1, 8))
    assert [len(list((tmp_path / name / TABLE).iterdir())) for name in ("small", "large")] == [7, 1]
    assert read_table(tmp_path / "small").equals(read_table(tmp_path / "large"))


def test_two_writers_in_sequence(tmp_path):
    write(tmp_path / "once", range(1, 6))
    write(tmp_path / "twice", range(1, 4))
    second = write(tmp_path / "twice", range(1, 6))
    assert sorted(second.done) == [1, 2, 3, 4, 5]
    assert read_table(tmp_path / "twice").equals(read_table(tmp_path / "once"))
    third = write(tmp_path / "twice", range(1, 6))
    assert third.done == second.done
    assert read_table(tmp_path / "twice").equals(read_table(tmp_path / "once"))


def test_rows_not_yet_written_are_not_done(tmp_path):
    first = TableWriter(tmp_path, LAYOUT, RUN)
    first.write(image_set(1), measurement(1))
    assert first.done == {}
    assert TableWriter(tmp_path, LAYOUT, RUN).done == {}


@pytest.mark.parametrize("cut", [1, 2, 10, 60])
def test_resume_after_a_crash(tmp_path, cut):
    """The last line of the manifest is cut off, its part and half of another are there: both are made anew."""
    write(tmp_path / "whole", range(1, 5), part_bytes=1)
    folder = tmp_path / "crashed"
    write(folder, range(1, 4), part_bytes=1)
    manifest = (folder / MANIFEST).read_bytes()
    (folder / MANIFEST).write_bytes(manifest[:-cut])
    (folder / TABLE / "part-00003.parquet").write_bytes(b"PAR1 half a part")
    (folder / TABLE / ".part-00004.parquet.123.tmp").write_bytes(b"PAR1")
    resumed = TableWriter(folder, LAYOUT, RUN)
    assert sorted(resumed.done) == [1, 2]
    assert sorted(path.name for path in (folder / TABLE).iterdir()) == ["part-00000.parquet", "part-00001.parquet"]
    write(folder, range(1, 5), part_bytes=1)
    assert read_table(folder).equals(read_table(tmp_path / "whole"))


def test_resume_after_a_crash_before_the_manifest(tmp_path):
    (tmp_path / TABLE).mkdir()
    write(tmp_path, [1])
    assert len(read_table(tmp_path)) == 3


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ({**RUN, "mode": "tile"}, r'different: mode \(before "cells", now "tile"\)\. Choose another folder'),
        ({**RUN, "scale": 2}, r"different: scale \(before not set, now 2\)"),
        ({"inputs": "abc", "mode": "cells"}, r'different: channels \(before \["DNA", "GFP"\], now not set\)'),
        ({**RUN, "mode": "x" * 200}, r'different: mode \(before "cells", now "x{50,60}\.\.\.\)'),
        ({**RUN, "settings": {"resize": 96}}, r"different: resize \(before not set, now 96\)\. Choose"),
    ],
)
def test_another_run_is_refused(tmp_path, run, message):
    write(tmp_path, [1, 2])
    before = read_table(tmp_path)
    with pytest.raises(ResumeError, match=message):
        TableWriter(tmp_path, LAYOUT, run)
    assert read_table(tmp_path).equals(before)


def test_a_run_that_measured_nothing_does_not_block_its_folder(tmp_path):
    TableWriter(tmp_path, LAYOUT, {**RUN, "mode": "tile"}).finish()
    assert len(table_files(tmp_path / TABLE)) == 1
    write(tmp_path, [1])
    assert read_manifest(tmp_path / MANIFEST)[0]["run"]["mode"] == "cells"
    assert read_table(tmp_path)["ImageNumber"].to_pylist() == [1, 1, 1]


def keys(*numbers, **changed):
    return {n: [f"planes {n}", changed.get(f"image{n}", "state")] for n in numbers}


def numbers_of(folder):
    return read_table(folder)["ImageNumber"].to_pylist()[::3]


def test_image_sets_that_changed_lose_their_rows(tmp_path, caplog):
    caplog.set_level("INFO")
    write(tmp_path, range(1, 6), part_bytes=150, keys=keys(1, 2, 3, 4, 5))
    assert len(table_files(tmp_path / TABLE)) == 3
    before = read_table(tmp_path)
    # of the first part one image set goes, of the second all, of the third none
    writer = TableWriter(tmp_path, LAYOUT, RUN, keys=keys(1, 3, 4, 5, 6, image3="other", image4="other"))
    assert sorted(writer.done) == [1, 5]
    assert sorted(numbers_of(tmp_path)) == [1, 5]
    assert "2 image sets have changed and are measured again: ImageNumber 3, 4" in caplog.text
    assert "1 image set is no longer in the input; the rows are removed: 2" in caplog.text
    for number in (3, 4, 6):
        writer.write(image_set(number), measurement(number))
    writer.finish()
    assert sorted(numbers_of(tmp_path)) == [1, 3, 4, 5, 6]
    after = (
        read_table(tmp_path)
        .to_pandas()
        .query("ImageNumber in [1, 3, 4, 5]")
        .sort_values(["ImageNumber", "ObjectNumber"])
    )
    wanted = before.to_pandas().query("ImageNumber in [1, 3, 4, 5]")
    pd.testing.assert_frame_equal(after.reset_index(drop=True), wanted.reset_index(drop=True))
    listed = [image["number"] for entry in read_manifest(tmp_path / MANIFEST)[1:] for image in entry["images"]]
    assert sorted(listed) == [1, 3, 4, 5, 6]
    again = TableWriter(tmp_path, LAYOUT, RUN, keys=keys(1, 3, 4, 5, 6, image3="other", image4="other"))
    assert sorted(again.done) == [1, 3, 4, 5, 6]


def renumbered(*planes):
    """Keys of image sets that are known by their planes, numbered from 1."""
    return {number: [f"planes {each}", "state"] for number, each in enumerate(planes, start=1)}


def test_rows_keep_their_image_set_when_its_number_changes(tmp_path, caplog):
    """A row before the others, one between them, one that is gone, two that change places."""
    caplog.set_level("INFO")
    write(tmp_path, range(1, 6), part_bytes=150, keys=renumbered("a", "b", "c", "d", "e"))
    before = read_table(tmp_path).to_pandas()
    writer = TableWriter(tmp_path, LAYOUT, RUN, keys=renumbered("new", "a", "c", "other", "e", "d"))
    assert sorted(writer.done) == [2, 3, 5, 6]
    assert writer.done[5]["key"] == ["planes e", "state"]
    after = read_table(tmp_path).to_pandas()
    for old, new in {1: 2, 3: 3, 5: 5, 4: 6}.items():
        wanted = before.query(f"ImageNumber == {old}").drop(columns="ImageNumber").reset_index(drop=True)
        found = after.query(f"ImageNumber == {new}").drop(columns="ImageNumber").reset_index(drop=True)
        pd.testing.assert_frame_equal(found, wanted)
    assert len(after) == 12
    assert "2 image sets have another ImageNumber now; the rows are kept: 2, 6" in caplog.text
    assert "1 image set is no longer in the input; the rows are removed: 2" in caplog.text
    again = TableWriter(tmp_path, LAYOUT, RUN, keys=renumbered("new", "a", "c", "other", "e", "d"))
    assert again.done == writer.done
    assert read_table(tmp_path).to_pandas().equals(after)


def test_equal_image_sets_are_counted(tmp_path):
    write(tmp_path, [1, 2], keys=renumbered("a", "a"))
    assert sorted(TableWriter(tmp_path, LAYOUT, RUN, keys=renumbered("b", "a", "a", "a")).done) == [2, 3]
    assert sorted(TableWriter(tmp_path, LAYOUT, RUN, keys=renumbered("a")).done) == [1]
    assert numbers_of(tmp_path) == [1]


@pytest.mark.parametrize("killed_at", ["_rewrite", "AppendFile"])
def test_a_kill_while_rows_are_renumbered_changes_nothing(tmp_path, monkeypatch, killed_at):
    write(tmp_path, [1, 2, 3], part_bytes=1, keys=renumbered("a", "b", "c"))
    before = read_table(tmp_path)
    manifest = (tmp_path / MANIFEST).read_bytes()
    calls = []

    def die(*arguments):
        calls.append(arguments)
        if killed_at == "AppendFile" or len(calls) == 2:
            raise KeyboardInterrupt
        return rewrite(*arguments)

    rewrite = TableWriter._rewrite
    with monkeypatch.context() as patch:
        patch.setattr(*((TableWriter, "_rewrite") if killed_at == "_rewrite" else (results, "AppendFile")), die)
        with pytest.raises(KeyboardInterrupt):
            TableWriter(tmp_path, LAYOUT, RUN, keys=renumbered("new", "a", "b", "c"))
    assert (tmp_path / MANIFEST).read_bytes() == manifest
    assert len(table_files(tmp_path / TABLE)) > 3
    assert sorted(TableWriter(tmp_path, LAYOUT, RUN, keys=renumbered("a", "b", "c")).done) == [1, 2, 3]
    assert read_table(tmp_path).equals(before)


@pytest.mark.parametrize("now", [keys(7, 8), {}])
def test_the_results_of_other_images_are_refused(tmp_path, now):
    write(tmp_path, [1, 2], keys=keys(1, 2))
    with pytest.raises(
        ResumeError, match=r"holds the results of other images \(2 image sets, none of them in the input"
    ):
        TableWriter(tmp_path, LAYOUT, RUN, keys=now)
    assert numbers_of(tmp_path) == [1, 2]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
def test_a_full_disk_is_named(tmp_path):
    writer = TableWriter(tmp_path, LAYOUT, RUN)
    part = tmp_path / TABLE / "part-00000.parquet"
    part.with_name(f".{part.name}.{os.getpid()}.tmp").symlink_to("/dev/full")
    writer.write(image_set(1), measurement(1))
    with pytest.raises(StorageError, match=r"part-00000\.parquet': the disk is full, or your quota is used up: free"):
        writer.flush()
    write(tmp_path, [1])
    assert numbers_of(tmp_path) == [1]


def test_table_without_its_manifest_is_refused(tmp_path):
    write(tmp_path, [1])
    (tmp_path / MANIFEST).unlink()
    with pytest.raises(ResumeError, match=r"exists without its manifest 'manifest\.jsonl'; choose another folder"):
        TableWriter(tmp_path, LAYOUT, RUN)
    assert len(read_table(tmp_path)) == 3


def test_missing_parts_are_named(tmp_path):
    write(tmp_path, [1, 2, 3], part_bytes=1)
    (tmp_path / TABLE / "part-00001.parquet").unlink()
    with pytest.raises(ResumeError, match=r"parts part-00001\.parquet of .* are missing: delete the folder"):
        TableWriter(tmp_path, LAYOUT, RUN)


def test_manifest_that_is_no_manifest(tmp_path):
    (tmp_path / MANIFEST).write_text("something else\n")
    with pytest.raises(ResumeError, match="holds the results of another run"):
        TableWriter(tmp_path, LAYOUT, RUN)
    assert (tmp_path / MANIFEST).read_text() == "something else\n"


def test_csv_equals_parquet(tmp_path):
    sets = [
        ImageSet(n, {}, {}, {"Well": name, "Site": n, "Dose": n / 3}) for n, name in enumerate(['a "b", c', "ü", "1"])
    ]
    writer = TableWriter(tmp_path, LAYOUT, RUN, part_bytes=1)
    for s in sets:
        writer.write(s, measurement(s.number))
    writer.finish()
    path = write_csv(tmp_path)
    assert path == tmp_path / "profiles.csv"
    wanted = read_table(tmp_path).to_pandas()
    found = pd.read_csv(path, dtype=str, keep_default_na=False)
    assert found.columns.tolist() == wanted.columns.tolist()
    for name in wanted.columns:
        assert (found[name].astype(wanted[name].dtype) == wanted[name]).all()


def test_missing_values_in_csv(tmp_path):
    found = measurement(1)
    found.features[0, :4] = np.nan
    writer = TableWriter(tmp_path, LAYOUT, RUN)
    writer.write(ImageSet(1, {}, {}, {"Well": "A01", "Site": 1}), found)
    writer.finish()
    row = next(csv.DictReader(write_csv(tmp_path).open(encoding="utf-8")))
    assert row["Metadata_Dose"] == ""
    assert math.isnan(float(row["Nuclei_Microsnoop_E000_DNA"] or "nan"))
    assert float(row["Nuclei_Microsnoop_E000_GFP"]) == pytest.approx(found.features[0, 4])


def test_read_table_of_folder_data_set_or_file(tmp_path):
    write(tmp_path / "out", [1, 2], part_bytes=1)
    pq.write_table(read_table(tmp_path / "out"), tmp_path / "one.parquet")
    tables = [read_table(path) for path in (tmp_path / "out", tmp_path / "out" / TABLE, tmp_path / "one.parquet")]
    assert all(isinstance(table, pa.Table) and table.equals(tables[0]) for table in tables)


@pytest.mark.parametrize("name", ["nothing", "empty", "text.parquet"])
def test_read_table_of_nothing(tmp_path, name):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.parquet").write_text("no table")
    with pytest.raises(InputError, match=rf"there is no table at '.*{name}'|'.*{name}' cannot be read as Parquet"):
        read_table(tmp_path / name)


def test_csv_of_nothing(tmp_path):
    with pytest.raises(InputError, match=r"there is no table at '.*profiles.parquet'"):
        write_csv(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_image_list(tmp_path):
    sets = [ImageSet(1, {}, {}, {"Well": "A01"}), ImageSet(2, {}, {}, {"Well": "A02", "Site": 3}), ImageSet(3, {})]
    done = {1: {"rows": 5, "unmeasured": 2}}
    path = write_image_list(tmp_path, sets, done, {2: {"file": "a.tif", "channel": "DNA", "error": "is, damaged"}})
    rows = [list(row.values()) for row in csv.DictReader(path.open(encoding="utf-8"))]
    assert rows == [
        ["1", "A01", "", "done", "5", "2", "", "", ""],
        ["2", "A02", "3", "failed", "", "", "a.tif", "DNA", "is, damaged"],
        ["3", "", "", "not reached", "", "", "", "", ""],
    ]


def test_manifest_is_lines_of_json(tmp_path):
    write(tmp_path, [1, 2], part_bytes=1)
    entries = [json.loads(line) for line in (tmp_path / MANIFEST).read_text().splitlines()]
    assert entries == read_manifest(tmp_path / MANIFEST)
    assert entries[0] == {"run": {**RUN, "channels": ["DNA", "GFP"]}}
    assert [entry["part"] for entry in entries[1:]] == ["part-00000.parquet", "part-00001.parquet"]
