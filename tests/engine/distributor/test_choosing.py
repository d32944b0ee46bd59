"""Only the image sets of a query are measured, under their own numbers."""

import pandas as pd
import pytest
from screens import write_screen

from microsnoop_engine import CropSettings, profile
from microsnoop_engine.errors import InputError, ResumeError

SETTINGS = CropSettings(scale="none")


def test_image_sets_of_a_query(tmp_path, embedder):
    path = write_screen(tmp_path, 4)
    whole = pd.read_parquet(profile(path, tmp_path / "all", SETTINGS, embedder=embedder).table)
    query = "Metadata_Well in ['A2', 'A04']"
    part = pd.read_parquet(profile(path, tmp_path / "part", SETTINGS, embedder=embedder, where=query).table)
    expected = whole[whole["Metadata_Well"].isin(["A02", "A04"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(part, expected)
    assert pd.read_csv(tmp_path / "part" / "images.csv")["ImageNumber"].tolist() == [2, 4]


def test_another_query_does_not_remove_rows(tmp_path, embedder):
    path = write_screen(tmp_path, 3)
    profile(path, tmp_path / "out", SETTINGS, embedder=embedder, where="ImageNumber < 3")
    with pytest.raises(ResumeError, match=r"different: where \(before \"ImageNumber < 3\", now not set\)"):
        profile(path, tmp_path / "out", SETTINGS, embedder=embedder)
    assert len(pd.read_parquet(tmp_path / "out" / "profiles.parquet")) == 4


@pytest.mark.parametrize(
    ("query", "message"),
    [("Metadata_Well == 'H12'", "none of the 2 image sets satisfies"), ("Well == 'A01'", "there is no column 'Well'")],
)
def test_queries_that_cannot_be_used(tmp_path, embedder, query, message):
    with pytest.raises(InputError, match=message):
        profile(write_screen(tmp_path, 2), tmp_path / "out", SETTINGS, embedder=embedder, where=query)
    assert not (tmp_path / "out").exists()
