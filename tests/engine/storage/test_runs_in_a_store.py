"""Run commands on images and results in an object store, on a real S3 server: the tables are those of a disk."""

import gzip
import io
import os
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from profile_tables import LAYOUT, RUN, image_set, measurement
from screens import write_screen
from several_workers import assert_same_table, table_of
from stores import put, upload_text
from waiting import wait_for

from microsnoop_engine import CropSettings
from microsnoop_engine.cli.main import build_parser, main
from microsnoop_engine.cli.pipeline import plan_steps, read_sections
from microsnoop_engine.distributor.job import Job
from microsnoop_engine.distributor.merge import merge
from microsnoop_engine.distributor.results import MANIFEST, read_manifest, resume_table
from microsnoop_engine.distributor.run import run_job
from microsnoop_engine.errors import InputError, ResumeError
from microsnoop_engine.images.image_set_file import read_image_sets
from microsnoop_engine.images.inputs import find_image_sets
from microsnoop_engine.images.planes import read_channels
from microsnoop_engine.storage.paths import files_in, path_kind, read_bytes, remove
from microsnoop_engine.tables.formats import open_table
from microsnoop_engine.tables.parquet_files import read_table, table_files

JOB = Job(("DNA", "GFP"), "Nuclei", CropSettings(rescale_constant=3.0))
OPTIONS = ["--rescale-constant", "3", "--device", "cpu", "--precision", "float32", "--threads", "2", "--quiet"]


def test_the_table_of_a_bucket_is_that_of_the_disk(tmp_path, screen, bucket, caplog):
    put(bucket / "screen", screen.parent)
    out = bucket / "results" / "one"
    assert main(["profile", f"{bucket}screen/LoadData.csv", *OPTIONS, "--csv", "--out", str(out)]) == 1
    assert f"file '{bucket}screen/missing.tif', channel 'DNA': there is no such file" in caplog.text
    assert "Traceback" not in caplog.text
    assert main(["profile", str(screen), *OPTIONS, "--csv", "--out", str(tmp_path / "out")]) == 1
    assert read_table(out).equals(read_table(tmp_path / "out"))
    here, there = ([path.parts[0] for path in files_in(folder)] for folder in (tmp_path / "out", out))
    assert there == here[1:]
    assert here[0] == ".lock"
    entries, expected = read_manifest(out / MANIFEST), read_manifest(tmp_path / "out" / MANIFEST)
    keys, expected_keys = (
        [image.pop("key") for entry in lines[1:] for image in entry["images"]] for lines in (entries, expected)
    )
    assert len(keys) == len(expected_keys) > 0
    assert [entry["images"] for entry in entries[1:]] == [entry["images"] for entry in expected[1:]]
    assert read_bytes(out / "profiles.csv") == read_bytes(tmp_path / "out" / "profiles.csv")
    lists = [pd.read_csv(io.BytesIO(read_bytes(folder / "images.csv"))) for folder in (out, tmp_path / "out")]
    pd.testing.assert_frame_equal(*(found.drop(columns="File") for found in lists))
    sets, channels = read_image_sets(out)
    local, _ = read_image_sets(tmp_path / "out")
    assert np.array_equal(read_channels(sets[4], channels), read_channels(local[4], channels))


def test_tables_in_a_bucket_are_read_and_written(tmp_path, screen, bucket):
    out = bucket / "out"
    assert main(["profile", str(screen), *OPTIONS, "--out", str(out)]) == 1
    assert main(["aggregate", str(out), "--out", f"{bucket}wells.parquet"]) == 0
    assert main(["aggregate", str(out), "--out", str(tmp_path / "wells.csv")]) == 0
    wells = read_table(bucket / "wells.parquet").to_pandas()
    assert len(wells) == 4
    features = wells.filter(like="_Microsnoop_")
    np.testing.assert_allclose(features, pd.read_csv(tmp_path / "wells.csv")[features.columns], rtol=1e-6)
    plates = sorted(set(wells["Metadata_Plate"]))
    content = "Plate,Well,Compound\n" + "".join(f"{p},{w},x\n" for p in plates for w in wells["Metadata_Well"].unique())
    upload_text(bucket / "platemap.csv", content)
    (bucket / "platemap.csv.gz").write_bytes(gzip.compress(content.encode()))
    for name in ("platemap.csv", "platemap.csv.gz"):
        command = ["aggregate", str(out), "--platemap", f"{bucket}{name}", "--out", f"{bucket}wells.csv"]
        assert main(command) == 0
        (chunk,) = open_table(bucket / "wells.csv").chunks()
        assert chunk["Metadata_Compound"].tolist() == ["x"] * 4
    upload_text(bucket / "cut.csv", "a,b\n1,2\n3\n")
    with pytest.raises(InputError, match=r"cannot be read as a table: .*Expected 2 columns, got 1"):
        open_table(bucket / "cut.csv")
    upload_text(bucket / "wells.sqlite", "")
    with pytest.raises(InputError, match="only Parquet and CSV tables are read from a store"):
        open_table(bucket / "wells.sqlite")


