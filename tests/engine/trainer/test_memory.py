"""Test that freed memory stays with the process."""

import platform
import subprocess
import sys

import pytest

PAGES = """
import resource, sys
import numpy as np
from microsnoop_engine.trainer.memory import keep_freed_memory

if sys.argv[1] == "keep":
    keep_freed_memory()
np.ones(8_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    np.ones(8_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc alone gives memory back so eagerly")
def test_memory_that_is_kept_is_not_asked_for_again():
    asked, kept = (
        int(subprocess.run([sys.executable, "-c", PAGES, how], capture_output=True, text=True, check=True).stdout)
        for how in ("leave", "keep")
    )
    assert kept < asked / 10
