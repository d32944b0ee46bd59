"""Objects that differ from their plate are flagged, and nothing else."""

import numpy as np
import pandas as pd
import pytest

from microsnoop_engine import aggregate, evaluate, sphere
from microsnoop_engine.errors import InputError
from microsnoop_engine.tables.features import select_features
from microsnoop_engine.tables.formats import open_table, write_table
from microsnoop_engine.tables.object_flags import OBJECT_FLAGS, count_object_flags, flag_objects
from microsnoop_engine.tables.source import in_memory, read_frame

COUNT = 200


def cells():
    """Cells of two plates, as a plate has them: areas vary by a quarter, solidities by a hundredth."""
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "Metadata_Plate": np.repeat(["P1", "P2"], COUNT // 2),
            "Metadata_Well": np.tile(np.repeat(["A01", "A02"], COUNT // 4), 2),
            "ImageNumber": np.arange(COUNT) // 10 + 1,
            "ObjectNumber": np.arange(COUNT) % 10 + 1,
            "Metadata_Object_TouchesBorder": 0,
            "Nuclei_QC_Area": 400 * random.lognormal(0, 0.25, COUNT),
            "Nuclei_QC_Solidity": 0.96 - np.abs(random.normal(0, 0.01, COUNT)),
            "Nuclei_QC_TouchingNeighbors": 0.0,
            "Nuclei_QC_NearestNeighborDistance": 30.0,
            "Nuclei_QC_MeanIntensity_DNA": 100 * random.lognormal(0, 0.2, COUNT),
            "Nuclei_QC_PercentMaximal_DNA": 0.0,
            **{f"Nuclei_Microsnoop_E{n:03d}_DNA": random.normal(size=COUNT) for n in range(3)},
        }
    )


def flags(frame, **settings):
    flagged = flag_objects(in_memory(frame), **settings)[OBJECT_FLAGS]
    return {row: words for row, words in enumerate(flagged) if words}


def test_a_good_plate_has_no_flags():
    assert flags(cells(), by=["Metadata_Plate"]) == {}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"QC_Area": 12}, "small"),
        ({"QC_Area": 9000}, "large"),
        ({"QC_Area": 12, "QC_MeanIntensity_DNA": 2000}, "debris; small"),
        ({"QC_Area": 160, "QC_Solidity": 0.6}, "debris"),
        ({"QC_Area": 700, "QC_Solidity": 0.8}, "clumped"),
        ({"QC_MeanIntensity_DNA": 2000}, None),
        ({"QC_PercentMaximal_DNA": 20}, "saturated DNA"),
    ],
)
def test_what_differs_is_flagged(values, words):
    frame = cells()
    for name, value in values.items():
        frame[f"Nuclei_{name}"] = frame[f"Nuclei_{name}"].astype(float)
        frame.loc[7, f"Nuclei_{name}"] = value
    found = flags(frame, by=["Metadata_Plate"]).get(7)
    assert (found and set(found.split("; "))) == (words and set(words.split("; ")))


def test_plates_are_compared_within_themselves_and_flags_counted_by_plate():
    frame = cells()
    frame.loc[frame["Metadata_Plate"] == "P2", "Nuclei_QC_Area"] *= 40
    frame.loc[[3, 150], "Metadata_Object_TouchesBorder"] = 1
    frame.loc[150, "Nuclei_QC_Area"] = 400
    assert flags(frame, by=["Metadata_Plate"]) == {3: "edge", 150: "small; edge"}
    flagged = flag_objects(in_memory(frame), ["Metadata_Plate"])
    assert count_object_flags(flagged) == {"edge": {"P1": 1, "P2": 1}, "small": {"P2": 1}}


def test_few_objects_are_not_compared():
    few = cells().head(29)
    few.loc[0, "Nuclei_QC_Area"] = 1.0
    few.loc[1, "Metadata_Object_TouchesBorder"] = 1
    assert flags(few) == {1: "edge"}


def test_the_threshold():
    frame = cells()
    frame.loc[7, "Nuclei_QC_Area"] = 150
    assert flags(frame, threshold=10) == {}
    assert flags(frame, threshold=3)[7] == "small"


def test_measurements_of_cellprofiler_count_alike():
    frame = cells()
    frame.loc[7, ["Nuclei_QC_Area", "Nuclei_QC_Solidity"]] = 160, 0.6
    names = {
        "Area": "AreaShape_Area",
        "Solidity": "AreaShape_Solidity",
        "MeanIntensity_DNA": "Intensity_MeanIntensity_DNA",
    }
    renamed = frame.rename(columns={f"Nuclei_QC_{name}": f"Nuclei_{new}" for name, new in names.items()})
    assert flags(renamed) == flags(frame) == {7: "debris"}