SCRIPT = """
import sys
from microsnoop_engine import CropSettings, Embedder
from microsnoop_engine.distributor.job import Job
from microsnoop_engine.distributor.run import run_job
from microsnoop_engine.images.inputs import find_image_sets
from microsnoop_engine.storage.paths import as_path
embedder = Embedder(device="cpu", precision="float32", batch_size=8, threads=2)
job = Job(("DNA", "GFP"), "Nuclei", CropSettings(rescale_constant=3.0))
run_job(find_image_sets(sys.argv[1]), job, embedder, as_path(sys.argv[2]), part_bytes=1)
"""


def test_a_killed_run_goes_on_where_it_was_with_the_same_table(tmp_path, embedder, bucket):
    screen = write_screen(tmp_path / "screen", 16)
    put(bucket / "screen", screen.parent)
    out = bucket / "killed"
    command = [sys.executable, "-c", SCRIPT, f"{bucket}screen/LoadData.csv", str(out)]
    killed = subprocess.Popen(command)
    wait_for(lambda: path_kind(out / MANIFEST) and len(read_manifest(out / MANIFEST)) >= 4)
    os.kill(killed.pid, signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    before = read_manifest(out / MANIFEST)
    assert 4 <= len(before) < 17
    # what a kill between a part and its entry leaves behind
    upload_text(out / "profiles.parquet" / "part-00099.parquet", "half a part")
    subprocess.run(command, check=True)
    assert read_manifest(out / MANIFEST)[: len(before)] == before
    run_job(find_image_sets(screen), JOB, embedder, tmp_path / "whole")
    assert_same_table(out, table_of(tmp_path / "whole"))
    assert path_kind(out / ".writer.json") is None


def test_a_folder_of_the_disk_goes_on_in_a_bucket(tmp_path, bucket):
    def write(folder, numbers, run=RUN):
        with resume_table(folder, LAYOUT, run, part_bytes=1) as writer:
            for number in numbers:
                if number not in writer.done:
                    writer.write(image_set(number), measurement(number))
            writer.finish()

    write(tmp_path / "out", [1, 2])
    put(bucket / "out", tmp_path / "out")
    for folder in (tmp_path / "out", bucket / "out"):
        write(folder, [1, 2, 3])
    assert read_table(bucket / "out").equals(read_table(tmp_path / "out"))
    with pytest.raises(ResumeError, match="holds the results of another run; different: mode"):
        write(bucket / "out", [], {**RUN, "mode": "tile"})
    remove(bucket / "out" / "profiles.parquet" / "part-00001.parquet")
    with pytest.raises(ResumeError, match=r"parts part-00001\.parquet of .* are missing"):
        write(bucket / "out", [])


def test_shares_in_a_bucket_are_merged(tmp_path, screen, bucket):
    put(bucket / "screen", screen.parent)
    mode = ["--mode", "image", "--channels", "DNA", "--device", "cpu", "--quiet"]
    codes = [
        main(["profile", f"{bucket}screen/LoadData.csv", *mode, "--out", f"{bucket}out", "--shard", f"{n}/2"])
        for n in (1, 2)
    ]
    assert codes == [1, 0]
    upload_text(bucket / "out" / "profiles.parquet" / "part-00077.parquet", "of an earlier merge")
    for _ in range(2):
        merged = merge(bucket / "out")
        assert (merged.shards, merged.rows, merged.done, merged.failed) == (2, 4, 4, 1)
    assert main(["profile", str(screen), *mode, "--out", str(tmp_path / "whole")]) == 1
    order = {"by": "ImageNumber", "ignore_index": True}
    tables = [read_table(folder).to_pandas().sort_values(**order) for folder in (bucket / "out", tmp_path / "whole")]
    pd.testing.assert_frame_equal(*tables, rtol=1e-4, atol=1e-5)
    # the merged folder is that of the whole run
    assert main(["profile", f"{bucket}screen/LoadData.csv", *mode, "--out", f"{bucket}out"]) == 1
    assert len(read_table(bucket / "out")) == 4
    (part,) = table_files(bucket / "out" / "shard-0001-of-0002" / "profiles.parquet")
    remove(part)
    with pytest.raises(InputError, match=r"part-00000-\w+\.parquet' is missing: delete"):
        merge(bucket / "out")
    assert len(read_table(bucket / "out")) == 4
    with pytest.raises(InputError, match="holds no shards"):
        merge(bucket / "screen")


def test_a_screen_file_with_images_in_a_bucket(tmp_path, s3_server):
    path = tmp_path / "screen.yaml"
    path.write_text("profile: {input: 's3://bucket/LoadData.csv'}\nout: results\n")
    (step,) = plan_steps(read_sections(path), path, build_parser().parse_args)
    assert step.arguments[0] == "s3://bucket/LoadData.csv"
    path.write_text("profile: {input: a.csv}\nout: s3://bucket/results\n")
    with pytest.raises(InputError, match="'out' must be a folder of the disk; images may be in an object store"):
        read_sections(path)
