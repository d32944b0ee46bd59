"""Write files whole or not at all."""

import doctest

import pytest

from microsnoop_engine.storage import atomic
from microsnoop_engine.storage.atomic import AppendFile, atomic_path, write_atomic


def fail_half_way(path):
    with atomic_path(path) as temporary:
        temporary.write_bytes(b"half of")
        raise ZeroDivisionError


def test_a_block_that_fails_leaves_the_former_file(tmp_path):
    path = tmp_path / "table.csv"
    write_atomic(path, b"before")
    with pytest.raises(ZeroDivisionError):
        fail_half_way(path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {"table.csv": b"before"}
    write_atomic(path, b"after")
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {"table.csv": b"after"}


def test_a_block_that_fails_writes_nothing_to_a_store(bucket):
    with pytest.raises(ZeroDivisionError):
        fail_half_way(bucket / "table.csv")
    assert bucket.fs.find(bucket.path) == []


def test_every_line_is_in_the_file_at_once(tmp_path, bucket):
    for path in (tmp_path / "manifest.jsonl", bucket / "manifest.jsonl"):
        write_atomic(path, b"of another run\n")
        file = AppendFile(path, b"1\n")
        assert path.read_bytes() == b"1\n"
        for line in (b"2\n", b"3\n"):
            file.append(line)
            assert path.read_bytes().endswith(line)
        assert path.read_bytes() == b"1\n2\n3\n"


def test_the_example_writes_nothing_into_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    failed, tried = doctest.testmod(atomic)
    assert tried > 0
    assert failed == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["x" * 251 + ".tif", "ü" * 125 + ".tif"])
def test_names_as_long_as_the_disk_allows(tmp_path, name):
    write_atomic(tmp_path / name, b"1")
    write_atomic(tmp_path / name, b"2")
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {name: b"2"}
