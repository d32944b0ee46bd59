"""Test merging the shards of a run, and the messages about missing, unfinished or foreign shards."""

import csv
import json
import shutil
import signal
import subprocess
import sys

import pandas as pd
import pyarrow.parquet as pq
import pytest

from microsnoop_engine.cli.main import main
from microsnoop_engine.distributor.merge import merge
from microsnoop_engine.errors import InputError
from microsnoop_engine.images.synthetic import write_screen
from microsnoop_engine.tables.formats import open_table
from microsnoop_engine.tables.parquet_files import read_table

MODE = ["--mode", "image", "--channels", "DNA", "--quiet"]


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    """Seven image sets of the synthetic screen, one of them without its file."""
    folder = tmp_path_factory.mktemp("screen")
    load_data = write_screen(folder / "all")
    with load_data.open(newline="") as file:
        rows = list(csv.DictReader(file))[:7]
    rows[4]["FileName_DNA"] = "missing.tif"
    short = load_data.with_name("short.csv")
    with short.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return short


@pytest.fixture(scope="module")
def shared_out(screen, tmp_path_factory):
    """The run in three shares."""
    folder = tmp_path_factory.mktemp("out")
    codes = [main(["profile", str(screen), *MODE, "--out", str(folder), "--shard", f"{n}/3"]) for n in (3, 1, 2)]
    assert codes == [0, 0, 1]  # the fifth image set is in the second share
    return folder


@pytest.fixture
def shares(shared_out, tmp_path):
    shutil.copytree(shared_out, tmp_path / "out")
    return tmp_path / "out"


def test_merged_shares_are_the_whole_run(screen, shares, tmp_path, capsys):
    assert main(["profile", str(screen), *MODE, "--out", str(tmp_path / "whole")]) == 1
    assert main(["merge", str(shares)]) == 1  # as one image set could not be measured
    assert "6 rows of 6 image sets from 3 shards" in capsys.readouterr().out
    tables = [
        read_table(path).to_pandas().sort_values("ImageNumber", ignore_index=True)
        for path in (shares, tmp_path / "whole")
    ]
    pd.testing.assert_frame_equal(*tables, rtol=1e-4, atol=1e-5)
    lists = [pd.read_csv(path / "images.csv") for path in (shares, tmp_path / "whole")]
    pd.testing.assert_frame_equal(*lists)
    sets = [json.loads((path / "image_sets.json").read_text()) for path in (shares, tmp_path / "whole")]
    assert sets[0] == sets[1]
    before = read_table(shares)
    assert main(["merge", str(shares)]) == 1
    assert read_table(shares).equals(before)
    assert [path.name for path in shares.glob(".*")] == []
    # the merged folder is the folder of the whole run, which goes on from it
    assert main(["profile", str(screen), *MODE, "--out", str(shares)]) == 1
    assert read_table(shares).num_rows == 6


def test_missing_and_unfinished_shares_are_named(shares, capsys):
    shutil.move(shares / "shard-0002-of-0003", shares.parent / "elsewhere")
    with pytest.raises(InputError, match="lacks 1 of 3 shards: 2/3"):
        merge(shares)
    shutil.move(shares.parent / "elsewhere", shares / "shard-0002-of-0003")
    (shares / "shard-0003-of-0003" / "images.csv").unlink()
    with pytest.raises(InputError, match=r"shard 3/3 in .* is not finished: run it again"):
        merge(shares)
    assert not (shares / "profiles.parquet").exists()


def test_a_share_that_was_started_again_and_killed_is_refused(shares):
    """Its list is of the earlier run, its manifest of the new one, which removed the rows of an image set."""
    manifest = shares / "shard-0001-of-0003" / "manifest.jsonl"
    run, part = map(json.loads, manifest.read_text().splitlines())
    part["images"].pop()
    manifest.write_text(json.dumps(run) + "\n" + json.dumps(part) + "\n")
    with pytest.raises(InputError, match=r"shard 1/3 in .* is not finished: run it again"):
        merge(shares)


def test_a_lost_part_leaves_the_old_table(shares):
    merge(shares)
    before = read_table(shares)
    next((shares / "shard-0001-of-0003" / "profiles.parquet").glob("*.parquet")).unlink()
    with pytest.raises(InputError, match="is missing: delete"):
        merge(shares)
    assert read_table(shares).equals(before)


