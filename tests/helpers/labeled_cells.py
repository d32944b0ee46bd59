"""Tables of cells with classes that are known, for tests of the classifier."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from microsnoop_engine.tables.columns import feature_columns

FEATURES = feature_columns("Nuclei", ["DNA"], 12)


def draw_cells(wells=10, per_well=20, seed=0, spread=1.0):
    """Draw cells of two classes in each well, whose first three features differ."""
    random = np.random.default_rng(seed)
    count = wells * per_well
    well = np.repeat(np.arange(wells), per_well)
    kind = random.random(count) < 0.4
    values = (
        random.normal(size=(count, len(FEATURES))) * spread + random.normal(size=(wells, len(FEATURES)))[well] * 0.3
    )
    values[:, :3] += 2.0 * kind[:, None]
    frame = pd.DataFrame(values.astype(np.float32), columns=FEATURES)
    keys = pd.DataFrame(
        {
            "Metadata_Plate": "P1",
            "Metadata_Well": [f"{'ABCDEFGH'[n // 12]}{n % 12 + 1:02d}" for n in well],
            "Metadata_Site": 1,
            "ImageNumber": well + 1,
            "ObjectNumber": np.tile(np.arange(per_well) + 1, wells),
            "Nuclei_Location_Center_X": random.uniform(10, 500, count).astype(np.float32),
            "Nuclei_Location_Center_Y": random.uniform(10, 500, count).astype(np.float32),
        }
    )
    return pd.concat([keys, frame], axis=1), np.where(kind, "mitotic", "interphase")


def write_cells(path, frame, weights="net 0123456789abcdef", precision="float32"):
    """Write a table as microsnoop profile does, with its network in the metadata."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    pq.write_table(table.replace_schema_metadata({"weights": weights, "precision": precision}), path)
    return path