def test_tables_without_qualities():
    with pytest.raises(InputError, match="no qualities of objects"):
        flag_objects(in_memory(pd.DataFrame({"ImageNumber": [1], "Nuclei_Microsnoop_E000_DNA": [0.1]})))


def test_qualities_are_no_features(caplog):
    frame = cells()
    names = [f"Nuclei_Microsnoop_E{n:03d}_DNA" for n in range(3)]
    for choice in ("all", "microsnoop"):
        assert select_features(in_memory(frame), choice) == names
    assert select_features(in_memory(frame), "Nuclei_QC_Area") == ["Nuclei_QC_Area"]
    assert not caplog.text
    with pytest.raises(InputError, match="no features"):
        select_features(in_memory(frame), "classical")


@pytest.mark.parametrize("level", ["image", "well", "treatment"])
@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_aggregates_keep_their_means(level, statistic):
    frame = cells()
    keys = {
        "image": ["Metadata_Plate", "Metadata_Well", "ImageNumber"],
        "well": ["Metadata_Plate", "Metadata_Well"],
        "treatment": ["Metadata_Well"],
    }
    found = aggregate(frame, level, ["Metadata_Well"], statistic=statistic)
    assert found.features == [f"Nuclei_Microsnoop_E{n:03d}_DNA" for n in range(3)]
    expected = frame.groupby(keys["image"])["Nuclei_QC_Area"].agg(statistic)
    for step in ("well", "treatment"):
        if level in (step, "treatment"):
            expected = expected.groupby(level=keys[step]).agg(statistic)
    np.testing.assert_allclose(found.frame["Nuclei_QC_Area"], expected)


def test_aggregates_by_consensus_keep_plain_means_of_qualities():
    frame = cells()
    plain = aggregate(frame, "treatment", ["Metadata_Well"]).frame
    modz = aggregate(frame, "treatment", ["Metadata_Well"], statistic="modz").frame
    np.testing.assert_allclose(modz.filter(like="_QC_"), plain.filter(like="_QC_"))


@pytest.mark.parametrize("name", ["cells.parquet", "cells.csv", "cells.h5ad"])
def test_queries_in_every_format(name, tmp_path):
    frame = cells()
    features = [f"Nuclei_Microsnoop_E{n:03d}_DNA" for n in range(3)]
    path = write_table(frame, tmp_path / name, features)
    query = "Nuclei_QC_Area > 400 and Nuclei_QC_Solidity >= 0.95"
    kept = (frame["Nuclei_QC_Area"] > 400) & (frame["Nuclei_QC_Solidity"] >= 0.95)
    assert len(read_frame(open_table(path, where=query))) == kept.sum()
    wells = aggregate(path, where=query)
    assert wells.features == features
    assert wells.frame["Metadata_Object_Count"].sum() == kept.sum()
    sphered = sphere(path, "Metadata_Well == 'A01'", where=query)
    assert set(sphered.features) == set(features)
    assert len(sphered.frame) == kept.sum()
    assert evaluate(path, "Metadata_Well", ["knn"], where=query)[0]["rows"] == kept.sum()


def test_flags_beside_a_table_leave_out_rows(tmp_path):
    frame = cells()
    frame.to_parquet(tmp_path / "profiles.parquet")
    flagged = pd.DataFrame({"ImageNumber": [2, 3], "ObjectNumber": [5, 1], OBJECT_FLAGS: ["edge", "small; edge"]})
    flagged.to_csv(tmp_path / "object_flags.csv", index=False)
    images = {"ImageNumber": range(1, 21), "Metadata_QC_Flags": [None] * 19 + ["blurred DNA"]}
    pd.DataFrame(images).to_csv(tmp_path / "quality.csv", index=False)

    def count(query):
        return len(read_frame(open_table(tmp_path / "profiles.parquet", where=query)))

    assert count(f"{OBJECT_FLAGS} is None") == COUNT - 2
    assert count(f"{OBJECT_FLAGS} is None or {OBJECT_FLAGS} == 'edge'") == COUNT - 1
    assert count(f"{OBJECT_FLAGS} is None and Metadata_QC_Flags is None") == COUNT - 12
    flagged.head(0).to_csv(tmp_path / "object_flags.csv", index=False)
    assert count(f"{OBJECT_FLAGS} is None") == COUNT
