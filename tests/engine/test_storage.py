"""Images and results in an object store, on a real S3 server of this machine: the same as on a disk."""

import functools
import gzip
import http.server
import io
import os
import pickle
import signal
import subprocess
import sys
import threading

import numpy as np
import pandas as pd
import pytest
import tifffile
from screens import write_screen
from several_workers import assert_same_table, table_of, wait_until
from test_profiles import LAYOUT, RUN, image_set, measurement

from microsnoop_engine import CropSettings
from microsnoop_engine.cli.main import main
from microsnoop_engine.cli.pipeline import plan_steps, read_sections
from microsnoop_engine.distributor.job import Job
from microsnoop_engine.distributor.merge import merge
from microsnoop_engine.distributor.results import MANIFEST, read_manifest, resume_table
from microsnoop_engine.distributor.run import run_job
from microsnoop_engine.errors import ImageError, InputError, ResumeError, StorageError, UnreachableError
from microsnoop_engine.images.image_set import PlaneSource
from microsnoop_engine.images.image_set_file import read_image_sets
from microsnoop_engine.images.inputs import find_image_sets
from microsnoop_engine.images.planes import read_channels, read_plane
from microsnoop_engine.storage.paths import as_path, files_in, is_remote, path_kind, read_bytes, remove, upload
from microsnoop_engine.tables.formats import open_table
from microsnoop_engine.tables.parquet_files import read_table, table_files

JOB = Job(("DNA", "GFP"), "Nuclei", CropSettings(rescale_constant=3.0))
OPTIONS = ["--rescale-constant", "3", "--device", "cpu", "--precision", "float32", "--threads", "2", "--quiet"]


def put(path, file):
    """Put a file, or a folder with all that is in it, into the store."""
    for place in files_in(file) if file.is_dir() else [""]:
        upload(file / place, path.joinpath(*place.parts) if place else path)
    return path


def test_paths_of_every_kind(tmp_path, bucket):
    assert as_path("a/b") == type(tmp_path)("a/b")
    assert as_path(f"file://{tmp_path}/x%20y") == tmp_path / "x y"
    assert as_path("C:/a") == type(tmp_path)("C:/a")
    address = as_path("s3://bucket/a") / "b.tif"
    assert is_remote(address)
    assert (str(address), address.suffix) == ("s3://bucket/a/b.tif", ".tif")
    assert pickle.loads(pickle.dumps(PlaneSource(address, 1))) == PlaneSource(address, 1)
    error = pickle.loads(pickle.dumps(UnreachableError(address, "no")))
    assert (str(error), error.reason) == ("'s3://bucket/a/b.tif': no", "no")


@pytest.fixture
def screen(tmp_path):
    """A LoadData CSV of five image sets on the disk, its third without a file."""
    names = ["DNA0.tif", "DNA1.tif", "missing.tif", "DNA2.tif", "DNA3.tif"]
    return write_screen(tmp_path / "screen", 5, FileName_DNA=names)


def test_the_table_of_a_bucket_is_that_of_the_disk(tmp_path, screen, bucket, capsys):
    put(bucket / "screen", screen.parent)
    out = bucket / "results" / "one"
    assert main(["profile", f"{bucket}screen/LoadData.csv", *OPTIONS, "--csv", "--out", str(out)]) == 1
    said = capsys.readouterr().err
    assert f"file '{bucket}screen/missing.tif', channel 'DNA': there is no such file" in said
    assert "Traceback" not in said
    assert main(["profile", str(screen), *OPTIONS, "--csv", "--out", str(tmp_path / "out")]) == 1
    assert read_table(out).equals(read_table(tmp_path / "out"))
    here, there = ([place.parts[0] for place in files_in(folder)] for folder in (tmp_path / "out", out))
    assert there == here[1:]
    assert here[0] == ".lock"
    entries, wanted = read_manifest(out / MANIFEST), read_manifest(tmp_path / "out" / MANIFEST)
    assert [entry["images"] for entry in entries[1:]] == [entry["images"] for entry in wanted[1:]]
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
    with pytest.raises(InputError, match="only Parquet and CSV are read: copy it to a disk"):
        open_table(bucket / "wells.sqlite")


def upload_text(path, text):
    path.fs.pipe_file(path.path, text.encode())


