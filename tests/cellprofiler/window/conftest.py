"""One session of CellProfiler's real window, into which all tests of this folder look."""

import pytest
from cellprofiler_session import missing_for_the_window, run_session

MISSING = missing_for_the_window()
collect_ignore_glob = ["test_*.py"] if MISSING else []


def pytest_terminal_summary(terminalreporter):
    """Say in one line that the window was not tested."""
    if MISSING:
        terminalreporter.write_line(f"*** tests/cellprofiler/window DID NOT RUN: there is no {MISSING}", red=True)


@pytest.fixture(scope="session")
def session_folder(tmp_path_factory):
    """Folder of the session."""
    return tmp_path_factory.mktemp("window")


@pytest.fixture(scope="session")
def seen(session_folder, engine_python):
    """What the session has seen."""
    return run_session(session_folder, engine_python)
