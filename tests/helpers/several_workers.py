"""Job, settings and checks of the tests of several processes and of a Ray cluster."""

import pandas as pd

from microsnoop_engine import CropSettings
from microsnoop_engine.distributor.job import Job
from microsnoop_engine.tables.parquet_files import read_table

JOB = Job(("DNA",), "Nuclei", CropSettings(rescale_constant=3.0))
SETTINGS = {"model": "base", "precision": "float32", "batch_size": 8}
"""The slow network, so that a run lasts long enough for something to happen to its workers."""
READER = """
import ctypes

class BioImage:
    def __init__(self, path):
        ctypes.string_at(0)
"""
"""A module 'bioio' that crashes, as a reader in C may."""


def table_of(folder):
    return read_table(folder).to_pandas()


def assert_same_table(folder, expected):
    """Equal but for rounding: a batch of another size rounds otherwise, and whitening magnifies that."""
    pd.testing.assert_frame_equal(table_of(folder), expected, rtol=1e-4, atol=2e-5)


def at(number, do):
    """A progress function that calls ``do`` once that many image sets are done."""
    return lambda done, total: do() if done == number else None
