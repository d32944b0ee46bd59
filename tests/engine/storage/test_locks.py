"""Let only one run write to a folder, on a disk and in a store."""

import functools

import pytest
from profile_tables import LAYOUT, RUN, image_set, measurement

from microsnoop_engine.distributor.results import MANIFEST, read_manifest, resume_table
from microsnoop_engine.errors import ResumeError
from microsnoop_engine.storage.locks import folder_lock
from microsnoop_engine.tables.parquet_files import read_table


def test_a_disk_refuses_a_second_run(tmp_path):
    with folder_lock(tmp_path) as lock:
        lock.check()
        assert lock.suffix == ""
        with pytest.raises(ResumeError, match=r"another run is writing to '.*': wait for it, or choose another `out`"):
            folder_lock(tmp_path).__enter__()
    with folder_lock(tmp_path):
        pass


def test_a_second_run_takes_over_a_store_and_the_first_one_stops(bucket):
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
