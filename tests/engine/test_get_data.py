"""The command that says where the benchmarks' data come from: its list, and its check of a folder."""

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
import get_data
from eval_sets import PROTOCOLS
from get_data import DATASETS, File, check

FILES = [file for dataset in DATASETS.values() for file in dataset.files]


def run(*arguments, **environment):
    command = [sys.executable, get_data.__file__, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})


def test_list_names_source_terms_and_hash_of_every_set():
    done = run()
    assert done.returncode == 0, done.stderr
    assert DATASETS.keys() >= PROTOCOLS.keys()
    for name, dataset in DATASETS.items():
        (part,) = [part for part in done.stdout.split("\n\n") if part.startswith(f"{name}: ")]
        for text in (dataset.source, dataset.terms, *dataset.pages, *(file.sha256 for file in dataset.files)):
            assert text in part
    assert "None of the files above has a public address" in done.stdout


def test_files_are_listed_once():
    assert len({file.path for file in FILES}) == len({file.sha256 for file in FILES}) == len(FILES)
    assert all(len(bytes.fromhex(file.sha256)) == 32 for file in FILES)


@pytest.mark.parametrize("by_variable", [False, True])
def test_a_folder_with_missing_and_wrong_files(tmp_path, by_variable):
    (tmp_path / "eval").mkdir()
    (tmp_path / "eval" / "chula_rbc12.npz").write_bytes(b"not it")
    done = run("--check", MICROSNOOP_DATA=str(tmp_path)) if by_variable else run("--check", tmp_path)
    assert done.returncode == 1
    assert "pool/index.csv: missing\n" in done.stdout
    assert "eval/chula_rbc12.npz: differs: 6 bytes instead of 5,472,359\n" in done.stdout
    assert f"0 of {len(FILES)} files in {tmp_path} are as they should be\n" in done.stdout


def test_a_file_of_the_right_size_is_read_to_its_end(tmp_path):
    content = bytes(3 << 20)
    file = File("a.npz", len(content), hashlib.sha256(content).hexdigest())
    (tmp_path / "a.npz").write_bytes(content)
    assert check(tmp_path, file) == "ok"
    (tmp_path / "a.npz").write_bytes(content[:-1] + b"x")
    assert check(tmp_path, file).endswith(f" instead of {file.sha256}")


def test_a_complete_folder_passes(tmp_path, monkeypatch, capsys):
    (tmp_path / "a.npz").write_bytes(b"whole")
    file = File("a.npz", 5, hashlib.sha256(b"whole").hexdigest())
    monkeypatch.setattr(get_data, "DATASETS", {"a": replace(DATASETS["pool"], files=(file,))})
    monkeypatch.setattr(sys, "argv", ["get_data.py", "--check", str(tmp_path)])
    get_data.main()
    assert capsys.readouterr().out == f"a.npz: ok\n1 of 1 files in {tmp_path} are as they should be\n"
