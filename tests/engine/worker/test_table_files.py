"""Tables, clusters and maps that the worker makes for a host."""

import numpy as np
import pandas as pd
import pytest

from microsnoop_engine.errors import InputError
from microsnoop_engine.worker.arrays import ArrayTransport
from microsnoop_engine.worker.table_files import table_tasks

RANDOM = np.random.default_rng(2)
GROUPS = np.repeat(np.eye(3, 512), (9, 5, 3), axis=0) + RANDOM.normal(0, 0.01, (17, 512))


@pytest.fixture
def ask(tmp_path):
    """Run a task with arrays as files."""
    exchange = ArrayTransport(1 << 30)
    tasks = table_tasks(exchange)

    def run(task, **inputs):
        for name, value in inputs.items():
            if isinstance(value, np.ndarray):
                np.save(tmp_path / f"{name}.npy", value)
                inputs[name] = {"npy": str(tmp_path / f"{name}.npy")}
        outputs = tasks[task][0](inputs, lambda *_: None)
        is_array = {name for name, value in outputs.items() if isinstance(value, dict)}
        return {name: np.load(value["npy"]) if name in is_array else value for name, value in outputs.items()}

    yield run
    exchange.close()


def rows(count, seed=0):
    """Inputs of write_table."""
    random = np.random.default_rng(seed)
    return {
        "objects": "Nuclei",
        "channels": ["DNA", "ER"],
        "metadata": {"Image": [f"i{seed}.tif, a"] * count, "Roi": ['say "ä"'] * count, "Slice": [3] * count},
        "features": random.normal(size=(count, 512)).astype(np.float32),
        "image_number": np.ones(count, np.int32),
        "object_number": np.arange(1, count + 1, dtype=np.int32),
        "center": random.random((count, 2)).astype(np.float32),
        "box": random.integers(0, 99, (count, 4)).astype(np.int32),
        "border": np.zeros(count, np.int32),
    }


def read(path):
    return pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_table_is_written_and_added_to_in_full_precision(ask, tmp_path, ending):
    path = tmp_path / f"table.{ending}"
    first, second = rows(4), rows(3, 1)
    assert ask("write_table", path=str(path), **first)["rows"] == 4
    ask("write_table", path=str(path), append=True, **second)
    table = read(path)
    features = table[[name for name in table if "_Microsnoop_E" in name]].to_numpy(np.float32)
    np.testing.assert_array_equal(features, np.concatenate([first["features"], second["features"]]))
    assert table["ImageNumber"].tolist() == [1] * 4 + [2] * 3
    assert table["Metadata_Roi"].unique().tolist() == ['say "ä"']
    assert table["Metadata_Slice"].tolist() == [3] * 7
    assert list(table)[-1] == "Nuclei_Microsnoop_E255_ER"
    ask("write_table", path=str(path), **second)
    assert len(read(path)) == 3
    assert sorted(file.name for file in tmp_path.iterdir() if "table" in file.name) == [f"table.{ending}"]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_what_does_not_fit_is_not_added(ask, tmp_path, ending):
    path = tmp_path / f"table.{ending}"
    ask("write_table", path=str(path), **rows(4))
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"has other columns than the new rows \(Nuclei_Microsnoop_E000_GFP\)"):
        ask("write_table", path=str(path), append=True, **{**rows(2), "channels": ["DNA", "GFP"]})
    assert path.read_bytes() == before
    path.write_bytes(before[:-1000])
    with pytest.raises(InputError, match=r"is damaged|cannot be read"):
        ask("write_table", path=str(path), append=True, **rows(2))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"path": "/nowhere/at/all.csv"}, "there is no folder '/nowhere/at'; make it"),
        ({"path": "/tmp/table.xlsx"}, "must end in .csv or .parquet"),
        ({"path": "table.csv"}, "cannot be written"),
        ({"channels": ["A", "B", "C"]}, "512 features do not go with 3 channels"),
        ({"metadata": {"Image": ["a"]}}, "other lengths than its 4 rows"),
    ],
)
def test_bad_tables(ask, tmp_path, change, said):
    with pytest.raises(InputError, match=said):
        ask("write_table", **{"path": str(tmp_path / "a.csv"), **rows(4), **change})


def test_clusters_are_numbered_by_size_and_missing_rows_have_none(ask):
    features = GROUPS.astype(np.float32)
    features[4, 7] = np.nan
    shuffled = RANDOM.permutation(17)
    found = ask("cluster", features=features[shuffled], clusters=3)["cluster"]
    want = np.repeat([1, 2, 3], (9, 5, 3))
    want[4] = 0
    np.testing.assert_array_equal(found, want[shuffled])
    with pytest.raises(InputError, match="18 clusters cannot be made of 16 rows"):
        ask("cluster", features=features, clusters=18)


@pytest.mark.parametrize("method", ["pca", "umap"])
def test_a_map_keeps_groups_together(ask, method):
    if method == "umap":
        pytest.importorskip("umap")
    features = GROUPS.astype(np.float32)
    features[4, 7] = np.nan
    found = ask("map", features=features, method=method)
    points = found["points"]
    assert np.isnan(points[4]).all()
    groups = [points[[0, 1, 2, 3, 5, 6, 7, 8]], points[9:14], points[14:]]
    if method == "pca":
        spread = max(np.ptp(group, axis=0).max() for group in groups)
        middles = [group.mean(0) for group in groups]
        assert min(np.linalg.norm(middles[a] - middles[b]) for a, b in ((0, 1), (0, 2), (1, 2))) > 3 * spread
        assert sum(found["explained"]) > 0.9
    with pytest.raises(InputError, match="at least 4 rows with all features, there are 3"):
        ask("map", features=features[:3], method=method)
