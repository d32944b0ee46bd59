"""Handle files on a disk and in an object store alike, and explain what a store refuses."""

import pickle
import subprocess
import sys
from pathlib import PurePath

import pytest
from profile_tables import LAYOUT, RUN
from stores import put, upload_text

from microsnoop_engine.cli.main import main
from microsnoop_engine.distributor.results import resume_table
from microsnoop_engine.errors import ImageError, InputError, StorageError, UnreachableError
from microsnoop_engine.images.image_set import PlaneSource
from microsnoop_engine.images.inputs import find_image_sets
from microsnoop_engine.images.planes import read_plane
from microsnoop_engine.storage.paths import as_path, files_in, folders_in, is_remote, path_kind, read_bytes
from microsnoop_engine.tables.parquet_files import read_table

OPTIONS = ["--rescale-constant", "3", "--device", "cpu", "--precision", "float32", "--threads", "2", "--quiet"]


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


def test_files_and_folders_of_a_disk_and_a_store_are_the_same(tmp_path, bucket):
    folder = tmp_path / "plate"
    for name in ("b.tif", "a/c.tif", "a/d e.tif"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    for path in (folder, put(bucket / "plate", folder)):
        listed = files_in(path)
        assert listed == [PurePath("a/c.tif"), PurePath("a/d e.tif"), PurePath("b.tif")]
        assert all(read_bytes(path.joinpath(*relative_path.parts)) == b"x" for relative_path in listed)
        assert folders_in(path) == ["a"]
        assert (path_kind(path), path_kind(path / "b.tif"), path_kind(path / "none")) == ("folder", "file", None)
        assert (files_in(path / "none"), folders_in(path / "none")) == ([], [])


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
    error = capsys.readouterr().err
    assert error == "microsnoop profile: 's3://no-such-bucket/out/images.csv': there is no bucket 'no-such-bucket'\n"
    for table in ("none", ""):
        with pytest.raises(InputError, match="there is no table at"):
            read_table(bucket / table)


@pytest.fixture
def new_connections(monkeypatch):
    """Connections that are made with the environment of the test."""
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    yield monkeypatch
    s3fs.S3FileSystem.clear_instance_cache()


def test_a_store_that_does_not_answer_stops_the_run(new_connections, screen, s3_server, capsys):
    lines = [f"s3://bucket/DNA{n}.tif" for n in range(4)]
    (screen.parent / "far.csv").write_text("URL_DNA\n" + "\n".join(lines) + "\n")
    new_connections.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    new_connections.setenv("AWS_MAX_ATTEMPTS", "1")
    mode = ["--mode", "image", "--device", "cpu", "--quiet", "--out", str(screen.parent / "out")]
    assert main(["profile", str(screen.parent / "far.csv"), *mode]) == 1
    error = capsys.readouterr().err
    assert error.startswith("microsnoop profile: 's3://")
    assert "the store does not answer (Could not connect to the endpoint URL" in error
    assert "Traceback" not in error
    with pytest.raises(UnreachableError, match="does not answer"):
        find_image_sets("s3://bucket/folder")


def test_no_credentials(new_connections, tmp_path, s3_server):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        new_connections.delenv(name)
    new_connections.setenv("AWS_EC2_METADATA_DISABLED", "true")
    new_connections.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with pytest.raises(UnreachableError, match=r"there are no credentials .*AWS_ACCESS_KEY_ID.*FSSPEC_S3_ANON=true"):
        read_plane(PlaneSource(as_path("s3://bucket/a.tif")), "DNA")


def test_wrong_credentials(new_connections, bucket):
    from moto import settings
    from moto.core.responses import ActionAuthenticatorMixin

    upload_text(bucket / "a.tif", "x")
    new_connections.setattr(settings, "INITIAL_NO_AUTH_ACTION_COUNT", 0)
    new_connections.setattr(ActionAuthenticatorMixin, "request_count", 0)
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
