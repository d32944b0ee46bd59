"""Engines for the tests, and programs that stand for engines that misbehave."""

import os
import shutil
import sys
import time

import pytest
from cellprofiler_host import REPOSITORY  # noqa: F401  (sets CellProfiler up before anything else imports it)


def skip(reason):
    """Skip a test; an error where the checks run for everyone."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def engine_python():
    """The engine's interpreter."""
    python = os.environ["MICROSNOOP_PYTHON"]
    if shutil.which(python) is None:
        skip(f"no engine at {python}: build its environment (make setup), or set MICROSNOOP_PYTHON")
    return python


@pytest.fixture
def engine_command(engine_python):
    """Command of the engine; its processes are ended after the test."""
    import _microsnoop_client

    yield _microsnoop_client.find_engine(engine_python)
    _microsnoop_client.close_engines()


@pytest.fixture
def stub(tmp_path):
    """Write a program that stands for an engine that misbehaves."""

    def write(body):
        path = tmp_path / f"stub-{time.monotonic_ns()}"
        path.write_text(f"#!{sys.executable}\n{body}\n")
        path.chmod(0o755)
        return str(path)

    return write
