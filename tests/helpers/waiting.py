"""Wait for what happens in other processes and in windows; a machine that is busy with other things is given time."""

import time
from contextlib import suppress

import psutil

PATIENCE = 200
"""Seconds after which something that has not happened never will."""


def wait_for(condition):
    """What a condition gives once it is true."""
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.03)
    return found


def lives(process):
    """Whether a process still runs; an orphan that nobody has buried yet has ended."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def cpu_seconds(process):
    """Processor time that a process has used since it started."""
    return sum(process.cpu_times()[:2])


def assert_gives_up(process):
    """Fail unless a process ends without finishing its work first: its processor time tells so under any load."""
    before = after = cpu_seconds(process)
    with suppress(psutil.NoSuchProcess):
        while lives(process):
            after = cpu_seconds(process)
            assert after - before < 2
            time.sleep(0.01)


def assert_gone(processes):
    """Fail unless processes end by themselves."""
    wait_for(lambda: not any(map(lives, processes)))
