"""A table of cells with a platemap and classical features of the same cells."""

import numpy as np
import pandas as pd
import pytest

RANDOM = np.random.default_rng(0)
DEEP = [f"Nuclei_Microsnoop_E{k:03d}_DNA" for k in range(8)]
MOA = {"DMSO": None, "a1": "A", "a2": "A", "b1": "B", "b2": "B"}


@pytest.fixture
def cells(tmp_path):
    """960 cells: 2 plates x 40 wells x 2 images x 6 cells; a platemap; classical columns of the same cells."""
    rows, effects = [], {"A": RANDOM.normal(size=8) * 3, "B": RANDOM.normal(size=8) * 3}
    for plate in ("P1", "P2"):
        for well in range(40):
            treatment = list(MOA)[well % 5]
            shift = effects.get(MOA[treatment], np.zeros(8)) + (plate == "P2") * 4
            for image in range(2):
                for number in range(6):
                    key = {"Metadata_Plate": plate, "Metadata_Well": f"W{well:02d}"}
                    key |= {"ImageNumber": len(rows) // 6 + 1, "ObjectNumber": number + 1}
                    rows.append(key | dict(zip(DEEP, shift + RANDOM.normal(size=8), strict=True)))
                    assert image < 2
    table = pd.DataFrame(rows)
    table.to_parquet(tmp_path / "cells.parquet")
    hand = table[["ImageNumber", "ObjectNumber"]].assign(Nuclei_AreaShape_Area=RANDOM.gamma(5, 9, len(table)))
    hand[5:].to_csv(tmp_path / "hand.csv", index=False)
    wells = table[["Metadata_Plate", "Metadata_Well"]].drop_duplicates()
    wells["Treatment"] = [list(MOA)[k % 5] for k in range(len(wells))]
    wells["MoA"] = wells["Treatment"].map(MOA)
    wells.to_csv(tmp_path / "platemap.csv", index=False)
    return tmp_path