KILLED_MERGE = """
import os, signal, sys
from pathlib import Path
from microsnoop_engine.distributor.merge import merge

rename = Path.rename

def rename_and_die(path, target):
    rename(path, target)
    if path.name == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)

Path.rename = rename_and_die
merge(Path(sys.argv[1]))
"""


@pytest.mark.parametrize("renamed", ["profiles.parquet", ".profiles.parquet.new"])
def test_a_killed_merge_loses_no_table_and_is_completed_by_the_next_one(screen, shares, renamed):
    """Kill it after the old table gave its name away, and after the new one took it."""
    merge(shares)
    before = read_table(shares)
    command = [sys.executable, "-c", KILLED_MERGE, str(shares), renamed]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert not (shares / "manifest.jsonl").exists()
    part = next((shares / "shard-0001-of-0003" / "profiles.parquet").glob("*.parquet"))
    part.rename(shares / "elsewhere")
    with pytest.raises(InputError, match="is missing: delete"):
        merge(shares)
    assert read_table(shares).equals(before)
    assert main(["profile", str(screen), *MODE, "--out", str(shares)]) == 1  # no manifest: nothing to continue
    (shares / "elsewhere").rename(part)
    merge(shares)
    assert read_table(shares).equals(before)
    assert [path.name for path in shares.glob(".*") if path.name != ".lock"] == []
    assert main(["profile", str(screen), *MODE, "--out", str(shares)]) == 1
    assert read_table(shares).equals(before)


def test_shares_of_different_runs_are_refused(screen, shares):
    shutil.rmtree(shares / "shard-0001-of-0003")
    other = ["tile" if word == "image" else word for word in MODE]
    assert main(["profile", str(screen), *other, "--out", str(shares), "--shard", "1/3"]) == 0
    with pytest.raises(InputError, match="shards 1/3 and 2/3 are of different runs: mode differ"):
        merge(shares)
    (shares / "shard-0001-of-0004").mkdir()
    with pytest.raises(InputError, match="shards of 3 and of 4"):
        merge(shares)


def test_a_folder_without_shares(tmp_path):
    with pytest.raises(InputError, match="holds no shards"):
        merge(tmp_path)


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "a/b", "1/0"])
def test_bad_shares_are_usage_errors(screen, tmp_path, text, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["profile", str(screen), "--out", str(tmp_path), "--shard", text])
    assert stop.value.code == 2
    assert "such as 3/10" in capsys.readouterr().err


def recompute(shard, **run):
    """Let a share say that it was computed otherwise."""
    path = shard / "manifest.jsonl"
    first, *others = path.read_text().splitlines()
    entry = json.loads(first)
    entry["run"] |= run
    path.write_text("\n".join([json.dumps(entry), *others]) + "\n")
    for part in (shard / "profiles.parquet").glob("*.parquet"):
        table = pq.read_table(part)
        metadata = table.schema.metadata | {key.encode(): value.encode() for key, value in run.items()}
        pq.write_table(table.replace_schema_metadata(metadata), part)


def test_shares_of_different_precision_are_merged_with_a_warning(shares, caplog):
    precision = json.loads((shares / "shard-0001-of-0003" / "manifest.jsonl").open().readline())["run"]["precision"]
    other = {"float32": "bfloat16", "bfloat16": "float32"}[precision]
    recompute(shares / "shard-0002-of-0003", precision=other)
    merge(shares)
    assert f"microsnoop-fast were computed in {precision} and {other}" in caplog.text
    assert "by up to 0.02 standard deviations of the cells" in caplog.text
    run = json.loads((shares / "manifest.jsonl").open().readline())["run"]
    assert run["precision"] == f"{precision} and {other}"
    assert open_table(shares).provenance[0].precision == f"{precision} and {other}"


def test_shares_of_different_weights_are_not_merged(shares):
    recompute(shares / "shard-0002-of-0003", weights="microsnoop-other 0a1b")
    with pytest.raises(InputError, match="are of different runs: weights differ"):
        merge(shares)