def test_load_data_with_addresses(tmp_path, screen, bucket):
    put(bucket / "deep" / "images", screen.parent)
    address = f"{bucket}deep/images"
    content = (
        "FileName_DNA,PathName_DNA,URL_GFP,ObjectsURL_Nuclei\n"
        f"DNA1.tif,{address},{address}/GFP0.tif,{address}/labels.tif\n"
    )
    (tmp_path / "local.csv").write_text(content)
    upload_text(bucket / "deep" / "csv" / "LoadData.csv", content.replace(address, "../images"))
    wanted = [tifffile.imread(screen.with_name(name)) for name in ("DNA1.tif", "GFP0.tif", "labels.tif")]
    for path in (tmp_path / "local.csv", bucket / "deep" / "csv" / "LoadData.csv"):
        (found,) = find_image_sets(path)
        planes = [read_plane(source, "") for source in (*found.channels.values(), *found.labels.values())]
        assert all(np.array_equal(*pair) for pair in zip(planes, wanted, strict=True))
    upload_text(bucket / "absolute.csv", f"FileName_DNA,PathName_DNA\nDNA1.tif,{screen.parent}\n")
    (found,) = find_image_sets(bucket / "absolute.csv")
    assert found.channels["DNA"].path == screen.with_name("DNA1.tif")


def test_folders_images_and_labels_by_their_address(tmp_path, bucket):
    stack = np.random.default_rng(0).integers(0, 999, (2, 700, 900), np.uint16)
    names = {"axes": "CYX", "Channel": {"Name": ["DNA", "ER"]}}
    tifffile.imwrite(tmp_path / "a.ome.tif", stack, ome=True, metadata=names)
    put(bucket / "single" / "a.ome.tif", tmp_path / "a.ome.tif")
    for channel in range(2):
        tifffile.imwrite(tmp_path / "plane.tif", stack[channel])
        put(bucket / "plate" / "P1" / f"A01_s1_{['DNA', 'ER'][channel]}.tif", tmp_path / "plane.tif")
    labels = np.zeros((700, 900), np.uint16)
    labels[:9, :9] = 3
    tifffile.imwrite(tmp_path / "labels.tif", labels)
    put(bucket / "labels" / "A01_s1_DNA_labels.tif", tmp_path / "labels.tif")
    found = [
        find_image_sets(bucket / "single")[0],
        find_image_sets(f"{bucket}single/a.ome.tif")[0],
        find_image_sets(bucket / "plate", "{Plate}/{Well}_s{Site}_{Channel}.tif", bucket / "labels")[0],
    ]
    for one in found:
        assert np.array_equal(read_channels(one, ["DNA", "ER"]), stack)
    assert found[2].metadata == {"Plate": "P1", "Well": "A01", "Site": 1}
    assert np.array_equal(read_plane(found[2].labels["Nuclei"], "Nuclei"), labels)
    with pytest.raises(InputError, match=r"fits the pattern .*; a file there: 'a\.ome\.tif'"):
        find_image_sets(bucket / "single", "{Well}_{Channel}.png")
    upload_text(bucket / "a.npz", "")
    with pytest.raises(InputError, match=r"\.npz files are read from a disk only: copy it"):
        find_image_sets(bucket / "a.npz")


def test_images_by_http(tmp_path, screen, s3_server):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(screen.parent)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    (tmp_path / "a.csv").write_text(f"URL_DNA\n{address}/DNA1.tif\n{address}/none.tif\n")
    found, missing = find_image_sets(tmp_path / "a.csv")
    assert np.array_equal(read_channels(found, ["DNA"])[0], tifffile.imread(screen.with_name("DNA1.tif")))
    with pytest.raises(ImageError, match="there is no such file"):
        read_channels(missing, ["DNA"])
    server.shutdown()
    server.server_close()


SCRIPT = """
import sys
from microsnoop_engine import CropSettings, Embedder
from microsnoop_engine.distributor import Job, profile
from microsnoop_engine.inputs import find_image_sets
from microsnoop_engine.storage import as_path
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
    wait_until(lambda: path_kind(out / MANIFEST) and len(read_manifest(out / MANIFEST)) >= 4)
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


def test_a_second_run_takes_over_and_the_first_one_stops(bucket):
    opened = functools.partial(resume_table, bucket / "out", LAYOUT, RUN, part_bytes=1)
    with opened() as first:
        first.write(image_set(1), measurement(1))
        with opened() as second:
            assert list(second.done) == [1]
            second.write(image_set(2), measurement(2, rows=2))
            with pytest.raises(ResumeError, match=r"another run on .* \(process \d+, since .*\) has taken over"):
                first.write(image_set(2), measurement(2))
        with pytest.raises(ResumeError, match="another run meanwhile has taken over"):
            first.write(image_set(3), measurement(3))
    with opened() as third:
        assert sorted(third.done) == [1, 2]
        third.write(image_set(3), measurement(3))
    assert [entry["images"][0]["number"] for entry in read_manifest(bucket / "out" / MANIFEST)[1:]] == [1, 2, 3]
    assert len(read_table(bucket / "out")) == 3 + 2 + 3


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
    with pytest.raises(InputError, match="holds no shares"):
        merge(bucket / "screen")


# what cannot be reached, and what is said of it


def test_missing_files_and_buckets(bucket, screen, capsys):
    with pytest.raises(InputError, match=r"there is no file or folder 's3://.*/none\.csv'"):
        find_image_sets(bucket / "none.csv")
    with pytest.raises(StorageError, match=r"'s3://no-such-bucket/a\.csv': there is no bucket 'no-such-bucket'"):
        find_image_sets("s3://no-such-bucket/a.csv")
    with pytest.raises(ImageError, match="there is no bucket 'no-such-bucket'") as caught:
        read_plane(PlaneSource(as_path("s3://no-such-bucket/a.tif")), "DNA")
    assert (caught.value.path, caught.value.channel) == ("s3://no-such-bucket/a.tif", "DNA")
    upload_text(bucket / "cut.tif", "II*")
    with pytest.raises(ImageError, match=r"cannot be read .*damaged or incomplete"):
        read_plane(PlaneSource(bucket / "cut.tif"), "DNA")
    assert main(["profile", str(screen), *OPTIONS, "--out", "s3://no-such-bucket/out"]) == 1
    said = capsys.readouterr().err
    assert said == "microsnoop profile: 's3://no-such-bucket/out': there is no bucket 'no-such-bucket'\n"
    for table in ("none", ""):
        with pytest.raises(InputError, match="there is no table at"):
            read_table(bucket / table)


@pytest.fixture
def fresh(monkeypatch):
    """Connections that are made anew, by the environment as it is then."""
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    yield monkeypatch
    s3fs.S3FileSystem.clear_instance_cache()


def test_a_store_that_does_not_answer_stops_the_run(fresh, screen, s3_server, capsys):
    lines = [f"s3://bucket/DNA{n}.tif" for n in range(4)]
    (screen.parent / "far.csv").write_text("URL_DNA\n" + "\n".join(lines) + "\n")
    fresh.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    fresh.setenv("AWS_MAX_ATTEMPTS", "1")
    mode = ["--mode", "image", "--device", "cpu", "--quiet", "--out", str(screen.parent / "out")]
    assert main(["profile", str(screen.parent / "far.csv"), *mode]) == 1
    said = capsys.readouterr().err
    assert said.startswith("microsnoop profile: 's3://")
    assert "the store does not answer (Could not connect to the endpoint URL" in said
    assert "Traceback" not in said
    with pytest.raises(UnreachableError, match="does not answer"):
        find_image_sets("s3://bucket/folder")


def test_no_credentials(fresh, tmp_path, s3_server):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        fresh.delenv(name)
    fresh.setenv("AWS_EC2_METADATA_DISABLED", "true")
    fresh.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with pytest.raises(UnreachableError, match=r"there are no credentials .*AWS_ACCESS_KEY_ID.*FSSPEC_S3_ANON=true"):
        read_plane(PlaneSource(as_path("s3://bucket/a.tif")), "DNA")


def test_wrong_credentials(fresh, bucket):
    from moto import settings
    from moto.core.responses import ActionAuthenticatorMixin

    upload_text(bucket / "a.tif", "x")
    fresh.setattr(settings, "INITIAL_NO_AUTH_ACTION_COUNT", 0)
    fresh.setattr(ActionAuthenticatorMixin, "request_count", 0)
    with pytest.raises(ImageError, match=r"access is denied \(.*\): check the credentials and the rights"):
        read_plane(PlaneSource(bucket / "a.tif"), "DNA")
    for act in (lambda: find_image_sets(bucket / "a.tif"), lambda: find_image_sets(bucket / "folder")):
        with pytest.raises(StorageError, match="access is denied"):
            act()
    with pytest.raises(StorageError, match="access is denied"), resume_table(bucket / "out", LAYOUT, RUN):
        pass


@pytest.mark.parametrize("missing", ["upath", "s3fs"])
def test_missing_packages_are_named(missing):
    script = (
        f"import sys; sys.modules['{missing}'] = None; from microsnoop_engine.cli.main import main; "
        "sys.exit(main(['profile', 's3://bucket/a.tif', '--out', 'out']))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 2
    assert 'pip install "microsnoop[cloud]"' in done.stderr
    assert "Traceback" not in done.stderr


def test_a_screen_file_with_images_in_a_bucket(tmp_path, s3_server):
    path = tmp_path / "screen.yaml"
    path.write_text("profile: {input: 's3://bucket/LoadData.csv'}\nout: results\n")
    (step,) = plan_steps(read_sections(path), path)
    assert step.arguments[0] == "s3://bucket/LoadData.csv"
    path.write_text("profile: {input: a.csv}\nout: s3://bucket/results\n")
    with pytest.raises(InputError, match="'out' must be a folder of the disk; images may be in an object store"):
        read_sections(path)
